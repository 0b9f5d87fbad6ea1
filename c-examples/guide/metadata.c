/* Prints the metadata of a stream: metadata URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>

/* The body is a name, "onMetaData", and an object or array. */
static void print(const char *body, int size)
{
    AMFObject message;
    AMFObjectProperty *values;
    AVal name, text;
    if (AMF_Decode(&message, body, size, FALSE) < 0)
        return;
    values = AMF_GetProp(&message, NULL, 1);
    if (AMFProp_GetType(values) == AMF_OBJECT || AMFProp_GetType(values) == AMF_ECMA_ARRAY) {
        AMFObject *members = &values->p_vu.p_object;
        for (int i = 0; i < AMF_CountProp(members); i++) {
            AMFObjectProperty *value = AMF_GetProp(members, NULL, i);
            AMFProp_GetName(value, &name);
            AMFProp_GetString(value, &text);
            if (AMFProp_GetType(value) == AMF_NUMBER)
                printf("%.*s = %g\n", name.av_len, name.av_val, AMFProp_GetNumber(value));
            else if (AMFProp_GetType(value) == AMF_STRING)
                printf("%.*s = %.*s\n", name.av_len, name.av_val, text.av_len, text.av_val);
        }
    }
    AMF_Reset(&message);
}

int main(int argc, char **argv)
{
    RTMPPacket packet = { 0 };
    RTMP *r = RTMP_Alloc();
    int found = 0;
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (RTMP_SetupURL(r, argv[1]) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        while (!found && RTMP_GetNextMediaPacket(r, &packet) == 1) {
            found = packet.m_packetType == RTMP_PACKET_TYPE_INFO;
            if (found)
                print(packet.m_body, (int)packet.m_nBodySize);
            RTMPPacket_Free(&packet);
        }
    }
    if (!found)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !found;
}
