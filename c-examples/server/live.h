/* Live streams: one publisher, any number of players, none of which delays another.
 *
 * The publisher passes messages in, and each player takes them from its queue when its connection has room. All queues share a
 * message. A queue that grows too long is emptied and continues at the next key frame. This file uses no sockets. */
#ifndef SERVER_LIVE_H
#define SERVER_LIVE_H

#include "message.h"

enum { MOST_HELD = 2 /* audio messages that wait for the message after them */ };

/* Types in queues besides FLV_AUDIO, FLV_VIDEO and FLV_SCRIPT; they are never sent. */
enum { LIVE_PUBLISHED = 0xf0, LIVE_UNPUBLISHED = 0xf1 };

struct live; /* all streams of the server */
struct stream;
struct player;

/* A message as one player receives it: headers that are sent late have the time of their sending. */
struct delivery {
    struct message *message; /* the taker releases it */
    uint32_t timestamp;
};

struct live *live_new(void);
void live_free(struct live *live);

/* `name` is application and stream name. Returns NULL if it is already being published.
 *
 * With `gathers`, an audio message of a stream with video does not wake the players. The next video message does, or the third
 * audio message: within 47 ms with AAC, if the publisher does not stall. A player may send all of them together. */
struct stream *live_publish(struct live *live, const char *name, int gathers);
void live_unpublish(struct live *live, struct stream *stream);

/* Takes over the caller's reference. */
void live_feed(struct stream *stream, struct message *message);
/* Wakes the players for the last messages, if there is none after them for now. */
void live_flush(struct stream *stream);

/* Returns 1 while `name` is being published. */
int live_is_published(struct live *live, const char *name);

/* `wake` is called with its context when there is something to take, and again after all of it was taken. Returns NULL if memory
 * is short. */
struct player *live_join(struct live *live, const char *name, void (*wake)(void *context), void *context);
void live_leave(struct live *live, struct player *player);

/* The media that the player does not want: receiveAudio(false), pause(true). Video resumes with a key frame. */
void live_mute(struct player *player, uint8_t type, int muted);

/* The message that `live_take` returns next, or NULL. */
const struct message *live_peek(const struct player *player);
/* Takes the next delivery from the queue. Returns 0 if there is none. */
int live_take(struct player *player, struct delivery *delivery);

/* The statistics of a stream. */
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
