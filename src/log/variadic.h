/* Shared by variadic.c and exported.c: turns a function with `...` into one with a va_list. */

#include <stdarg.h>

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

/* Writing is a cancellation point, but not for Rust code: what it put off happens here, unless a call further out puts it
 * off as well. See cancel.rs. */
#if defined(_WIN32) || defined(__ANDROID__)
#define CANCEL_IF_ASKED() ((void)0)
#else
#include <pthread.h>
#define CANCEL_IF_ASKED() pthread_testcancel()
#endif

INTERNAL void rtmp_variadic_log_list(int level, const char *format, va_list args);
INTERNAL void rtmp_variadic_print_list(const char *format, va_list args);
INTERNAL void rtmp_variadic_status_list(const char *format, va_list args);

/* Defines the three functions under some names. */
#define DEFINE(log, print, status) \
    void log(int level, const char *format, ...) \
    { \
        va_list args; \
        va_start(args, format); \
        rtmp_variadic_log_list(level, format, args); \
        va_end(args); \
        CANCEL_IF_ASKED(); \
    } \
    void print(const char *format, ...) \
    { \
        va_list args; \
        va_start(args, format); \
        rtmp_variadic_print_list(format, args); \
        va_end(args); \
        CANCEL_IF_ASKED(); \
    } \
    void status(const char *format, ...) \
    { \
        va_list args; \
        va_start(args, format); \
        rtmp_variadic_status_list(format, args); \
        va_end(args); \
        CANCEL_IF_ASKED(); \
    }
