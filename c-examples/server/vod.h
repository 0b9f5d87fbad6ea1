/* Plays an FLV file to one client: which tag is next, when it is due, and its timestamp. It sends nothing itself; the caller
 * passes the time in milliseconds of any monotonic clock. */
#ifndef SERVER_VOD_H
#define SERVER_VOD_H

#include <stdint.h>
#include <stdio.h>

#include "../flv.h"
#include "catchup.h"
#include "message.h"

/* A message in memory, or the next bytes of `file` if `message` is NULL. */
struct body {
    struct message *message;
    FILE *file;
    uint32_t size;
};

struct vod {
    struct flv_reader reader;
    struct headers headers; /* from the file's beginning */
    long next_at;           /* the position of the next tag */
    uint8_t type;           /* the next tag, when `ready`: its body follows in the file. It is never read as a whole, */
    uint32_t timestamp;     /* since it may be long, and the players many */
    uint32_t size;
    int ready, ended, paused;
    int finished;           /* vod_next has reported the end */
    size_t headers_due;     /* how many of `headers` have to be sent before the next tag */
    uint32_t origin;        /* file time that is sent as 0 */
    uint32_t stop;          /* file time at which playing ends, UINT32_MAX for never */
    uint32_t clock_tag;     /* this file time … */
    int64_t clock_began;    /* … was due at this moment */
    int64_t paused_at;
    int skip_audio, skip_video;
};

/* Takes over the file. Returns NULL if it is not an FLV file. */
struct vod *vod_open(FILE *file);
void vod_close(struct vod *vod);

/* Begins at the key frame at or before `start`, which is sent as time 0, and sends `length`
 * milliseconds from there (0 or less: to the end of the file). */
void vod_play(struct vod *vod, uint32_t start, double length, int64_t now);

/* Goes to the key frame at or before `position`, and returns its time; times are the file's from now on. */
uint32_t vod_seek(struct vod *vod, uint32_t position, int64_t now);
void vod_pause(struct vod *vod, int pause, int64_t now);

/* Milliseconds until something may be sent if the client buffers `buffer` milliseconds; -1 if nothing will be sent until the
 * next command. */
int64_t vod_wait(struct vod *vod, uint32_t buffer, int64_t now);

/* The next message. Returns 1, or 0 at the end. The body is valid until the next call, and its message is the file's. */
int vod_next(struct vod *vod, uint8_t *type, uint32_t *timestamp, struct body *body);

double vod_seconds(struct vod *vod);

#endif
