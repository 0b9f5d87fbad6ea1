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
    /* Says what the task waits for: fills at most `size` entries and returns how many there are. */
    int (*descriptors)(struct task *task, struct pollfd *fds, int size);
    /* Its descriptors change, or are closed and others take their numbers: `descriptors` is asked after each run, and they are
     * registered for what it says. Otherwise it need not be asked again, and they are registered for both directions. */
    int unsettled;
    /* A peer has closed its side, which is not reported again. */
    int hung_up;

    /* The loop's own from here on. */
    struct task *next, **link;
    struct task *next_ready;
    int reasons;
    int64_t due; /* clock_ms() at which it runs anyway; 0 for never */
    int watched[TASK_FDS], watched_count, watched_unsettled;
};

/* Milliseconds of a clock that never goes backwards. */
int64_t clock_ms(void);

/* Returns NULL, with errno, when the system has no room for it. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

void loop_add(struct loop *loop, struct task *task);
void loop_remove(struct loop *loop, struct task *task);

/* From here on no descriptor of the task is watched; `descriptors` says what comes next. */
void loop_forget(struct loop *loop, struct task *task);

/* Runs the task in this turn of the loop, or the next one. */
void loop_wake(struct loop *loop, struct task *task, int reasons);
/* Runs the task at this moment of clock_ms() at the latest. Replaces what was said before; 0 takes it back. */
void loop_due(struct loop *loop, struct task *task, int64_t when);

/* Waits until something is to be done, and does it. Returns 0 when waiting fails. */
int loop_turn(struct loop *loop);

#endif
