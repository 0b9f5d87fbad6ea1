/* Plays a film of some seconds, pauses it, continues, and seeks: `pause_seek URL`.
 *
 * Prints one line for each step, which says what the server answered and whether the media that came is right. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EARLY = 300, LATE = 2000, PAUSE_MS = 1000 };

static RTMP *rtmp;
static uint32_t newest; /* time of the last audio or video message */

static int has_text(const RTMPPacket *packet, const char *text)
{
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= packet->m_nBodySize; at++)
        if (memcmp(packet->m_body + at, text, length) == 0)
            return 1;
    return 0;
}

static int is_media(const RTMPPacket *packet)
{
    int type = packet->m_packetType;
    return (type == RTMP_PACKET_TYPE_AUDIO || type == RTMP_PACKET_TYPE_VIDEO || type == RTMP_PACKET_TYPE_FLASH_VIDEO)
           && packet->m_nBodySize > 5;
}

/* Reads until a status message names `code`, or, without one, until media has a time from `least` to `most`.
 * Returns 0 when the connection ended or was silent before that. */
static int wait_for(const char *code, uint32_t least, uint32_t most)
{
    RTMPPacket packet = { 0 };
    while (RTMP_IsConnected(rtmp) && RTMP_ReadPacket(rtmp, &packet)) {
        if (!RTMPPacket_IsReady(&packet))
            continue;
        int found;
        if (is_media(&packet)) {
            newest = packet.m_nTimeStamp;
            found = !code && newest >= least && newest <= most;
        } else {
            found = code && packet.m_packetType == RTMP_PACKET_TYPE_INVOKE && has_text(&packet, code);
        }
        RTMP_ClientPacket(rtmp, &packet);
        RTMPPacket_Free(&packet);
        memset(&packet, 0, sizeof packet);
        if (found)
            return 1;
    }
    return 0;
}

static int check(const char *what, int ok)
{
    printf("%s: %s\n", what, ok ? "ok" : "no");
    return ok;
}

static int steps(void)
{
    if (!check("plays", wait_for(NULL, EARLY, LATE)))
        return 0;

    uint32_t paused_at = newest;
    if (!check("pause is sent", RTMP_Pause(rtmp, 1))
        || !check("server pauses", wait_for("NetStream.Pause.Notify", 0, 0)))
        return 0;
    usleep(PAUSE_MS * 1000);
    if (!check("unpause is sent", RTMP_Pause(rtmp, 0))
        || !check("server goes on", wait_for("NetStream.Unpause.Notify", 0, 0)))
        return 0;
    /* What was on its way still came; a film that had gone on would be a second further. */
    if (!check("time stood still", newest - paused_at < PAUSE_MS / 2)
        || !check("media goes on", wait_for(NULL, newest, newest + PAUSE_MS / 2)))
        return 0;

    if (!check("seek is sent", RTMP_SendSeek(rtmp, LATE)) || !check("server seeks", wait_for("NetStream.Seek.Notify", 0, 0))
        || !check("media is later", wait_for(NULL, LATE - 600, LATE + 600)))
        return 0;
    return check("seek back is sent", RTMP_SendSeek(rtmp, 0))
           && check("server seeks back", wait_for("NetStream.Seek.Notify", 0, 0))
           && check("media is earlier", wait_for(NULL, 0, 600));
}

int main(int argc, char **argv)
{
    char url[1024];
    if (argc != 2)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGERROR);
    snprintf(url, sizeof url, "%s", argv[1]);
    rtmp = RTMP_Alloc();
    RTMP_Init(rtmp);
    rtmp->Link.timeout = 10;
    RTMP_SetBufferMS(rtmp, 100); /* so that the server sends as time passes */
    int ok = check("connects", RTMP_SetupURL(rtmp, url) && RTMP_Connect(rtmp, NULL) && RTMP_ConnectStream(rtmp, 0))
             && steps();
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    return ok ? 0 : 1;
}
