/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: one set of names for sockets, for programs that are to compile on Windows and elsewhere.
 *
 * Most names are those of Winsock; off Windows they are defined here, and starting and stopping Winsock does nothing.
 * Includes rtmp.h and what such programs otherwise forget: malloc, memset, sleep. With log.h behind it, C programs have
 * bool, true and false, too. What a program has defined before, it keeps, and it may define SOCKET, WORD and the constants
 * afterwards as well.
 */
#ifndef LIBRTMP_RTMP_SYS_H
#define LIBRTMP_RTMP_SYS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#include <winsock2.h>
#include <ws2tcpip.h>

/** Why the last socket call failed. */
#define GetSockError() WSAGetLastError()
#define SetSockError(error) WSASetLastError(error)
/** Wait so many milliseconds, or seconds. */
#define msleep(n) Sleep(n)
#define sleep(n) Sleep((n) * 1000)
/** Defines a variable for setsockopt with SO_RCVTIMEO or SO_SNDTIMEO. */
#define SET_RCVTIMEO(tv, s) int tv = (s) * 1000

#else

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#endif

#include "rtmp.h"

#ifdef __GNUC__
/* Compilers let a program repeat a type of the system's, which C99 does not. */
#pragma GCC system_header
#endif

/** What log.h calls bool. */
typedef unsigned char librtmp_bool;

#ifndef _WIN32

/** A socket descriptor. */
#ifndef SOCKET
typedef int SOCKET;
#endif

/* Constants and functions, not macros, so that a program may define macros of these names. */
enum {
#ifndef INVALID_SOCKET
    INVALID_SOCKET = -1,
#endif
#ifndef SOCKET_ERROR
    SOCKET_ERROR = -1, /**< what socket calls return on failure */
#endif
/* Second argument of shutdown. */
#ifndef SD_RECEIVE
    SD_RECEIVE = SHUT_RD,
#endif
#ifndef SD_SEND
    SD_SEND = SHUT_WR,
#endif
#ifndef SD_BOTH
    SD_BOTH = SHUT_RDWR,
#endif
    LIBRTMP_SOCKET_NAMES = 1
};

#ifndef closesocket
/** Closes a socket; 0, or SOCKET_ERROR. */
static inline int closesocket(int socket)
{
    return close(socket);
}
#endif

#ifndef WSAGetLastError
/** Why the last socket call failed. */
static inline int WSAGetLastError(void)
{
    return errno;
}
#endif

/** Why the last socket call failed. */
#ifndef GetSockError
#define GetSockError() (errno)
#endif
#ifndef SetSockError
#define SetSockError(error) (errno = (error))
#endif

/** Waits so many milliseconds. */
static inline void librtmp_msleep(unsigned long milliseconds)
{
    struct timeval time;
    time.tv_sec = (time_t)(milliseconds / 1000);
    time.tv_usec = (suseconds_t)(milliseconds % 1000 * 1000);
    select(0, NULL, NULL, NULL, &time);
}
#ifndef msleep
#define msleep(n) librtmp_msleep((unsigned long)(n))
#endif

/** Defines a variable of so many seconds for setsockopt with SO_RCVTIMEO or SO_SNDTIMEO. */
#ifndef SET_RCVTIMEO
#define SET_RCVTIMEO(tv, s) struct timeval tv = { (time_t)(s), 0 }
#endif

#ifndef WORD
/** A word of two bytes. */
typedef uint16_t WORD;
#endif
#ifndef MAKEWORD
#define MAKEWORD(low, high) ((uint16_t)(((unsigned)(low) & 0xffu) | (((unsigned)(high) & 0xffu) << 8)))
#endif

/** What WSAStartup tells about itself. */
typedef struct WSAData {
    uint16_t wVersion; /**< the version that was asked for */
    uint16_t wHighVersion; /**< the highest version there is: the same */
} WSADATA;

/** Does nothing, as sockets need no starting here; 0. data may be NULL. */
static inline int WSAStartup(uint16_t version, WSADATA *data)
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

#endif
