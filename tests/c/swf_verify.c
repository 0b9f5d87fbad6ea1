/* SWF verification between two processes: the server asks for it (user control event 0x1A) after a signed handshake and
 * compares the answer (event 0x1B) with what it expects itself.
 *
 *   swf_verify server [HASH]     prints the port it listens on, then what came; HASH is the file's, in hexadecimal digits
 *   swf_verify client PORT
 */
#include <arpa/inet.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWF_SIZE 5008

static void know_the_file(RTMP *r)
{
    r->Link.SWFSize = SWF_SIZE;
    for (int i = 0; i < RTMP_SWF_HASHLEN; i++)
        r->Link.SWFHash[i] = (uint8_t)(7 * i + 1);
}

static int serve(RTMP *r)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &len))
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    r->m_sb.sb_socket = accept(listener, NULL, NULL);
    close(listener);
    printf("serve %d\n", RTMP_Serve(r));

    RTMPPacket packet = { 0 };
    int answered = 0;
    while (!answered && RTMP_ReadPacket(r, &packet)) {
        if (!RTMPPacket_IsReady(&packet))
            continue;
        if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE)
            RTMP_SendCtrl(r, 0x1A, 1, 0);
        if (packet.m_packetType == RTMP_PACKET_TYPE_CONTROL && packet.m_nBodySize == 44 && packet.m_body[1] == 0x1B) {
            answered = 1;
            printf("answer %s\n",
                   memcmp(packet.m_body + 2, r->Link.SWFVerificationResponse, 42) ? "wrong" : "right");
            printf("version %d %d, size %d\n", packet.m_body[2], packet.m_body[3],
                   AMF_DecodeInt32(packet.m_body + 4) == SWF_SIZE);
        }
        RTMPPacket_Free(&packet);
    }
    if (!answered)
        printf("no answer\n");
    return 0;
}

static int play(RTMP *r, char *url)
{
    if (!RTMP_SetupURL(r, url))
        return 1;
    know_the_file(r); /* instead of the options swfUrl and swfVfy */
    if (!RTMP_Connect(r, NULL))
        return 1;
    RTMP_ConnectStream(r, 0); /* until the server has seen enough and leaves */
    return 0;
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    char url[64];
    int result = 2;
    if (!r)
        return 1;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    r->Link.timeout = 20;
    if (argc >= 2 && !strcmp(argv[1], "server")) {
        know_the_file(r);
        for (int i = 0; argc == 3 && i < RTMP_SWF_HASHLEN; i++)
            if (sscanf(argv[2] + 2 * i, "%2hhx", &r->Link.SWFHash[i]) != 1)
                return 1;
        result = serve(r);
    } else if (argc == 3) {
        snprintf(url, sizeof url, "rtmp://127.0.0.1:%d/app/name", atoi(argv[2]));
        result = play(r, url);
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return result;
}
