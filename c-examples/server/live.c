#define _POSIX_C_SOURCE 200809L
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "../flv.h"
#include "catchup.h"

enum {
    FIRST_QUEUE = 8, /* the initial number of messages in a queue, a power of two: most players read each one at once */
    QUEUE_MESSAGES = 8192, /* more than in catchup.h, whose messages a queue receives at once */
    QUEUE_BYTES = 32 << 20,
    SHORT_QUEUE_BYTES = 2 << 20 /* while memory is short */
};

struct player {
    struct player *next;
    struct stream *stream;
    struct delivery *queue; /* ring */
    size_t capacity, head, count, bytes; /* the capacity is 0 or a power of two */
    void (*wake)(void *context);
    void *context;
    int awake;            /* it was woken, and has not emptied its queue since */
    int waiting;          /* for a key frame: nothing is queued until then … */
    int slow;             /* … because it was too slow */
    struct tracks begun;  /* the video tracks of which a key frame was queued */
    int no_audio, no_video;
};

struct stream {
    struct stream *next;
    char *name;
    int published;
    int gathers;          /* see live_publish */
    int held;             /* the number of messages for which players were not woken */
    uint32_t latest;
    unsigned long long bytes, dropped;
    struct catchup catchup;
    struct player *players;
};

struct live {
    struct stream *streams;
};

struct live *live_new(void) { return calloc(1, sizeof(struct live)); }

void live_free(struct live *live) { free(live); }

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
    player->head = (player->head + 1) & (player->capacity - 1);
    player->awake = --player->count > 0;
    player->bytes -= message_cost(delivery->message);
    return 1;
}

static void wake_player(struct player *player)
{
    if (player->count == 0 || player->awake)
        return;
    player->awake = 1;
    player->wake(player->context);
}

/* Makes room for one more. Returns 0 if the queue is full. */
static int queue_grow(struct player *player)
{
    size_t capacity = player->capacity ? 2 * player->capacity : FIRST_QUEUE;
    struct delivery *queue = player->count < QUEUE_MESSAGES ? malloc(capacity * sizeof *queue) : NULL;
    if (!queue)
        return 0;
    for (size_t i = 0; i < player->count; i++)
        queue[i] = player->queue[(player->head + i) % player->capacity];
    free(player->queue);
    player->queue = queue;
    player->capacity = capacity;
    player->head = 0;
    return 1;
}

/* Frees the memory of a long queue. */
static void queue_shrink(struct player *player)
{
    if (player->count > 0 || player->capacity <= 8 * FIRST_QUEUE)
        return;
    free(player->queue);
    player->queue = NULL;
    player->capacity = player->head = 0;
}

/* The limit of the bytes in a queue that has another message already. */
static size_t most_bytes(void) { return message_memory_is_short() ? SHORT_QUEUE_BYTES : QUEUE_BYTES; }

/* Returns 0 if the queue is full. */
static int queue_add(struct player *player, struct message *message, uint32_t timestamp)
{
    if ((message->type == FLV_AUDIO && player->no_audio) || (message->type == FLV_VIDEO && player->no_video))
        return 1;
    if ((player->count > 0 && player->bytes + message_cost(message) > most_bytes())
        || (player->count == player->capacity && !queue_grow(player)))
        return 0;
    struct delivery *place = &player->queue[(player->head + player->count) & (player->capacity - 1)];
    place->message = message_share(message);
    place->timestamp = timestamp;
    player->bytes += message_cost(message);
    if (message->media.kind == MEDIA_KEY)
        tracks_add(&player->begun, &message->media.tracks);
    player->count++;
    return 1;
}

static void queue_clear(struct player *player)
{
    struct delivery delivery;
    while (queue_take(player, &delivery))
        message_release(delivery.message);
    queue_shrink(player);
    memset(&player->begun, 0, sizeof player->begun);
}

/* The receiver of messages from `catchup_each`. */
struct handover {
    struct player *player;
    uint32_t timestamp;
    uint8_t type; /* only of this type, 0 for all */
    int full;     /* the queue did not accept everything */
};

static void queue_header(void *context, struct message *message)
{
    const struct handover *headers = context;
    if (headers->type == 0 || headers->type == message->type)
        queue_add(headers->player, message, headers->timestamp);
}

/* The messages that a decoder needs before the first frame. */
static void queue_headers(struct player *player, uint32_t timestamp, uint8_t type)
{
    struct handover headers = { player, timestamp, type, 0 };
    catchup_each(&player->stream->catchup, 1, queue_header, &headers);
}

static void deliver(struct player *player, struct message *message)
{
    enum media_kind kind = message->media.kind;
    if (player->waiting) {
        if (kind != MEDIA_KEY) {
            player->stream->dropped += player->slow;
            return;
        }
        player->slow = 0;
        player->waiting = 0;
        queue_headers(player, message->timestamp, 0);
    }
    if (message->type == FLV_VIDEO && (kind == MEDIA_FRAME || kind == MEDIA_END)
        && !tracks_overlap(&player->begun, &message->media.tracks))
        return; /* the player joined in the middle of the stream: not decodable yet */
    if (queue_add(player, message, message->timestamp))
        return;
    /* Too slow. The missed frames are not sent later; the stream continues with a key frame. */
    player->stream->dropped += player->count;
    queue_clear(player);
    if (player->stream->catchup.has_video && kind != MEDIA_KEY) {
        player->stream->dropped++;
        player->waiting = player->slow = 1;
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
        wake_player(player);
    }
    stream->held = 0;
    message_release(event);
}

struct stream *live_publish(struct live *live, const char *name, int gathers)
{
    struct stream *stream = find_or_add(live, name);
    if (stream && stream->published) {
        stream = NULL;
    } else if (stream) {
        stream->published = 1;
        stream->gathers = gathers;
        deliver_event(stream, LIVE_PUBLISHED);
    }
    return stream;
}

void live_unpublish(struct live *live, struct stream *stream)
{
    deliver_event(stream, LIVE_UNPUBLISHED);
    catchup_clear(&stream->catchup);
    stream->latest = 0;
    stream->published = 0;
    remove_if_unused(live, stream);
}

void live_feed(struct stream *stream, struct message *message)
{
    stream->bytes += message->size;
    stream->latest = message->timestamp;
    catchup_add(&stream->catchup, message);
    int holds = stream->gathers && stream->held < MOST_HELD && stream->catchup.has_video && message->type == FLV_AUDIO;
    for (struct player *player = stream->players; player; player = player->next) {
        deliver(player, message);
        if (!holds)
            wake_player(player);
    }
    stream->held = holds ? stream->held + 1 : 0;
    message_release(message);
}

void live_flush(struct stream *stream)
{
    for (struct player *player = stream->held ? stream->players : NULL; player; player = player->next)
        wake_player(player);
    stream->held = 0;
}

int live_is_published(struct live *live, const char *name)
{
    struct stream *stream = find(live, name);
    int published = stream && stream->published;
    return published;
}

static void queue_late(void *context, struct message *message)
{
    struct handover *late = context;
    int is_later = message->timestamp - late->timestamp < INT32_MAX; /* headers may be much older */
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

struct player *live_join(struct live *live, const char *name, void (*wake)(void *context), void *context)
{
    struct player *player = calloc(1, sizeof *player);
    struct stream *stream = player ? find_or_add(live, name) : NULL;
    if (!stream) {
        free(player);
        return NULL;
    }
    player->stream = stream;
    player->wake = wake;
    player->context = context;
    player->next = stream->players;
    stream->players = player;
    start_player(player);
    wake_player(player);
    return player;
}

void live_leave(struct live *live, struct player *player)
{
    struct stream *stream = player->stream;
    struct player **link = &stream->players;
    while (*link != player)
        link = &(*link)->next;
    *link = player->next;
    queue_clear(player);
    remove_if_unused(live, stream);
    free(player->queue);
    free(player);
}

void live_mute(struct player *player, uint8_t type, int muted)
{
    int *mute = type == FLV_AUDIO ? &player->no_audio : &player->no_video, again = *mute && !muted;
    *mute = muted;
    if (type == FLV_VIDEO && muted)
        memset(&player->begun, 0, sizeof player->begun);
    if (again && !player->waiting) /* otherwise they come with the key frame */
        queue_headers(player, player->stream->latest, type);
    wake_player(player);
}

const struct message *live_peek(const struct player *player)
{
    return player->count > 0 ? player->queue[player->head].message : NULL;
}

int live_take(struct player *player, struct delivery *delivery)
{
    int taken = queue_take(player, delivery);
    if (!taken)
        queue_shrink(player);
    return taken;
}

void live_each(const struct live *live, void (*show)(void *context, const struct live_numbers *numbers), void *context)
{
    for (const struct stream *stream = live->streams; stream; stream = stream->next) {
        struct live_numbers numbers = { .name = stream->name, .published = stream->published, .bytes = stream->bytes,
                                        .dropped = stream->dropped };
        for (const struct player *player = stream->players; player; player = player->next) {
            numbers.players++;
            numbers.queued += player->count;
            numbers.queued_bytes += player->bytes;
        }
        show(context, &numbers);
    }
}
