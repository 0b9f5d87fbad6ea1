/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: for programs written for pili-librtmp, the fork of librtmp in iOS libraries such as LFLiveKit.
 *
 * Include it in place of <pili-librtmp/rtmp.h> and link with this library. If the program also needs librtmp under its own
 * names, build this library with PREFIX_SYMBOLS; then the functions here call the prefixed ones.
 *
 * Error codes are -1000 minus what RTMP_GetLastError returns, and the messages are those of RTMP_GetErrorString. The text of
 * PILI_RTMP_SetupURL is copied.
 */
#ifndef LIBRTMP_COMPAT_PILI_H
#define LIBRTMP_COMPAT_PILI_H

#include <stdlib.h>
#include <string.h>

#include "../loop.h"
#include "fields.h"

/** The reason for a failure. The message is allocated; PILI_RTMPError_Free frees it. */
typedef struct RTMPError {
    int code;
    char *message;
} RTMPError;

/** Milliseconds until the TCP connection exists, and milliseconds of the RTMP handshake. */
typedef struct PILI_CONNECTION_TIME {
    uint32_t connect_time;
    uint32_t handshake_time;
} PILI_CONNECTION_TIME;

typedef void (*PILI_RTMPErrorCallback)(RTMPError *error, void *userData);
typedef void (*PILI_RTMPConnectionTimeCallback)(PILI_CONNECTION_TIME *time, void *userData);

typedef AVal PILI_AVal;
typedef AMFObject PILI_AMFObject;
typedef AMFObjectProperty PILI_AMFObjectProperty;
typedef RTMPPacket PILI_RTMPPacket;
typedef RTMPChunk PILI_RTMPChunk;
typedef RTMPSockBuf PILI_RTMPSockBuf;

typedef struct PILI_RTMP_LNK {
    LIBRTMP_COMPAT_LINK_FIELDS
    int send_timeout;  /**< seconds; used as the timeout */
    PILI_AVal domain;  /**< not used by the library */
} PILI_RTMP_LNK;

typedef struct PILI_RTMP {
    LIBRTMP_COMPAT_RTMP_FIELDS
    PILI_RTMP_LNK Link;
    PILI_RTMPErrorCallback m_errorCallback;
    PILI_RTMPConnectionTimeCallback m_connCallback;
    RTMPError *m_error;
    void *m_userData;
    int m_is_closing;
    int m_tcp_nodelay;  /**< always on */
    uint32_t ip;        /**< not used by the library */
    char *librtmp_url;  /**< private: the copy of the URL */
} PILI_RTMP;

LIBRTMP_COMPAT_CHECK(pili, PILI_RTMP, PILI_RTMP_LNK);

static inline RTMP *librtmp_pili_base(PILI_RTMP *r)
{
    return (RTMP *)(void *)r;
}

static inline void PILI_RTMPError_Alloc(RTMPError *error, size_t size)
{
    error->message = (char *)calloc(size ? size : 1, 1);
}

static inline void PILI_RTMPError_Free(RTMPError *error)
{
    if (error) {
        free(error->message);
        error->message = NULL;
        error->code = 0;
    }
}

static inline void PILI_RTMPError_Message(RTMPError *error, int code, const char *message)
{
    PILI_RTMPError_Free(error);
    PILI_RTMPError_Alloc(error, strlen(message) + 1);
    error->code = code;
    if (error->message)
        strcpy(error->message, message);
}

/** Reports a failure to error and to the callback. Returns result. */
static inline int librtmp_pili_result(PILI_RTMP *r, RTMPError *error, int result, int succeeded)
{
    RTMPError own = { 0, NULL };
    RTMPError *to = error ? error : &own;
    if (succeeded)
        return result;
    PILI_RTMPError_Message(to, -1000 - RTMP_GetLastError(librtmp_pili_base(r)), RTMP_GetErrorString(librtmp_pili_base(r)));
    if (r->m_errorCallback && !r->m_is_closing)
        r->m_errorCallback(to, r->m_userData);
    PILI_RTMPError_Free(&own);
    return result;
}

static inline PILI_RTMP *PILI_RTMP_Alloc(void)
{
    return (PILI_RTMP *)calloc(1, sizeof(PILI_RTMP));
}

static inline void PILI_RTMP_Init(PILI_RTMP *r)
{
    memset(r, 0, sizeof *r);
    RTMP_Init(librtmp_pili_base(r));
    r->Link.send_timeout = 10;
    r->m_tcp_nodelay = 1;
}

static inline void PILI_RTMP_Free(PILI_RTMP *r)
{
    free(r);
}

static inline void PILI_RTMP_EnableWrite(PILI_RTMP *r)
{
    RTMP_EnableWrite(librtmp_pili_base(r));
}

static inline int PILI_RTMP_IsConnected(PILI_RTMP *r)
{
    return RTMP_IsConnected(librtmp_pili_base(r));
}

static inline int PILI_RTMP_IsTimedout(PILI_RTMP *r)
{
    return RTMP_IsTimedout(librtmp_pili_base(r));
}

static inline int PILI_RTMP_Socket(PILI_RTMP *r)
{
    return RTMP_Socket(librtmp_pili_base(r));
}

static inline void PILI_RTMP_SetBufferMS(PILI_RTMP *r, int size)
{
    RTMP_SetBufferMS(librtmp_pili_base(r), size);
}

static inline uint32_t PILI_RTMP_GetTime(void)
{
    return RTMP_GetTime();
}

static inline int PILI_RTMP_ParseURL2(const char *url, int *protocol, AVal *host, unsigned int *port, AVal *playpath,
                                      AVal *app, AVal *domain)
{
    int parsed = RTMP_ParseURL(url, protocol, host, port, playpath, app);
    if (parsed)
        *domain = *host;
    return parsed;
}

static inline int PILI_RTMPPacket_Alloc(PILI_RTMPPacket *packet, int size)
{
    return RTMPPacket_Alloc(packet, (uint32_t)size);
}

static inline void PILI_RTMPPacket_Free(PILI_RTMPPacket *packet)
{
    RTMPPacket_Free(packet);
}

static inline void PILI_RTMPPacket_Reset(PILI_RTMPPacket *packet)
{
    RTMPPacket_Reset(packet);
}

#define PILI_RTMPPacket_IsReady(a) RTMPPacket_IsReady(a)

/* Functions and variables that the fork has only renamed. */
#define PILI_AMF3CD_AddProp AMF3CD_AddProp
#define PILI_AMF3CD_GetProp AMF3CD_GetProp
#define PILI_AMF3Prop_Decode AMF3Prop_Decode
#define PILI_AMF3ReadInteger AMF3ReadInteger
#define PILI_AMF3ReadString AMF3ReadString
#define PILI_AMF3_Decode AMF3_Decode
#define PILI_AMFProp_Decode AMFProp_Decode
#define PILI_AMFProp_Dump AMFProp_Dump
#define PILI_AMFProp_Encode AMFProp_Encode
#define PILI_AMFProp_GetBoolean AMFProp_GetBoolean
#define PILI_AMFProp_GetName AMFProp_GetName
#define PILI_AMFProp_GetNumber AMFProp_GetNumber
#define PILI_AMFProp_GetObject AMFProp_GetObject
#define PILI_AMFProp_GetString AMFProp_GetString
#define PILI_AMFProp_GetType AMFProp_GetType
#define PILI_AMFProp_IsValid AMFProp_IsValid
#define PILI_AMFProp_Reset AMFProp_Reset
#define PILI_AMFProp_SetName AMFProp_SetName
#define PILI_AMF_AddProp AMF_AddProp
#define PILI_AMF_CountProp AMF_CountProp
#define PILI_AMF_Decode AMF_Decode
#define PILI_AMF_DecodeArray AMF_DecodeArray
#define PILI_AMF_DecodeBoolean AMF_DecodeBoolean
#define PILI_AMF_DecodeInt16 AMF_DecodeInt16
#define PILI_AMF_DecodeInt24 AMF_DecodeInt24
#define PILI_AMF_DecodeInt32 AMF_DecodeInt32
#define PILI_AMF_DecodeLongString AMF_DecodeLongString
#define PILI_AMF_DecodeNumber AMF_DecodeNumber
#define PILI_AMF_DecodeString AMF_DecodeString
#define PILI_AMF_Dump AMF_Dump
#define PILI_AMF_Encode AMF_Encode
#define PILI_AMF_EncodeArray AMF_EncodeArray
#define PILI_AMF_EncodeBoolean AMF_EncodeBoolean
#define PILI_AMF_EncodeEcmaArray AMF_EncodeEcmaArray
#define PILI_AMF_EncodeInt16 AMF_EncodeInt16
#define PILI_AMF_EncodeInt24 AMF_EncodeInt24
#define PILI_AMF_EncodeInt32 AMF_EncodeInt32
#define PILI_AMF_EncodeNamedBoolean AMF_EncodeNamedBoolean
#define PILI_AMF_EncodeNamedNumber AMF_EncodeNamedNumber
#define PILI_AMF_EncodeNamedString AMF_EncodeNamedString
#define PILI_AMF_EncodeNumber AMF_EncodeNumber
#define PILI_AMF_EncodeString AMF_EncodeString
#define PILI_AMF_GetProp AMF_GetProp
#define PILI_AMF_Reset AMF_Reset
#define PILI_RTMPPacket_Dump RTMPPacket_Dump
#define PILI_RTMP_FindFirstMatchingProperty RTMP_FindFirstMatchingProperty
#define PILI_RTMP_FindPrefixProperty RTMP_FindPrefixProperty
#define PILI_RTMP_LibVersion RTMP_LibVersion
#define PILI_RTMP_Log RTMP_Log
#define PILI_RTMP_LogGetLevel RTMP_LogGetLevel
#define PILI_RTMP_LogHex RTMP_LogHex
#define PILI_RTMP_LogHexString RTMP_LogHexString
#define PILI_RTMP_LogPrintf RTMP_LogPrintf
#define PILI_RTMP_LogSetCallback RTMP_LogSetCallback
#define PILI_RTMP_LogSetLevel RTMP_LogSetLevel
#define PILI_RTMP_LogSetOutput RTMP_LogSetOutput
#define PILI_RTMP_LogStatus RTMP_LogStatus
#define PILI_RTMP_ParsePlaypath RTMP_ParsePlaypath
#define PILI_RTMP_ParseURL RTMP_ParseURL
#define PILI_RTMP_UserInterrupt RTMP_UserInterrupt
#define PILI_RTMP_debuglevel RTMP_debuglevel
#define PILI_RTMP_ctrlC RTMP_ctrlC
#define PILI_RTMP_DefaultFlashVer RTMP_DefaultFlashVer
#define PILI_RTMPProtocolStrings RTMPProtocolStrings
#define PILI_RTMPProtocolStringsLower RTMPProtocolStringsLower

#define PILI_RTMP_GetDuration(r) RTMP_GetDuration(librtmp_pili_base(r))
#define PILI_RTMP_GetLastError(r) RTMP_GetLastError(librtmp_pili_base(r))
#define PILI_RTMP_GetErrorString(r) RTMP_GetErrorString(librtmp_pili_base(r))
#define PILI_RTMP_SetOpt(r, name, value) RTMP_SetOpt(librtmp_pili_base(r), name, value)
#define PILI_RTMP_Abort(r) RTMP_Abort(librtmp_pili_base(r))
#define PILI_RTMP_GetStats(r, s) RTMP_GetStats(librtmp_pili_base(r), s)

static inline int PILI_RTMP_SetupURL(PILI_RTMP *r, const char *url, RTMPError *error)
{
    free(r->librtmp_url);
    r->librtmp_url = (char *)malloc(strlen(url) + 1);
    if (r->librtmp_url)
        strcpy(r->librtmp_url, url);
    int done = RTMP_SetupURL(librtmp_pili_base(r), r->librtmp_url);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_Connect(PILI_RTMP *r, PILI_RTMPPacket *cp, RTMPError *error)
{
    PILI_CONNECTION_TIME time = { 0, 0 };
    r->m_is_closing = 0;
    if (r->Link.send_timeout > 0)
        r->Link.timeout = r->Link.send_timeout;
    int done = RTMP_Connect(librtmp_pili_base(r), cp);
    RTMPStats stats;
    memset(&stats, 0, sizeof stats);
    stats.s_size = sizeof stats;
    if (RTMP_GetStats(librtmp_pili_base(r), &stats)) {
        time.connect_time = stats.s_lookup + stats.s_tcp;
        time.handshake_time = stats.s_handshake;
    }
    if (done && r->m_connCallback)
        r->m_connCallback(&time, r->m_userData);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_Connect0(PILI_RTMP *r, struct sockaddr *address, RTMPError *error)
{
    int done = RTMP_Connect0(librtmp_pili_base(r), address);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_Connect1(PILI_RTMP *r, PILI_RTMPPacket *cp, RTMPError *error)
{
    int done = RTMP_Connect1(librtmp_pili_base(r), cp);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_ConnectStream(PILI_RTMP *r, int seekTime, RTMPError *error)
{
    int done = RTMP_ConnectStream(librtmp_pili_base(r), seekTime);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_ReconnectStream(PILI_RTMP *r, int seekTime, RTMPError *error)
{
    int done = RTMP_ReconnectStream(librtmp_pili_base(r), seekTime);
    return librtmp_pili_result(r, error, done, done);
}

static inline void PILI_RTMP_DeleteStream(PILI_RTMP *r, RTMPError *error)
{
    (void)error;
    RTMP_DeleteStream(librtmp_pili_base(r));
}

static inline int PILI_RTMP_ReadPacket(PILI_RTMP *r, PILI_RTMPPacket *packet, RTMPError *error)
{
    int done = RTMP_ReadPacket(librtmp_pili_base(r), packet);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendPacket(PILI_RTMP *r, PILI_RTMPPacket *packet, int queue, RTMPError *error)
{
    int done = RTMP_SendPacket(librtmp_pili_base(r), packet, queue);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendChunk(PILI_RTMP *r, PILI_RTMPChunk *chunk, RTMPError *error)
{
    int done = RTMP_SendChunk(librtmp_pili_base(r), chunk);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_ClientPacket(PILI_RTMP *r, PILI_RTMPPacket *packet, RTMPError *error)
{
    (void)error;
    return RTMP_ClientPacket(librtmp_pili_base(r), packet);
}

static inline int PILI_RTMP_GetNextMediaPacket(PILI_RTMP *r, PILI_RTMPPacket *packet, RTMPError *error)
{
    int done = RTMP_GetNextMediaPacket(librtmp_pili_base(r), packet);
    return librtmp_pili_result(r, error, done, done);
}

static inline void PILI_RTMP_Close(PILI_RTMP *r, RTMPError *error)
{
    (void)error;
    r->m_is_closing = 1;
    RTMP_Close(librtmp_pili_base(r));
    free(r->librtmp_url);
    r->librtmp_url = NULL;
}

static inline int PILI_RTMP_Read(PILI_RTMP *r, char *bytes, int size, RTMPError *error)
{
    int count = RTMP_Read(librtmp_pili_base(r), bytes, size);
    return librtmp_pili_result(r, error, count, count > 0 || RTMP_GetLastError(librtmp_pili_base(r)) == RTMP_ERR_ENDED);
}

static inline int PILI_RTMP_Write(PILI_RTMP *r, const char *bytes, int size, RTMPError *error)
{
    int count = RTMP_Write(librtmp_pili_base(r), bytes, size);
    return librtmp_pili_result(r, error, count, count > 0);
}

static inline int PILI_RTMP_Pause(PILI_RTMP *r, int pause, RTMPError *error)
{
    int done = RTMP_Pause(librtmp_pili_base(r), pause);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendPause(PILI_RTMP *r, int pause, int time, RTMPError *error)
{
    int done = RTMP_SendPause(librtmp_pili_base(r), pause, time);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendSeek(PILI_RTMP *r, int time, RTMPError *error)
{
    int done = RTMP_SendSeek(librtmp_pili_base(r), time);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendCtrl(PILI_RTMP *r, short type, unsigned int object, unsigned int time, RTMPError *error)
{
    int done = RTMP_SendCtrl(librtmp_pili_base(r), type, object, time);
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendCreateStream(PILI_RTMP *r, RTMPError *error)
{
    int done = RTMP_SendCreateStream(librtmp_pili_base(r));
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendServerBW(PILI_RTMP *r, RTMPError *error)
{
    int done = RTMP_SendServerBW(librtmp_pili_base(r));
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_SendClientBW(PILI_RTMP *r, RTMPError *error)
{
    int done = RTMP_SendClientBW(librtmp_pili_base(r));
    return librtmp_pili_result(r, error, done, done);
}

static inline int PILI_RTMP_ToggleStream(PILI_RTMP *r, RTMPError *error)
{
    int done = RTMP_ToggleStream(librtmp_pili_base(r));
    return librtmp_pili_result(r, error, done, done);
}

static inline void PILI_RTMP_UpdateBufferMS(PILI_RTMP *r, RTMPError *error)
{
    (void)error;
    RTMP_UpdateBufferMS(librtmp_pili_base(r));
}

#endif
