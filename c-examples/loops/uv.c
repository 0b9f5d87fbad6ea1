/* Plays RTMP streams with libuv, any number in one thread: uv URL FILE [URL FILE]...
 *
 *   cc uv.c $(pkg-config --cflags --libs librtmp libuv)
 *
 * Every call about a session can change its descriptors, so the handles are made again after each step. */
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MOST_FDS = 16 };

struct player {
    RTMP *r;
    char *url;
    FILE *file;
    int playing, left, failed;
};

/* One wait: a timer and a handle for each descriptor. It frees itself when all of them are closed. */
struct wait {
    struct player *player;
    uv_timer_t timer;
    uv_poll_t polls[MOST_FDS];
    int count, open;
};

static void wait_for(struct player *player);

static void on_close(uv_handle_t *handle)
{
    struct wait *wait = handle->data;
    struct player *player = wait->player;
    if (--wait->open > 0)
        return;
    free(wait);
    wait_for(player);
}

static void leave(struct player *player, const char *what)
{
    if (what)
        fprintf(stderr, "uv: %s: %s\n", what, RTMP_GetErrorString(player->r));
    player->failed = what != NULL;
    player->left = 1;
    RTMP_Close(player->r); /* queues the close message, which steps send */
}

static void step(struct player *player)
{
    static char block[64 * 1024];
    int bits = RTMP_Step(player->r), count;
    if (player->left)
        return;
    if (bits & RTMP_STEP_FAILED) {
        leave(player, "lost");
        return;
    }
    if ((bits & RTMP_STEP_CONNECTED) && !player->playing) {
        player->playing = RTMP_ConnectStream(player->r, 0);
        if (!player->playing && RTMP_GetLastError(player->r) != RTMP_ERR_AGAIN)
            leave(player, "refused");
    }
    while (player->playing && !player->left) {
        count = RTMP_Read(player->r, block, sizeof block);
        if (count > 0)
            fwrite(block, 1, (size_t)count, player->file);
        else if (RTMP_GetLastError(player->r) == RTMP_ERR_AGAIN)
            return;
        else
            leave(player, RTMP_GetLastError(player->r) == RTMP_ERR_ENDED ? NULL : "broke off");
    }
}

/* A descriptor is ready or the time has passed: ends the wait. The next one starts when its handles are closed. */
static void due(struct wait *wait)
{
    int i;
    if (uv_is_closing((uv_handle_t *)&wait->timer))
        return;
    step(wait->player);
    uv_close((uv_handle_t *)&wait->timer, on_close);
    for (i = 0; i < wait->count; i++)
        uv_close((uv_handle_t *)&wait->polls[i], on_close);
}

static void on_timer(uv_timer_t *timer)
{
    due(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status; /* RTMP_Step reports the error */
    (void)events;
    due(poll->data);
}

static void wait_for(struct player *player)
{
    struct pollfd fds[MOST_FDS];
    int count = RTMP_GetPollFds(player->r, fds, MOST_FDS), timeout = RTMP_GetPollTimeout(player->r), i;
    struct wait *wait;
    if (count == 0 && timeout < 0)
        return; /* finished */
    wait = calloc(1, sizeof *wait);
    if (!wait)
        abort();
    wait->player = player;
    wait->count = count < MOST_FDS ? count : MOST_FDS;
    wait->open = wait->count + 1;
    uv_timer_init(uv_default_loop(), &wait->timer);
    wait->timer.data = wait;
    if (timeout >= 0)
        uv_timer_start(&wait->timer, on_timer, (uint64_t)timeout, 0);
    for (i = 0; i < wait->count; i++) {
        int events = (fds[i].events & POLLIN ? UV_READABLE : 0) | (fds[i].events & POLLOUT ? UV_WRITABLE : 0);
        uv_poll_init(uv_default_loop(), &wait->polls[i], fds[i].fd);
        wait->polls[i].data = wait;
        uv_poll_start(&wait->polls[i], events | UV_DISCONNECT, on_poll);
    }
}

int main(int argc, char **argv)
{
    int count = (argc - 1) / 2, i, failed = 0;
    struct player *players = calloc((size_t)count + 1, sizeof *players);
    if (argc < 3 || argc % 2 == 0 || !players) {
        fprintf(stderr, "usage: uv URL FILE [URL FILE]...\n");
        return 2;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    for (i = 0; i < count; i++) {
        struct player *player = &players[i];
        player->url = strdup(argv[1 + 2 * i]);
        player->file = fopen(argv[2 + 2 * i], "wb");
        player->r = RTMP_Alloc();
        if (!player->url || !player->file || !player->r)
            return 2;
        RTMP_Init(player->r);
        if (!RTMP_SetupURL(player->r, player->url) || !RTMP_SetNonBlocking(player->r, 1))
            leave(player, "URL");
        else if (!RTMP_Connect(player->r, NULL) && RTMP_GetLastError(player->r) != RTMP_ERR_AGAIN)
            leave(player, "connect");
        wait_for(player);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (i = 0; i < count; i++) {
        failed |= players[i].failed;
        fclose(players[i].file);
        RTMP_Free(players[i].r);
        free(players[i].url);
    }
    free(players);
    uv_loop_close(uv_default_loop());
    return failed;
}
