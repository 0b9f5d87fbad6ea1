/* Publishes eight streams over one connection, as programs for OBS Studio's fork do: compat_obs URL-OF-THE-APPLICATION KEY */
#include <librtmp/compat/obs.h>
#include <librtmp/log.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* Reads what the server has sent. Programs call this before each frame. */
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

/* Sends at most 100 bytes at a time. */
static int custom_send(RTMPSockBuf *sb, const char *bytes, int size, void *param)
{
    ++*(int *)param;
    return (int)send(sb->sb_socket, bytes, (size_t)(size > 100 ? 100 : size), MSG_NOSIGNAL);
}

/* A connection over a socket of the program's own, from an address of its choice. */
static int own_socket(char *url, AVal host, unsigned int port, const char *key)
{
    RTMP *r = RTMP_Alloc();
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    char name[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    snprintf(name, sizeof name, "%.*s", host.av_len, host.av_val);
    RTMP_Init(r);
    int ok = inet_pton(AF_INET, name, &address.sin_addr) == 1 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0
        && RTMP_SetupURL(r, url);
    RTMP_EnableWrite(r);
    ok = ok && RTMP_AddStream(r, key) == 0 && RTMP_Connect0(r, fd) && RTMP_Connect1(r, NULL) && RTMP_ConnectStream(r, 0);
    RTMP_Close(r);

    struct sockaddr_in *local = (struct sockaddr_in *)&r->m_bindIP.addr;
    local->sin_family = AF_INET;
    local->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->m_bindIP.addrLen = sizeof *local;
    r->m_bSendChunkSizeInfo = 0;
    ok = ok && RTMP_SetupURL(r, url);
    RTMP_EnableWrite(r);
    ok = ok && RTMP_AddStream(r, key) == 0 && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0) && r->m_outChunkSize == 128;
    if (!ok)
        printf("own socket: %s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return ok;
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
    rtmp.Link.customConnectEncode = NULL;
    rtmp.Link.flashVer.av_val = (char *)"FMLE/3.0 (compatible; FMSc/1.0)";
    rtmp.Link.flashVer.av_len = (int)strlen(rtmp.Link.flashVer.av_val);
    if (!RTMP_SetupURL(&rtmp, argv[1]))
        return printf("RTMP_SetupURL\n"), 1;
    RTMP_EnableWrite(&rtmp);
    if (RTMP_AddStream(&rtmp, argv[2]) != 0 || RTMP_AddStream(&rtmp, "second") != 1)
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
        && RTMP_Write(&rtmp, tag, 11 + 7 + 4, 0) > 0 && RTMP_Write(&rtmp, tag, 11 + 7 + 4, 1) > 0
        && RTMP_Write(&rtmp, tag, 1, 2) == -1 && RTMP_Write(&rtmp, tag, 1, 8) == -1;

    /* More streams on the open connection, until all eight exist. */
    for (int index = 2; sent && index < 8; index++) {
        char name[] = { 's', (char)('0' + index), 0 };
        sent = RTMP_AddStream(&rtmp, name) == index && RTMP_Write(&rtmp, tag, 11 + 7 + 4, index) > 0;
    }
    sent = sent && RTMP_AddStream(&rtmp, "ninth") == -1;

    /* A stream can end while the others continue, and be opened again. */
    RTMP_DeleteStream(&rtmp, 7);
    sent = sent && RTMP_Write(&rtmp, tag, 11 + 7 + 4, 7) == -1 && RTMP_ReconnectStream(&rtmp, 0, 7)
        && RTMP_Write(&rtmp, tag, 11 + 7 + 4, 7) > 0 && RTMP_ReconnectStream(&rtmp, 0, 8) == 0;

    /* Functions with the same arguments as in librtmp 2.4. */
    sent = sent && RTMP_IsConnected(&rtmp) && RTMP_SendCtrl(&rtmp, 3, 1, 1000) && !RTMP_IsTimedout(&rtmp)
        && RTMP_Socket(&rtmp) == rtmp.m_sb.sb_socket && RTMP_GetDuration(&rtmp) == 0.0;
    printf("sent %d nagle %d time %d error %d custom %d\n", sent, !on, rtmp.connect_time_ms > 0, rtmp.last_error_code,
           calls > 10);
    RTMP_DeleteStream(&rtmp, 0);
    RTMP_Reset(&rtmp);
    sent = sent && own_socket(argv[1], host, port, "own");
    RTMP_TLS_Free(&rtmp);
    return !sent;
}
