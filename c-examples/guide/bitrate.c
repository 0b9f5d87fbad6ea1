/* Prints what a stream consists of: bitrate URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    RTMPPacket packet = { 0 };
    unsigned long long audio = 0, video = 0;
    uint32_t first = 0, last = 0;
    unsigned received = 0;
    int started = 0, result;
    RTMP *r = RTMP_Alloc();
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (!RTMP_SetupURL(r, argv[1]) || !RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0)) {
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
        return 1;
    }
    /* [count] */
    while ((result = RTMP_GetNextMediaPacket(r, &packet)) == 1) {
        if (packet.m_packetType == RTMP_PACKET_TYPE_AUDIO || packet.m_packetType == RTMP_PACKET_TYPE_VIDEO) {
            *(packet.m_packetType == RTMP_PACKET_TYPE_AUDIO ? &audio : &video) += packet.m_nBodySize;
            first = started ? first : packet.m_nTimeStamp;
            last = packet.m_nTimeStamp;
            started = 1;
            received = (unsigned)r->m_nBytesIn;      /* with commands and headers; modulo 2^32 */
        }
        RTMPPacket_Free(&packet);
    }
    double seconds = (last - first) / 1000.0;
    printf("audio %.1f kbit/s, video %.1f kbit/s, %.1f s; received %u bytes\n",
           seconds > 0 ? (double)audio * 0.008 / seconds : 0.0, seconds > 0 ? (double)video * 0.008 / seconds : 0.0,
           seconds, received);
    /* [count end] */
    RTMP_Close(r);
    RTMP_Free(r);
    return result != 2;
}
