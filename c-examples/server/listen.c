/* The listening sockets. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <librtmp/rtmp_sys.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { MOST_LISTENERS = 2, BATCH = 64, RETRY_MS = 50 };

static struct listener {
    struct task task;
    struct server *server;
    int fd;
    void *tls;
} listeners[MOST_LISTENERS];
static int listener_count;

/* Everything that the next connection needs, allocated before it is accepted. */
static struct client *spare;
static int waits;

int listen_at(struct tool *tool, const char *host, int wanted_port, const char *protocol)
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
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0
        || listen(fd, 511) != 0
        || getsockname(fd, (struct sockaddr *)&bound, &length) != 0
        || getnameinfo((struct sockaddr *)&bound, length, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0) {
        tool_fail(tool, END_NOT_CONNECTED, "cannot listen on %s port %d: %s", host, wanted_port, strerror(errno));
        if (fd >= 0)
            closesocket(fd);
        fd = -1;
    } else {
        int colon = strchr(host, ':') != NULL;
        printf("listening on %s://%s%s%s:%s\n", protocol, colon ? "[" : "", host, colon ? "]" : "", port);
        fflush(stdout);
    }
    freeaddrinfo(address);
    return fd;
}

int listen_is_over(const struct server *server)
{
    return server->accept_count > 0 && server->accepted >= (unsigned)server->accept_count;
}

/* Accepts a connection. Returns 1, 0 if there is none, and -1, with errno set, if there are no descriptors or no memory: the
 * next one then waits in the system for a while. */
static int accept_client(struct server *server, struct listener *listener)
{
    if (!spare && !(spare = client_new(server)))
        return -1;
    int fd = accept(listener->fd, NULL, NULL);
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (fd < 0) /* the client may have left already */
        return errno == EINTR || errno == ECONNABORTED || errno == EPROTO ? 1 : -1;
    unsigned number = ++server->accepted;
    if (server->client_count >= server->most_clients) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: turned away, %d clients are enough", number, server->most_clients);
        closesocket(fd);
        return 1;
    }
    struct client *client = spare;
    spare = NULL;
    return client_start(client, fd, listener->tls, number) ? 1 : -1;
}

static void run(struct task *task, int reasons)
{
    struct listener *listener = (struct listener *)task; /* its first member */
    struct server *server = listener->server;
    int found = 1;
    (void)reasons;
    for (int i = 0; i < BATCH && found > 0 && !listen_is_over(server); i++)
        found = accept_client(server, listener);
    if (found < 0 && !waits)
        RTMP_Log(RTMP_LOGWARNING, "no room for more clients: %s", strerror(errno));
    waits = found < 0;
    if (found > 0 && !listen_is_over(server))
        loop_wake(server->loop, task, TASK_IO); /* there may be more */
    if (found < 0)
        loop_due(server->loop, task, clock_ms() + RETRY_MS);
}

static int descriptors(struct task *task, struct pollfd *fds, int size)
{
    struct listener *listener = (struct listener *)task;
    if (size == 0 || waits || listen_is_over(listener->server))
        return 0;
    fds[0] = (struct pollfd){ .fd = listener->fd, .events = POLLIN };
    return 1;
}

void listen_start(struct server *server, int fd, void *tls)
{
    struct listener *listener = &listeners[listener_count++];
    *listener = (struct listener){ .task = { .run = run, .descriptors = descriptors, .unsettled = 1 }, .server = server,
                                   .fd = fd, .tls = tls };
    loop_add(server->loop, &listener->task);
}

void listen_stop(struct server *server)
{
    for (int i = 0; i < listener_count; i++) {
        loop_remove(server->loop, &listeners[i].task);
        closesocket(listeners[i].fd);
    }
    listener_count = 0;
    if (spare)
        client_free(spare);
    spare = NULL;
}
