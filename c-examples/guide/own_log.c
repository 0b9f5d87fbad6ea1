/* Passes the library's log on to the program's own log: own_log URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>

/* [callback] */
/* Called on the thread whose call reports something. It may not use the session of that call. */
static void log_line(int level, const char *format, va_list arguments)
{
    static const char *const names[] = { "critical", "error", "warning", "info", "debug" };
    char line[512];
    if (level < 0 || level > RTMP_LOGDEBUG)
        return;
    vsnprintf(line, sizeof line, format, arguments);  /* both are valid only during this call */
    printf("librtmp %s: %s\n", names[level], line);
}
/* [callback end] */

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    RTMP_LogSetCallback(log_line);                   /* for the whole process */
    RTMP_LogSetLevel(RTMP_LOGDEBUG);
    RTMP *r = RTMP_Alloc();
    if (!r)
        return 1;
    RTMP_Init(r);
    int ok = RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
