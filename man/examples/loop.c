/* Examples of the manual pages: numbers, events and hooks. The tests compile and run this file: a thread refuses to serve. */
#include <arpa/inet.h>
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Example: print what happens to a session */
static int on_event(RTMP *r, const RTMPEvent *event, void *arg)
{
    (void)r;
    switch (event->e_type) {
    case RTMP_EVENT_STATUS:
        fprintf(arg, "status: %.*s\n", event->e_code.av_len, event->e_code.av_val);
        break;
    case RTMP_EVENT_STALL:
        fprintf(arg, "nothing sent for %u ms\n", (unsigned)event->e_stalled);
        return event->e_stalled < 5000;                            /* FALSE aborts the session */
    }
    return TRUE;                                                   /* also for types of later versions */
}

static void watch(RTMP *r)
{
    RTMP_SetEventCallback(r, on_event, stderr);
}

/* Example: count the bytes that a session sends */
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

/* Example: write the log of one session to a file of its own */
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
        printf("%llu bytes sent, %llu waiting, stalled for %u ms\n", (unsigned long long)stats.s_bytesOut,
               (unsigned long long)(stats.s_queued + stats.s_unsent), (unsigned)stats.s_stalled);
}

/* Example: tell a port on which nobody listens from other failures */
static int nobody_listens(RTMP *r)
{
    return RTMP_GetLastError(r) == RTMP_ERR_CONNECT && RTMP_GetLastSystemError(r) == ECONNREFUSED;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    /* A port that is taken, and on which nobody listens. */
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
    if (RTMP_Connect(r, NULL) || !nobody_listens(r) || total != 0)
        return 1;
    print_numbers(r);
    RTMP_Close(r);
    RTMP_Free(r);
    close(taken);
    printf("ok\n");
    return 0;
}
