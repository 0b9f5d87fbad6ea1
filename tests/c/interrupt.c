/* Lets a call wait for a peer that has nothing to say, and ends the wait: `interrupt PHASE HOW URL`.
 * Prints what the call returned, how many milliseconds after the interruption that was, and RTMP_GetLastError.
 *
 * PHASE is the call that waits: connect, stream, read, send, close, toggle, http, hash, setup (which hashes).
 * HOW: abort (RTMP_Abort in another thread), first (RTMP_Abort before the call), assign (RTMP_ctrlC in another thread),
 * signal (RTMP_UserInterrupt in a signal handler of another thread), handler (RTMP_Abort in a signal handler of the thread
 * that waits), shutdown (of the socket, in another thread). Handlers are installed with SA_RESTART.
 */
#define _GNU_SOURCE
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static RTMP *session;
static const char *how;
static pthread_t waiting;
static volatile long interrupted_at;
/* Not linked: programs of this directory are linked with the original, which does not have them. */
static int (*abort_session)(RTMP *), (*last_error)(RTMP *);

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void on_signal(int number)
{
    (void)number;
    interrupted_at = now();
    if (!strcmp(how, "handler"))
        abort_session(session);
    else
        RTMP_UserInterrupt();
}

static void *interrupt(void *unused)
{
    usleep(300 * 1000);
    if (!strcmp(how, "signal")) {
        pthread_kill(pthread_self(), SIGUSR1);
    } else if (!strcmp(how, "handler")) {
        pthread_kill(waiting, SIGUSR1);
    } else {
        interrupted_at = now();
        if (!strcmp(how, "abort"))
            abort_session(session);
        else if (!strcmp(how, "assign"))
            RTMP_ctrlC = 1;
        else if (!strcmp(how, "shutdown"))
            shutdown(RTMP_Socket(session), SHUT_RDWR);
    }
    return unused;
}

static size_t ignore(void *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

/* Sends until the peer does not take any more, and then until that ends. */
static int send_all(RTMP *r)
{
    static char body[1 << 20];
    RTMPPacket packet = { .m_headerType = RTMP_PACKET_SIZE_LARGE, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nChannel = 4 };
    packet.m_nInfoField2 = r->m_stream_id;
    packet.m_body = body;
    packet.m_nBodySize = sizeof body;
    for (int i = 0; i < 200; i++)
        if (!RTMP_SendPacket(r, &packet, FALSE))
            return FALSE;
    return TRUE;
}

/* Sends what no peer takes, so that the goodbyes of RTMP_Close have to wait. */
static void fill_up(RTMP *r)
{
    static char block[1 << 16];
    int flags = fcntl(RTMP_Socket(r), F_GETFL);
    fcntl(RTMP_Socket(r), F_SETFL, flags | O_NONBLOCK);
    while (RTMPSockBuf_Send(&r->m_sb, block, sizeof block) > 0)
        ;
    fcntl(RTMP_Socket(r), F_SETFL, flags);
}

static void begin(void)
{
    pthread_t thread;
    if (!strcmp(how, "first")) {
        interrupted_at = now();
        abort_session(session);
    } else if (pthread_create(&thread, NULL, interrupt, NULL) || pthread_detach(thread)) {
        exit(3);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    const char *phase = argv[1];
    char *url = argv[3], buffer[4096], date[64] = "";
    int publish = !strcmp(phase, "send") || !strcmp(phase, "close"), result = -2, prepared = TRUE;
    unsigned int size;
    unsigned char hash[RTMP_SWF_HASHLEN];
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    how = argv[2];
    abort_session = (int (*)(RTMP *))dlsym(RTLD_DEFAULT, "RTMP_Abort");
    last_error = (int (*)(RTMP *))dlsym(RTLD_DEFAULT, "RTMP_GetLastError");
    waiting = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    session = RTMP_Alloc();
    RTMP_Init(session);

    if (!strcmp(phase, "http")) {
        struct HTTP_ctx http = { .date = date };
        begin();
        result = HTTP_get(&http, url, ignore);
    } else if (!strcmp(phase, "hash")) {
        begin();
        result = RTMP_HashSWF(url, &size, hash, 0);
    } else if (!strcmp(phase, "setup")) {
        snprintf(buffer, sizeof buffer, "rtmp://127.0.0.1/app/stream swfUrl=%s swfVfy=1 swfAge=0", url);
        begin();
        result = RTMP_SetupURL(session, buffer);
    } else {
        if (!RTMP_SetupURL(session, url))
            return 4;
        session->Link.timeout = 60;
        if (publish)
            RTMP_EnableWrite(session);
        if (!strcmp(phase, "connect")) {
            begin();
            result = RTMP_Connect(session, NULL);
        } else {
            prepared = RTMP_Connect(session, NULL);
            if (prepared && strcmp(phase, "stream"))
                prepared = RTMP_ConnectStream(session, 0);
            if (prepared && !strcmp(phase, "close"))
                fill_up(session);
            begin();
            if (!prepared)
                result = -3;
            else if (!strcmp(phase, "stream"))
                result = RTMP_ConnectStream(session, 0);
            else if (!strcmp(phase, "read"))
                result = RTMP_Read(session, buffer, sizeof buffer);
            else if (!strcmp(phase, "toggle"))
                result = RTMP_ToggleStream(session);
            else if (!strcmp(phase, "send"))
                result = send_all(session);
            else {
                RTMP_Close(session);
                result = RTMP_IsConnected(session);
            }
        }
    }
    long took = now() - interrupted_at;
    if (!interrupted_at)
        return 5; /* It did not wait. */
    printf("%d %ld %d\n", result, took, last_error(session));
    long closing = now();
    RTMP_Close(session);
    RTMP_Free(session);
    return now() - closing > 10000 ? 6 : 0;
}
