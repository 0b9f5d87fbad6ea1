/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: RTMP sessions, as a client that plays or publishes and as a server.
 *
 * A client calls RTMP_Alloc, RTMP_Init, RTMP_SetupURL, RTMP_EnableWrite if it publishes, RTMP_Connect and
 * RTMP_ConnectStream. Then it calls RTMP_Read or RTMP_Write (the stream as the bytes of an FLV file), or RTMP_ReadPacket
 * and RTMP_SendPacket (single messages). It ends with RTMP_Close and RTMP_Free.
 *
 * Calls block, but no wait is longer than Link.timeout. RTMP_Abort, RTMP_UserInterrupt and shutdown on the socket end
 * waits early.
 *
 * Threads: sessions are independent of each other. Within one session, one thread may read (RTMP_Read, RTMP_ReadPacket,
 * RTMP_GetNextMediaPacket, RTMP_ClientPacket) while others send (RTMP_SendPacket, RTMP_Send..., RTMP_Pause, and one of
 * them RTMP_Write), and any thread may call RTMP_Abort. All other functions need exclusive use of the session. log.h
 * describes what a log callback may do.
 *
 * Cancellation: a thread that is cancelled (pthread_cancel) inside a call ends when the call returns. Functions that may
 * wait are cancellation points, and no lock stays held. A message that a cancelled call would have returned is left for
 * the next call. Asynchronous cancellation is not supported.
 *
 * Fork: after fork in a process with one thread, the child may use new sessions and those of the parent, but only one of
 * the two processes may continue a session. The other one releases it with close(RTMP_Socket(r)),
 * r->m_sb.sb_socket = -1, RTMP_Close and RTMP_Free, which send nothing to the peer. RTMP_Close alone would end the
 * session of both. A session that RTMP_Serve serves over HTTP stays with the parent, because its helper threads do not
 * exist in the child. In a process with several threads, the child may not call this library before exec.
 *
 * After dlclose the library stays in memory as long as it has helper threads or a thread that used it exists.
 *
 * Results: functions that return int return TRUE or FALSE unless their description says otherwise. A function that fails
 * may have closed the session; RTMP_IsConnected tells. RTMP_GetLastError returns the reason for a failure as a code,
 * RTMP_GetErrorString as text. A function fails if it gets NULL where it expects a pointer.
 *
 * errno: a function that succeeds does not change errno. A function that fails sets it if a call of the operating system
 * failed: EAGAIN after a timeout or when a non-blocking socket has nothing to read, ECONNREFUSED, ECONNRESET, EPIPE and
 * so on, and EBADF without a connection. If the peer is the reason, errno does not change.
 */
#ifndef __RTMP_H__
#define __RTMP_H__

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "amf.h"

/*
 * CRYPTO tells programs that the library supports RTMPE, RTMPS and SWF verification. NO_CRYPTO removes the macro, but not
 * the fields of RTMP_LNK: the library always has them, and the sizes must agree.
 */
#if !defined(NO_CRYPTO) && !defined(CRYPTO)
#define CRYPTO
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The result of RTMP_LibVersion: 2.3, one byte each for major, minor and patch. */
#define RTMP_LIB_VERSION 0x020300

/* Bits of Link.protocol. */
#define RTMP_FEATURE_HTTP 0x01 /**< tunnelled through HTTP */
#define RTMP_FEATURE_ENC 0x02 /**< RTMPE encryption */
#define RTMP_FEATURE_SSL 0x04 /**< inside TLS */
#define RTMP_FEATURE_MFP 0x08 /**< RTMFP, which the library does not support */
#define RTMP_FEATURE_WRITE 0x10 /**< publish; see RTMP_EnableWrite */
#define RTMP_FEATURE_HTTP2 0x20 /**< set by RTMP_Serve: the client tunnels through HTTP */

/* Protocols of URLs, combinations of the bits above. */
#define RTMP_PROTOCOL_UNDEFINED (-1)
#define RTMP_PROTOCOL_RTMP 0
#define RTMP_PROTOCOL_RTMPT RTMP_FEATURE_HTTP
#define RTMP_PROTOCOL_RTMPE RTMP_FEATURE_ENC
#define RTMP_PROTOCOL_RTMPTE (RTMP_FEATURE_HTTP | RTMP_FEATURE_ENC)
#define RTMP_PROTOCOL_RTMPS RTMP_FEATURE_SSL
#define RTMP_PROTOCOL_RTMPTS (RTMP_FEATURE_HTTP | RTMP_FEATURE_SSL)
#define RTMP_PROTOCOL_RTMFP RTMP_FEATURE_MFP

#define RTMP_DEFAULT_CHUNKSIZE 128 /**< bytes per chunk until a peer announces another size */
#define RTMP_BUFFER_CACHE_SIZE (16 * 1024) /**< bytes in RTMPSockBuf.sb_buf */
#define RTMP_CHANNELS 65600 /**< chunk stream ids are below this */
#define RTMP_MAX_HEADER_SIZE 18 /**< bytes of the longest chunk header, and room in front of RTMPPacket.m_body */
#define RTMP_SWF_HASHLEN 32 /**< bytes in the hash of an SWF file */

/* RTMPPacket.m_packetType: message types. */
#define RTMP_PACKET_TYPE_CHUNK_SIZE 0x01
#define RTMP_PACKET_TYPE_BYTES_READ_REPORT 0x03 /**< acknowledgement */
#define RTMP_PACKET_TYPE_CONTROL 0x04 /**< user control; see RTMP_SendCtrl */
#define RTMP_PACKET_TYPE_SERVER_BW 0x05 /**< window of acknowledgements */
#define RTMP_PACKET_TYPE_CLIENT_BW 0x06 /**< limit for the peer's bandwidth */
#define RTMP_PACKET_TYPE_AUDIO 0x08
#define RTMP_PACKET_TYPE_VIDEO 0x09
#define RTMP_PACKET_TYPE_FLEX_STREAM_SEND 0x0F /**< data, in AMF3 */
#define RTMP_PACKET_TYPE_FLEX_SHARED_OBJECT 0x10 /**< shared object, in AMF3 */
#define RTMP_PACKET_TYPE_FLEX_MESSAGE 0x11 /**< command, in AMF3 */
#define RTMP_PACKET_TYPE_INFO 0x12 /**< data such as metadata, in AMF0 */
#define RTMP_PACKET_TYPE_SHARED_OBJECT 0x13
#define RTMP_PACKET_TYPE_INVOKE 0x14 /**< command, in AMF0 */
#define RTMP_PACKET_TYPE_FLASH_VIDEO 0x16 /**< several FLV tags in one message */

/* RTMPPacket.m_headerType: what a chunk header contains. Everything else is as in the previous message. */
#define RTMP_PACKET_SIZE_LARGE 0 /**< everything, with an absolute timestamp */
#define RTMP_PACKET_SIZE_MEDIUM 1 /**< all but the message stream id; the timestamp is a difference */
#define RTMP_PACKET_SIZE_SMALL 2 /**< only the difference of the timestamps */
#define RTMP_PACKET_SIZE_MINIMUM 3 /**< nothing */

/** True if the message at the RTMPPacket pointer `a` is complete. */
#define RTMPPacket_IsReady(a) ((a)->m_nBytesRead == (a)->m_nBodySize)

/* Link.lFlags */
#define RTMP_LF_AUTH 0x0001 /**< the boolean that is sent in front of Link.auth is true */
#define RTMP_LF_LIVE 0x0002 /**< the stream is live, without seeking */
#define RTMP_LF_SWFV 0x0004 /**< hash the file at Link.swfUrl while setting up, for its verification */
#define RTMP_LF_PLST 0x0008 /**< send set_playlist before play */
#define RTMP_LF_BUFX 0x0010 /**< pause and continue when the server's buffer runs empty, so that it sends faster */
#define RTMP_LF_FTCU 0x0020 /**< Link.tcUrl was allocated by the library, and RTMP_Close frees it */
#define RTMP_LF_FAPU 0x0040 /**< Link.app was allocated by the library, and RTMP_Close frees it */

/* RTMP_READ.flags */
#define RTMP_READ_HEADER 0x01 /**< the FLV header was produced */
#define RTMP_READ_RESUME 0x02 /**< continue behind RTMP_READ.initialFrame; set by the caller */
#define RTMP_READ_NO_IGNORE 0x04 /**< resuming has ended: no message is skipped any more */
#define RTMP_READ_GOTKF 0x08 /**< resuming: the frame was found */
#define RTMP_READ_GOTFLVK 0x10 /**< resuming: the frame was found inside a message of several tags */
#define RTMP_READ_SEEKING 0x20 /**< a seek was sent, and its result has not come */

/* RTMP_READ.status */
#define RTMP_READ_COMPLETE (-3) /**< the stream has ended */
#define RTMP_READ_ERROR (-2) /**< the stream cannot be continued from where the caller wants to resume */
#define RTMP_READ_EOF (-1) /**< the connection has ended, or the timeout passed */
#define RTMP_READ_IGNORE 0 /**< nothing is wrong */

/** Reasons for failures, as RTMP_GetLastError returns them. Values never change; later versions may add some. */
typedef enum {
    RTMP_ERR_NONE = 0, /**< nothing failed */
    RTMP_ERR_ENDED = 1, /**< the server ended the stream; nothing is left to read */
    RTMP_ERR_ARGUMENT = 2, /**< an argument, a field or a packet is invalid */
    RTMP_ERR_MEMORY = 3, /**< not enough memory */
    RTMP_ERR_URL = 4, /**< the URL cannot be used */
    RTMP_ERR_OPTION = 5, /**< the option is unknown, or its value is invalid */
    RTMP_ERR_NOT_CONNECTED = 6, /**< there is no connection, and none was lost before */
    RTMP_ERR_RESOLVE = 7, /**< the host's address was not found in time */
    RTMP_ERR_CONNECT = 8, /**< no connection to the server or the proxy: refused, or no answer in time */
    RTMP_ERR_PROXY = 9, /**< the proxy did not connect to the server */
    RTMP_ERR_TLS = 10, /**< the TLS handshake failed, for example because of a certificate */
    RTMP_ERR_HANDSHAKE = 11, /**< the peer's handshake is wrong */
    RTMP_ERR_REFUSED = 12, /**< the peer refused; the text contains its words */
    RTMP_ERR_TIMEDOUT = 13, /**< Link.timeout passed; while RTMP_IsConnected, the call may be repeated */
    RTMP_ERR_CLOSED = 14, /**< the peer closed the connection, without ending the stream */
    RTMP_ERR_IO = 15, /**< the operating system reported a connection error */
    RTMP_ERR_MALFORMED = 16, /**< data from the peer violates the protocol or a limit of the library */
    RTMP_ERR_TOO_LARGE = 17, /**< a message, or data from the peer, is too large */
    RTMP_ERR_FLV = 18, /**< the bytes given to RTMP_Write are not valid FLV */
    RTMP_ERR_RESUME = 19, /**< the stream does not continue where the file in m_read ends */
    RTMP_ERR_JOINED = 20, /**< RTMP_Serve: no failure; the HTTP connection belongs to another session, which took it */
    RTMP_ERR_INTERRUPTED = 21, /**< RTMP_ctrlC was set, for example by a signal handler */
    RTMP_ERR_ABORTED = 22, /**< RTMP_Abort ended the call */
    RTMP_ERR_UNSUPPORTED = 23, /**< the library does not support this */
    RTMP_ERR_INTERNAL = 24, /**< a defect of the library, which affected only this call */
    RTMP_ERR_AGAIN = 25 /**< the call would have to wait, and the session never does; see RTMP_SetNonBlocking in loop.h */
} RTMP_ERR_CODE;

/** Names of the protocols in upper and lower case, indexed by RTMP_PROTOCOL_*; empty where there is none. */
extern const char RTMPProtocolStrings[][7];
extern const char RTMPProtocolStringsLower[][7];

/** Flash version that is sent to servers unless Link.flashVer is set. */
extern const AVal RTMP_DefaultFlashVer;

/**
 * While not 0, calls that wait fail within a tenth of a second, in all sessions and threads. Any thread and any signal
 * handler may set it; see RTMP_UserInterrupt. The library never clears it.
 */
extern int RTMP_ctrlC;

struct sockaddr;

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
