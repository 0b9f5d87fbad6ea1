/*
 * Two copies of the library in one process, each with a session of its own, do not disturb each other:
 *
 *     two_copies linked URL URL               the two that the program is linked with, with -D LINKED
 *     two_copies local URL URL FILE FILE      both loaded by dlopen, each with its symbols to itself
 *     two_copies namespace URL URL FILE FILE  the second loaded into a namespace of its own, with a C library of its own
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "copy.h"

static struct copy copies[2];
static int logged[2];

static void log_line(int copy, int level, const char *format, va_list arguments)
{
    char text[256];

    vsnprintf(text, sizeof(text), format, arguments);
    if (level > RTMP_LOGERROR)
        return;
    printf("copy %d logs %d: %s\n", copy, level, text);
    logged[copy]++;
}

static void log_of_first(int level, const char *format, va_list arguments)
{
    log_line(0, level, format, arguments);
}

static void log_of_second(int level, const char *format, va_list arguments)
{
    log_line(1, level, format, arguments);
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

/* Assigning through void * is how POSIX has it; a cast of the pointer itself is not C. */
#define FIND(field, name) *(void **)&copy->field = find(library, name)

static void load(struct copy *copy, const char *file, int apart)
{
    void *library = apart ? dlmopen(LM_ID_NEWLM, file, RTLD_NOW) : dlopen(file, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    FIND(alloc, "RTMP_Alloc");
    FIND(init, "RTMP_Init");
    FIND(setup_url, "RTMP_SetupURL");
    FIND(connect, "RTMP_Connect");
    FIND(connect_stream, "RTMP_ConnectStream");
    FIND(read, "RTMP_Read");
    FIND(close, "RTMP_Close");
    FIND(free, "RTMP_Free");
    FIND(interrupt, "RTMP_UserInterrupt");
    FIND(log, "RTMP_Log");
    FIND(log_set_callback, "RTMP_LogSetCallback");
    FIND(log_level, "RTMP_LogGetLevel");
    FIND(level, "RTMP_debuglevel");
    FIND(interrupted, "RTMP_ctrlC");
}

static void use_variables(void)
{
    int which;

    for (which = 0; which < 2; which++) {
        const struct copy *copy = &copies[which], *other = &copies[1 - which];

        *copy->level = RTMP_LOGDEBUG2;
        copy->interrupt();
        printf("copy %d: level %u, interrupt %d; the other: %u, %d\n", which, copy->log_level(), *copy->interrupted,
               other->log_level(), *other->interrupted);
        *copy->level = RTMP_LOGERROR;
        *copy->interrupted = 0;
    }
    copies[0].log_set_callback(log_of_first);
    copies[1].log_set_callback(log_of_second);
    for (which = 0; which < 2; which++)
        copies[which].log(RTMP_LOGERROR, "%s", which ? "for the second" : "for the first");
    printf("lines: %d and %d\n", logged[0], logged[1]);
}

static RTMP *start(const struct copy *copy, char *url)
{
    RTMP *session = copy->alloc();

    if (!session)
        return NULL;
    copy->init(session);
    session->Link.timeout = 20;
    return copy->setup_url(session, url) && copy->connect(session, NULL) && copy->connect_stream(session, 0) ? session
                                                                                                            : NULL;
}

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    RTMP *sessions[2];
    long bytes[2] = {0, 0};
    int which, playing = 2;

    if (argc == 6) {
        load(&copies[0], argv[4], 0);
        load(&copies[1], argv[5], !strcmp(argv[1], "namespace"));
    } else if (argc == 4) {
#ifdef LINKED
        copies[0] = plain_copy;
        copies[1] = prefixed_copy;
#endif
    }
    if (!copies[0].alloc)
        return 2;
    use_variables();

    for (which = 0; which < 2; which++) {
        sessions[which] = start(&copies[which], argv[2 + which]);
        if (!sessions[which])
            return 1;
    }
    /* In turns; the first to end is closed while the other continues. */
    while (playing) {
        for (which = 0; which < 2; which++) {
            int n;

            if (!sessions[which])
                continue;
            n = copies[which].read(sessions[which], buffer, sizeof(buffer));
            if (n > 0) {
                bytes[which] += n;
                continue;
            }
            printf("copy %d: %ld bytes, status %d\n", which, bytes[which], sessions[which]->m_read.status);
            copies[which].close(sessions[which]);
            copies[which].free(sessions[which]);
            sessions[which] = NULL;
            playing--;
        }
    }
    return 0;
}
