/* One message stream of a client ("NetStream"): it publishes, plays, or does nothing. */
#ifndef SERVER_NETSTREAM_H
#define SERVER_NETSTREAM_H

#include <librtmp/rtmp.h>
#include <stdint.h>

#include "../flv.h"
#include "live.h"
#include "name.h"
#include "vod.h"

struct client;

enum role { ROLE_NONE, ROLE_PUBLISHING, ROLE_PLAYING_LIVE, ROLE_PLAYING_FILE };

struct netstream {
    int id;
    int created;          /* by createStream; clients may use other streams as well */
    enum role role;
    struct player *player;
    struct stream *stream;
    struct vod *vod;
    int paused, no_audio, no_video;
    struct flv_writer recording; /* recording.file is NULL if nothing is recorded */
    char path[PATH_SIZE]; /* application and name */
};

/* The message stream with that id. Some clients use 0, the connection itself, which means the only stream in use. Returns NULL
 * if there is none, or no memory for it. */
struct netstream *netstream_find(struct client *client, int id);
/* Returns 1 if any stream of the client publishes or plays. */
int netstream_in_use(struct client *client);

/* Take over what play and publish have opened. The path is already set. */
void netstream_publish(struct client *client, struct netstream *netstream, struct stream *stream);
void netstream_play_live(struct client *client, struct netstream *netstream, struct player *player);
void netstream_play_file(struct client *client, struct netstream *netstream, struct vod *vod);
/* Ends the use of the stream. */
void netstream_stop(struct client *client, struct netstream *netstream);

/* Sets which media are muted. */
void netstream_mute(struct netstream *netstream);

/* A message from a publisher, whose body may be taken out of the packet. Returns 0 if the connection has to end. */
int netstream_receive(struct client *client, RTMPPacket *packet);

/* Sends what is due on all streams, as much as the client accepts. Returns 0 if the connection was lost. */
int netstream_send(struct client *client);
/* Lets players have the last message of what the client publishes, if there is none after it for now. */
void netstream_flush(struct client *client);
/* Milliseconds until something is due, but at most `most`. */
int netstream_wait(struct client *client, int most);

#endif
