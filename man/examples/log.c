/* Examples of the manual pages: the log. The tests compile and run this file. */
#include <librtmp/log.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char last[256];

/* Passes the library's messages on to the program's own log. */
static void to_own_log(int level, const char *format, va_list arguments)
{
    (void)level;
    vsnprintf(last, sizeof last, format, arguments);
}

/* Example: pass everything that the library logs to the program's own log.
   to_own_log is void to_own_log(int level, const char *format, va_list arguments), and calls vsnprintf */
static void use_own_log(void)
{
    RTMP_LogSetLevel(RTMP_LOGINFO);
    RTMP_LogSetCallback(to_own_log);
    RTMP_Log(RTMP_LOGINFO, "%d clients", 3);
    RTMP_LogSetCallback(NULL);                                     /* back to the output stream */
}

/* Example: write the log to a file */
static void log_to_file(const char *name)
{
    FILE *file = fopen(name, "a");
    if (!file)
        return;
    RTMP_LogSetOutput(file);
    RTMP_LogLevel before = RTMP_LogGetLevel();
    RTMP_debuglevel = RTMP_LOGDEBUG;                               /* the same as RTMP_LogSetLevel */
    RTMP_LogHex(RTMP_LOGDEBUG, (const uint8_t *)"some bytes", 10);
    RTMP_LogHexString(RTMP_LOGDEBUG, (const uint8_t *)"some bytes", 10);
    RTMP_LogSetLevel(before);
    RTMP_LogSetOutput(NULL);                                       /* standard error again */
    fclose(file);
}

/* Example: print the program's own text and a status line */
static void print_progress(void)
{
    RTMP_LogPrintf("recording to %s\n", "copy.flv");
    for (int percent = 0; percent <= 100; percent += 50)
        RTMP_LogStatus("\r%d %%", percent);
    RTMP_LogPrintf("\n");
}

int main(void)
{
    use_own_log();
    log_to_file("/dev/null");
    print_progress();
    if (strcmp(last, "3 clients") != 0)
        return 1;
    printf("ok\n");
    return 0;
}
