/* Ends a call from another thread: cancel URL. It plays for a second at most, whatever the server does. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* [cancel] */
static void *stop_after_a_second(void *session)
{
    struct timespec time = { 1, 0 };
    nanosleep(&time, NULL);
    RTMP_Abort(session);                             /* safe in any thread, and in signal handlers */
    return NULL;
}

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    pthread_t thread;
    RTMP *r = RTMP_Alloc();
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    r->Link.timeout = 60;                            /* long: the other thread ends the waits */
    if (pthread_create(&thread, NULL, stop_after_a_second, r) != 0)
        return 1;
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0))
        while (RTMP_Read(r, buffer, sizeof buffer) > 0)
            ;
    puts(RTMP_GetLastError(r) == RTMP_ERR_ABORTED ? "cancelled" : RTMP_GetErrorString(r));
    pthread_join(thread, NULL);                      /* nothing may abort a session that is being freed */
    RTMP_Close(r);
    RTMP_Free(r);
    return 0;
}
/* [cancel end] */
