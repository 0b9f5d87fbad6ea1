/* floods MODE TIMEOUT ROOM SESSIONS ARGUMENT...: clients and servers whose peers may send without end. Says of each call how
 * it ended, how long it took in milliseconds, whether time was up, and why it failed; then by how much the memory grew, in
 * kilobytes. There are only ROOM megabytes of address space more than the program needs to start.
 *
 * read, media, packets, leave URL: connect and read in one of three ways, for twice the timeout if calls return, or publish
 * nothing and close. fetch, swf URL: HTTP.
 * accept, serve, pour [CERT KEY]: say "port NUMBER" and wait for clients, over TLS if there is a certificate; accept ends with
 * the TLS handshake, serve reads, and pour sends and never reads. Each session has a thread. These end when SESSIONS clients
 * have come and gone. */
#include <arpa/inet.h>
#include <errno.h>
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SESSIONS = 64, STACK = 512 << 10, BODY = 65536 };

static const char *mode, *url;
static int timeout;
static void *context;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void say(const char *what, long result, double since, RTMP *r)
{
    printf("%s %ld %.0f %s %d\n", what, result, now() - since, RTMP_IsTimedout(r) ? "timedout" : "-",
           RTMP_GetLastError(r));
    fflush(stdout);
}

/* A line of /proc/self/status, in kilobytes. */
static long status(const char *name)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atol(line + strlen(name));
    if (file)
        fclose(file);
    return value;
}

static int is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void read_all(RTMP *r)
{
    static __thread char bytes[65536];
    double began = now(), since;
    long count;
    do {
        since = now();
        count = RTMP_Read(r, bytes, sizeof bytes);
    } while (count > 0 && now() - began < 2e3 * timeout);
    say("read", count, since, r);
}

static void read_packets(RTMP *r, int media)
{
    RTMPPacket packet = { 0 };
    double began = now(), since;
    int count;
    do {
        since = now();
        count = media ? RTMP_GetNextMediaPacket(r, &packet) : RTMP_ReadPacket(r, &packet);
        if (count > 0 && (media || RTMPPacket_IsReady(&packet))) {
            if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE && packet.m_nBodySize == 4)
                r->m_inChunkSize = (int)AMF_DecodeInt32(packet.m_body);
            RTMPPacket_Free(&packet);
        }
    } while (count == 1 && now() - began < 2e3 * timeout);
    say(media ? "media" : "packet", count, since, r);
    RTMPPacket_Free(&packet);
}

/* Sends until the peer takes no more. */
static void pour(RTMP *r)
{
    static char block[RTMP_MAX_HEADER_SIZE + BODY];
    RTMPPacket packet = { .m_nChannel = 6, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nInfoField2 = 1 };
    packet.m_nBodySize = BODY;
    packet.m_body = block + RTMP_MAX_HEADER_SIZE;
    double since = now();
    while (RTMP_SendPacket(r, &packet, FALSE))
        since = now();
    say("send", 0, since, r);
}

static void *client(void *unused)
{
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    char *copy = strdup(url);
    int ok = RTMP_SetupURL(r, copy);
    r->Link.timeout = timeout;
    if (is("leave"))
        RTMP_EnableWrite(r);
    double since = now();
    ok = ok && RTMP_Connect(r, NULL);
    say("connect", ok, since, r);
    if (ok) {
        since = now();
        ok = RTMP_ConnectStream(r, 0);
        say("stream", ok, since, r);
    }
    if (ok && is("read"))
        read_all(r);
    else if (ok && !is("leave"))
        read_packets(r, is("media"));
    since = now();
    RTMP_Close(r);
    say("close", 0, since, r);
    RTMP_Free(r);
    free(copy);
    return unused;
}

static size_t take(void *bytes, size_t size, size_t count, void *unused)
{
    (void)bytes, (void)unused;
    return size * count;
}

static void *fetch(void *unused)
{
    char date[64] = "";
    struct HTTP_ctx http = { .date = date };
    unsigned char hash[32];
    unsigned int size = 0;
    RTMP none = { 0 };
    double since = now();
    int result = is("fetch") ? (int)HTTP_get(&http, url, take) : RTMP_HashSWF(url, &size, hash, 0);
    say(mode, result, since, &none);
    return unused;
}

static void *session(void *argument)
{
    struct timeval limit = { .tv_sec = timeout };
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    r->Link.timeout = timeout;
    r->m_sb.sb_socket = (int)(long)argument;
    setsockopt(r->m_sb.sb_socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(r->m_sb.sb_socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    double since = now();
    int ok = 1;
    if (context) {
        ok = RTMP_TLS_Accept(r, context);
        say("accept", ok, since, r);
    }
    if (ok && !is("accept")) {
        since = now();
        ok = RTMP_Serve(r);
        say("serve", ok, since, r);
        if (ok && is("serve"))
            read_packets(r, 0);
        else if (ok)
            pour(r);
    }
    RTMP_Close(r);
    RTMP_Free(r);
    return NULL;
}

/* Waits until so many clients have come, and until they have gone. */
static void wait_for_clients(pthread_t *threads, int count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), come = 0;
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0)
        exit(2);
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    while (come < count) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd == -1 && (errno == EMFILE || errno == ENFILE)) {
            usleep(10000);
            continue;
        }
        if (fd == -1 || pthread_create(&thread, &attributes, session, (void *)(long)fd) != 0)
            exit(3);
        if (count <= MOST_SESSIONS)
            threads[come] = thread;
        else
            pthread_detach(thread);
        come++;
    }
    for (int i = 0; i < come && count <= MOST_SESSIONS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    static pthread_t threads[MOST_SESSIONS];
    if (argc < 5)
        return 2;
    mode = argv[1];
    timeout = atoi(argv[2]);
    long room = atol(argv[3]), sessions = atol(argv[4]);
    url = argc > 5 ? argv[5] : "";
    signal(SIGPIPE, SIG_IGN);
    RTMP_LogSetLevel(RTMP_LOGERROR);
    int serves = is("serve") || is("accept") || is("pour");
    if (serves && argc > 6 && !(context = RTMP_TLS_AllocServerContext(argv[5], argv[6])))
        return 2;
    long before = status("VmHWM:");
    if (room > 0) {
        struct rlimit limit = { .rlim_cur = (rlim_t)(status("VmSize:") * 1024 + room * 1048576) };
        limit.rlim_max = limit.rlim_cur;
        setrlimit(RLIMIT_AS, &limit);
    }
    if (serves) {
        wait_for_clients(threads, (int)sessions);
    } else {
        void *(*run)(void *) = is("fetch") || is("swf") ? fetch : client;
        for (long i = 0; i < sessions && i < MOST_SESSIONS; i++)
            if (pthread_create(&threads[i], NULL, run, NULL) != 0)
                return 3;
        for (long i = 0; i < sessions && i < MOST_SESSIONS; i++)
            pthread_join(threads[i], NULL);
    }
    printf("peak %ld\n", status("VmHWM:") - before);
    RTMP_TLS_FreeServerContext(context);
    return 0;
}
