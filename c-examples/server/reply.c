#include "reply.h"

#include <string.h>

#include "../enhanced.h"
#include "threads.h"

enum { BODY_SIZE = 2048 };

/* A message that is being written. AMF_Encode… returns NULL if there is too little room, and does not accept NULL. */
struct writer {
    char block[BODY_SIZE];
    char *at, *end;
};

static void begin(struct writer *w)
{
    w->at = w->block;
    w->end = w->block + sizeof w->block;
}

/* The library only reads what an AVal points to. */
static AVal text(const char *string)
{
    AVal value = { (char *)(uintptr_t)string, (int)strlen(string) };
    return value;
}

static void put_string(struct writer *w, const char *string)
{
    AVal value = text(string);
    if (w->at)
        w->at = AMF_EncodeString(w->at, w->end, &value);
}

static void put_number(struct writer *w, double number)
{
    if (w->at)
        w->at = AMF_EncodeNumber(w->at, w->end, number);
}

static void put_byte(struct writer *w, AMFDataType type)
{
    if (w->at && w->at < w->end)
        *w->at++ = (char)type;
    else
        w->at = NULL;
}

static void put_null(struct writer *w) { put_byte(w, AMF_NULL); }

static void open_object(struct writer *w) { put_byte(w, AMF_OBJECT); }

static void close_object(struct writer *w)
{
    if (w->at)
        w->at = AMF_EncodeInt24(w->at, w->end, AMF_OBJECT_END);
}

static void put_named_string(struct writer *w, const char *name, const char *string)
{
    AVal key = text(name), value = text(string);
    if (w->at)
        w->at = AMF_EncodeNamedString(w->at, w->end, &key, &value);
}

static void put_named_number(struct writer *w, const char *name, double number)
{
    AVal key = text(name);
    if (w->at)
        w->at = AMF_EncodeNamedNumber(w->at, w->end, &key, number);
}

static int finish(struct writer *w, struct sender *to, int channel, uint8_t type, int stream_id, uint32_t timestamp)
{
    return w->at && sender_reply(to, channel, type, stream_id, timestamp, w->block, (size_t)(w->at - w->block));
}

static int send_command(struct writer *w, struct sender *to)
{
    return finish(w, to, CHANNEL_COMMAND, RTMP_PACKET_TYPE_INVOKE, 0, 0);
}

static void put_uint32(struct writer *w, uint32_t value) { w->at = AMF_EncodeInt32(w->at, w->end, (int)value); }

int reply_window(struct sender *to)
{
    struct writer w;
    begin(&w);
    put_uint32(&w, SERVER_WINDOW);
    return finish(&w, to, CHANNEL_CONTROL, RTMP_PACKET_TYPE_SERVER_BW, 0, 0);
}

int reply_limits(struct sender *to)
{
    struct writer w;
    to->r->m_nServerBW = SERVER_WINDOW;
    to->r->m_nClientBW = SERVER_WINDOW;
    to->r->m_nClientBW2 = 2;
    begin(&w);
    put_uint32(&w, SERVER_WINDOW);
    *w.at++ = 2; /* dynamic: the client may choose */
    return reply_window(to) && finish(&w, to, CHANNEL_CONTROL, RTMP_PACKET_TYPE_CLIENT_BW, 0, 0)
           && sender_announce_chunk_size(to);
}

int reply_control(struct sender *to, int event, uint32_t number)
{
    struct writer w;
    begin(&w);
    w.at = AMF_EncodeInt16(w.at, w.end, (short)event);
    put_uint32(&w, number);
    return finish(&w, to, CHANNEL_CONTROL, RTMP_PACKET_TYPE_CONTROL, 0, 0);
}

/* Clients without Enhanced RTMP receive no announcement of it. */
static int announces(RTMP *r)
{
    static const char *const names[] = { "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx" };
    AMFObjectProperty property;
    for (size_t i = 0; IS_THERE(RTMP_PeerProperty) && IS_THERE(RTMP_EncodeCapabilities) && i < sizeof names / sizeof *names; i++) {
        AVal name = text(names[i]);
        if (RTMP_PeerProperty(r, &name, &property)) {
            AMFProp_Reset(&property);
            return 1;
        }
    }
    return 0;
}

/* The server relays any codec. */
static void put_capabilities(struct writer *w, RTMP *r)
{
    if (w->at && announces(r))
        w->at = RTMP_EncodeCapabilities(r, w->at, w->end);
}

int reply_reconnect(RTMP *r, const char *url)
{
    AVal where = text(url);
    if (!IS_THERE(RTMP_PeerCaps) || !(RTMP_PeerCaps(r) & 1)) /* RTMP_CAPS_RECONNECT */
        return 1;
    threads_release();
    int sent = RTMP_SendReconnect(r, *url ? &where : NULL, NULL);
    threads_acquire();
    return sent;
}

int reply_connected(struct sender *to, double transaction)
{
    struct writer w;
    begin(&w);
    put_string(&w, "_result");
    put_number(&w, transaction);
    open_object(&w);
    put_named_string(&w, "fmsVer", "FMS/3,5,7,7009");
    put_named_number(&w, "capabilities", 31);
    put_named_number(&w, "mode", 1);
    put_capabilities(&w, to->r); /* clients differ in which object they read */
    close_object(&w);
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", "NetConnection.Connect.Success");
    put_named_string(&w, "description", "Connection succeeded.");
    put_named_number(&w, "objectEncoding", 0); /* AMF0, whatever the client offered */
    put_capabilities(&w, to->r);
    close_object(&w);
    return send_command(&w, to);
}

int reply_result(struct sender *to, double transaction, const double *value)
{
    struct writer w;
    begin(&w);
    put_string(&w, "_result");
    put_number(&w, transaction);
    put_null(&w);
    if (value)
        put_number(&w, *value);
    return send_command(&w, to);
}

int reply_error(struct sender *to, double transaction, const char *code, const char *description)
{
    struct writer w;
    begin(&w);
    put_string(&w, "_error");
    put_number(&w, transaction);
    put_null(&w);
    open_object(&w);
    put_named_string(&w, "level", "error");
    put_named_string(&w, "code", code);
    put_named_string(&w, "description", description);
    close_object(&w);
    return send_command(&w, to);
}

int reply_call(struct sender *to, const char *name, const double *value)
{
    struct writer w;
    begin(&w);
    put_string(&w, name);
    put_number(&w, 0);
    put_null(&w);
    if (value)
        put_number(&w, *value);
    return send_command(&w, to);
}

int reply_call_status(struct sender *to, const char *name, const char *code, const char *description)
{
    struct writer w;
    begin(&w);
    put_string(&w, name);
    put_number(&w, 0);
    put_null(&w);
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", code);
    put_named_string(&w, "description", description);
    close_object(&w);
    return send_command(&w, to);
}

int reply_status(struct sender *to, int stream_id, const char *level, const char *code, const char *details)
{
    struct writer w;
    begin(&w);
    put_string(&w, "onStatus");
    put_number(&w, 0);
    put_null(&w);
    open_object(&w);
    put_named_string(&w, "level", level);
    put_named_string(&w, "code", code);
    put_named_string(&w, "description", code);
    put_named_string(&w, "details", details);
    close_object(&w);
    return finish(&w, to, CHANNEL_STATUS, RTMP_PACKET_TYPE_INVOKE, stream_id, 0);
}

int reply_play_complete(struct sender *to, int stream_id, uint32_t timestamp)
{
    struct writer w;
    begin(&w);
    put_string(&w, "onPlayStatus");
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", "NetStream.Play.Complete");
    close_object(&w);
    return finish(&w, to, CHANNEL_STATUS, RTMP_PACKET_TYPE_INFO, stream_id, timestamp);
}
