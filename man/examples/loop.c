/* Examples of the manual pages: numbers, events, hooks, event loops, and several streams on one connection. The tests compile
 * and run this file. */
#include <arpa/inet.h>
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Example with a callback: print what happens to a session */
static int on_event(RTMP *r, const RTMPEvent *event, void *arg)
{
    (void)r;
    switch (event->e_type) {
    case RTMP_EVENT_STATUS:
        fprintf(arg, "status: %.*s\n", event->e_code.av_len, event->e_code.av_val);
        break;
    case RTMP_EVENT_STALL:
        fprintf(arg, "the server has received nothing for %u ms\n", (unsigned)event->e_stalled);
        return event->e_stalled < 5000;                            /* FALSE ends the call */
    }
    return TRUE;                                                   /* also for types of later versions */
}

static void watch(RTMP *r)
{
    RTMP_SetEventCallback(r, on_event, stderr);
}

/* Example with a callback: count the bytes that a session sends */
static int count_and_send(RTMP *r, const char *bytes, int size, void *arg)
{
    ssize_t sent = send(RTMP_Socket(r), bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent > 0)
        *(long *)arg += sent;
    return (int)sent;
}

static void count(RTMP *r, long *total)
{
    RTMP_SetSendCallback(r, count_and_send, total);
}

/* Example with a callback: write the log of one session to a file of its own */
static void log_line(RTMP *r, int level, const char *line, void *arg)
{
    (void)r;
    fprintf(arg, "%d %s\n", level, line);
}

static void log_to(RTMP *r, FILE *file)
{
    RTMP_SetSessionLog(r, log_line, file);
}

/* Example: print how fast a publisher sends, and whether it stalls */
static void print_numbers(RTMP *r)
{
    RTMPStats stats = { .s_size = sizeof stats };
    if (RTMP_GetStats(r, &stats))
        printf("%llu bytes sent, %llu not received, stalled for %u ms\n", (unsigned long long)stats.s_bytesOut,
               (unsigned long long)(stats.s_queued + stats.s_unsent), (unsigned)stats.s_stalled);
}

/* Example: detect that the server is not running */
static int is_refused(RTMP *r)
{
    return RTMP_GetLastError(r) == RTMP_ERR_CONNECT && RTMP_GetLastSystemError(r) == ECONNREFUSED;
}

/* Example: wait for a session with poll, and let it do what it can */
static int wait_and_step(RTMP *r)
{
    struct pollfd fds[8];
    int count = RTMP_GetPollFds(r, fds, 8);                        /* ask again before each wait */
    poll(fds, (nfds_t)(count < 8 ? count : 8), RTMP_GetPollTimeout(r));
    return RTMP_Step(r);                                           /* RTMP_STEP_* bits */
}

/* Example: connect without waiting in a call */
static int connect_in_steps(RTMP *r, char *url)
{
    int state = 0;
    if (!RTMP_SetNonBlocking(r, 1) || !RTMP_SetupURL(r, url))
        return 0;
    RTMP_Connect(r, NULL);                                         /* RTMP_ERR_AGAIN: RTMP_Step continues */
    while (!(state & (RTMP_STEP_CONNECTED | RTMP_STEP_FAILED)))
        state = wait_and_step(r);                                  /* or return to the program's own loop */
    return !(state & RTMP_STEP_FAILED);
}

/* Example: add a session to an epoll descriptor */
static int add_to_epoll(int epoll, RTMP *r)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = r } };
    int fd = RTMP_GetPollFd(r);                                    /* readable whenever RTMP_Step is due */
    return fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Example: publish a second stream on the connection of the first one */
static int publish_second(RTMP *r, const char *flv, int size)
{
    static const AVal name = AVC("second");
    int stream = RTMP_OpenStream(r, &name);                        /* 0 for a failure */
    if (!stream)
        return 0;
    int sent = RTMP_WriteStream(r, stream, flv, size) == size;
    return RTMP_CloseStream(r, stream) && sent;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    /* This port refuses connections: the socket has its number and does not listen. */
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    char url[64];
    long total = 0;
    RTMP *r = RTMP_Alloc();

    if (bind(taken, (struct sockaddr *)&address, len) || getsockname(taken, (struct sockaddr *)&address, &len))
        return 1;
    snprintf(url, sizeof url, "rtmp://127.0.0.1:%d/live/stream", ntohs(address.sin_port));
    RTMP_Init(r);
    if (!RTMP_SetupURL(r, url))
        return 1;
    watch(r);
    count(r, &total);
    log_to(r, stderr);
    if (RTMP_Connect(r, NULL) || !is_refused(r) || total != 0)
        return 1;
    print_numbers(r);
    if (publish_second(r, "FLV", 3))
        return 1;
    RTMP_Close(r);
    RTMP_SetEventCallback(r, NULL, NULL);

    int epoll = epoll_create1(0);
    snprintf(url, sizeof url, "rtmp://127.0.0.1:%d/live/stream", ntohs(address.sin_port));
    RTMP_SetNonBlocking(r, 1);
    if (!add_to_epoll(epoll, r) || connect_in_steps(r, url) || !is_refused(r))
        return 1;
    RTMP_Close(r);
    close(epoll);
    RTMP_Free(r);
    close(taken);
    printf("ok\n");
    return 0;
}
