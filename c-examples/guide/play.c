#include <stdio.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

int main(int argc, char **argv)
{
    char example[] = "rtmp://localhost/live/stream live=1";   /* options follow the URL; the library changes the text */
    static char buffer[64 * 1024];
    int n, result = 1;

    RTMP *rtmp = RTMP_Alloc();
    if (!rtmp)
        return 1;
    RTMP_LogSetLevel(RTMP_LOGCRIT);                       /* this program prints the reason itself */
    RTMP_Init(rtmp);
    rtmp->Link.timeout = 10;                              /* seconds for each wait */
    if (RTMP_SetupURL(rtmp, argc > 1 ? argv[1] : example) &&
        RTMP_Connect(rtmp, NULL) &&                       /* TCP, handshake, connect command */
        RTMP_ConnectStream(rtmp, 0)) {                    /* returns when the stream plays */
        while ((n = RTMP_Read(rtmp, buffer, sizeof buffer)) > 0)   /* FLV bytes */
            fwrite(buffer, 1, (size_t)n, stdout);
        result = RTMP_GetLastError(rtmp) != RTMP_ERR_ENDED;   /* the end of the stream, or a lost connection? */
    }
    if (result)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(rtmp));   /* play: NetStream.Play.StreamNotFound: no such stream */
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    return result;
}
