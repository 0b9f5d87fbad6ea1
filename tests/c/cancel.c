/* Cancels a thread in a call: `cancel HOW URL`. Prints whether the thread was cancelled and joined, whether that took no
 * longer than the session's timeout, and what the session is good for afterwards.
 *
 * HOW: connect, read, packet (with RTMP_ReadPacket), media (as often as a message comes), send (until that waits), log (without
 * a session), callback (of the log, which sleeps).
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT = 3 };

static RTMP *session;
static const char *how;
static int begun;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_in_callback(int level, const char *format, va_list arguments)
{
    (void)level, (void)format, (void)arguments;
    __atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
    usleep(100000);
}

static void *work(void *unused)
{
    static char block[RTMP_MAX_HEADER_SIZE + 100000];
    RTMPPacket packet = { 0 };
    char buffer[1000];
    /* No loop has a cancellation point of its own. */
    if (strcmp(how, "callback"))
        __atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
    if (!strcmp(how, "log"))
        for (;;)
            RTMP_LogPrintf("a line\n");
    if (!strcmp(how, "connect") || !strcmp(how, "callback"))
        RTMP_Connect(session, NULL);
    while (!strcmp(how, "read"))
        RTMP_Read(session, buffer, sizeof buffer);
    while (!strcmp(how, "packet"))
        RTMP_ReadPacket(session, &packet);
    while (!strcmp(how, "media")) {
        RTMP_GetNextMediaPacket(session, &packet);
        RTMPPacket_Free(&packet);
    }
    while (!strcmp(how, "send")) {
        packet = (RTMPPacket){ .m_packetType = 9, .m_nChannel = 6, .m_nBodySize = 100000 };
        packet.m_body = block + RTMP_MAX_HEADER_SIZE;
        RTMP_SendPacket(session, &packet, FALSE);
    }
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    void *result = NULL;
    FILE *null = fopen("/dev/null", "w");
    if (argc != 3 || !null)
        return 2;
    how = argv[1];
    RTMP_LogSetOutput(null);
    session = RTMP_Alloc();
    RTMP_Init(session);
    if (!RTMP_SetupURL(session, argv[2]))
        return 2;
    session->Link.timeout = TIMEOUT;
    if (strcmp(how, "connect") && strcmp(how, "callback") && strcmp(how, "log"))
        if (!RTMP_Connect(session, NULL) || !RTMP_ConnectStream(session, 0))
            return 3;
    if (!strcmp(how, "callback")) {
        RTMP_LogSetLevel(RTMP_LOGDEBUG);
        RTMP_LogSetCallback(sleep_in_callback);
    }
    if (pthread_create(&thread, NULL, work, NULL))
        return 2;
    while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
        usleep(1000);
    usleep(200000);
    double start = now();
    pthread_cancel(thread);
    pthread_join(thread, &result);
    RTMP_LogSetCallback(NULL);
    printf("cancelled %d, in time %d", result == PTHREAD_CANCELED, now() - start < TIMEOUT + 2);
    /* No lock is held. */
    RTMP_LogPrintf("a line\n");
    RTMP_SendCtrl(session, 3, 1, 1);
    RTMP_Close(session);
    printf(", closed %d\n", !RTMP_IsConnected(session));
    RTMP_Free(session);
    fclose(null);
    return 0;
}
