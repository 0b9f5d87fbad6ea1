/* The event loop: one thread, and tasks that it runs when they have something to do. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <poll.h>
#include <stdint.h>

/* Why a task runs. */
enum { TASK_IO = 1 /* a descriptor is ready, or its time has come */, TASK_WOKEN = 2 /* another task has something for it */ };

enum { TASK_FDS = 16 };

struct loop;

struct task {
    void (*run)(struct task *task, int reasons);
    /* Fills in at most `size` descriptors that the task waits for, and returns how many there are. */
    int (*descriptors)(struct task *task, struct pollfd *fds, int size);
    /* Set if its descriptors change, or are closed and reused for other connections: `descriptors` is called after each run,
     * and they are registered for the events that it returns. Otherwise it is called once, and they are registered for both
     * directions. */
    int unsettled;
    /* A peer has closed its side, which is not reported again. */
    int hung_up;

    /* The following fields belong to the loop; the first ones are used each time the task runs. */
    struct task *next_ready;
    int reasons;
    int64_t due; /* clock_ms() at which it runs anyway; 0 for never */
    struct task *next, **link;
    int watched[TASK_FDS], watched_count, watched_unsettled;
};

/* Milliseconds of a clock that never goes backwards. */
int64_t clock_ms(void);

/* Returns NULL, with errno, if the system has no room for it. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

void loop_add(struct loop *loop, struct task *task);
void loop_remove(struct loop *loop, struct task *task);

/* Stops watching the task's descriptors; `descriptors` returns the new ones. */
void loop_forget(struct loop *loop, struct task *task);

/* Runs the task in this turn of the loop, or the next one. */
void loop_wake(struct loop *loop, struct task *task, int reasons);
/* Runs the task at this time of clock_ms() at the latest. Replaces the previous time; 0 cancels it. */
void loop_due(struct loop *loop, struct task *task, int64_t when);

/* Waits until a task is ready, and runs it. Returns 0 if waiting fails. */
int loop_turn(struct loop *loop);

#endif
