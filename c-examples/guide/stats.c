/* Prints the numbers of a session from another thread: stats URL. It publishes for a second. */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static atomic_int done;

static void pause_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

/* [monitor] */
static void *monitor(void *session)
{
    uint64_t last = 0;
    while (!atomic_load(&done)) {
        RTMPStats stats = { .s_size = sizeof stats };
        pause_ms(250);
        if (!RTMP_GetStats(session, &stats))         /* any thread, any time */
            continue;
        printf("%.1f kbit/s out, %llu bytes queued, %llu unsent, blocked for %u ms, round trip %u us\n",
               (double)(stats.s_bytesOut - last) * 8 / 250, (unsigned long long)stats.s_queued,
               (unsigned long long)stats.s_unsent, (unsigned)stats.s_blocked, (unsigned)stats.s_roundTrip);
        last = stats.s_bytesOut;
        /* Growing numbers of queued and unsent bytes mean that the network is slower than the encoder. */
    }
    return NULL;
}
/* [monitor end] */

int main(int argc, char **argv)
{
    static char sound[400] = "\xAF\x01";
    pthread_t thread;
    RTMP *r = RTMP_Alloc();
    int ok = 0;
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    if (RTMP_SetupURL(r, argv[1])) {
        RTMP_EnableWrite(r);
        ok = RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    }
    RTMPStats stats = { .s_size = sizeof stats };
    if (ok && RTMP_GetStats(r, &stats))
        printf("connected after look-up %u, TCP %u, handshake %u, connect %u, stream %u ms\n", (unsigned)stats.s_lookup,
               (unsigned)stats.s_tcp, (unsigned)stats.s_handshake, (unsigned)stats.s_connect, (unsigned)stats.s_stream);
    if (ok && pthread_create(&thread, NULL, monitor, r) == 0) {
        for (uint32_t time = 0; ok && time < 1000; time += 20) {
            RTMPPacket packet = { .m_packetType = RTMP_PACKET_TYPE_AUDIO, .m_nChannel = 4, .m_nTimeStamp = time,
                                  .m_nInfoField2 = r->m_stream_id, .m_body = sound, .m_nBodySize = sizeof sound };
            ok = RTMP_SendPacket(r, &packet, FALSE);
            pause_ms(20);
        }
        atomic_store(&done, 1);
        pthread_join(thread, NULL);                  /* before the session is freed */
    }
    if (!ok)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
