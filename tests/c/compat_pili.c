/* Publishes as programs for pili-librtmp do: compat_pili URL */
#include <librtmp/compat/pili.h>
#include <librtmp/log.h>
#include <stdio.h>

static void on_error(RTMPError *error, void *user)
{
    printf("callback %s: %d %s\n", (char *)user, error->code, error->message);
}

static void on_connected(PILI_CONNECTION_TIME *time, void *user)
{
    printf("connected %s %d\n", (char *)user, time->connect_time < 60000);
}

int main(int argc, char **argv)
{
    RTMPError error = { 0, NULL };
    PILI_AVal host, path = { NULL, 0 }, app, domain;
    unsigned int port;
    int protocol;
    if (argc != 2)
        return 2;
    PILI_RTMP_LogSetLevel(RTMP_LOGCRIT);
    PILI_RTMP *rtmp = PILI_RTMP_Alloc();
    PILI_RTMP_Init(rtmp);
    rtmp->m_errorCallback = on_error;
    rtmp->m_connCallback = on_connected;
    rtmp->m_userData = (void *)"me";
    rtmp->m_tcp_nodelay = 1;
    rtmp->ip = 0;
    rtmp->Link.send_timeout = 10;
    rtmp->Link.domain.av_len = 0;
    if (!PILI_RTMP_ParseURL2(argv[1], &protocol, &host, &port, &path, &app, &domain) || domain.av_len != host.av_len)
        return printf("PILI_RTMP_ParseURL2\n"), 1;
    free(path.av_val);
    int ok = PILI_RTMP_SetupURL(rtmp, argv[1], &error);
    PILI_RTMP_EnableWrite(rtmp);
    ok = ok && PILI_RTMP_Connect(rtmp, NULL, &error) && PILI_RTMP_ConnectStream(rtmp, 0, &error);
    if (ok) {
        PILI_RTMPPacket packet;
        memset(&packet, 0, sizeof packet);
        PILI_RTMPPacket_Reset(&packet);
        PILI_RTMPPacket_Alloc(&packet, 7);
        memcpy(packet.m_body, "\xAF\1first", 7);
        packet.m_nBodySize = 7;
        packet.m_packetType = RTMP_PACKET_TYPE_AUDIO;
        packet.m_nChannel = 4;
        packet.m_nInfoField2 = rtmp->m_stream_id;
        ok = PILI_RTMP_SendPacket(rtmp, &packet, 0, &error) && PILI_RTMP_SendCtrl(rtmp, 3, 1, 1000, &error)
            && PILI_RTMP_IsConnected(rtmp) && !PILI_RTMP_IsTimedout(rtmp) && PILI_RTMP_GetDuration(rtmp) == 0.0;
        PILI_RTMPPacket_Free(&packet);
    }
    printf("ok %d error %d %s\n", ok, error.code, error.message ? error.message : "");
    PILI_RTMPError_Free(&error);
    PILI_RTMP_Close(rtmp, &error);
    ok = ok && rtmp->m_is_closing;
    PILI_RTMP_Free(rtmp);
    return 0;
}
