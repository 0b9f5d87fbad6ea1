/* One session, two threads: one publishes while the other reads what the server sends: threads URL */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* [reader] */
/* Answers pings, follows the server's chunk size and so on, until the connection ends or RTMP_Abort is called. */
static void *read_all(void *session)
{
    RTMPPacket packet = { 0 };
    while (RTMP_ReadPacket(session, &packet)) {
        if (!RTMPPacket_IsReady(&packet))
            continue;
        RTMP_ClientPacket(session, &packet);
        RTMPPacket_Free(&packet);
    }
    return NULL;
}
/* [reader end] */

int main(int argc, char **argv)
{
    static char sound[] = "\xAF\x01sound";
    pthread_t reader;
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
    if (ok && pthread_create(&reader, NULL, read_all, r) == 0) {
        for (uint32_t time = 0; ok && time < 1000; time += 20) {
            struct timespec pause = { 0, 20 * 1000 * 1000 };
            RTMPPacket packet = { .m_packetType = RTMP_PACKET_TYPE_AUDIO, .m_nChannel = 4, .m_nTimeStamp = time,
                                  .m_nInfoField2 = r->m_stream_id, .m_body = sound, .m_nBodySize = sizeof sound - 1 };
            ok = RTMP_SendPacket(r, &packet, FALSE); /* any number of threads may send */
            nanosleep(&pause, NULL);
        }
        RTMP_DeleteStream(r);
        RTMP_Abort(r);                               /* the reader's call returns */
        pthread_join(reader, NULL);
    }
    puts(ok ? "sent" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
