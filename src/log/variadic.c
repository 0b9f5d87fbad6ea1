/* The log functions that only C can define: those that take printf-style arguments.
 *
 * variadic.rs mirrors `struct writer` and knows levels, destinations and line formats; nothing here does. */

#include <stddef.h>
#include <stdio.h>

#include "variadic.h"

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

void rtmp_variadic_log_list(int level, const char *format, va_list args)
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

static void print_text(void (*write)(const char *text), const char *format, va_list args)
{
    char text[TEXT_SIZE];

    format_text(text, format, args);
    write(text);
}

void rtmp_variadic_print_list(const char *format, va_list args)
{
    print_text(rtmp_variadic_writer()->print, format, args);
}

void rtmp_variadic_status_list(const char *format, va_list args)
{
    print_text(rtmp_variadic_writer()->status, format, args);
}

DEFINE(rtmp_variadic_log, rtmp_variadic_print, rtmp_variadic_status)

/* Rust exports these as jumps to the functions above if it can; else RTMP_EXPORT_FROM_C is defined. PE files export by the
 * declaration, Mach-O files by an option in build.rs, and ELF files by exported.c, whose names take the place of these. */
#ifdef RTMP_EXPORT_FROM_C
#ifdef __ELF__
#define REPLACEABLE __attribute__((weak))
#else
#define REPLACEABLE
#endif
EXPORTED REPLACEABLE void RTMP_Log(int level, const char *format, ...);
EXPORTED REPLACEABLE void RTMP_LogPrintf(const char *format, ...);
EXPORTED REPLACEABLE void RTMP_LogStatus(const char *format, ...);

DEFINE(RTMP_Log, RTMP_LogPrintf, RTMP_LogStatus)
#endif

/* `stderr` is a macro in some C libraries and a variable in others. */
FILE *rtmp_variadic_stderr(void)
{
    return stderr;
}
