/* Publishes an FLV file as several streams over one connection: `streams URL FILE NAME...`. The URL's stream is the first one.
 * The file is written to the others shifted: each begins so many bytes later, and in pieces of other lengths. At the end the
 * last one is closed, opened once more and written again. Prints the names of streams that the server refuses. */
#include <librtmp/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, RTMP_GetErrorString(r)); \
            exit(1); \
        } \
    } while (0)

static RTMP *r;

static int open_stream(const char *name)
{
    AVal value = { (char *)name, (int)strlen(name) };
    return RTMP_OpenStream(r, &value);
}

/* Ends the stream for those who play it: a server that knows its end says so. */
static void write_all(int stream, const char *bytes, long size)
{
    long at = 0;
    while (at < size) {
        int piece = size - at > 4000 + stream * 33 ? 4000 + stream * 33 : (int)(size - at);
        check(RTMP_WriteStream(r, stream, bytes + at, piece) == piece);
        at += piece;
    }
}

int main(int argc, char **argv)
{
    static char bytes[4 << 20];
    int streams[MOST] = { 0 }, count = 0, i;
    long size, at[MOST] = { 0 }, done = 0;
    FILE *file;

    r = RTMP_Alloc();
    if (!r || argc < 3 || argc > MOST + 3 || !(file = fopen(argv[2], "rb")))
        return 2;
    size = (long)fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    RTMP_Init(r);
    check(RTMP_SetupURL(r, argv[1]));
    RTMP_EnableWrite(r);
    check(open_stream("early") == 0);
    check(RTMP_Connect(r, NULL));
    check(open_stream("early") == 0);
    check(RTMP_ConnectStream(r, 0));
    check(open_stream("") == 0);
    for (i = 3; i < argc; i++) {
        int stream = open_stream(argv[i]);
        if (!stream) {
            printf("%s: %d %s\n", argv[i], RTMP_GetLastError(r), RTMP_GetErrorString(r));
            fflush(stdout);
            check(RTMP_IsConnected(r));
            continue;
        }
        check(stream != r->m_stream_id);
        streams[count++] = stream;
    }
    check(RTMP_WriteStream(r, 12345, bytes, 1) == -1 && RTMP_WriteStream(r, r->m_stream_id, bytes, 1) == -1);
    check(!RTMP_CloseStream(r, 12345) && !RTMP_CloseStream(r, -1));
    /* Players of a live stream have to be there from the beginning. */
    if (getenv("WAIT")) {
        puts("ready");
        fflush(stdout);
        getchar();
    }
    while (done <= count) {
        int written = RTMP_Write(r, bytes + at[MOST - 1], size - at[MOST - 1] > 3000 ? 3000 : (int)(size - at[MOST - 1]));
        check(written >= 0);
        at[MOST - 1] += written;
        done = at[MOST - 1] == size;
        for (i = 0; i < count; i++) {
            int piece = size - at[i] > 1000 * (i + 2) + 7 ? 1000 * (i + 2) + 7 : (int)(size - at[i]);
            check(RTMP_WriteStream(r, streams[i], bytes + at[i], piece) == piece);
            at[i] += piece;
            done += at[i] == size;
        }
    }
    if (count > 0 && argc > 3 && getenv("AGAIN")) {
        check(RTMP_CloseStream(r, streams[count - 1]) && !RTMP_CloseStream(r, streams[count - 1]));
        streams[count - 1] = open_stream(argv[argc - 1]);
        check(streams[count - 1] > 0);
        write_all(streams[count - 1], bytes, size);
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return 0;
}
