/* A server for one client after another: serve PORT. It prints what publishers send, and plays ten seconds of silence. */
#include <arpa/inet.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_message(RTMP *r, int stream, uint8_t type, uint32_t time, const char *body, size_t size)
{
    RTMPPacket packet = { .m_nChannel = type == RTMP_PACKET_TYPE_INVOKE ? 3 : 4, .m_packetType = type,
                          .m_nTimeStamp = time, .m_nInfoField2 = stream, .m_body = (char *)body,
                          .m_nBodySize = (uint32_t)size };
    RTMP_SendPacket(r, &packet, FALSE);              /* only reads the body */
}

/* name(id, null, {level: "status", code}), or name(id, null, 1) without a code */
static void reply(RTMP *r, int stream, const char *name, double id, const char *code)
{
    static const AVal level = AVC("level"), status = AVC("status"), code_name = AVC("code");
    char body[256], *end = body + sizeof body, *at = body;
    AVal text = { (char *)name, (int)strlen(name) }, value = { (char *)code, code ? (int)strlen(code) : 0 };
    at = AMF_EncodeString(at, end, &text);
    at = AMF_EncodeNumber(at, end, id);
    *at++ = AMF_NULL;
    if (code) {
        *at++ = AMF_OBJECT;
        at = AMF_EncodeNamedString(at, end, &level, &status);
        at = AMF_EncodeNamedString(at, end, &code_name, &value);
        at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
    } else {
        at = AMF_EncodeNumber(at, end, 1);           /* the only message stream */
    }
    send_message(r, stream, RTMP_PACKET_TYPE_INVOKE, 0, body, (size_t)(at - body));
}

/* [commands] */
static void handle_command(RTMP *r, const RTMPPacket *packet)
{
    static const AVal connect = AVC("connect"), create = AVC("createStream"), play = AVC("play"), publish = AVC("publish");
    AMFObject command;
    AVal name;
    if (AMF_Decode(&command, packet->m_body, (int)packet->m_nBodySize, FALSE) < 0)
        return;
    AMFProp_GetString(AMF_GetProp(&command, NULL, 0), &name);
    double id = AMFProp_GetNumber(AMF_GetProp(&command, NULL, 1));
    if (AVMATCH(&name, &connect)) {
        reply(r, 0, "_result", id, "NetConnection.Connect.Success");
    } else if (AVMATCH(&name, &create)) {
        reply(r, 0, "_result", id, NULL);
    } else if (AVMATCH(&name, &publish)) {
        reply(r, 1, "onStatus", 0, "NetStream.Publish.Start");
    } else if (AVMATCH(&name, &play)) {
        reply(r, 1, "onStatus", 0, "NetStream.Play.Start");
        for (uint32_t time = 0; time < 10000; time += 20)
            send_message(r, 1, RTMP_PACKET_TYPE_AUDIO, time, "\x36\0\0", 3);  /* PCM */
        reply(r, 1, "onStatus", 0, "NetStream.Play.Complete");
    }
    AMF_Reset(&command);
}
/* [commands end] */

/* [serve] */
static void serve(int fd)
{
    RTMPPacket packet = { 0 };
    unsigned long long bytes = 0;
    RTMP *r = RTMP_Alloc();
    if (!r)
        return;
    RTMP_Init(r);
    r->m_sb.sb_socket = fd;
    r->m_outChunkSize = 4096;                        /* RTMP_Serve announces it */
    if (RTMP_Serve(r)) {                             /* the handshake */
        r->m_bSendCounter = TRUE;                    /* acknowledge what arrives */
        while (RTMP_ReadPacket(r, &packet)) {
            if (!RTMPPacket_IsReady(&packet))
                continue;
            if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE && packet.m_nBodySize >= 4)
                r->m_inChunkSize = (int)AMF_DecodeInt32(packet.m_body);
            else if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE)
                handle_command(r, &packet);
            else if (packet.m_packetType == RTMP_PACKET_TYPE_AUDIO || packet.m_packetType == RTMP_PACKET_TYPE_VIDEO)
                bytes += packet.m_nBodySize;
            RTMPPacket_Free(&packet);
        }
    }
    printf("client left after %llu bytes\n", bytes);
    fflush(stdout);
    RTMP_Close(r);                                   /* closes the socket, too */
    RTMP_Free(r);
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "1935")) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0) {
        perror("serve");
        return 1;
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve(fd);                               /* a real server starts a thread for each client */
    }
}
/* [serve end] */
