/* Waits for a stream that pauses, and gives up after some timeouts in a row: timeout URL SECONDS TIMEOUTS */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    unsigned long long bytes = 0;
    RTMP *r = RTMP_Alloc();
    if (argc != 4 || !r)
        return 2;
    int timeouts = 0, most = atoi(argv[3]), count;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    r->Link.timeout = atoi(argv[2]);                 /* seconds, for each wait */
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        /* [read] */
        for (;;) {
            count = RTMP_Read(r, buffer, sizeof buffer);
            if (count > 0) {
                bytes += (unsigned long long)count;
                timeouts = 0;
            } else if (RTMP_GetLastError(r) == RTMP_ERR_TIMEDOUT && RTMP_IsConnected(r) && ++timeouts < most) {
                printf("no data for %d s\n", timeouts * r->Link.timeout);
                fflush(stdout);
                r->m_read.status = 0;                /* the stream continues where it paused */
            } else {
                break;
            }
        }
        /* [read end] */
    }
    printf("%llu bytes, %s\n", bytes, RTMP_GetErrorString(r));
    int ended = RTMP_GetLastError(r) == RTMP_ERR_ENDED;
    RTMP_Close(r);
    RTMP_Free(r);
    return !ended;
}
