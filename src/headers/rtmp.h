/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: RTMP sessions, as a client that plays or publishes and as a server.
 *
 * A client: RTMP_Alloc, RTMP_Init, RTMP_SetupURL, for publishing RTMP_EnableWrite, RTMP_Connect, RTMP_ConnectStream,
 * then RTMP_Read or RTMP_Write (an FLV file as a stream of bytes) or RTMP_ReadPacket and RTMP_SendPacket (single
 * messages), at last RTMP_Close and RTMP_Free.
 *
 * Calls block, none for longer than Link.timeout allows; RTMP_Abort, RTMP_UserInterrupt and shutdown of the socket end
 * their waits. Sessions are independent of each other. With one session one thread may read (RTMP_Read, RTMP_ReadPacket,
 * RTMP_GetNextMediaPacket, RTMP_ClientPacket) while others send (RTMP_SendPacket, RTMP_Send..., RTMP_Pause, and one of them
 * RTMP_Write), and any thread may call RTMP_Abort. All other functions need exclusive use of the session. log.h says what
 * a log callback may do.
 *
 * A thread that is cancelled (pthread_cancel) in a call ends when the call returns; no wait is longer than Link.timeout, and
 * RTMP_Abort ends it earlier. A call that returns a message leaves that to the next one. Functions that may wait are
 * cancellation points, and no lock stays held. Asynchronous cancelling is not supported.
 *
 * After fork in a process with one thread, the child may begin sessions, and go on with those of the parent. Only one of
 * the two processes may go on with a session. The other one lets go of it: close(RTMP_Socket(r)); r->m_sb.sb_socket = -1;
 * then RTMP_Close and RTMP_Free, which tell the peer nothing. RTMP_Close alone would end the session of both. A session
 * that RTMP_Serve serves over HTTP stays the parent's: its helper threads are not in the child. In a process with more
 * threads the child may not call this library before exec.
 *
 * After dlclose the library stays in memory as long as it has helper threads, or a thread that used it exists.
 *
 * Functions that return int return TRUE or FALSE unless they say otherwise. One that fails may have closed the
 * session: ask RTMP_IsConnected. Why it failed tell RTMP_GetLastError and RTMP_GetErrorString. A NULL where a pointer is
 * expected makes a function fail.
 *
 * A function that succeeds leaves errno as it was. One that fails sets it if a call of the operating system failed: EAGAIN
 * after a time-out, or when a socket that does not block has nothing to read, ECONNREFUSED, ECONNRESET, EPIPE and so on,
 * and EBADF if there is no connection. Where the peer is the reason, errno stays as it was.
 */
#ifndef __RTMP_H__
#define __RTMP_H__

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "amf.h"

/*
 * Programs ask for CRYPTO to know whether the library can do RTMPE, RTMPS and SWF verification. NO_CRYPTO takes the
 * macro away, but not the fields of RTMP_LNK: the library always has them, and the struct must be as large as it thinks.
 */
#if !defined(NO_CRYPTO) && !defined(CRYPTO)
#define CRYPTO
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What RTMP_LibVersion returns: 2.3, one byte each for major, minor and patch. */
#define RTMP_LIB_VERSION 0x020300

/* Bits of Link.protocol. */
#define RTMP_FEATURE_HTTP 0x01 /**< tunnelled through HTTP */
#define RTMP_FEATURE_ENC 0x02 /**< RTMPE encryption */
#define RTMP_FEATURE_SSL 0x04 /**< inside TLS */
#define RTMP_FEATURE_MFP 0x08 /**< RTMFP, which the library cannot speak */
#define RTMP_FEATURE_WRITE 0x10 /**< publish; see RTMP_EnableWrite */
#define RTMP_FEATURE_HTTP2 0x20 /**< set by RTMP_Serve: the client tunnels through HTTP */

/* Protocols that a URL can name, made of the bits above. */
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
#define RTMP_PACKET_TYPE_CLIENT_BW 0x06 /**< limit for the bandwidth of the peer */
#define RTMP_PACKET_TYPE_AUDIO 0x08
#define RTMP_PACKET_TYPE_VIDEO 0x09
#define RTMP_PACKET_TYPE_FLEX_STREAM_SEND 0x0F /**< data, in AMF3 */
#define RTMP_PACKET_TYPE_FLEX_SHARED_OBJECT 0x10 /**< shared object, in AMF3 */
#define RTMP_PACKET_TYPE_FLEX_MESSAGE 0x11 /**< command, in AMF3 */
#define RTMP_PACKET_TYPE_INFO 0x12 /**< data such as metadata, in AMF0 */
#define RTMP_PACKET_TYPE_SHARED_OBJECT 0x13
#define RTMP_PACKET_TYPE_INVOKE 0x14 /**< command, in AMF0 */
#define RTMP_PACKET_TYPE_FLASH_VIDEO 0x16 /**< several FLV tags in one message */

/* RTMPPacket.m_headerType: what the header of a chunk says; the rest is as in the message before. */
#define RTMP_PACKET_SIZE_LARGE 0 /**< everything, with an absolute timestamp */
#define RTMP_PACKET_SIZE_MEDIUM 1 /**< all but the message stream id; the timestamp is a difference */
#define RTMP_PACKET_SIZE_SMALL 2 /**< only the difference of the timestamps */
#define RTMP_PACKET_SIZE_MINIMUM 3 /**< nothing */

/** True if the message that an RTMPPacket pointer points to has arrived in full. */
#define RTMPPacket_IsReady(a) ((a)->m_nBytesRead == (a)->m_nBodySize)

/* Link.lFlags */
#define RTMP_LF_AUTH 0x0001 /**< the boolean that is sent in front of Link.auth is true */
#define RTMP_LF_LIVE 0x0002 /**< the stream is live: there is nothing to seek in */
#define RTMP_LF_SWFV 0x0004 /**< hash the file at Link.swfUrl while setting up, for its verification */
#define RTMP_LF_PLST 0x0008 /**< send set_playlist before play */
#define RTMP_LF_BUFX 0x0010 /**< pause and continue when the server's buffer runs empty, so that it sends faster */
#define RTMP_LF_FTCU 0x0020 /**< Link.tcUrl was allocated by the library, and RTMP_Close frees it */
#define RTMP_LF_FAPU 0x0040 /**< Link.app was allocated by the library, and RTMP_Close frees it */

/* RTMP_READ.flags */
#define RTMP_READ_HEADER 0x01 /**< the FLV header was put together */
#define RTMP_READ_RESUME 0x02 /**< continue behind RTMP_READ.initialFrame; set by the caller */
#define RTMP_READ_NO_IGNORE 0x04 /**< resuming is over: nothing is passed over any more */
#define RTMP_READ_GOTKF 0x08 /**< resuming: the frame was found */
#define RTMP_READ_GOTFLVK 0x10 /**< resuming: the frame was found inside a message of several tags */
#define RTMP_READ_SEEKING 0x20 /**< a seek was sent, and its result has not come */

/* RTMP_READ.status */
#define RTMP_READ_COMPLETE (-3) /**< the stream has ended */
#define RTMP_READ_ERROR (-2) /**< the stream cannot be continued from where the caller wants to resume */
#define RTMP_READ_EOF (-1) /**< the connection has ended, or its time was over */
#define RTMP_READ_IGNORE 0 /**< nothing is wrong */

/** Why a call failed: what RTMP_GetLastError returns. Values stay as they are; there may be more in later versions. */
typedef enum {
    RTMP_ERR_NONE = 0, /**< nothing failed */
    RTMP_ERR_ENDED = 1, /**< the server ended the stream: there is no more to read */
    RTMP_ERR_ARGUMENT = 2, /**< an argument, a field or a packet makes no sense */
    RTMP_ERR_MEMORY = 3, /**< memory is short */
    RTMP_ERR_URL = 4, /**< the URL cannot be used */
    RTMP_ERR_OPTION = 5, /**< there is no such option, or its value cannot be used */
    RTMP_ERR_NOT_CONNECTED = 6, /**< there is no connection, and none was lost before */
    RTMP_ERR_RESOLVE = 7, /**< the host's address was not found in time */
    RTMP_ERR_CONNECT = 8, /**< the server, or the proxy, was not reached: it refused, or did not answer in time */
    RTMP_ERR_PROXY = 9, /**< the proxy did not connect to the server */
    RTMP_ERR_TLS = 10, /**< no TLS: a certificate was refused, or the peer does not keep to the protocol */
    RTMP_ERR_HANDSHAKE = 11, /**< the peer's handshake is wrong */
    RTMP_ERR_REFUSED = 12, /**< the peer said no, and the text has its words */
    RTMP_ERR_TIMEDOUT = 13, /**< Link.timeout passed; if RTMP_IsConnected, the call may be repeated */
    RTMP_ERR_CLOSED = 14, /**< the peer closed the connection, without ending the stream */
    RTMP_ERR_IO = 15, /**< the operating system reported an error of the connection */
    RTMP_ERR_MALFORMED = 16, /**< what the peer sent breaks the protocol, or a bound of the library */
    RTMP_ERR_TOO_LARGE = 17, /**< a message, or what the peer sent, is larger than it may be */
    RTMP_ERR_FLV = 18, /**< what was given to RTMP_Write cannot be published */
    RTMP_ERR_RESUME = 19, /**< the stream does not go on where m_read says that the file ends */
    RTMP_ERR_JOINED = 20, /**< RTMP_Serve: nothing failed, the HTTP connection went to the session that it belongs to */
    RTMP_ERR_INTERRUPTED = 21, /**< a signal came, and RTMP_ctrlC was set */
    RTMP_ERR_ABORTED = 22, /**< another thread ended the call */
    RTMP_ERR_UNSUPPORTED = 23, /**< the library does not have this */
    RTMP_ERR_INTERNAL = 24 /**< a defect of the library, which ended the call and nothing else */
} RTMP_ERR_CODE;

/** Names of the protocols in capitals and in small letters, by RTMP_PROTOCOL_*; empty where there is none. */
extern const char RTMPProtocolStrings[][7];
extern const char RTMPProtocolStringsLower[][7];

/** The Flash version that is named to servers unless Link.flashVer is set. */
extern const AVal RTMP_DefaultFlashVer;

/**
 * Not 0: calls that wait end with an error, within a tenth of a second, in all sessions and threads. May be set by any
 * thread and in a signal handler, see RTMP_UserInterrupt. The library never clears it.
 */
extern int RTMP_ctrlC;

struct sockaddr;

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
