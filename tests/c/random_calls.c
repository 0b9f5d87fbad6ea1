/* Random calls on random sessions that never wait, on one thread, while another looks at all of them and aborts some:
 * `random_calls SEED MILLISECONDS`.
 *
 * Half of the sessions are clients and the others serve them, so that calls are made in every stage of a connection.
 * Sometimes the bytes of a session are random. The program checks only that no call waits, that a call which fails has a
 * reason, and that the results are possible. The sanitizers check the rest. */
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { SESSIONS = 8, MOST_FDS = 8, BODY = 5000 };

struct session {
    RTMP *r;
    int is_server, told;
    char url[96], *block;
};

static struct session sessions[SESSIONS];
/* Held while a session is freed and another takes its place, and while the onlooker uses it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int listener, port, ends;
static unsigned long long seed;
static unsigned long calls;

/* xorshift: the same numbers for the same seed. */
static unsigned next(unsigned long long *state, unsigned below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 33) % below;
}

static unsigned dice(unsigned below) { return next(&seed, below); }

static long long now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int on_event(RTMP *r, const RTMPEvent *event, void *arg)
{
    RTMPStats stats = { .s_size = sizeof stats };
    (void)arg;
    check(event->e_type > 0 && RTMP_GetStats(r, &stats));
    return next(arg, 50) != 0; /* sometimes it gives up */
}

static void listen_on_loopback(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 64) == 0);
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    check(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    port = ntohs(address.sin_port);
}

static void begin(struct session *session)
{
    static const char *const options[] = { "", " live=1", " data=all", " sendQueue=2000", " timeoutMs=300", " closeReset=1" };
    RTMP *r = RTMP_Alloc();
    check(r);
    RTMP_Init(r);
    r->Link.timeout = 1 + (int)dice(3);
    if (!session->is_server) {
        snprintf(session->url, sizeof session->url, "rtmp%s://127.0.0.1:%d/app/name%s", dice(5) == 0 ? "e" : "", port, options[dice(6)]);
        check(RTMP_SetupURL(r, session->url));
        if (dice(2))
            RTMP_EnableWrite(r);
    }
    check(RTMP_SetNonBlocking(r, 1));
    if (dice(3) == 0)
        RTMP_SetEventCallback(r, on_event, &seed);
    session->told = 0;
    pthread_mutex_lock(&lock);
    session->r = r;
    pthread_mutex_unlock(&lock);
}

static void end(struct session *session)
{
    pthread_mutex_lock(&lock);
    RTMP *r = session->r;
    session->r = NULL;
    pthread_mutex_unlock(&lock);
    if (dice(2))
        RTMP_Close(r);
    RTMP_Free(r);
}

static AVal text(const char *words) { return (AVal){ (char *)words, (int)strlen(words) }; }

/* The server sends answers that clients wait for, whether they have asked or not. */
static int say(struct session *session, unsigned what)
{
    static const char *const codes[] = { "NetConnection.Connect.Success", NULL, "NetStream.Play.Start", "NetStream.Publish.Start",
                                         "NetStream.Play.Stop", "NetConnection.Connect.Rejected" };
    char buffer[256], *p = buffer + RTMP_MAX_HEADER_SIZE, *const start = p, *stop = buffer + sizeof buffer;
    AVal name = text(what > 1 ? "onStatus" : "_result"), key = text("code"), level = text("level"), status = text("status");
    p = AMF_EncodeString(p, stop, &name);
    p = AMF_EncodeNumber(p, stop, what > 1 ? 0 : ++session->told);
    *p++ = AMF_NULL;
    if (codes[what]) {
        AVal code = text(codes[what]);
        *p++ = AMF_OBJECT;
        p = AMF_EncodeNamedString(p, stop, &level, &status);
        p = AMF_EncodeNamedString(p, stop, &key, &code);
        p = AMF_EncodeInt24(p, stop, AMF_OBJECT_END);
    } else {
        p = AMF_EncodeNumber(p, stop, 1);
    }
    RTMPPacket packet = { .m_nChannel = 3, .m_packetType = RTMP_PACKET_TYPE_INVOKE, .m_nInfoField2 = what > 1 };
    packet.m_body = start;
    packet.m_nBodySize = (uint32_t)(p - start);
    return RTMP_SendPacket(session->r, &packet, 0);
}

static int send_something(struct session *session)
{
    static const uint8_t types[] = { RTMP_PACKET_TYPE_AUDIO, RTMP_PACKET_TYPE_VIDEO, RTMP_PACKET_TYPE_INFO, RTMP_PACKET_TYPE_CHUNK_SIZE,
                                     RTMP_PACKET_TYPE_CONTROL, RTMP_PACKET_TYPE_SERVER_BW, RTMP_PACKET_TYPE_BYTES_READ_REPORT };
    static char body[RTMP_MAX_HEADER_SIZE + BODY];
    RTMPPacket packet = { .m_nChannel = 2 + (int)dice(8), .m_headerType = (uint8_t)dice(4), .m_packetType = types[dice(7)] };
    packet.m_nTimeStamp = dice(100000);
    packet.m_nInfoField2 = (int)dice(2);
    packet.m_body = body + RTMP_MAX_HEADER_SIZE;
    packet.m_nBodySize = packet.m_packetType < RTMP_PACKET_TYPE_AUDIO ? 4 + 2 * dice(2) : 1 + dice(BODY);
    AMF_EncodeInt32(packet.m_body, packet.m_body + 4, (int)(128 + dice(9000)));
    return RTMP_SendPacket(session->r, &packet, 0);
}

static int send_nonsense(struct session *session)
{
    char bytes[40];
    RTMPChunk chunk = { .c_headerSize = 1 + (int)dice(RTMP_MAX_HEADER_SIZE - 1), .c_chunk = bytes, .c_chunkSize = (int)dice(sizeof bytes) };
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)dice(256);
    memcpy(chunk.c_header, bytes, RTMP_MAX_HEADER_SIZE);
    return RTMP_SendChunk(session->r, &chunk);
}

static int read_packets(struct session *session)
{
    RTMPPacket packet = { 0 };
    int ok = RTMP_ReadPacket(session->r, &packet);
    if (!ok)
        return 0;
    if (RTMPPacket_IsReady(&packet)) {
        RTMP_ClientPacket(session->r, &packet);
        RTMPPacket_Free(&packet);
    }
    return 1;
}

static int next_media(RTMP *r)
{
    RTMPPacket packet = { 0 };
    int found = RTMP_GetNextMediaPacket(r, &packet);
    RTMPPacket_Free(&packet);
    return found;
}

/* A part of a file, which may be cut anywhere. */
static int write_flv(struct session *session)
{
    static char file[600] = "FLV\1\5\0\0\0\11\0\0\0\0" /* and audio tags of 37 bytes */;
    for (int at = 13; file[13] == 0 && at + 52 <= (int)sizeof file; at += 52) {
        file[at] = 8, file[at + 3] = 37, file[at + 6] = (char)at, file[at + 51] = 48;
    }
    return RTMP_Write(session->r, file, (int)dice(sizeof file)) >= 0;
}

static int further_stream(RTMP *r)
{
    AVal name = text(dice(2) ? "more" : "even-more");
    int stream = RTMP_OpenStream(r, &name);
    char tag[15] = { 8 };
    if (stream <= 0)
        return 0;
    return dice(2) ? RTMP_WriteStream(r, stream, tag, sizeof tag) >= 0 : RTMP_CloseStream(r, stream);
}

static int serve(struct session *session)
{
    if (session->r->m_sb.sb_socket == -1) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return 1;
        pthread_mutex_lock(&lock); /* the onlooker may read it */
        session->r->m_sb.sb_socket = fd;
        pthread_mutex_unlock(&lock);
    }
    return RTMP_Serve(session->r);
}

static int look(RTMP *r)
{
    struct pollfd fds[MOST_FDS];
    int count = RTMP_GetPollFds(r, fds, MOST_FDS), timeout = RTMP_GetPollTimeout(r);
    check(count >= 0 && timeout >= -1);
    for (int i = 0; i < count && i < MOST_FDS; i++)
        check(fds[i].fd >= 0 && fcntl(fds[i].fd, F_GETFD) >= 0);
    return 1;
}

static int step(RTMP *r)
{
    int bits = RTMP_Step(r);
    check(!(bits & RTMP_STEP_STREAMING) || (bits & RTMP_STEP_CONNECTED));
    check(!(bits & RTMP_STEP_FLUSHED) || (bits & RTMP_STEP_WRITABLE));
    return !(bits & RTMP_STEP_FAILED);
}

/* Toggles blocking, which works only without a connection. A blocking session is made non-blocking again at once. */
static int toggle(RTMP *r)
{
    if (!RTMP_SetNonBlocking(r, 0))
        return 0;
    check(RTMP_SetNonBlocking(r, 1));
    return 1;
}

static int close_session(struct session *session)
{
    RTMP_Close(session->r);
    session->told = 0;
    return 1;
}

static void call(struct session *session)
{
    char buffer[700];
    RTMP *r = session->r;
    int ok = 1;
    unsigned which = dice(60);
    /* Calls that make or continue a connection are frequent; calls that end it are rare. */
    if (which < 14)
        ok = step(r);
    else if (which < 20)
        ok = session->is_server ? serve(session) : RTMP_Connect(r, NULL);
    else if (which < 25)
        ok = session->is_server ? say(session, dice(5)) : RTMP_ConnectStream(r, (int)dice(3));
    else if (which < 31)
        ok = read_packets(session);
    else if (which < 34)
        ok = RTMP_Read(r, buffer, (int)dice(sizeof buffer)) >= 0;
    else if (which < 40)
        ok = send_something(session);
    else if (which < 43)
        ok = write_flv(session);
    else if (which < 47)
        ok = look(r);
    else
        switch (which) {
        case 47: ok = next_media(r) != 0; break;
        case 48: ok = RTMP_Pause(r, (int)dice(2)); break;
        case 49: ok = RTMP_SendSeek(r, (int)dice(5000)); break;
        case 50: ok = RTMP_ToggleStream(r); break;
        case 51: ok = RTMP_ReconnectStream(r, 0); break;
        case 52: ok = further_stream(r); break;
        case 53: ok = RTMP_SendCreateStream(r); break;
        case 54: RTMP_DeleteStream(r); break;
        case 55: ok = RTMP_GetPollFd(r) >= 0; break;
        case 56: ok = dice(4) != 0 || send_nonsense(session); break;
        case 57: ok = dice(4) != 0 || toggle(r); break;
        case 58: ok = dice(4) != 0 || close_session(session); break;
        default:
            if (dice(8) == 0) {
                end(session);
                begin(session);
            } else if (session->is_server) {
                ok = say(session, 5);
            }
        }
    calls++;
    if (!ok && session->r == r && RTMP_GetLastError(r) == RTMP_ERR_NONE) {
        fprintf(stderr, "call %u has failed without a reason\n", which);
        exit(1);
    }
}

/* Calls that any thread may make at any time. */
static void *look_on(void *argument)
{
    unsigned long long state = *(unsigned long long *)argument;
    while (!__atomic_load_n(&ends, __ATOMIC_RELAXED)) {
        struct session *session = &sessions[next(&state, SESSIONS)];
        RTMPStats stats = { .s_size = sizeof stats };
        pthread_mutex_lock(&lock);
        if (session->r && next(&state, 400) == 0)
            RTMP_Abort(session->r);
        else if (session->r)
            check(RTMP_GetStats(session->r, &stats) && stats.s_queued <= stats.s_bytesOut + (1 << 20));
        pthread_mutex_unlock(&lock);
        struct timespec pause = { 0, 20000 };
        nanosleep(&pause, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    check(argc == 3);
    seed = strtoull(argv[1], NULL, 10) * 2654435761u + 1;
    long long limit = now_ms() + atoi(argv[2]);
    unsigned long long other = seed + 7;
    pthread_t onlooker;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    listen_on_loopback();
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i].is_server = i % 2;
        begin(&sessions[i]);
    }
    check(pthread_create(&onlooker, NULL, look_on, &other) == 0);
    while (now_ms() < limit)
        for (int i = 0; i < 100; i++)
            call(&sessions[dice(SESSIONS)]);
    __atomic_store_n(&ends, 1, __ATOMIC_RELAXED);
    pthread_join(onlooker, NULL);
    for (int i = 0; i < SESSIONS; i++)
        end(&sessions[i]);
    close(listener);
    fprintf(stderr, "%lu calls\n", calls);
    puts("done");
    return 0;
}
