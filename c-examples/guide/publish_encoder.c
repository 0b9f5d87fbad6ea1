/* Publishes H.264 and AAC from an encoder: publish_encoder VIDEO.h264 AUDIO.aac URL
 *
 * The "encoder" here is a pair of files: H.264 in Annex B format without B-frames at 25 frames per second, and AAC in ADTS
 * format. A real encoder returns the same units, with their timestamps. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* [send] */
/* Sends a message with a body of these two parts, at a time in milliseconds. */
static int send_media(RTMP *r, uint8_t type, uint32_t time, const uint8_t *head, size_t head_size, const uint8_t *body,
                      size_t size)
{
    RTMPPacket packet = { 0 };
    if (!RTMPPacket_Alloc(&packet, (uint32_t)(head_size + size)))
        return 0;
    memcpy(packet.m_body, head, head_size);
    memcpy(packet.m_body + head_size, body, size);
    packet.m_nBodySize = (uint32_t)(head_size + size);
    packet.m_packetType = type;
    packet.m_nChannel = type == RTMP_PACKET_TYPE_AUDIO ? 4 : type == RTMP_PACKET_TYPE_VIDEO ? 6 : 5;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;    /* the library sends a smaller header if it can */
    packet.m_nTimeStamp = time;
    packet.m_nInfoField2 = r->m_stream_id;           /* the message stream */
    int sent = RTMP_SendPacket(r, &packet, FALSE);
    RTMPPacket_Free(&packet);
    return sent;
}
/* [send end] */

/* [metadata] */
/* onMetaData, which players and servers show. @setDataFrame makes the server keep it for later players. */
static int send_metadata(RTMP *r, double width, double height, double frame_rate)
{
    static const AVal command = AVC("@setDataFrame"), name = AVC("onMetaData");
    static const AVal names[] = { AVC("width"), AVC("height"), AVC("framerate"), AVC("videocodecid"), AVC("audiocodecid") };
    const double values[] = { width, height, frame_rate, 7 /* H.264 */, 10 /* AAC */ };
    char body[256], *end = body + sizeof body, *at = body;
    at = AMF_EncodeString(at, end, &command);
    at = AMF_EncodeString(at, end, &name);
    *at++ = AMF_OBJECT;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        at = AMF_EncodeNamedNumber(at, end, &names[i], values[i]);
    at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
    return send_media(r, RTMP_PACKET_TYPE_INFO, 0, (uint8_t *)body, 0, (uint8_t *)body, (size_t)(at - body));
}
/* [metadata end] */

/* [video] */
/* Before the first frame: the parameter sets, as an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1). */
static int send_video_config(RTMP *r, const uint8_t *sps, size_t sps_size, const uint8_t *pps, size_t pps_size)
{
    uint8_t body[1024] = { 0x17, 0, 0, 0, 0,         /* key frame and H.264; a configuration; composition time 0 */
                           1, sps[1], sps[2], sps[3], /* version; profile, compatibility and level of the SPS */
                           0xFF, 0xE1 };             /* four-byte NAL unit lengths; one SPS */
    if (sps_size + pps_size > sizeof body - 16)
        return 0;
    uint8_t *at = body + 11;
    *at++ = (uint8_t)(sps_size >> 8);
    *at++ = (uint8_t)sps_size;
    memcpy(at, sps, sps_size);
    at += sps_size;
    *at++ = 1;                                       /* one PPS */
    *at++ = (uint8_t)(pps_size >> 8);
    *at++ = (uint8_t)pps_size;
    memcpy(at, pps, pps_size);
    return send_media(r, RTMP_PACKET_TYPE_VIDEO, 0, body, 0, body, (size_t)(at + pps_size - body));
}

/* A frame: NAL units with four-byte lengths in front, not start codes. With B-frames, frames are sent in decoding order:
 * the message's time is the decoding time, and the composition time is what the presentation is later than that. */
static int send_frame(RTMP *r, const uint8_t *nal_units, size_t size, int key, uint32_t dts, uint32_t pts)
{
    uint32_t later = pts - dts;
    uint8_t head[5] = { key ? 0x17 : 0x27, 1, (uint8_t)(later >> 16), (uint8_t)(later >> 8), (uint8_t)later };
    return send_media(r, RTMP_PACKET_TYPE_VIDEO, dts, head, sizeof head, nal_units, size);
}
/* [video end] */

/* [audio] */
/* Before the first sound: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), here made from an ADTS header. */
static int send_audio_config(RTMP *r, const uint8_t *adts)
{
    int object_type = (adts[2] >> 6) + 1, rate = adts[2] >> 2 & 15, channels = (adts[2] & 1) << 2 | adts[3] >> 6;
    uint8_t body[4] = { 0xAF, 0, (uint8_t)(object_type << 3 | rate >> 1), (uint8_t)(rate << 7 | channels << 3) };
    return send_media(r, RTMP_PACKET_TYPE_AUDIO, 0, body, 0, body, sizeof body);
}

/* 1024 samples of AAC, without the ADTS header. */
static int send_sound(RTMP *r, const uint8_t *sound, size_t size, uint32_t time)
{
    static const uint8_t head[2] = { 0xAF, 1 };
    return send_media(r, RTMP_PACKET_TYPE_AUDIO, time, head, sizeof head, sound, size);
}
/* [audio end] */

/* [parse] */
/* The next NAL unit of an Annex B stream, without its start code. Returns NULL at the end. */
static const uint8_t *next_nal_unit(const uint8_t **at, const uint8_t *end, size_t *size)
{
    const uint8_t *start = *at, *next;
    while (end - start >= 3 && !(start[0] == 0 && start[1] == 0 && start[2] == 1))
        start++;
    if (end - start < 4)
        return NULL;
    start += 3;
    for (next = start; next < end && !(end - next >= 3 && next[0] == 0 && next[1] == 0 && next[2] <= 1); next++)
        ;
    *at = next;
    *size = (size_t)(next - start);
    return start;
}
/* [parse end] */

static uint8_t *read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    uint8_t *bytes = malloc(*size = 64 * 1024 * 1024);
    *size = file && bytes ? fread(bytes, 1, *size, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    static const int rates[16] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350 };
    if (argc != 4) {
        fprintf(stderr, "usage: publish_encoder VIDEO.h264 AUDIO.aac URL\n");
        return 2;
    }
    size_t video_size, audio_size, size, sps_size = 0;
    uint8_t *video = read_file(argv[1], &video_size), *audio = read_file(argv[2], &audio_size);
    uint8_t *frame = malloc(video_size + 1024);
    const uint8_t *at = video, *nal, *sps = NULL, *sound = audio;
    RTMP *r = RTMP_Alloc();
    int frames = 0, sounds = 0, ok = r && video && audio && frame && video_size > 0 && audio_size > 7;
    if (!ok)
        return 1;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    ok = RTMP_SetupURL(r, argv[3]);
    RTMP_EnableWrite(r);
    r->m_outChunkSize = 60000;                       /* announced to the server; fewer headers than with 128 */
    ok = ok && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0) && send_metadata(r, 320, 240, 25)
        && send_audio_config(r, audio);
    int sample_rate = rates[audio[2] >> 2 & 15];
    while (ok && sample_rate && (nal = next_nal_unit(&at, video + video_size, &size))) {
        int type = nal[0] & 31;
        if (type == 7) {                             /* SPS */
            sps = nal;
            sps_size = size;
        } else if (type == 8 && frames == 0 && sps) { /* PPS */
            ok = send_video_config(r, sps, sps_size, nal, size);
        } else if (type == 1 || type == 5) {         /* one slice is one frame in these files; 5 is a key frame */
            uint32_t time = (uint32_t)(frames++ * 1000 / 25);
            for (int i = 0; i < 4; i++)
                frame[i] = (uint8_t)(size >> (24 - 8 * i));
            memcpy(frame + 4, nal, size);
            ok = send_frame(r, frame, size + 4, type == 5, time, time);
            /* The sounds up to this frame: audio and video are interleaved by time. */
            while (ok && (uint64_t)sounds * 1024000 / (uint64_t)sample_rate <= time && sound + 7 < audio + audio_size) {
                size_t length = (size_t)(sound[3] & 3) << 11 | (size_t)sound[4] << 3 | sound[5] >> 5;
                if (length < 7 || length > (size_t)(audio + audio_size - sound))
                    break;
                ok = send_sound(r, sound + 7, length - 7, (uint32_t)((uint64_t)sounds++ * 1024000 / (uint64_t)sample_rate));
                sound += length;
            }
        }
    }
    if (!ok)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    printf("%d frames, %d sounds\n", frames, sounds);
    RTMP_Close(r);
    RTMP_Free(r);
    free(video);
    free(audio);
    free(frame);
    return !ok;
}
