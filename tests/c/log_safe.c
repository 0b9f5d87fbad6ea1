/* What the log functions do where librtmp 2.4 crashes or hangs; see tests/c_api/log.rs for the expected output. */

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef void callback(int level, const char *format, va_list args);
void RTMP_LogSetCallback(callback *cb);
void RTMP_LogSetOutput(FILE *file);
void RTMP_LogPrintf(const char *format, ...);
void RTMP_LogStatus(const char *format, ...);
void RTMP_Log(int level, const char *format, ...);
void RTMP_LogHex(int level, const uint8_t *data, unsigned long len);
void RTMP_LogHexString(int level, const uint8_t *data, unsigned long len);
void RTMP_LogSetLevel(unsigned lvl);

static int calls;

static void count(int level, const char *format, va_list args)
{
    (void)level, (void)format, (void)args;
    calls++;
    if (calls == 1)
        RTMP_Log(1, "a callback may log");
}

static void print_in_handler(int signal)
{
    (void)signal;
    RTMP_LogSetOutput(stdout);
    RTMP_LogPrintf("a handler may print while its thread does\n");
}

/* A stream that interrupts the thread that writes to it. */
static ssize_t interrupted_write(void *cookie, const char *bytes, size_t len)
{
    (void)cookie, (void)bytes;
    raise(SIGUSR1);
    return (ssize_t)len;
}

enum { LINES = 2000 };

static void *write_lines(void *name)
{
    int n;

    for (n = 0; n < LINES; n++) {
        RTMP_Log(1, "%s%s%s%s", (char *)name, (char *)name, (char *)name, (char *)name);
        RTMP_LogStatus("%s", "");
    }
    return NULL;
}

static void threads(void)
{
    static char names[][9] = { "aaaaaaaa", "bbbbbbbb", "cccccccc" };
    FILE *file = tmpfile(), *other = tmpfile(), *files[2];
    pthread_t ids[3];
    char line[100];
    int n, whole = 0, torn = 0;

    if (file == NULL || other == NULL)
        return;
    RTMP_LogSetOutput(file);
    for (n = 0; n < 3; n++)
        if (pthread_create(&ids[n], NULL, write_lines, names[n]) != 0)
            return;
    for (n = 0; n < LINES; n++)
        RTMP_LogSetOutput(n % 2 ? file : other);
    for (n = 0; n < 3; n++)
        pthread_join(ids[n], NULL);
    RTMP_LogSetOutput(stdout);
    files[0] = file, files[1] = other;
    for (n = 0; n < 2; n++) {
        rewind(files[n]);
        while (fgets(line, sizeof line, files[n]) != NULL) {
            if (strlen(line) == 7 + 32 + 1 && strspn(line + 7, (char[]){ line[7], '\0' }) == 32)
                whole++;
            else if (strcmp(line, "\n") != 0)
                torn++;
        }
        fclose(files[n]);
    }
    printf("%d whole lines, %d torn\n", whole, torn);
}

int main(void)
{
    static const cookie_io_functions_t interrupting = { .write = interrupted_write };
    FILE *stream;

    alarm(30);
    setvbuf(stdout, NULL, _IONBF, 0);
    RTMP_LogSetOutput(stdout);
    RTMP_LogSetLevel((unsigned)-1);
    RTMP_Log(6, "level 6");
    RTMP_Log(50, "level 50");
    RTMP_Log(-1, "level -1");
    RTMP_LogSetLevel(5);

    RTMP_LogSetCallback(count);
    RTMP_Log(1, "counted");
    RTMP_LogSetCallback(NULL);
    printf("%d calls\n", calls);
    RTMP_Log(1, "the built-in writer is back");

    RTMP_LogPrintf("%s", "");
    RTMP_LogPrintf(NULL);
    RTMP_LogStatus(NULL);
    RTMP_Log(1, NULL);
    RTMP_LogHex(1, NULL, 16);
    RTMP_LogHexString(1, NULL, 16);
    RTMP_Log(1, "nothing before this but the newline of a status");
    RTMP_LogHex(1, (const uint8_t *)"", ~0ul);

    signal(SIGUSR1, print_in_handler);
    stream = fopencookie(NULL, "w", interrupting);
    if (stream == NULL)
        return 1;
    setvbuf(stream, NULL, _IONBF, 0);
    RTMP_LogSetOutput(stream);
    RTMP_LogPrintf("interrupted\n");
    fclose(stream);
    RTMP_Log(1, "and the lock is free again");

    threads();
    return 0;
}
