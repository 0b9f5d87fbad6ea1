/* The commands a client may send, one function each, and the table that finds them.
 *
 * Arguments come from AMF_Decode: value 0 is the command's name, 1 the transaction id, 2 the command
 * object (often null), and from 3 on what the command needs. Missing ones read as INVALID. */
#include <librtmp/log.h>
#include <string.h>

#include "server.h"

struct call {
    struct client *client;
    RTMP *rtmp;
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

static void full_name(const struct client *client, const char *name, char *full, size_t size)
{
    snprintf(full, size, "%s/%s", client->app, name);
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
    if (!name_accept_app(&wanted, client->app, sizeof client->app)) {
        reply_error(call->rtmp, call->transaction, "NetConnection.Connect.InvalidApp", "no such application");
        return 0;
    }
    client->connected = 1;
    RTMP_Log(RTMP_LOGINFO, "client %u: connects to %s", client->number, client->app);
    return reply_limits(call->rtmp) && RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_BEGIN, 0, 0)
           && reply_connected(call->rtmp, call->transaction) && reply_call(call->rtmp, "onBWDone", NULL);
}

static int do_create_stream(struct call *call)
{
    struct client *client = call->client;
    if (client->streams_created == MOST_STREAMS)
        return reply_error(call->rtmp, call->transaction, "NetConnection.Call.Failed", "too many streams");
    double id = ++client->streams_created;
    return reply_result(call->rtmp, call->transaction, &id);
}

static int do_result(struct call *call) { return reply_result(call->rtmp, call->transaction, NULL); }

static int do_nothing(struct call *call)
{
    (void)call;
    return 1;
}

static int do_check_bandwidth(struct call *call)
{
    double kilobits = 8192;
    return do_result(call) && reply_call(call->rtmp, "_onbwdone", &kilobits);
}

static int do_fc_publish(struct call *call)
{
    return do_result(call)
           && reply_call_status(call->rtmp, "onFCPublish", "NetStream.Publish.Start", "ready to publish");
}

static int do_fc_subscribe(struct call *call)
{
    return do_result(call)
           && reply_call_status(call->rtmp, "onFCSubscribe", "NetStream.Play.Start", "ready to play");
}

static int stream_status(struct call *call, const char *level, const char *code, const char *details)
{
    return reply_status(call->rtmp, call->stream_id, level, code, details);
}

/* ---- publishing ---- */

static void start_recording(struct client *client)
{
    const char *folder = client->server->record_folder;
    FILE *file = folder ? name_create(folder, client->name) : NULL;
    if (file && flv_writer_start(&client->recording, file))
        return;
    if (folder)
        RTMP_Log(RTMP_LOGERROR, "client %u: cannot record %s in %s", client->number, client->name, folder);
    if (file)
        fclose(file);
    memset(&client->recording, 0, sizeof client->recording);
}

static int do_publish(struct call *call)
{
    struct client *client = call->client;
    char name[NAME_SIZE], full[2 * NAME_SIZE];
    AVal wanted = string_at(call, 3);
    client_stop_role(client);
    struct stream *stream = NULL;
    if (call->stream_id > 0 && name_accept(&wanted, name, sizeof name)) {
        full_name(client, name, full, sizeof full);
        stream = live_publish(client->server->live, full);
    }
    if (!stream) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: may not publish, bad or used name", client->number);
        stream_status(call, "error", "NetStream.Publish.BadName", "bad or used name");
        return 0; /* librtmp's clients would wait for a Publish.Start for ever */
    }
    client->role = ROLE_PUBLISHING;
    client->stream = stream;
    client->stream_id = call->stream_id;
    memcpy(client->name, name, sizeof name);
    start_recording(client);
    RTMP_Log(RTMP_LOGINFO, "client %u: publishes %s", client->number, full);
    return RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_BEGIN, (unsigned)call->stream_id, 0)
           && stream_status(call, "status", "NetStream.Publish.Start", client->name);
}

static int stop_stream(struct call *call, int stream_id)
{
    struct client *client = call->client;
    if (client->role == ROLE_NONE || client->stream_id != stream_id)
        return 1;
    int published = client->role == ROLE_PUBLISHING;
    client_stop_role(client);
    call->stream_id = stream_id;
    return !published || stream_status(call, "status", "NetStream.Unpublish.Success", client->name);
}

static int do_fc_unpublish(struct call *call)
{
    struct client *client = call->client;
    int ok = do_result(call);
    if (client->role == ROLE_PUBLISHING)
        ok = ok && stop_stream(call, client->stream_id);
    return ok;
}

static int do_close_stream(struct call *call) { return stop_stream(call, call->stream_id); }

/* No answer: clients that delete a stream are often gone already. */
static int do_delete_stream(struct call *call)
{
    struct client *client = call->client;
    if (number_at(call, 3, 0) == (double)client->stream_id)
        client_stop_role(client);
    return 1;
}

/* ---- playing ---- */

static int not_found(struct call *call, const char *name)
{
    RTMP_Log(RTMP_LOGWARNING, "client %u: asks for a stream that is not there", call->client->number);
    return stream_status(call, "error", "NetStream.Play.StreamNotFound", name);
}

static int announce_play(struct call *call)
{
    return stream_status(call, "status", "NetStream.Play.Reset", call->client->name)
           && stream_status(call, "status", "NetStream.Play.Start", call->client->name);
}

static int play_live(struct call *call, const char *full)
{
    struct client *client = call->client;
    RTMP_Log(RTMP_LOGINFO, "client %u: plays %s", client->number, full);
    if (!RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_BEGIN, (unsigned)call->stream_id, 0) || !announce_play(call))
        return 0;
    client->player = live_join(client->server->live, full, client->wake[1]);
    if (!client->player)
        return 0;
    client->role = ROLE_PLAYING_LIVE;
    client->more = 1; /* look into the queue at once */
    live_mute(client->server->live, client->player, FLV_AUDIO, client->no_audio);
    live_mute(client->server->live, client->player, FLV_VIDEO, client->no_video);
    return 1;
}

static int play_file(struct call *call, FILE *file, double start, double length)
{
    struct client *client = call->client;
    client->vod = vod_open(file);
    if (!client->vod)
        return not_found(call, client->name);
    client->role = ROLE_PLAYING_FILE;
    client->vod->skip_audio = client->no_audio;
    client->vod->skip_video = client->no_video;
    RTMP_Log(RTMP_LOGINFO, "client %u: plays the file %s", client->number, client->name);
    vod_play(client->vod, milliseconds(start), length, clock_ms());
    return RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_IS_RECORDED, (unsigned)call->stream_id, 0)
           && RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_BEGIN, (unsigned)call->stream_id, 0) && announce_play(call);
}

/* play(name, start, length). `start` is a time in a recording, -1000 for live only (the player waits for a
 * publisher), -2000 or nothing for what there is, live first. -1 and -2 are seen as well. */
static int do_play(struct call *call)
{
    struct client *client = call->client;
    struct server *server = client->server;
    char name[NAME_SIZE], full[2 * NAME_SIZE];
    AVal wanted = string_at(call, 3);
    double start = number_at(call, 4, -2000), length = number_at(call, 5, -1);
    int live_only = start == -1000 || start == -1;

    client_stop_role(client);
    if (call->stream_id <= 0 || !name_accept(&wanted, name, sizeof name))
        return not_found(call, "");
    full_name(client, name, full, sizeof full);
    memcpy(client->name, name, sizeof name);
    client->stream_id = call->stream_id;

    int published = live_is_published(server->live, full);
    RTMP_Log(RTMP_LOGDEBUG, "client %u: play(%s, %g, %g)", client->number, full, start, length);
    if (live_only || (start < 0 && published))
        return play_live(call, full);
    FILE *file = name_open(server->vod_folder, name);
    if (file)
        return play_file(call, file, start, length);
    return published ? play_live(call, full) : not_found(call, name);
}

static int do_pause(struct call *call)
{
    struct client *client = call->client;
    int pause = boolean_at(call, 3, !client->paused);
    if (client->role == ROLE_PLAYING_FILE) {
        vod_pause(client->vod, pause, clock_ms());
    } else if (client->role == ROLE_PLAYING_LIVE) {
        live_mute(client->server->live, client->player, FLV_AUDIO, pause || client->no_audio);
        live_mute(client->server->live, client->player, FLV_VIDEO, pause || client->no_video);
    } else {
        return 1;
    }
    client->paused = pause;
    call->stream_id = client->stream_id;
    return stream_status(call, "status", pause ? "NetStream.Pause.Notify" : "NetStream.Unpause.Notify", client->name);
}

static int do_seek(struct call *call)
{
    struct client *client = call->client;
    call->stream_id = client->stream_id;
    if (client->role != ROLE_PLAYING_FILE)
        return stream_status(call, "error", "NetStream.Seek.Failed", client->name);
    vod_seek(client->vod, milliseconds(number_at(call, 3, 0)), clock_ms());
    return RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_IS_RECORDED, (unsigned)call->stream_id, 0)
           && RTMP_SendCtrl(call->rtmp, CONTROL_STREAM_BEGIN, (unsigned)call->stream_id, 0)
           && stream_status(call, "status", "NetStream.Seek.Notify", client->name)
           && stream_status(call, "status", "NetStream.Play.Start", client->name);
}

static int receive_media(struct call *call, uint8_t type, int *unwanted)
{
    struct client *client = call->client;
    *unwanted = !boolean_at(call, 3, 1);
    if (client->role == ROLE_PLAYING_LIVE)
        live_mute(client->server->live, client->player, type, client->paused || *unwanted);
    if (client->role == ROLE_PLAYING_FILE) {
        client->vod->skip_audio = client->no_audio;
        client->vod->skip_video = client->no_video;
    }
    return 1;
}

static int do_receive_audio(struct call *call) { return receive_media(call, FLV_AUDIO, &call->client->no_audio); }

static int do_receive_video(struct call *call) { return receive_media(call, FLV_VIDEO, &call->client->no_video); }

static int do_stream_length(struct call *call)
{
    char name[NAME_SIZE];
    double seconds = 0;
    AVal wanted = string_at(call, 3);
    FILE *file = name_accept(&wanted, name, sizeof name) ? name_open(call->client->server->vod_folder, name) : NULL;
    struct vod *vod = file ? vod_open(file) : NULL;
    if (vod)
        seconds = vod_seconds(vod);
    vod_close(vod);
    return reply_result(call->rtmp, call->transaction, &seconds);
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
           || reply_error(call->rtmp, call->transaction, "NetConnection.Call.Failed", "no such command");
}

int command_handle(struct client *client, int stream_id, const char *body, uint32_t size)
{
    AMFObject values;
    struct call call = { .client = client, .rtmp = &client->rtmp, .stream_id = stream_id, .values = &values };
    memset(&values, 0, sizeof values);
    int ok = size > 0 && AMF_Decode(&values, body, (int)size, FALSE) >= 0;
    if (ok) {
        call.transaction = number_at(&call, 1, 0);
        ok = run(&call);
    }
    AMF_Reset(&values);
    return ok;
}
