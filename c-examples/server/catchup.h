/* The messages that a late player needs: the state of a stream at some time, and the frames since then.
 *
 * The frames begin with the oldest key frame that a video track needs. Earlier metadata, configurations and
 * layouts are in `headers`, and later ones are between the frames, so that both together are the stream as the other
 * players have received it. */
#ifndef SERVER_CATCHUP_H
#define SERVER_CATCHUP_H

#include "message.h"

enum {
    MOST_HEADERS = 64,
    HEADER_BYTES = 1 << 20,
    CATCHUP_MESSAGES = 4096,
    CATCHUP_BYTES = 16 << 20
};

/* The latest message of each kind and track, in the order of their arrival, as far as there is room. */
struct headers {
    struct {
        struct message *message;
        struct tracks tracks; /* the tracks without a newer message */
    } entries[MOST_HEADERS];
    size_t count, bytes;
};

void headers_add(struct headers *headers, struct message *message);
void headers_clear(struct headers *headers);

struct catchup {
    struct headers headers;
    struct message **frames; /* CATCHUP_MESSAGES places */
    size_t count, bytes;
    uint64_t first;          /* number of frames[0] in the stream */
    uint64_t key_at[256];    /* per video track: 1 + the number of its last key frame, 0 when that is not kept */
    int has_video;           /* a key frame was seen */
};

/* Returns 0 if memory is short. */
int catchup_init(struct catchup *catchup);
void catchup_free(struct catchup *catchup);

void catchup_add(struct catchup *catchup, struct message *message);
/* Forgets everything: another publisher begins. */
void catchup_clear(struct catchup *catchup);

/* Calls `take` with the messages for a player that starts now. With `headers_only`: with the messages before a key frame
 * that arrives now. */
void catchup_each(const struct catchup *catchup, int headers_only, void (*take)(void *context, struct message *message),
                  void *context);
/* The time of the first frame, or `otherwise` if there are none. */
uint32_t catchup_time(const struct catchup *catchup, uint32_t otherwise);

#endif
