/* Preloaded into a program: on SIGUSR2 it gives what it can back to the system and writes down how many bytes of its heap
 * are in use, to the file that HEAP_REPORT names.
 *
 * Resident memory alone tells little. A block that lives on keeps the pages before it from being given back, so after
 * thousands of sessions it depends on chance by megabytes. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static sigset_t wake;

static void *report(void *unused)
{
    const char *path = getenv("HEAP_REPORT");
    char part[4096];
    int number;
    (void)unused;
    while (path && sigwait(&wake, &number) == 0) {
        malloc_trim(0);
        struct mallinfo2 heap = mallinfo2();
        snprintf(part, sizeof part, "%s.part", path);
        FILE *file = fopen(part, "w");
        if (!file)
            continue;
        fprintf(file, "%zu\n", heap.uordblks + heap.hblkhd);
        fclose(file);
        rename(part, path); /* whole, for those who wait for it */
    }
    return NULL;
}

/* Before the program has threads, which take over what is blocked. */
__attribute__((constructor)) static void start(void)
{
    pthread_t thread;
    sigemptyset(&wake);
    sigaddset(&wake, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &wake, NULL);
    pthread_create(&thread, NULL, report, NULL);
}
