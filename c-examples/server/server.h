/* What the server's files share: its options, its clients, and the state of one client. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "name.h"
#include "netstream.h"
#include "reply.h"

struct server {
    /* options, fixed before the first client */
    const char *host, *vod_folder, *record_folder;
    const char *certificate, *key;
    int port, tls_port, log_level, most_clients, accept_count, timeout_ms;
    int stats_ms, json; /* how often to print a line about everything, 0 for never; and whether as JSON */

    void *tls; /* what RTMP_TLS_Accept needs, NULL without a certificate */
    struct live *live;
    atomic_int stopping;
    const char *move_to; /* where clients are asked to connect again, empty for here; fixed */
    atomic_int moves;    /* how often they were asked */
    struct {
        atomic_ullong bytes_in, bytes_out; /* of audio, video and data */
        atomic_int publishing, playing;    /* streams */
    } counts;
    struct client *clients; /* these are the main thread's own */
    int client_count;
    struct client *spare;   /* what the next connection needs, before it is accepted */
};

enum { MOST_PARTIAL = 16, MOST_NETSTREAMS = 16 };

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
    int64_t last_heard, last_ping, last_busy;
    int64_t second;           /* clock_ms() at which the present second began … */
    unsigned commands;        /* … and how many commands have come since */
    struct { int channel; uint32_t size; } partial[MOST_PARTIAL]; /* messages that have begun; size 0 is free */

    int connected;
    int moves;                /* of the server's, those that the client knows of */
    char app[PATH_SIZE];
    uint32_t buffer_ms;       /* how much the client wants to hold */
    struct netstream netstreams[MOST_NETSTREAMS]; /* message stream 1 first */
};

int64_t clock_ms(void);

/* client.c: what a client needs but its connection. Returns NULL when that cannot be had. */
struct client *client_new(struct server *server);
void client_free(struct client *client);
/* Serves one accepted socket in a new thread, over TLS unless `tls` is NULL. Returns 0, with the socket closed and the
 * client freed, when that cannot be started. */
int client_start(struct client *client, int fd, void *tls, unsigned number);
/* Waits for the thread and frees the client. */
void client_join(struct client *client);

/* From here on the connection is shut down unless the client's thread waits for the next message in time. A peer that
 * sends or takes one byte now and then passes every socket time-out, but not this. */
void client_guard(struct client *client, int64_t ms);

/* command.c: executes one command, whose body it may change. Returns 0 when the connection has to end. */
int command_handle(struct client *client, int stream_id, char *body, uint32_t size);

#endif
