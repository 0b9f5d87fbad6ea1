/* Live streams: one publisher, any number of players, none of which delays another.
 *
 * The publisher hands messages in, and each player takes them out of its queue when there is room in its connection. All
 * queues share a message. A queue that grows too long is emptied and goes on at the next key frame. Nothing here touches a
 * socket. */
#ifndef SERVER_LIVE_H
#define SERVER_LIVE_H

#include "message.h"

/* Types beside FLV_AUDIO, FLV_VIDEO and FLV_SCRIPT that appear in queues; no message on the wire has them. */
enum { LIVE_PUBLISHED = 0xf0, LIVE_UNPUBLISHED = 0xf1 };

struct live; /* all streams of the server */
struct stream;
struct player;

/* A message as one player gets it: headers sent late carry the time of their sending. */
struct delivery {
    struct message *message; /* the taker releases it */
    uint32_t timestamp;
};

struct live *live_new(void);
void live_free(struct live *live);

/* `name` is application and stream name. Returns NULL when it is being published already. */
struct stream *live_publish(struct live *live, const char *name);
void live_unpublish(struct live *live, struct stream *stream);

/* Uses the caller's reference up. */
void live_feed(struct stream *stream, struct message *message);

/* Returns 1 while `name` is being published. */
int live_is_published(struct live *live, const char *name);

/* `wake` is called with its context when an empty queue gets something. Returns NULL when memory is short. */
struct player *live_join(struct live *live, const char *name, void (*wake)(void *context), void *context);
void live_leave(struct live *live, struct player *player);

/* What the player does not want to get: receiveAudio(false), pause(true). Video resumes with a key frame. */
void live_mute(struct player *player, uint8_t type, int muted);

/* Takes the next delivery out of the queue. Returns 0 when there is none. */
int live_take(struct player *player, struct delivery *delivery);

/* The numbers of a stream. */
struct live_numbers {
    const char *name;
    int published;
    unsigned players;
    unsigned long long bytes, dropped; /* published; messages that players did not get because they were too slow */
    size_t queued, queued_bytes;       /* in the queues of all players */
};

/* Calls `show` with each stream. */
void live_each(const struct live *live, void (*show)(void *context, const struct live_numbers *numbers), void *context);

#endif
