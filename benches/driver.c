/*
 * Does one thing with librtmp, many times, and prints its cost. The dynamic linker decides which librtmp is used.
 *
 *   driver read|next|write|send|blocks URL chunk-size message-size total
 *   driver write-live|send-live|write-live-steps URL chunk-size message-size total
 *   driver write-stream|write-stream-steps URL chunk-size message-size count
 *   driver read-steps URL chunk-size message-size total
 *   driver beside|beside-busy URL chunk-size message-size count
 *   driver arrival|arrival-beside|departure URL chunk-size message-size count
 *   driver connect URL at-once media-bytes count
 *   driver amf count
 *   driver recv|recv-steps|store PORT message-size total         without librtmp: what the socket alone costs
 *   driver store-live|store-live-steps PORT message-size total
 *   driver store-stream|store-stream-steps PORT message-size count
 *   driver beside|beside-busy|arrival|arrival-beside|departure PORT message-size count
 *
 * The works that end with -steps use librtmp/loop.h if the library has it, and otherwise wait in their calls.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>

#include "measure.h"

/* librtmp 2.4 does not have them. */
#pragma weak RTMP_SetNonBlocking
#pragma weak RTMP_GetPollFds
#pragma weak RTMP_GetPollTimeout
#pragma weak RTMP_Step
#pragma weak RTMP_GetLastError

static RTMP *set_up(const char *url, int publish)
{
    char *text = strdup(url);
    RTMP *rtmp = RTMP_Alloc();

    RTMP_Init(rtmp);
    rtmp->Link.timeout = 20;
    if (!RTMP_SetupURL(rtmp, text))
        fail("RTMP_SetupURL");
    if (publish)
        RTMP_EnableWrite(rtmp);
    return rtmp;
}

static RTMP *open_session(const char *url, int publish, int stream)
{
    RTMP *rtmp = set_up(url, publish);

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

/* Waits for an event of a session that does not wait, at most until `until`; returns the result of RTMP_Step. */
static int step(RTMP *rtmp, const struct timespec *until)
{
    struct pollfd fds[4];
    struct timespec clock, left = {0, 0};
    int count = RTMP_GetPollFds(rtmp, fds, 4), limit = RTMP_GetPollTimeout(rtmp), state;
    long long nanoseconds = limit < 0 ? 1000000000LL : limit * 1000000LL, rest = nanoseconds;

    if (until) {
        clock_gettime(CLOCK_MONOTONIC, &clock);
        rest = (until->tv_sec - clock.tv_sec) * 1000000000LL + (until->tv_nsec - clock.tv_nsec);
    }
    if (rest < nanoseconds)
        nanoseconds = rest < 0 ? 0 : rest;
    left.tv_sec = nanoseconds / 1000000000LL;
    left.tv_nsec = nanoseconds % 1000000000LL;
    if (ppoll(fds, (nfds_t)count, &left, NULL) == 0 && nanoseconds == rest && until)
        return 0;
    state = RTMP_Step(rtmp);
    if (state & RTMP_STEP_FAILED)
        fail("RTMP_Step");
    return state;
}

/* As open_session, by steps if the library has them: no call of the session waits. */
static RTMP *open_stepping_session(const char *url, int publish)
{
    RTMP *rtmp;

    if (!RTMP_Step)
        return open_session(url, publish, 1);
    rtmp = set_up(url, publish);
    if (!RTMP_SetNonBlocking(rtmp, 1))
        fail("RTMP_SetNonBlocking");
    if (!RTMP_Connect(rtmp, NULL) && RTMP_GetLastError(rtmp) != RTMP_ERR_AGAIN)
        fail("RTMP_Connect");
    while (!(step(rtmp, NULL) & RTMP_STEP_CONNECTED))
        ;
    while (!RTMP_ConnectStream(rtmp, 0)) {
        if (RTMP_GetLastError(rtmp) != RTMP_ERR_AGAIN)
            fail("RTMP_ConnectStream");
        step(rtmp, NULL);
    }
    return rtmp;
}

static void read_by_steps(const char *url, double total)
{
    static char buffer[64 * 1024];
    RTMP *rtmp = open_stepping_session(url, 0);
    struct moment start = now();
    double count = 0, messages = 0;
    int got;

    while (count < total) {
        if (RTMP_Step && !(step(rtmp, NULL) & (RTMP_STEP_READABLE | RTMP_STEP_CLOSED)))
            continue;
        while (count < total && (got = RTMP_Read(rtmp, buffer, sizeof buffer)) > 0) {
            count += got;
            messages++;
            if (!RTMP_Step)
                break;
        }
        if (got == 0 || (got < 0 && (!RTMP_Step || RTMP_GetLastError(rtmp) != RTMP_ERR_AGAIN)))
            fail("RTMP_Read");
    }
    report(start, count, messages);
    close_session(rtmp);
}

/* How a publisher passes messages, and when. */
enum { BY_PACKETS = 1, LIVE = 2, STREAM = 4, BY_STEPS = 8 };

/* Sleeps until `due`. A session that does not wait is served meanwhile: a publisher, too, has to read. */
static void sleep_until(RTMP *rtmp, const struct timespec *due, int how)
{
    RTMPPacket packet = {0};
    struct timespec clock;

    if (!(how & BY_STEPS) || !RTMP_Step) {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
        return;
    }
    do {
        if (step(rtmp, due) & RTMP_STEP_READABLE) {
            while (RTMP_GetNextMediaPacket(rtmp, &packet) == 1)
                RTMPPacket_Free(&packet);
            if (RTMP_GetLastError(rtmp) != RTMP_ERR_AGAIN)
                fail("RTMP_GetNextMediaPacket");
        }
        clock_gettime(CLOCK_MONOTONIC, &clock);
    } while (clock.tv_sec < due->tv_sec || (clock.tv_sec == due->tv_sec && clock.tv_nsec < due->tv_nsec));
}

static void add(struct timespec *moment, long long nanoseconds)
{
    nanoseconds += moment->tv_nsec;
    moment->tv_sec += nanoseconds / 1000000000LL;
    moment->tv_nsec = nanoseconds % 1000000000LL;
}

/* Messages of `size` bytes: as fast as possible, one every 2 ms (LIVE), or as a live stream (STREAM), with 25 video messages of
 * `size` bytes and 43 audio messages of SOUND bytes a second. */
struct pace {
    struct timespec begun, due;
    unsigned videos, sounds;
};

enum { SOUND = 350 };

static struct pace start_pace(void)
{
    struct pace pace = {0};

    clock_gettime(CLOCK_MONOTONIC, &pace.begun);
    pace.due = pace.begun;
    return pace;
}

/* Returns the length of the next message, and sets `due`. */
static unsigned next_length(struct pace *pace, unsigned size, int how)
{
    long long video = pace->videos * 1000000000LL / 25, audio = pace->sounds * 1000000000LL / 43;

    if (how & LIVE)
        add(&pace->due, 2000000);
    if (!(how & STREAM))
        return size;
    pace->due = pace->begun;
    add(&pace->due, audio < video ? audio : video);
    if (audio < video)
        pace->sounds++;
    else
        pace->videos++;
    return audio < video ? SOUND : size;
}

/* Publishes at this pace. With STREAM, `total` is the number of messages, and otherwise of their bytes. */
static void publish(const char *url, int chunk_size, unsigned size, double total, int how)
{
    unsigned char *tag = malloc(size + 64), sound[SOUND + 15];
    RTMP *rtmp = how & BY_STEPS ? open_stepping_session(url, 1) : open_session(url, 1, 1);
    struct moment start;
    struct pace pace;
    double count = 0, messages = 0;

    request_chunk_size(rtmp, chunk_size);
    make_tag(how & BY_PACKETS ? tag + RTMP_MAX_HEADER_SIZE - 11 : tag, size, 0);
    make_tag(sound, SOUND, 0);
    sound[0] = 8;
    start = now();
    pace = start_pace();
    while ((how & STREAM ? messages : count) < total) {
        unsigned length = next_length(&pace, size, how), timestamp = 40 * (unsigned)(messages + 1);
        unsigned char *next = length == size ? tag : sound;

        if (how & STREAM)
            timestamp = (unsigned)((pace.due.tv_sec - pace.begun.tv_sec) * 1000 + (pace.due.tv_nsec - pace.begun.tv_nsec) / 1000000);
        if (how & (LIVE | STREAM))
            sleep_until(rtmp, &pace.due, how);
        if (how & BY_PACKETS) {
            RTMPPacket packet = {0};

            packet.m_headerType = 1;
            packet.m_nChannel = 4;
            packet.m_packetType = 9;
            packet.m_nTimeStamp = timestamp;
            packet.m_nInfoField2 = rtmp->m_stream_id;
            packet.m_nBodySize = size;
            packet.m_body = (char *)tag + RTMP_MAX_HEADER_SIZE;
            if (!RTMP_SendPacket(rtmp, &packet, FALSE))
                fail("RTMP_SendPacket");
        } else {
            next[4] = (unsigned char)(timestamp >> 16), next[5] = (unsigned char)(timestamp >> 8);
            next[6] = (unsigned char)timestamp, next[7] = (unsigned char)(timestamp >> 24);
            if (RTMP_Write(rtmp, (char *)next, (int)length + 15) <= 0)
                fail("RTMP_Write");
        }
        count += length;
        messages++;
    }
    report(start, count, messages);
    close_session(rtmp);
    free(tag);
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

/* A session, or a bare socket, that two threads use; and what they measure. */
struct pair {
    RTMP *rtmp; /* NULL for a socket, whose peer sends messages of one chunk after no handshake */
    int socket_fd;
    unsigned char input[64 * 1024]; /* of the socket */
    size_t begin, end;
    double *delays;
    int count, room, done;
};

static struct pair *open_pair(const char *where, int room)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair->rtmp = strchr(where, ':') ? open_session(where, 0, 1) : NULL;
    pair->socket_fd = pair->rtmp ? RTMP_Socket(pair->rtmp) : connect_to(where);
    pair->delays = calloc((size_t)room, sizeof *pair->delays);
    pair->room = room;
    return pair;
}

static void close_pair(struct pair *pair)
{
    if (pair->rtmp)
        close_session(pair->rtmp);
    else
        close(pair->socket_fd);
    free(pair->delays);
    free(pair);
}

/* The thread that uses the connection, too, ends. */
static void end_thread(struct pair *pair, pthread_t thread)
{
    /* librtmp's goodbye on a connection that was shut down raises it. */
    signal(SIGPIPE, SIG_IGN);
    shutdown(pair->socket_fd, SHUT_RDWR);
    pthread_join(thread, NULL);
}

/* Receives a message. Returns 0 at the end. */
static int receive(struct pair *pair, RTMPPacket *packet)
{
    if (pair->rtmp)
        return RTMP_GetNextMediaPacket(pair->rtmp, packet) == 1;
    for (;;) {
        unsigned char *at = pair->input + pair->begin;
        size_t left = pair->end - pair->begin, header = left && at[0] >> 6 ? 8 : 12;
        ssize_t got;

        if (left >= header) {
            packet->m_nBodySize = (uint32_t)at[4] << 16 | (uint32_t)at[5] << 8 | at[6];
            packet->m_packetType = at[7];
            packet->m_body = (char *)at + header;
            pair->begin += header + packet->m_nBodySize;
            if (pair->begin <= pair->end)
                return 1;
        }
        memmove(pair->input, at, left);
        pair->begin = 0;
        pair->end = left;
        got = recv(pair->socket_fd, pair->input + left, sizeof pair->input - left, 0);
        if (got <= 0)
            return 0;
        pair->end += (size_t)got;
    }
}

static void release(struct pair *pair, RTMPPacket *packet)
{
    if (pair->rtmp)
        RTMPPacket_Free(packet);
}

/* Sends a message of audio or video, in front of whose body there is room for a header. Returns 0 when the connection has ended. */
static int submit(struct pair *pair, uint8_t type, unsigned timestamp, char *body, unsigned size)
{
    RTMPPacket packet = {0};

    if (!pair->rtmp)
        return send(pair->socket_fd, body - 12, size + 12, MSG_NOSIGNAL) == (ssize_t)size + 12;
    packet.m_headerType = 1;
    packet.m_nChannel = 4;
    packet.m_packetType = type;
    packet.m_nTimeStamp = timestamp;
    packet.m_nInfoField2 = pair->rtmp->m_stream_id;
    packet.m_nBodySize = size;
    packet.m_body = body;
    return RTMP_SendPacket(pair->rtmp, &packet, FALSE);
}

static void *read_on(void *arg)
{
    RTMPPacket packet = {0};

    while (receive(arg, &packet))
        release(arg, &packet);
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
static void send_beside(const char *where, unsigned size, int count, int busy)
{
    char *block = calloc(1, RTMP_MAX_HEADER_SIZE + size);
    struct pair *pair = open_pair(where, count);
    struct moment start = now();
    struct timespec pause = {0, 1000000}, before, after;
    pid_t worker = busy ? fork() : 0;
    pthread_t reader;
    int n;

    if (busy && !worker)
        for (volatile unsigned long n = 1;; n++)
            if (n % (1 << 20) == 0 && getppid() == 1)
                _exit(0);
    if (pthread_create(&reader, NULL, read_on, pair))
        fail("pthread_create");
    for (n = 0; n < count; n++) {
        clock_gettime(CLOCK_MONOTONIC, &before);
        if (!submit(pair, 8, (unsigned)n, block + RTMP_MAX_HEADER_SIZE, size))
            fail("sending");
        clock_gettime(CLOCK_MONOTONIC, &after);
        pair->delays[n] = (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_nsec - before.tv_nsec) / 1e3;
        nanosleep(&pause, NULL);
    }
    if (worker > 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    end_thread(pair, reader);
    qsort(pair->delays, (size_t)count, sizeof *pair->delays, compare);
    printf("{\"p999\":%.1f,\"worst\":%.1f}\n", pair->delays[count - 1 - count / 1000], pair->delays[count - 1]);
    report(start, count, count);
    close_pair(pair);
    free(block);
}

/* Nanoseconds of the clock that the peer uses, too. */
static unsigned long long clock_now(void)
{
    struct timespec clock;

    clock_gettime(CLOCK_MONOTONIC, &clock);
    return (unsigned long long)clock.tv_sec * 1000000000ULL + (unsigned long long)clock.tv_nsec;
}

/* Prints percentiles of `count` delays in microseconds. */
static void print_delays(double *delays, int count)
{
    qsort(delays, (size_t)count, sizeof *delays, compare);
    printf("{\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f}\n", delays[count / 2], delays[count - 1 - count / 100],
           delays[count - 1 - count / 1000]);
}

/* Sends as fast as possible until the other thread has ended. */
static void *send_on(void *arg)
{
    struct pair *pair = arg;
    char *block = calloc(1, RTMP_MAX_HEADER_SIZE + 100);

    while (!__atomic_load_n(&pair->done, __ATOMIC_RELAXED) && submit(pair, 9, 0, block + RTMP_MAX_HEADER_SIZE, 100))
        ;
    free(block);
    return NULL;
}

/* Collects the delays in the audio messages of the peer: of those messages themselves, if they contain the time of sending. */
static void *collect(void *arg)
{
    struct pair *pair = arg;
    RTMPPacket packet = {0};

    while (pair->count < pair->room && receive(pair, &packet)) {
        if (packet.m_packetType == 8 && packet.m_nBodySize >= 8) {
            unsigned long long number;

            memcpy(&number, packet.m_body, sizeof number);
            if (packet.m_nBodySize > 8)
                number = clock_now() - number;
            pair->delays[pair->count++] = (double)number / 1e3;
        }
        release(pair, &packet);
    }
    return NULL;
}

/* The time from the peer's sending of a message to the caller that waits for it; if `beside`, while another thread sends. */
static void measure_arrival(const char *where, int count, int beside)
{
    struct pair *pair = open_pair(where, count);
    struct moment start = now();
    pthread_t sender;

    if (beside && pthread_create(&sender, NULL, send_on, pair))
        fail("pthread_create");
    collect(pair);
    if (pair->count < count)
        fail("receiving");
    __atomic_store_n(&pair->done, 1, __ATOMIC_RELAXED);
    if (beside)
        end_thread(pair, sender);
    print_delays(pair->delays, count);
    report(start, count, count);
    close_pair(pair);
}

/* The time from the call that sends a message to the peer's receipt, which the peer reports. */
static void measure_departure(const char *where, unsigned size, int count)
{
    struct pair *pair = open_pair(where, count);
    char *block = calloc(1, RTMP_MAX_HEADER_SIZE + size), *body = block + RTMP_MAX_HEADER_SIZE;
    struct moment start = now();
    struct timespec pause = {0, 1000000};
    pthread_t reader;
    int n;

    if (size < 16)
        fail("finding room for the time");
    if (pthread_create(&reader, NULL, collect, pair))
        fail("pthread_create");
    for (n = 0; n < count; n++) {
        unsigned long long sent;

        memcpy(body, "it was:\n", 8);
        sent = clock_now();
        memcpy(body + 8, &sent, sizeof sent);
        if (!submit(pair, 8, (unsigned)n, body, size))
            fail("sending");
        nanosleep(&pause, NULL);
    }
    pthread_join(reader, NULL);
    if (pair->count < count)
        fail("receiving");
    print_delays(pair->delays, count);
    report(start, count, count);
    close_pair(pair);
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

/* How the bare loop below passes bytes, besides LIVE, STREAM and BY_STEPS. */
enum { SENDS = 16 };

/* Waits as a program with an event loop does, until `due` or for bytes. */
static void poll_for(int socket_fd, const struct timespec *due)
{
    struct pollfd fd = {socket_fd, POLLIN, 0};
    struct timespec left, clock;

    if (!due) {
        ppoll(&fd, 1, NULL, NULL);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &clock);
    left = *due;
    add(&left, -(clock.tv_sec * 1000000000LL + clock.tv_nsec));
    if (left.tv_sec >= 0 && left.tv_nsec >= 0)
        ppoll(&fd, 1, &left, NULL);
}

/* The same work without a protocol: receives blocks of `size` bytes, or sends them at their pace. */
static void raw(const char *port, size_t size, double total, int how)
{
    int socket_fd = connect_to(port);
    char *buffer = malloc(size);
    struct moment start = now();
    struct pace pace = start_pace();
    double count = 0, calls = 0;

    memset(buffer, 0x55, size);
    while ((how & STREAM ? calls : count) < total) {
        size_t length = next_length(&pace, (unsigned)size, how);
        ssize_t done;

        if (how & BY_STEPS)
            poll_for(socket_fd, how & (LIVE | STREAM) ? &pace.due : NULL);
        else if (how & (LIVE | STREAM))
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &pace.due, NULL);
        done = how & SENDS ? send(socket_fd, buffer, length, MSG_NOSIGNAL) : recv(socket_fd, buffer, length, 0);
        if (done <= 0)
            fail(how & SENDS ? "send" : "recv");
        count += (double)done;
        calls++;
    }
    report(start, count, calls);
    close(socket_fd);
    free(buffer);
}

/* The way with this name of publishing, or of the bare loop, or -1. */
static int how_of(const char *name)
{
    static const struct {
        const char *name;
        int how;
    } ways[] = {
        {"write", 0},
        {"send", BY_PACKETS},
        {"write-live", LIVE},
        {"send-live", LIVE | BY_PACKETS},
        {"write-live-steps", LIVE | BY_STEPS},
        {"write-stream", STREAM},
        {"write-stream-steps", STREAM | BY_STEPS},
        {"recv", 0},
        {"recv-steps", BY_STEPS},
        {"store", SENDS},
        {"store-live", SENDS | LIVE},
        {"store-live-steps", SENDS | LIVE | BY_STEPS},
        {"store-stream", SENDS | STREAM},
        {"store-stream-steps", SENDS | STREAM | BY_STEPS},
    };

    for (size_t n = 0; n < sizeof ways / sizeof *ways; n++)
        if (!strcmp(name, ways[n].name))
            return ways[n].how;
    return -1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    /* The works that also have a bare loop, which has no chunk size. */
    const char *size = argc > 4 ? argv[argc - 2] : "", *count = argc > 4 ? argv[argc - 1] : "";

    RTMP_LogSetLevel(RTMP_LOGCRIT);
    if (!strcmp(what, "read") && argc == 6)
        read_stream(argv[2], atof(argv[5]));
    else if (!strcmp(what, "next") && argc == 6)
        next_packets(argv[2], atof(argv[5]));
    else if (!strcmp(what, "read-steps") && argc == 6)
        read_by_steps(argv[2], atof(argv[5]));
    else if (how_of(what) >= 0 && argc == 6)
        publish(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), atof(argv[5]), how_of(what));
    else if ((!strcmp(what, "arrival") || !strcmp(what, "arrival-beside")) && *count)
        measure_arrival(argv[2], atoi(count), !strcmp(what, "arrival-beside"));
    else if (!strcmp(what, "departure") && *count)
        measure_departure(argv[2], (unsigned)atoi(size), atoi(count));
    else if (!strcmp(what, "blocks") && argc == 6)
        publish_blocks(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), atof(argv[5]));
    else if ((!strcmp(what, "beside") || !strcmp(what, "beside-busy")) && *count)
        send_beside(argv[2], (unsigned)atoi(size), atoi(count), !strcmp(what, "beside-busy"));
    else if (!strcmp(what, "connect") && argc == 6)
        connect_often(argv[2], atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    else if (!strcmp(what, "amf"))
        encode_and_decode(atoi(argv[2]));
    else if (how_of(what) >= 0 && argc == 5)
        raw(argv[2], (size_t)atol(argv[3]), atof(argv[4]), how_of(what));
    else
        fail("reading the arguments");
    return 0;
}
