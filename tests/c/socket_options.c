/* What the options of a URL make of the socket: `socket_options URL publish|play`. Publishes until that fails, or plays to
 * the end. */
#include <librtmp/rtmp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int option(RTMP *r, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    getsockopt(RTMP_Socket(r), level, name, &value, &len);
    return value;
}

int main(int argc, char **argv)
{
    static char body[100000];
    RTMP *r = RTMP_Alloc();
    int publish = argc == 3 && !strcmp(argv[2], "publish");
    if (!r || argc != 3)
        return 2;
    RTMP_Init(r);
    if (!RTMP_SetupURL(r, argv[1]))
        return 3;
    if (publish)
        RTMP_EnableWrite(r);
    if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
        return 4;
    printf("nodelay %d keepalive %d idle %d\n", option(r, IPPROTO_TCP, TCP_NODELAY) != 0,
           option(r, SOL_SOCKET, SO_KEEPALIVE) != 0, option(r, IPPROTO_TCP, TCP_KEEPIDLE));
    if (publish) {
        RTMPPacket packet;
        memset(&packet, 0, sizeof packet);
        do {
            packet.m_nChannel = 4;
            packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
            packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
            packet.m_nInfoField2 = r->m_stream_id;
            packet.m_nBodySize = sizeof body;
            packet.m_body = body;
        } while (RTMP_SendPacket(r, &packet, FALSE));
    } else {
        while (RTMP_Read(r, body, sizeof body) > 0)
            ;
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return 0;
}
