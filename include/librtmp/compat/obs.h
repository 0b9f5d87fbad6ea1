/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: for programs written for the fork of librtmp in OBS Studio, and for those derived from it.
 *
 * Include it in place of <librtmp/rtmp.h> and link with this library. RTMP is then a larger struct with the fields that the
 * fork adds, and functions have the fork's arguments. A session publishes up to eight streams. RTMP_AddStream returns the index
 * of a stream, which RTMP_Write, RTMP_ReconnectStream and RTMP_DeleteStream take.
 *
 * The field m_sb.sb_addr does not exist. getpeername(RTMP_Socket(r), ...) returns the address of the peer.
 */
#ifndef LIBRTMP_COMPAT_OBS_H
#define LIBRTMP_COMPAT_OBS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../loop.h"
#include "fields.h"

#ifndef SOCKET
typedef int SOCKET;
#endif

/** The number of streams of a session. */
#define LIBRTMP_OBS_STREAMS 8

/**
 * The local address of the connection. With family 0, only addrLen counts: the length of an IPv4 or IPv6 address selects that
 * family.
 */
typedef struct RTMP_BINDINFO {
    struct sockaddr_storage addr;
    int addrLen;
} RTMP_BINDINFO;

/** A stream that RTMP_AddStream has added. Private. */
typedef struct librtmp_obs_stream {
    char *name; /**< owned by the session; NULL if the index is free */
    int id;     /**< message stream of an open stream, or 0; the first stream is m_stream_id */
} librtmp_obs_stream;

typedef struct librtmp_obs_link {
    LIBRTMP_COMPAT_LINK_FIELDS
    int receiveTimeout; /**< seconds; the timeout of each wait, also of waits to send */
    int sendTimeout;    /**< ignored: receiveTimeout is the only timeout */
    /** Never called. The option conn adds values to the connect command. */
    int (*customConnectEncode)(char **at, char *end);
} librtmp_obs_link;

typedef struct librtmp_obs_rtmp {
    LIBRTMP_COMPAT_RTMP_FIELDS
    librtmp_obs_link Link;
    uint8_t m_bSendChunkSizeInfo; /**< if not 0, m_outChunkSize is announced before the connect command */
    uint8_t m_bUseNagle;          /**< if not 0, TCP_NODELAY stays off */
    uint8_t m_bCustomSend;        /**< if not 0, m_customSendFunc is called instead of send, except with TLS */
    RTMP_BINDINFO m_bindIP;
    int (*m_customSendFunc)(RTMPSockBuf *sb, const char *bytes, int size, void *param);
    void *m_customSendParam;
    int last_error_code;          /**< the operating system's error of the last failure, or 0 */
    int connect_time_ms;          /**< milliseconds until the TCP connection */
    librtmp_obs_stream librtmp_streams[LIBRTMP_OBS_STREAMS];
} librtmp_obs_rtmp;

LIBRTMP_COMPAT_CHECK(obs, librtmp_obs_rtmp, librtmp_obs_link);

static inline RTMP *librtmp_obs_base(librtmp_obs_rtmp *r)
{
    return (RTMP *)(void *)r;
}

/** Stores the reason for a failure in last_error_code. Returns result. */
static inline int librtmp_obs_result(librtmp_obs_rtmp *r, int result, int succeeded)
{
    if (r && !succeeded)
        r->last_error_code = RTMP_GetLastSystemError(librtmp_obs_base(r));
    return result;
}

static inline librtmp_obs_rtmp *librtmp_obs_Alloc(void)
{
    return (librtmp_obs_rtmp *)calloc(1, sizeof(librtmp_obs_rtmp));
}

static inline void librtmp_obs_Init(librtmp_obs_rtmp *r)
{
    memset(r, 0, sizeof *r);
    RTMP_Init(librtmp_obs_base(r));
    r->m_outChunkSize = 4096;
    r->m_bSendChunkSizeInfo = 1;
    r->Link.receiveTimeout = 30;
    r->Link.sendTimeout = 15;
}

static inline void librtmp_obs_Free(librtmp_obs_rtmp *r)
{
    free(r);
}

static inline void librtmp_obs_Close(librtmp_obs_rtmp *r)
{
    int i;
    RTMP_Close(librtmp_obs_base(r));
    for (i = 0; i < LIBRTMP_OBS_STREAMS; i++) {
        free(r->librtmp_streams[i].name);
        r->librtmp_streams[i].name = NULL;
        r->librtmp_streams[i].id = 0;
    }
    r->Link.playpath.av_val = NULL;
    r->Link.playpath.av_len = 0;
}

static inline void librtmp_obs_Reset(librtmp_obs_rtmp *r)
{
    librtmp_obs_Close(r);
}

/** Uses the whole path of the URL as the application. RTMP_AddStream sets the name of the stream. */
static inline int librtmp_obs_SetupURL(librtmp_obs_rtmp *r, char *url)
{
    if (!RTMP_SetupURL(librtmp_obs_base(r), url))
        return FALSE;
    char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    if (!path)
        return TRUE;
    size_t length = strcspn(path + 1, " ");
    while (length > 0 && path[length] == '/')
        length--;
    if (r->Link.lFlags & RTMP_LF_FTCU)
        free(r->Link.tcUrl.av_val);
    if (r->Link.lFlags & RTMP_LF_FAPU)
        free(r->Link.app.av_val);
    r->Link.lFlags &= ~(RTMP_LF_FTCU | RTMP_LF_FAPU);
    r->Link.app.av_val = path + 1;
    r->Link.app.av_len = (int)length;
    r->Link.tcUrl.av_val = url;
    r->Link.tcUrl.av_len = (int)(path + 1 + length - url);
    return TRUE;
}

/** Opens the stream with this index, other than the first one, on a connection that publishes. */
static inline int librtmp_obs_open(librtmp_obs_rtmp *r, int index)
{
    librtmp_obs_stream *stream = &r->librtmp_streams[index];
    AVal name = { stream->name, (int)strlen(stream->name) };
    stream->id = RTMP_OpenStream(librtmp_obs_base(r), &name);
    return librtmp_obs_result(r, stream->id != 0, stream->id != 0);
}

/**
 * Adds a stream. RTMP_ConnectStream opens it, or this call if the first stream is already open.
 *
 * Returns its index, or -1 if there are eight streams, the server refuses it, or memory is short.
 */
static inline int librtmp_obs_AddStream(librtmp_obs_rtmp *r, const char *playpath)
{
    int index = 0;
    librtmp_obs_stream *stream;
    while (index < LIBRTMP_OBS_STREAMS && r->librtmp_streams[index].name)
        index++;
    if (index == LIBRTMP_OBS_STREAMS || !playpath)
        return -1;
    stream = &r->librtmp_streams[index];
    stream->name = (char *)malloc(strlen(playpath) + 1);
    if (!stream->name)
        return -1;
    strcpy(stream->name, playpath);
    stream->id = 0;
    if (index == 0) {
        r->Link.playpath.av_val = stream->name;
        r->Link.playpath.av_len = (int)strlen(playpath);
    } else if (r->m_stream_id > 0 && !librtmp_obs_open(r, index)) {
        free(stream->name);
        stream->name = NULL;
        return -1;
    }
    return index;
}

static inline int librtmp_obs_ParseURL(const char *url, int *protocol, AVal *host, unsigned int *port, AVal *app)
{
    AVal playpath = { NULL, 0 };
    int parsed = RTMP_ParseURL(url, protocol, host, port, &playpath, app);
    free(playpath.av_val);
    return parsed;
}

static inline void librtmp_obs_bind(librtmp_obs_rtmp *r)
{
    static const AVal bind = AVC("bind"), ipv = AVC("ipv");
    char text[INET6_ADDRSTRLEN];
    AVal value = { text, 0 };
    int family = r->m_bindIP.addr.ss_family;
    if (r->m_bindIP.addrLen <= 0)
        return;
    if (family == 0) {
        value.av_len = snprintf(text, sizeof text, "%d", r->m_bindIP.addrLen == (int)sizeof(struct sockaddr_in) ? 4 : 6);
        RTMP_SetOpt(librtmp_obs_base(r), &ipv, &value);
    } else if (inet_ntop(family, family == AF_INET ? (void *)&((struct sockaddr_in *)&r->m_bindIP.addr)->sin_addr
                                                   : (void *)&((struct sockaddr_in6 *)&r->m_bindIP.addr)->sin6_addr,
                         text, sizeof text)) {
        value.av_len = (int)strlen(text);
        RTMP_SetOpt(librtmp_obs_base(r), &bind, &value);
    }
}

static inline void librtmp_obs_option(librtmp_obs_rtmp *r, const char *name, const char *value)
{
    AVal option = { (char *)name, (int)strlen(name) }, text = { (char *)value, (int)strlen(value) };
    RTMP_SetOpt(librtmp_obs_base(r), &option, &text);
}

/** Sends through the program's function. */
static inline int librtmp_obs_send(RTMP *base, const char *bytes, int size, void *session)
{
    librtmp_obs_rtmp *r = (librtmp_obs_rtmp *)session;
    (void)base;
    return r->m_customSendFunc(&r->m_sb, bytes, size, r->m_customSendParam);
}

static inline int librtmp_obs_Connect(librtmp_obs_rtmp *r, RTMPPacket *cp)
{
    r->last_error_code = 0;
    if (!r->m_bSendChunkSizeInfo)
        r->m_outChunkSize = RTMP_DEFAULT_CHUNKSIZE;
    if (r->Link.receiveTimeout > 0)
        r->Link.timeout = r->Link.receiveTimeout;
    librtmp_obs_bind(r);
    librtmp_obs_option(r, "closeReset", "1");
    if (r->m_bUseNagle)
        librtmp_obs_option(r, "nodelay", "0");
    if (r->m_bCustomSend && r->m_customSendFunc)
        RTMP_SetSendCallback(librtmp_obs_base(r), librtmp_obs_send, r);
    int connected = RTMP_Connect(librtmp_obs_base(r), cp);
    RTMPStats stats;
    memset(&stats, 0, sizeof stats);
    stats.s_size = sizeof stats;
    if (RTMP_GetStats(librtmp_obs_base(r), &stats))
        r->connect_time_ms = (int)(stats.s_lookup + stats.s_tcp);
    return librtmp_obs_result(r, connected, connected);
}

/** Takes a connected socket. */
static inline int librtmp_obs_Connect0(librtmp_obs_rtmp *r, SOCKET socket)
{
    r->m_sb.sb_socket = socket;
    return socket >= 0;
}

static inline int librtmp_obs_Connect1(librtmp_obs_rtmp *r, RTMPPacket *cp)
{
    int done = RTMP_Connect1(librtmp_obs_base(r), cp);
    return librtmp_obs_result(r, done, done);
}

/** Opens all streams. Returns FALSE if one of them cannot be opened. */
static inline int librtmp_obs_ConnectStream(librtmp_obs_rtmp *r, int seekTime)
{
    int index, done = RTMP_ConnectStream(librtmp_obs_base(r), seekTime);
    librtmp_obs_result(r, done, done);
    for (index = 1; done && index < LIBRTMP_OBS_STREAMS; index++)
        if (r->librtmp_streams[index].name && !r->librtmp_streams[index].id)
            done = librtmp_obs_open(r, index);
    return done;
}

static inline int librtmp_obs_ReconnectStream(librtmp_obs_rtmp *r, int seekTime, int streamIdx)
{
    int done;
    if (streamIdx == 0) {
        done = RTMP_ReconnectStream(librtmp_obs_base(r), seekTime);
        return librtmp_obs_result(r, done, done);
    }
    if (streamIdx < 0 || streamIdx >= LIBRTMP_OBS_STREAMS || !r->librtmp_streams[streamIdx].name)
        return FALSE;
    if (r->librtmp_streams[streamIdx].id)
        RTMP_CloseStream(librtmp_obs_base(r), r->librtmp_streams[streamIdx].id);
    return librtmp_obs_open(r, streamIdx);
}

/** Ends a stream. RTMP_ReconnectStream opens it again. */
static inline void librtmp_obs_DeleteStream(librtmp_obs_rtmp *r, int streamIdx)
{
    if (streamIdx == 0) {
        RTMP_DeleteStream(librtmp_obs_base(r));
    } else if (streamIdx > 0 && streamIdx < LIBRTMP_OBS_STREAMS && r->librtmp_streams[streamIdx].id) {
        RTMP_CloseStream(librtmp_obs_base(r), r->librtmp_streams[streamIdx].id);
        r->librtmp_streams[streamIdx].id = 0;
    }
}

/** Sends FLV bytes on a stream. Returns -1 if the stream is not open. */
static inline int librtmp_obs_Write(librtmp_obs_rtmp *r, const char *bytes, int size, int streamIdx)
{
    int count;
    if (streamIdx < 0 || streamIdx >= LIBRTMP_OBS_STREAMS)
        return -1;
    if (streamIdx == 0)
        count = RTMP_Write(librtmp_obs_base(r), bytes, size);
    else
        count = RTMP_WriteStream(librtmp_obs_base(r), r->librtmp_streams[streamIdx].id, bytes, size);
    return librtmp_obs_result(r, count, count >= 0);
}

static inline int librtmp_obs_Read(librtmp_obs_rtmp *r, char *bytes, int size)
{
    return RTMP_Read(librtmp_obs_base(r), bytes, size);
}

static inline int librtmp_obs_ReadPacket(librtmp_obs_rtmp *r, RTMPPacket *packet)
{
    int done = RTMP_ReadPacket(librtmp_obs_base(r), packet);
    return librtmp_obs_result(r, done, done);
}

static inline int librtmp_obs_SendPacket(librtmp_obs_rtmp *r, RTMPPacket *packet, int queue)
{
    int done = RTMP_SendPacket(librtmp_obs_base(r), packet, queue);
    return librtmp_obs_result(r, done, done);
}

static inline int librtmp_obs_ClientPacket(librtmp_obs_rtmp *r, RTMPPacket *packet)
{
    return RTMP_ClientPacket(librtmp_obs_base(r), packet);
}

static inline void librtmp_obs_EnableWrite(librtmp_obs_rtmp *r)
{
    RTMP_EnableWrite(librtmp_obs_base(r));
}

static inline int librtmp_obs_IsConnected(librtmp_obs_rtmp *r)
{
    return RTMP_IsConnected(librtmp_obs_base(r));
}

static inline int librtmp_obs_IsTimedout(librtmp_obs_rtmp *r)
{
    return RTMP_IsTimedout(librtmp_obs_base(r));
}

static inline int librtmp_obs_Socket(librtmp_obs_rtmp *r)
{
    return RTMP_Socket(librtmp_obs_base(r));
}

static inline void librtmp_obs_SetBufferMS(librtmp_obs_rtmp *r, int size)
{
    RTMP_SetBufferMS(librtmp_obs_base(r), size);
}

static inline const char *librtmp_obs_GetErrorString(librtmp_obs_rtmp *r)
{
    return RTMP_GetErrorString(librtmp_obs_base(r));
}

/** Does nothing: TLS needs no preparation. r may point to zeroed memory. */
static inline void librtmp_obs_TLS_Init(librtmp_obs_rtmp *r)
{
    (void)r;
}

/** Does nothing: RTMP_Close frees everything. */
static inline void librtmp_obs_TLS_Free(librtmp_obs_rtmp *r)
{
    (void)r;
}

#define RTMP librtmp_obs_rtmp
#define RTMP_Alloc librtmp_obs_Alloc
#define RTMP_Init librtmp_obs_Init
#define RTMP_Free librtmp_obs_Free
#define RTMP_Close librtmp_obs_Close
#define RTMP_Reset librtmp_obs_Reset
#define RTMP_SetupURL librtmp_obs_SetupURL
#define RTMP_AddStream librtmp_obs_AddStream
#define RTMP_ParseURL librtmp_obs_ParseURL
#define RTMP_Connect librtmp_obs_Connect
#define RTMP_Connect0 librtmp_obs_Connect0
#define RTMP_Connect1 librtmp_obs_Connect1
#define RTMP_ConnectStream librtmp_obs_ConnectStream
#define RTMP_ReconnectStream librtmp_obs_ReconnectStream
#define RTMP_DeleteStream librtmp_obs_DeleteStream
#define RTMP_Write librtmp_obs_Write
#define RTMP_Read librtmp_obs_Read
#define RTMP_ReadPacket librtmp_obs_ReadPacket
#define RTMP_SendPacket librtmp_obs_SendPacket
#define RTMP_ClientPacket librtmp_obs_ClientPacket
#define RTMP_EnableWrite librtmp_obs_EnableWrite
#define RTMP_IsConnected librtmp_obs_IsConnected
#define RTMP_IsTimedout librtmp_obs_IsTimedout
#define RTMP_Socket librtmp_obs_Socket
#define RTMP_SetBufferMS librtmp_obs_SetBufferMS
#define RTMP_GetErrorString librtmp_obs_GetErrorString
#define RTMP_TLS_Init librtmp_obs_TLS_Init
#define RTMP_TLS_Free librtmp_obs_TLS_Free

#define LIBRTMP_COMPAT_BASE(r) librtmp_obs_base(r)
#include "calls.h"

#endif
