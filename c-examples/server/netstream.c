#include "netstream.h"

#include <errno.h>
#include <librtmp/log.h>
#include <string.h>

#include "server.h"

enum { BATCH = 32 }; /* media messages of a stream that are sent before the socket is looked at again */

/* ---- finding ---- */

struct netstream *netstream_find(struct client *client, int id)
{
    struct netstream *only = NULL;
    if (id > 0 && id <= MOST_NETSTREAMS)
        return &client->netstreams[id - 1];
    for (int i = 0; id == 0 && i < MOST_NETSTREAMS; i++) {
        if (client->netstreams[i].role == ROLE_NONE)
            continue;
        if (only)
            return NULL;
        only = &client->netstreams[i];
    }
    return only;
}

int netstream_id(const struct client *client, const struct netstream *netstream)
{
    return (int)(netstream - client->netstreams) + 1;
}

int netstream_in_use(struct client *client)
{
    for (int i = 0; i < MOST_NETSTREAMS; i++)
        if (client->netstreams[i].role != ROLE_NONE)
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
    atomic_fetch_add(&client->server->counts.publishing, 1);
    start_recording(client, netstream);
}

void netstream_play_live(struct client *client, struct netstream *netstream, struct player *player)
{
    netstream->role = ROLE_PLAYING_LIVE;
    netstream->player = player;
    netstream->more = 1; /* look into the queue at once */
    atomic_fetch_add(&client->server->counts.playing, 1);
    netstream_mute(client, netstream);
}

void netstream_play_file(struct client *client, struct netstream *netstream, struct vod *vod)
{
    atomic_fetch_add(&client->server->counts.playing, 1);
    netstream->role = ROLE_PLAYING_FILE;
    netstream->vod = vod;
    vod->skip_audio = netstream->no_audio;
    vod->skip_video = netstream->no_video;
}

void netstream_mute(struct client *client, struct netstream *netstream)
{
    if (netstream->role == ROLE_PLAYING_LIVE) {
        live_mute(client->server->live, netstream->player, FLV_AUDIO, netstream->paused || netstream->no_audio);
        live_mute(client->server->live, netstream->player, FLV_VIDEO, netstream->paused || netstream->no_video);
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
    atomic_fetch_sub(netstream->role == ROLE_PUBLISHING ? &client->server->counts.publishing
                                                        : &client->server->counts.playing, 1);
    RTMP_Log(RTMP_LOGINFO, "client %u: ends %s", client->number, name_of(netstream->path));
    netstream->role = ROLE_NONE;
    netstream->paused = netstream->more = 0;
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

static int take_media(struct client *client, struct netstream *netstream, uint8_t type, uint32_t timestamp,
                      const char *body, uint32_t size)
{
    if (size == 0)
        return 1;
    struct message *message = message_new(type, timestamp, body, size);
    if (!message) {
        RTMP_Log(RTMP_LOGERROR, "client %u: no memory for what it publishes", client->number);
        return 0;
    }
    atomic_fetch_add(&client->server->counts.bytes_in, size);
    record(client, netstream, message);
    live_feed(client->server->live, netstream->stream, message);
    return 1;
}

/* Publishers wrap metadata in a call of @setDataFrame; players get what is inside. */
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

/* An aggregate is a run of FLV tags. Its own timestamp is that of the first. */
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

int netstream_receive(struct client *client, int id, uint8_t type, uint32_t timestamp, const char *body, uint32_t size)
{
    struct netstream *netstream = netstream_find(client, id);
    if (!netstream || netstream->role != ROLE_PUBLISHING)
        return 1;
    switch (type) {
    case RTMP_PACKET_TYPE_FLASH_VIDEO:
        return take_aggregate(client, netstream, timestamp, body, size);
    case RTMP_PACKET_TYPE_FLEX_STREAM_SEND: /* AMF0 behind one byte */
        return take_data(client, netstream, timestamp, body + 1, size - 1);
    case RTMP_PACKET_TYPE_INFO:
        return take_data(client, netstream, timestamp, body, size);
    default:
        return take_media(client, netstream, type, timestamp, body, size);
    }
}

/* ---- media to a player ---- */

static int send_media(struct client *client, int id, uint8_t type, uint32_t timestamp, const struct body *body)
{
    client_guard(client, 2 * (int64_t)client->server->timeout_ms);
    atomic_fetch_add(&client->server->counts.bytes_out, body->size);
    return media_send(&client->out, &client->rtmp, id, type, timestamp, body);
}

static int send_event(struct client *client, int id, int control, const char *code, const char *details)
{
    return RTMP_SendCtrl(&client->rtmp, (short)control, (unsigned)id, 0)
           && reply_status(&client->rtmp, id, "status", code, details);
}

static int send_live(struct client *client, struct netstream *netstream)
{
    struct delivery next;
    int id = netstream_id(client, netstream), ok = 1, count = 0;
    const char *name = name_of(netstream->path);
    for (; ok && count < BATCH && live_take(client->server->live, netstream->player, &next); count++) {
        const struct message *message = next.message;
        struct body body = { message->body, NULL, message->size };
        if (message->type == LIVE_PUBLISHED)
            ok = send_event(client, id, CONTROL_STREAM_BEGIN, "NetStream.Play.PublishNotify", name);
        else if (message->type == LIVE_UNPUBLISHED)
            ok = send_event(client, id, CONTROL_STREAM_EOF, "NetStream.Play.UnpublishNotify", name);
        else
            ok = send_media(client, id, message->type, next.timestamp, &body);
        message_release(next.message);
    }
    netstream->more = count == BATCH;
    return ok;
}

static int send_file(struct client *client, struct netstream *netstream)
{
    struct vod *vod = netstream->vod;
    int id = netstream_id(client, netstream);
    uint8_t type;
    uint32_t timestamp, last = 0;
    struct body body;
    for (int i = 0; i < BATCH && vod_wait(vod, client->buffer_ms, clock_ms()) == 0; i++) {
        if (vod_next(vod, &type, &timestamp, &body)) {
            if (!send_media(client, id, type, timestamp, &body))
                return 0;
            continue;
        }
        if (vod->timestamp > vod->origin)
            last = vod->timestamp - vod->origin;
        return reply_play_complete(&client->rtmp, id, last)
               && send_event(client, id, CONTROL_STREAM_EOF, "NetStream.Play.Stop", name_of(netstream->path));
    }
    return 1;
}

int netstream_send(struct client *client)
{
    int ok = 1;
    for (int i = 0; ok && i < MOST_NETSTREAMS; i++) {
        struct netstream *netstream = &client->netstreams[i];
        if (netstream->role == ROLE_PLAYING_LIVE)
            ok = send_live(client, netstream);
        else if (netstream->role == ROLE_PLAYING_FILE)
            ok = send_file(client, netstream);
    }
    return ok;
}

int netstream_wait(struct client *client, int most)
{
    for (int i = 0; i < MOST_NETSTREAMS; i++) {
        struct netstream *netstream = &client->netstreams[i];
        int64_t due = -1;
        if (netstream->more)
            return 0;
        if (netstream->role == ROLE_PLAYING_FILE)
            due = vod_wait(netstream->vod, client->buffer_ms, clock_ms());
        if (due >= 0 && due < most)
            most = (int)due;
    }
    return most;
}
