/* capabilities: connects to a server and prints which parts of Enhanced RTMP it announces.
 *
 *   cc capabilities.c -lrtmp && ./a.out rtmp://localhost/live
 *
 * Servers announce their abilities only to clients that announce some, so this program announces everything. */
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <stdio.h>
#include <stdlib.h>

static int set(RTMP *r, const char *name, const char *value)
{
    AVal option = { (char *)(uintptr_t)name, (int)strlen(name) }; /* both are only read */
    AVal text = { (char *)(uintptr_t)value, (int)strlen(value) };
    return RTMP_SetOpt(r, &option, &text);
}

/* Reads until the answer to `connect` has arrived. */
static int wait_for_answer(RTMP *r)
{
    static const AVal code = AVC("code");
    AMFObjectProperty property;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    while (!RTMP_PeerProperty(r, &code, &property)) {
        if (!RTMP_ReadPacket(r, &packet))
            return 0;
        if (!RTMPPacket_IsReady(&packet))
            continue;
        RTMP_ClientPacket(r, &packet);
        RTMPPacket_Free(&packet);
    }
    return 1;
}

static void print_codecs(RTMP *r, const char *kind, uint8_t type, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        const char *n = names[i];
        int can = RTMP_PeerFourCc(r, type, RTMP_FOURCC(n[0], n[1], n[2], n[3]));
        if (can)
            printf("%s %s:%s%s%s\n", kind, n, can & RTMP_CAN_DECODE ? " decodes" : "",
                   can & RTMP_CAN_ENCODE ? " encodes" : "", can & RTMP_CAN_FORWARD ? " forwards" : "");
    }
}

int main(int argc, char **argv)
{
    static const char *const video[] = { "avc1", "hvc1", "vvc1", "vp08", "vp09", "av01" };
    static const char *const audio[] = { "mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3" };
    static const AVal version = AVC("fmsVer");
    AMFObjectProperty property;
    RTMP *r = RTMP_Alloc();
    int code = EXIT_FAILURE;
    if (argc != 2 || !r) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    if (RTMP_SetupURL(r, argv[1]) && set(r, "enhanced", "1") && set(r, "reconnect", "1") && RTMP_Connect(r, NULL)
        && wait_for_answer(r)) {
        int caps = RTMP_PeerCaps(r);
        if (RTMP_PeerProperty(r, &version, &property)) {
            AVal text;
            AMFProp_GetString(&property, &text);
            printf("server %.*s\n", text.av_len, text.av_val);
        }
        printf("features:%s%s%s%s%s\n", caps & RTMP_CAPS_RECONNECT ? " reconnect" : "",
               caps & RTMP_CAPS_MULTITRACK ? " multitrack" : "", caps & RTMP_CAPS_MODEX ? " modex" : "",
               caps & RTMP_CAPS_NANO ? " nanoseconds" : "", caps ? "" : " none");
        print_codecs(r, "video", RTMP_PACKET_TYPE_VIDEO, video, sizeof video / sizeof *video);
        print_codecs(r, "audio", RTMP_PACKET_TYPE_AUDIO, audio, sizeof audio / sizeof *audio);
        code = EXIT_SUCCESS;
    } else {
        fprintf(stderr, "%s: %s\n", argv[0], RTMP_GetErrorString(r));
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return code;
}
