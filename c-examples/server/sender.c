#include "sender.h"

#include <stdlib.h>
#include <string.h>

#include "../enhanced.h"
#include "../flv.h"
#include "loop.h"
#include "reply.h"
#include "threads.h"
#include "waits.h"

enum { EXTENDED = 0xffffff }; /* from this time on, it is in four bytes after the header */

struct reply {
    struct reply *next;
    int channel, stream_id;
    uint8_t type;
    uint32_t timestamp, size;
    char room[RTMP_MAX_HEADER_SIZE]; /* librtmp 2.4 writes the header before the body */
    char body[];
};

int sender_init(struct sender *sender, RTMP *r)
{
    memset(sender, 0, sizeof *sender);
    sender->r = r;
    sender->last_reply = &sender->replies;
    return library_waits() || set_option(r, "sendQueue", "1"); /* bytes: nothing is queued after something else */
}

static void drop_reply(struct sender *sender)
{
    struct reply *reply = sender->replies;
    sender->replies = reply->next;
    if (!reply->next)
        sender->last_reply = &sender->replies;
    sender->reply_bytes -= sizeof *reply + reply->size;
    free(reply);
}

static void end_media(struct sender *sender)
{
    if (sender->media.active)
        message_release(sender->media.message);
    sender->media.active = 0;
    while (sender->following_count > 0)
        message_release(sender->following[--sender->following_count].message);
}

void sender_free(struct sender *sender)
{
    while (sender->replies)
        drop_reply(sender);
    end_media(sender);
    free(sender->block);
    sender->block = NULL;
}

int sender_reply(struct sender *sender, int channel, uint8_t type, int stream_id, uint32_t timestamp, const char *body,
                 size_t size)
{
    struct reply *reply = malloc(sizeof *reply + size);
    if (!reply)
        return 0;
    reply->next = NULL;
    reply->channel = channel;
    reply->stream_id = stream_id;
    reply->type = type;
    reply->timestamp = timestamp;
    reply->size = (uint32_t)size;
    memcpy(reply->body, body, size);
    *sender->last_reply = reply;
    sender->last_reply = &reply->next;
    sender->reply_bytes += sizeof *reply + size;
    return 1;
}

int sender_announce_chunk_size(struct sender *sender)
{
    char body[4];
    AMF_EncodeInt32(body, body + sizeof body, CHUNK_SIZE);
    return sender_reply(sender, CHANNEL_CONTROL, RTMP_PACKET_TYPE_CHUNK_SIZE, 0, 0, body, sizeof body);
}

int sender_is_behind(const struct sender *sender) { return sender->reply_bytes > MOST_REPLY_BYTES; }

/* ---- media ---- */

/* Writes the header of a message's first chunk, or of another one. Returns its size. */
static int put_header(char *at, const struct header *header, uint8_t type, uint32_t size, int first)
{
    const char *start = at;
    char *end = at + RTMP_MAX_HEADER_SIZE;
    *at++ = (char)(first ? header->basic : 3 << 6 | header->basic);
    if (first) {
        at = AMF_EncodeInt24(at, end, (int)(header->time < EXTENDED ? header->time : EXTENDED));
        at = AMF_EncodeInt24(at, end, (int)size);
        *at++ = (char)type;
        for (int shift = 0; header->basic >> 6 == 0 && shift < 32; shift += 8)
            *at++ = (char)((uint32_t)header->stream_id >> shift); /* the only number with its lowest byte first */
    }
    if (header->time >= EXTENDED)
        at = AMF_EncodeInt32(at, end, (int)header->time);
    return (int)(at - start);
}

static int is_same(const struct header *a, const struct header *b)
{
    return a->basic == b->basic && a->time == b->time && a->stream_id == b->stream_id;
}

/* The header of the next message. */
static struct header next_header(struct sender *sender, int stream_id, uint8_t type, uint32_t timestamp)
{
    int number = type == FLV_VIDEO ? 1 : type == FLV_AUDIO ? 2 : 0;
    /* A short header has the time since the message before. For an equal or earlier time, receivers interpret it in different
     * ways, and a change of the stream needs the full one. */
    uint32_t later = timestamp - sender->chunk_streams[number].timestamp;
    int shorter = sender->chunk_streams[number].stream_id == stream_id && (int32_t)later > 0;
    sender->chunk_streams[number].stream_id = stream_id;
    sender->chunk_streams[number].timestamp = timestamp;
    return (struct header){ .basic = (uint8_t)(shorter << 6 | (CHANNEL_MEDIA + number)), .stream_id = stream_id,
                            .time = shorter ? later : timestamp };
}

static void begin(struct sender *sender, int stream_id, uint8_t type, uint32_t timestamp, uint32_t size)
{
    sender->media.header = next_header(sender, stream_id, type, timestamp);
    sender->media.type = type;
    sender->media.size = size;
    sender->media.sent = 0;
    sender->media.loaded = 0;
    sender->media.active = 1;
}

void sender_media(struct sender *sender, int stream_id, uint32_t timestamp, struct message *message)
{
    sender->media.message = message;
    sender->media.file = NULL;
    begin(sender, stream_id, message->type, timestamp, message->size);
}

int sender_may_add(const struct sender *sender, const struct message *message)
{
    uint32_t in_front = sender->media.size;
    for (int i = 0; i < sender->following_count; i++)
        in_front += sender->following[i].message->size;
    return !library_waits() && sender->media.message && sender->media.sent == 0 && in_front <= MOST_IN_FRONT
           && sender->following_count < MOST_TOGETHER - 1 && message->size <= CHUNK_SIZE;
}

void sender_add(struct sender *sender, int stream_id, uint32_t timestamp, struct message *message)
{
    int place = sender->following_count++;
    sender->following[place].message = message;
    sender->following[place].header = next_header(sender, stream_id, message->type, timestamp);
}

void sender_file(struct sender *sender, int stream_id, uint8_t type, uint32_t timestamp, FILE *file, uint32_t size)
{
    sender->media.message = NULL;
    sender->media.file = file;
    begin(sender, stream_id, type, timestamp, size);
}

/* Finds the payload of the next chunk. Returns 0 if it cannot be read. */
static int load(struct sender *sender, size_t size)
{
    const uint8_t *body = sender->media.message ? sender->media.message->body + sender->media.sent : NULL;
    if (body && !library_waits()) {
        sender->media.payload = (char *)(uintptr_t)body; /* it is only read */
        return 1;
    }
    /* librtmp 2.4 writes into the bytes before the chunk, and a body is shared. */
    if (!sender->block && !(sender->block = malloc(RTMP_MAX_HEADER_SIZE + CHUNK_SIZE)))
        return 0;
    sender->media.payload = sender->block + RTMP_MAX_HEADER_SIZE;
    if (body)
        memcpy(sender->media.payload, body, size);
    return body || fread(sender->media.payload, 1, size, sender->media.file) == size;
}

/* ---- sending ---- */

/* The result of a call that sends: as sender_flush. */
static int outcome(struct sender *sender, int sent)
{
    if (sent) {
        sender->full_since = 0;
        return 1;
    }
    if (!would_wait(sender->r))
        return -1;
    if (sender->full_since == 0)
        sender->full_since = clock_ms();
    return 0;
}

/* Puts the header in front of a shared body: one piece is cheaper to send than two. Returns its size. The one of the player before
 * is mostly the same. */
static int put_in_front(struct sender *sender)
{
    struct message *message = sender->media.message;
    const struct header *header = &sender->media.header, *before = &message->header;
    if (message->header_size != 0 && is_same(header, before))
        return message->header_size;
    char bytes[RTMP_MAX_HEADER_SIZE];
    int size = put_header(bytes, header, message->type, message->size, 1);
    memcpy(message->body - size, bytes, (size_t)size);
    message->header = *header;
    message->header_size = size;
    return size;
}

static int send_chunk(struct sender *sender)
{
    RTMPChunk chunk;
    uint32_t left = sender->media.size - sender->media.sent, part = left < CHUNK_SIZE ? left : CHUNK_SIZE;
    if (!sender->media.loaded && !load(sender, part))
        return -1; /* the message cannot be ended in another way */
    sender->media.loaded = 1;
    int first = sender->media.sent == 0, in_front = first && sender->media.message && !library_waits() ? put_in_front(sender) : 0;
    chunk.c_chunk = sender->media.payload - in_front;
    chunk.c_chunkSize = (int)part + in_front;
    chunk.c_headerSize =
        in_front ? 0 : put_header(chunk.c_header, &sender->media.header, sender->media.type, sender->media.size, first);
    threads_release();
    int sent = RTMP_SendChunk(sender->r, &chunk);
    threads_acquire();
    int result = outcome(sender, sent);
    if (result <= 0)
        return result;
    sender->media.loaded = 0;
    sender->media.sent += part;
    if (sender->media.sent == sender->media.size)
        end_media(sender);
    return 1;
}

/* Messages of one chunk each, as they were last sent to a player together. The next player mostly needs the same bytes. */
static struct {
    struct { uint64_t message; struct header header; } parts[MOST_TOGETHER];
    int count, size;
    char bytes[MOST_IN_FRONT + CHUNK_SIZE + MOST_TOGETHER * RTMP_MAX_HEADER_SIZE];
} bundle;

static int is_part(int i, const struct message *message, const struct header *header)
{
    return bundle.parts[i].message == message->number && is_same(&bundle.parts[i].header, header);
}

static int is_bundled(const struct sender *sender)
{
    int same = bundle.count == sender->following_count + 1 && is_part(0, sender->media.message, &sender->media.header);
    for (int i = 0; same && i < sender->following_count; i++)
        same = is_part(i + 1, sender->following[i].message, &sender->following[i].header);
    return same;
}

static void add_part(const struct message *message, const struct header *header)
{
    bundle.parts[bundle.count].message = message->number;
    bundle.parts[bundle.count++].header = *header;
    bundle.size += put_header(bundle.bytes + bundle.size, header, message->type, message->size, 1);
    memcpy(bundle.bytes + bundle.size, message->body, message->size);
    bundle.size += (int)message->size;
}

static int send_bundle(struct sender *sender)
{
    if (!is_bundled(sender)) {
        bundle.count = bundle.size = 0;
        add_part(sender->media.message, &sender->media.header);
        for (int i = 0; i < sender->following_count; i++)
            add_part(sender->following[i].message, &sender->following[i].header);
    }
    RTMPChunk chunk = { .c_chunk = bundle.bytes, .c_chunkSize = bundle.size };
    int result = outcome(sender, RTMP_SendChunk(sender->r, &chunk));
    if (result > 0)
        end_media(sender);
    return result;
}

static int send_reply(struct sender *sender)
{
    struct reply *reply = sender->replies;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = reply->channel;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = reply->type;
    packet.m_nInfoField2 = reply->stream_id;
    packet.m_nTimeStamp = reply->timestamp;
    packet.m_body = reply->body;
    packet.m_nBodySize = reply->size;
    threads_release();
    int sent = RTMP_SendPacket(sender->r, &packet, FALSE);
    threads_acquire();
    int result = outcome(sender, sent);
    if (result <= 0)
        return result;
    if (reply->type == RTMP_PACKET_TYPE_CHUNK_SIZE)
        sender->r->m_outChunkSize = CHUNK_SIZE; /* after the announcement, which is sent in the old size */
    drop_reply(sender);
    return 1;
}

int sender_flush(struct sender *sender)
{
    int result = 1;
    while (result > 0 && (sender->media.active || sender->replies))
        result = sender->following_count ? send_bundle(sender) : sender->media.active ? send_chunk(sender) : send_reply(sender);
    return result;
}
