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

#include "../tool.h"
#include "server.h"
#include "text.h"

static int signal_pipe[2] = { -1, -1 };

/* poll() in the main loop sees the byte however the signal and the call race. */
static void on_signal(int number)
{
    int saved = errno;
    ssize_t ignored = write(signal_pipe[1], number == SIGUSR1 ? "m" : "s", 1);
    (void)ignored;
    errno = saved;
}

static const char *name = "server";

static void usage(FILE *to)
{
    fprintf(to, "Usage: %s [OPTION]...\n"
                "Relay RTMP streams from publishers to players, play FLV files, and record.\n\n"
                "Network:\n"
                "  -b, --bind ADDRESS     listen on this address (default 127.0.0.1; 0.0.0.0 is all of IPv4)\n"
                "  -p, --port PORT        port for RTMP, RTMPE and RTMPT (default 1935, 0 is any free port)\n"
                "  -s, --tls-port PORT    port for RTMPS, with --cert\n"
                "      --cert FILE        certificate chain of the server, PEM\n"
                "      --key FILE         its key, PEM (default: in the file of the certificate)\n\n"
                "Streams:\n"
                "  -d, --files DIR        play FLV files: rtmp://host/app/NAME plays DIR/NAME.flv\n"
                "  -r, --record DIR       record what is published to DIR/NAME.flv; makes DIR\n\n"
                "Limits:\n"
                "  -m, --clients COUNT    number of clients at a time (default 100)\n"
                "  -t, --timeout SECONDS  disconnect clients that do not respond for SECONDS (default 30)\n"
                "      --move-to URL      where clients are asked to connect again when the server gets SIGUSR1\n"
                "                         (default: here); those that announce reconnect requests are asked\n"
                "  -n, --accept COUNT     exit after COUNT clients; --once is the same as -n 1\n\n"
                "Messages:\n"
                "      --stats SECONDS    print a line about clients, streams and bitrates every SECONDS\n"
                "      --json             print that line as JSON\n"
                "  -q, --quiet            print errors only\n"
                "  -v, --log-level LEVEL  0 (critical) to 5 (everything), default 3\n"
                "  -h, --help             print this text and exit\n"
                "  -V, --version          print the versions of the program and the library and exit\n\n"
                "Ctrl-C ends the server and its clients.\n\n"
                "Exit codes:\n"
                "  0  the server was stopped, or COUNT clients have been served\n"
                "  1  another failure\n"
                "  2  wrong usage\n"
                "  3  cannot listen on the address or port\n"
                "  7  the directory for recordings cannot be made\n"
                "  8  the certificate or key, or the directory of files, cannot be used\n", name);
}

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Makes a directory and those above it. Returns 0 with errno if that fails. */
static int make_folder(const char *path)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return errno = EINVAL, 0;
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return 0;
    }
    return is_folder(path) || (errno = ENOTDIR, 0);
}

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct server *server, struct tool *tool)
{
    enum { ONCE = 1, CERTIFICATE, KEY, STATS, MOVE };
    static const struct option names[] = {
        { "bind", required_argument, NULL, 'b' },     { "port", required_argument, NULL, 'p' },
        { "tls-port", required_argument, NULL, 's' }, { "cert", required_argument, NULL, CERTIFICATE },
        { "key", required_argument, NULL, KEY },      { "files", required_argument, NULL, 'd' },
        { "record", required_argument, NULL, 'r' },   { "clients", required_argument, NULL, 'm' },
        { "timeout", required_argument, NULL, 't' },  { "accept", required_argument, NULL, 'n' },
        { "once", no_argument, NULL, ONCE },          { "stats", required_argument, NULL, STATS },
        { "log-level", required_argument, NULL, 'v' }, { "move-to", required_argument, NULL, MOVE }, TOOL_OPTIONS
    };
    int letter, seconds = 30, stats = 0;
    server->host = "127.0.0.1";
    server->move_to = "";
    server->port = 1935;
    server->tls_port = -1;
    server->most_clients = 100;
    server->log_level = RTMP_LOGINFO;
    while ((letter = getopt_long(argc, argv, "b:p:s:d:r:m:t:n:v:qhV", names, NULL)) != -1) {
        int ok = 1, code;
        switch (letter) {
        case 'p': ok = tool_parse_number(optarg, 0, 65535, &server->port); break;
        case 's': ok = tool_parse_number(optarg, 0, 65535, &server->tls_port); break;
        case CERTIFICATE: server->certificate = optarg; break;
        case KEY: server->key = optarg; break;
        case 'b': server->host = optarg; break;
        case 'd': server->vod_folder = optarg; break;
        case 'r': server->record_folder = optarg; break;
        case 'm': ok = tool_parse_number(optarg, 1, 10000, &server->most_clients); break;
        case 't': ok = tool_parse_number(optarg, 1, 86400, &seconds); break;
        case 'n': ok = tool_parse_number(optarg, 1, 1000000, &server->accept_count); break;
        case ONCE: server->accept_count = 1; break;
        case MOVE: server->move_to = optarg; break;
        case STATS: ok = tool_parse_number(optarg, 1, 86400, &stats); break;
        case 'v': ok = tool_parse_number(optarg, 0, 6, &server->log_level); break;
        default:
            if ((code = tool_option(tool, letter, usage)) >= 0)
                return code;
        }
        if (!ok)
            return letter == STATS ? tool_fail(tool, END_WRONG_USE, "--stats cannot be %s", optarg)
                                   : tool_fail(tool, END_WRONG_USE, "-%c cannot be %s", letter, optarg);
    }
    if (optind != argc)
        return tool_fail(tool, END_WRONG_USE, "unexpected argument %s; try '%s --help'", argv[optind], name);
    if ((server->tls_port >= 0) != (server->certificate != NULL))
        return tool_fail(tool, END_WRONG_USE, "--tls-port and --cert need each other");
    if (server->vod_folder && !is_folder(server->vod_folder))
        return tool_fail(tool, END_INPUT, "%s is not a directory", server->vod_folder);
    if (server->record_folder && !make_folder(server->record_folder))
        return tool_fail(tool, END_OUTPUT, "cannot make %s: %s", server->record_folder, strerror(errno));
    if (!server->key)
        server->key = server->certificate;
    if (tool->quiet && server->log_level == RTMP_LOGINFO)
        server->log_level = RTMP_LOGERROR;
    server->timeout_ms = seconds * 1000;
    server->stats_ms = stats * 1000;
    server->json = tool->json;
    return -1;
}

/* Returns the listening socket and says where it listens, or returns -1. */
static int start_listening(struct tool *tool, const char *host, int wanted_port, const char *protocol)
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
        tool_fail(tool, END_NOT_CONNECTED, "%s: %s", host, gai_strerror(failure));
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
        tool_fail(tool, END_NOT_CONNECTED, "cannot listen on %s port %d: %s", host, wanted_port, strerror(errno));
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

/* Prints what the server has done since the last line. */
static void print_stats(struct server *server)
{
    static int64_t last_time;
    static unsigned long long last_in, last_out;
    int64_t now = clock_ms();
    if (server->stats_ms == 0 || (last_time && now - last_time < server->stats_ms))
        return;
    unsigned long long in = atomic_load(&server->counts.bytes_in), out = atomic_load(&server->counts.bytes_out);
    double seconds = last_time ? (double)(now - last_time) / 1000.0 : 0.0;
    double rate_in = seconds > 0 ? (double)(in - last_in) * 0.008 / seconds : 0.0;
    double rate_out = seconds > 0 ? (double)(out - last_out) * 0.008 / seconds : 0.0;
    int publishing = atomic_load(&server->counts.publishing), playing = atomic_load(&server->counts.playing);
    printf(server->json ? "{\"clients\": %d, \"publishing\": %d, \"playing\": %d, \"kbit_in\": %.1f, \"kbit_out\": %.1f, "
                          "\"bytes_in\": %llu, \"bytes_out\": %llu}\n"
                        : "stats: %d clients, %d publishing, %d playing, in %.1f kbit/s, out %.1f kbit/s, "
                          "total in %llu bytes, out %llu bytes\n",
           server->client_count, publishing, playing, rate_in, rate_out, in, out);
    fflush(stdout);
    last_time = now;
    last_in = in;
    last_out = out;
}

/* Their threads ask them. */
static void move_clients(struct server *server)
{
    atomic_fetch_add(&server->moves, 1);
    for (struct client *client = server->clients; client; client = client->next) {
        ssize_t ignored = write(client->wake[1], "", 1);
        (void)ignored;
    }
}

static void run(struct server *server, int listener, int tls_listener)
{
    unsigned accepted = 0;
    int room = 1, waits = 0;
    for (;;) {
        look_after_clients(server);
        print_stats(server);
        int enough = server->accept_count > 0 && accepted >= (unsigned)server->accept_count;
        if (enough && server->client_count == 0)
            return;
        /* poll() ignores negative descriptors. Without room a listener would be ready all the time. */
        struct pollfd waiting[3] = { { .fd = signal_pipe[0], .events = POLLIN },
                                     { .fd = enough || !room ? -1 : listener, .events = POLLIN },
                                     { .fd = enough || !room ? -1 : tls_listener, .events = POLLIN } };
        int ready = poll(waiting, 3, enough || !room ? 50 : 500);
        char byte = 's';
        if (ready > 0 && waiting[0].revents && (read(signal_pipe[0], &byte, 1) != 1 || byte != 'm'))
            return;
        if (byte == 'm')
            move_clients(server);
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
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* the library's sends would raise it */
    /* The first RTMP_Init of a process sets up what all sessions share, and has no lock for that. */
    RTMP *first = RTMP_Alloc();
    if (first)
        RTMP_Init(first);
    RTMP_Free(first);
}

/* One context serves all clients. Without a certificate there is none. */
static enum ending prepare_tls(struct server *server, struct tool *tool)
{
    if (!server->certificate)
        return END_WELL;
    server->tls = RTMP_TLS_AllocServerContext(server->certificate, server->key);
    if (!server->tls)
        return tool_fail(tool, END_INPUT, "cannot use %s with %s", server->certificate, server->key);
    return END_WELL;
}

int main(int argc, char **argv)
{
    static struct server server;
    struct tool tool = { .name = name = tool_name(argv), .report = stdout };
    int code = parse_options(argc, argv, &server, &tool);
    if (code >= 0) {
        tool_print_problem(&tool);
        return code;
    }
    RTMP_LogSetLevel((RTMP_LogLevel)server.log_level);
    RTMP_LogSetCallback(text_log);
    if (pipe(signal_pipe) != 0) {
        perror("server");
        return END_FAILED;
    }
    prepare_process();
    server.live = live_new();
    int listener = -1, tls_listener = -1;
    enum ending ending = server.live ? prepare_tls(&server, &tool) : tool_fail(&tool, END_FAILED, "out of memory");
    if (ending == END_WELL && (listener = start_listening(&tool, server.host, server.port, "rtmp")) < 0)
        ending = END_NOT_CONNECTED;
    if (ending == END_WELL && server.tls
        && (tls_listener = start_listening(&tool, server.host, server.tls_port, "rtmps")) < 0)
        ending = END_NOT_CONNECTED;
    if (ending == END_WELL) {
        run(&server, listener, tls_listener);
        end_clients(&server);
    } else {
        tool_print_problem(&tool);
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
    return ending;
}
