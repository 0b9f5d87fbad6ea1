/* What the examples use of POSIX, on Windows: the Makefile includes this file before each of theirs when it compiles with MinGW.
 * Failed calls set errno. Sockets have the values of Winsock's handles, as in the library, and are non-blocking there. */
#ifndef EXAMPLES_POSIX_H
#define EXAMPLES_POSIX_H

#define _FILE_OFFSET_BITS 64
#define __USE_MINGW_ANSI_STDIO 1 /* %zu and %lld */
#undef _WIN32_WINNT
#define _WIN32_WINNT 0x0600 /* WSAPoll */
#define WIN32_LEAN_AND_MEAN

#include <winsock2.h>
#include <ws2tcpip.h>

#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- sockets ---- */

typedef unsigned long nfds_t;

#define SHUT_RD SD_RECEIVE
#define SHUT_WR SD_SEND
#define SHUT_RDWR SD_BOTH
#define MSG_DONTWAIT 0x1000 /* of no effect: the sockets are non-blocking */

int posix_socket(int domain, int type, int protocol);
/* Two sockets that are connected to each other; only SOCK_STREAM. */
int posix_socketpair(int domain, int type, int protocol, int pair[2]);
int posix_accept(int fd, struct sockaddr *address, socklen_t *length);
int posix_bind(int fd, const struct sockaddr *address, socklen_t length);
int posix_listen(int fd, int backlog);
int posix_shutdown(int fd, int how);
int posix_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
ssize_t posix_recv(int fd, void *bytes, size_t size, int flags);
ssize_t posix_send(int fd, const void *bytes, size_t size, int flags);
/* Files are always ready. */
int posix_poll(struct pollfd *fds, nfds_t count, int timeout);
/* Another handle of a socket. */
int posix_dup(int fd);

#define socket(...) posix_socket(__VA_ARGS__)
#define socketpair(...) posix_socketpair(__VA_ARGS__)
#define accept(...) posix_accept(__VA_ARGS__)
#define bind(...) posix_bind(__VA_ARGS__)
#define listen(...) posix_listen(__VA_ARGS__)
#define shutdown(...) posix_shutdown(__VA_ARGS__)
#define setsockopt(...) posix_setsockopt(__VA_ARGS__)
#define recv(...) posix_recv(__VA_ARGS__)
#define send(...) posix_send(__VA_ARGS__)
#define poll(...) posix_poll(__VA_ARGS__)
#define dup(fd) posix_dup(fd)

/* ---- files ---- */

#define O_CLOEXEC 0
#define O_NOFOLLOW 0
#define O_NONBLOCK 0x40000000
enum { F_GETFL = 3, F_SETFL = 4 };

struct iovec {
    void *iov_base;
    size_t iov_len;
};

/* F_SETFL makes a socket non-blocking or blocking. F_GETFL returns 0. */
int posix_fcntl(int fd, int command, int flags);
ssize_t posix_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t posix_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t posix_writev(int fd, const struct iovec *parts, int count);
/* Replaces an existing file. */
int posix_rename(const char *from, const char *to);
/* Opens a file of a folder. Fails for names that Windows interprets: devices, streams, and patterns. */
int posix_open_in(const char *folder, const char *name, int flags, int mode);

#define fcntl(fd, ...) posix_fcntl(fd, POSIX_TWO(__VA_ARGS__, 0, 0))
#define POSIX_TWO(command, flags, ...) command, flags
#define pread(...) posix_pread(__VA_ARGS__)
#define pwrite(...) posix_pwrite(__VA_ARGS__)
#define writev(...) posix_writev(__VA_ARGS__)
#define rename(...) posix_rename(__VA_ARGS__)
#define fsync(fd) _commit(fd)
#define mkdir(path, mode) _mkdir(path)
#define realpath(path, result) _fullpath(result, path, 0)

/* ---- time and signals ---- */

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif
int posix_clock(struct timespec *now);
#define clock_gettime(clock, now) posix_clock(now)

/* Signals that Windows does not have: a handler for one of them is never called. */
#define SIGPIPE 1000
#define SIGXFSZ 1001
#define SIGUSR1 1002

struct sigaction {
    void (*sa_handler)(int number);
    int sa_mask;
};
/* Ctrl-C calls the handler of SIGINT, in another thread. */
int posix_sigaction(int number, const struct sigaction *action);
void (*posix_signal(int number, void (*handler)(int number)))(int number);
#define signal(number, handler) posix_signal(number, handler)
#define sigaction(number, action, old) posix_sigaction(number, action)
#define sigaddset(set, number) ((void)(*(set) |= 1 << (number)))

#endif
