/* two_tracks: publishes the video of two FLV files as two tracks of one stream, for example two sizes of the same video.
 *
 *   cc two_tracks.c -lrtmp && ./a.out large.flv small.flv rtmp://localhost/live/film
 *
 * The first file is track 0 and has the audio: players without support for tracks play it. The second file is track 1. The program
 * shows RTMP_ParseMedia, RTMP_SendMedia, and the metadata of further tracks. */
#define _POSIX_C_SOURCE 200809L
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct input {
    FILE *file;
    uint8_t type;
    uint32_t timestamp, size, room;
    char *body;
    int ended;
};

/* Reads the next tag. Sets `ended` at the end, or if the file is incomplete. */
static void next_tag(struct input *in)
{
    uint8_t header[11], trailer[4];
    in->ended = fread(header, sizeof header, 1, in->file) != 1;
    if (in->ended)
        return;
    in->type = header[0];
    in->size = (uint32_t)AMF_DecodeInt24((char *)header + 1);
    in->timestamp = AMF_DecodeInt24((char *)header + 4) | (uint32_t)header[7] << 24;
    if (in->size > in->room) {
        char *body = realloc(in->body, in->size);
        in->ended = !body;
        if (!body)
            return;
        in->body = body;
        in->room = in->size;
    }
    in->ended = (in->size > 0 && fread(in->body, in->size, 1, in->file) != 1) || fread(trailer, 4, 1, in->file) != 1;
}

static int open_input(struct input *in, const char *name)
{
    char header[13];
    memset(in, 0, sizeof *in);
    in->file = fopen(name, "rb");
    if (!in->file || fread(header, sizeof header, 1, in->file) != 1 || memcmp(header, "FLV", 3) != 0)
        return 0;
    next_tag(in);
    return 1;
}

/* Metadata for both tracks, in place of the files' metadata. */
static int send_metadata(RTMP *r)
{
    static const AVal set = AVC("@setDataFrame"), name = AVC("onMetaData"), codec = AVC("videocodecid");
    static const uint8_t track = 1;
    AMFObject info = { 0, NULL };
    AMFObjectProperty property;
    RTMPPacket packet;
    char body[512], *p = body, *end = body + sizeof body;
    memset(&property, 0, sizeof property);
    AMFProp_SetName(&property, (AVal *)(uintptr_t)&codec);
    AMFProp_SetNumber(&property, RTMP_FOURCC_AVC);
    AMF_AddProp(&info, &property);
    p = AMF_EncodeString(p, end, &set);
    p = AMF_EncodeString(p, end, &name);
    *p++ = AMF_OBJECT;
    p = AMF_EncodeNamedNumber(p, end, &codec, RTMP_FOURCC_AVC);
    p = RTMP_EncodeTrackMap(p, end, RTMP_PACKET_TYPE_VIDEO, &track, &info, 1);
    p = p ? AMF_EncodeInt24(p, end, AMF_OBJECT_END) : NULL;
    AMF_Reset(&info);
    if (!p)
        return 0;
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = 4;
    packet.m_packetType = RTMP_PACKET_TYPE_INFO;
    packet.m_nInfoField2 = r->m_stream_id;
    packet.m_body = body;
    packet.m_nBodySize = (uint32_t)(p - body);
    return RTMP_SendPacket(r, &packet, FALSE);
}

/* Sends the tracks of a tag, each as the track `id`. Legacy H.264 becomes H.264 with a FourCC, which has the same data. */
static int send_tag(RTMP *r, const struct input *in, uint8_t id)
{
    RTMPMedia media;
    RTMPTrack track;
    if (in->type != RTMP_PACKET_TYPE_VIDEO && (in->type != RTMP_PACKET_TYPE_AUDIO || id > 0))
        return 1;
    if (!RTMP_ParseMedia(&media, in->type, in->body, in->size))
        return 1; /* the tag is malformed: skip it */
    while (RTMP_NextTrack(&media, &track) == 1) {
        if (in->type == RTMP_PACKET_TYPE_VIDEO && track.t_fourcc == 0) {
            if (track.t_codec != 7)
                return 1;
            track.t_fourcc = RTMP_FOURCC_AVC;
        }
        if (in->type == RTMP_PACKET_TYPE_VIDEO)
            track.t_id = id;
        if (!RTMP_SendMedia(r, in->type, in->timestamp, 0, &track, 1))
            return 0;
    }
    return 1;
}

static void wait_for(const struct timespec *start, uint32_t milliseconds)
{
    struct timespec until = *start;
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

int main(int argc, char **argv)
{
    struct input inputs[2];
    struct timespec start;
    RTMP *r = RTMP_Alloc();
    AVal option = AVC("enhanced"), force = AVC("enhancedForce"), on = AVC("1");
    int ok;
    if (argc != 4 || !r) {
        fprintf(stderr, "usage: %s FIRST.flv SECOND.flv URL\n", argv[0]);
        return 2;
    }
    if (!open_input(&inputs[0], argv[1]) || !open_input(&inputs[1], argv[2])) {
        fprintf(stderr, "%s: %s and %s have to be FLV files\n", argv[0], argv[1], argv[2]);
        return 1;
    }
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    /* Most servers relay tracks, but few announce it. */
    ok = RTMP_SetupURL(r, argv[3]) && RTMP_SetOpt(r, &option, &on) && RTMP_SetOpt(r, &force, &on);
    RTMP_EnableWrite(r);
    ok = ok && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0) && send_metadata(r);
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (ok && !(inputs[0].ended && inputs[1].ended)) {
        int second = inputs[0].ended || (!inputs[1].ended && inputs[1].timestamp < inputs[0].timestamp);
        wait_for(&start, inputs[second].timestamp);
        ok = send_tag(r, &inputs[second], (uint8_t)second);
        next_tag(&inputs[second]);
    }
    if (!ok)
        fprintf(stderr, "%s: %s\n", argv[0], RTMP_GetErrorString(r));
    for (int i = 0; i < 2; i++) {
        fclose(inputs[i].file);
        free(inputs[i].body);
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
