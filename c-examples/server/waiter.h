/* The event loop's wait: epoll on Linux (waiter_epoll.c), poll elsewhere (waiter_poll.c). */
#ifndef SERVER_WAITER_H
#define SERVER_WAITER_H

#include "loop.h"

struct waiter;

struct waiter *waiter_new(void);
void waiter_free(struct waiter *waiter);

/* The task has run: its descriptors may have changed. */
void waiter_watch(struct waiter *waiter, struct task *task);
/* Removes the task and its descriptors. */
void waiter_forget(struct waiter *waiter, struct task *task);

/* Waits at most `timeout` milliseconds (-1 for no limit), and wakes the tasks whose descriptors are ready. Returns 0 if the
 * system call fails. */
int waiter_wait(struct waiter *waiter, struct loop *loop, struct task *tasks, int timeout);

#endif
