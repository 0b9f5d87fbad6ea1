/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: the fields of RTMP_LNK and RTMP once more, for structs that begin like these and have more fields at their end.
 *
 * For the headers of this directory only. The layout of both structs never changes; the headers check it.
 */
#ifndef LIBRTMP_COMPAT_FIELDS_H
#define LIBRTMP_COMPAT_FIELDS_H

#include <stddef.h>

#include "../rtmp.h"

#define LIBRTMP_COMPAT_LINK_FIELDS \
    AVal hostname, sockshost, playpath0, playpath, tcUrl, swfUrl, pageUrl, app, auth, flashVer, subscribepath, usherToken, \
        token, pubUser, pubPasswd; \
    AMFObject extras; \
    int edepth, seekTime, stopTime, lFlags, swfAge, protocol, timeout, pFlags; \
    unsigned short socksport, port; \
    void *dh, *rc4keyIn, *rc4keyOut; \
    uint32_t SWFSize; \
    uint8_t SWFHash[RTMP_SWF_HASHLEN]; \
    char SWFVerificationResponse[RTMP_SWF_HASHLEN + 10];

#define LIBRTMP_COMPAT_RTMP_FIELDS \
    int m_inChunkSize, m_outChunkSize, m_nBWCheckCounter, m_nBytesIn, m_nBytesInSent, m_nBufferMS, m_stream_id, \
        m_mediaChannel; \
    uint32_t m_mediaStamp, m_pauseStamp; \
    int m_pausing, m_nServerBW, m_nClientBW; \
    uint8_t m_nClientBW2, m_bPlaying, m_bSendEncoding, m_bSendCounter; \
    int m_numInvokes, m_numCalls; \
    RTMP_METHOD *m_methodCalls; \
    int m_channelsAllocatedIn, m_channelsAllocatedOut; \
    RTMPPacket **m_vecChannelsIn, **m_vecChannelsOut; \
    int *m_channelTimestamp; \
    double m_fAudioCodecs, m_fVideoCodecs, m_fEncoding, m_fDuration; \
    int m_msgCounter, m_polling, m_resplen, m_unackd; \
    AVal m_clientID; \
    RTMP_READ m_read; \
    RTMPPacket m_write; \
    RTMPSockBuf m_sb;

/** Fails to compile unless `field` is in `type` where it is in `original`. */
#define LIBRTMP_COMPAT_SAME_PLACE(name, type, original, field) \
    typedef char librtmp_compat_##name[offsetof(type, field) == offsetof(original, field) ? 1 : -1]

/** Checks the last fields of each group, behind which another layout could not be the same again. */
#define LIBRTMP_COMPAT_CHECK(prefix, rtmp, link) \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_extras, link, RTMP_LNK, extras); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_timeout, link, RTMP_LNK, timeout); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_port, link, RTMP_LNK, port); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_response, link, RTMP_LNK, SWFVerificationResponse); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_stream, rtmp, RTMP, m_stream_id); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_calls, rtmp, RTMP, m_methodCalls); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_duration, rtmp, RTMP, m_fDuration); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_read, rtmp, RTMP, m_read); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_sb, rtmp, RTMP, m_sb); \
    LIBRTMP_COMPAT_SAME_PLACE(prefix##_link, rtmp, RTMP, Link)

#endif
