/* Plays RTMP streams in a GLib main loop, any number in one thread: glib URL FILE [URL FILE]...
 *
 *   cc glib.c $(pkg-config --cflags --libs librtmp glib-2.0)
 *
 * Each session is a GSource. Every call about a session can change its descriptors, so they are set before each poll. */
#include <glib.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FDS = 16 };

struct player {
    GSource source;
    RTMP *r;
    char *url;
    FILE *file;
    gpointer tags[MOST_FDS];
    int count, playing, left, failed;
};

static GMainLoop *loop;
static int running;

static gboolean prepare(GSource *source, gint *timeout)
{
    struct player *player = (struct player *)source;
    struct pollfd fds[MOST_FDS];
    int count, i;
    for (i = 0; i < player->count; i++)
        g_source_remove_unix_fd(source, player->tags[i]);
    count = RTMP_GetPollFds(player->r, fds, MOST_FDS);
    player->count = count < MOST_FDS ? count : MOST_FDS;
    for (i = 0; i < player->count; i++) {
        GIOCondition condition = (fds[i].events & POLLIN ? G_IO_IN : 0) | (fds[i].events & POLLOUT ? G_IO_OUT : 0);
        player->tags[i] = g_source_add_unix_fd(source, fds[i].fd, condition | G_IO_HUP | G_IO_ERR);
    }
    *timeout = RTMP_GetPollTimeout(player->r);
    /* If there is nothing to wait for, another step ends the source. */
    return *timeout == 0 || (*timeout < 0 && player->count == 0);
}

static gboolean check(GSource *source)
{
    struct player *player = (struct player *)source;
    int i;
    for (i = 0; i < player->count; i++)
        if (g_source_query_unix_fd(source, player->tags[i]))
            return TRUE;
    return RTMP_GetPollTimeout(player->r) == 0;
}

static void leave(struct player *player, const char *what)
{
    if (what)
        fprintf(stderr, "glib: %s: %s\n", what, RTMP_GetErrorString(player->r));
    player->failed = what != NULL;
    player->left = 1;
    RTMP_Close(player->r); /* queues the close message, which steps send */
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    static char block[64 * 1024];
    struct player *player = (struct player *)source;
    int bits = RTMP_Step(player->r), count;
    (void)callback;
    (void)data;
    if (!player->left && (bits & RTMP_STEP_FAILED))
        leave(player, "lost");
    if (!player->left && (bits & RTMP_STEP_CONNECTED) && !player->playing) {
        player->playing = RTMP_ConnectStream(player->r, 0);
        if (!player->playing && RTMP_GetLastError(player->r) != RTMP_ERR_AGAIN)
            leave(player, "refused");
    }
    while (player->playing && !player->left) {
        count = RTMP_Read(player->r, block, sizeof block);
        if (count > 0)
            fwrite(block, 1, (size_t)count, player->file);
        else if (RTMP_GetLastError(player->r) == RTMP_ERR_AGAIN)
            break;
        else
            leave(player, RTMP_GetLastError(player->r) == RTMP_ERR_ENDED ? NULL : "broke off");
    }
    if (player->left && RTMP_GetPollFds(player->r, NULL, 0) == 0 && RTMP_GetPollTimeout(player->r) < 0) {
        if (--running == 0)
            g_main_loop_quit(loop);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    static GSourceFuncs functions = { prepare, check, dispatch, NULL, NULL, NULL };
    struct player **players = calloc((size_t)argc, sizeof *players);
    int count = (argc - 1) / 2, i, failed = 0;
    if (argc < 3 || argc % 2 == 0 || !players) {
        fprintf(stderr, "usage: glib URL FILE [URL FILE]...\n");
        return 2;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    loop = g_main_loop_new(NULL, FALSE);
    for (i = 0; i < count; i++) {
        struct player *player = (struct player *)g_source_new(&functions, sizeof *player);
        players[i] = player;
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
        running++;
        g_source_attach(&player->source, NULL);
    }
    g_main_loop_run(loop);
    for (i = 0; i < count; i++) {
        failed |= players[i]->failed;
        fclose(players[i]->file);
        RTMP_Free(players[i]->r);
        free(players[i]->url);
        g_source_unref(&players[i]->source);
    }
    free(players);
    g_main_loop_unref(loop);
    return failed;
}
