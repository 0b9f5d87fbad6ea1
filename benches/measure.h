/* Shared by the measuring programs: clocks, memory, counted allocations, and the line of output. */
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

/* Not atomic: one thread makes nearly all allocations, and an atomic addition costs a third of an allocation. */
static unsigned long allocations;

/* The C library's allocator under its other names; libraries that the program loads call the program's own functions, too. */
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

/* The CPU time of this process, and the time of day, in seconds. */
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

/* A value in kilobytes that the system reports for this process, in bytes. */
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

/* Resident memory of the process itself, without the pages of programs and libraries. */
static double resident(void)
{
    return told("RssAnon:");
}

/* The maximum resident set size; that of getrusage() starts with the value of the parent process. */
static double peak(void)
{
    return told("VmHWM:");
}

/* Prints the cost since `start`; `count` is the number of bytes, connections or rounds. */
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

/* One FLV tag with `size` bytes of video that look like no header. */
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
