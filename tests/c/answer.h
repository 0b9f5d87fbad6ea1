/* A server's answers to a player, for programs that define `check`. */
#ifndef ANSWER_H
#define ANSWER_H

#include <librtmp/rtmp.h>
#include <string.h>

static const char *const ANSWERS[] = {"connect", "createStream", "play"};

static inline void send_command(RTMP *r, int channel, int stream, const char *name, double transaction, const char *code)
{
    char buffer[512], *p = buffer + RTMP_MAX_HEADER_SIZE, *end = buffer + sizeof buffer;
    char *const start = p;
    AVal text = {(char *)name, (int)strlen(name)}, key = {(char *)"code", 4}, value = {(char *)code, 0};
    p = AMF_EncodeString(p, end, &text);
    p = AMF_EncodeNumber(p, end, transaction);
    *p++ = AMF_NULL;
    if (code) {
        value.av_len = (int)strlen(code);
        *p++ = AMF_OBJECT;
        p = AMF_EncodeNamedString(p, end, &key, &value);
        *p++ = 0;
        *p++ = 0;
        *p++ = AMF_OBJECT_END;
    } else {
        p = AMF_EncodeNumber(p, end, 1);
    }
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = channel;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
    packet.m_nInfoField2 = stream;
    packet.m_body = start;
    packet.m_nBodySize = (uint32_t)(p - start);
    check(RTMP_SendPacket(r, &packet, 0));
}

/* Answers what a player asks for; `told` counts the answers. */
static inline void answer(RTMP *r, RTMPPacket *packet, int *told)
{
    AMFObject object;
    AVal name;
    if (packet->m_packetType != RTMP_PACKET_TYPE_INVOKE)
        return;
    check(AMF_Decode(&object, packet->m_body, (int)packet->m_nBodySize, FALSE) >= 0);
    AMFProp_GetString(AMF_GetProp(&object, NULL, 0), &name);
    double transaction = AMFProp_GetNumber(AMF_GetProp(&object, NULL, 1));
    for (int i = 0; i < 3; i++) {
        AVal known = {(char *)ANSWERS[i], (int)strlen(ANSWERS[i])};
        if (!AVMATCH(&name, &known))
            continue;
        if (i == 2)
            send_command(r, 5, 1, "onStatus", 0, "NetStream.Play.Start");
        else
            send_command(r, 3, 0, "_result", transaction, i == 0 ? "NetConnection.Connect.Success" : NULL);
        *told = i + 1;
    }
    AMF_Reset(&object);
}

#endif
