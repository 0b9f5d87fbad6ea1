/* Sessions that a server asks to connect again (enhanced.h, loop.h).
 *
 *   play URL       plays with calls that wait. Each request is followed once the last message that was sent with it has come;
 *                  prints what comes
 *   publish URL    publishes numbered frames with calls that do not wait, and goes over to the new connection at a key frame;
 *                  prints how many were sent on each
 */
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { KEY_EVERY = 10, LARGE = 25, LARGE_SIZE = 3000000, AFTER_MOVE = 30, MOST = 1000000 };

/* What the callback knows of a session. */
struct asked {
    int times, refused;
};

static int event(RTMP *r, const RTMPEvent *e, void *arg)
{
    struct asked *asked = arg;
    AVal url, description;
    if (e->e_type == RTMP_EVENT_SOCKET) {
        int size = 65536; /* a long message does not fit into the system */
        check(setsockopt(e->e_socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    }
    if (e->e_type != RTMP_EVENT_RECONNECT)
        return TRUE;
    check(e->e_stream == 0);
    if (RTMP_GetReconnect(r, &url, &description)) {
        RTMPStats stats = { .s_size = sizeof stats };
        check(RTMP_GetStats(r, &stats));
        printf("asked '%.*s': %.*s, %.*s%s\n", e->e_url.av_len, e->e_url.av_val, url.av_len, url.av_val, description.av_len,
               description.av_val, stats.s_queued > LARGE_SIZE / 4 ? ", in a message" : "");
        asked->times++;
    } else {
        printf("refused '%.*s': %d\n", e->e_url.av_len, e->e_url.av_val, RTMP_GetLastError(r));
        asked->refused++;
    }
    fflush(stdout);
    return TRUE;
}

static RTMP *fresh(struct asked *asked)
{
    RTMP *r = RTMP_Alloc();
    check(r);
    RTMP_Init(r);
    memset(asked, 0, sizeof *asked);
    RTMP_SetEventCallback(r, event, asked);
    return r;
}

static int play(char *url)
{
    static struct asked asked[2];
    int number = 0, result;
    RTMPPacket packet;
    RTMP *r = fresh(&asked[0]), *old = NULL;
    check(RTMP_SetupURL(r, url));
    memset(&packet, 0, sizeof packet);
    check(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
    while ((result = RTMP_GetNextMediaPacket(r, &packet)) == 1) {
        struct asked *now = &asked[number & 1];
        int is_last = packet.m_nBodySize > 2 && packet.m_body[2] == 'b';
        printf("%d: %d %u\n", number, packet.m_packetType, (unsigned)packet.m_nBodySize);
        RTMPPacket_Free(&packet);
        if (old) {
            RTMP_Close(old);
            RTMP_Free(old);
            old = NULL;
        }
        if (now->times > 0 && is_last) {
            RTMP *to = fresh(&asked[(number + 1) & 1]);
            now->times = 0;
            if (!RTMP_SetupReconnect(to, r)) {
                printf("not followed: %d\n", RTMP_GetLastError(to));
                RTMP_Free(to);
                continue;
            }
            check(!RTMP_GetReconnect(to, NULL, NULL));
            check(RTMP_Connect(to, NULL) && RTMP_ConnectStream(to, 0));
            check(RTMP_IsConnected(r));
            old = r;
            r = to;
            number++;
        }
    }
    printf("end %d\n", result);
    RTMP_Close(r);
    RTMP_Free(r);
    return 0;
}

/* A session that publishes and never waits. */
struct publisher {
    RTMP *r;
    int streaming, has_begun;
};

static int is_again(RTMP *r) { return RTMP_GetLastError(r) == RTMP_ERR_AGAIN; }

static void start(struct publisher *p)
{
    RTMP_EnableWrite(p->r);
    check(RTMP_SetNonBlocking(p->r, 1));
    check(RTMP_Connect(p->r, NULL) || is_again(p->r));
}

static void step(struct publisher *p)
{
    int state = RTMP_Step(p->r);
    if (state & RTMP_STEP_FAILED) {
        fprintf(stderr, "failed: %s\n", RTMP_GetErrorString(p->r));
        exit(1);
    }
    if ((state & RTMP_STEP_CONNECTED) && !p->streaming) {
        p->streaming = RTMP_ConnectStream(p->r, 0);
        check(p->streaming || is_again(p->r));
    }
    while (state & RTMP_STEP_READABLE) {
        RTMPPacket packet;
        memset(&packet, 0, sizeof packet);
        if (!RTMP_ReadPacket(p->r, &packet)) {
            check(is_again(p->r));
            break;
        }
        if (RTMPPacket_IsReady(&packet)) {
            RTMP_ClientPacket(p->r, &packet);
            RTMPPacket_Free(&packet);
        }
    }
}

/* Waits for sockets, a millisecond at most: the frames are that far apart. */
static void wait_for(struct publisher *publishers)
{
    struct pollfd fds[32];
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (publishers[i].r)
            count += RTMP_GetPollFds(publishers[i].r, fds + count, 32 - count);
    check(poll(fds, (nfds_t)count, 1) >= 0);
}

/* Metadata and the decoder's configuration, which a new connection begins with. Returns FALSE if there is no room. */
static int begin(RTMP *r)
{
    static const AVal set = AVC("@setDataFrame"), name = AVC("onMetaData"), width = AVC("width");
    RTMPTrack config = { .t_fourcc = RTMP_FOURCC_HEVC, .t_packet = RTMP_MEDIA_CONFIG, .t_body = "conf", .t_size = 4 };
    char buffer[200], *p = buffer + RTMP_MAX_HEADER_SIZE, *end = buffer + sizeof buffer, *body = p;
    RTMPPacket packet;
    p = AMF_EncodeString(p, end, &set);
    p = AMF_EncodeString(p, end, &name);
    *p++ = AMF_OBJECT;
    p = AMF_EncodeNamedNumber(p, end, &width, 64);
    p = AMF_EncodeInt24(p, end, AMF_OBJECT_END);
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = 4;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = RTMP_PACKET_TYPE_INFO;
    packet.m_nInfoField2 = r->m_stream_id;
    packet.m_body = body;
    packet.m_nBodySize = (uint32_t)(p - body);
    return RTMP_SendPacket(r, &packet, FALSE) && RTMP_SendMedia(r, RTMP_PACKET_TYPE_VIDEO, 0, 0, &config, 1);
}

static int send_frame(RTMP *r, int number)
{
    static char body[LARGE_SIZE];
    RTMPTrack frame = { .t_fourcc = RTMP_FOURCC_HEVC, .t_packet = RTMP_MEDIA_FRAMES, .t_body = body };
    frame.t_key = number % KEY_EVERY == 0;
    frame.t_size = number == LARGE ? LARGE_SIZE : 500;
    for (int i = 0; i < 4; i++)
        body[i] = (char)(number >> (24 - 8 * i));
    if (RTMP_SendMedia(r, RTMP_PACKET_TYPE_VIDEO, (uint32_t)number * 20, 0, &frame, 1))
        return TRUE;
    check(is_again(r));
    return FALSE;
}

static int publish(char *url)
{
    static struct asked asked[2];
    struct publisher publishers[2] = { { .r = fresh(&asked[0]) }, { NULL } }, *at = publishers;
    int number = 0, moved = 0;
    check(RTMP_SetupURL(publishers[0].r, url));
    start(at);
    while (!moved || number < moved + AFTER_MOVE) {
        struct publisher *next = &publishers[1];
        check(number < MOST);
        wait_for(publishers);
        for (int i = 0; i < 2; i++)
            if (publishers[i].r)
                step(&publishers[i]);
        if (asked[0].times && !next->r) {
            next->r = fresh(&asked[1]);
            check(RTMP_SetupReconnect(next->r, publishers[0].r));
            start(next);
        }
        if (!moved && next->streaming && number % KEY_EVERY == 0) {
            moved = number;
            at = next;
            RTMP_Close(publishers[0].r); /* what is queued still goes */
        }
        if (!at->streaming)
            continue;
        if (!at->has_begun) {
            check(begin(at->r));
            at->has_begun = 1;
        }
        number += send_frame(at->r, number);
    }
    RTMP_Close(publishers[1].r);
    for (int open = 3; open;) {
        wait_for(publishers);
        for (int i = 0; i < 2; i++)
            if (RTMP_Step(publishers[i].r) & RTMP_STEP_CLOSED)
                open &= ~(1 << i);
    }
    printf("sent %d and %d\n", moved, number - moved);
    for (int i = 0; i < 2; i++)
        RTMP_Free(publishers[i].r);
    return 0;
}

int main(int argc, char **argv)
{
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    if (argc != 3)
        return 2;
    return strcmp(argv[1], "play") ? publish(argv[2]) : play(argv[2]);
}
