/* Several threads and one session: `threads URL_SCHEME SESSIONS MESSAGES [CERTIFICATE KEY AUTHORITY]`.
 *
 * A server in this process sends back each message. Of each client session one thread sends, one receives, some messages
 * whole and some by the chunk, and when all has arrived, both continue until a third one aborts the session. Then it connects
 * again and is closed. Meanwhile another thread changes the level of the log and where it goes. SIGPIPE is left as it is: it
 * would end the program.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static const char *scheme, *certificate, *key, *authority;
static int listener, messages, logging;
static unsigned short port;
static void *context;

struct client {
    RTMP *rtmp;
    char url[256];
    pthread_t thread;
    sem_t all_arrived;
};

static unsigned size_of(unsigned number)
{
    static const unsigned sizes[] = { 4, 127, 129, 4096, 16384, 70000 };
    return sizes[number % (sizeof sizes / sizeof sizes[0])];
}

static void fill(unsigned char *body, unsigned number)
{
    unsigned size = size_of(number);
    for (unsigned i = 0; i < size; i++)
        body[i] = (unsigned char)(number * 31 + i * 7);
}

static int send_number(RTMP *r, unsigned number)
{
    static __thread unsigned char body[70000];
    RTMPPacket packet = { .m_headerType = RTMP_PACKET_SIZE_LARGE, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nChannel = 4 };
    fill(body, number);
    packet.m_body = (char *)body;
    packet.m_nBodySize = size_of(number);
    packet.m_nTimeStamp = number;
    return RTMP_SendPacket(r, &packet, FALSE);
}

/* Sends everything, and then until that fails. */
static void *sender(void *argument)
{
    struct client *client = argument;
    for (int i = 0; i < messages; i++)
        check(send_number(client->rtmp, (unsigned)i));
    while (send_number(client->rtmp, 0))
        usleep(200);
    return NULL;
}

static void *receiver(void *argument)
{
    static __thread unsigned char expected[70000];
    struct client *client = argument;
    int next = 0;
    RTMPPacket packet = { 0 };
    for (unsigned turn = 0;; turn++) {
        int got = turn / 50 % 2 ? RTMP_ReadPacket(client->rtmp, &packet) : RTMP_GetNextMediaPacket(client->rtmp, &packet);
        if (!got)
            break;
        if (!RTMPPacket_IsReady(&packet) || packet.m_packetType != RTMP_PACKET_TYPE_VIDEO || next >= messages) {
            RTMPPacket_Free(&packet);
            continue;
        }
        fill(expected, (unsigned)next);
        check(packet.m_nBodySize == size_of((unsigned)next) && packet.m_nTimeStamp == (uint32_t)next);
        check(!memcmp(packet.m_body, expected, packet.m_nBodySize));
        RTMPPacket_Free(&packet);
        if (++next == messages)
            sem_post(&client->all_arrived);
    }
    check(next == messages);
    return NULL;
}

static int connect_client(struct client *client)
{
    RTMP *r = client->rtmp;
    snprintf(client->url, sizeof client->url, "%s://127.0.0.1:%d/app/stream%s%s", scheme, port,
             authority ? " tlsCA=" : "", authority ? authority : "");
    if (!RTMP_SetupURL(r, client->url))
        return FALSE;
    r->Link.timeout = 60;
    return RTMP_Connect(r, NULL);
}

static void *run_client(void *argument)
{
    struct client *client = argument;
    pthread_t sending, receiving;
    client->rtmp = RTMP_Alloc();
    RTMP_Init(client->rtmp);
    sem_init(&client->all_arrived, 0, 0);
    check(connect_client(client));
    check(!pthread_create(&receiving, NULL, receiver, client));
    check(!pthread_create(&sending, NULL, sender, client));
    sem_wait(&client->all_arrived);
    check(RTMP_IsConnected(client->rtmp));
    check(abort_session(client->rtmp));
    pthread_join(sending, NULL);
    pthread_join(receiving, NULL);
    check(!RTMP_IsConnected(client->rtmp));
    check(!RTMP_Connect(client->rtmp, NULL));
    RTMP_Close(client->rtmp);
    check(connect_client(client));
    RTMP_Close(client->rtmp);
    RTMP_Free(client->rtmp);
    return NULL;
}

/* Sends back what comes, in the size of chunks in which it came. */
static void *serve(void *argument)
{
    RTMP *r = argument;
    RTMPPacket packet = { 0 };
    r->Link.timeout = 60;
    if ((!context || RTMP_TLS_Accept(r, context)) && RTMP_Serve(r)) {
        while (RTMP_ReadPacket(r, &packet)) {
            int sent = TRUE;
            if (RTMPPacket_IsReady(&packet) && packet.m_packetType == RTMP_PACKET_TYPE_VIDEO) {
                packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
                sent = RTMP_SendPacket(r, &packet, FALSE);
            }
            if (RTMPPacket_IsReady(&packet))
                RTMPPacket_Free(&packet);
            if (!sent)
                break;
        }
    }
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

static void take(int level, const char *format, va_list arguments)
{
    char line[2048];
    (void)level;
    vsnprintf(line, sizeof line, format, arguments);
}

static void *change_log(void *unused)
{
    while (__atomic_load_n(&logging, __ATOMIC_RELAXED)) {
        RTMP_LogSetCallback(take);
        RTMP_LogSetLevel(RTMP_LOGDEBUG);
        usleep(300);
        RTMP_LogSetLevel(RTMP_LOGCRIT);
        RTMP_LogSetCallback(NULL);
        usleep(300);
    }
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 7)
        return 2;
    scheme = argv[1];
    int sessions = atoi(argv[2]);
    messages = atoi(argv[3]);
    if (argc == 7) {
        certificate = argv[4], key = argv[5], authority = argv[6];
        context = RTMP_TLS_AllocServerContext(certificate, key);
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
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    logging = 1;

    pthread_t accepting, changing;
    struct client *clients = calloc((size_t)sessions, sizeof *clients);
    check(!pthread_create(&accepting, NULL, accept_all, NULL));
    check(!pthread_create(&changing, NULL, change_log, NULL));
    for (int i = 0; i < sessions; i++)
        check(!pthread_create(&clients[i].thread, NULL, run_client, &clients[i]));
    for (int i = 0; i < sessions; i++)
        pthread_join(clients[i].thread, NULL);
    __atomic_store_n(&logging, 0, __ATOMIC_RELAXED);
    pthread_join(changing, NULL);
    free(clients);
    printf("%d sessions\n", sessions);
    fflush(stdout);
    _exit(0); /* Servers may be at their last messages. */
}
