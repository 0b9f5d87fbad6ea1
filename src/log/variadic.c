/* The part of the log functions that only C can express: taking printf-style arguments.
 *
 * RTMP_Log, RTMP_LogPrintf and RTMP_LogStatus are jumps to the first three functions below; see variadic.rs, which
 * mirrors `struct writer`. Levels, destinations and line formats are known there and nowhere here. */

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#if defined(__GNUC__) && !defined(_WIN32)
#define INTERNAL __attribute__((visibility("hidden")))
#else
#define INTERNAL
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
    /* Whether anybody wants a message of this level. */
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

void rtmp_variadic_log(int level, const char *format, ...)
{
    const struct writer *writer = rtmp_variadic_writer();
    log_callback *callback;
    va_list args;

    if (format == NULL || !writer->wanted(level))
        return;
    va_start(args, format);
    callback = writer->callback();
    if (callback != NULL) {
        callback(level, format, args);
    } else {
        char text[TEXT_SIZE];
        format_text(text, format, args);
        writer->log(level, text);
    }
    va_end(args);
    CANCEL_IF_ASKED();
}

void rtmp_variadic_print(const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    rtmp_variadic_writer()->print(text);
    CANCEL_IF_ASKED();
}

void rtmp_variadic_status(const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    rtmp_variadic_writer()->status(text);
    CANCEL_IF_ASKED();
}

/* `stderr` is a macro in some C libraries and a variable in others. */
FILE *rtmp_variadic_stderr(void)
{
    return stderr;
}
