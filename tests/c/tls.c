/*
 * A TLS server and its clients in one process.
 *
 *   tls echo <certificate> <key> <authority> <clients> <kilobytes>
 *     Clients send messages in one thread and receive them back in another, which waits with select() when sb_size is 0.
 *   tls refuse <certificate> <key> <options>
 *     One client that is expected to refuse the server's certificate.
 *   tls silence <certificate> <key> <authority>
 *     A server that is silent for longer than the client waits, and then continues; in the end both use RTMPSockBuf_*.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* Exported, but in no header. */
extern void *RTMP_TLS_ctx;

#define CHUNK_SIZE 4096
#define SECONDS 20

static void *context;
static int listener;
static unsigned short port;
static sem_t go_on;

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

struct client {
    RTMP *rtmp;
    size_t bytes;
};

/* Sizes around those of records, buffers and chunks. */
static unsigned size_of(unsigned number)
{
    static const unsigned sizes[] = {1, 127, 4096, 4097, 16370, 16383, 16384, 16385, 40000, 131072, 5};
    return sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
}

static unsigned char byte_of(unsigned number, unsigned place)
{
    return (unsigned char)(number * 31 + place * 7 + (place >> 8));
}

/* Reads messages of the wanted type; the others are dropped. */
static int read_message(RTMP *rtmp, RTMPPacket *packet, int type, int use_select)
{
    for (;;) {
        if (use_select && rtmp->m_sb.sb_size == 0) {
            struct timeval limit = {SECONDS, 0};
            fd_set set;
            FD_ZERO(&set);
            FD_SET(RTMP_Socket(rtmp), &set);
            check(select(RTMP_Socket(rtmp) + 1, &set, NULL, NULL, &limit) == 1);
        }
        if (!RTMP_ReadPacket(rtmp, packet))
            return 0;
        if (!RTMPPacket_IsReady(packet))
            continue;
        if (packet->m_packetType == type)
            return 1;
        RTMPPacket_Free(packet);
    }
}

static void *serve(void *argument)
{
    int socket = (int)(long)argument;
    RTMP *rtmp = RTMP_Alloc();
    RTMPPacket packet;

    memset(&packet, 0, sizeof(packet));
    RTMP_Init(rtmp);
    rtmp->m_sb.sb_socket = socket;
    rtmp->Link.timeout = SECONDS;
    if (RTMP_TLS_Accept(rtmp, context)) {
        check(rtmp->m_sb.sb_ssl != NULL);
        check(RTMP_Serve(rtmp));
        check(read_message(rtmp, &packet, RTMP_PACKET_TYPE_INVOKE, 1));
        RTMPPacket_Free(&packet);
        rtmp->m_inChunkSize = rtmp->m_outChunkSize = CHUNK_SIZE;
        while (read_message(rtmp, &packet, RTMP_PACKET_TYPE_VIDEO, 0)) {
            packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
            check(RTMP_SendPacket(rtmp, &packet, 0));
            RTMPPacket_Free(&packet);
        }
    }
    RTMP_Close(rtmp);
    check(rtmp->m_sb.sb_ssl == NULL);
    check(rtmp->m_sb.sb_socket == -1);
    RTMP_Free(rtmp);
    return NULL;
}

static void *accept_clients(void *argument)
{
    int left = *(int *)argument;
    pthread_t threads[16];
    int count = 0;

    for (; count < left; count++) {
        int socket = accept(listener, NULL, NULL);
        check(socket >= 0);
        check(pthread_create(&threads[count], NULL, serve, (void *)(long)socket) == 0);
    }
    while (count > 0)
        check(pthread_join(threads[--count], NULL) == 0);
    return NULL;
}

static void *send_all(void *argument)
{
    struct client *client = argument;
    size_t sent = 0;
    unsigned number;

    for (number = 0; sent < client->bytes; number++) {
        RTMPPacket packet;
        unsigned place;
        unsigned size = size_of(number);

        memset(&packet, 0, sizeof(packet));
        check(RTMPPacket_Alloc(&packet, size));
        for (place = 0; place < size; place++)
            packet.m_body[place] = (char)byte_of(number, place);
        packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
        packet.m_nChannel = 6;
        packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
        packet.m_nBodySize = size;
        packet.m_nTimeStamp = number;
        check(RTMP_SendPacket(client->rtmp, &packet, 0));
        RTMPPacket_Free(&packet);
        sent += size;
    }
    return NULL;
}

static int connect_to_server(RTMP *rtmp, const char *options, char *url, size_t room)
{
    RTMP_Init(rtmp);
    check(RTMP_TLS_ctx != NULL);
    snprintf(url, room, "rtmps://localhost:%d/app/stream timeout=%d %s", port, SECONDS, options);
    check(RTMP_SetupURL(rtmp, url));
    return RTMP_Connect(rtmp, NULL);
}

static void *run_client(void *argument)
{
    struct client *client = argument;
    RTMP *rtmp = client->rtmp;
    RTMPPacket packet;
    pthread_t sender;
    size_t received = 0;
    unsigned number;

    memset(&packet, 0, sizeof(packet));
    rtmp->m_inChunkSize = rtmp->m_outChunkSize = CHUNK_SIZE;
    /* An acknowledgement would wait for the sender, which waits for the server, which waits for us to read. */
    rtmp->m_bSendCounter = 0;
    check(pthread_create(&sender, NULL, send_all, client) == 0);
    for (number = 0; received < client->bytes; number++) {
        unsigned place;

        check(read_message(rtmp, &packet, RTMP_PACKET_TYPE_VIDEO, 1));
        check(packet.m_nBodySize == size_of(number));
        check(packet.m_nTimeStamp == number);
        for (place = 0; place < packet.m_nBodySize; place++)
            check((unsigned char)packet.m_body[place] == byte_of(number, place));
        received += packet.m_nBodySize;
        RTMPPacket_Free(&packet);
    }
    check(pthread_join(sender, NULL) == 0);
    check(rtmp->m_sb.sb_size == 0);
    return NULL;
}

#define RAW 100000

static void *serve_after_silence(void *argument)
{
    int socket = accept(listener, NULL, NULL);
    RTMP *rtmp = RTMP_Alloc();
    RTMPPacket packet;
    char *bytes = malloc(RAW);
    int sent = 0;
    unsigned place;

    (void)argument;
    check(socket >= 0);
    memset(&packet, 0, sizeof(packet));
    RTMP_Init(rtmp);
    rtmp->m_sb.sb_socket = socket;
    check(RTMP_TLS_Accept(rtmp, context));
    check(RTMP_Serve(rtmp));
    check(read_message(rtmp, &packet, RTMP_PACKET_TYPE_INVOKE, 1));
    RTMPPacket_Free(&packet);

    sem_wait(&go_on);
    check(RTMPPacket_Alloc(&packet, 5));
    memcpy(packet.m_body, "media", 5);
    packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
    packet.m_nChannel = 6;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_nBodySize = 5;
    check(RTMP_SendPacket(rtmp, &packet, 0));
    RTMPPacket_Free(&packet);

    sem_wait(&go_on);
    for (place = 0; place < RAW; place++)
        bytes[place] = (char)byte_of(1, place);
    while (sent < RAW) {
        int count = RTMPSockBuf_Send(&rtmp->m_sb, bytes + sent, RAW - sent);
        check(count > 0);
        sent += count;
    }
    check(RTMPSockBuf_Close(&rtmp->m_sb) == 0);
    check(rtmp->m_sb.sb_ssl == NULL);
    rtmp->m_sb.sb_socket = -1;
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    free(bytes);
    return NULL;
}

static int silence(const char *authority)
{
    RTMP *rtmp = RTMP_Alloc();
    RTMPSockBuf *sb = &rtmp->m_sb;
    RTMPPacket packet;
    char options[512], url[1024];
    pthread_t server;
    unsigned received = 0;

    memset(&packet, 0, sizeof(packet));
    sem_init(&go_on, 0, 0);
    check(pthread_create(&server, NULL, serve_after_silence, NULL) == 0);
    snprintf(options, sizeof(options), "tlsCA=%s timeout=1", authority);
    check(connect_to_server(rtmp, options, url, sizeof(url)));

    check(!RTMP_ReadPacket(rtmp, &packet));
    check(RTMP_IsTimedout(rtmp));
    check(RTMP_IsConnected(rtmp));
    check(sb->sb_ssl != NULL);
    check(sb->sb_size == 0);
    sem_post(&go_on);
    check(read_message(rtmp, &packet, RTMP_PACKET_TYPE_VIDEO, 1));
    check(!RTMP_IsTimedout(rtmp));
    check(packet.m_nBodySize == 5 && memcmp(packet.m_body, "media", 5) == 0);
    RTMPPacket_Free(&packet);

    check(sb->sb_size == 0);
    check(RTMPSockBuf_Fill(sb) == 0);
    check(sb->sb_timedout == 1);
    sb->sb_timedout = 0;
    sem_post(&go_on);
    for (;;) {
        int count = RTMPSockBuf_Fill(sb);
        int i;

        if (count == 0 && !sb->sb_timedout)
            break;
        check(count > 0 && count == sb->sb_size);
        for (i = 0; i < count; i++)
            check((unsigned char)sb->sb_start[i] == byte_of(1, received + i));
        received += count;
        sb->sb_size = 0;
    }
    check(received == RAW);
    RTMP_Close(rtmp);
    check(sb->sb_ssl == NULL);
    RTMP_Free(rtmp);
    check(pthread_join(server, NULL) == 0);
    printf("heard\n");
    return 0;
}

static void listen_on_loopback(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    check(listener >= 0);
    check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    check(listen(listener, 16) == 0);
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    port = ntohs(address.sin_port);
}

static int echo(const char *authority, int count, size_t bytes)
{
    struct client clients[16];
    char urls[16][1024];
    char options[512];
    pthread_t server, threads[16];
    int i;

    check(count > 0 && count <= 16);
    snprintf(options, sizeof(options), "tlsCA=%s", authority);
    check(pthread_create(&server, NULL, accept_clients, &count) == 0);
    for (i = 0; i < count; i++) {
        clients[i].rtmp = RTMP_Alloc();
        clients[i].bytes = bytes;
        check(connect_to_server(clients[i].rtmp, options, urls[i], sizeof(urls[i])));
        check(clients[i].rtmp->m_sb.sb_ssl != NULL);
    }
    /* Sessions keep what they need of it. */
    for (i = 0; i < count; i++)
        check(pthread_create(&threads[i], NULL, run_client, &clients[i]) == 0);
    for (i = 0; i < count; i++) {
        check(pthread_join(threads[i], NULL) == 0);
        RTMP_Close(clients[i].rtmp);
        check(clients[i].rtmp->m_sb.sb_ssl == NULL);
        RTMP_Close(clients[i].rtmp);
        RTMP_Free(clients[i].rtmp);
    }
    check(pthread_join(server, NULL) == 0);
    printf("%d clients\n", count);
    return 0;
}

static int refuse(const char *options)
{
    RTMP *rtmp = RTMP_Alloc();
    char url[1024];
    pthread_t server;
    int count = 1;
    int connected;

    check(pthread_create(&server, NULL, accept_clients, &count) == 0);
    connected = connect_to_server(rtmp, options, url, sizeof(url));
    check(connected == (rtmp->m_sb.sb_ssl != NULL));
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
    check(pthread_join(server, NULL) == 0);
    printf("%s\n", connected ? "accepted" : "refused");
    return 0;
}

int main(int argc, char **argv)
{
    int result;

    RTMP_LogSetLevel(RTMP_LOGWARNING);
    check(argc >= 4);
    check(RTMP_TLS_AllocServerContext(NULL, argv[3]) == NULL);
    check(RTMP_TLS_AllocServerContext(argv[2], NULL) == NULL);
    check(RTMP_TLS_AllocServerContext(argv[2], "/nonexistent") == NULL);
    RTMP_TLS_FreeServerContext(NULL);
    check(!RTMP_TLS_Accept(NULL, NULL));
    context = RTMP_TLS_AllocServerContext(argv[2], argv[3]);
    check(context != NULL);
    listen_on_loopback();
    if (argc == 7 && strcmp(argv[1], "echo") == 0) {
        result = echo(argv[4], atoi(argv[5]), (size_t)atol(argv[6]) * 1024);
    } else if (argc == 5 && strcmp(argv[1], "silence") == 0) {
        result = silence(argv[4]);
    } else {
        check(strcmp(argv[1], "refuse") == 0);
        result = refuse(argc > 4 ? argv[4] : "");
    }
    RTMP_TLS_FreeServerContext(context);
    close(listener);
    return result;
}
