/* What the measuring programs share: clocks, memory, counted allocations, and the line that they print. */
#ifndef MEASURE_H
#define MEASURE_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Not atomic: one thread allocates nearly all, and an atomic addition costs a third of an allocation. */
static unsigned long allocations;

/* The C library's allocator under its other names; the program's own are used by the libraries it loads, too. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}

struct moment {
    double cpu, wall;
    unsigned long allocations;
};

/* The time used by this process so far, and the time of day, in seconds. */
static struct moment now(void)
{
    struct moment moment;
    struct rusage usage;
    struct timespec clock;

    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_MONOTONIC, &clock);
    moment.cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    moment.wall = (double)clock.tv_sec + (double)clock.tv_nsec / 1e9;
    moment.allocations = allocations;
    return moment;
}

/* A line of numbers in kilobytes that the system tells of this process, in bytes. */
static double told(const char *name)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)))
            kilobytes = atof(line + strlen(name));
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* Resident memory that is the process's own: pages of programs and libraries come and go. */
static double resident(void)
{
    return told("RssAnon:");
}

/* The largest resident set; that of getrusage() begins with what the process that started this one has. */
static double peak(void)
{
    return told("VmHWM:");
}

/* Prints what happened since `start`; `count` is of bytes, connections or rounds. */
static void report(struct moment start, double count, double messages)
{
    struct moment end = now();

    printf("{\"cpu\":%.9f,\"wall\":%.9f,\"count\":%.0f,\"messages\":%.0f,\"allocations\":%lu,\"peak\":%.0f}\n",
           end.cpu - start.cpu, end.wall - start.wall, count, messages, end.allocations - start.allocations,
           peak());
}

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

/* One FLV tag around `size` bytes of video that cannot be mistaken for a header of anything. */
static size_t make_tag(unsigned char *tag, unsigned size, unsigned timestamp)
{
    unsigned whole = size + 11;

    tag[0] = 9;
    tag[1] = (unsigned char)(size >> 16), tag[2] = (unsigned char)(size >> 8), tag[3] = (unsigned char)size;
    tag[4] = (unsigned char)(timestamp >> 16), tag[5] = (unsigned char)(timestamp >> 8);
    tag[6] = (unsigned char)timestamp, tag[7] = (unsigned char)(timestamp >> 24);
    tag[8] = tag[9] = tag[10] = 0;
    memset(tag + 11, 0x55, size);
    tag[11] = 0x27, tag[12] = 1;
    tag[whole] = (unsigned char)(whole >> 24), tag[whole + 1] = (unsigned char)(whole >> 16);
    tag[whole + 2] = (unsigned char)(whole >> 8), tag[whole + 3] = (unsigned char)whole;
    return whole + 4;
}

#endif
