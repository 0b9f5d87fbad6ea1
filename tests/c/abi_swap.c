/*
 * Uses the variables of the library from both sides: a program that assigns to one must reach the library, and the
 * library the program. Prints the same on every librtmp.
 */
#include <stdio.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

int main(void)
{
    RTMP_LogLevel at_first = RTMP_debuglevel;
    RTMP_LogLevel through_variable;
    int interrupt_at_first = RTMP_ctrlC;
    RTMP *session;
    int row;

    printf("version %d\n", RTMP_LibVersion());

    RTMP_debuglevel = RTMP_LOGDEBUG;
    through_variable = RTMP_LogGetLevel();
    RTMP_LogSetLevel(RTMP_LOGWARNING);
    printf("level %u, then %u through the variable and %u through the function\n", at_first, through_variable,
           RTMP_debuglevel);

    RTMP_UserInterrupt();
    printf("interrupt %d, then %d\n", interrupt_at_first, RTMP_ctrlC);

    printf("flash version %.*s\n", RTMP_DefaultFlashVer.av_len, RTMP_DefaultFlashVer.av_val);
    printf("protocols");
    for (row = 0; row < 9; row++)
        printf(" %s", RTMPProtocolStringsLower[row][0] ? RTMPProtocolStringsLower[row] : "-");
    puts("");

    session = RTMP_Alloc();
    printf("allocated %s\n", session ? "yes" : "no");
    RTMP_Free(session);
    return 0;
}
