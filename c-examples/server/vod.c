#include "vod.h"

#include <stdlib.h>
#include <string.h>

/* How far into the file metadata and decoder configuration are looked for. */
enum { HEADER_TAGS = 64, HEADER_SEARCH = 4 << 20 };

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
    struct flv_tag tag;
    size_t seen = 0;
    for (int i = 0; i < HEADER_TAGS && seen < HEADER_SEARCH && flv_next(&vod->reader, &tag) == 1; i++) {
        seen += tag.raw_size;
        struct message *message = message_new(tag.type, tag.timestamp, tag.body, tag.size);
        if (message && message->media.kind >= MEDIA_CONFIG)
            headers_add(&vod->headers, message);
        message_release(message);
    }
    flv_rewind(&vod->reader);
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

/* Returns the file time playing continues at. In the middle the headers have to be sent again. */
static uint32_t go_to(struct vod *vod, uint32_t position, int64_t now)
{
    uint32_t found = 0;
    vod->headers_due = 0;
    if (position == 0 || !flv_seek(&vod->reader, position, &found))
        flv_rewind(&vod->reader);
    else
        vod->headers_due = vod->headers.count;
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

/* Makes `tag` the next one to send. */
static void prepare(struct vod *vod)
{
    while (!vod->ready && !vod->ended) {
        if (flv_next(&vod->reader, &vod->tag) != 1 || vod->tag.timestamp >= vod->stop)
            vod->ended = 1;
        else
            vod->ready = !unwanted(vod, vod->tag.type);
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
    int64_t due = vod->clock_began + (int64_t)vod->tag.timestamp - (int64_t)vod->clock_tag - (int64_t)buffer;
    return due > now ? due - now : 0;
}

int vod_next(struct vod *vod, uint8_t *type, uint32_t *timestamp, const uint8_t **body, uint32_t *size)
{
    while (vod->headers_due > 0) {
        const struct message *header = vod->headers.entries[vod->headers.count - vod->headers_due--].message;
        if (unwanted(vod, header->type))
            continue;
        *type = header->type;
        *timestamp = vod->clock_tag - vod->origin;
        *body = header->body;
        *size = header->size;
        return 1;
    }
    prepare(vod);
    if (vod->ended) {
        vod->finished = 1;
        return 0;
    }
    vod->ready = 0;
    *type = vod->tag.type;
    *timestamp = vod->tag.timestamp > vod->origin ? vod->tag.timestamp - vod->origin : 0;
    *body = vod->tag.body;
    *size = vod->tag.size;
    return 1;
}

double vod_seconds(struct vod *vod) { return (double)flv_last_timestamp(&vod->reader) / 1000.0; }
