/* Shared by the server's files: its options, its clients, and the state of one client. */
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
    const char *forwards[MOST_FORWARDS]; /* the targets of published streams */
    int forward_count;
    int port, tls_port, log_level, most_clients, accept_count, timeout_ms;
    int stats_ms, json; /* the period of the statistics, 0 for never; and whether as JSON */

    void *tls; /* for RTMP_TLS_Accept, NULL without a certificate */
    struct loop *loop;
    struct live *live;
    int stopping;
    const char *move_to; /* the URL of reconnect requests, empty for the same server; fixed */
    int moves;           /* the number of reconnect requests */
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

/* The stage of a client. */
enum stage { STAGE_TLS, STAGE_HANDSHAKE, STAGE_SERVED, STAGE_LEAVING, STAGE_CLOSING, STAGE_PARTING };

/* The fields of a client that are used for each message are together: with many clients, each message needs the memory of all. */
struct client {
    struct task task;
    struct server *server;
    struct thread *thread;    /* belongs to threads.c; NULL with an event loop */
    RTMP *rtmp;
    enum stage stage;
    int connected;
    int moves;                /* how many of the server's the client has received */
    int next_stream;          /* the next one to send */
    int netstream_count;      /* of `netstreams`; the rest are unused */
    struct sender sender;
    struct netstream *netstreams[MOST_NETSTREAMS]; /* message stream 1 first; NULL until it is used */

    struct client *next, **link;
    unsigned number;          /* for the log */
    void *tls;                /* the server's, or NULL on the plain port */
    int accepted;             /* the descriptor that was accepted */
    int64_t stage_ends;       /* clock_ms() at which the stage must have ended, 0 for no limit */
    int part_fd;              /* STAGE_PARTING: the socket, which the library has closed */
    int64_t last_heard, last_ping, last_busy;
    int64_t second;           /* clock_ms() at the beginning of the current second … */
    unsigned commands;        /* … and the number of commands since then */
    struct { int channel; uint32_t size; } partial[MOST_PARTIAL]; /* incomplete messages; size 0 is a free entry */
    uint32_t buffer_ms;       /* the client's buffer */
    char app[PATH_SIZE];
};

/* client.c: the data of a client, without its connection. Returns NULL, with errno, on an error. */
struct client *client_new(struct server *server);
void client_free(struct client *client);
/* Serves an accepted socket, over TLS unless `tls` is NULL. Returns 0, with errno, the socket closed and the client freed, when
 * that cannot be started. */
int client_start(struct client *client, int fd, void *tls, unsigned number);
/* Ends the connection at once. */
void client_cut(struct client *client);
/* Lets the client run, because it has something to send. */
void client_wake(struct client *client);

/* TLS and handshakes. Returns 1 if they are complete, 0 if they continue later, and -1 if they have failed. */
int client_greet(struct client *client);
/* Reads, if `readable`, and sends what is due. Returns 0 if the connection has to end. */
int client_turn(struct client *client, int readable);
/* Checks the client's time limits; to be called regularly. Returns 0 if the connection has to end. */
int client_check(struct client *client);
/* Ends the client's publishing and playing streams. */
void client_stop(struct client *client);

/* command.c: executes one command, whose body it may change. Returns 0 if the connection has to end. */
int command_handle(struct client *client, int stream_id, char *body, uint32_t size);

/* listen.c: listens at a port and prints the address, or returns -1. */
int listen_at(struct tool *tool, const char *host, int port, const char *protocol);
/* Accepts clients from now on. `tls` is NULL for plain connections. */
void listen_start(struct server *server, int fd, void *tls);
void listen_stop(struct server *server);
/* Whether the limit of accepted clients was reached. */
int listen_is_over(const struct server *server);

/* stats.c: prints the statistics of the server when it is time. */
void stats_start(struct server *server);

#endif
