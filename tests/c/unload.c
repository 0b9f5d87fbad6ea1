/*
 * Loads a library, lets it look a name up for longer than its timeout, and closes it: what it left at work must find its
 * code where it was. The lookups are those of this program, which end when it says so.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <librtmp/rtmp.h>

static atomic_int asked, released;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)name, (void)service, (void)hints, (void)found;
    asked = 1;
    while (!released)
        usleep(1000);
    return EAI_FAIL;
}

static void *find(void *library, const char *name)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return symbol;
}

static int threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    while (tasks && readdir(tasks))
        count++;
    if (tasks)
        closedir(tasks);
    return count - 2; /* without . and .. */
}

int main(int argc, char **argv)
{
    char url[] = "rtmp://slow.invalid/app/name timeout=1";
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    RTMP *(*alloc)(void);
    int (*setup_url)(RTMP *, char *), (*open)(RTMP *, RTMPPacket *), waits;
    void (*init)(RTMP *), (*release)(RTMP *);
    RTMP *session;

    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    *(void **)&alloc = find(library, "RTMP_Alloc");
    *(void **)&init = find(library, "RTMP_Init");
    *(void **)&setup_url = find(library, "RTMP_SetupURL");
    *(void **)&open = find(library, "RTMP_Connect");
    *(void **)&release = find(library, "RTMP_Free");

    session = alloc();
    if (!session)
        return 2;
    init(session);
    printf("set up %d, ", setup_url(session, url));
    printf("connected %d, ", open(session, NULL));
    printf("asked %d, threads %d, ", asked, threads());
    release(session);
    printf("closed %d, ", dlclose(library));
    fflush(stdout);
    released = 1;
    for (waits = 0; threads() > 1 && waits < 20000; waits++)
        usleep(1000);
    printf("threads %d\n", threads());
    return 0;
}
