#include "netstream.h"

#include <errno.h>
#include <librtmp/log.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "reply.h"
#include "server.h"

enum { BATCH = 64 }; /* media messages that are sent before other clients have their turn */

/* ---- finding ---- */

static int is_playing(const struct netstream *netstream)
{
    return netstream && (netstream->role == ROLE_PLAYING_LIVE || netstream->role == ROLE_PLAYING_FILE);
}

struct netstream *netstream_find(struct client *client, int id)
{
    struct netstream *only = NULL;
    if (id > 0 && id <= MOST_NETSTREAMS) {
        struct netstream **place = &client->netstreams[id - 1];
        if (!*place && (*place = calloc(1, sizeof **place)))
            (*place)->id = id;
        if (*place && client->netstream_count < id)
            client->netstream_count = id;
        return *place;
    }
    for (int i = 0; id == 0 && i < client->netstream_count; i++) {
        if (!client->netstreams[i] || client->netstreams[i]->role == ROLE_NONE)
            continue;
        if (only)
            return NULL;
        only = client->netstreams[i];
    }
    return only;
}

int netstream_in_use(struct client *client)
{
    for (int i = 0; i < client->netstream_count; i++)
        if (client->netstreams[i] && client->netstreams[i]->role != ROLE_NONE)
            return 1;
    return 0;
}

/* ---- starting and stopping ---- */

static void start_recording(struct client *client, struct netstream *netstream)
{
    const char *folder = client->server->record_folder, *name = name_of(netstream->path);
    FILE *file = folder ? name_create(folder, name) : NULL;
    if (file && flv_writer_start(&netstream->recording, file))
        return;
    if (folder)
        RTMP_Log(RTMP_LOGERROR, "client %u: cannot record %s in %s: %s", client->number, name, folder,
                 strerror(errno));
    if (file)
        fclose(file);
    memset(&netstream->recording, 0, sizeof netstream->recording);
}

void netstream_publish(struct client *client, struct netstream *netstream, struct stream *stream)
{
    netstream->role = ROLE_PUBLISHING;
    netstream->stream = stream;
    client->server->counts.publishing++;
    start_recording(client, netstream);
    forward_all(client->server, netstream->path);
}

void netstream_play_live(struct client *client, struct netstream *netstream, struct player *player)
{
    netstream->role = ROLE_PLAYING_LIVE;
    netstream->player = player;
    client->server->counts.playing++;
    netstream_mute(netstream);
}

void netstream_play_file(struct client *client, struct netstream *netstream, struct vod *vod)
{
    client->server->counts.playing++;
    netstream->role = ROLE_PLAYING_FILE;
    netstream->vod = vod;
    vod->skip_audio = netstream->no_audio;
    vod->skip_video = netstream->no_video;
}

void netstream_mute(struct netstream *netstream)
{
    if (netstream->role == ROLE_PLAYING_LIVE) {
        live_mute(netstream->player, FLV_AUDIO, netstream->paused || netstream->no_audio);
        live_mute(netstream->player, FLV_VIDEO, netstream->paused || netstream->no_video);
    } else if (netstream->role == ROLE_PLAYING_FILE) {
        netstream->vod->skip_audio = netstream->no_audio;
        netstream->vod->skip_video = netstream->no_video;
    }
}

void netstream_stop(struct client *client, struct netstream *netstream)
{
    struct live *live = client->server->live;
    switch (netstream->role) {
    case ROLE_PUBLISHING:
        live_unpublish(live, netstream->stream);
        if (netstream->recording.file && !flv_writer_finish(&netstream->recording))
            RTMP_Log(RTMP_LOGERROR, "client %u: the recording of %s is incomplete", client->number, netstream->path);
        netstream->stream = NULL;
        break;
    case ROLE_PLAYING_LIVE:
        live_leave(live, netstream->player);
        netstream->player = NULL;
        break;
    case ROLE_PLAYING_FILE:
        vod_close(netstream->vod);
        netstream->vod = NULL;
        break;
    case ROLE_NONE:
        return;
    }
    --*(netstream->role == ROLE_PUBLISHING ? &client->server->counts.publishing : &client->server->counts.playing);
    RTMP_Log(RTMP_LOGINFO, "client %u: ends %s", client->number, name_of(netstream->path));
    netstream->role = ROLE_NONE;
    netstream->paused = 0;
}

/* ---- media from a publisher ---- */

static void record(struct client *client, struct netstream *netstream, const struct message *message)
{
    if (!netstream->recording.file
        || flv_write(&netstream->recording, message->type, message->timestamp, message->body, message->size))
        return;
    RTMP_Log(RTMP_LOGERROR, "client %u: recording of %s ends, cannot write: %s", client->number, netstream->path,
             strerror(errno));
    flv_writer_finish(&netstream->recording);
}

/* `message` is NULL when memory is short. */
static int hand_out(struct client *client, struct netstream *netstream, struct message *message)
{
    if (!message) {
        RTMP_Log(RTMP_LOGERROR, "client %u: no memory for what it publishes", client->number);
        return 0;
    }
    client->server->counts.bytes_in += message->size;
    record(client, netstream, message);
    live_feed(netstream->stream, message);
    return 1;
}

static int take_media(struct client *client, struct netstream *netstream, uint8_t type, uint32_t timestamp,
                      const char *body, uint32_t size)
{
    return size == 0 || hand_out(client, netstream, message_new(type, timestamp, body, size));
}

/* Publishers wrap metadata in a call of @setDataFrame; players receive its contents. */
static int take_data(struct client *client, struct netstream *netstream, uint32_t timestamp, const char *body,
                     uint32_t size)
{
    static const char set[] = "\x02\x00\x0d@setDataFrame", clear[] = "\x02\x00\x0f@clearDataFrame";
    if (size >= sizeof clear - 1 && memcmp(body, clear, sizeof clear - 1) == 0)
        return 1;
    if (size >= sizeof set - 1 && memcmp(body, set, sizeof set - 1) == 0) {
        body += sizeof set - 1;
        size -= sizeof set - 1;
    }
    return take_media(client, netstream, FLV_SCRIPT, timestamp, body, size);
}

/* An aggregate is a sequence of FLV tags. Its own timestamp is that of the first. */
static int take_aggregate(struct client *client, struct netstream *netstream, uint32_t timestamp, const char *body,
                          uint32_t size)
{
    uint32_t first = 0;
    int ok = 1;
    for (uint32_t at = 0; ok && size - at >= FLV_TAG_HEADER;) {
        const uint8_t *tag = (const uint8_t *)body + at;
        uint32_t length = flv_get24(tag + 1);
        uint32_t time = flv_get24(tag + 4) | (uint32_t)tag[7] << 24;
        if (length > size - at - FLV_TAG_HEADER)
            break;
        if (at == 0)
            first = time;
        time = timestamp + (time - first);
        if (tag[0] == FLV_AUDIO || tag[0] == FLV_VIDEO)
            ok = take_media(client, netstream, tag[0], time, body + at + FLV_TAG_HEADER, length);
        else if (tag[0] == FLV_SCRIPT)
            ok = take_data(client, netstream, time, body + at + FLV_TAG_HEADER, length);
        at += FLV_TAG_HEADER + length;
        at += size - at < FLV_TAG_TRAILER ? size - at : FLV_TAG_TRAILER;
    }
    return ok;
}

int netstream_receive(struct client *client, RTMPPacket *packet)
{
    struct netstream *netstream = netstream_find(client, packet->m_nInfoField2);
    const char *body = packet->m_body;
    uint32_t timestamp = packet->m_nTimeStamp, size = packet->m_nBodySize;
    if (!netstream || netstream->role != ROLE_PUBLISHING)
        return 1;
    switch (packet->m_packetType) {
    case RTMP_PACKET_TYPE_FLASH_VIDEO:
        return take_aggregate(client, netstream, timestamp, body, size);
    case RTMP_PACKET_TYPE_FLEX_STREAM_SEND: /* AMF0 behind one byte */
        return take_data(client, netstream, timestamp, body + 1, size - 1);
    case RTMP_PACKET_TYPE_INFO:
        return take_data(client, netstream, timestamp, body, size);
    default:
        return hand_out(client, netstream, message_take(packet));
    }
}

/* ---- media to a player ---- */

static int put_event(struct client *client, int id, int control, const char *code, const char *details)
{
    return reply_control(&client->sender, control, (uint32_t)id) && reply_status(&client->sender, id, "status", code, details);
}

static int is_event(const struct message *message)
{
    return message->type == LIVE_PUBLISHED || message->type == LIVE_UNPUBLISHED;
}

/* Returns 1 if there is something to send, 0 if there is not, and -1 if memory is short. */
static int next_live(struct client *client, struct netstream *netstream)
{
    struct delivery next;
    if (!live_take(netstream->player, &next))
        return 0;
    if (is_event(next.message)) {
        int begins = next.message->type == LIVE_PUBLISHED;
        const char *name = name_of(netstream->path);
        message_release(next.message);
        return put_event(client, netstream->id, begins ? CONTROL_STREAM_BEGIN : CONTROL_STREAM_EOF,
                         begins ? "NetStream.Play.PublishNotify" : "NetStream.Play.UnpublishNotify", name) ? 1 : -1;
    }
    client->server->counts.bytes_out += next.message->size;
    sender_media(&client->sender, netstream->id, next.timestamp, next.message);
    for (const struct message *more; (more = live_peek(netstream->player)) && !is_event(more);) {
        if (!sender_may_add(&client->sender, more) || !live_take(netstream->player, &next))
            break;
        client->server->counts.bytes_out += next.message->size;
        sender_add(&client->sender, netstream->id, next.timestamp, next.message);
    }
    return 1;
}

static int next_of_file(struct client *client, struct netstream *netstream)
{
    struct vod *vod = netstream->vod;
    uint8_t type;
    uint32_t timestamp;
    struct body body;
    if (vod_wait(vod, client->buffer_ms, clock_ms()) != 0)
        return 0;
    if (!vod_next(vod, &type, &timestamp, &body)) {
        uint32_t last = vod->timestamp > vod->origin ? vod->timestamp - vod->origin : 0;
        return reply_play_complete(&client->sender, netstream->id, last)
               && put_event(client, netstream->id, CONTROL_STREAM_EOF, "NetStream.Play.Stop", name_of(netstream->path)) ? 1 : -1;
    }
    client->server->counts.bytes_out += body.size;
    if (body.message)
        sender_media(&client->sender, netstream->id, timestamp, message_share(body.message));
    else
        sender_file(&client->sender, netstream->id, type, timestamp, body.file, body.size);
    return 1;
}

/* The streams of a client take turns. */
static int next_message(struct client *client)
{
    for (int i = 0, number = client->next_stream; i < client->netstream_count; i++, number++) {
        if (number >= client->netstream_count)
            number = 0;
        struct netstream *netstream = client->netstreams[number];
        if (!is_playing(netstream))
            continue;
        int found = netstream->role == ROLE_PLAYING_LIVE ? next_live(client, netstream) : next_of_file(client, netstream);
        if (found != 0) {
            client->next_stream = number + 1;
            return found;
        }
    }
    return 0;
}

int netstream_send(struct client *client)
{
    for (int count = 0;; count++) {
        int sent = sender_flush(&client->sender);
        if (sent <= 0)
            return sent == 0;
        if (count == BATCH) {
            client_wake(client);
            return 1;
        }
        int found = next_message(client);
        if (found <= 0)
            return found == 0;
    }
}

void netstream_flush(struct client *client)
{
    for (int i = 0; i < client->netstream_count; i++)
        if (client->netstreams[i] && client->netstreams[i]->role == ROLE_PUBLISHING)
            live_flush(client->netstreams[i]->stream);
}

int netstream_wait(struct client *client, int most)
{
    for (int i = 0; i < client->netstream_count; i++) {
        struct netstream *netstream = client->netstreams[i];
        if (!netstream || netstream->role != ROLE_PLAYING_FILE || client->sender.full_since != 0)
            continue;
        int64_t due = vod_wait(netstream->vod, client->buffer_ms, clock_ms());
        if (due >= 0 && due < most)
            most = (int)due;
    }
    return most;
}
