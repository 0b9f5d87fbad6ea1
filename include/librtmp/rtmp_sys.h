/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: one set of names for sockets, for programs that are to compile on Windows and elsewhere.
 *
 * The names are those of Winsock; off Windows they are defined here, and starting and stopping Winsock does nothing.
 * Includes rtmp.h and what such programs otherwise forget: bool, malloc, memset.
 */
#ifndef LIBRTMP_RTMP_SYS_H
#define LIBRTMP_RTMP_SYS_H

#ifndef __cplusplus
#include <stdbool.h>
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#include <winsock2.h>
#include <ws2tcpip.h>

#else

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

/** A socket descriptor. */
typedef int SOCKET;
#define INVALID_SOCKET (-1)
/** What socket calls return on failure. */
#define SOCKET_ERROR (-1)
/* Second argument of shutdown. */
#define SD_RECEIVE SHUT_RD
#define SD_SEND SHUT_WR
#define SD_BOTH SHUT_RDWR

/** Closes a socket; 0, or SOCKET_ERROR. */
#define closesocket(socket) close(socket)
/** Why the last socket call failed. */
#define WSAGetLastError() (errno)

typedef uint16_t WORD;
/** A word of two bytes. */
#define MAKEWORD(low, high) ((WORD)(((unsigned)(low) & 0xffu) | (((unsigned)(high) & 0xffu) << 8)))

/** What WSAStartup tells about itself. */
typedef struct WSAData {
    WORD wVersion; /**< the version that was asked for */
    WORD wHighVersion; /**< the highest version there is: the same */
} WSADATA;

/** Does nothing, as sockets need no starting here; 0. data may be NULL. */
static inline int WSAStartup(WORD version, WSADATA *data)
{
    if (data) {
        data->wVersion = version;
        data->wHighVersion = version;
    }
    return 0;
}

/** Does nothing; 0. */
static inline int WSACleanup(void)
{
    return 0;
}

#endif

#include "rtmp.h"

#endif
