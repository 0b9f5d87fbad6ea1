/* Sends one stream to one other server. It is a player like any other here (live.c), so it begins with metadata, configurations
 * and a key frame, and skips to the next key frame when the target is slow. */
#define _POSIX_C_SOURCE 200809L
#include "forward.h"

#include <librtmp/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "live.h"
#include "reply.h"
#include "server.h"
#include "waits.h"

enum { TIMEOUT = 10 /* seconds */, FIRST_WAIT_MS = 1000, MOST_WAIT_MS = 30000, BATCH = 64 };

enum forward_stage { FORWARD_WAITS, FORWARD_CONNECTS, FORWARD_SENDS, FORWARD_LEAVES };

static const char *const stage_names[] = { "waiting", "connecting", "sending", "ending" };

struct forward {
    struct task task;
    struct forward *next, **link;
    struct server *server;
    char *path, *target;    /* the stream, and the URL without parts that may be secret */
    char *url;              /* with the stream's name and the options; the session points into it */
    char *text;             /* the same, unchanged */
    RTMP *r;                /* NULL while FORWARD_WAITS */
    struct sender sender;
    struct player *player;  /* NULL unless FORWARD_SENDS */
    enum forward_stage stage;
    int64_t stage_ends;
    int wait_ms;            /* before the next attempt */
    int over;               /* the stream is no longer published */
    unsigned long long bytes;
    unsigned failures;
};

/* The name of a stream on the target: its path without the application. */
static const char *name_at_target(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "URL/NAME?query options" of "URL?query options" */
static char *with_name(const char *url, const char *name)
{
    size_t end = strcspn(url, "? "), length = end, size = strlen(url) + strlen(name) + 2;
    char *whole = malloc(size);
    while (length > 0 && url[length - 1] == '/')
        length--;
    if (whole)
        snprintf(whole, size, "%.*s/%s%s", (int)length, url, name, url + end);
    return whole;
}

int forward_may(const char *url)
{
    char *whole = with_name(url, "x");
    RTMP *r = RTMP_Alloc();
    int valid = 0;
    if (whole && r && strncasecmp(url, "rtmp", 4) == 0) {
        RTMP_Init(r);
        valid = RTMP_SetupURL(r, whole) && r->Link.hostname.av_len > 0;
        RTMP_Close(r);
    }
    RTMP_Free(r);
    free(whole);
    return valid;
}

/* Without user and password, query and options: all of them may be secret. */
static char *without_secrets(const char *url)
{
    const char *host = strstr(url, "://") + 3, *at;
    size_t length = strcspn(host, " ?"), place = strcspn(host, "/ ?");
    for (at = host + place; at > host && *at != '@';)
        at--;
    at += *at == '@';
    size_t scheme = (size_t)(host - url), left = length - (size_t)(at - host);
    char *text = malloc(scheme + left + 1);
    if (text)
        snprintf(text, scheme + left + 1, "%.*s%.*s", (int)scheme, url, (int)left, at);
    return text;
}

/* ---- the connection ---- */

static void hang_up(struct forward *forward)
{
    if (forward->player)
        live_leave(forward->server->live, forward->player);
    forward->player = NULL;
    if (!forward->r)
        return;
    sender_free(&forward->sender);
    loop_forget(forward->server->loop, &forward->task);
    RTMP_SetNonBlocking(forward->r, FALSE);
    RTMP_Close(forward->r);
    RTMP_Free(forward->r);
    forward->r = NULL;
}

static void end(struct forward *forward)
{
    hang_up(forward);
    loop_remove(forward->server->loop, &forward->task);
    *forward->link = forward->next;
    if (forward->next)
        forward->next->link = forward->link;
    free(forward->path);
    free(forward->target);
    free(forward->url);
    free(forward->text);
    free(forward);
}

/* The next attempt comes later: each delay is twice the previous one. */
static void fail(struct forward *forward, const char *what)
{
    RTMP_Log(RTMP_LOGWARNING, "forward %s to %s: %s, next attempt in %d seconds", forward->path, forward->target, what,
             forward->wait_ms / 1000);
    hang_up(forward);
    forward->failures++;
    forward->stage = FORWARD_WAITS;
    forward->stage_ends = clock_ms() + forward->wait_ms;
    forward->wait_ms = forward->wait_ms * 2 < MOST_WAIT_MS ? forward->wait_ms * 2 : MOST_WAIT_MS;
}

static void connect_now(struct forward *forward)
{
    RTMP *r = forward->r = RTMP_Alloc();
    forward->stage = FORWARD_CONNECTS;
    if (!r) {
        fail(forward, "out of memory");
        return;
    }
    RTMP_Init(r);
    r->Link.timeout = TIMEOUT;
    memcpy(forward->url, forward->text, strlen(forward->text) + 1);
    if (!RTMP_SetupURL(r, forward->url) || !sender_init(&forward->sender, r)) {
        fail(forward, reason(r));
        return;
    }
    RTMP_EnableWrite(r);
    RTMP_SetNonBlocking(r, TRUE);
    if (!RTMP_Connect(r, NULL) && !would_wait(r))
        fail(forward, reason(r));
}

static void wake(void *context)
{
    struct forward *forward = context;
    loop_wake(forward->server->loop, &forward->task, TASK_WOKEN);
}

static void connect_further(struct forward *forward, int bits)
{
    if (bits & RTMP_STEP_FAILED) {
        fail(forward, reason(forward->r));
        return;
    }
    if (!(bits & RTMP_STEP_CONNECTED))
        return;
    if (!RTMP_ConnectStream(forward->r, 0)) {
        if (!would_wait(forward->r))
            fail(forward, reason(forward->r));
        return;
    }
    forward->player = live_join(forward->server->live, forward->path, wake, forward);
    if (!forward->player || !sender_announce_chunk_size(&forward->sender)) {
        fail(forward, "out of memory");
        return;
    }
    RTMP_Log(RTMP_LOGINFO, "forward %s to %s: sending", forward->path, forward->target);
    forward->stage = FORWARD_SENDS;
    forward->wait_ms = FIRST_WAIT_MS;
    forward->r->Link.timeout = 86400; /* seconds: a server may be silent for a long time */
}

/* ---- the stream ---- */

/* Processes the target's messages. Returns 0 if the connection was lost. */
static int read_messages(struct forward *forward)
{
    RTMP *r = forward->r;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    for (int count = 0; count < BATCH; count++) {
        if (!RTMP_ReadPacket(r, &packet))
            return would_wait(r);
        if (!RTMPPacket_IsReady(&packet))
            continue;
        int ended = RTMP_ClientPacket(r, &packet) == 2;
        RTMPPacket_Free(&packet);
        if (ended || !RTMP_IsConnected(r))
            return 0;
    }
    loop_wake(forward->server->loop, &forward->task, TASK_IO);
    return 1;
}

/* Publishers wrap metadata in a call of @setDataFrame. Takes over the caller's reference. */
static struct message *as_published(struct message *message)
{
    static const char set[] = "\x02\x00\x0d@setDataFrame";
    struct message *wrapped = NULL;
    if (message->media.kind != MEDIA_METADATA || message->type != FLV_SCRIPT)
        return message;
    uint8_t *body = malloc(sizeof set - 1 + message->size);
    if (body) {
        memcpy(body, set, sizeof set - 1);
        memcpy(body + sizeof set - 1, message->body, message->size);
        wrapped = message_new(FLV_SCRIPT, message->timestamp, body, (uint32_t)(sizeof set - 1 + message->size));
    }
    free(body);
    message_release(message);
    return wrapped;
}

/* Returns 0 if the connection was lost. */
static int send_messages(struct forward *forward)
{
    struct delivery next;
    for (int count = 0; count < BATCH; count++) {
        int sent = sender_flush(&forward->sender);
        if (sent <= 0)
            return sent == 0;
        if (!live_take(forward->player, &next))
            return 1;
        if (next.message->type == LIVE_PUBLISHED || next.message->type == LIVE_UNPUBLISHED) {
            forward->over = next.message->type == LIVE_UNPUBLISHED;
            message_release(next.message);
            if (forward->over)
                return 1;
            continue;
        }
        struct message *message = as_published(next.message);
        if (!message)
            return 0;
        forward->bytes += message->size;
        sender_media(&forward->sender, forward->r->m_stream_id, next.timestamp, message);
    }
    wake(forward);
    return 1;
}

/* The last bytes have to arrive: the library waits for that in its goodbye. */
static void start_leaving(struct forward *forward)
{
    RTMP_Log(RTMP_LOGINFO, "forward %s to %s: ends", forward->path, forward->target);
    if (forward->player)
        live_leave(forward->server->live, forward->player);
    forward->player = NULL;
    forward->r->Link.timeout = TIMEOUT;
    RTMP_Close(forward->r);
    forward->stage = FORWARD_LEAVES;
    forward->stage_ends = clock_ms() + TIMEOUT * 1000;
}

static void go_on(struct forward *forward, int reasons)
{
    int bits = forward->r && reasons & TASK_IO ? RTMP_Step(forward->r) : 0;
    if (forward->stage == FORWARD_WAITS && clock_ms() >= forward->stage_ends)
        connect_now(forward);
    else if (forward->stage == FORWARD_CONNECTS && reasons & TASK_IO)
        connect_further(forward, bits);
    if (forward->stage == FORWARD_SENDS
        && ((reasons & TASK_IO && !read_messages(forward)) || !send_messages(forward)))
        fail(forward, reason(forward->r));
    int64_t full_since = forward->stage == FORWARD_SENDS ? forward->sender.full_since : 0;
    if (full_since != 0 && clock_ms() - full_since > TIMEOUT * 1000)
        fail(forward, "it takes nothing");
    if (forward->stage == FORWARD_SENDS && forward->over)
        start_leaving(forward);
    if (forward->stage == FORWARD_LEAVES && (RTMP_Step(forward->r) & RTMP_STEP_CLOSED))
        forward->stage_ends = 0;
}

/* Whether the stream is published is checked before each attempt: without a connection, no queue reports it. */
static int is_over(const struct forward *forward)
{
    if (forward->stage == FORWARD_LEAVES)
        return clock_ms() >= forward->stage_ends;
    return forward->stage != FORWARD_SENDS && !live_is_published(forward->server->live, forward->path);
}

static void run(struct task *task, int reasons)
{
    struct forward *forward = (struct forward *)task; /* its first member */
    struct loop *loop = forward->server->loop;
    if (!is_over(forward))
        go_on(forward, reasons);
    if (is_over(forward)) {
        end(forward);
        return;
    }
    /* Lookups, addresses and connections follow one another; a tunnel makes new ones at any time. */
    task->unsettled = forward->stage != FORWARD_SENDS || strncmp(forward->text, "rtmpt", 5) == 0;
    int64_t now = clock_ms(), due = now / 1000 * 1000 + 1000;
    int timeout = forward->r ? RTMP_GetPollTimeout(forward->r) : -1;
    if (timeout == 0 && forward->stage != FORWARD_WAITS)
        loop_wake(loop, task, TASK_IO);
    else if (timeout > 0 && now + timeout < due)
        due = now + timeout;
    if (forward->stage == FORWARD_WAITS && forward->stage_ends < due)
        due = forward->stage_ends;
    loop_due(loop, task, due);
}

static int descriptors(struct task *task, struct pollfd *fds, int size)
{
    struct forward *forward = (struct forward *)task;
    return forward->r ? RTMP_GetPollFds(forward->r, fds, size) : 0;
}

/* ---- beginning and end ---- */

static void start(struct server *server, const char *path, const char *url)
{
    struct forward *forward = calloc(1, sizeof *forward);
    if (!forward)
        return;
    forward->server = server;
    forward->path = strdup(path);
    forward->target = without_secrets(url);
    forward->text = with_name(url, name_at_target(path));
    forward->url = forward->text ? strdup(forward->text) : NULL;
    forward->wait_ms = FIRST_WAIT_MS;
    forward->task.run = run;
    forward->task.descriptors = descriptors;
    forward->next = server->all_forwards;
    forward->link = &server->all_forwards;
    if (forward->next)
        forward->next->link = &forward->next;
    server->all_forwards = forward;
    loop_add(server->loop, &forward->task);
    if (!forward->path || !forward->target || !forward->url) {
        RTMP_Log(RTMP_LOGERROR, "forward %s: out of memory", path);
        end(forward);
    }
}

void forward_all(struct server *server, const char *path)
{
    for (int i = 0; i < server->forward_count; i++)
        start(server, path, server->forwards[i]);
}

void forward_stop(struct server *server)
{
    while (server->all_forwards)
        end(server->all_forwards);
}

void forward_each(const struct server *server, void (*show)(void *context, const struct forward_numbers *numbers), void *context)
{
    for (const struct forward *forward = server->all_forwards; forward; forward = forward->next) {
        struct forward_numbers numbers = { forward->path, forward->target, stage_names[forward->stage], forward->bytes,
                                           forward->failures };
        show(context, &numbers);
    }
}
