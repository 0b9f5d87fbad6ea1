/* The commands a client may send, one function each, and the table that finds them.
 *
 * Arguments come from AMF_Decode: value 0 is the command's name, 1 the transaction id, 2 the command
 * object (often null), and from 3 on what the command needs. Missing ones read as INVALID. */
#include <librtmp/log.h>
#include <string.h>

#include "../enhanced.h"
#include "amf0.h"
#include "reply.h"
#include "server.h"
#include "waits.h"

struct call {
    struct client *client;
    struct sender *to;
    int stream_id;
    double transaction;
    AMFObject *values;
};

static AMFObjectProperty *value_at(const struct call *call, int index)
{
    return AMF_GetProp(call->values, NULL, index);
}

static double number_at(const struct call *call, int index, double otherwise)
{
    AMFObjectProperty *value = value_at(call, index);
    return AMFProp_GetType(value) == AMF_NUMBER ? AMFProp_GetNumber(value) : otherwise;
}

static int boolean_at(const struct call *call, int index, int otherwise)
{
    AMFObjectProperty *value = value_at(call, index);
    return AMFProp_GetType(value) == AMF_BOOLEAN ? AMFProp_GetBoolean(value) : otherwise;
}

static AVal string_at(const struct call *call, int index)
{
    AVal string;
    AMFProp_GetString(value_at(call, index), &string); /* empty when it is no string */
    return string;
}

/* Times come as any double. */
static uint32_t milliseconds(double value)
{
    if (!(value > 0))
        return 0;
    return value < 4294967295.0 ? (uint32_t)value : 4294967295u;
}

/* The path that application and name of a call mean. Returns 0 when it is not acceptable. */
static int path_at(const struct call *call, int index, char *path)
{
    AVal name = string_at(call, index);
    memcpy(path, call->client->app, PATH_SIZE);
    return AMFProp_GetType(value_at(call, index)) == AMF_STRING && name_append(path, &name) && name_finish(path);
}

/* publish(false) and play(false), also with null, end what the stream does. */
static int ends_at(const struct call *call, int index)
{
    AMFDataType type = AMFProp_GetType(value_at(call, index));
    return type == AMF_NULL || type == AMF_UNDEFINED || (type == AMF_BOOLEAN && !boolean_at(call, index, 0));
}

static int do_connect(struct call *call)
{
    static const AVal app = AVC("app");
    struct client *client = call->client;
    AMFObject parameters;
    AVal wanted;
    if (client->connected)
        return 0;
    AMFProp_GetObject(value_at(call, 2), &parameters); /* belongs to call->values */
    AMFProp_GetString(AMF_GetProp(&parameters, &app, -1), &wanted);
    if (!name_append(client->app, &wanted)) {
        reply_error(call->to, call->transaction, "NetConnection.Connect.InvalidApp", "no such application");
        return 0;
    }
    client->connected = 1;
    RTMP_Log(RTMP_LOGINFO, "client %u: connects to %s", client->number, client->app);
    return reply_limits(call->to) && reply_control(call->to, CONTROL_STREAM_BEGIN, 0)
           && reply_connected(call->to, call->transaction) && reply_call(call->to, "onBWDone", NULL);
}

static int do_create_stream(struct call *call)
{
    struct client *client = call->client;
    for (int i = 0; i < MOST_NETSTREAMS; i++) {
        struct netstream *netstream = netstream_find(client, i + 1);
        if (!netstream || netstream->created || netstream->role != ROLE_NONE)
            continue;
        double id = netstream->id;
        memset(netstream, 0, sizeof *netstream);
        netstream->id = (int)id;
        netstream->created = 1;
        return reply_result(call->to, call->transaction, &id);
    }
    return reply_error(call->to, call->transaction, "NetConnection.Call.Failed", "too many streams");
}

static int do_result(struct call *call) { return reply_result(call->to, call->transaction, NULL); }

static int do_nothing(struct call *call)
{
    (void)call;
    return 1;
}

static int do_check_bandwidth(struct call *call)
{
    double kilobits = 8192;
    return do_result(call) && reply_call(call->to, "_onbwdone", &kilobits);
}

static int do_fc_publish(struct call *call)
{
    return do_result(call)
           && reply_call_status(call->to, "onFCPublish", "NetStream.Publish.Start", "ready to publish");
}

static int do_fc_subscribe(struct call *call)
{
    return do_result(call)
           && reply_call_status(call->to, "onFCSubscribe", "NetStream.Play.Start", "ready to play");
}

static int stream_status(struct call *call, const char *level, const char *code, const char *details)
{
    return reply_status(call->to, call->stream_id, level, code, details);
}

/* ---- publishing ---- */

static int stop_stream(struct call *call, struct netstream *netstream)
{
    enum role role = netstream->role;
    call->stream_id = netstream->id;
    netstream_stop(call->client, netstream);
    if (role == ROLE_PUBLISHING)
        return stream_status(call, "status", "NetStream.Unpublish.Success", name_of(netstream->path));
    return role == ROLE_NONE || stream_status(call, "status", "NetStream.Play.Stop", name_of(netstream->path));
}

static int do_publish(struct call *call)
{
    struct client *client = call->client;
    char path[PATH_SIZE];
    struct netstream *netstream = netstream_find(client, call->stream_id);
    struct stream *stream = NULL;
    if (netstream && ends_at(call, 3))
        return stop_stream(call, netstream);
    if (netstream)
        netstream_stop(client, netstream);
    if (netstream && call->stream_id > 0 && path_at(call, 3, path))
        stream = live_publish(client->server->live, path, !library_waits());
    if (!stream) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: may not publish, bad or used name", client->number);
        stream_status(call, "error", "NetStream.Publish.BadName", "bad or used name");
        return netstream_in_use(client); /* librtmp's clients would wait for a Publish.Start without end */
    }
    memcpy(netstream->path, path, sizeof path);
    netstream_publish(client, netstream, stream);
    RTMP_Log(RTMP_LOGINFO, "client %u: publishes %s", client->number, path);
    return reply_control(call->to, CONTROL_STREAM_BEGIN, (uint32_t)call->stream_id)
           && stream_status(call, "status", "NetStream.Publish.Start", name_of(path));
}

static int do_fc_unpublish(struct call *call)
{
    struct client *client = call->client;
    char path[PATH_SIZE];
    int ok = do_result(call), named = path_at(call, 3, path);
    for (int i = 0; ok && named && i < client->netstream_count; i++) {
        struct netstream *netstream = client->netstreams[i];
        if (netstream && netstream->role == ROLE_PUBLISHING && strcmp(netstream->path, path) == 0)
            ok = stop_stream(call, netstream);
    }
    return ok;
}

static int do_close_stream(struct call *call)
{
    struct netstream *netstream = netstream_find(call->client, call->stream_id);
    return !netstream || stop_stream(call, netstream);
}

/* No answer: clients that delete a stream are often gone already. */
static int do_delete_stream(struct call *call)
{
    double id = number_at(call, 3, 0);
    struct netstream *netstream = id >= 1 && id <= MOST_NETSTREAMS ? netstream_find(call->client, (int)id) : NULL;
    if (netstream) {
        netstream_stop(call->client, netstream);
        netstream->created = 0;
    }
    return 1;
}

/* ---- playing ---- */

static int not_found(struct call *call, const char *name)
{
    RTMP_Log(RTMP_LOGWARNING, "client %u: asks for a stream that is not there", call->client->number);
    return stream_status(call, "error", "NetStream.Play.StreamNotFound", name);
}

static int announce_play(struct call *call, const char *name)
{
    return stream_status(call, "status", "NetStream.Play.Reset", name)
           && stream_status(call, "status", "NetStream.Play.Start", name);
}

static void wake(void *client) { client_wake(client); }

/* What is published from here on waits in the queue, behind what the client is told. */
static int play_live(struct call *call, struct netstream *netstream)
{
    struct client *client = call->client;
    struct player *player = live_join(client->server->live, netstream->path, wake, client);
    if (!player)
        return not_found(call, name_of(netstream->path));
    netstream_play_live(client, netstream, player);
    RTMP_Log(RTMP_LOGINFO, "client %u: plays %s", client->number, netstream->path);
    return reply_control(call->to, CONTROL_STREAM_BEGIN, (uint32_t)call->stream_id)
           && announce_play(call, name_of(netstream->path));
}

static int play_file(struct call *call, struct netstream *netstream, FILE *file, double start, double length)
{
    const char *name = name_of(netstream->path);
    struct vod *vod = vod_open(file);
    if (!vod)
        return not_found(call, name);
    netstream_play_file(call->client, netstream, vod);
    RTMP_Log(RTMP_LOGINFO, "client %u: plays the file %s", call->client->number, name);
    vod_play(vod, milliseconds(start), length, clock_ms());
    return reply_control(call->to, CONTROL_STREAM_IS_RECORDED, (uint32_t)call->stream_id)
           && reply_control(call->to, CONTROL_STREAM_BEGIN, (uint32_t)call->stream_id)
           && announce_play(call, name);
}

/* play(name, start, length). `start` is a time in a recording, -1000 for live only (the player waits for a
 * publisher), -2000 or nothing for what there is, live first. -1 and -2 are seen as well. */
static int do_play(struct call *call)
{
    struct client *client = call->client;
    struct server *server = client->server;
    struct netstream *netstream = netstream_find(client, call->stream_id);
    double start = number_at(call, 4, -2000), length = number_at(call, 5, -1);
    int live_only = start == -1000 || start == -1;

    if (netstream && ends_at(call, 3))
        return stop_stream(call, netstream);
    if (!netstream || call->stream_id <= 0)
        return not_found(call, "");
    netstream_stop(client, netstream);
    if (!path_at(call, 3, netstream->path))
        return not_found(call, "");

    int published = live_is_published(server->live, netstream->path);
    RTMP_Log(RTMP_LOGDEBUG, "client %u: play(%s, %g, %g)", client->number, netstream->path, start, length);
    if (live_only || (start < 0 && published))
        return play_live(call, netstream);
    FILE *file = name_open(server->vod_folder, name_of(netstream->path));
    if (file)
        return play_file(call, netstream, file, start, length);
    return published ? play_live(call, netstream) : not_found(call, name_of(netstream->path));
}

/* The stream that a command for players means, if it plays. */
static struct netstream *playing(struct call *call)
{
    struct netstream *netstream = netstream_find(call->client, call->stream_id);
    if (!netstream || (netstream->role != ROLE_PLAYING_LIVE && netstream->role != ROLE_PLAYING_FILE))
        return NULL;
    call->stream_id = netstream->id;
    return netstream;
}

static int do_pause(struct call *call)
{
    struct netstream *netstream = playing(call);
    if (!netstream)
        return 1;
    netstream->paused = boolean_at(call, 3, !netstream->paused);
    if (netstream->role == ROLE_PLAYING_FILE)
        vod_pause(netstream->vod, netstream->paused, clock_ms());
    else
        netstream_mute(netstream);
    return stream_status(call, "status", netstream->paused ? "NetStream.Pause.Notify" : "NetStream.Unpause.Notify",
                         name_of(netstream->path));
}

static int do_seek(struct call *call)
{
    struct netstream *netstream = playing(call);
    if (!netstream || netstream->role != ROLE_PLAYING_FILE)
        return stream_status(call, "error", "NetStream.Seek.Failed", netstream ? name_of(netstream->path) : "");
    vod_seek(netstream->vod, milliseconds(number_at(call, 3, 0)), clock_ms());
    return reply_control(call->to, CONTROL_STREAM_IS_RECORDED, (uint32_t)call->stream_id)
           && reply_control(call->to, CONTROL_STREAM_BEGIN, (uint32_t)call->stream_id)
           && stream_status(call, "status", "NetStream.Seek.Notify", name_of(netstream->path))
           && stream_status(call, "status", "NetStream.Play.Start", name_of(netstream->path));
}

/* Also before the stream plays. */
static int do_receive_audio(struct call *call)
{
    struct netstream *netstream = netstream_find(call->client, call->stream_id);
    if (!netstream)
        return 1;
    netstream->no_audio = !boolean_at(call, 3, 1);
    netstream_mute(netstream);
    return 1;
}

static int do_receive_video(struct call *call)
{
    struct netstream *netstream = netstream_find(call->client, call->stream_id);
    if (!netstream)
        return 1;
    netstream->no_video = !boolean_at(call, 3, 1);
    netstream_mute(netstream);
    return 1;
}

static int do_stream_length(struct call *call)
{
    char path[PATH_SIZE];
    double seconds = 0;
    FILE *file = path_at(call, 3, path) ? name_open(call->client->server->vod_folder, name_of(path)) : NULL;
    struct vod *vod = file ? vod_open(file) : NULL;
    if (vod)
        seconds = vod_seconds(vod);
    vod_close(vod);
    return reply_result(call->to, call->transaction, &seconds);
}

/* ---- finding the function ---- */

static const struct {
    AVal name;
    int (*run)(struct call *call);
} commands[] = {
    { AVC("connect"), do_connect },
    { AVC("createStream"), do_create_stream },
    { AVC("releaseStream"), do_result },
    { AVC("FCPublish"), do_fc_publish },
    { AVC("FCUnpublish"), do_fc_unpublish },
    { AVC("FCSubscribe"), do_fc_subscribe },
    { AVC("FCUnsubscribe"), do_result },
    { AVC("publish"), do_publish },
    { AVC("play"), do_play },
    { AVC("pause"), do_pause },
    { AVC("pauseRaw"), do_pause },
    { AVC("seek"), do_seek },
    { AVC("receiveAudio"), do_receive_audio },
    { AVC("receiveVideo"), do_receive_video },
    { AVC("closeStream"), do_close_stream },
    { AVC("deleteStream"), do_delete_stream },
    { AVC("getStreamLength"), do_stream_length },
    { AVC("_checkbw"), do_check_bandwidth },
    { AVC("set_playlist"), do_nothing },
    { AVC("_result"), do_nothing },
    { AVC("_error"), do_nothing },
};

static int run(struct call *call)
{
    AVal name = string_at(call, 0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!AVMATCH(&name, &commands[i].name))
            continue;
        if (!call->client->connected && commands[i].run != do_connect)
            return 0;
        return commands[i].run(call);
    }
    RTMP_Log(RTMP_LOGDEBUG, "client %u: unknown command %.*s", call->client->number, name.av_len,
             name.av_val ? name.av_val : "");
    if (!call->client->connected)
        return 0;
    /* Without a transaction id nobody waits for an answer. */
    return call->transaction == 0
           || reply_error(call->to, call->transaction, "NetConnection.Call.Failed", "no such command");
}

/* Lets the library know what the client announces, and say what this server does. */
static void take_connect(struct client *client, char *body, uint32_t size)
{
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
    packet.m_body = body;
    packet.m_nBodySize = size;
    if (IS_THERE(RTMP_TakeConnect) && RTMP_TakeConnect(client->rtmp, &packet)) {
        announce(client->rtmp, 1, NULL);
        set_option(client->rtmp, "reconnect", "1");
    }
}

int command_handle(struct client *client, int stream_id, char *body, uint32_t size)
{
    AMFObject values;
    struct call call = { .client = client, .to = &client->sender, .stream_id = stream_id, .values = &values };
    memset(&values, 0, sizeof values);
    if (!client->connected)
        take_connect(client, body, size);
    size = amf0_simplify(body, size);
    if (size > 0)
        AMF_Decode(&values, body, (int)size, FALSE); /* what stands before a failure is there even so */
    call.transaction = number_at(&call, 1, 0);
    int ok = AMFProp_GetType(value_at(&call, 0)) == AMF_STRING && run(&call);
    AMF_Reset(&values);
    return ok;
}
