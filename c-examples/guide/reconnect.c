/* Records a live stream and connects again when the connection is lost: reconnect URL FILE [ATTEMPTS] */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum outcome { ENDED, TRY_AGAIN, GIVE_UP };

/* [decide] */
/* Which failures another attempt can help against. */
static enum outcome decide(int error)
{
    switch (error) {
    case RTMP_ERR_ENDED:
        return ENDED;
    case RTMP_ERR_RESOLVE: case RTMP_ERR_CONNECT: case RTMP_ERR_TIMEDOUT: case RTMP_ERR_CLOSED: case RTMP_ERR_IO:
    case RTMP_ERR_REFUSED:                           /* the publisher may not be there yet */
        return TRY_AGAIN;
    default:                                         /* URL, option, certificate … */
        return GIVE_UP;
    }
}
/* [decide end] */

static enum outcome record(const char *url, FILE *file, unsigned long long *bytes)
{
    static char buffer[64 * 1024];
    char *text = strdup(url);                        /* a fresh copy for each attempt: the library changes it */
    RTMP *r = RTMP_Alloc();
    int count;
    if (!text || !r)
        return GIVE_UP;
    RTMP_Init(r);
    r->Link.timeout = 10;
    if (RTMP_SetupURL(r, text) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        while ((count = RTMP_Read(r, buffer, sizeof buffer)) > 0) {
            fwrite(buffer, 1, (size_t)count, file);
            *bytes += (unsigned long long)count;
        }
    }
    enum outcome outcome = decide(RTMP_GetLastError(r));
    if (outcome != ENDED)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    free(text);
    return outcome;
}

/* [loop] */
int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int attempts = argc > 3 ? atoi(argv[3]) : 10, wait = 1;
    enum outcome outcome = TRY_AGAIN;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    for (int attempt = 1; outcome == TRY_AGAIN && attempt <= attempts; attempt++) {
        char name[512];
        unsigned long long bytes = 0;
        snprintf(name, sizeof name, "%s.%d.flv", argv[2], attempt);  /* FLV files cannot simply be joined */
        FILE *file = fopen(name, "wb");
        if (!file)
            return 1;
        outcome = record(argv[1], file, &bytes);
        fclose(file);
        if (bytes > 0)
            wait = 1;                                /* it worked for a while: start with short waits again */
        else
            remove(name);
        if (outcome == TRY_AGAIN && attempt < attempts) {
            struct timespec time = { wait, 0 };
            fprintf(stderr, "next attempt in %d s\n", wait);
            nanosleep(&time, NULL);
            wait = wait < 16 ? wait * 2 : 30;        /* 1, 2, 4, 8, 16, 30, 30 … seconds */
        }
    }
    return outcome != ENDED;
}
/* [loop end] */
