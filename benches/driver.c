/*
 * Does one thing with librtmp, many times, and prints its cost. The dynamic linker decides which librtmp is used.
 *
 *   driver read|next|write|send|blocks URL chunk-size message-size total
 *   driver write-live|send-live URL chunk-size message-size total
 *   driver beside|beside-busy URL chunk-size message-size count
 *   driver connect URL at-once media-bytes count
 *   driver amf count
 *   driver recv|store PORT message-size total       without librtmp: what the socket alone costs
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include "measure.h"

static RTMP *open_session(const char *url, int publish, int stream)
{
    char *text = strdup(url);
    RTMP *rtmp = RTMP_Alloc();

    RTMP_Init(rtmp);
    rtmp->Link.timeout = 20;
    if (!RTMP_SetupURL(rtmp, text))
        fail("RTMP_SetupURL");
    if (publish)
        RTMP_EnableWrite(rtmp);
    if (!RTMP_Connect(rtmp, NULL))
        fail("RTMP_Connect");
    if (stream && !RTMP_ConnectStream(rtmp, 0))
        fail("RTMP_ConnectStream");
    return rtmp;
}

static void close_session(RTMP *rtmp)
{
    RTMP_Close(rtmp);
    RTMP_Free(rtmp);
}

static void read_stream(const char *url, double total)
{
    static char buffer[64 * 1024];
    RTMP *rtmp = open_session(url, 0, 1);
    struct moment start;
    double count = 0, messages = 0;

    if (RTMP_Read(rtmp, buffer, sizeof buffer) <= 0)
        fail("RTMP_Read");
    start = now();
    while (count < total) {
        int got = RTMP_Read(rtmp, buffer, sizeof buffer);
        if (got <= 0)
            fail("RTMP_Read");
        count += got;
        messages++;
    }
    report(start, count, messages);
    close_session(rtmp);
}

static void next_packets(const char *url, double total)
{
    RTMP *rtmp = open_session(url, 0, 1);
    RTMPPacket packet = {0};
    struct moment start = now();
    double count = 0, messages = 0;

    while (count < total) {
        if (RTMP_GetNextMediaPacket(rtmp, &packet) != 1)
            fail("RTMP_GetNextMediaPacket");
        count += packet.m_nBodySize;
        messages++;
        RTMPPacket_Free(&packet);
    }
    report(start, count, messages);
    close_session(rtmp);
}

static void request_chunk_size(RTMP *rtmp, int chunk_size)
{
    if (chunk_size != 128) {
        RTMPPacket packet = {0};
        char block[RTMP_MAX_HEADER_SIZE + 4];
        unsigned big = htonl((unsigned)chunk_size);

        packet.m_nChannel = 2;
        packet.m_packetType = 1;
        packet.m_nBodySize = 4;
        packet.m_body = block + RTMP_MAX_HEADER_SIZE;
        memcpy(packet.m_body, &big, 4);
        if (!RTMP_SendPacket(rtmp, &packet, FALSE))
            fail("RTMP_SendPacket");
        rtmp->m_outChunkSize = chunk_size;
    }
}

/* Publishes blocks of 64 kB that contain as many whole tags as fit. */
static void publish_blocks(const char *url, int chunk_size, unsigned size, double total)
{
    static unsigned char block[64 * 1024];
    RTMP *rtmp = open_session(url, 1, 1);
    struct moment start;
    double count = 0, messages = 0;
    size_t used = 0;
    unsigned tags = 0;

    request_chunk_size(rtmp, chunk_size);
    for (; used + size + 15 <= sizeof block; tags++)
        used += make_tag(block + used, size, tags);
    if (!tags)
        fail("fitting a tag into a block");
    start = now();
    while (count < total) {
        if (RTMP_Write(rtmp, (char *)block, (int)used) != (int)used)
            fail("RTMP_Write");
        count += (double)tags * size;
        messages += tags;
    }
    report(start, count, messages);
    close_session(rtmp);
}

static void publish(const char *url, int chunk_size, unsigned size, double total, int packets, int live)
{
    unsigned char *tag = malloc(size + 64);
    RTMP *rtmp = open_session(url, 1, 1);
    struct timespec pause = {0, 2000000};
    struct moment start;
    double count = 0, messages = 0;
    unsigned timestamp = 0;

    request_chunk_size(rtmp, chunk_size);
    start = now();
    while (count < total) {
        if (live)
            nanosleep(&pause, NULL);
        timestamp += 40;
        if (packets) {
            RTMPPacket packet = {0};

            packet.m_headerType = 1;
            packet.m_nChannel = 4;
            packet.m_packetType = 9;
            packet.m_nTimeStamp = timestamp;
            packet.m_nInfoField2 = rtmp->m_stream_id;
            packet.m_nBodySize = size;
            /* librtmp writes into the body, so it is created again. */
            if (timestamp == 40)
                make_tag(tag + RTMP_MAX_HEADER_SIZE - 11, size, timestamp);
            packet.m_body = (char *)tag + RTMP_MAX_HEADER_SIZE;
            if (!RTMP_SendPacket(rtmp, &packet, FALSE))
                fail("RTMP_SendPacket");
        } else {
            if (timestamp == 40)
                make_tag(tag, size, timestamp);
            tag[4] = (unsigned char)(timestamp >> 16), tag[5] = (unsigned char)(timestamp >> 8);
            tag[6] = (unsigned char)timestamp, tag[7] = (unsigned char)(timestamp >> 24);
            if (RTMP_Write(rtmp, (char *)tag, (int)size + 15) <= 0)
                fail("RTMP_Write");
        }
        count += size;
        messages++;
    }
    report(start, count, messages);
    close_session(rtmp);
    free(tag);
}

static void *read_on(void *rtmp)
{
    RTMPPacket packet = {0};

    while (RTMP_GetNextMediaPacket(rtmp, &packet) == 1)
        RTMPPacket_Free(&packet);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

/*
 * Sends a message each millisecond while another thread reads all that the peer sends; if `busy`, another process uses the CPU.
 */
static void send_beside(const char *url, unsigned size, int count, int busy)
{
    char *block = calloc(1, RTMP_MAX_HEADER_SIZE + size);
    double *waits = calloc((size_t)count, sizeof *waits);
    RTMP *rtmp = open_session(url, 0, 1);
    struct moment start = now();
    struct timespec pause = {0, 1000000}, before, after;
    pid_t worker = busy ? fork() : 0;
    pthread_t reader;
    int n;

    if (busy && !worker)
        for (volatile unsigned long n = 1;; n++)
            if (n % (1 << 20) == 0 && getppid() == 1)
                _exit(0);
    if (pthread_create(&reader, NULL, read_on, rtmp))
        fail("pthread_create");
    for (n = 0; n < count; n++) {
        RTMPPacket packet = {0};

        packet.m_headerType = 1;
        packet.m_nChannel = 4;
        packet.m_packetType = 8;
        packet.m_nTimeStamp = (unsigned)n;
        packet.m_nInfoField2 = rtmp->m_stream_id;
        packet.m_nBodySize = size;
        packet.m_body = block + RTMP_MAX_HEADER_SIZE;
        clock_gettime(CLOCK_MONOTONIC, &before);
        if (!RTMP_SendPacket(rtmp, &packet, FALSE))
            fail("RTMP_SendPacket");
        clock_gettime(CLOCK_MONOTONIC, &after);
        waits[n] = (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_nsec - before.tv_nsec) / 1e3;
        nanosleep(&pause, NULL);
    }
    if (worker > 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    /* librtmp's goodbye on a connection that was shut down raises it. */
    signal(SIGPIPE, SIG_IGN);
    shutdown(RTMP_Socket(rtmp), SHUT_RDWR);
    pthread_join(reader, NULL);
    qsort(waits, (size_t)count, sizeof *waits, compare);
    printf("{\"p999\":%.1f,\"worst\":%.1f}\n", waits[count - 1 - count / 1000], waits[count - 1]);
    report(start, count, count);
    close_session(rtmp);
    free(waits);
    free(block);
}

/* Reads `size` bytes of media, which is all that the peer sends, and tries once more without waiting, as event loops do. */
static void receive_all(RTMP *rtmp, double size)
{
    RTMPPacket packet = {0};
    int socket_fd = RTMP_Socket(rtmp), flags = fcntl(socket_fd, F_GETFL);
    double count = 0;

    while (count < size) {
        if (RTMP_GetNextMediaPacket(rtmp, &packet) != 1)
            fail("RTMP_GetNextMediaPacket");
        count += packet.m_nBodySize;
        RTMPPacket_Free(&packet);
    }
    fcntl(socket_fd, F_SETFL, flags | O_NONBLOCK);
    if (RTMP_GetNextMediaPacket(rtmp, &packet) == 1 || !RTMP_IsConnected(rtmp))
        fail("being idle");
    RTMPPacket_Free(&packet);
    fcntl(socket_fd, F_SETFL, flags);
}

/* Opens `at_once` connections, receives `size` bytes of media on each and closes them, `count` connections in total. */
static void connect_often(const char *url, int at_once, double size, int count)
{
    RTMP **sessions = calloc((size_t)at_once, sizeof *sessions);
    struct moment start;
    double before = 0;
    int done, n, first = at_once / 10;

    /* The first one, and to some degree the first tenth, sets up state that later ones reuse. */
    close_session(open_session(url, 0, 1));
    start = now();
    for (done = 0; done < count; done += at_once) {
        for (n = 0; n < at_once; n++) {
            if (n == first)
                before = resident();
            sessions[n] = open_session(url, 0, 1);
            if (size > 0)
                receive_all(sessions[n], size);
        }
        if (!done)
            printf("{\"resident\":%.0f}\n", (resident() - before) / (at_once - first));
        for (n = 0; n < at_once; n++)
            close_session(sessions[n]);
    }
    report(start, done, done);
    free(sessions);
}

#define NAME(text) { (char *)text, sizeof text - 1 }

static void encode_and_decode(int count)
{
    static const AVal app = NAME("app"), live = NAME("live"), version = NAME("flashVer"),
                      player = NAME("LNX 10,0,32,18"), url = NAME("tcUrl"), target = NAME("rtmp://localhost/live"),
                      fpad = NAME("fpad"), capabilities = NAME("capabilities"), audio = NAME("audioCodecs"),
                      video = NAME("videoCodecs"), function = NAME("videoFunction");
    struct moment start = now();
    int n;

    for (n = 0; n < count; n++) {
        char block[512], *end = block + sizeof block, *at = block;
        AMFObject object;
        int size;

        *at++ = AMF_OBJECT;
        at = AMF_EncodeNamedString(at, end, &app, &live);
        at = AMF_EncodeNamedString(at, end, &version, &player);
        at = AMF_EncodeNamedString(at, end, &url, &target);
        at = AMF_EncodeNamedBoolean(at, end, &fpad, 0);
        at = AMF_EncodeNamedNumber(at, end, &capabilities, 15);
        at = AMF_EncodeNamedNumber(at, end, &audio, 3191);
        at = AMF_EncodeNamedNumber(at, end, &video, 252);
        at = AMF_EncodeNamedNumber(at, end, &function, 1);
        if (!at || end - at < 3)
            fail("encoding");
        *at++ = 0, *at++ = 0, *at++ = AMF_OBJECT_END;
        size = (int)(at - block);
        if (AMF_Decode(&object, block, size, FALSE) != size || AMF_CountProp(&object) != 1)
            fail("AMF_Decode");
        AMF_Reset(&object);
    }
    report(start, count, count);
}

/* A socket like one of librtmp's. */
static int connect_to(const char *port)
{
    struct sockaddr_in address = {0};
    int socket_fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct timeval timeout = {20, 0};

    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return socket_fd;
}

static void raw(const char *port, size_t size, double total, int sends)
{
    int socket_fd = connect_to(port);
    char *buffer = malloc(size);
    struct moment start = now();
    double count = 0, calls = 0;

    memset(buffer, 0x55, size);
    while (count < total) {
        ssize_t done = sends ? send(socket_fd, buffer, size, MSG_NOSIGNAL) : recv(socket_fd, buffer, size, 0);
        if (done <= 0)
            fail(sends ? "send" : "recv");
        count += (double)done;
        calls++;
    }
    report(start, count, calls);
    close(socket_fd);
    free(buffer);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    RTMP_LogSetLevel(RTMP_LOGCRIT);
    if (!strcmp(what, "read") && argc == 6)
        read_stream(argv[2], atof(argv[5]));
    else if (!strcmp(what, "next") && argc == 6)
        next_packets(argv[2], atof(argv[5]));
    else if ((!strcmp(what, "write") || !strcmp(what, "send")) && argc == 6)
        publish(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), atof(argv[5]), !strcmp(what, "send"), 0);
    else if ((!strcmp(what, "write-live") || !strcmp(what, "send-live")) && argc == 6)
        publish(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), atof(argv[5]), !strcmp(what, "send-live"), 1);
    else if (!strcmp(what, "blocks") && argc == 6)
        publish_blocks(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), atof(argv[5]));
    else if ((!strcmp(what, "beside") || !strcmp(what, "beside-busy")) && argc == 6)
        send_beside(argv[2], (unsigned)atoi(argv[4]), atoi(argv[5]), !strcmp(what, "beside-busy"));
    else if (!strcmp(what, "connect") && argc == 6)
        connect_often(argv[2], atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    else if (!strcmp(what, "amf"))
        encode_and_decode(atoi(argv[2]));
    else if ((!strcmp(what, "recv") || !strcmp(what, "store")) && argc == 5)
        raw(argv[2], (size_t)atol(argv[3]), atof(argv[4]), !strcmp(what, "store"));
    else
        fail("reading the arguments");
    return 0;
}
