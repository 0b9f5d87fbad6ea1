#define _POSIX_C_SOURCE 200809L
#include "threads.h"

#ifndef _WIN32
#include <errno.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server.h"
#include "waits.h"

enum { PARTING_MS = 1000, LOOK_MS = 500 };

struct thread {
    pthread_t id;
    int started, done;
    int64_t deadline;    /* clock_ms() at which the main thread shuts the socket down, 0 for never */
    int shutdown_fd;     /* a second descriptor of the socket: valid as long as the client is */
    int wake[2];         /* pipe */
};

/* The thread that holds it runs. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int ended_pipe[2] = { -1, -1 };
static struct task watcher;
static struct server *the_server;

void threads_release(void)
{
    if (library_waits())
        pthread_mutex_unlock(&turn);
}

void threads_acquire(void)
{
    if (library_waits())
        pthread_mutex_lock(&turn);
}

/* ---- the main thread ---- */

/* Joins threads that have ended, and shuts down connections whose deadline has passed. */
static void look_after_clients(struct server *server)
{
    int64_t now = clock_ms();
    for (struct client *client = server->clients, *next; client; client = next) {
        struct thread *thread = client->thread;
        next = client->next;
        if (thread->done)
            client_free(client);
        else if (thread->deadline != 0 && thread->deadline < now)
            shutdown(thread->shutdown_fd, SHUT_RDWR);
    }
}

static void watch(struct task *task, int reasons)
{
    char scrap[64];
    (void)reasons;
    while (read(ended_pipe[0], scrap, sizeof scrap) == (ssize_t)sizeof scrap)
        ;
    look_after_clients(the_server);
    loop_due(the_server->loop, task, clock_ms() + LOOK_MS);
}

static int watched(struct task *task, struct pollfd *fds, int size)
{
    (void)task;
    if (size > 0)
        fds[0] = (struct pollfd){ .fd = ended_pipe[0], .events = POLLIN };
    return 1;
}

static int make_pipe(int ends[2])
{
    return pipe(ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;
}

int threads_begin(struct server *server)
{
    if (!library_waits())
        return 1;
    the_server = server;
    if (!make_pipe(ended_pipe))
        return 0;
    threads_acquire();
    watcher.run = watch;
    watcher.descriptors = watched;
    loop_add(server->loop, &watcher);
    return 1;
}

void threads_end(struct server *server)
{
    if (!library_waits() || ended_pipe[0] < 0)
        return;
    while (server->clients) {
        pthread_t id = server->clients->thread->id;
        threads_release();
        pthread_join(id, NULL);
        threads_acquire();
        server->clients->thread->started = 0;
        client_free(server->clients);
    }
    loop_remove(server->loop, &watcher);
    threads_release();
    close(ended_pipe[0]);
    close(ended_pipe[1]);
}

/* ---- a client's thread ---- */

/* Waits for the socket, for the live queue, and for the next tag's time. */
static int wait_for_work(struct client *client, int *readable)
{
    char scrap[64];
    RTMP *r = client->rtmp;
    /* Bytes that the library has read already do not make the socket readable. */
    int timeout = r->m_sb.sb_size > 0 ? 0 : netstream_wait(client, 1000);
    struct pollfd waiting[2] = { { .fd = RTMP_Socket(r), .events = POLLIN },
                                 { .fd = client->thread->wake[0], .events = POLLIN } };
    threads_guard(client, 0);
    threads_release();
    int ready = poll(waiting, 2, timeout);
    int error = errno;
    threads_acquire();
    threads_guard(client, 2 * (int64_t)client->server->timeout_ms);
    if (ready < 0 && error != EINTR)
        return 0;
    while (read(client->thread->wake[0], scrap, sizeof scrap) == (ssize_t)sizeof scrap)
        ;
    *readable = r->m_sb.sb_size > 0 || (ready > 0 && waiting[0].revents);
    return 1;
}

/* Lets the last messages arrive: closing with unread bytes would make the kernel drop unsent ones. */
static void part(struct client *client)
{
    char scrap[4096];
    int fd = client->thread->shutdown_fd;
    int64_t end = clock_ms() + PARTING_MS, left;
    if (shutdown(fd, SHUT_WR) != 0)
        return;
    while ((left = end - clock_ms()) > 0 && !client->server->stopping) {
        struct pollfd waiting = { .fd = fd, .events = POLLIN };
        threads_release();
        int over = poll(&waiting, 1, (int)left) <= 0 || recv(fd, scrap, sizeof scrap, 0) <= 0;
        threads_acquire();
        if (over)
            return;
    }
}

static void *serve(void *argument)
{
    struct client *client = argument;
    int readable = 0;
    threads_acquire();
    threads_guard(client, client->stage_ends - clock_ms());
    int ok = client_greet(client) > 0;
    while (ok)
        ok = wait_for_work(client, &readable) && client_turn(client, readable) && client_check(client);
    client_stop(client);
    int connected = RTMP_IsConnected(client->rtmp);
    if (connected)
        sender_flush(&client->sender);
    threads_guard(client, 2 * (int64_t)client->server->timeout_ms);
    threads_release();
    RTMP_Close(client->rtmp); /* shutdown_fd keeps the connection open */
    threads_acquire();
    threads_guard(client, 0);
    if (connected)
        part(client);
    shutdown(client->thread->shutdown_fd, SHUT_RDWR); /* for the peer, it is closed now, not when the thread is joined */
    RTMP_Log(RTMP_LOGINFO, "client %u: gone", client->number);
    client->thread->done = 1;
    ssize_t ignored = write(ended_pipe[1], "", 1);
    (void)ignored;
    threads_release();
    return NULL;
}

int threads_prepare(struct client *client)
{
    struct thread *thread = client->thread = calloc(1, sizeof *thread);
    if (!thread)
        return 0;
    thread->shutdown_fd = thread->wake[0] = thread->wake[1] = -1;
    return make_pipe(thread->wake) && (thread->shutdown_fd = dup(thread->wake[0])) >= 0; /* the socket takes its place */
}

void threads_forget(struct client *client)
{
    struct thread *thread = client->thread;
    if (!thread)
        return;
    if (thread->started)
        pthread_join(thread->id, NULL); /* it has ended already, or is about to */
    int descriptors[] = { thread->shutdown_fd, thread->wake[0], thread->wake[1] };
    for (int i = 0; i < 3; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    free(thread);
    client->thread = NULL;
}

int threads_serve(struct client *client, int fd)
{
    int ms = client->server->timeout_ms, flags = fcntl(fd, F_GETFL);
    struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 /* some systems take it from the listener */
        || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0
        || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 || dup2(fd, client->thread->shutdown_fd) < 0)
        return 0;
    int error = pthread_create(&client->thread->id, NULL, serve, client);
    client->thread->started = error == 0;
    errno = error;
    return error == 0;
}

void threads_wake(struct client *client)
{
    /* A full pipe is fine: then there is a wake-up call already. */
    ssize_t ignored = write(client->thread->wake[1], "", 1);
    (void)ignored;
}

void threads_guard(struct client *client, int64_t ms)
{
    if (client->thread)
        client->thread->deadline = ms != 0 ? clock_ms() + ms : 0;
}

void threads_shut_down(struct client *client) { shutdown(client->thread->shutdown_fd, SHUT_RDWR); }
#else
/* There the server is always built for a library with an event loop. */
#include <stddef.h>

void threads_release(void) {}
void threads_acquire(void) {}
int threads_begin(struct server *server) { return server != NULL; }
void threads_end(struct server *server) { (void)server; }
int threads_prepare(struct client *client) { return client != NULL; }
void threads_forget(struct client *client) { (void)client; }
int threads_serve(struct client *client, int fd) { return client != NULL && fd >= 0; }
void threads_wake(struct client *client) { (void)client; }
void threads_guard(struct client *client, int64_t ms) { (void)client, (void)ms; }
void threads_shut_down(struct client *client) { (void)client; }
#endif
