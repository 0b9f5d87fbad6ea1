#define _POSIX_C_SOURCE 200809L
#include "loop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "threads.h"
#include "waiter.h"

struct loop {
    struct waiter *waiter;
    struct task *tasks;
    struct task *ready, **ready_end;
    unsigned ready_count;
    struct task *running; /* NULL if it was removed meanwhile */
    int64_t soonest;      /* no task is due before that; 0 if none is due */
};

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop && !(loop->waiter = waiter_new())) {
        free(loop);
        return NULL;
    }
    if (loop)
        loop->ready_end = &loop->ready;
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    waiter_free(loop->waiter);
    free(loop);
}

void loop_add(struct loop *loop, struct task *task)
{
    task->next = loop->tasks;
    task->link = &loop->tasks;
    if (task->next)
        task->next->link = &task->next;
    loop->tasks = task;
    task->reasons = 0;
    task->watched_count = task->watched_unsettled = 0;
    loop_wake(loop, task, TASK_IO);
}

void loop_remove(struct loop *loop, struct task *task)
{
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    if (task->reasons) {
        struct task **place = &loop->ready;
        while (*place != task)
            place = &(*place)->next_ready;
        *place = task->next_ready;
        if (!*place)
            loop->ready_end = place;
        loop->ready_count--;
    }
    waiter_forget(loop->waiter, task);
    if (loop->running == task)
        loop->running = NULL;
}

void loop_forget(struct loop *loop, struct task *task) { waiter_forget(loop->waiter, task); }

void loop_wake(struct loop *loop, struct task *task, int reasons)
{
    if (task->reasons == 0) {
        task->next_ready = NULL;
        *loop->ready_end = task;
        loop->ready_end = &task->next_ready;
        loop->ready_count++;
    }
    task->reasons |= reasons;
}

void loop_due(struct loop *loop, struct task *task, int64_t when)
{
    task->due = when;
    if (when != 0 && (loop->soonest == 0 || when < loop->soonest))
        loop->soonest = when;
}

static void wake_those_due(struct loop *loop)
{
    int64_t now = loop->soonest != 0 ? clock_ms() : 0;
    if (loop->soonest == 0 || now < loop->soonest)
        return;
    loop->soonest = 0;
    for (struct task *task = loop->tasks; task; task = task->next) {
        if (task->due == 0)
            continue;
        if (task->due <= now) {
            task->due = 0;
            loop_wake(loop, task, TASK_IO);
        } else {
            loop_due(loop, task, task->due);
        }
    }
}

/* Runs the tasks that are ready now. Tasks that become ready meanwhile run later. */
static void run_ready(struct loop *loop)
{
    for (unsigned count = loop->ready_count; loop->ready && count > 0; count--) {
        struct task *task = loop->ready;
        int reasons = task->reasons;
        loop->ready = task->next_ready;
        loop->ready_count--;
        if (!loop->ready)
            loop->ready_end = &loop->ready;
        task->reasons = 0;
        loop->running = task;
        task->run(task, reasons);
        if (loop->running && (reasons & TASK_IO || task->unsettled))
            waiter_watch(loop->waiter, task);
        loop->running = NULL;
    }
}

int loop_turn(struct loop *loop)
{
    int timeout = -1;
    if (loop->ready) {
        timeout = 0;
    } else if (loop->soonest != 0) {
        int64_t left = loop->soonest - clock_ms();
        timeout = left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
    }
    threads_release();
    int ok = waiter_wait(loop->waiter, loop, loop->tasks, timeout);
    threads_acquire();
    if (!ok)
        return 0;
    wake_those_due(loop);
    run_ready(loop); /* publishers, among others */
    run_ready(loop); /* the players that they have woken */
    return 1;
}
