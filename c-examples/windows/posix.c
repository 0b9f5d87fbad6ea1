#include "posix.h"

#undef socket
#undef accept
#undef bind
#undef listen
#undef shutdown
#undef setsockopt
#undef recv
#undef send
#undef rename
#undef signal

static void stop(void) { WSACleanup(); }

__attribute__((constructor)) static void start(void)
{
    WSADATA data;
    _fmode = _O_BINARY;
    for (int fd = 0; fd < 3; fd++)
        _setmode(fd, _O_BINARY);
    if (WSAStartup(MAKEWORD(2, 2), &data) == 0)
        atexit(stop);
}

/* ---- sockets ---- */

static int error_number(int error)
{
    switch (error) {
    case WSAEWOULDBLOCK: return EAGAIN;
    case WSAEINTR: return EINTR;
    case WSAEBADF: case WSAENOTSOCK: return EBADF;
    case WSAEACCES: return EACCES;
    case WSAEINVAL: return EINVAL;
    case WSAEMFILE: case WSAENOBUFS: return EMFILE;
    case WSAEADDRINUSE: return EADDRINUSE;
    case WSAEADDRNOTAVAIL: return EADDRNOTAVAIL;
    case WSAECONNABORTED: return ECONNABORTED;
    case WSAECONNRESET: return ECONNRESET;
    case WSAENOTCONN: return ENOTCONN;
    case WSAESHUTDOWN: return EPIPE;
    case WSAETIMEDOUT: return ETIMEDOUT;
    default: return EIO;
    }
}

/* The result of a call of Winsock: SOCKET_ERROR is -1, and INVALID_SOCKET becomes it. */
static int result(int value)
{
    if (value == -1)
        errno = error_number(WSAGetLastError());
    return value;
}

static SOCKET handle(int fd) { return (SOCKET)(intptr_t)fd; }

static int is_socket(int fd)
{
    int type, length = sizeof type;
    return getsockopt(handle(fd), SOL_SOCKET, SO_TYPE, (char *)&type, &length) == 0;
}

int posix_socket(int domain, int type, int protocol) { return result((int)socket(domain, type, protocol)); }

int posix_socketpair(int domain, int type, int protocol, int pair[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
    int length = sizeof address, failed;
    SOCKET listener = socket(AF_INET, type, 0), near_end = INVALID_SOCKET, far_end = INVALID_SOCKET;
    (void)domain, (void)protocol;
    failed = listener == INVALID_SOCKET || bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1) != 0
             || getsockname(listener, (struct sockaddr *)&address, &length) != 0
             || (near_end = socket(AF_INET, type, 0)) == INVALID_SOCKET
             || connect(near_end, (struct sockaddr *)&address, length) != 0
             || getsockname(near_end, (struct sockaddr *)&address, &length) != 0;
    while (!failed) { /* any program of this machine can connect */
        failed = (far_end = accept(listener, (struct sockaddr *)&from, &length)) == INVALID_SOCKET;
        if (failed || from.sin_port == address.sin_port)
            break;
        closesocket(far_end);
    }
    int error = WSAGetLastError();
    if (listener != INVALID_SOCKET)
        closesocket(listener);
    if (failed && near_end != INVALID_SOCKET)
        closesocket(near_end);
    pair[0] = (int)near_end;
    pair[1] = (int)far_end;
    WSASetLastError(error);
    return result(failed ? -1 : 0);
}

int posix_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return result((int)accept(handle(fd), address, length));
}

int posix_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return result(bind(handle(fd), address, length));
}

int posix_listen(int fd, int backlog) { return result(listen(handle(fd), backlog)); }

int posix_shutdown(int fd, int how) { return result(shutdown(handle(fd), how)); }

int posix_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    if (level == SOL_SOCKET && option == SO_REUSEADDR)
        return 0; /* there it lets other programs take the port */
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO)) {
        const struct timeval *time = value;
        DWORD milliseconds = (DWORD)(time->tv_sec * 1000 + time->tv_usec / 1000);
        return result(setsockopt(handle(fd), level, option, (char *)&milliseconds, sizeof milliseconds));
    }
    return result(setsockopt(handle(fd), level, option, value, length));
}

ssize_t posix_recv(int fd, void *bytes, size_t size, int flags)
{
    return result(recv(handle(fd), bytes, (int)size, flags & ~MSG_DONTWAIT));
}

ssize_t posix_send(int fd, const void *bytes, size_t size, int flags)
{
    return result(send(handle(fd), bytes, (int)size, flags & ~MSG_DONTWAIT));
}

int posix_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct pollfd sockets[64], *asked = count <= 64 ? sockets : malloc(count * sizeof *asked);
    nfds_t used = 0;
    int ready = 0;
    if (!asked) {
        errno = ENOMEM;
        return -1;
    }
    for (nfds_t i = 0; i < count; i++) {
        int is_used = fds[i].fd != INVALID_SOCKET, file = is_used && !is_socket((int)fds[i].fd);
        fds[i].revents = file ? fds[i].events : 0;
        ready += file;
        if (is_used && !file)
            asked[used++] = fds[i];
    }
    if (used == 0) {
        if (ready == 0)
            Sleep(timeout < 0 ? INFINITE : (DWORD)timeout);
    } else {
        int found = result(WSAPoll(asked, used, ready ? 0 : timeout));
        ready = found < 0 ? -1 : ready + found;
        for (nfds_t i = 0, at = 0; i < count && at < used; i++)
            if (fds[i].fd == asked[at].fd)
                fds[i].revents = asked[at++].revents;
    }
    if (asked != sockets)
        free(asked);
    return ready;
}

int posix_dup(int fd)
{
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW(handle(fd), GetCurrentProcessId(), &info) != 0)
        return result(-1);
    return result((int)WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED));
}

/* ---- files ---- */

int posix_fcntl(int fd, int command, int flags)
{
    u_long on = (flags & O_NONBLOCK) != 0;
    return command == F_SETFL && is_socket(fd) ? result(ioctlsocket(handle(fd), (long)FIONBIO, &on)) : 0;
}

/* Reads or writes at `offset`, and leaves the position of the file. */
static ssize_t at_offset(int fd, void *read_to, const void *written, size_t size, off_t offset)
{
    off_t before = lseek(fd, 0, SEEK_CUR);
    if (before < 0 || lseek(fd, offset, SEEK_SET) < 0)
        return -1;
    ssize_t count = read_to ? read(fd, read_to, (unsigned)size) : write(fd, written, (unsigned)size);
    int error = errno;
    if (lseek(fd, before, SEEK_SET) < 0)
        return -1;
    errno = error;
    return count;
}

ssize_t posix_pread(int fd, void *bytes, size_t size, off_t offset) { return at_offset(fd, bytes, NULL, size, offset); }

ssize_t posix_pwrite(int fd, const void *bytes, size_t size, off_t offset) { return at_offset(fd, NULL, bytes, size, offset); }

ssize_t posix_writev(int fd, const struct iovec *parts, int count)
{
    ssize_t done = 0;
    for (int i = 0; i < count; i++) {
        int written = write(fd, parts[i].iov_base, (unsigned)parts[i].iov_len);
        if (written < 0)
            return done > 0 ? done : -1;
        done += written;
        if ((size_t)written < parts[i].iov_len)
            break;
    }
    return done;
}

int posix_rename(const char *from, const char *to)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING))
        return 0;
    errno = GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EACCES;
    return -1;
}

/* "nul.flv" is a device, too. */
static int is_device(const char *name)
{
    static const char *const devices[] = { "CON", "PRN", "AUX", "NUL", "COM", "LPT" };
    size_t length = strcspn(name, ".");
    while (length > 0 && name[length - 1] == ' ')
        length--;
    for (int i = 0; i < 6; i++)
        if (_strnicmp(name, devices[i], 3) == 0 && length == (i < 4 ? 3 : 4))
            return 1;
    return 0;
}

int posix_open_in(const char *folder, const char *name, int flags, int mode)
{
    char path[4096];
    if (is_device(name) || strpbrk(name, "<>:\"|?*/\\")) {
        errno = ENOENT;
        return -1;
    }
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    DWORD attributes = GetFileAttributesA(path);
    if (attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_REPARSE_POINT) {
        errno = ELOOP; /* a link */
        return -1;
    }
    return open(path, flags & ~O_NONBLOCK, mode);
}

/* ---- time and signals ---- */

int posix_clock(struct timespec *now)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    now->tv_sec = (time_t)(count.QuadPart / frequency.QuadPart);
    now->tv_nsec = (long)(count.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart);
    return 0;
}

static void (*handlers[NSIG])(int number);

/* Windows forgets a handler when it calls it. */
static void on_signal(int number)
{
    signal(number, on_signal);
    handlers[number](number);
}

void (*posix_signal(int number, void (*handler)(int number)))(int number)
{
    return number < NSIG ? signal(number, handler) : SIG_DFL;
}

int posix_sigaction(int number, const struct sigaction *action)
{
    if (number >= NSIG)
        return 0;
    handlers[number] = action->sa_handler;
    return signal(number, on_signal) == SIG_ERR ? -1 : 0;
}
