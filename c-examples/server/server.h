/* What the server's files share: its options, its clients, and the state of one client. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "../flv.h"
#include "live.h"
#include "name.h"
#include "reply.h"
#include "vod.h"

struct server {
    /* options, fixed before the first client */
    const char *host, *vod_folder, *record_folder;
    const char *certificate, *key;
    int port, tls_port, log_level, most_clients, accept_count, timeout_ms;

    void *tls; /* what RTMP_TLS_Accept needs, NULL without a certificate */
    struct live *live;
    atomic_int stopping;
    struct client *clients; /* these two are the main thread's own */
    int client_count;
};

enum { MOST_PARTIAL = 16, MOST_STREAMS = 16 };

enum role { ROLE_NONE, ROLE_PUBLISHING, ROLE_PLAYING_LIVE, ROLE_PLAYING_FILE };

/* After the first two groups everything is used by the client's own thread only. librtmp has no locks: an
 * RTMP that is used by one thread needs none. */
struct client {
    struct client *next;      /* the main thread's */
    pthread_t thread;

    atomic_int done;          /* the thread has ended and may be joined */
    atomic_llong deadline;    /* clock_ms() at which the main thread shuts the socket down, 0 for never */
    int shutdown_fd;          /* a second descriptor of the socket: valid as long as the client is */

    struct server *server;
    unsigned number;          /* for the log */
    RTMP rtmp;
    void *tls;                /* the server's, or NULL on the plain port */
    int wake[2];              /* pipe: live.c writes when media is there */
    struct media_out out;
    int64_t last_heard, last_ping;
    struct { int channel; uint32_t size; } partial[MOST_PARTIAL]; /* messages that have begun; size 0 is free */

    int connected, streams_created;
    char app[NAME_SIZE];
    uint32_t buffer_ms;       /* how much the client wants to hold */

    enum role role;           /* one stream per connection plays or publishes */
    int stream_id;
    char name[NAME_SIZE];
    struct stream *stream;
    struct flv_writer recording; /* recording.file is NULL when nothing is recorded */
    struct player *player;
    struct vod *vod;
    int paused, no_audio, no_video;
    int more;                 /* the player's queue was not emptied */
};

int64_t clock_ms(void);

/* client.c: serves one accepted socket in a new thread, over TLS unless `tls` is NULL. Returns NULL, with the
 * socket closed, when that cannot be started. */
struct client *client_start(struct server *server, int fd, void *tls, unsigned number);
/* Waits for the thread and frees the client. */
void client_join(struct client *client);
/* Ends whatever the client plays or publishes. */
void client_stop_role(struct client *client);

/* command.c: executes one command. Returns 0 when the connection has to end. */
int command_handle(struct client *client, int stream_id, const char *body, uint32_t size);

#endif
