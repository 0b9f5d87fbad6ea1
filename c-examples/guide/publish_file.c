/* Publishes an FLV file in real time: publish_file FILE URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned char tag[11 + 0xFFFFFF + 4];

/* Reads the next tag of an FLV file. Returns its size, or 0 at the end. */
static size_t read_tag(FILE *file)
{
    if (fread(tag, 1, 11, file) != 11)
        return 0;
    size_t rest = ((size_t)tag[1] << 16 | tag[2] << 8 | tag[3]) + 4;  /* the body, and the size behind it */
    return fread(tag + 11, 1, rest, file) == rest ? 11 + rest : 0;
}

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    if (ms > 0)
        nanosleep(&time, NULL);
}

int main(int argc, char **argv)
{
    size_t size;
    int ok = 0;
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    RTMP *r = RTMP_Alloc();
    if (!file || !r) {
        fprintf(stderr, "usage: publish_file FILE URL\n");
        return 2;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (RTMP_SetupURL(r, argv[2])) {
        RTMP_EnableWrite(r);                         /* publish instead of play */
        ok = RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    }
    fseek(file, 13, SEEK_SET);                       /* the file header */
    uint32_t start = 0;
    while (ok && (size = read_tag(file)) > 0) {
        uint32_t due = (uint32_t)tag[7] << 24 | (uint32_t)tag[4] << 16 | (uint32_t)tag[5] << 8 | tag[6];
        if (due > 0 && start == 0)
            start = RTMP_GetTime() - due;            /* recordings of live streams may begin late */
        if (due > 0)
            sleep_ms((long)(int32_t)(start + due - RTMP_GetTime()));
        ok = RTMP_Write(r, (const char *)tag, (int)size) > 0;
    }
    if (!ok)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);                                   /* waits until the server has received everything */
    RTMP_Free(r);
    fclose(file);
    return !ok;
}
