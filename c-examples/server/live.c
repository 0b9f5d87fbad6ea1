#define _POSIX_C_SOURCE 200809L
#include "live.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../flv.h"

enum {
    CACHE_MESSAGES = 4096, /* pictures since the last key frame, kept for late joiners */
    CACHE_BYTES = 16 << 20,
    QUEUE_MESSAGES = 8192, /* more than the cache, which a queue takes over at once */
    QUEUE_BYTES = 32 << 20
};

struct player {
    struct player *next;
    struct stream *stream;
    struct delivery *queue; /* ring of QUEUE_MESSAGES */
    size_t head, count, bytes;
    int wake;
    int waiting; /* for a key frame: nothing is queued until then */
    int no_audio, no_video;
};

struct stream {
    struct stream *next;
    char *name;
    int published;
    int key_seen; /* it has video, and a key frame came by */
    uint32_t latest;
    struct message *metadata, *video_config, *audio_config;
    struct message **cache; /* starts with a key frame; empty when it would not fit */
    size_t cached, cached_bytes;
    struct player *players;
};

struct live {
    pthread_mutex_t lock;
    struct stream *streams;
};

struct message *message_new(uint8_t type, uint32_t timestamp, const void *body, uint32_t size)
{
    struct message *message = malloc(sizeof *message + size);
    if (!message)
        return NULL;
    atomic_init(&message->users, 1);
    message->type = type;
    message->timestamp = timestamp;
    message->size = size;
    if (size)
        memcpy(message->body, body, size);
    return message;
}

static struct message *message_share(struct message *message)
{
    atomic_fetch_add(&message->users, 1);
    return message;
}

void message_release(struct message *message)
{
    if (message && atomic_fetch_sub(&message->users, 1) == 1)
        free(message);
}

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

static void cache_clear(struct stream *stream)
{
    for (size_t i = 0; i < stream->cached; i++)
        message_release(stream->cache[i]);
    stream->cached = stream->cached_bytes = 0;
}

static void cache_add(struct stream *stream, struct message *message)
{
    if (stream->cached == CACHE_MESSAGES || stream->cached_bytes + message->size > CACHE_BYTES) {
        cache_clear(stream); /* late joiners wait for the next key frame then */
        return;
    }
    stream->cache[stream->cached++] = message_share(message);
    stream->cached_bytes += message->size;
}

static void remember(struct message **place, struct message *message)
{
    message_release(*place);
    *place = message ? message_share(message) : NULL;
}

static void forget_content(struct stream *stream)
{
    cache_clear(stream);
    remember(&stream->metadata, NULL);
    remember(&stream->video_config, NULL);
    remember(&stream->audio_config, NULL);
    stream->key_seen = 0;
    stream->latest = 0;
}

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
    stream->cache = calloc(CACHE_MESSAGES, sizeof(struct message *));
    if (!stream->name || !stream->cache) {
        free(stream->name);
        free(stream->cache);
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
    forget_content(stream);
    free(stream->cache);
    free(stream->name);
    free(stream);
}

static void queue_clear(struct player *player)
{
    for (; player->count > 0; player->count--) {
        message_release(player->queue[player->head].message);
        player->head = (player->head + 1) % QUEUE_MESSAGES;
    }
    player->bytes = 0;
}

/* Returns 0 when the queue is full. */
static int queue_add(struct player *player, struct message *message, uint32_t timestamp)
{
    if ((message->type == FLV_AUDIO && player->no_audio) || (message->type == FLV_VIDEO && player->no_video))
        return 1;
    if (player->count == QUEUE_MESSAGES || player->bytes + message->size > QUEUE_BYTES)
        return 0;
    struct delivery *place = &player->queue[(player->head + player->count) % QUEUE_MESSAGES];
    place->message = message_share(message);
    place->timestamp = timestamp;
    player->bytes += message->size;
    if (player->count++ == 0) {
        /* A full pipe is fine: then the player has a wake-up call waiting already. */
        ssize_t ignored = write(player->wake, "", 1);
        (void)ignored;
    }
    return 1;
}

/* What a decoder needs before the first frame. */
static void queue_headers(struct player *player, uint32_t timestamp)
{
    struct stream *stream = player->stream;
    struct message *headers[] = { stream->metadata, stream->video_config, stream->audio_config };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (headers[i])
            queue_add(player, headers[i], timestamp);
}

static void deliver(struct player *player, struct message *message, enum flv_kind kind)
{
    if (player->waiting) {
        if (kind != FLV_KEY)
            return;
        player->waiting = 0;
        queue_headers(player, message->timestamp);
    }
    if (queue_add(player, message, message->timestamp))
        return;
    /* Too slow. What it missed stays missed; it goes on with a picture that stands on its own. */
    queue_clear(player);
    if (player->stream->key_seen && kind != FLV_KEY) {
        player->waiting = 1;
        return;
    }
    queue_headers(player, message->timestamp);
    queue_add(player, message, message->timestamp);
}

static void deliver_event(struct stream *stream, uint8_t type)
{
    struct message *event = message_new(type, stream->latest, NULL, 0);
    if (!event)
        return;
    for (struct player *player = stream->players; player; player = player->next) {
        if (!queue_add(player, event, event->timestamp)) {
            queue_clear(player);
            queue_add(player, event, event->timestamp);
        }
        player->waiting = 0;
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
    forget_content(stream);
    stream->published = 0;
    remove_if_unused(live, stream);
    pthread_mutex_unlock(&live->lock);
}

/* Keeps what late joiners need. Returns 0 when the message is of no use to anybody. */
static int keep(struct stream *stream, struct message *message, enum flv_kind kind)
{
    switch (kind) {
    case FLV_METADATA:
        remember(&stream->metadata, message);
        return 1;
    case FLV_CONFIG:
        if (message->type == FLV_AUDIO) {
            remember(&stream->audio_config, message);
        } else {
            struct message *old = stream->video_config;
            if (old && (old->size != message->size || memcmp(old->body, message->body, old->size) != 0))
                cache_clear(stream); /* the cached pictures belong to the old configuration */
            remember(&stream->video_config, message);
        }
        return 1;
    case FLV_KEY:
        stream->key_seen = 1;
        cache_clear(stream);
        cache_add(stream, message);
        return 1;
    default:
        if (message->type == FLV_VIDEO && !stream->key_seen)
            return 0; /* a stream taken up in the middle: not decodable yet */
        if (stream->cached)
            cache_add(stream, message);
        return 1;
    }
}

void live_feed(struct live *live, struct stream *stream, struct message *message)
{
    enum flv_kind kind = flv_kind(message->type, message->body, message->size);
    pthread_mutex_lock(&live->lock);
    stream->latest = message->timestamp;
    if (keep(stream, message, kind))
        for (struct player *player = stream->players; player; player = player->next)
            deliver(player, message, kind);
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

/* Catches up: headers, then everything since the last key frame. */
static void start_player(struct player *player)
{
    struct stream *stream = player->stream;
    if (stream->cached) {
        queue_headers(player, stream->cache[0]->timestamp);
        for (size_t i = 0; i < stream->cached; i++)
            queue_add(player, stream->cache[i], stream->cache[i]->timestamp);
    } else if (stream->key_seen) {
        player->waiting = 1;
    } else {
        queue_headers(player, stream->latest); /* sound only, or nothing yet */
    }
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
    if (type == FLV_AUDIO) {
        int again = player->no_audio && !muted;
        player->no_audio = muted;
        if (again && player->stream->audio_config)
            queue_add(player, player->stream->audio_config, player->stream->latest);
    } else {
        if (player->no_video && !muted && player->stream->key_seen)
            player->waiting = 1;
        player->no_video = muted;
    }
    pthread_mutex_unlock(&live->lock);
}

size_t live_take(struct live *live, struct player *player, struct delivery *deliveries, size_t most)
{
    size_t taken = 0;
    pthread_mutex_lock(&live->lock);
    for (; taken < most && player->count > 0; taken++, player->count--) {
        deliveries[taken] = player->queue[player->head];
        player->bytes -= deliveries[taken].message->size;
        player->head = (player->head + 1) % QUEUE_MESSAGES;
    }
    pthread_mutex_unlock(&live->lock);
    return taken;
}
