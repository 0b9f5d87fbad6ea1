/* server: a small RTMP server on RTMP_Serve. Live streams from one publisher to any number of players,
 * and FLV files from a folder.
 *
 *   main.c       options, the listening sockets, and an eye on clients that hang
 *   client.c     one thread per client, and the messages it gets
 *   command.c    connect, publish, play …
 *   netstream.c  one stream of a client: media in, media out
 *   amf0.c       arguments that librtmp does not decode
 *   reply.c      messages to a client
 *   live.c       live streams and the queues of their players
 *   catchup.c    what a player needs that comes late
 *   message.c    a message that all queues share
 *   media.c      what is in a message
 *   vod.c        playing a file
 *   name.c       stream names and files
 *   text.c       what clients say, made fit for a terminal */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "text.h"

static int signal_pipe[2] = { -1, -1 };

/* poll() in the main loop sees the byte however the signal and the call race. */
static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    ssize_t ignored = write(signal_pipe[1], "", 1);
    (void)ignored;
    errno = saved;
}

static void usage(FILE *to)
{
    fprintf(to, "usage: server [options]\n"
                "Relays RTMP streams from publishers to players and plays FLV files.\n"
                "  -p PORT      listen there (default 1935, 0 = any free port)\n"
                "  -s PORT      listen there for rtmps:// too (needs --cert)\n"
                "  --cert FILE  the server's certificate and those behind it, PEM\n"
                "  --key FILE   its key, PEM (default: in the file of the certificate)\n"
                "  -b ADDRESS   local address (default 127.0.0.1; 0.0.0.0: from everywhere)\n"
                "  -d FOLDER    play its FLV files: rtmp://…/app/NAME is FOLDER/NAME.flv\n"
                "  -r FOLDER    record what is published there\n"
                "  -m COUNT     clients at the same time (default 100)\n"
                "  -t SECONDS   end clients that hang that long (default 30)\n"
                "  -n COUNT     end after so many clients     --once  the same as -n 1\n"
                "  -v LEVEL     log level, 0 (critical) to 5 (everything), default 3\n"
                "  -h           this text\n");
}

static int parse_number(const char *text, int least, int most, int *number)
{
    char *rest;
    long value = strtol(text, &rest, 10);
    if (rest == text || *rest || value < least || value > most)
        return 0;
    *number = (int)value;
    return 1;
}

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct server *server)
{
    static const struct option names[] = { { "once", no_argument, NULL, '1' },
                                           { "cert", required_argument, NULL, 'C' },
                                           { "key", required_argument, NULL, 'K' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    int letter, seconds = 30;
    server->host = "127.0.0.1";
    server->port = 1935;
    server->tls_port = -1;
    server->most_clients = 100;
    server->log_level = RTMP_LOGINFO;
    while ((letter = getopt_long(argc, argv, "p:s:b:d:r:m:t:n:v:h", names, NULL)) != -1) {
        int ok = 1;
        switch (letter) {
        case 'p': ok = parse_number(optarg, 0, 65535, &server->port); break;
        case 's': ok = parse_number(optarg, 0, 65535, &server->tls_port); break;
        case 'C': server->certificate = optarg; break;
        case 'K': server->key = optarg; break;
        case 'b': server->host = optarg; break;
        case 'd': ok = is_folder(server->vod_folder = optarg); break;
        case 'r': ok = is_folder(server->record_folder = optarg); break;
        case 'm': ok = parse_number(optarg, 1, 10000, &server->most_clients); break;
        case 't': ok = parse_number(optarg, 1, 86400, &seconds); break;
        case 'n': ok = parse_number(optarg, 1, 1000000, &server->accept_count); break;
        case '1': server->accept_count = 1; break;
        case 'v': ok = parse_number(optarg, 0, 6, &server->log_level); break;
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
        if (!ok) {
            fprintf(stderr, "server: -%c cannot be %s\n", letter, optarg);
            return 2;
        }
    }
    if (optind != argc || (server->tls_port >= 0) != (server->certificate != NULL)) {
        usage(stderr);
        return 2;
    }
    if (!server->key)
        server->key = server->certificate;
    server->timeout_ms = seconds * 1000;
    return -1;
}

/* Returns the listening socket and says where it listens, or returns -1. */
static int start_listening(const char *host, int wanted_port, const char *protocol)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *address;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char port[16];
    int fd = -1, on = 1;

    snprintf(port, sizeof port, "%d", wanted_port);
    int failure = getaddrinfo(host, port, &hints, &address);
    if (failure != 0) {
        fprintf(stderr, "server: %s: %s\n", host, gai_strerror(failure));
        return -1;
    }
    fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Not blocking: a connection that poll() has seen may have ended before it is accepted. */
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0
        || listen(fd, 64) != 0
        || getsockname(fd, (struct sockaddr *)&bound, &length) != 0
        || getnameinfo((struct sockaddr *)&bound, length, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0) {
        fprintf(stderr, "server: cannot listen on %s port %d: %s\n", host, wanted_port, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    } else {
        int colon = strchr(host, ':') != NULL;
        printf("listening on %s://%s%s%s:%s\n", protocol, colon ? "[" : "", host, colon ? "]" : "", port);
        fflush(stdout);
    }
    freeaddrinfo(address);
    return fd;
}

/* Joins those who have ended, and shuts down those that are past their deadline. */
static void look_after_clients(struct server *server)
{
    int64_t now = clock_ms();
    struct client **link = &server->clients;
    while (*link) {
        struct client *client = *link;
        int64_t deadline = atomic_load(&client->deadline);
        if (atomic_load(&client->done)) {
            *link = client->next;
            client_join(client);
            server->client_count--;
            continue;
        }
        if (deadline != 0 && deadline < now)
            shutdown(client->shutdown_fd, SHUT_RDWR);
        link = &client->next;
    }
}

/* Accepts a connection if there is one. Returns 0, with errno set, when there is no room for it, no descriptors or no
 * memory: the next one stays with the system for a while. `tls` is NULL for plain connections. */
static int accept_client(struct server *server, int listener, void *tls, unsigned *number)
{
    if (!server->spare && !(server->spare = client_new(server)))
        return 0;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) /* the client may have left already */
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED || errno == EPROTO;
    ++*number;
    if (server->client_count >= server->most_clients) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: turned away, %d clients are enough", *number, server->most_clients);
        close(fd);
        return 1;
    }
    struct client *client = server->spare;
    server->spare = NULL;
    if (!client_start(client, fd, tls, *number))
        return 0;
    client->next = server->clients;
    server->clients = client;
    server->client_count++;
    return 1;
}

static void run(struct server *server, int listener, int tls_listener)
{
    unsigned accepted = 0;
    int room = 1, waits = 0;
    for (;;) {
        look_after_clients(server);
        int enough = server->accept_count > 0 && accepted >= (unsigned)server->accept_count;
        if (enough && server->client_count == 0)
            return;
        /* poll() ignores negative descriptors. Without room a listener would be ready all the time. */
        struct pollfd waiting[3] = { { .fd = signal_pipe[0], .events = POLLIN },
                                     { .fd = enough || !room ? -1 : listener, .events = POLLIN },
                                     { .fd = enough || !room ? -1 : tls_listener, .events = POLLIN } };
        int ready = poll(waiting, 3, enough || !room ? 50 : 500);
        if (ready > 0 && waiting[0].revents)
            return;
        room = 1;
        for (int i = 1; ready > 0 && room && i < 3; i++) {
            enough = server->accept_count > 0 && accepted >= (unsigned)server->accept_count;
            if (!waiting[i].revents || enough)
                continue;
            look_after_clients(server); /* those who have just left make room */
            room = accept_client(server, waiting[i].fd, i == 2 ? server->tls : NULL, &accepted);
            if (!room && !waits)
                RTMP_Log(RTMP_LOGWARNING, "no room for more clients: %s", strerror(errno));
            waits = !room;
        }
    }
}

static void end_clients(struct server *server)
{
    atomic_store(&server->stopping, 1);
    for (struct client *client = server->clients; client; client = client->next)
        shutdown(client->shutdown_fd, SHUT_RDWR);
    while (server->clients) {
        struct client *client = server->clients;
        server->clients = client->next;
        client_join(client);
    }
}

static void prepare_process(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* the library's sends would raise it */
    /* The first RTMP_Init of a process sets up what all sessions share, and has no lock for that. */
    RTMP *first = RTMP_Alloc();
    if (first)
        RTMP_Init(first);
    RTMP_Free(first);
}

/* One context serves all clients. Without a certificate there is none. */
static int prepare_tls(struct server *server)
{
    if (!server->certificate)
        return 1;
    server->tls = RTMP_TLS_AllocServerContext(server->certificate, server->key);
    if (!server->tls)
        fprintf(stderr, "server: cannot use %s with %s\n", server->certificate, server->key);
    return server->tls != NULL;
}

int main(int argc, char **argv)
{
    static struct server server;
    int code = parse_options(argc, argv, &server);
    if (code >= 0)
        return code;
    RTMP_LogSetLevel((RTMP_LogLevel)server.log_level);
    RTMP_LogSetCallback(text_log);
    if (pipe(signal_pipe) != 0) {
        perror("server");
        return 1;
    }
    prepare_process();
    server.live = live_new();
    int listener = -1, tls_listener = -1;
    int ok = server.live && prepare_tls(&server);
    if (ok)
        ok = (listener = start_listening(server.host, server.port, "rtmp")) >= 0;
    if (ok && server.tls)
        ok = (tls_listener = start_listening(server.host, server.tls_port, "rtmps")) >= 0;
    if (ok) {
        run(&server, listener, tls_listener);
        end_clients(&server);
    }
    if (server.spare)
        client_free(server.spare);
    if (listener >= 0)
        close(listener);
    if (tls_listener >= 0)
        close(tls_listener);
    if (server.tls)
        RTMP_TLS_FreeServerContext(server.tls);
    live_free(server.live);
    close(signal_pipe[0]);
    close(signal_pipe[1]);
    return ok ? 0 : 1;
}
