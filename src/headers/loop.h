/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: numbers, events and hooks of sessions, for programs that adapt to the network or have an event loop of their own.
 *
 * librtmp 2.4 has none of this. RTMP and everything that is done with it is in rtmp.h.
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
 * Sessions that never wait.
 *
 * RTMP_SetNonBlocking makes a session one. The program's own loop then waits for what RTMP_GetPollFds and
 * RTMP_GetPollTimeout name, with poll, select, epoll, kqueue, GLib, libuv or anything else, and calls RTMP_Step:
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
 * One thread can serve thousands of sessions. All protocols, proxies and name look-ups are covered. The time that Link.timeout
 * gives to one wait of a blocking call is the time that the server has here: a phase of connecting that takes longer fails,
 * a call that reads reports the timeout as it does in blocking mode, and so does a peer that takes no bytes.
 */

/* What RTMP_Step returns: what holds after the step. */
#define RTMP_STEP_CONNECTED 0x01 /**< RTMP_Connect, RTMP_Connect1, RTMP_TLS_Accept or RTMP_Serve would return TRUE */
#define RTMP_STEP_STREAMING 0x02 /**< the stream plays or can be published: RTMP_ConnectStream would return TRUE */
#define RTMP_STEP_READABLE 0x04 /**< bytes, the end of the stream or a timeout wait for RTMP_Read or RTMP_ReadPacket */
#define RTMP_STEP_WRITABLE 0x08 /**< RTMP_Write and RTMP_SendPacket would take a message, or tell that the peer is gone */
#define RTMP_STEP_FLUSHED 0x10 /**< nothing that was sent waits in the library */
#define RTMP_STEP_FAILED 0x20 /**< the connection was lost or could not be made; RTMP_GetLastError returns why */
#define RTMP_STEP_CLOSED 0x40 /**< there is no connection, and closing is complete: RTMP_Free interrupts nothing */

/* Types of events, see RTMPEvent. A program ignores those that it does not know. */
#define RTMP_EVENT_SOCKET 1 /**< a socket was made and is not connected yet: setsockopt, bind */
#define RTMP_EVENT_STATUS 2 /**< the peer has sent a status, or a result with an information object */
#define RTMP_EVENT_RECONNECT 3 /**< the server wants its client to connect again, see the option reconnect */
#define RTMP_EVENT_DATA 4 /**< the peer has sent data other than metadata: cue points, captions, time codes */
#define RTMP_EVENT_COMMAND 5 /**< the peer has sent a command that the library does not know */
#define RTMP_EVENT_STALL 6 /**< a send has waited for a second, or for another one, in which the peer took nothing */

/** What has happened to a session, for `RTMP_EventCallback`. */
struct RTMPEvent;

/**
 * Takes an event of the session r; arg is what RTMP_SetEventCallback was given. Returns TRUE to go on. FALSE is the same as a
 * call of RTMP_Abort: the call in progress, and all that follow until RTMP_Close, fail with RTMP_ERR_ABORTED.
 *
 * It is called in the thread that is in a call about r, and that call waits for it. It may call RTMP_Abort and every
 * RTMP_Get... function about r, and everything about other sessions. Other calls about r fail.
 */
typedef int(RTMP_EventCallback)(RTMP *r, const struct RTMPEvent *event, void *arg);

/**
 * Sends size bytes, at least one, of the session r; arg is what RTMP_SetSendCallback was given. Returns how many bytes at the
 * front it has taken, and is called again for the rest; 0 or less, with the reason in errno, ends the connection.
 *
 * It may wait, and may send to RTMP_Socket(r). The bytes are the library's and valid during the call only. The rules of
 * RTMP_EventCallback hold.
 */
typedef int(RTMP_SendCallback)(RTMP *r, const char *bytes, int size, void *arg);

/**
 * Takes one line that a call about r logs, with its level; arg is what RTMP_SetSessionLog was given. The line is NUL-terminated,
 * has no newline, and is valid during the call only. The rules of RTMP_EventCallback hold.
 */
typedef void(RTMP_SessionLogCallback)(RTMP *r, int level, const char *line, void *arg);

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
