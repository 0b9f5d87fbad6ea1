/* What the server's files share: its options, its clients, and the state of one client. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <librtmp/rtmp.h>
#include <stdint.h>

#include "../tool.h"
#include "loop.h"
#include "name.h"
#include "netstream.h"
#include "sender.h"

enum { MOST_FORWARDS = 8 };

struct server {
    /* options, fixed before the first client */
    const char *host, *vod_folder, *record_folder;
    const char *certificate, *key;
    const char *forwards[MOST_FORWARDS]; /* where published streams are handed on to */
    int forward_count;
    int port, tls_port, log_level, most_clients, accept_count, timeout_ms;
    int stats_ms, json; /* how often to print the numbers, 0 for never; and whether as JSON */

    void *tls; /* what RTMP_TLS_Accept needs, NULL without a certificate */
    struct loop *loop;
    struct live *live;
    int stopping;
    const char *move_to; /* where clients are asked to connect again, empty for here; fixed */
    int moves;           /* how often they were asked */
    struct {
        unsigned long long bytes_in, bytes_out; /* of audio, video and data */
        int publishing, playing;                /* streams */
    } counts;
    struct client *clients;
    int client_count;
    unsigned accepted;
    struct forward *all_forwards;
};

enum { MOST_PARTIAL = 16, MOST_NETSTREAMS = 16 };

/* How far a client has come. */
enum stage { STAGE_TLS, STAGE_HANDSHAKE, STAGE_SERVED, STAGE_LEAVING, STAGE_CLOSING, STAGE_PARTING };

struct client {
    struct task task;
    struct client *next, **link;
    struct server *server;
    struct thread *thread;    /* threads.c's, NULL where there is an event loop */
    unsigned number;          /* for the log */
    RTMP *rtmp;
    void *tls;                /* the server's, or NULL on the plain port */
    int accepted;             /* the descriptor that was accepted */
    enum stage stage;
    int64_t stage_ends;       /* clock_ms() at which the stage has to be over, 0 for no limit */
    int part_fd;              /* STAGE_PARTING: the socket, which the library has closed */
    struct sender sender;
    int next_stream;          /* whose turn it is to send */
    int64_t last_heard, last_ping, last_busy;
    int64_t second;           /* clock_ms() at which the present second began … */
    unsigned commands;        /* … and how many commands have come since */
    struct { int channel; uint32_t size; } partial[MOST_PARTIAL]; /* messages that have begun; size 0 is free */

    int connected;
    int moves;                /* of the server's, those that the client knows of */
    char app[PATH_SIZE];
    uint32_t buffer_ms;       /* how much the client wants to hold */
    struct netstream *netstreams[MOST_NETSTREAMS]; /* message stream 1 first; NULL until it is used */
    int netstream_count;      /* behind these there is none */
};

/* client.c: what a client needs but its connection. Returns NULL, with errno, when that cannot be had. */
struct client *client_new(struct server *server);
void client_free(struct client *client);
/* Serves an accepted socket, over TLS unless `tls` is NULL. Returns 0, with errno, the socket closed and the client freed, when
 * that cannot be started. */
int client_start(struct client *client, int fd, void *tls, unsigned number);
/* Ends the connection at once. */
void client_cut(struct client *client);
/* Has the client run: there is something for it to send. */
void client_wake(struct client *client);

/* TLS and handshakes. Returns 1 when they are complete, 0 when they go on later, and -1 when they have failed. */
int client_greet(struct client *client);
/* Reads what has come, if `readable`, and sends what is due. Returns 0 when the connection has to end. */
int client_turn(struct client *client, int readable);
/* Looks at what the client has not done for too long; to be called now and then. Returns 0 when the connection has to end. */
int client_check(struct client *client);
/* Ends what the client publishes and plays. */
void client_stop(struct client *client);

/* command.c: executes one command, whose body it may change. Returns 0 when the connection has to end. */
int command_handle(struct client *client, int stream_id, char *body, uint32_t size);

/* listen.c: listens at a port and says where, or returns -1. */
int listen_at(struct tool *tool, const char *host, int port, const char *protocol);
/* Accepts clients from now on. `tls` is NULL for plain connections. */
void listen_start(struct server *server, int fd, void *tls);
void listen_stop(struct server *server);
/* As many have been accepted as the options allow. */
int listen_is_over(const struct server *server);

/* stats.c: prints the numbers of the server when it is time. */
void stats_start(struct server *server);

#endif
