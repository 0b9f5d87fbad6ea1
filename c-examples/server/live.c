#define _POSIX_C_SOURCE 200809L
#include "live.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../flv.h"
#include "catchup.h"

enum {
    QUEUE_MESSAGES = 8192, /* more than catchup.h has, which a queue takes over at once */
    QUEUE_BYTES = 32 << 20,
    SHORT_QUEUE_BYTES = 2 << 20 /* while memory is short */
};

struct player {
    struct player *next;
    struct stream *stream;
    struct delivery *queue; /* ring of QUEUE_MESSAGES */
    size_t head, count, bytes;
    int wake;
    int waiting;          /* for a key frame: nothing is queued until then */
    struct tracks begun;  /* of video: those of which a key frame was queued */
    int no_audio, no_video;
};

struct stream {
    struct stream *next;
    char *name;
    int published;
    uint32_t latest;
    struct catchup catchup;
    struct player *players;
};

struct live {
    pthread_mutex_t lock;
    struct stream *streams;
};

struct live *live_new(void)
{
    struct live *live = calloc(1, sizeof *live);
    if (live)
        pthread_mutex_init(&live->lock, NULL);
    return live;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    pthread_mutex_destroy(&live->lock);
    free(live);
}

/* All functions below that have no `live` argument are called with the lock held. */

static struct stream *find(struct live *live, const char *name)
{
    struct stream *stream = live->streams;
    while (stream && strcmp(stream->name, name) != 0)
        stream = stream->next;
    return stream;
}

static struct stream *find_or_add(struct live *live, const char *name)
{
    struct stream *stream = find(live, name);
    if (stream)
        return stream;
    stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->name = strdup(name);
    if (!stream->name || !catchup_init(&stream->catchup)) {
        free(stream->name);
        free(stream);
        return NULL;
    }
    stream->next = live->streams;
    live->streams = stream;
    return stream;
}

static void remove_if_unused(struct live *live, struct stream *stream)
{
    if (stream->published || stream->players)
        return;
    struct stream **link = &live->streams;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    catchup_free(&stream->catchup);
    free(stream->name);
    free(stream);
}

static int queue_take(struct player *player, struct delivery *delivery)
{
    if (player->count == 0)
        return 0;
    *delivery = player->queue[player->head];
    player->head = (player->head + 1) % QUEUE_MESSAGES;
    player->count--;
    player->bytes -= message_cost(delivery->message);
    return 1;
}

/* Returns 0 when the queue is full. */
static int queue_add(struct player *player, struct message *message, uint32_t timestamp)
{
    size_t most = message_memory_is_short() ? SHORT_QUEUE_BYTES : QUEUE_BYTES;
    if ((message->type == FLV_AUDIO && player->no_audio) || (message->type == FLV_VIDEO && player->no_video))
        return 1;
    if (player->count == QUEUE_MESSAGES
        || (player->count > 0 && player->bytes + message_cost(message) > most))
        return 0;
    struct delivery *place = &player->queue[(player->head + player->count) % QUEUE_MESSAGES];
    place->message = message_share(message);
    place->timestamp = timestamp;
    player->bytes += message_cost(message);
    if (message->media.kind == MEDIA_KEY)
        tracks_add(&player->begun, &message->media.tracks);
    if (player->count++ == 0) {
        /* A full pipe is fine: then the player has a wake-up call waiting already. */
        ssize_t ignored = write(player->wake, "", 1);
        (void)ignored;
    }
    return 1;
}

static void queue_clear(struct player *player)
{
    struct delivery delivery;
    while (queue_take(player, &delivery))
        message_release(delivery.message);
    memset(&player->begun, 0, sizeof player->begun);
}

/* What `catchup_each` hands messages to. */
struct handover {
    struct player *player;
    uint32_t timestamp;
    uint8_t type; /* only of this type, 0 for all */
    int full;     /* the queue did not take everything */
};

static void queue_header(void *context, struct message *message)
{
    const struct handover *headers = context;
    if (headers->type == 0 || headers->type == message->type)
        queue_add(headers->player, message, headers->timestamp);
}

/* What a decoder needs before the first frame. */
static void queue_headers(struct player *player, uint32_t timestamp, uint8_t type)
{
    struct handover headers = { player, timestamp, type, 0 };
    catchup_each(&player->stream->catchup, 1, queue_header, &headers);
}

static void deliver(struct player *player, struct message *message)
{
    enum media_kind kind = message->media.kind;
    if (player->waiting) {
        if (kind != MEDIA_KEY)
            return;
        player->waiting = 0;
        queue_headers(player, message->timestamp, 0);
    }
    if (message->type == FLV_VIDEO && (kind == MEDIA_FRAME || kind == MEDIA_END)
        && !tracks_overlap(&player->begun, &message->media.tracks))
        return; /* a stream taken up in the middle: not decodable yet */
    if (queue_add(player, message, message->timestamp))
        return;
    /* Too slow. What it missed stays missed; it continues with a key frame. */
    queue_clear(player);
    if (player->stream->catchup.has_video && kind != MEDIA_KEY) {
        player->waiting = 1;
        return;
    }
    queue_headers(player, message->timestamp, 0);
    queue_add(player, message, message->timestamp);
}

static void deliver_event(struct stream *stream, uint8_t type)
{
    struct message *event = message_new(type, stream->latest, NULL, 0);
    for (struct player *player = stream->players; player; player = player->next) {
        if (event && !queue_add(player, event, event->timestamp)) {
            queue_clear(player);
            queue_add(player, event, event->timestamp);
        }
        player->waiting = 0;
        memset(&player->begun, 0, sizeof player->begun);
    }
    message_release(event);
}

struct stream *live_publish(struct live *live, const char *name)
{
    pthread_mutex_lock(&live->lock);
    struct stream *stream = find_or_add(live, name);
    if (stream && stream->published) {
        stream = NULL;
    } else if (stream) {
        stream->published = 1;
        deliver_event(stream, LIVE_PUBLISHED);
    }
    pthread_mutex_unlock(&live->lock);
    return stream;
}

void live_unpublish(struct live *live, struct stream *stream)
{
    pthread_mutex_lock(&live->lock);
    deliver_event(stream, LIVE_UNPUBLISHED);
    catchup_clear(&stream->catchup);
    stream->latest = 0;
    stream->published = 0;
    remove_if_unused(live, stream);
    pthread_mutex_unlock(&live->lock);
}

void live_feed(struct live *live, struct stream *stream, struct message *message)
{
    pthread_mutex_lock(&live->lock);
    stream->latest = message->timestamp;
    catchup_add(&stream->catchup, message);
    for (struct player *player = stream->players; player; player = player->next)
        deliver(player, message);
    pthread_mutex_unlock(&live->lock);
    message_release(message);
}

int live_is_published(struct live *live, const char *name)
{
    pthread_mutex_lock(&live->lock);
    struct stream *stream = find(live, name);
    int published = stream && stream->published;
    pthread_mutex_unlock(&live->lock);
    return published;
}

static void queue_late(void *context, struct message *message)
{
    struct handover *late = context;
    int is_later = message->timestamp - late->timestamp < INT32_MAX; /* headers may come from long before */
    if (!queue_add(late->player, message, is_later ? message->timestamp : late->timestamp))
        late->full = 1;
}

static void start_player(struct player *player)
{
    const struct catchup *catchup = &player->stream->catchup;
    struct handover late = { player, catchup_time(catchup, player->stream->latest), 0, 0 };
    if (!catchup->has_video || catchup->count > 0)
        catchup_each(catchup, 0, queue_late, &late);
    if (late.full)
        queue_clear(player);
    player->waiting = catchup->has_video && player->count == 0;
}

struct player *live_join(struct live *live, const char *name, int wake)
{
    struct player *player = calloc(1, sizeof *player);
    struct delivery *queue = calloc(QUEUE_MESSAGES, sizeof *queue);
    pthread_mutex_lock(&live->lock);
    struct stream *stream = player && queue ? find_or_add(live, name) : NULL;
    if (stream) {
        player->stream = stream;
        player->queue = queue;
        player->wake = wake;
        player->next = stream->players;
        stream->players = player;
        start_player(player);
    }
    pthread_mutex_unlock(&live->lock);
    if (stream)
        return player;
    free(player);
    free(queue);
    return NULL;
}

void live_leave(struct live *live, struct player *player)
{
    pthread_mutex_lock(&live->lock);
    struct stream *stream = player->stream;
    struct player **link = &stream->players;
    while (*link != player)
        link = &(*link)->next;
    *link = player->next;
    queue_clear(player);
    remove_if_unused(live, stream);
    pthread_mutex_unlock(&live->lock);
    free(player->queue);
    free(player);
}

void live_mute(struct live *live, struct player *player, uint8_t type, int muted)
{
    pthread_mutex_lock(&live->lock);
    int *mute = type == FLV_AUDIO ? &player->no_audio : &player->no_video, again = *mute && !muted;
    *mute = muted;
    if (type == FLV_VIDEO && muted)
        memset(&player->begun, 0, sizeof player->begun);
    if (again && !player->waiting) /* otherwise they come with the key frame */
        queue_headers(player, player->stream->latest, type);
    pthread_mutex_unlock(&live->lock);
}

int live_take(struct live *live, struct player *player, struct delivery *delivery)
{
    pthread_mutex_lock(&live->lock);
    int taken = queue_take(player, delivery);
    pthread_mutex_unlock(&live->lock);
    return taken;
}
