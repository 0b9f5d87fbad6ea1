/* The output for one peer: answers, and a few media messages at a time.
 *
 * Short media messages and the one after them leave with one call of the system, which costs more than all else about a player.
 *
 * The library accepts a chunk as a whole: the system gets as much as it has room for, the library keeps a copy of the rest, and
 * accepts nothing more until that was sent. Everything else stays here, or in the queues of live.c, where players share one body. */
#ifndef SERVER_SENDER_H
#define SERVER_SENDER_H

#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>

#include "message.h"

enum {
    CHUNK_SIZE = 60000,
    MOST_REPLY_BYTES = 64 << 10,
    MOST_TOGETHER = 4,   /* messages that leave together */
    MOST_IN_FRONT = 4096 /* bytes of all of them but the last one */
};

struct reply;

struct sender {
    RTMP *r;
    int64_t full_since;          /* clock_ms() at which the library stopped accepting bytes, or 0 */
    struct reply *replies, **last_reply;
    size_t reply_bytes;
    struct { int stream_id; uint32_t timestamp; } chunk_streams[3]; /* stream_id 0: nothing was sent yet */
    struct {
        struct message *message; /* a shared body … */
        FILE *file;              /* … or the next bytes of a file, if that is not NULL */
        uint32_t size, sent;
        struct header header;
        uint8_t type;
        int active;
        int loaded;              /* `payload` is that of the next chunk */
        char *payload;
    } media;
    struct { struct message *message; struct header header; } following[MOST_TOGETHER - 1]; /* sent together with `media` */
    int following_count;
    char *block;                 /* memory for a chunk that cannot be sent without a copy */
};

/* The RTMP must be initialised. Returns 0 if an option cannot be set. */
int sender_init(struct sender *sender, RTMP *r);
void sender_free(struct sender *sender);

/* Queues a message, which is copied. Returns 0 if memory is short. */
int sender_reply(struct sender *sender, int channel, uint8_t type, int stream_id, uint32_t timestamp, const char *body,
                 size_t size);
/* From now on messages to the peer have chunks of CHUNK_SIZE. */
int sender_announce_chunk_size(struct sender *sender);
/* Whether the peer does not read its answers: it should get no further requests. */
int sender_is_behind(const struct sender *sender);

/* Begins a message, when the previous one was sent completely. Takes over the caller's reference. */
void sender_media(struct sender *sender, int stream_id, uint32_t timestamp, struct message *message);
/* Returns 1 if a message can be sent together with those that were begun. */
int sender_may_add(const struct sender *sender, const struct message *message);
/* Adds it. Takes over the caller's reference. */
void sender_add(struct sender *sender, int stream_id, uint32_t timestamp, struct message *message);
void sender_file(struct sender *sender, int stream_id, uint8_t type, uint32_t timestamp, FILE *file, uint32_t size);

/* Sends the output. Returns 1 if nothing is left, 0 if the peer has to accept bytes first, and -1 if the connection was lost. */
int sender_flush(struct sender *sender);

#endif
