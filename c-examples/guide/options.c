/* Settings that do not come from the URL: options [NAME VALUE]... URL
 * For example: options pubUser me pubPasswd secret timeout 5 rtmp://host/app/stream */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>

static AVal text(char *string)
{
    AVal value = { string, (int)strlen(string) };
    return value;
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int ok = argc > 1 && argc % 2 == 0 && r;
    if (!ok)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    /* [options] */
    for (int i = 1; ok && i + 2 < argc; i += 2) {
        AVal name = text(argv[i]), value = text(argv[i + 1]);
        ok = RTMP_SetOpt(r, &name, &value);          /* keeps pointing to the value until RTMP_Close */
    }
    ok = ok && RTMP_SetupURL(r, argv[argc - 1]);     /* after the options: it needs some of them */
    /* [options end] */
    RTMP_EnableWrite(r);
    ok = ok && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    puts(ok ? "connected" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
