/* Plays several streams in one thread, with an event loop: event_loop URL... */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <poll.h>
#include <stdio.h>

#define MOST 64
#define PER_SESSION 8                                /* several while addresses are tried in parallel */

struct player {
    RTMP *r;
    unsigned long long bytes;
    int playing, done;
};

/* [step] */
/* Does what can be done now. Never waits. */
static void step(struct player *player)
{
    static char buffer[64 * 1024];
    RTMP *r = player->r;
    int count, state = RTMP_Step(r);
    if (state & RTMP_STEP_FAILED) {
        player->done = 1;
    } else if (!player->playing) {
        if (state & RTMP_STEP_CONNECTED) {           /* request the stream, or check whether it plays */
            player->playing = RTMP_ConnectStream(r, 0);
            player->done = !player->playing && RTMP_GetLastError(r) != RTMP_ERR_AGAIN;
        }
    } else {
        while ((count = RTMP_Read(r, buffer, sizeof buffer)) > 0)
            player->bytes += (unsigned long long)count;
        player->done = RTMP_GetLastError(r) != RTMP_ERR_AGAIN;   /* the end, or a failure */
    }
}
/* [step end] */

/* [loop] */
/* Waits for all players at once, until all are done. */
static void run(struct player *players, int number)
{
    for (;;) {
        struct pollfd fds[PER_SESSION * MOST];
        int count = 0, timeout = -1, active = 0;
        for (int i = 0; i < number; i++) {
            if (players[i].done)
                continue;
            active++;
            /* Descriptors and timeout change with each call. */
            int found = RTMP_GetPollFds(players[i].r, fds + count, PER_SESSION);
            count += found < PER_SESSION ? found : PER_SESSION;
            int time = RTMP_GetPollTimeout(players[i].r);
            if (time >= 0 && (timeout < 0 || time < timeout))
                timeout = time;
        }
        if (!active)
            return;
        poll(fds, (nfds_t)count, timeout);
        for (int i = 0; i < number; i++)
            if (!players[i].done)
                step(&players[i]);
    }
}
/* [loop end] */

int main(int argc, char **argv)
{
    static struct player players[MOST];
    int number = argc - 1, failed = 0;
    if (number < 1 || number > MOST)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    for (int i = 0; i < number; i++) {
        RTMP *r = players[i].r = RTMP_Alloc();
        if (!r)
            return 1;
        RTMP_Init(r);
        RTMP_SetNonBlocking(r, 1);                   /* from here on, no call waits */
        players[i].done = !RTMP_SetupURL(r, argv[1 + i])
            || (!RTMP_Connect(r, NULL) && RTMP_GetLastError(r) != RTMP_ERR_AGAIN);
    }
    run(players, number);
    for (int i = 0; i < number; i++) {
        int ended = RTMP_GetLastError(players[i].r) == RTMP_ERR_ENDED;
        printf("stream %d: %llu bytes, %s\n", i + 1, players[i].bytes, RTMP_GetErrorString(players[i].r));
        failed |= !ended;
        RTMP_Close(players[i].r);                    /* RTMP_Free closes the connection at once */
        RTMP_Free(players[i].r);
    }
    return failed;
}
