/* What the Android binding does, against librtmp/compat/antmedia.h: compat_antmedia URL publish|play */
#include <librtmp/compat/antmedia.h>
#include <librtmp/log.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const char flv[] = "FLV\1\4\0\0\0\11\0\0\0\0" "\x08\0\0\7\0\0\0\0\0\0\0\xAF\1first\0\0\0\x12";
    static char buffer[64 * 1024];
    int result, count, total = 0;
    if (argc != 3)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP *rtmp = RTMP_Alloc();
    RTMP_Init(rtmp);
    rtmp->Link.receiveTimeoutInMs = 2500;
    rtmp->Link.sendTimeoutInMs = 1500;
    result = RTMP_SetupURL(rtmp, argv[1]);
    if (result == 0 && strcmp(argv[2], "publish") == 0)
        RTMP_EnableWrite(rtmp);
    if (result == 0)
        result = RTMP_Connect(rtmp, NULL);
    if (result == 0)
        result = RTMP_ConnectStream(rtmp, 0);
    if (result == 0 && strcmp(argv[2], "publish") == 0) {
        count = RTMP_Write(rtmp, flv, sizeof flv - 1);
        printf("wrote %d\n", count == (int)sizeof flv - 1);
    } else if (result == 0) {
        while ((count = RTMP_Read(rtmp, buffer, sizeof buffer)) > 0)
            total += count;
        printf("read %d, then %d, pause %d\n", total, count, RTMP_Pause(rtmp, 1) < 0);
    }
    printf("result %d\n", result);
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    return 0;
}
