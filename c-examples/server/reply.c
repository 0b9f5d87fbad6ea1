#include "reply.h"

#include <stdlib.h>
#include <string.h>

#include "../flv.h"

/* librtmp calls chunk streams channels. */
enum { CHANNEL_CONTROL = 2, CHANNEL_COMMAND = 3, CHANNEL_STATUS = 5, CHANNEL_MEDIA = 6 };

enum { BODY_SIZE = 2048 };

/* A message being written. AMF_Encode… return NULL when the room does not suffice and do not take it. */
struct writer {
    char block[RTMP_MAX_HEADER_SIZE + BODY_SIZE];
    char *at, *end;
};

static void begin(struct writer *w)
{
    w->at = w->block + RTMP_MAX_HEADER_SIZE;
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

static int finish(struct writer *w, RTMP *r, int channel, uint8_t type, int stream_id, uint32_t timestamp)
{
    RTMPPacket packet;
    if (!w->at)
        return 0;
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = channel;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = type;
    packet.m_nInfoField2 = stream_id;
    packet.m_nTimeStamp = timestamp;
    packet.m_body = w->block + RTMP_MAX_HEADER_SIZE;
    packet.m_nBodySize = (uint32_t)(w->at - packet.m_body);
    return RTMP_SendPacket(r, &packet, FALSE);
}

static int send_command(struct writer *w, RTMP *r)
{
    return finish(w, r, CHANNEL_COMMAND, RTMP_PACKET_TYPE_INVOKE, 0, 0);
}

static int send_uint32(RTMP *r, uint8_t type, uint32_t value)
{
    struct writer w;
    begin(&w);
    w.at = AMF_EncodeInt32(w.at, w.end, (int)value);
    return finish(&w, r, CHANNEL_CONTROL, type, 0, 0);
}

int reply_limits(RTMP *r)
{
    r->m_nServerBW = SERVER_WINDOW;
    r->m_nClientBW = SERVER_WINDOW;
    r->m_nClientBW2 = 2; /* dynamic: the client may choose */
    if (!RTMP_SendServerBW(r) || !RTMP_SendClientBW(r)
        || !send_uint32(r, RTMP_PACKET_TYPE_CHUNK_SIZE, SERVER_CHUNK_SIZE))
        return 0;
    r->m_outChunkSize = SERVER_CHUNK_SIZE; /* after the announcement, which goes out in the old size */
    return 1;
}

int reply_connected(RTMP *r, double transaction)
{
    struct writer w;
    begin(&w);
    put_string(&w, "_result");
    put_number(&w, transaction);
    open_object(&w);
    put_named_string(&w, "fmsVer", "FMS/3,5,7,7009");
    put_named_number(&w, "capabilities", 31);
    put_named_number(&w, "mode", 1);
    close_object(&w);
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", "NetConnection.Connect.Success");
    put_named_string(&w, "description", "Connection succeeded.");
    put_named_number(&w, "objectEncoding", 0); /* AMF0, whatever the client offered */
    close_object(&w);
    return send_command(&w, r);
}

int reply_result(RTMP *r, double transaction, const double *value)
{
    struct writer w;
    begin(&w);
    put_string(&w, "_result");
    put_number(&w, transaction);
    put_null(&w);
    if (value)
        put_number(&w, *value);
    return send_command(&w, r);
}

int reply_error(RTMP *r, double transaction, const char *code, const char *description)
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
    return send_command(&w, r);
}

int reply_call(RTMP *r, const char *name, const double *value)
{
    struct writer w;
    begin(&w);
    put_string(&w, name);
    put_number(&w, 0);
    put_null(&w);
    if (value)
        put_number(&w, *value);
    return send_command(&w, r);
}

int reply_call_status(RTMP *r, const char *name, const char *code, const char *description)
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
    return send_command(&w, r);
}

int reply_status(RTMP *r, int stream_id, const char *level, const char *code, const char *details)
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
    return finish(&w, r, CHANNEL_STATUS, RTMP_PACKET_TYPE_INVOKE, stream_id, 0);
}

int reply_play_complete(RTMP *r, int stream_id, uint32_t timestamp)
{
    struct writer w;
    begin(&w);
    put_string(&w, "onPlayStatus");
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", "NetStream.Play.Complete");
    close_object(&w);
    return finish(&w, r, CHANNEL_STATUS, RTMP_PACKET_TYPE_INFO, stream_id, timestamp);
}

int media_send(struct media_out *out, RTMP *r, int stream_id, uint8_t type, uint32_t timestamp,
               const uint8_t *body, uint32_t size)
{
    int number = type == FLV_VIDEO ? 1 : type == FLV_AUDIO ? 2 : 0;
    if (out->capacity < (size_t)size + RTMP_MAX_HEADER_SIZE) {
        size_t capacity = (size_t)size * 2 + RTMP_MAX_HEADER_SIZE;
        char *bigger = realloc(out->block, capacity);
        if (!bigger)
            return 0;
        out->block = bigger;
        out->capacity = capacity;
    }
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    packet.m_body = out->block + RTMP_MAX_HEADER_SIZE; /* the chunk header is written in front of the body */
    if (size)
        memcpy(packet.m_body, body, size);
    packet.m_nBodySize = size;
    packet.m_packetType = type;
    packet.m_nTimeStamp = timestamp;
    packet.m_nInfoField2 = stream_id;
    packet.m_nChannel = CHANNEL_MEDIA + number;

    /* A short header says how much later this is than the one before. For an equal or earlier time
     * receivers disagree about its meaning, and a change of the stream needs the full one. */
    int shorter = out->chunk_streams[number].used && out->chunk_streams[number].stream_id == stream_id
                  && (int32_t)(timestamp - out->chunk_streams[number].timestamp) > 0;
    packet.m_headerType = shorter ? RTMP_PACKET_SIZE_MEDIUM : RTMP_PACKET_SIZE_LARGE;
    out->chunk_streams[number].used = 1;
    out->chunk_streams[number].stream_id = stream_id;
    out->chunk_streams[number].timestamp = timestamp;
    return RTMP_SendPacket(r, &packet, FALSE);
}

void media_free(struct media_out *out)
{
    free(out->block);
    memset(out, 0, sizeof *out);
}
