/* Prints what happens to a session while it plays: events URL */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <stdio.h>

/* [events] */
/* Called in the thread that is in a call about the session. FALSE would end that call. */
static int on_event(RTMP *r, const struct RTMPEvent *event, void *user)
{
    int *count = user;
    (void)r;
    ++*count;
    switch (event->e_type) {
    case RTMP_EVENT_SOCKET:
        printf("socket %d\n", event->e_socket >= 0); /* a place for setsockopt */
        break;
    case RTMP_EVENT_STATUS:
        printf("status %.*s: %.*s\n", event->e_code.av_len, event->e_code.av_val, event->e_description.av_len,
               event->e_description.av_val);
        break;
    case RTMP_EVENT_STALL:
        printf("the server has received nothing for %u ms\n", (unsigned)event->e_stalled);
        break;
    case RTMP_EVENT_RECONNECT:
        printf("the server wants its clients to connect again, %.*s\n", event->e_url.av_len, event->e_url.av_val);
        break;
    default:                                         /* later versions add types */
        break;
    }
    return TRUE;
}

/* This session's part of the log. */
static void on_log(RTMP *r, int level, const char *line, void *user)
{
    (void)r;
    (void)user;
    if (level <= RTMP_LOGERROR)
        printf("log: %s\n", line);
}
/* [events end] */

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    int events = 0;
    RTMP *r = RTMP_Alloc();
    if (argc != 2 || !r)
        return 2;
    RTMP_Init(r);
    RTMP_SetEventCallback(r, on_event, &events);     /* until RTMP_Close */
    RTMP_SetSessionLog(r, on_log, NULL);
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0))
        while (RTMP_Read(r, buffer, sizeof buffer) > 0)
            ;
    int ended = RTMP_GetLastError(r) == RTMP_ERR_ENDED;
    printf("%d events\n", events);
    RTMP_Close(r);
    RTMP_Free(r);
    return !ended;
}
