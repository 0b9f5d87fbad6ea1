/* Seeks and pauses in a recorded stream: seek_pause URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>

/* Reads until the stream's time has reached `until` milliseconds; returns where it is, or -1 at the end. */
static long play_until(RTMP *r, uint32_t until)
{
    static char buffer[64 * 1024];
    while (RTMP_Read(r, buffer, sizeof buffer) > 0)
        if (r->m_read.timestamp >= until)            /* of the last tag that was returned */
            return (long)r->m_read.timestamp;
    return -1;
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int ok = 0;
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    RTMP_SetBufferMS(r, 1000);                       /* let the server send only a second ahead */
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        printf("playing at %ld ms\n", play_until(r, 500));
        /* [control] */
        ok = RTMP_SendSeek(r, 6000);                 /* milliseconds; RTMP_Read drops what comes before the answer */
        long after_seek = play_until(r, 1);          /* the server goes to a key frame at or before that time */
        printf("after the seek at %ld ms\n", after_seek);
        ok = ok && RTMP_Pause(r, TRUE);              /* at the current position … */
        ok = ok && RTMP_Pause(r, FALSE);             /* … and on from there */
        long after_pause = play_until(r, (uint32_t)after_seek + 500);
        printf("after the pause at %ld ms\n", after_pause);
        /* [control end] */
        ok = ok && after_seek >= 4000 && after_pause > after_seek;
    }
    if (!ok)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
