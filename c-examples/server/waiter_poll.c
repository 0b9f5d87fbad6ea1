/* Asks all tasks for their descriptors before each wait. That costs time for each of them, but works on every system. */
#if !defined(__linux__) || defined(SERVER_POLL)
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>

#include "waiter.h"

struct waiter {
    struct pollfd *fds;
    struct task **owners; /* of fds */
    int capacity;
};

struct waiter *waiter_new(void) { return calloc(1, sizeof(struct waiter)); }

void waiter_free(struct waiter *waiter)
{
    free(waiter->fds);
    free(waiter->owners);
    free(waiter);
}

void waiter_watch(struct waiter *waiter, struct task *task) { (void)waiter, (void)task; }

void waiter_forget(struct waiter *waiter, struct task *task) { (void)waiter, (void)task; }

static int grow(struct waiter *waiter, int needed)
{
    if (needed <= waiter->capacity)
        return 1;
    int capacity = 2 * needed;
    struct pollfd *fds = realloc(waiter->fds, (size_t)capacity * sizeof *fds);
    if (fds)
        waiter->fds = fds;
    struct task **owners = realloc(waiter->owners, (size_t)capacity * sizeof *owners);
    if (owners)
        waiter->owners = owners;
    if (!fds || !owners)
        return 0;
    waiter->capacity = capacity;
    return 1;
}

int waiter_wait(struct waiter *waiter, struct loop *loop, struct task *tasks, int timeout)
{
    int used = 0;
    for (struct task *task = tasks; task; task = task->next) {
        if (!task->descriptors)
            continue;
        if (!grow(waiter, used + TASK_FDS)) {
            errno = ENOMEM;
            return 0;
        }
        int count = task->descriptors(task, waiter->fds + used, TASK_FDS);
        for (int i = 0; i < count && i < TASK_FDS; i++)
            waiter->owners[used++] = task;
    }
    int ready = poll(waiter->fds, (nfds_t)used, timeout);
    for (int i = 0; ready > 0 && i < used; i++)
        if (waiter->fds[i].revents)
            loop_wake(loop, waiter->owners[i], TASK_IO);
    return ready >= 0 || errno == EINTR;
}
#else
typedef int not_empty_either; /* C requires it */
#endif
