/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: statistics, events and callbacks of sessions, non-blocking sessions for event loops, and several streams on one
 * connection.
 *
 * librtmp 2.4 does not have these functions. rtmp.h declares the type RTMP and all other functions for sessions.
 */
#ifndef LIBRTMP_LOOP_H
#define LIBRTMP_LOOP_H

#include <stdint.h>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <poll.h>
#endif

#include "rtmp.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Non-blocking sessions.
 *
 * After RTMP_SetNonBlocking, no call of a session waits. The program waits in its own event loop (poll, select, epoll, kqueue,
 * GLib, libuv and so on) for the descriptors of RTMP_GetPollFds and the timeout of RTMP_GetPollTimeout, then calls RTMP_Step:
 *
 *     RTMP_SetupURL(r, url);
 *     RTMP_SetNonBlocking(r, 1);
 *     RTMP_Connect(r, NULL);                            fails with RTMP_ERR_AGAIN
 *     for (;;) {
 *         count = RTMP_GetPollFds(r, fds, size);
 *         poll(fds, count, RTMP_GetPollTimeout(r));
 *         state = RTMP_Step(r);
 *         if (state & RTMP_STEP_FAILED)
 *             break;                                    RTMP_GetErrorString(r) has the reason
 *         if ((state & RTMP_STEP_CONNECTED) && !(state & RTMP_STEP_STREAMING))
 *             RTMP_ConnectStream(r, 0);
 *         while ((state & RTMP_STEP_READABLE) && (read = RTMP_Read(r, buffer, sizeof buffer)) > 0)
 *             write(out, buffer, read);
 *     }
 *
 * One thread can serve thousands of sessions, over all protocols and proxies. Link.timeout applies as in blocking sessions: to
 * each phase of connecting, to waiting for data, and to a peer that accepts no bytes.
 */

/* Bits that RTMP_Step returns: the state after the step. */
#define RTMP_STEP_CONNECTED 0x01 /**< RTMP_Connect, RTMP_Connect1, RTMP_TLS_Accept or RTMP_Serve would return TRUE */
#define RTMP_STEP_STREAMING 0x02 /**< the stream plays or can be published: RTMP_ConnectStream would return TRUE */
#define RTMP_STEP_READABLE 0x04 /**< RTMP_Read or RTMP_ReadPacket would return data, the end of the stream or a timeout */
#define RTMP_STEP_WRITABLE 0x08 /**< RTMP_Write and RTMP_SendPacket would accept a message, or report a lost connection */
#define RTMP_STEP_FLUSHED 0x10 /**< the library has no queued bytes */
#define RTMP_STEP_FAILED 0x20 /**< the connection failed or was lost; RTMP_GetLastError returns the reason */
#define RTMP_STEP_CLOSED 0x40 /**< there is no connection, and closing is complete */

/* Types of events, see RTMPEvent. Programs have to ignore unknown types. */
#define RTMP_EVENT_SOCKET 1 /**< a new socket, not yet connected: a place for setsockopt and bind */
#define RTMP_EVENT_STATUS 2 /**< a status from the peer, or a result with an information object */
#define RTMP_EVENT_RECONNECT 3 /**< the server asks its client to connect again, see the option reconnect */
#define RTMP_EVENT_DATA 4 /**< data from the peer other than metadata: cue points, captions, time codes */
#define RTMP_EVENT_COMMAND 5 /**< a command from the peer that the library does not know */
#define RTMP_EVENT_STALL 6 /**< a send has waited another second in which the peer accepted nothing */

/** An event of a session, for `RTMP_EventCallback`. */
struct RTMPEvent;

/**
 * Receives an event of the session r; arg is the argument of RTMP_SetEventCallback.
 *
 * Returns TRUE to continue. FALSE has the effect of RTMP_Abort: the current call, and all later ones until RTMP_Close, fail with
 * RTMP_ERR_ABORTED.
 *
 * It is called in the thread of a call about r, and that call waits for it. For r it may call RTMP_Abort and RTMP_Close, which end
 * that call, and the RTMP_Get... functions; for other sessions it may call all functions. Other calls about r fail.
 */
typedef int(RTMP_EventCallback)(RTMP *r, const struct RTMPEvent *event, void *arg);

/**
 * Sends size bytes, at least one, of the session r; arg is the argument of RTMP_SetSendCallback.
 *
 * Returns the number of bytes that it has sent, from the start; it is called again for the rest. A result of 0 or less ends the
 * connection, with the reason in errno.
 *
 * It may wait, and may send to RTMP_Socket(r). The bytes belong to the library and are valid only during the call. The rules of
 * RTMP_EventCallback apply.
 */
typedef int(RTMP_SendCallback)(RTMP *r, const char *bytes, int size, void *arg);

/**
 * Receives a log line of a call about r, with its level; arg is the argument of RTMP_SetSessionLog.
 *
 * The line is NUL-terminated, has no newline, and is valid only during the call. The rules of RTMP_EventCallback apply.
 */
typedef void(RTMP_SessionLogCallback)(RTMP *r, int level, const char *line, void *arg);

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
