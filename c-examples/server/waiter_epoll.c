/* Each descriptor is registered once, for both directions, and reported when it becomes ready (edge-triggered). So sending needs
 * only the send call: a player runs again when the system has room for it, without a call to request that. Tasks have to read
 * and write until there is nothing more, or wake themselves. */
#if defined(__linux__) && !defined(SERVER_POLL)
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "waiter.h"

enum { BATCH = 256 };

struct waiter {
    int fd;
    /* By descriptor: the task for which it is registered, or NULL. The library closes descriptors of sessions in HTTP tunnels, or
 * moves them to another session, and their numbers are reused. */
    struct task **owners;
    int size;
    struct epoll_event events[BATCH];
    int count; /* of events that were taken from the system */
};

struct waiter *waiter_new(void)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter && (waiter->fd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        free(waiter);
        return NULL;
    }
    return waiter;
}

void waiter_free(struct waiter *waiter)
{
    close(waiter->fd);
    free(waiter->owners);
    free(waiter);
}

static int grow(struct waiter *waiter, int fd)
{
    if (fd < waiter->size)
        return 1;
    int size = 2 * fd + 64;
    struct task **owners = realloc(waiter->owners, (size_t)size * sizeof *owners);
    if (!owners)
        return 0;
    memset(owners + waiter->size, 0, (size_t)(size - waiter->size) * sizeof *owners);
    waiter->owners = owners;
    waiter->size = size;
    return 1;
}

static int is_owner(const struct waiter *waiter, const struct task *task, int fd)
{
    return fd < waiter->size && waiter->owners[fd] == task;
}

static void drop(struct waiter *waiter, const struct task *task, int fd)
{
    if (!is_owner(waiter, task, fd))
        return;
    epoll_ctl(waiter->fd, EPOLL_CTL_DEL, fd, NULL); /* a closed one has left the set already */
    waiter->owners[fd] = NULL;
}

static int is_watched(const struct task *task, int fd)
{
    for (int i = 0; i < task->watched_count; i++)
        if (task->watched[i] == fd)
            return 1;
    return 0;
}

static int is_wanted(const struct pollfd *fds, int count, int fd)
{
    for (int i = 0; i < count; i++)
        if (fds[i].fd == fd)
            return 1;
    return 0;
}

void waiter_watch(struct waiter *waiter, struct task *task)
{
    struct pollfd fds[TASK_FDS];
    if (!task->unsettled && !task->watched_unsettled && task->watched_count > 0)
        return;
    int count = task->descriptors ? task->descriptors(task, fds, TASK_FDS) : 0;
    if (count > TASK_FDS)
        count = TASK_FDS;
    for (int i = 0; i < task->watched_count; i++)
        if (!is_wanted(fds, count, task->watched[i]))
            drop(waiter, task, task->watched[i]);
    for (int i = 0; i < count; i++) {
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        if (task->unsettled) /* otherwise it would be ready for the other direction each time */
            event.events = (fds[i].events & POLLIN ? EPOLLIN : 0u) | (fds[i].events & POLLOUT ? EPOLLOUT : 0u) | EPOLLET;
        event.data.fd = fds[i].fd;
        if (!task->unsettled && !task->watched_unsettled && is_watched(task, fds[i].fd))
            continue;
        if (!grow(waiter, fds[i].fd))
            continue; /* the task still runs once a second */
        if (epoll_ctl(waiter->fd, EPOLL_CTL_ADD, fds[i].fd, &event) != 0 && errno == EEXIST)
            epoll_ctl(waiter->fd, EPOLL_CTL_MOD, fds[i].fd, &event);
        waiter->owners[fds[i].fd] = task;
    }
    for (int i = 0; i < count; i++)
        task->watched[i] = fds[i].fd;
    task->watched_count = count;
    task->watched_unsettled = task->unsettled;
}

void waiter_forget(struct waiter *waiter, struct task *task)
{
    for (int i = 0; i < task->watched_count; i++)
        drop(waiter, task, task->watched[i]);
    task->watched_count = 0;
}

int waiter_wait(struct waiter *waiter, struct loop *loop, struct task *tasks, int timeout)
{
    (void)tasks;
    int count = epoll_wait(waiter->fd, waiter->events, BATCH, timeout);
    for (int i = 0; i < count; i++) {
        int fd = waiter->events[i].data.fd;
        struct task *task = fd < waiter->size ? waiter->owners[fd] : NULL;
        if (!task)
            continue;
        task->hung_up |= !task->unsettled && (waiter->events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        loop_wake(loop, task, TASK_IO);
    }
    return count >= 0 || errno == EINTR;
}
#else
typedef int not_empty; /* C requires it */
#endif
