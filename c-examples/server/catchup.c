#include "catchup.h"

#include <stdlib.h>
#include <string.h>

#include "../flv.h"

static int is_header(const struct message *message) { return message->media.kind >= MEDIA_CONFIG; }

/* ---- headers ---- */

static void remove_entry(struct headers *headers, size_t index)
{
    headers->bytes -= message_cost(headers->entries[index].message);
    message_release(headers->entries[index].message);
    headers->count--;
    memmove(&headers->entries[index], &headers->entries[index + 1],
            (headers->count - index) * sizeof *headers->entries);
}

/* A track may change its codec. But some publishers send the colours of any track as if they were those of the first
 * one, where only the codec tells them apart. */
static int same_subject(const struct message *a, const struct message *b)
{
    int codec_counts = a->media.kind == MEDIA_COLOR || a->media.kind == MEDIA_METADATA;
    return a->type == b->type && a->media.kind == b->media.kind
           && (!codec_counts || a->media.codec == b->media.codec);
}

void headers_add(struct headers *headers, struct message *message)
{
    const struct tracks *tracks = &message->media.tracks;
    for (size_t i = headers->count; i-- > 0;)
        if (same_subject(headers->entries[i].message, message) && !tracks_remove(&headers->entries[i].tracks, tracks))
            remove_entry(headers, i);
    if (headers->count == MOST_HEADERS || headers->bytes + message_cost(message) > HEADER_BYTES)
        return;
    size_t at = headers->count;
    if (message->media.kind == MEDIA_METADATA) /* some players expect it first */
        for (at = 0; at < headers->count && headers->entries[at].message->media.kind == MEDIA_METADATA;)
            at++;
    memmove(&headers->entries[at + 1], &headers->entries[at], (headers->count - at) * sizeof *headers->entries);
    headers->entries[at].message = message_share(message);
    headers->entries[at].tracks = *tracks;
    headers->count++;
    headers->bytes += message_cost(message);
}

void headers_clear(struct headers *headers)
{
    while (headers->count > 0)
        remove_entry(headers, headers->count - 1);
}

/* ---- frames ---- */

int catchup_init(struct catchup *catchup)
{
    memset(catchup, 0, sizeof *catchup);
    catchup->frames = calloc(CATCHUP_MESSAGES, sizeof *catchup->frames);
    return catchup->frames != NULL;
}

/* Drops the oldest frames. Their configurations become part of the state before the others. */
static void drop_front(struct catchup *catchup, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_header(catchup->frames[i]))
            headers_add(&catchup->headers, catchup->frames[i]);
        catchup->bytes -= message_cost(catchup->frames[i]);
        message_release(catchup->frames[i]);
    }
    catchup->first += count;
    catchup->count -= count;
    memmove(catchup->frames, catchup->frames + count, catchup->count * sizeof *catchup->frames);
}

/* Drops the frames before the oldest key frame that a track needs; all frames if no track has one. */
static void trim(struct catchup *catchup)
{
    uint64_t start = catchup->first + catchup->count;
    for (size_t id = 0; id < 256; id++)
        if (catchup->key_at[id] != 0 && catchup->key_at[id] - 1 < start)
            start = catchup->key_at[id] - 1;
    drop_front(catchup, (size_t)(start - catchup->first));
}

/* Gives up the tracks whose key frame is the first one kept. Their players wait for the next one. */
static void give_up_oldest(struct catchup *catchup)
{
    for (size_t id = 0; id < 256; id++)
        if (catchup->key_at[id] == catchup->first + 1)
            catchup->key_at[id] = 0;
    trim(catchup);
}

void catchup_add(struct catchup *catchup, struct message *message)
{
    size_t most_bytes = message_memory_is_short() ? HEADER_BYTES : CATCHUP_BYTES;
    enum media_kind kind = message->media.kind;
    if (kind == MEDIA_OTHER && message->type != FLV_SCRIPT)
        return;
    /* Other messages change nothing. */
    int counts = message->type == FLV_VIDEO && (kind == MEDIA_KEY || kind == MEDIA_END);
    for (unsigned id = 0; counts && id < 256; id++) {
        if (!tracks_have(&message->media.tracks, id))
            continue;
        catchup->key_at[id] = kind == MEDIA_KEY ? catchup->first + catchup->count + 1 : 0;
    }
    if (kind == MEDIA_KEY || kind == MEDIA_END)
        trim(catchup);
    if (kind == MEDIA_KEY)
        catchup->has_video = 1;
    else if (kind == MEDIA_END && message->type == FLV_VIDEO && catchup->count == 0)
        catchup->has_video = 0;
    while (catchup->count > 0
           && (catchup->count == CATCHUP_MESSAGES || catchup->bytes + message_cost(message) > most_bytes))
        give_up_oldest(catchup);
    if (catchup->count > 0 || (kind == MEDIA_KEY && message_cost(message) <= most_bytes)) {
        catchup->frames[catchup->count++] = message_share(message);
        catchup->bytes += message_cost(message);
    } else if (is_header(message)) {
        headers_add(&catchup->headers, message);
    } else if (kind == MEDIA_KEY) {
        give_up_oldest(catchup); /* it is too long to be kept */
    }
}

void catchup_clear(struct catchup *catchup)
{
    drop_front(catchup, catchup->count);
    headers_clear(&catchup->headers);
    memset(catchup->key_at, 0, sizeof catchup->key_at);
    catchup->has_video = 0;
}

void catchup_free(struct catchup *catchup)
{
    catchup_clear(catchup);
    free(catchup->frames);
}

/* Video frames of a track are useful from its key frame on. */
static int decodable(const struct catchup *catchup, const struct message *message, uint64_t number)
{
    if (message->type != FLV_VIDEO)
        return 1;
    for (unsigned id = 0; id < 256; id++)
        if (tracks_have(&message->media.tracks, id) && catchup->key_at[id] != 0 && number >= catchup->key_at[id] - 1)
            return 1;
    return 0;
}

void catchup_each(const struct catchup *catchup, int headers_only, void (*take)(void *context, struct message *message),
                  void *context)
{
    for (size_t i = 0; i < catchup->headers.count; i++)
        take(context, catchup->headers.entries[i].message);
    for (size_t i = 0; i < catchup->count; i++) {
        struct message *message = catchup->frames[i];
        if (is_header(message) || (!headers_only && decodable(catchup, message, catchup->first + i)))
            take(context, message);
    }
}

uint32_t catchup_time(const struct catchup *catchup, uint32_t otherwise)
{
    return catchup->count > 0 ? catchup->frames[0]->timestamp : otherwise;
}
