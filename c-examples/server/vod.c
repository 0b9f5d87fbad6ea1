#define _POSIX_C_SOURCE 200809L
#include "vod.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The part of the file in which metadata and decoder configuration are searched. */
enum { HEADER_TAGS = 64 };

/* Script data of AMF3, which is sent unchanged. */
enum { FLV_SCRIPT_AMF3 = 15 };

/* Reads the header of the next tag. Returns 0 at the end of the last whole one. */
static int next_tag(struct vod *vod)
{
    uint8_t header[FLV_TAG_HEADER], type;
    struct stat info;
    FILE *file = vod->reader.file;
    if (fseek(file, vod->next_at, SEEK_SET) != 0 || fread(header, 1, sizeof header, file) != sizeof header)
        return 0;
    type = header[0];
    long end = vod->next_at + FLV_TAG_HEADER + (long)flv_get24(header + 1);
    if ((type != FLV_AUDIO && type != FLV_VIDEO && type != FLV_SCRIPT && type != FLV_SCRIPT_AMF3)
        || fstat(fileno(file), &info) != 0 || end > (long)info.st_size)
        return 0;
    vod->next_at = end + FLV_TAG_TRAILER;
    vod->type = type;
    vod->size = flv_get24(header + 1);
    vod->timestamp = flv_get24(header + 4) | (uint32_t)header[7] << 24;
    return 1;
}

static void keep_header(struct vod *vod)
{
    uint8_t *body = vod->size <= HEADER_BYTES ? malloc(vod->size) : NULL;
    struct message *message = NULL;
    if (body && fread(body, 1, vod->size, vod->reader.file) == vod->size)
        message = message_new(vod->type, vod->timestamp, body, vod->size);
    if (message && message->media.kind >= MEDIA_CONFIG)
        headers_add(&vod->headers, message);
    message_release(message);
    free(body);
}

struct vod *vod_open(FILE *file)
{
    struct vod *vod = calloc(1, sizeof *vod);
    if (!vod) {
        fclose(file);
        return NULL;
    }
    if (!flv_reader_open(&vod->reader, file)) {
        free(vod);
        return NULL;
    }
    vod->next_at = vod->reader.first_tag;
    for (int i = 0; i < HEADER_TAGS && next_tag(vod); i++)
        keep_header(vod);
    return vod;
}

void vod_close(struct vod *vod)
{
    if (!vod)
        return;
    headers_clear(&vod->headers);
    flv_reader_close(&vod->reader);
    free(vod);
}

/* Returns the file time at which playing continues. In the middle of a file, the headers have to be sent again. */
static uint32_t go_to(struct vod *vod, uint32_t position, int64_t now)
{
    uint32_t found = 0;
    vod->headers_due = 0;
    if (position == 0 || !flv_seek(&vod->reader, position, &found))
        flv_rewind(&vod->reader);
    else
        vod->headers_due = vod->headers.count;
    vod->next_at = (long)(vod->reader.base + vod->reader.position);
    vod->ready = vod->ended = vod->finished = 0;
    vod->clock_tag = found;
    vod->clock_began = now;
    vod->paused_at = now;
    return found;
}

void vod_play(struct vod *vod, uint32_t start, double length, int64_t now)
{
    vod->paused = 0;
    vod->origin = go_to(vod, start, now);
    double stop = (double)vod->origin + length;
    vod->stop = length > 0 && stop < (double)UINT32_MAX ? (uint32_t)stop : UINT32_MAX;
}

uint32_t vod_seek(struct vod *vod, uint32_t position, int64_t now)
{
    vod->origin = 0;
    return go_to(vod, position, now);
}

void vod_pause(struct vod *vod, int pause, int64_t now)
{
    if (pause && !vod->paused)
        vod->paused_at = now;
    if (!pause && vod->paused)
        vod->clock_began += now - vod->paused_at; /* the pause does not count */
    vod->paused = pause;
}

static int unwanted(const struct vod *vod, uint8_t type)
{
    return (type == FLV_AUDIO && vod->skip_audio) || (type == FLV_VIDEO && vod->skip_video);
}

/* Finds the next tag to send. */
static void prepare(struct vod *vod)
{
    while (!vod->ready && !vod->ended) {
        if (!next_tag(vod) || vod->timestamp >= vod->stop)
            vod->ended = 1;
        else
            vod->ready = !unwanted(vod, vod->type);
    }
}

int64_t vod_wait(struct vod *vod, uint32_t buffer, int64_t now)
{
    if (vod->paused || vod->finished)
        return -1;
    if (vod->headers_due)
        return 0;
    prepare(vod);
    if (vod->ended)
        return 0;
    int64_t due = vod->clock_began + (int64_t)vod->timestamp - (int64_t)vod->clock_tag - (int64_t)buffer;
    return due > now ? due - now : 0;
}

int vod_next(struct vod *vod, uint8_t *type, uint32_t *timestamp, struct body *body)
{
    while (vod->headers_due > 0) {
        struct message *header = vod->headers.entries[vod->headers.count - vod->headers_due--].message;
        if (unwanted(vod, header->type))
            continue;
        *type = header->type;
        *timestamp = vod->clock_tag - vod->origin;
        *body = (struct body){ header, NULL, header->size };
        return 1;
    }
    prepare(vod);
    if (vod->ended) {
        vod->finished = 1;
        return 0;
    }
    vod->ready = 0;
    *type = vod->type;
    *timestamp = vod->timestamp > vod->origin ? vod->timestamp - vod->origin : 0;
    *body = (struct body){ NULL, vod->reader.file, vod->size };
    return 1;
}

double vod_seconds(struct vod *vod) { return (double)flv_last_timestamp(&vod->reader) / 1000.0; }
