/*
 * Publishes blocks that hold many tags: `blocks URL` prints how often bytes were sent for each of three blocks, one with
 * 150 short tags, one with a long tag among short ones, and one that is not FLV behind three tags. `blocks URL cut` passes
 * the tags of the first two in blocks that end anywhere.
 */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static char block[1 << 20];
static int sends;

static int send_bytes(RTMP *r, const char *bytes, int size, void *arg)
{
    (void)arg;
    sends++;
    return (int)send(RTMP_Socket(r), bytes, (size_t)size, MSG_NOSIGNAL);
}

/* Appends a tag of video whose bytes are its number. */
static int append(int at, int size, int number)
{
    char *tag = block + at;
    int whole = size + 11;
    memset(tag, 0, 11);
    tag[0] = 9;
    tag[1] = (char)(size >> 16), tag[2] = (char)(size >> 8), tag[3] = (char)size;
    tag[5] = (char)(number >> 8), tag[6] = (char)number;
    memset(tag + 11, number, (size_t)size);
    tag += whole;
    tag[0] = (char)(whole >> 24), tag[1] = (char)(whole >> 16), tag[2] = (char)(whole >> 8), tag[3] = (char)whole;
    return at + whole + 4;
}

static int write_block(RTMP *r, int size)
{
    int used;
    sends = 0;
    used = RTMP_Write(r, block, size);
    printf("%d of %d bytes in %d sends\n", used == size ? size : used, size, sends);
    return used == size;
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int number = 1, size = 0, ok, n;

    RTMP_Init(r);
    r->Link.timeout = 20;
    if (argc < 2 || !RTMP_SetupURL(r, argv[1]))
        return 2;
    RTMP_EnableWrite(r);
    RTMP_SetSendCallback(r, send_bytes, NULL);
    ok = RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    for (n = 0; n < 150; n++)
        size = append(size, 300, number++);
    if (argc > 2) {
        int at, part = 1;
        for (n = 0; n < 150; n++)
            size = append(size, n == 70 ? 20000 : 300, number++);
        for (at = 0; ok && at < size; at += part, part = (part * 3 + 1) % 5000 + 1) {
            int rest = size - at < part ? size - at : part;
            ok = RTMP_Write(r, block + at, rest) == rest;
        }
        printf("%s\n", ok ? "ok" : "failed");
    } else {
        ok = ok && write_block(r, size);
        for (n = size = 0; n < 150; n++)
            size = append(size, n == 70 ? 20000 : 300, number++);
        ok = ok && write_block(r, size);
        for (n = size = 0; n < 3; n++)
            size = append(size, 300, number++);
        /* A metadata tag that is longer than any message. */
        memset(block + size, 0, 15);
        block[size] = 18;
        memset(block + size + 1, 0xFF, 3);
        if (ok)
            write_block(r, size + 15);
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
