/* loop: plays any number of streams at once in one thread, and saves each as an FLV file.
 *
 * No call of a session waits (librtmp/loop.h). The program waits in one poll for all sessions, and could wait there for
 * other descriptors, too. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ending.h"
#include "reason.h"

struct player {
    RTMP *r;
    char *url; /* the session changes it and points into it */
    const char *name;
    FILE *file;
    char path[512];
    int first, count; /* its descriptors among all of them */
    int streaming, left;
    enum ending ending;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void usage(FILE *to)
{
    fprintf(to, "Usage: loop [OPTION]... URL...\n"
                "Save several RTMP streams at the same time, as 1.flv, 2.flv and so on. Ctrl-C stops.\n\n"
                "  -d, --directory DIR    directory for the files (default: the current one)\n"
                "  -l, --live             the streams are live\n"
                "  -t, --timeout SECONDS  give up a stream after SECONDS without data (default 30)\n"
                "  -h, --help             print this text and exit\n\n" ENDING_HELP);
}

/* Ends a player, and prints the reason if the stream is incomplete. RTMP_Step sends the close message. */
static void leave(struct player *player, enum ending ending, const char *what)
{
    if (ending != END_WELL)
        fprintf(stderr, "loop: %s: %s (%s)\n", player->name, what, reason(player->r));
    player->ending = ending;
    player->left = 1;
    RTMP_Close(player->r);
}

/* Reads what has arrived. */
static void read_stream(struct player *player)
{
    static char block[64 * 1024];
    /* A fast stream must not delay the others. */
    for (int turn = 0; turn < 16; turn++) {
        int count = RTMP_Read(player->r, block, sizeof block);
        if (count > 0) {
            if (fwrite(block, 1, (size_t)count, player->file) != (size_t)count) {
                fprintf(stderr, "loop: cannot write %s: %s\n", player->path, strerror(errno));
                leave(player, END_OUTPUT, "stopped");
                return;
            }
        } else if (count < 0 && RTMP_GetLastError(player->r) == RTMP_ERR_AGAIN) {
            return;
        } else {
            int complete = RTMP_GetLastError(player->r) == RTMP_ERR_ENDED;
            leave(player, complete ? END_WELL : END_FAILED, "the stream broke off");
            return;
        }
    }
}

static void step(struct player *player)
{
    int state = RTMP_Step(player->r);
    if (player->left)
        return;
    if (state & RTMP_STEP_FAILED) {
        leave(player, ending_of(player->r, player->streaming ? END_FAILED : END_NOT_CONNECTED),
              player->streaming ? "the stream broke off" : "cannot play");
        return;
    }
    if ((state & RTMP_STEP_CONNECTED) && !player->streaming) {
        /* The first call requests the stream. Later calls return TRUE when it plays. */
        if (RTMP_ConnectStream(player->r, 0))
            player->streaming = 1;
        else if (RTMP_GetLastError(player->r) != RTMP_ERR_AGAIN)
            leave(player, ending_of(player->r, END_REFUSED), "the server does not play");
        return;
    }
    if (state & (RTMP_STEP_READABLE | RTMP_STEP_CLOSED))
        read_stream(player);
}

static int begin(struct player *player, const char *url, const char *directory, int number, int live, int timeout)
{
    player->name = url;
    snprintf(player->path, sizeof player->path, "%s/%d.flv", directory, number);
    player->file = fopen(player->path, "wb");
    if (!player->file) {
        fprintf(stderr, "loop: cannot write %s: %s\n", player->path, strerror(errno));
        return END_OUTPUT;
    }
    player->url = strdup(url);
    player->r = RTMP_Alloc();
    if (!player->url || !player->r) {
        fprintf(stderr, "loop: out of memory\n");
        return END_FAILED;
    }
    RTMP_Init(player->r);
    player->r->Link.timeout = timeout;
    if (!RTMP_SetupURL(player->r, player->url)) {
        fprintf(stderr, "loop: not a usable address: %s (%s)\n", url, reason(player->r));
        return END_WRONG_USE;
    }
    if (live)
        player->r->Link.lFlags |= RTMP_LF_LIVE;
    else
        RTMP_SetBufferMS(player->r, 3600 * 1000); /* a file needs no pacing: ask for it at once */
    RTMP_SetNonBlocking(player->r, 1);
    if (!RTMP_Connect(player->r, NULL) && RTMP_GetLastError(player->r) != RTMP_ERR_AGAIN)
        leave(player, ending_of(player->r, END_NOT_CONNECTED), "cannot connect");
    return END_WELL;
}

/* Collects the descriptors and the timeout of all active players. Returns the number of descriptors, or -1 when all players
 * have ended. */
static int collect(struct player *players, int count, struct pollfd **fds, int *capacity, int *timeout)
{
    int used = 0, busy = 0;
    *timeout = -1;
    for (int i = 0; i < count; i++) {
        struct player *player = &players[i];
        int found = RTMP_GetPollFds(player->r, *fds + used, *capacity - used);
        if (used + found > *capacity) {
            int bigger = (used + found) * 2;
            struct pollfd *more = realloc(*fds, (size_t)bigger * sizeof **fds);
            if (!more)
                return -1;
            *fds = more;
            *capacity = bigger;
            found = RTMP_GetPollFds(player->r, *fds + used, *capacity - used);
        }
        int time = RTMP_GetPollTimeout(player->r);
        if (time >= 0 && (*timeout < 0 || time < *timeout))
            *timeout = time;
        if (found > 0 || time >= 0)
            busy = 1;
        player->first = used;
        player->count = found;
        used += found;
    }
    return busy ? used : -1;
}

static int is_due(const struct player *player, const struct pollfd *fds)
{
    for (int i = 0; i < player->count; i++)
        if (fds[player->first + i].revents)
            return 1;
    return RTMP_GetPollTimeout(player->r) == 0;
}

static void run(struct player *players, int count)
{
    struct pollfd *fds = NULL;
    int capacity = 0, timeout, used;
    while ((used = collect(players, count, &fds, &capacity, &timeout)) >= 0) {
        if (poll(fds, (nfds_t)used, timeout) < 0 && errno != EINTR)
            break;
        if (interrupted) {
            interrupted = 0;
            for (int i = 0; i < count; i++)
                if (!players[i].left)
                    leave(&players[i], END_WELL, "stopped");
        }
        for (int i = 0; i < count; i++)
            if (is_due(&players[i], fds))
                step(&players[i]);
    }
    free(fds);
}

int main(int argc, char **argv)
{
    int live = 0, timeout = 30, letter;
    const char *directory = ".";
    static const struct option names[] = {
        { "directory", required_argument, NULL, 'd' }, { "live", no_argument, NULL, 'l' },
        { "timeout", required_argument, NULL, 't' },   { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };
    while ((letter = getopt_long(argc, argv, "d:lt:h", names, NULL)) != -1) {
        switch (letter) {
        case 'd': directory = optarg; break;
        case 'l': live = 1; break;
        case 't': timeout = atoi(optarg); break;
        case 'h': usage(stdout); return fflush(stdout) == 0 ? END_WELL : END_OUTPUT;
        default: usage(stderr); return END_WRONG_USE;
        }
    }
    int count = argc - optind;
    if (count == 0 || timeout <= 0) {
        usage(stderr);
        return END_WRONG_USE;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C ends the program at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    RTMP_LogSetLevel(RTMP_LOGCRIT);

    struct player *players = calloc((size_t)count, sizeof *players);
    int ending = players ? END_WELL : END_FAILED, begun = 0;
    while (ending == END_WELL && begun < count) {
        ending = begin(&players[begun], argv[optind + begun], directory, begun + 1, live, timeout);
        begun++;
    }
    if (ending == END_WELL)
        run(players, count);
    for (int i = 0; i < begun; i++) {
        struct player *player = &players[i];
        if (player->file && fclose(player->file) != 0)
            ending = END_OUTPUT;
        if (ending == END_WELL)
            ending = player->ending;
        if (player->r)
            RTMP_Close(player->r);
        RTMP_Free(player->r);
        free(player->url);
    }
    free(players);
    return ending;
}
