/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: what the library reports, and where to.
 *
 * Level, stream and callback are those of the whole process.
 */
#ifndef __RTMP_LOG_H__
#define __RTMP_LOG_H__

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Programs that were written for C++ use bool behind rtmp_sys.h and this header. Programs with a bool of their own
 * usually get by with one of them, or define it as the same type.
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

/** How important a message is. A level as a setting lets through its own messages and those above it in this list. */
typedef enum {
    RTMP_LOGCRIT = 0,
    RTMP_LOGERROR = 1, /**< what was asked for failed; the level that is set at first */
    RTMP_LOGWARNING = 2,
    RTMP_LOGINFO = 3,
    RTMP_LOGDEBUG = 4,
    RTMP_LOGDEBUG2 = 5, /**< with the bytes of messages */
    RTMP_LOGALL = 6 /**< a setting only: everything */
} RTMP_LogLevel;

/** The level that is set. May be assigned at any time, just like through RTMP_LogSetLevel. */
extern RTMP_LogLevel RTMP_debuglevel;

/**
 * Takes one message that the set level lets through: a printf format without a line end, and its arguments. Both are
 * the library's and valid during the call only. Called on the thread whose call had something to report, while the library
 * holds no lock.
 *
 * The callback may use the library, and sessions that this thread is in no call with. The session of the call that reports
 * is in the middle of something. With that one it may call RTMP_Close and RTMP_Abort, which end the call; the functions
 * that only look, RTMP_IsConnected, RTMP_IsTimedout, RTMP_Socket, RTMP_GetDuration, RTMP_GetLastError and
 * RTMP_GetErrorString; and those that only set a field, RTMP_EnableWrite and RTMP_SetBufferMS. Every other function fails
 * with RTMP_ERR_ARGUMENT and has no effect: RTMP_Read returns -1, RTMP_Free frees nothing. That is not logged. Memory of
 * the session must not be freed otherwise.
 *
 * The callback has to return. A C++ exception that leaves it ends the process, unless the program called RTMP_Log itself.
 * longjmp out of it is not supported: the session of the call stays in that call for ever, so it can be neither used nor
 * freed, and the library may not log any more in this thread. Other sessions and threads go on.
 */
typedef void(RTMP_LogCallback)(int level, const char *fmt, va_list args);

#ifdef __GNUC__
#define LIBRTMP_FORMAT(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define LIBRTMP_FORMAT(string, first)
#endif

/** Reports a message at a level (RTMP_LogLevel): to the callback if one is set, to the stream otherwise. */
void RTMP_Log(int level, const char *format, ...) LIBRTMP_FORMAT(2, 3);

/**
 * Prints text of the program to the stream, as it is, and never to the callback. Nothing is printed while the level is
 * RTMP_LOGCRIT. The stream is flushed if the text ends a line.
 */
void RTMP_LogPrintf(const char *format, ...) LIBRTMP_FORMAT(1, 2);

/**
 * Prints a status line of the program that the next one may overwrite (begin or end it with a carriage return). Like
 * RTMP_LogPrintf, but always flushes, and the next other output starts on a new line.
 */
void RTMP_LogStatus(const char *format, ...) LIBRTMP_FORMAT(1, 2);

#undef LIBRTMP_FORMAT

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
