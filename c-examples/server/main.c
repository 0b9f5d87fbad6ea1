/* server: a small RTMP server on RTMP_Serve. Live streams from one publisher to any number of players,
 * and FLV files from a folder. One thread and an event loop on librtmp/loop.h.
 *
 *   main.c       options, signals, beginning and end
 *   listen.c     the listening sockets
 *   loop.c       the event loop and its tasks, which waits with epoll (waiter_epoll.c) or poll (waiter_poll.c)
 *   threads.c    replaces the event loop on librtmp 2.4, whose calls wait
 *   client.c     a client: its connection, and the messages from it
 *   command.c    connect, publish, play …
 *   netstream.c  one stream of a client: media in, media out
 *   sender.c     the output for a peer
 *   amf0.c       arguments that librtmp does not decode
 *   reply.c      messages to a client
 *   live.c       live streams and the queues of their players
 *   catchup.c    the messages that a late player needs
 *   message.c    a message that all queues share
 *   forward.c    sends published streams to other servers
 *   stats.c      statistics
 *   ../media.c   the contents of a message
 *   vod.c        playing a file
 *   name.c       stream names and files
 *   text.c       text from clients, made safe for a terminal */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <librtmp/rtmp_sys.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "forward.h"
#include "live.h"
#include "server.h"
#include "text.h"
#include "threads.h"
#include "waits.h"

enum { KEPT_MEMORY = 16 << 20 }; /* bytes at the end of the heap that the process keeps */

static int signal_sockets[2] = { -1, -1 };

/* The event loop sees the byte in whatever order the signal and the wait begin. */
static void on_signal(int number)
{
    int saved = errno;
    ssize_t ignored = send(signal_sockets[1], number == SIGUSR1 ? "m" : "s", 1, 0);
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
                "  -r, --record DIR       record what is published to DIR/NAME.flv; makes DIR\n"
                "  -f, --forward URL      publish what is published here at URL/NAME, too; may be given several times\n\n"
                "Limits:\n"
                "  -m, --clients COUNT    number of clients at a time (default 100)\n"
                "  -t, --timeout SECONDS  disconnect clients that do not respond for SECONDS (default 30)\n"
                "      --move-to URL      where clients are asked to connect again when the server gets SIGUSR1\n"
                "                         (default: here); those that announce reconnect requests are asked\n"
                "  -n, --accept COUNT     exit after COUNT clients; --once is the same as -n 1\n\n"
                "Messages:\n"
                "      --stats SECONDS    print clients, streams, bitrates, queues and dropped messages every SECONDS\n"
                "      --json             print that as a line of JSON\n"
                "  -q, --quiet            print only errors and the addresses\n"
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

/* Creates a directory and its parents. Returns 0 with errno on an error. */
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

/* Returns -1 to continue, or the exit code. */
static int parse_options(int argc, char **argv, struct server *server, struct tool *tool)
{
    enum { ONCE = 1, CERTIFICATE, KEY, STATS, MOVE };
    static const struct option names[] = {
        { "bind", required_argument, NULL, 'b' },     { "port", required_argument, NULL, 'p' },
        { "tls-port", required_argument, NULL, 's' }, { "cert", required_argument, NULL, CERTIFICATE },
        { "key", required_argument, NULL, KEY },      { "files", required_argument, NULL, 'd' },
        { "record", required_argument, NULL, 'r' },   { "forward", required_argument, NULL, 'f' },
        { "clients", required_argument, NULL, 'm' },
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
    while ((letter = getopt_long(argc, argv, "b:p:s:d:r:f:m:t:n:v:qhV", names, NULL)) != -1) {
        int ok = 1, code;
        switch (letter) {
        case 'p': ok = tool_parse_number(optarg, 0, 65535, &server->port); break;
        case 's': ok = tool_parse_number(optarg, 0, 65535, &server->tls_port); break;
        case CERTIFICATE: server->certificate = optarg; break;
        case KEY: server->key = optarg; break;
        case 'b': server->host = optarg; break;
        case 'd': server->vod_folder = optarg; break;
        case 'r': server->record_folder = optarg; break;
        case 'f':
            ok = forward_may(optarg) && server->forward_count < MOST_FORWARDS;
            if (ok)
                server->forwards[server->forward_count++] = optarg;
            break;
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
            return letter == STATS ? tool_fail(tool, END_WRONG_USE, "invalid value for --stats: %s", optarg)
                                   : tool_fail(tool, END_WRONG_USE, "invalid value for -%c: %s", letter, optarg);
    }
    if (optind != argc)
        return tool_fail(tool, END_WRONG_USE, "unexpected argument %s; try '%s --help'", argv[optind], name);
    if ((server->tls_port >= 0) != (server->certificate != NULL))
        return tool_fail(tool, END_WRONG_USE, "--tls-port and --cert need each other");
    if (server->forward_count > 0 && library_waits())
        return tool_fail(tool, END_WRONG_USE, "--forward needs a librtmp with librtmp/loop.h");
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

/* They are asked when they run. */
static void move_clients(struct server *server)
{
    server->moves++;
    for (struct client *client = server->clients; client; client = client->next)
        client_wake(client);
}

static struct task signals;
static struct server *the_server;

static void take_signals(struct task *task, int reasons)
{
    char byte;
    (void)task, (void)reasons;
    while (recv(signal_sockets[0], &byte, 1, 0) == 1) {
        if (byte == 'm')
            move_clients(the_server);
        else
            the_server->stopping = 1;
    }
}

static int signal_descriptor(struct task *task, struct pollfd *fds, int size)
{
    (void)task;
    if (size > 0)
        fds[0] = (struct pollfd){ .fd = signal_sockets[0], .events = POLLIN };
    return 1;
}

static void run(struct server *server)
{
    the_server = server;
    signals.run = take_signals;
    signals.descriptors = signal_descriptor;
    loop_add(server->loop, &signals);
    while (!server->stopping && !(listen_is_over(server) && server->client_count == 0 && !server->all_forwards))
        if (!loop_turn(server->loop)) {
            RTMP_Log(RTMP_LOGERROR, "cannot wait: %s", strerror(errno));
            return;
        }
}

static void end_clients(struct server *server)
{
    server->stopping = 1;
    for (struct client *client = server->clients, *next; client; client = next) {
        next = client->next;
        client_cut(client);
    }
    threads_end(server);
    forward_stop(server);
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
#ifdef __GLIBC__
    /* The frames that new players get are replaced with each key frame. Giving their memory back to the system each time costs
     * more than keeping it. */
    mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
    mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY / 8);
#endif
    /* The first RTMP_Init of a process sets up what all sessions share, without a lock. */
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
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, signal_sockets) != 0 || fcntl(signal_sockets[0], F_SETFL, O_NONBLOCK) != 0
        || fcntl(signal_sockets[1], F_SETFL, O_NONBLOCK) != 0 || !(server.loop = loop_new())) {
        perror("server");
        return END_FAILED;
    }
    prepare_process();
    server.live = live_new();
    int listener = -1, tls_listener = -1;
    enum ending ending = server.live ? prepare_tls(&server, &tool) : tool_fail(&tool, END_FAILED, "out of memory");
    if (ending == END_WELL && (listener = listen_at(&tool, server.host, server.port, "rtmp")) < 0)
        ending = END_NOT_CONNECTED;
    if (ending == END_WELL && server.tls
        && (tls_listener = listen_at(&tool, server.host, server.tls_port, "rtmps")) < 0)
        ending = END_NOT_CONNECTED;
    if (ending == END_WELL && !threads_begin(&server))
        ending = tool_fail(&tool, END_FAILED, "cannot start: %s", strerror(errno));
    if (ending == END_WELL) {
        listen_start(&server, listener, NULL);
        if (tls_listener >= 0)
            listen_start(&server, tls_listener, server.tls);
        stats_start(&server);
        run(&server);
        listen_stop(&server);
        end_clients(&server);
    } else {
        tool_print_problem(&tool);
    }
    if (server.tls)
        RTMP_TLS_FreeServerContext(server.tls);
    loop_free(server.loop);
    live_free(server.live);
    closesocket(signal_sockets[0]);
    closesocket(signal_sockets[1]);
    return ending;
}
