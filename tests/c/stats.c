/* RTMP_GetStats beside what the system says (what `ss -ti` shows) and what was sent:
 *
 *   stats publish URL COUNT SIZE     publishes messages, then receives until all of them are acknowledged
 *   stats play URL                   plays until the end
 *   stats stall URL                  publishes in a thread until the peer takes nothing for a second
 *   stats fail URL                   fails to connect
 */
#include <librtmp/loop.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static RTMP *rtmp;

static RTMPStats stats(void)
{
    RTMPStats s;
    memset(&s, 0xEE, sizeof s);
    s.s_size = sizeof s;
    check(RTMP_GetStats(rtmp, &s) == TRUE && s.s_size == sizeof s);
    return s;
}

static struct tcp_info system_says(void)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    check(getsockopt(RTMP_Socket(rtmp), IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
    return info;
}

/* The same numbers as the system has, where nothing but RTMP is on the connection. */
static void compare(int plain)
{
    struct tcp_info before = system_says(), after;
    RTMPStats s = stats();
    int unread = 0;
    check(ioctl(RTMP_Socket(rtmp), FIONREAD, &unread) == 0);
    after = system_says();
    check(s.s_roundTrip >= (before.tcpi_rtt < after.tcpi_rtt ? before.tcpi_rtt : after.tcpi_rtt));
    check(s.s_roundTrip <= (before.tcpi_rtt > after.tcpi_rtt ? before.tcpi_rtt : after.tcpi_rtt));
    check(s.s_retransmissions >= before.tcpi_total_retrans && s.s_retransmissions <= after.tcpi_total_retrans);
    check(s.s_queued == 0 && s.s_stalled == 0);
    if (!plain)
        return;
    check(s.s_bytesOut == after.tcpi_bytes_sent - after.tcpi_bytes_retrans);
    check(s.s_bytesIn + (unsigned)rtmp->m_sb.sb_size + (unsigned)unread >= before.tcpi_bytes_received);
    check(s.s_bytesIn + (unsigned)rtmp->m_sb.sb_size <= after.tcpi_bytes_received);
    check((uint32_t)s.s_bytesIn == (uint32_t)rtmp->m_nBytesIn);
}

static void print(void)
{
    RTMPStats s = stats();
    printf("bytesIn %llu bytesOut %llu messagesIn %llu messagesOut %llu acknowledged %llu\n",
           (unsigned long long)s.s_bytesIn, (unsigned long long)s.s_bytesOut, (unsigned long long)s.s_messagesIn,
           (unsigned long long)s.s_messagesOut, (unsigned long long)s.s_acknowledged);
    printf("phases lookup %d tcp %d proxy %d tls %d handshake %d connect %d stream %d\n", s.s_lookup > 0, s.s_tcp > 0,
           s.s_proxy > 0, s.s_tls > 0, s.s_handshake > 0, s.s_connect > 0, s.s_stream > 0);
}

static void publish(unsigned count, unsigned size)
{
    RTMPPacket packet, in;
    unsigned i;
    memset(&packet, 0, sizeof packet);
    check(RTMPPacket_Alloc(&packet, size));
    memset(packet.m_body, 7, size);
    for (i = 0; i < count; i++) {
        packet.m_nChannel = 4;
        packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
        packet.m_headerType = RTMP_PACKET_SIZE_MEDIUM;
        packet.m_nTimeStamp = 40 * i;
        packet.m_nInfoField2 = rtmp->m_stream_id;
        packet.m_nBodySize = size;
        check(RTMP_SendPacket(rtmp, &packet, FALSE));
    }
    RTMPPacket_Free(&packet);
    memset(&in, 0, sizeof in);
    while (stats().s_acknowledged < stats().s_bytesOut) {
        check(RTMP_ReadPacket(rtmp, &in));
        if (RTMPPacket_IsReady(&in)) {
            RTMP_ClientPacket(rtmp, &in);
            RTMPPacket_Free(&in);
        }
    }
}

static void *publish_for_ever(void *unused)
{
    static char body[256 * 1024];
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    do {
        packet.m_nChannel = 4;
        packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
        packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
        packet.m_nInfoField2 = rtmp->m_stream_id;
        packet.m_nBodySize = sizeof body;
        packet.m_body = body;
    } while (RTMP_SendPacket(rtmp, &packet, FALSE));
    return unused;
}

static void stall(void)
{
    pthread_t thread;
    RTMPStats s;
    check(pthread_create(&thread, NULL, publish_for_ever, NULL) == 0);
    do {
        usleep(1000);
        s = stats();
    } while (s.s_stalled < 1000);
    check(s.s_blocked >= s.s_stalled && s.s_unsent > 0 && s.s_messagesOut > 0);
    RTMP_Abort(rtmp);
    check(pthread_join(thread, NULL) == 0);
    check(RTMP_GetLastError(rtmp) == RTMP_ERR_ABORTED && RTMP_GetLastSystemError(rtmp) == 0);
}

/* A program that was compiled for an earlier version, or for a later one, or for none. */
static void sizes(void)
{
    struct {
        RTMPStats known;
        uint64_t later;
    } s;
    memset(&s, 0xEE, sizeof s);
    s.known.s_size = 16;
    check(RTMP_GetStats(rtmp, &s.known) && s.known.s_bytesIn > 0 && s.known.s_bytesOut == 0xEEEEEEEEEEEEEEEE);
    s.known.s_size = sizeof s;
    check(RTMP_GetStats(rtmp, &s.known) && s.known.s_size == sizeof s && s.later == 0);
    s.known.s_size = 7;
    check(!RTMP_GetStats(rtmp, &s.known));
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    int publishes = !strcmp(what, "publish") || !strcmp(what, "stall");
    char *url = argc > 2 ? argv[2] : NULL;
    int plain;

    rtmp = RTMP_Alloc();
    check(rtmp && url);
    RTMP_Init(rtmp);
    plain = strncmp(url, "rtmp:", 5) == 0;
    check(RTMP_SetupURL(rtmp, url));
    check(stats().s_bytesOut == 0 && stats().s_tcp == 0);
    if (publishes)
        RTMP_EnableWrite(rtmp);
    if (!strcmp(what, "fail")) {
        check(!RTMP_Connect(rtmp, NULL));
        check(RTMP_GetLastError(rtmp) == RTMP_ERR_CONNECT && RTMP_GetLastSystemError(rtmp) == ECONNREFUSED);
        RTMP_Close(rtmp);
        check(RTMP_GetLastSystemError(rtmp) == ECONNREFUSED);
        RTMP_Free(rtmp);
        puts("refused");
        return 0;
    }
    check(RTMP_Connect(rtmp, NULL) && RTMP_ConnectStream(rtmp, 0));
    compare(plain);
    sizes();
    if (!strcmp(what, "publish")) {
        publish((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
        compare(plain);
    } else if (!strcmp(what, "stall")) {
        stall();
    } else {
        static char buffer[65536];
        int n;
        while ((n = RTMP_Read(rtmp, buffer, sizeof buffer)) > 0) {
            compare(plain);
            if (stats().s_messagesIn >= (unsigned)atoi(argv[3]))
                break;
        }
        check(n > 0);
    }
    print();
    RTMP_Close(rtmp);
    check(stats().s_bytesIn == 0 && stats().s_bytesOut == 0 && stats().s_handshake == 0);
    RTMP_Free(rtmp);
    return 0;
}
