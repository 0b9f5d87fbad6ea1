/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: the log of the library.
 *
 * Level, stream and callback apply to the whole process.
 */
#ifndef __RTMP_LOG_H__
#define __RTMP_LOG_H__

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Programs written for librtmp's own rtmp_sys.h expect bool after that header and this one. Programs with a bool of their
 * own usually include only one of them, or define the same type.
 */
#if defined(LIBRTMP_RTMP_SYS_H) && !defined(__cplusplus) && \
    (!defined(__STDC_VERSION__) || __STDC_VERSION__ <= 201710L)
#ifndef bool
#define bool librtmp_bool
#endif
#ifndef true
#define true 1
#endif
#ifndef false
#define false 0
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Levels of messages. As a setting, a level lets through its own messages and those listed before it. */
typedef enum {
    RTMP_LOGCRIT = 0,
    RTMP_LOGERROR = 1, /**< an operation failed; the default setting */
    RTMP_LOGWARNING = 2,
    RTMP_LOGINFO = 3,
    RTMP_LOGDEBUG = 4,
    RTMP_LOGDEBUG2 = 5, /**< with the bytes of messages */
    RTMP_LOGALL = 6 /**< a setting only: everything */
} RTMP_LogLevel;

/** The current level. May be assigned at any time, like RTMP_LogSetLevel. */
extern RTMP_LogLevel RTMP_debuglevel;

/**
 * Receives one message of the current level: a printf format without a newline, and its arguments. Both belong to the
 * library and are valid only during the call. The library calls it on the thread that has something to report, and holds
 * no lock then.
 *
 * The callback may use the library and all sessions except the one whose call reports, because that call is still
 * running. With that session it may call RTMP_Close and RTMP_Abort, which end the call; the functions that only query,
 * RTMP_IsConnected, RTMP_IsTimedout, RTMP_Socket, RTMP_GetDuration, RTMP_GetLastError and RTMP_GetErrorString; and those
 * that only set a field, RTMP_EnableWrite and RTMP_SetBufferMS. All other functions fail with RTMP_ERR_ARGUMENT, have no
 * effect, and log nothing: RTMP_Read returns -1, RTMP_Free frees nothing. The memory of the session must not be freed in
 * another way.
 *
 * The callback has to return. A C++ exception that leaves it ends the process, unless the program itself called RTMP_Log.
 * longjmp out of it is not supported: the session can then be neither used nor freed, and this thread may not log any
 * more. Other sessions and threads continue.
 */
typedef void(RTMP_LogCallback)(int level, const char *fmt, va_list args);

#ifdef __GNUC__
#define LIBRTMP_FORMAT(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define LIBRTMP_FORMAT(string, first)
#endif

/** Logs a message at a level (RTMP_LogLevel): to the callback if one is set, otherwise to the output stream. */
void RTMP_Log(int level, const char *format, ...) LIBRTMP_FORMAT(2, 3);

/**
 * Prints text to the output stream unchanged, and never to the callback. It prints nothing while the level is
 * RTMP_LOGCRIT, and flushes the stream if the text ends a line.
 */
void RTMP_LogPrintf(const char *format, ...) LIBRTMP_FORMAT(1, 2);

/**
 * Prints a status line, which the next one may overwrite if it begins or ends with a carriage return. Like
 * RTMP_LogPrintf, but it always flushes, and the next other output starts on a new line.
 */
void RTMP_LogStatus(const char *format, ...) LIBRTMP_FORMAT(1, 2);

#undef LIBRTMP_FORMAT

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
