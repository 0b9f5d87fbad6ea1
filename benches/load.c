/* Loads a librtmp as a starting program does, and prints the cost:  load count */
#include <dlfcn.h>
#include <sys/wait.h>

#include "measure.h"

/* Whether the library can be loaded and a session created. */
static int load(void)
{
    void *library = dlopen("librtmp.so.1", RTLD_NOW | RTLD_LOCAL);
    void *(*alloc)(void) = library ? (void *(*)(void))dlsym(library, "RTMP_Alloc") : NULL;

    return alloc && alloc();
}

/* The user and system time of children that have ended, in seconds. */
static double spent(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Runs `count` processes that load the library if `loads`. */
static void run(int count, int loads)
{
    int n, status;

    for (n = 0; n < count; n++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (!child)
            _exit(loads && !load());
        if (waitpid(child, &status, 0) != child || status)
            fail("dlopen");
    }
}

int main(int argc, char **argv)
{
    int count = argc == 2 ? atoi(argv[1]) : 0;
    struct moment start = now();
    double empty;

    if (count <= 0)
        fail("reading the arguments");
    run(count, 0);
    empty = spent();
    run(count, 1);
    start.cpu = 0;
    /* The cost of processes that do nothing is not the library's. */
    printf("{\"loading\":%.9f}\n", (spent() - 2 * empty) * 1e6 / count);
    report(start, count, count);
    return 0;
}
