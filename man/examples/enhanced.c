/* Examples of the manual pages: Enhanced RTMP. The tests compile and run this file. */
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

/* Example: write a key frame of H.265 that is shown 40 ms after it is decoded */
static char *write_frame(char *p, char *end, const char *data, unsigned size)
{
    RTMPTrack track = { .t_fourcc = RTMP_FOURCC_HEVC, .t_packet = RTMP_MEDIA_FRAMES };
    track.t_key = 1;
    track.t_offset = 40;
    track.t_body = data;
    track.t_size = size;                                           /* at most RTMP_MEDIA_OVERHEAD bytes are added */
    return RTMP_EncodeMedia(p, end, RTMP_PACKET_TYPE_VIDEO, &track, 1, 0);
}

/* Example: find out whether a decoder can begin at a message */
static int begins(const RTMPPacket *packet)
{
    RTMPMedia media;
    RTMPTrack track;
    if (!RTMP_ParseMedia(&media, packet->m_packetType, packet->m_body, packet->m_nBodySize))
        return 0;
    while (RTMP_NextTrack(&media, &track) == 1)
        if (track.t_id == 0 && track.t_key)
            return 1;
    return 0;
}

/* Example: tell which speakers the channels of a track belong to, and read it back */
static int channels(char *p, char *end)
{
    static const uint8_t stereo[] = { RTMP_SPEAKER_FRONT_LEFT, RTMP_SPEAKER_FRONT_RIGHT };
    uint8_t speakers[8];
    RTMPTrack track = { .t_fourcc = RTMP_FOURCC_OPUS, .t_packet = RTMP_MEDIA_CHANNELS };
    char *after = RTMP_EncodeChannels(p, end, stereo, 2);
    if (!after)
        return -1;
    track.t_body = p;
    track.t_size = (uint32_t)(after - p);
    return RTMP_ParseChannels(&track, speakers, sizeof speakers);  /* 2 */
}

/* Example: read the codec and the width of a track from metadata */
static int describe(AMFObject *metadata, uint8_t track)
{
    static const AVal width = AVC("width");
    uint32_t fourcc;
    uint8_t codec;
    if (!RTMP_TrackCodec(metadata, RTMP_PACKET_TYPE_VIDEO, track, &fourcc, &codec))
        return 0;
    AMFObjectProperty *found = RTMP_TrackProperty(metadata, RTMP_PACKET_TYPE_VIDEO, track, &width);
    printf("track %d: codec %08x, %g wide\n", track, (unsigned)fourcc, found ? AMFProp_GetNumber(found) : 0.0);
    return 1;
}

/* Example: write the description of track 1 into metadata */
static char *write_map(char *p, char *end)
{
    static const AVal width = AVC("width"), codec = AVC("videocodecid");
    AMFObject info = { 0, NULL };
    AMFObjectProperty property;
    uint8_t id = 1;
    AMFProp_SetName(&property, (AVal *)&codec);
    AMFProp_SetNumber(&property, RTMP_FOURCC_AV1);
    AMF_AddProp(&info, &property);
    AMFProp_SetName(&property, (AVal *)&width);
    AMFProp_SetNumber(&property, 640);
    AMF_AddProp(&info, &property);
    p = RTMP_EncodeTrackMap(p, end, RTMP_PACKET_TYPE_VIDEO, &id, &info, 1);
    AMF_Reset(&info);
    return p;
}

/* Example: show what the server announces */
static void show_server(RTMP *r)
{
    static const AVal version = AVC("fmsVer");
    AMFObjectProperty property;
    AVal text;
    printf("several tracks: %s\n", RTMP_PeerCaps(r) & RTMP_CAPS_MULTITRACK ? "yes" : "no");
    printf("H.265: %d\n", RTMP_PeerFourCc(r, RTMP_PACKET_TYPE_VIDEO, RTMP_FOURCC_HEVC));
    if (RTMP_PeerProperty(r, &version, &property)) {
        AMFProp_GetString(&property, &text);
        printf("server: %.*s\n", text.av_len, text.av_val);
    }
}

/* Example: send a packet of Opus if the server understands it */
static int send_sound(RTMP *r, uint32_t timestamp, const char *data, uint32_t size)
{
    RTMPTrack track = { .t_fourcc = RTMP_FOURCC_OPUS, .t_packet = RTMP_MEDIA_FRAMES };
    track.t_body = data;
    track.t_size = size;
    if (RTMP_SendMedia(r, RTMP_PACKET_TYPE_AUDIO, timestamp, 0, &track, 1))
        return 1;
    if (RTMP_GetLastError(r) == RTMP_ERR_UNSUPPORTED)
        printf("the server has not announced Opus\n");            /* the connection is still open */
    return 0;
}

/* Example: write what a server announces into its answer to connect */
static char *answer(RTMP *r, const RTMPPacket *connect, char *p, char *end)
{
    if (!RTMP_TakeConnect(r, connect))                             /* from here on the client is known */
        return NULL;
    *p++ = AMF_OBJECT;
    p = RTMP_EncodeCapabilities(r, p, end);                        /* what options such as enhanced=1 have set */
    return p ? AMF_EncodeInt24(p, end, AMF_OBJECT_END) : NULL;
}

/* Example: ask the client of a server to go elsewhere */
static int move(RTMP *r)
{
    static const AVal url = AVC("//two.example/live"), why = AVC("maintenance");
    return RTMP_SendReconnect(r, &url, &why);                      /* FALSE if the client has not announced it */
}

/* Example: connect again where the server wants it */
static RTMP *follow(RTMP *r)
{
    AVal url, why;
    RTMP *next;
    if (!RTMP_GetReconnect(r, &url, &why))
        return NULL;
    printf("moving to %.*s: %.*s\n", url.av_len, url.av_val, why.av_len, why.av_val);
    next = RTMP_Alloc();
    RTMP_Init(next);
    if (RTMP_SetupReconnect(next, r) && RTMP_Connect(next, NULL) && RTMP_ConnectStream(next, 0))
        return next;                                               /* r is closed at the next key frame */
    RTMP_Close(next);
    RTMP_Free(next);
    return NULL;
}

int main(void)
{
    static const AVal name = AVC("onMetaData");
    char body[512], *end = body + sizeof body, *p;
    RTMPPacket packet = { .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_body = body };
    AMFObject metadata;

    p = write_frame(body, end, "\0\0\0\2\x26\1", 6);
    check(p != NULL, "write_frame");
    packet.m_nBodySize = (uint32_t)(p - body);
    check(begins(&packet), "begins");
    check(channels(body, end) == 2, "channels");

    p = AMF_EncodeString(body, end, &name);
    *p++ = AMF_OBJECT;
    p = write_map(p, end);
    check(p != NULL, "write_map");
    *p++ = 0, *p++ = 0, *p++ = AMF_OBJECT_END;
    check(AMF_Decode(&metadata, body, (int)(p - body), FALSE) > 0, "AMF_Decode");
    check(describe(&metadata, 1), "describe");
    AMF_Reset(&metadata);

    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    show_server(r);
    check(!send_sound(r, 0, "opus", 4), "send_sound");
    packet.m_nBodySize = 0;
    check(!answer(r, &packet, body, end), "answer");
    check(!move(r), "move");
    check(!follow(r), "follow");
    RTMP_Close(r);
    RTMP_Free(r);
    printf("ok\n");
    return 0;
}
