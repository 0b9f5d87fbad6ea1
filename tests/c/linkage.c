/*
 * Uses the variables of the library from both sides, and plays a stream: `linkage URL`. A program that assigns to a
 * variable must reach the library, and the library the program. Prints the same on every librtmp, however it is linked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

static void use_variables(void)
{
    RTMP_LogLevel at_first = RTMP_debuglevel;
    RTMP_LogLevel through_variable;
    int interrupt_at_first = RTMP_ctrlC;
    int row;

    printf("version %d\n", RTMP_LibVersion());

    RTMP_debuglevel = RTMP_LOGDEBUG;
    through_variable = RTMP_LogGetLevel();
    RTMP_LogSetLevel(RTMP_LOGWARNING);
    printf("level %u, then %u through the variable and %u through the function\n", at_first, through_variable,
           RTMP_debuglevel);

    RTMP_UserInterrupt();
    printf("interrupt %d, then %d\n", interrupt_at_first, RTMP_ctrlC);
    RTMP_ctrlC = 0;

    printf("flash version %.*s\n", RTMP_DefaultFlashVer.av_len, RTMP_DefaultFlashVer.av_val);
    printf("protocols");
    for (row = 0; row < 9; row++)
        printf(" %s", RTMPProtocolStringsLower[row][0] ? RTMPProtocolStringsLower[row] : "-");
    puts("");
}

static void log_line(int level, const char *format, va_list arguments)
{
    char text[256];

    vsnprintf(text, sizeof(text), format, arguments);
    printf("log %d: %s\n", level, text);
}

static int play(const char *given)
{
    static char buffer[64 * 1024];
    char *url = strdup(given);
    RTMP *session = RTMP_Alloc();
    unsigned long sum = 0;
    long bytes = 0;
    int n, at;

    if (!url || !session)
        return 1;
    RTMP_Init(session);
    session->Link.timeout = 20;
    if (!RTMP_SetupURL(session, url) || !RTMP_Connect(session, NULL) || !RTMP_ConnectStream(session, 0)) {
        puts("no stream");
        return 1;
    }
    while ((n = RTMP_Read(session, buffer, sizeof(buffer))) > 0) {
        for (at = 0; at < n; at++)
            sum = sum * 31 + (unsigned char)buffer[at];
        bytes += n;
    }
    printf("played %ld bytes, sum %08lx, status %d\n", bytes, sum & 0xffffffffUL, session->m_read.status);
    RTMP_Close(session);
    RTMP_Free(session);
    free(url);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    use_variables();
    RTMP_LogSetCallback(log_line);
    RTMP_Log(RTMP_LOGWARNING, "%s %d", "the callback of the program, level", RTMP_LOGWARNING);
    return play(argv[1]);
}
