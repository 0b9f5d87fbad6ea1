/* Connects through a proxy: proxy PROXY URL
 * For example: proxy socks5://user:password@proxy.example.com:1080 rtmp://localhost/live/stream */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const AVal option = AVC("socks");         /* also for HTTP proxies */
    RTMP *r = RTMP_Alloc();
    if (argc != 3 || !r)
        return 2;
    AVal proxy = { argv[1], (int)strlen(argv[1]) };
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    /* [proxy] */
    int ok = RTMP_SetOpt(r, &option, &proxy)         /* before RTMP_SetupURL */
        && RTMP_SetupURL(r, argv[2]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    if (!ok && RTMP_GetLastError(r) == RTMP_ERR_PROXY)
        printf("the proxy does not connect: %s\n", RTMP_GetErrorString(r));
    /* [proxy end] */
    else
        puts(ok ? "connected" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
