/* Connects to a server and asks for a stream, again and again: `connect_loop COUNT URL`.
 * Prints how many times the stream played; every one counts only if its first media arrived. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int has_media(RTMP *r)
{
    RTMPPacket packet = { 0 };
    while (RTMP_GetNextMediaPacket(r, &packet) > 0) {
        int media = packet.m_nBodySize > 0;
        RTMPPacket_Free(&packet);
        if (media)
            return 1;
    }
    return 0;
}

static int play_once(const char *address)
{
    char url[1024];
    snprintf(url, sizeof url, "%s", address);
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    r->Link.timeout = 10;
    int ok = RTMP_SetupURL(r, url) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0) && has_media(r);
    RTMP_Close(r);
    RTMP_Free(r);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int count = atoi(argv[1]), played = 0;
    RTMP_LogSetLevel(RTMP_LOGERROR);
    for (int i = 0; i < count; i++)
        played += play_once(argv[2]);
    printf("%d of %d\n", played, count);
    return played == count ? 0 : 1;
}
