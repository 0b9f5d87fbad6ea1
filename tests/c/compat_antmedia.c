/* Publishes or plays as the Android binding does, with its return values: compat_antmedia URL publish|play */
#include <librtmp/compat/antmedia.h>
#include <librtmp/log.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const char flv[] = "FLV\1\4\0\0\0\11\0\0\0\0" "\x08\0\0\7\0\0\0\0\0\0\0\xAF\1first\0\0\0\x12";
    static char buffer[64 * 1024];
    int result, count, total = 0;
    if (argc != 3)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP *rtmp = RTMP_Alloc();
    RTMP_Init(rtmp);
    rtmp->Link.receiveTimeoutInMs = 2500;
    rtmp->Link.sendTimeoutInMs = 1500;
    result = RTMP_SetupURL(rtmp, argv[1]);
    if (result == 0 && strcmp(argv[2], "publish") == 0)
        RTMP_EnableWrite(rtmp);
    if (result == 0)
        result = RTMP_Connect(rtmp, NULL);
    if (result == 0)
        result = RTMP_ConnectStream(rtmp, 0);
    if (result == 0 && strcmp(argv[2], "publish") == 0) {
        count = RTMP_Write(rtmp, flv, sizeof flv - 1);
        char body[RTMP_MAX_HEADER_SIZE + 8] = { 0 };
        RTMPPacket packet = { 0 };
        packet.m_packetType = RTMP_PACKET_TYPE_AUDIO;
        packet.m_nChannel = 4;
        packet.m_nTimeStamp = 20;
        packet.m_nInfoField2 = rtmp->m_stream_id;
        packet.m_body = body + RTMP_MAX_HEADER_SIZE;
        packet.m_nBodySize = 7;
        memcpy(packet.m_body, "\xAF\1later", 7);
        printf("wrote %d, packet %d, control %d, connected %d\n", count == (int)sizeof flv - 1,
               RTMP_SendPacket(rtmp, &packet, FALSE), RTMP_SendCtrl(rtmp, 3, 1, 1000), RTMP_IsConnected(rtmp));
    } else if (result == 0) {
        while ((count = RTMP_Read(rtmp, buffer, sizeof buffer)) > 0)
            total += count;
        printf("read %d, then %d, pause %d\n", total, count, RTMP_Pause(rtmp, 1) < 0);
    }
    printf("result %d\n", result);
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    return 0;
}
