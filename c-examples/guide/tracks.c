/* Prints the tracks of a stream and their codecs: tracks URL */
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <stdio.h>

/* [tracks] */
/* Prints each track of a message whose decoder configuration has arrived. */
static void print_tracks(const RTMPPacket *packet)
{
    RTMPMedia media;
    RTMPTrack track;
    if (!RTMP_ParseMedia(&media, packet->m_packetType, packet->m_body, packet->m_nBodySize))
        return;
    while (RTMP_NextTrack(&media, &track) == 1) {
        const char *kind = media.m_kind == RTMP_PACKET_TYPE_VIDEO ? "video" : "audio";
        if (track.t_packet != RTMP_MEDIA_CONFIG)
            continue;
        if (track.t_fourcc)                          /* four characters, for example hvc1 */
            printf("%s track %d: %c%c%c%c", kind, track.t_id, (int)(track.t_fourcc >> 24 & 0xFF),
                   (int)(track.t_fourcc >> 16 & 0xFF), (int)(track.t_fourcc >> 8 & 0xFF), (int)(track.t_fourcc & 0xFF));
        else                                         /* FLV's number, for example 7 for H.264 */
            printf("%s track %d: codec %d", kind, track.t_id, track.t_codec);
        printf(", %u bytes of configuration\n", (unsigned)track.t_size);
    }
}
/* [tracks end] */

int main(int argc, char **argv)
{
    RTMPPacket packet = { 0 };
    int result = 0;
    RTMP *r = RTMP_Alloc();
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        while ((result = RTMP_GetNextMediaPacket(r, &packet)) == 1) {
            if (packet.m_packetType == RTMP_PACKET_TYPE_AUDIO || packet.m_packetType == RTMP_PACKET_TYPE_VIDEO)
                print_tracks(&packet);
            RTMPPacket_Free(&packet);
        }
    }
    if (result != 2)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return result != 2;
}
