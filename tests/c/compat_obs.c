/* What programs for the broadcaster's fork do, against librtmp/compat/obs.h: compat_obs URL-OF-THE-APPLICATION KEY */
#include <librtmp/compat/obs.h>
#include <librtmp/log.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* Reads what the server has sent, before each frame. */
static int discard_received(RTMP *r)
{
    int waiting = 0;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (ioctl(r->m_sb.sb_socket, FIONREAD, &waiting) != 0)
        return 0;
    if (waiting == 0)
        return 1;
    if (!RTMP_ReadPacket(r, &packet))
        return 0;
    if (packet.m_body) {
        RTMP_ClientPacket(r, &packet);
        RTMPPacket_Free(&packet);
    }
    return 1;
}

/* A pace of its own: at most 100 bytes at a time. */
static int custom_send(RTMPSockBuf *sb, const char *bytes, int size, void *param)
{
    ++*(int *)param;
    return (int)send(sb->sb_socket, bytes, (size_t)(size > 100 ? 100 : size), MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    int calls = 0;
    static const char tag[] = "\x08\0\0\7\0\0\x14\0\0\0\0\xAF\1second\0\0\0\x12";
    static RTMP rtmp; /* zeros */
    AVal host, app;
    unsigned int port;
    int protocol;
    if (argc != 3)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_TLS_Free(&rtmp); /* of zeros */
    RTMP_Init(&rtmp);
    RTMP_TLS_Init(&rtmp);
    if (!RTMP_ParseURL(argv[1], &protocol, &host, &port, &app) || protocol != RTMP_PROTOCOL_RTMP || host.av_len != 9)
        return printf("RTMP_ParseURL\n"), 1;
    if (rtmp.m_outChunkSize != 4096 || rtmp.m_bSendChunkSizeInfo != 1 || rtmp.Link.receiveTimeout != 30
        || rtmp.Link.sendTimeout != 15)
        return printf("defaults\n"), 1;
    memset(&rtmp.m_bindIP, 0, sizeof rtmp.m_bindIP);
    rtmp.m_bindIP.addrLen = sizeof(struct sockaddr_in); /* a hint: IPv4 */
    rtmp.m_bUseNagle = 1;
    rtmp.m_bCustomSend = 1;
    rtmp.m_customSendFunc = custom_send;
    rtmp.m_customSendParam = &calls;
    rtmp.Link.swfUrl.av_val = rtmp.Link.tcUrl.av_val;
    rtmp.Link.flashVer.av_val = (char *)"FMLE/3.0 (compatible; FMSc/1.0)";
    rtmp.Link.flashVer.av_len = (int)strlen(rtmp.Link.flashVer.av_val);
    if (!RTMP_SetupURL(&rtmp, argv[1]))
        return printf("RTMP_SetupURL\n"), 1;
    RTMP_EnableWrite(&rtmp);
    if (RTMP_AddStream(&rtmp, argv[2]) != 0 || RTMP_AddStream(&rtmp, "another") != -1)
        return printf("RTMP_AddStream\n"), 1;
    if (!RTMP_Connect(&rtmp, NULL) || !RTMP_ConnectStream(&rtmp, 0)) {
        printf("error %d, %s\n", rtmp.last_error_code, RTMP_GetErrorString(&rtmp));
        RTMP_Close(&rtmp);
        return 1;
    }
    int on = 1;
    socklen_t length = sizeof on;
    getsockopt(rtmp.m_sb.sb_socket, IPPROTO_TCP, TCP_NODELAY, &on, &length);

    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = 4;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = RTMP_PACKET_TYPE_AUDIO;
    packet.m_nInfoField2 = rtmp.m_stream_id;
    packet.m_body = (char *)"\xAF\1first";
    packet.m_nBodySize = 7;
    int sent = discard_received(&rtmp) && RTMP_SendPacket(&rtmp, &packet, FALSE)
        && RTMP_Write(&rtmp, tag, 11 + 7 + 4, 0) > 0 && RTMP_Write(&rtmp, tag, 1, 1) == -1;
    printf("sent %d nagle %d time %d error %d custom %d\n", sent, !on, rtmp.connect_time_ms > 0, rtmp.last_error_code,
           calls > 10);
    RTMP_DeleteStream(&rtmp, 0);
    RTMP_Close(&rtmp);
    RTMP_TLS_Free(&rtmp);
    return !sent;
}
