/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: for programs written for the fork of librtmp in Ant Media's Android binding.
 *
 * Include it in place of <librtmp/rtmp.h> and link with this library. Calls that connect and send return 0 for success and a
 * negative number for a failure: minus what RTMP_GetLastError returns. RTMP_Read returns -1 at the end of the stream, and
 * another negative number for a failure. Timeouts are in milliseconds.
 */
#ifndef LIBRTMP_COMPAT_ANTMEDIA_H
#define LIBRTMP_COMPAT_ANTMEDIA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

typedef struct librtmp_ant_link {
    LIBRTMP_COMPAT_LINK_FIELDS
    int receiveTimeoutInMs; /**< used as the timeout */
    int sendTimeoutInMs;    /**< used as the timeout if it is longer */
} librtmp_ant_link;

typedef struct librtmp_ant_rtmp {
    LIBRTMP_COMPAT_RTMP_FIELDS
    librtmp_ant_link Link;
} librtmp_ant_rtmp;

LIBRTMP_COMPAT_CHECK(ant, librtmp_ant_rtmp, librtmp_ant_link);

static inline RTMP *librtmp_ant_base(librtmp_ant_rtmp *r)
{
    return (RTMP *)(void *)r;
}

/** 0 for success, else minus the reason; never 0 for a failure. */
static inline int librtmp_ant_result(librtmp_ant_rtmp *r, int succeeded)
{
    int reason = succeeded ? 0 : RTMP_GetLastError(librtmp_ant_base(r));
    return succeeded ? 0 : reason > 0 ? -reason : -RTMP_ERR_INTERNAL;
}

static inline librtmp_ant_rtmp *librtmp_ant_Alloc(void)
{
    return (librtmp_ant_rtmp *)calloc(1, sizeof(librtmp_ant_rtmp));
}

static inline void librtmp_ant_Free(librtmp_ant_rtmp *r)
{
    free(r);
}

static inline void librtmp_ant_Init(librtmp_ant_rtmp *r)
{
    memset(r, 0, sizeof *r);
    RTMP_Init(librtmp_ant_base(r));
    r->Link.receiveTimeoutInMs = r->Link.sendTimeoutInMs = r->Link.timeout * 1000;
}

static inline void librtmp_ant_timeout(librtmp_ant_rtmp *r)
{
    int longest = r->Link.sendTimeoutInMs > r->Link.receiveTimeoutInMs ? r->Link.sendTimeoutInMs : r->Link.receiveTimeoutInMs;
    static const AVal option = AVC("timeoutMs");
    char text[16];
    AVal value = { text, snprintf(text, sizeof text, "%d", longest) };
    if (longest > 0)
        RTMP_SetOpt(librtmp_ant_base(r), &option, &value);
}

static inline void librtmp_ant_Close(librtmp_ant_rtmp *r)
{
    RTMP_Close(librtmp_ant_base(r));
}

static inline void librtmp_ant_EnableWrite(librtmp_ant_rtmp *r)
{
    RTMP_EnableWrite(librtmp_ant_base(r));
}

static inline int librtmp_ant_SetupURL(librtmp_ant_rtmp *r, char *url)
{
    return librtmp_ant_result(r, RTMP_SetupURL(librtmp_ant_base(r), url));
}

static inline int librtmp_ant_Connect(librtmp_ant_rtmp *r, RTMPPacket *cp)
{
    librtmp_ant_timeout(r);
    return librtmp_ant_result(r, RTMP_Connect(librtmp_ant_base(r), cp));
}

static inline int librtmp_ant_Connect0(librtmp_ant_rtmp *r, struct sockaddr *address)
{
    librtmp_ant_timeout(r);
    return librtmp_ant_result(r, RTMP_Connect0(librtmp_ant_base(r), address));
}

static inline int librtmp_ant_Connect1(librtmp_ant_rtmp *r, RTMPPacket *cp)
{
    return librtmp_ant_result(r, RTMP_Connect1(librtmp_ant_base(r), cp));
}

static inline int librtmp_ant_ConnectStream(librtmp_ant_rtmp *r, int seekTime)
{
    return librtmp_ant_result(r, RTMP_ConnectStream(librtmp_ant_base(r), seekTime));
}

static inline int librtmp_ant_SendPacket(librtmp_ant_rtmp *r, RTMPPacket *packet, int queue)
{
    return librtmp_ant_result(r, RTMP_SendPacket(librtmp_ant_base(r), packet, queue));
}

static inline int librtmp_ant_SendCtrl(librtmp_ant_rtmp *r, short type, unsigned int object, unsigned int time)
{
    return librtmp_ant_result(r, RTMP_SendCtrl(librtmp_ant_base(r), type, object, time));
}

static inline int librtmp_ant_SendPause(librtmp_ant_rtmp *r, int pause, int time)
{
    return librtmp_ant_result(r, RTMP_SendPause(librtmp_ant_base(r), pause, time));
}

static inline int librtmp_ant_SendSeek(librtmp_ant_rtmp *r, int time)
{
    return librtmp_ant_result(r, RTMP_SendSeek(librtmp_ant_base(r), time));
}

static inline int librtmp_ant_SendCreateStream(librtmp_ant_rtmp *r)
{
    return librtmp_ant_result(r, RTMP_SendCreateStream(librtmp_ant_base(r)));
}

static inline int librtmp_ant_SendServerBW(librtmp_ant_rtmp *r)
{
    return librtmp_ant_result(r, RTMP_SendServerBW(librtmp_ant_base(r)));
}

static inline int librtmp_ant_SendClientBW(librtmp_ant_rtmp *r)
{
    return librtmp_ant_result(r, RTMP_SendClientBW(librtmp_ant_base(r)));
}

static inline int librtmp_ant_Pause(librtmp_ant_rtmp *r, int pause)
{
    return librtmp_ant_result(r, RTMP_Pause(librtmp_ant_base(r), pause));
}

static inline int librtmp_ant_Read(librtmp_ant_rtmp *r, char *bytes, int size)
{
    int count = RTMP_Read(librtmp_ant_base(r), bytes, size);
    return count > 0 ? count : librtmp_ant_result(r, FALSE);
}

static inline int librtmp_ant_Write(librtmp_ant_rtmp *r, const char *bytes, int size)
{
    int count = RTMP_Write(librtmp_ant_base(r), bytes, size);
    return count >= 0 ? count : librtmp_ant_result(r, FALSE);
}

static inline int librtmp_ant_ReadPacket(librtmp_ant_rtmp *r, RTMPPacket *packet)
{
    return RTMP_ReadPacket(librtmp_ant_base(r), packet);
}

static inline int librtmp_ant_ClientPacket(librtmp_ant_rtmp *r, RTMPPacket *packet)
{
    return RTMP_ClientPacket(librtmp_ant_base(r), packet);
}

static inline int librtmp_ant_IsConnected(librtmp_ant_rtmp *r)
{
    return RTMP_IsConnected(librtmp_ant_base(r));
}

static inline int librtmp_ant_Socket(librtmp_ant_rtmp *r)
{
    return RTMP_Socket(librtmp_ant_base(r));
}

static inline void librtmp_ant_SetBufferMS(librtmp_ant_rtmp *r, int size)
{
    RTMP_SetBufferMS(librtmp_ant_base(r), size);
}

static inline const char *librtmp_ant_GetErrorString(librtmp_ant_rtmp *r)
{
    return RTMP_GetErrorString(librtmp_ant_base(r));
}

#define RTMP librtmp_ant_rtmp
#define RTMP_Alloc librtmp_ant_Alloc
#define RTMP_Free librtmp_ant_Free
#define RTMP_Init librtmp_ant_Init
#define RTMP_Close librtmp_ant_Close
#define RTMP_EnableWrite librtmp_ant_EnableWrite
#define RTMP_SetupURL librtmp_ant_SetupURL
#define RTMP_Connect librtmp_ant_Connect
#define RTMP_Connect0 librtmp_ant_Connect0
#define RTMP_Connect1 librtmp_ant_Connect1
#define RTMP_ConnectStream librtmp_ant_ConnectStream
#define RTMP_SendPacket librtmp_ant_SendPacket
#define RTMP_SendCtrl librtmp_ant_SendCtrl
#define RTMP_SendPause librtmp_ant_SendPause
#define RTMP_SendSeek librtmp_ant_SendSeek
#define RTMP_SendCreateStream librtmp_ant_SendCreateStream
#define RTMP_SendServerBW librtmp_ant_SendServerBW
#define RTMP_SendClientBW librtmp_ant_SendClientBW
#define RTMP_Pause librtmp_ant_Pause
#define RTMP_Read librtmp_ant_Read
#define RTMP_Write librtmp_ant_Write
#define RTMP_ReadPacket librtmp_ant_ReadPacket
#define RTMP_ClientPacket librtmp_ant_ClientPacket
#define RTMP_IsConnected librtmp_ant_IsConnected
#define RTMP_Socket librtmp_ant_Socket
#define RTMP_SetBufferMS librtmp_ant_SetBufferMS
#define RTMP_GetErrorString librtmp_ant_GetErrorString

#define LIBRTMP_COMPAT_BASE(r) librtmp_ant_base(r)
#include "calls.h"

#endif
