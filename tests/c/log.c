/* Everything the log functions print that librtmp 2.4 prints, too. Declares what it uses, so that it depends on no
 * header. Writes to standard output; results that no stream shows are printed as `# ...`. */

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

extern unsigned RTMP_debuglevel;
typedef void callback(int level, const char *format, va_list args);
void RTMP_LogSetCallback(callback *cb);
void RTMP_LogSetOutput(FILE *file);
void RTMP_LogPrintf(const char *format, ...);
void RTMP_LogStatus(const char *format, ...);
void RTMP_Log(int level, const char *format, ...);
void RTMP_LogHex(int level, const uint8_t *data, unsigned long len);
void RTMP_LogHexString(int level, const uint8_t *data, unsigned long len);
void RTMP_LogSetLevel(unsigned lvl);
unsigned RTMP_LogGetLevel(void);

static void heading(const char *text)
{
    fflush(stdout);
    printf("# %s\n", text);
}

static void levels(void)
{
    static const int edges[] = { -1, -2147483647 - 1, 6, 50, 2147483647 };
    unsigned limit, n;
    int level;

    heading("levels");
    printf("# initial level %u %u\n", RTMP_LogGetLevel(), RTMP_debuglevel);
    for (limit = 0; limit <= 6; limit++) {
        RTMP_LogSetLevel(limit);
        printf("# level %u %u\n", RTMP_LogGetLevel(), RTMP_debuglevel);
        for (level = 0; level <= 5; level++)
            RTMP_Log(level, "level %d of %u", level, limit);
    }
    RTMP_debuglevel = 2;
    printf("# level %u\n", RTMP_LogGetLevel());
    RTMP_Log(2, "assigned");
    RTMP_Log(3, "above");
    RTMP_LogSetLevel(5);
    for (n = 0; n < sizeof edges / sizeof *edges; n++)
        RTMP_Log(edges[n], "edge %u", n);
    RTMP_LogSetLevel(4000000000u);
    printf("# level %u\n", RTMP_LogGetLevel());
    RTMP_Log(5, "huge limit");
}

static void arguments(void)
{
    static char big[5000];
    int lengths[] = { 2045, 2046, 2047, 2048, 4999 };
    unsigned n;

    heading("arguments");
    RTMP_LogSetLevel(5);
    RTMP_Log(1, "%d %s %c %lld %.3f %Lf %p %u %x %g", 1, "two", '3', 1LL << 40, 5.0, (long double)6, (void *)0, 8u, 9u, 1e10);
    RTMP_Log(1, "%d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    RTMP_Log(1, "%f %f %f %f %f %f %f %f %f %f", 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.);
    RTMP_Log(1, "%s", "");
    RTMP_Log(1, "newline\n");
    RTMP_Log(1, "control \001\033 stays");
    RTMP_Log(1, "%ls|", L"\x4e00");
    RTMP_LogPrintf("a%lsb\n", L"\x4e00");
    for (n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        memset(big, 'x', lengths[n]);
        big[lengths[n]] = '\0';
        RTMP_Log(1, "%s", big);
        big[lengths[n] - 1] = '\n';
        RTMP_LogPrintf("%s", big);
        RTMP_LogStatus("%s", big);
        RTMP_LogPrintf("\n");
    }
}

static void unnamed(void)
{
    heading("no-name");
    RTMP_LogSetLevel(5);
    RTMP_Log(0, "no-name");
    RTMP_Log(1, "before no-name. after");
    RTMP_Log(1, "no-nam");
    RTMP_LogPrintf("printf no-name\n");
    RTMP_LogStatus("S");
    RTMP_Log(1, "no-name is gone");
    RTMP_Log(1, "on a line of its own");
    RTMP_LogSetLevel(6);
    RTMP_Log(1, "shown no-name");
}

static void dumps(void)
{
    static const unsigned long lengths[] = { 0, 1, 8, 9, 15, 16, 17, 32, 33, 256 };
    static uint8_t data[65600];
    unsigned n;

    heading("dumps");
    for (n = 0; n < sizeof data; n++)
        data[n] = (uint8_t)n;
    RTMP_LogSetLevel(4);
    for (n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        printf("# length %lu\n", lengths[n]);
        RTMP_LogHex(4, data, lengths[n]);
        RTMP_LogHexString(3, data, lengths[n]);
    }
    RTMP_LogHex(5, data, 16);
    RTMP_LogHexString(5, data, 16);
    RTMP_LogHex(-1, data, 16);
    RTMP_LogHexString(4, NULL, 16);
    heading("a long dump");
    RTMP_LogHexString(4, data, sizeof data);
}

static void newlines(void)
{
    heading("newlines");
    RTMP_LogSetLevel(1);
    RTMP_LogStatus("a");
    RTMP_LogStatus("b\r");
    RTMP_LogPrintf("p\n");
    RTMP_LogStatus("S");
    RTMP_Log(2, "dropped");
    RTMP_LogPrintf("P\n");
    RTMP_LogStatus("S");
    RTMP_Log(1, "logged");
    RTMP_LogPrintf("no newline");
    RTMP_LogStatus("status");
    RTMP_LogStatus("%s", "");
    RTMP_Log(1, "logged");
    RTMP_LogStatus("%s", "");
    RTMP_LogPrintf("after an empty status\n");
    heading("nothing at CRIT");
    RTMP_LogSetLevel(0);
    RTMP_LogPrintf("printf\n");
    RTMP_LogStatus("status\n");
    RTMP_Log(0, "but RTMP_LOGCRIT");
}

static long size_of(FILE *file)
{
    struct stat status;

    return fstat(fileno(file), &status) == 0 ? (long)status.st_size : -1;
}

static void streams(void)
{
    FILE *file = tmpfile();
    char line[100];

    heading("streams");
    if (file == NULL)
        return;
    setvbuf(file, NULL, _IOFBF, 4096);
    RTMP_LogSetLevel(1);
    RTMP_LogSetOutput(file);
    RTMP_Log(1, "is not flushed");
    printf("# %ld\n", size_of(file));
    RTMP_LogPrintf("nor is this");
    printf("# %ld\n", size_of(file));
    RTMP_LogPrintf(" until the newline\n");
    printf("# %ld\n", size_of(file));
    RTMP_LogStatus("a status is");
    printf("# %ld\n", size_of(file));
    RTMP_LogSetOutput(stdout);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        printf("# %s\n", line);
    fclose(file);
    RTMP_Log(1, "the newline is owed by any stream");
    fflush(stdout);
    RTMP_LogSetOutput(NULL);
    RTMP_Log(1, "to stderr");
    RTMP_LogPrintf("to stderr, too\n");
    RTMP_LogSetOutput(stdout);
}

static void print_call(int level, const char *format, va_list args)
{
    char text[8000];

    vsnprintf(text, sizeof text, format, args);
    printf("callback(%d, \"%.40s\") %u [%s]\n", level, format, (unsigned)strlen(text), text);
}

static void callbacks(void)
{
    static uint8_t data[40];
    static char big[5000];

    heading("callbacks");
    RTMP_LogSetCallback(print_call);
    RTMP_LogSetLevel(4);
    RTMP_Log(1, "%d %s %.2f", 1, "two", 3.0);
    RTMP_Log(5, "above");
    RTMP_Log(-1, "negative");
    RTMP_Log(1, "no-name passes\n");
    memset(big, 'y', sizeof big - 1);
    RTMP_Log(1, "%s", big);
    RTMP_LogHex(4, data, 17);
    RTMP_LogHexString(4, data, 0);
    RTMP_LogHexString(4, data, 17);
    RTMP_LogHexString(5, data, 17);
    RTMP_LogPrintf("printf does not come here\n");
    RTMP_LogStatus("nor does status");
    RTMP_Log(1, "and a callback owes no newline");
    RTMP_LogPrintf("the next printf does\n");
    RTMP_LogSetLevel((unsigned)-1);
    RTMP_Log(-5, "negative under a huge limit");
    RTMP_Log(50, "fifty");
}

int main(void)
{
    alarm(30);
    RTMP_LogSetOutput(stdout);
    levels();
    arguments();
    unnamed();
    dumps();
    newlines();
    streams();
    callbacks();
    return 0;
}
