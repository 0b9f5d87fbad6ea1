#include "reply.h"

#include <stdlib.h>
#include <string.h>

#include "../enhanced.h"
#include "../flv.h"

/* librtmp calls chunk streams channels. */
enum { CHANNEL_CONTROL = 2, CHANNEL_COMMAND = 3, CHANNEL_STATUS = 5, CHANNEL_MEDIA = 6 };

enum { BODY_SIZE = 2048 };

enum { EXTENDED = 0xffffff }; /* a time from here on stands in four bytes behind the header */

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

/* Clients that know nothing of Enhanced RTMP are told nothing of it. */
static int announces(RTMP *r)
{
    static const char *const names[] = { "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx" };
    AMFObjectProperty property;
    for (size_t i = 0; RTMP_PeerProperty && RTMP_EncodeCapabilities && i < sizeof names / sizeof *names; i++) {
        AVal name = text(names[i]);
        if (RTMP_PeerProperty(r, &name, &property)) {
            AMFProp_Reset(&property);
            return 1;
        }
    }
    return 0;
}

/* What the server does with any codec: it passes it on. */
static void put_capabilities(struct writer *w, RTMP *r)
{
    if (w->at && announces(r))
        w->at = RTMP_EncodeCapabilities(r, w->at, w->end);
}

int reply_reconnect(RTMP *r, const char *url)
{
    AVal where = text(url);
    if (!RTMP_PeerCaps || !(RTMP_PeerCaps(r) & 1)) /* RTMP_CAPS_RECONNECT */
        return 1;
    return RTMP_SendReconnect(r, *url ? &where : NULL, NULL);
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
    put_capabilities(&w, r); /* clients differ in which object they look at */
    close_object(&w);
    open_object(&w);
    put_named_string(&w, "level", "status");
    put_named_string(&w, "code", "NetConnection.Connect.Success");
    put_named_string(&w, "description", "Connection succeeded.");
    put_named_number(&w, "objectEncoding", 0); /* AMF0, whatever the client offered */
    put_capabilities(&w, r);
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

static char *put_header(char *at, int format, int channel, uint32_t time, uint32_t size, uint8_t type, int stream_id)
{
    char *end = at + RTMP_MAX_HEADER_SIZE;
    *at++ = (char)(format << 6 | channel);
    at = AMF_EncodeInt24(at, end, (int)(time < EXTENDED ? time : EXTENDED));
    at = AMF_EncodeInt24(at, end, (int)size);
    *at++ = (char)type;
    for (int shift = 0; format == 0 && shift < 32; shift += 8)
        *at++ = (char)((uint32_t)stream_id >> shift); /* the only number that has its lowest byte first */
    return time < EXTENDED ? at : AMF_EncodeInt32(at, end, (int)time);
}

int media_send(struct media_out *out, RTMP *r, int stream_id, uint8_t type, uint32_t timestamp,
               const struct body *body)
{
    uint32_t sent = 0;
    int number = type == FLV_VIDEO ? 1 : type == FLV_AUDIO ? 2 : 0, channel = CHANNEL_MEDIA + number;
    RTMPChunk chunk;
    memset(&chunk, 0, sizeof chunk);
    if (!out->block && !(out->block = malloc(RTMP_MAX_HEADER_SIZE + SERVER_CHUNK_SIZE)))
        return 0;
    chunk.c_chunk = out->block + RTMP_MAX_HEADER_SIZE;

    /* A short header says how much later this is than the one before. For an equal or earlier time
     * receivers disagree about its meaning, and a change of the stream needs the full one. */
    uint32_t later = timestamp - out->chunk_streams[number].timestamp;
    int shorter = out->chunk_streams[number].stream_id == stream_id && (int32_t)later > 0;
    uint32_t time = shorter ? later : timestamp;
    out->chunk_streams[number].stream_id = stream_id;
    out->chunk_streams[number].timestamp = timestamp;
    chunk.c_headerSize =
        (int)(put_header(chunk.c_header, shorter, channel, time, body->size, type, stream_id) - chunk.c_header);
    do {
        size_t part = body->size - sent < SERVER_CHUNK_SIZE ? body->size - sent : SERVER_CHUNK_SIZE;
        if (body->bytes)
            memcpy(chunk.c_chunk, body->bytes + sent, part);
        else if (fread(chunk.c_chunk, 1, part, body->file) != part)
            return 0; /* the message cannot be ended otherwise */
        chunk.c_chunkSize = (int)part;
        if (!RTMP_SendChunk(r, &chunk))
            return 0;
        sent += (uint32_t)part;
        chunk.c_header[0] = (char)(3 << 6 | channel);
        AMF_EncodeInt32(chunk.c_header + 1, chunk.c_header + 5, (int)time);
        chunk.c_headerSize = time < EXTENDED ? 1 : 5;
    } while (sent < body->size);
    return 1;
}

void media_free(struct media_out *out)
{
    free(out->block);
    memset(out, 0, sizeof *out);
}
