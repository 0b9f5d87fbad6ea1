/* One session, many threads, a hostile peer: `stress URL_SCHEME MILLISECONDS SEED [CERTIFICATE KEY AUTHORITY]`.
 *
 * The peer is a server in this process. It floods with short messages, stops reading, or does both, and then resets the
 * connection, closes it, or waits until the client aborts. Of the client session one thread reads in one of the three ways,
 * one publishes, several send commands and packets, and the log calls back on every line. After each round the session is
 * closed and connects again. Nothing else is checked than that every call returns: the sanitizers look for the rest.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef LINKED
#define abort_session RTMP_Abort
#else
#include <dlfcn.h>
/* Programs of this directory are linked with the original, which does not have it. */
static int (*abort_session)(RTMP *);
#endif

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            _exit(1); \
        } \
    } while (0)

enum { SENDERS = 6, TIMEOUT = 10 };

static const char *scheme, *authority;
static int listener;
static unsigned short port;
static void *context;
/* Ends when the client has closed: over HTTP it would notice much later. */
static RTMP *peer;
/* What the next peer does. */
static struct manners {
    int floods, reads, lasts_us;
    enum { RESETS, CLOSES, STAYS } ends;
} manners;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of both */

static int send_video(RTMP *r, unsigned size, int queue)
{
    static __thread char block[RTMP_MAX_HEADER_SIZE + 100000];
    RTMPPacket packet = { .m_headerType = RTMP_PACKET_SIZE_LARGE, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nChannel = 6 };
    packet.m_body = block + RTMP_MAX_HEADER_SIZE;
    packet.m_nBodySize = size;
    if (queue) {
        packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
        packet.m_nBodySize = 14;
        memcpy(packet.m_body, "\2\0\2go\0\0\0\0\0\0\0\0\0", 14);
    }
    return RTMP_SendPacket(r, &packet, queue);
}

static long now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void *peer_reads(void *argument)
{
    RTMP *r = argument;
    RTMPPacket packet = { 0 };
    while (RTMP_ReadPacket(r, &packet))
        if (RTMPPacket_IsReady(&packet))
            RTMPPacket_Free(&packet);
    return NULL;
}

static void *serve(void *argument)
{
    RTMP *r = argument;
    pthread_t reading;
    pthread_mutex_lock(&lock);
    struct manners my = manners;
    peer = r;
    pthread_mutex_unlock(&lock);
    r->Link.timeout = TIMEOUT;
    if ((!context || RTMP_TLS_Accept(r, context)) && RTMP_Serve(r)) {
        long end = now_us() + my.lasts_us;
        int has_reader = my.reads && !pthread_create(&reading, NULL, peer_reads, r);
        while (now_us() < end && RTMP_IsConnected(r))
            if (!my.floods || !send_video(r, 100, FALSE))
                usleep(500);
        if (my.ends == STAYS && !has_reader) {
            /* Until the client has aborted. */
            peer_reads(r);
        } else if (my.ends == RESETS && RTMP_IsConnected(r)) {
            struct linger at_once = { 1, 0 };
            setsockopt(RTMP_Socket(r), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        if (has_reader) {
            if (my.ends != STAYS)
                abort_session(r);
            pthread_join(reading, NULL);
        }
    }
    pthread_mutex_lock(&lock);
    if (peer == r)
        peer = NULL;
    pthread_mutex_unlock(&lock);
    RTMP_Close(r);
    RTMP_Free(r);
    return NULL;
}

static void *accept_all(void *unused)
{
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        RTMP *r = RTMP_Alloc();
        RTMP_Init(r);
        r->m_sb.sb_socket = fd;
        check(!pthread_create(&thread, NULL, serve, r));
        pthread_detach(thread);
    }
    return unused;
}

struct share {
    RTMP *rtmp;
    int kind;
    unsigned seed;
};

static void *reader(void *argument)
{
    struct share *share = argument;
    RTMP *r = share->rtmp;
    char buffer[5000];
    RTMPPacket packet = { 0 };
    int got = TRUE;
    while (got > 0) {
        if (share->kind == 0) {
            got = RTMP_Read(r, buffer, sizeof buffer);
        } else if (share->kind == 1) {
            got = RTMP_GetNextMediaPacket(r, &packet);
            RTMPPacket_Free(&packet);
        } else if ((got = RTMP_ReadPacket(r, &packet)) && RTMPPacket_IsReady(&packet)) {
            RTMP_ClientPacket(r, &packet);
            RTMPPacket_Free(&packet);
        }
    }
    return NULL;
}

static void *publisher(void *argument)
{
    /* A tag, cut anywhere. */
    static const char tag[] = "\10\0\0\3\0\0\1\0\0\0\0abc\0\0\0\16";
    struct share *share = argument;
    int size = sizeof tag - 1, at = 0;
    for (;;) {
        int count = 1 + (int)((unsigned)rand_r(&share->seed) % (unsigned)(size - at));
        int used = RTMP_Write(share->rtmp, tag + at, count);
        if (used < 0)
            return NULL;
        if (!used)
            at = 0, used = RTMP_Write(share->rtmp, tag, size);
        at = used < 0 || at + used >= size ? 0 : at + used;
    }
}

static void *sender(void *argument)
{
    struct share *share = argument;
    RTMP *r = share->rtmp;
    for (int sent = TRUE; sent > 0;) {
        switch (share->kind ? (unsigned)rand_r(&share->seed) % 9 : 0) {
        case 0:
            sent = RTMP_SendSeek(r, 1000);
            break;
        case 1:
            sent = RTMP_SendPause(r, 1, 0);
            break;
        case 2:
            sent = RTMP_SendCtrl(r, 3, 1, 300);
            break;
        case 3:
            sent = RTMP_SendServerBW(r);
            break;
        case 4:
            sent = RTMP_SendClientBW(r);
            break;
        case 5:
            sent = RTMP_Pause(r, 0);
            break;
        case 6:
            sent = RTMP_SendCreateStream(r);
            break;
        case 7:
            sent = send_video(r, (unsigned)rand_r(&share->seed) % 100000, FALSE);
            break;
        default:
            sent = send_video(r, 0, TRUE);
        }
        RTMP_IsConnected(r);
        RTMP_IsTimedout(r);
        RTMP_GetDuration(r);
    }
    return NULL;
}

static void take(int level, const char *format, va_list arguments)
{
    char line[2048];
    (void)level;
    vsnprintf(line, sizeof line, format, arguments);
}

static void round_of(RTMP *r, unsigned *seed)
{
    char url[300];
    pthread_t threads[SENDERS + 2];
    struct share shares[SENDERS + 2];
    struct manners next = { rand_r(seed) % 2, rand_r(seed) % 3 == 0, rand_r(seed) % 60000, (unsigned)rand_r(seed) % 3 };
    pthread_mutex_lock(&lock);
    manners = next;
    pthread_mutex_unlock(&lock);
    int abort_after = next.ends == STAYS || rand_r(seed) % 4 == 0 ? rand_r(seed) % 60000 : -1, seeks = rand_r(seed) % 2;
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/app/stream%s%s", scheme, port, authority ? " tlsCA=" : "",
             authority ? authority : "");
    check(RTMP_SetupURL(r, url));
    r->Link.timeout = TIMEOUT;
    check(RTMP_Connect(r, NULL));
    for (int i = 0; i < SENDERS + 2; i++) {
        shares[i] = (struct share){ r, seeks ? 0 : i, (unsigned)rand_r(seed) };
        if (i == 0)
            shares[i].kind = rand_r(seed) % 3;
        check(!pthread_create(&threads[i], NULL, i == 0 ? reader : i == 1 ? publisher : sender, &shares[i]));
    }
    if (abort_after >= 0) {
        usleep((unsigned)abort_after);
        check(abort_session(r));
    }
    for (int i = 0; i < SENDERS + 2; i++)
        pthread_join(threads[i], NULL);
    RTMP_Close(r);
    pthread_mutex_lock(&lock);
    if (peer)
        abort_session(peer);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 7)
        return 2;
    scheme = argv[1];
    long end = now_us() + atol(argv[2]) * 1000;
    unsigned seed = (unsigned)strtoul(argv[3], NULL, 10);
    if (argc == 7) {
        authority = argv[6];
        context = RTMP_TLS_AllocServerContext(argv[4], argv[5]);
        check(context);
    }
#ifndef LINKED
    abort_session = (int (*)(RTMP *))dlsym(RTLD_DEFAULT, "RTMP_Abort");
    check(abort_session);
#endif
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    check(!bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 64));
    getsockname(listener, (struct sockaddr *)&address, &length);
    port = ntohs(address.sin_port);
    RTMP_LogSetCallback(take);
    RTMP_LogSetLevel(RTMP_LOGDEBUG);

    pthread_t accepting;
    check(!pthread_create(&accepting, NULL, accept_all, NULL));
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    int rounds = 0;
    do {
        round_of(r, &seed);
        rounds++;
    } while (now_us() < end);
    RTMP_Free(r);
    fprintf(stderr, "%d rounds\n", rounds);
    puts("done");
    fflush(stdout);
    _exit(0); /* Helpers of tunnels may be at their last replies. */
}
