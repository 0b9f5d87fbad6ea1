/* Publishes two streams over one connection: streams URL SECOND-NAME. Both contain two seconds of sound. */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <stdio.h>
#include <string.h>

/* An FLV tag with a sound at a time in milliseconds. */
static int sound(char *tag, unsigned time)
{
    static const char body[] = "\xAF\1sound";
    const int size = sizeof body - 1;
    memset(tag, 0, 11);
    tag[0] = 8;
    tag[3] = (char)size;
    tag[5] = (char)(time >> 8);
    tag[6] = (char)time;
    memcpy(tag + 11, body, (size_t)size);
    memcpy(tag + 11 + size, "\0\0\0", 3);
    tag[11 + size + 3] = (char)(11 + size);
    return 11 + size + 4;
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int ok = 0;
    if (argc != 3 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (RTMP_SetupURL(r, argv[1])) {
        RTMP_EnableWrite(r);
        ok = RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);   /* opens the first stream */
    }
    /* [streams] */
    AVal name = { argv[2], (int)strlen(argv[2]) };
    int second = ok ? RTMP_OpenStream(r, &name) : 0; /* a number for the calls below; 0 is a failure */
    ok = second > 0;
    for (unsigned time = 0; ok && time < 2000; time += 20) {
        char tag[64];
        int size = sound(tag, time);
        ok = RTMP_Write(r, tag, size) == size && RTMP_WriteStream(r, second, tag, size) == size;
    }
    ok = ok && RTMP_CloseStream(r, second);          /* the first stream continues until RTMP_Close */
    /* [streams end] */
    puts(ok ? "sent" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
