/* Completes the recording of a stream after a lost connection: resume URL FILE. The stream is not a live stream. */
#define _POSIX_C_SOURCE 200809L
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* [find] */
/* The metadata of a file, and the last key frame in it. */
struct recording {
    char *metadata, *frame;
    uint32_t metadata_size, frame_size, time;
    long end;                                        /* of the key frame */
};

static int find_last_key_frame(FILE *file, struct recording *found)
{
    unsigned char head[11], rest[4];
    fseek(file, 9 + 4, SEEK_SET);                    /* the header of the file */
    while (fread(head, 1, sizeof head, file) == sizeof head) {
        uint32_t size = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
        char *body = malloc(size + 1);
        if (!body || fread(body, 1, size, file) != size || fread(rest, 1, 4, file) != 4) {
            free(body);                              /* the last tag is incomplete */
            break;
        }
        if (head[0] == RTMP_PACKET_TYPE_INFO && !found->metadata) {
            found->metadata = body;
            found->metadata_size = size;
        } else if (head[0] == RTMP_PACKET_TYPE_VIDEO && size > 1 && (body[0] & 0xF0) == 0x10 && body[1] != 0) {
            free(found->frame);                      /* byte 1 is 0 in the decoder configuration of H.264 */
            found->frame = body;
            found->frame_size = size;
            found->time = (uint32_t)head[7] << 24 | (uint32_t)head[4] << 16 | (uint32_t)head[5] << 8 | head[6];
            found->end = ftell(file);
        } else {
            free(body);
        }
    }
    return found->frame != NULL;
}
/* [find end] */

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    struct recording have = { 0 };
    int count, ok = 0;
    FILE *file = argc == 3 ? fopen(argv[2], "r+b") : NULL;
    RTMP *r = RTMP_Alloc();
    if (!file || !r) {
        fprintf(stderr, "usage: resume URL FILE\n");
        return 2;
    }
    if (!find_last_key_frame(file, &have)) {
        fprintf(stderr, "no key frame in %s: record the stream from the start\n", argv[2]);
        return 1;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    RTMP_SetBufferMS(r, 3600 * 1000);                /* let the server send as fast as it can */
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL)) {
        /* [resume] */
        r->m_read.flags |= RTMP_READ_RESUME;
        r->m_read.metaHeader = have.metadata;        /* the stream must have the same metadata … */
        r->m_read.nMetaHeaderSize = have.metadata_size;
        r->m_read.initialFrame = have.frame;         /* … and contain this frame; RTMP_Read returns what follows it */
        r->m_read.nInitialFrameSize = have.frame_size;
        r->m_read.initialFrameType = RTMP_PACKET_TYPE_VIDEO;
        r->m_read.nResumeTS = have.time;
        if (ftruncate(fileno(file), have.end) == 0 && fseek(file, have.end, SEEK_SET) == 0
            && RTMP_ConnectStream(r, (int)have.time)) {
            while ((count = RTMP_Read(r, buffer, sizeof buffer)) > 0)
                fwrite(buffer, 1, (size_t)count, file);
            ok = RTMP_GetLastError(r) == RTMP_ERR_ENDED;   /* RTMP_ERR_RESUME: it is not the same stream */
        }
        /* [resume end] */
    }
    puts(ok ? "complete" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    free(have.metadata);
    free(have.frame);
    return fclose(file) != 0 || !ok;
}
