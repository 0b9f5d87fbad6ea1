/* The log functions that only C can define: those that take printf-style arguments.
 *
 * variadic.rs mirrors `struct writer` and knows levels, destinations and line formats; nothing here does. */

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#if defined(__GNUC__) && !defined(_WIN32)
#define INTERNAL __attribute__((visibility("hidden")))
#define EXPORTED __attribute__((visibility("default")))
#elif defined(_WIN32)
#define INTERNAL
#define EXPORTED __declspec(dllexport)
#else
#define INTERNAL
#define EXPORTED
#endif

/* Rust exports RTMP_Log, RTMP_LogPrintf and RTMP_LogStatus as jumps to the functions below if it can; else RTMP_EXPORT_FROM_C
 * is defined. rustc gives the linker a version script that makes every symbol local that Rust code did not define. GNU ld
 * does not apply it to a name that ends in @@, an ELF symbol whose default version is empty, and the dynamic symbol has the
 * name before that. PE files export by the declaration, and Mach-O files by an option in build.rs. */
#if defined(RTMP_EXPORT_FROM_C) && defined(__ELF__)
#define EXPORT_FROM_C(name) \
    EXPORTED extern __typeof__(name) rtmp_exported_##name __attribute__((alias(#name))); \
    __asm__(".symver rtmp_exported_" #name ", " #name "@@")
#else
#define EXPORT_FROM_C(name) extern int rtmp_not_exported_##name
#endif

/* Writing is a cancellation point, but not for Rust code: what it put off happens here, unless a call further out puts it
 * off as well. See cancel.rs. */
#if defined(_WIN32) || defined(__ANDROID__)
#define CANCEL_IF_ASKED() ((void)0)
#else
#include <pthread.h>
#define CANCEL_IF_ASKED() pthread_testcancel()
#endif

/* Characters of a line and its NUL. */
#define TEXT_SIZE 2047

typedef void log_callback(int level, const char *format, va_list args);

struct writer {
    /* Whether messages of this level are shown. */
    int (*wanted)(int level);
    /* The application's callback, NULL while it has none. */
    log_callback *(*callback)(void);
    /* Where finished lines go. */
    void (*log)(int level, const char *text);
    void (*print)(const char *text);
    void (*status)(const char *text);
};

INTERNAL extern const struct writer *rtmp_variadic_writer(void);

INTERNAL void rtmp_variadic_log(int level, const char *format, ...);
INTERNAL void rtmp_variadic_print(const char *format, ...);
INTERNAL void rtmp_variadic_status(const char *format, ...);
INTERNAL FILE *rtmp_variadic_stderr(void);

/* A conversion error leaves what was formatted before it. */
static void format_text(char text[TEXT_SIZE], const char *format, va_list args)
{
    text[0] = '\0';
    if (format != NULL)
        vsnprintf(text, TEXT_SIZE, format, args);
    text[TEXT_SIZE - 1] = '\0';
}

static void log_message(int level, const char *format, va_list args)
{
    const struct writer *writer = rtmp_variadic_writer();
    log_callback *callback;

    if (format == NULL || !writer->wanted(level))
        return;
    callback = writer->callback();
    if (callback != NULL) {
        callback(level, format, args);
    } else {
        char text[TEXT_SIZE];
        format_text(text, format, args);
        writer->log(level, text);
    }
}

void rtmp_variadic_log(int level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(level, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

static void print_text(void (*write)(const char *text), const char *format, va_list args)
{
    char text[TEXT_SIZE];

    format_text(text, format, args);
    write(text);
}

void rtmp_variadic_print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_text(rtmp_variadic_writer()->print, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

void rtmp_variadic_status(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_text(rtmp_variadic_writer()->status, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

#ifdef RTMP_EXPORT_FROM_C
EXPORTED void RTMP_Log(int level, const char *format, ...);
EXPORTED void RTMP_LogPrintf(const char *format, ...);
EXPORTED void RTMP_LogStatus(const char *format, ...);

void RTMP_Log(int level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(level, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

void RTMP_LogPrintf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_text(rtmp_variadic_writer()->print, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

void RTMP_LogStatus(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_text(rtmp_variadic_writer()->status, format, args);
    va_end(args);
    CANCEL_IF_ASKED();
}

EXPORT_FROM_C(RTMP_Log);
EXPORT_FROM_C(RTMP_LogPrintf);
EXPORT_FROM_C(RTMP_LogStatus);
#endif

/* `stderr` is a macro in some C libraries and a variable in others. */
FILE *rtmp_variadic_stderr(void)
{
    return stderr;
}
