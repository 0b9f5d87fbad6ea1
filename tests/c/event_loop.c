/* Sessions that never wait, driven with select: poll is what the library must not call, so that a trace can tell.
 *
 *   play URL...                  plays all of them at once; prints for each how many bytes came, a hash of them, and why
 *                                they ended
 *   watch URL...                 the same with one descriptor for each session (RTMP_GetPollFd)
 *   wander SEED URL              the same for one, in a loop that does something else every time, as the seed says
 *   block URL                    the same for one, with calls that wait
 *   publish COUNT SIZE URL       publishes numbered messages; prints how often the queue was full
 *   stall URL                    publishes to a server that stops reading; prints numbers of the connection, and those of `ss`
 *   serve CERT KEY URL...        a server and its clients in one thread: each URL has @ in
 *                                place of the server's port; prints what each client has read
 *   misuse                       what is refused
 */
#include <librtmp/log.h>
#include <librtmp/loop.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(1); \
        } \
    } while (0)

#include "answer.h"

enum { MOST = 256, MOST_FDS = 64 };

struct session {
    RTMP *r;
    char *url;
    int streaming, over;
    unsigned long long bytes, hash;
    const char *end;
};

static void count_bytes(struct session *s, const char *bytes, int count)
{
    if (s->bytes == 0)
        s->hash = 14695981039346656037ULL;
    s->bytes += (unsigned)count;
    for (int i = 0; i < count; i++)
        s->hash = (s->hash ^ (unsigned char)bytes[i]) * 1099511628211ULL;
}

static int is_again(struct session *s)
{
    return RTMP_GetLastError(s->r) == RTMP_ERR_AGAIN;
}

static const char *end_of(RTMP *r)
{
    switch (RTMP_GetLastError(r)) {
    case RTMP_ERR_ENDED: return "ended";
    case RTMP_ERR_TIMEDOUT: return "timed out";
    case RTMP_ERR_CLOSED: return "closed";
    case RTMP_ERR_REFUSED: return "refused";
    case RTMP_ERR_CONNECT: return "not reached";
    case RTMP_ERR_RESOLVE: return "not found";
    default: return RTMP_GetErrorString(r);
    }
}

static void leave(struct session *s)
{
    s->over = 1;
    s->end = strdup(end_of(s->r));
    RTMP_Close(s->r);
    check(!RTMP_IsConnected(s->r));
}

static void set_up(struct session *s, const char *url, int never_waits, int publishes)
{
    s->url = strdup(url);
    s->r = RTMP_Alloc();
    RTMP_Init(s->r);
    check(RTMP_SetupURL(s->r, s->url));
    if (publishes)
        RTMP_EnableWrite(s->r);
    if (never_waits) {
        check(RTMP_SetNonBlocking(s->r, 1) == TRUE);
        errno = 0;
        /* A peer on the same machine may have answered everything by now. */
        if (RTMP_Connect(s->r, NULL))
            return;
        if (is_again(s))
            check(errno == EAGAIN);
        else
            leave(s);
    }
}

/* As wait_for, with one descriptor for each session and no timeout. */
static void wait_for_descriptors(struct session *sessions, int count, char *due)
{
    fd_set read;
    int highest = -1;
    FD_ZERO(&read);
    for (int i = 0; i < count; i++) {
        int fd = RTMP_GetPollFd(sessions[i].r);
        check(fd >= 0 && fd < FD_SETSIZE);
        FD_SET(fd, &read);
        highest = fd > highest ? fd : highest;
    }
    int ready = select(highest + 1, &read, NULL, NULL, NULL);
    check(ready > 0);
    for (int i = 0; i < count; i++)
        due[i] = FD_ISSET(RTMP_GetPollFd(sessions[i].r), &read) != 0;
}

/* Waits for sessions, none of which may wait itself, and says which are due. */
static void wait_for(struct session *sessions, int count, const int *listeners, char *due)
{
    fd_set read, write;
    int highest = -1, timeout = -1, first[2 * MOST], found[2 * MOST];
    static struct pollfd fds[2 * MOST * MOST_FDS];
    int used = 0;
    FD_ZERO(&read);
    FD_ZERO(&write);
    for (int i = 0; listeners && i < 2; i++) {
        FD_SET(listeners[i], &read);
        highest = listeners[i] > highest ? listeners[i] : highest;
    }
    for (int i = 0; i < count; i++) {
        int time = RTMP_GetPollTimeout(sessions[i].r);
        if (time >= 0 && (timeout < 0 || time < timeout))
            timeout = time;
        first[i] = used;
        found[i] = RTMP_GetPollFds(sessions[i].r, fds + used, MOST_FDS);
        check(found[i] >= 0 && found[i] <= MOST_FDS);
        for (int k = 0; k < found[i]; k++) {
            struct pollfd *one = &fds[used + k];
            check(one->fd >= 0 && one->fd < FD_SETSIZE && one->revents == 0);
            if (one->events & POLLIN)
                FD_SET(one->fd, &read);
            if (one->events & POLLOUT)
                FD_SET(one->fd, &write);
            if (one->fd > highest)
                highest = one->fd;
        }
        used += found[i];
    }
    struct timeval time = {timeout / 1000, timeout % 1000 * 1000};
    int ready = select(highest + 1, &read, &write, NULL, timeout < 0 ? NULL : &time);
    check(ready >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        due[i] = RTMP_GetPollTimeout(sessions[i].r) == 0;
        for (int k = 0; k < found[i] && ready > 0; k++) {
            struct pollfd *one = &fds[first[i] + k];
            if (FD_ISSET(one->fd, &read) || FD_ISSET(one->fd, &write))
                due[i] = 1;
        }
    }
    for (int i = 0; listeners && i < 2; i++)
        due[count + i] = ready > 0 && FD_ISSET(listeners[i], &read);
}

static int is_idle(struct session *s)
{
    return RTMP_GetPollFds(s->r, NULL, 0) == 0 && RTMP_GetPollTimeout(s->r) < 0;
}

/* Does what a client that plays can do; returns what RTMP_Step did. */
static int step_player(struct session *s)
{
    static char block[100000];
    int state = RTMP_Step(s->r);
    if (s->over)
        return state;
    if (state & RTMP_STEP_FAILED) {
        leave(s);
    } else if ((state & RTMP_STEP_CONNECTED) && !s->streaming) {
        if (RTMP_ConnectStream(s->r, 0)) {
            struct pollfd fd;
            /* The next step says what else has arrived, although an earlier one may have said it. */
            s->streaming = 1;
            check(RTMP_GetPollFds(s->r, &fd, 1) > 0 || RTMP_GetPollTimeout(s->r) >= 0);
            return state;
        }
        if (!is_again(s))
            leave(s);
    } else if (s->streaming == 1) {
        s->streaming = 2;
        check(state & RTMP_STEP_STREAMING);
    }
    if (s->streaming && !s->over && (state & (RTMP_STEP_READABLE | RTMP_STEP_CLOSED))) {
        for (int turn = 0; turn < 8; turn++) {
            int count = RTMP_Read(s->r, block, sizeof block);
            if (count > 0) {
                count_bytes(s, block, count);
                continue;
            }
            if (count < 0 && is_again(s))
                check(errno == EAGAIN && RTMP_IsConnected(s->r));
            else
                leave(s);
            break;
        }
    }
    return state;
}

static void report(struct session *s)
{
    printf("%llu bytes %016llx %s\n", s->bytes, s->hash, s->end);
}

static void release(struct session *s)
{
    RTMP_Close(s->r);
    RTMP_Free(s->r);
    free(s->url);
}

static int play(char **urls, int count, int by_descriptor)
{
    static struct session sessions[MOST];
    static char due[MOST + 1];
    check(count <= MOST);
    for (int i = 0; i < count; i++)
        set_up(&sessions[i], urls[i], 1, 0);
    for (int busy = count; busy > 0;) {
        if (by_descriptor)
            wait_for_descriptors(sessions, count, due);
        else
            wait_for(sessions, count, NULL, due);
        busy = 0;
        for (int i = 0; i < count; i++) {
            int was_over = sessions[i].over;
            if (due[i])
                step_player(&sessions[i]);
            if (!was_over && sessions[i].over) {
                printf("%d: ", i);
                report(&sessions[i]);
                fflush(stdout);
            }
            busy += !sessions[i].over || !is_idle(&sessions[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        check(RTMP_Step(sessions[i].r) & RTMP_STEP_CLOSED);
        release(&sessions[i]);
    }
    return 0;
}

static unsigned seed;

/* A number below `limit`. */
static unsigned any(unsigned limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % limit;
}

/* Waits for what the library names, and for nothing else. It has to be something that happens. */
static void wait_as_told(RTMP *r)
{
    struct pollfd fds[MOST_FDS];
    fd_set read, write;
    int highest = -1, timeout = RTMP_GetPollTimeout(r), count = RTMP_GetPollFds(r, fds, MOST_FDS);
    struct timeval time = {20, 0};

    FD_ZERO(&read);
    FD_ZERO(&write);
    check(count > 0 || timeout >= 0);
    for (int i = 0; i < count; i++) {
        if (fds[i].events & POLLIN)
            FD_SET(fds[i].fd, &read);
        if (fds[i].events & POLLOUT)
            FD_SET(fds[i].fd, &write);
        highest = fds[i].fd > highest ? fds[i].fd : highest;
    }
    if (timeout >= 0 && timeout < 20000)
        time.tv_sec = timeout / 1000, time.tv_usec = timeout % 1000 * 1000;
    check(select(highest + 1, &read, &write, NULL, &time) > 0 || (timeout >= 0 && timeout < 20000));
}

/* A call that changes nothing, or nothing that matters here. */
static void call_something(struct session *s)
{
    RTMPStats stats = {0};
    struct pollfd fds[2];

    switch (any(8)) {
    case 0: RTMP_GetStats(s->r, &stats); break;
    case 1: RTMP_GetPollFds(s->r, fds, 1); break;
    case 2: RTMP_GetPollTimeout(s->r); break;
    case 3: RTMP_IsConnected(s->r); break;
    case 4: RTMP_GetDuration(s->r); break;
    case 5: RTMP_Socket(s->r); break;
    case 6: check(RTMP_SetNonBlocking(s->r, 1)); break;
    default: break;
    }
}

/*
 * Plays as a program may that follows the rules of loop.h, but not the loop of its example: steps without a wait, calls that come
 * late or more than once, reads of any size that stop anywhere.
 */
static int wander(const char *number, const char *url)
{
    static struct session s;
    static char bytes[100000];
    int is_late = 0, is_readable = 0;

    seed = (unsigned)strtoul(number, NULL, 10);
    set_up(&s, url, 1, 0);
    while (!s.over) {
        int state = 0;
        if (!is_late && !is_readable && any(4) > 0)
            wait_as_told(s.r);
        is_late = 0;
        for (unsigned n = any(3); n != 0 && !(state & RTMP_STEP_FAILED); n--)
            state |= RTMP_Step(s.r);
        /* What was said to be there stays, until a call has looked for it. */
        is_readable |= (state & (RTMP_STEP_READABLE | RTMP_STEP_CLOSED)) != 0;
        if (s.streaming || any(3) == 0)
            call_something(&s);
        if (state & RTMP_STEP_FAILED) {
            leave(&s);
        } else if (any(3) == 0) {
            is_late = 1;
        } else if (!s.streaming && RTMP_IsConnected(s.r)) {
            is_readable = 0;
            if (RTMP_ConnectStream(s.r, 0))
                s.streaming = 1;
            else if (!is_again(&s))
                leave(&s);
        } else if (s.streaming && is_readable) {
            for (unsigned n = any(5); n != 0; n--) {
                int count = RTMP_Read(s.r, bytes, (int)(any(2) ? any(sizeof bytes) + 1 : any(40) + 1));
                is_readable = 0;
                if (count > 0) {
                    count_bytes(&s, bytes, count);
                    continue;
                }
                if (count < 0 && is_again(&s))
                    check(errno == EAGAIN && RTMP_IsConnected(s.r));
                else
                    leave(&s);
                break;
            }
        }
    }
    while (!(RTMP_Step(s.r) & RTMP_STEP_CLOSED))
        wait_as_told(s.r);
    printf("0: ");
    report(&s);
    release(&s);
    return 0;
}

static int block(const char *url)
{
    static struct session s;
    static char bytes[100000];
    int count;
    set_up(&s, url, 0, 0);
    if (RTMP_Connect(s.r, NULL) && RTMP_ConnectStream(s.r, 0))
        while ((count = RTMP_Read(s.r, bytes, sizeof bytes)) > 0)
            count_bytes(&s, bytes, count);
    leave(&s);
    printf("0: ");
    report(&s);
    release(&s);
    return 0;
}

static int publish(int count, int size, const char *url)
{
    static struct session s;
    static char due[2];
    int sent = 0, full = 0, closed = 0;
    char *body = malloc((size_t)size + RTMP_MAX_HEADER_SIZE);
    RTMPPacket packet;
    set_up(&s, url, 1, 1);
    while (!closed) {
        wait_for(&s, 1, NULL, due);
        if (!due[0])
            continue;
        int state = RTMP_Step(s.r);
        if (state & RTMP_STEP_FAILED) {
            printf("failed after %d: %s\n", sent, end_of(s.r));
            release(&s);
            free(body);
            return 0;
        }
        if (s.over) {
            closed = (state & RTMP_STEP_CLOSED) != 0;
            continue;
        }
        if ((state & RTMP_STEP_CONNECTED) && !s.streaming) {
            s.streaming = RTMP_ConnectStream(s.r, 0);
            check(s.streaming || is_again(&s));
        }
        while (s.streaming && sent < count) {
            memset(&packet, 0, sizeof packet);
            packet.m_nChannel = 4;
            packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
            packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
            packet.m_nTimeStamp = (uint32_t)sent;
            packet.m_nInfoField2 = s.r->m_stream_id;
            packet.m_body = body + RTMP_MAX_HEADER_SIZE;
            packet.m_nBodySize = (uint32_t)size;
            memset(packet.m_body, sent, (size_t)size);
            if (!RTMP_SendPacket(s.r, &packet, 0)) {
                if (!is_again(&s))
                    break; /* the next step says why */
                check(errno == EAGAIN);
                full++;
                break;
            }
            sent++;
        }
        if (sent == count && !s.over) {
            s.over = 1;
            RTMP_Close(s.r);
            check(!RTMP_IsConnected(s.r));
        }
    }
    printf("%d sent, %s\n", sent, full ? "was full" : "never full");
    release(&s);
    free(body);
    return 0;
}

static unsigned stalls, last_stall;

/* Counts the seconds of a stall; gives up in the third. */
static int on_event(RTMP *r, const RTMPEvent *event, void *arg)
{
    check(r && arg == &stalls);
    if (event->e_type != RTMP_EVENT_STALL)
        return TRUE;
    /* Each second is reported once, and not before it has ended. */
    check(event->e_stalled / 1000 > last_stall);
    last_stall = event->e_stalled / 1000;
    return ++stalls < 3;
}

static void print_numbers(RTMP *r)
{
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    char command[128];
    RTMPStats stats = {.s_size = sizeof stats};
    check(getsockname(RTMP_Socket(r), (struct sockaddr *)&own, &length) == 0 && RTMP_GetStats(r, &stats));
    check(stats.s_stalled >= 2000 && stats.s_blocked >= stats.s_stalled);
    printf("%llu unsent, %llu queued, %llu out, round trip %u, %u retransmissions\n", (unsigned long long)stats.s_unsent,
           (unsigned long long)stats.s_queued, (unsigned long long)stats.s_bytesOut, stats.s_roundTrip, stats.s_retransmissions);
    fflush(stdout);
    snprintf(command, sizeof command, "ss -tinH 'sport = :%d'", ntohs(own.sin_port));
    check(system(command) == 0);
}

static int stall(const char *url)
{
    static struct session s;
    static char due[2], body[90000 + RTMP_MAX_HEADER_SIZE];
    int state = 0, full = 0, printed = 0;
    set_up(&s, url, 1, 1);
    RTMP_SetEventCallback(s.r, on_event, &stalls);
    while (!(state & RTMP_STEP_FAILED)) {
        wait_for(&s, 1, NULL, due);
        if (!due[0])
            continue;
        state = RTMP_Step(s.r);
        if ((state & RTMP_STEP_CONNECTED) && !s.streaming) {
            s.streaming = RTMP_ConnectStream(s.r, 0);
            check(s.streaming || is_again(&s));
        }
        while (s.streaming && !full) {
            RTMPPacket packet = {.m_nChannel = 4, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nBodySize = 90000};
            packet.m_nInfoField2 = s.r->m_stream_id;
            packet.m_body = body + RTMP_MAX_HEADER_SIZE;
            full = !RTMP_SendPacket(s.r, &packet, 0);
            check(!full || is_again(&s));
        }
        if (stalls == 2 && !printed)
            print_numbers(s.r), printed = 1;
    }
    check(RTMP_GetLastError(s.r) == RTMP_ERR_ABORTED && printed);
    printf("%u stalls\n", stalls);
    release(&s);
    return 0;
}

/* A client of the server below. */
struct guest {
    struct session session;
    int secured, served, sent, told;
};

enum { MESSAGES = 300, LENGTH = 7001 };

static void step_guest(struct guest *guest, void *context)
{
    static char body[LENGTH + RTMP_MAX_HEADER_SIZE];
    struct session *s = &guest->session;
    int state = RTMP_Step(s->r);
    if (s->over)
        return;
    if (!guest->secured) {
        guest->secured = RTMP_TLS_Accept(s->r, context);
        if (!guest->secured && !is_again(s)) {
            leave(s);
            return;
        }
    }
    if (guest->secured && !guest->served) {
        guest->served = RTMP_Serve(s->r);
        if (!guest->served && !is_again(s)) {
            leave(s);
            return;
        }
    }
    if (!guest->served)
        return;
    state = RTMP_Step(s->r);
    while (state & RTMP_STEP_READABLE) {
        RTMPPacket packet;
        memset(&packet, 0, sizeof packet);
        if (!RTMP_ReadPacket(s->r, &packet)) {
            if (!is_again(s))
                leave(s);
            break;
        }
        if (!RTMPPacket_IsReady(&packet))
            continue;
        if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE)
            RTMP_ClientPacket(s->r, &packet);
        answer(s->r, &packet, &guest->told);
        RTMPPacket_Free(&packet);
    }
    while (!s->over && guest->told == 3 && guest->sent <= MESSAGES) {
        RTMPPacket packet;
        if (guest->sent == MESSAGES) {
            send_command(s->r, 5, 1, "onStatus", 0, "NetStream.Play.Complete");
            guest->sent++;
            break;
        }
        memset(&packet, 0, sizeof packet);
        packet.m_nChannel = 4;
        packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
        packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
        packet.m_nTimeStamp = (uint32_t)guest->sent;
        packet.m_nInfoField2 = 1;
        packet.m_body = body + RTMP_MAX_HEADER_SIZE;
        packet.m_nBodySize = LENGTH;
        memset(packet.m_body, guest->sent, LENGTH);
        if (!RTMP_SendPacket(s->r, &packet, 0)) {
            check(is_again(s));
            break;
        }
        guest->sent++;
    }
}

static int serve(const char *cert, const char *key, char **urls, int count)
{
    static struct session sessions[2 * MOST];
    static struct guest guests[MOST];
    static char due[2 * MOST + 2];
    int listeners[2], ports[2], accepted = 0, busy = 1; /* without TLS, and with it */
    void *context = RTMP_TLS_AllocServerContext(cert, key);
    check(context);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        check(bind(listeners[i], (struct sockaddr *)&address, length) == 0 && listen(listeners[i], 64) == 0);
        check(getsockname(listeners[i], (struct sockaddr *)&address, &length) == 0);
        ports[i] = ntohs(address.sin_port);
    }
    for (int i = 0; i < count; i++) {
        char url[1024];
        const char *port = strchr(strchr(urls[i], ':') + 1, ':');
        check(port && port[1] == '@');
        snprintf(url, sizeof url, "%.*s:%d%s", (int)(port - urls[i]), urls[i], ports[strncmp(port - strlen("s://127.0.0.1"), "s:", 2) == 0],
                 port + 2);
        set_up(&sessions[i], url, 1, 0);
    }
    while (busy) {
        for (int i = 0; i < accepted; i++)
            sessions[count + i] = guests[i].session;
        wait_for(sessions, count + accepted, listeners, due);
        busy = 0;
        for (int i = 0; i < count; i++) {
            if (due[i])
                step_player(&sessions[i]);
            busy |= !sessions[i].over || !is_idle(&sessions[i]);
        }
        for (int i = 0; i < accepted; i++) {
            if (due[count + i])
                step_guest(&guests[i], context);
            busy |= !guests[i].session.over || !is_idle(&guests[i].session);
        }
        for (int i = 0, before = accepted; i < 2; i++) {
            if (!due[count + before + i])
                continue;
            struct guest *guest = &guests[accepted];
            int fd = accept(listeners[i], NULL, NULL);
            check(fd >= 0 && accepted < MOST);
            guest->session.r = RTMP_Alloc();
            RTMP_Init(guest->session.r);
            guest->session.r->m_sb.sb_socket = fd;
            check(RTMP_SetNonBlocking(guest->session.r, 1));
            guest->secured = i == 0;
            accepted++;
            step_guest(guest, context);
            busy = 1;
        }
        if (accepted < count)
            busy = 1;
    }
    for (int i = 0; i < count; i++) {
        printf("%d: ", i);
        report(&sessions[i]);
        release(&sessions[i]);
    }
    for (int i = 0; i < accepted; i++)
        release(&guests[i].session);
    RTMP_TLS_FreeServerContext(context);
    close(listeners[0]);
    close(listeners[1]);
    return 0;
}

/* A port that refuses connections: it is bound, and nobody listens. */
static int closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(fd, (struct sockaddr *)&address, length) == 0);
    check(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    return ntohs(address.sin_port);
}

static int misuse(void)
{
    RTMP *r = RTMP_Alloc();
    struct pollfd one;
    RTMP_Init(r);
    check(RTMP_GetPollFds(r, &one, 1) == 0 && RTMP_GetPollTimeout(r) == -1 && RTMP_Step(r) == RTMP_STEP_CLOSED);
    check(RTMP_SetNonBlocking(r, 1) && RTMP_SetNonBlocking(r, 5) && RTMP_Step(r) == RTMP_STEP_CLOSED);
    check(RTMP_GetPollFds(r, NULL, 0) == 0 && RTMP_GetPollFds(r, &one, -1) == 0);
    /* Without a connection calls fail as ever. */
    check(!RTMP_ConnectStream(r, 0) && RTMP_GetLastError(r) == RTMP_ERR_NOT_CONNECTED);
    check(RTMP_SetNonBlocking(r, 0) && RTMP_GetPollTimeout(r) == -1);
    check(RTMP_SetNonBlocking(r, 1));
    /* While a connection is being made, the mode stays. */
    char url[] = "rtmp://localhost/app/name";
    check(RTMP_SetupURL(r, url) && !RTMP_Connect(r, NULL));
    if (RTMP_GetLastError(r) == RTMP_ERR_AGAIN) {
        check(!RTMP_SetNonBlocking(r, 0) && RTMP_GetLastError(r) == RTMP_ERR_ARGUMENT);
        check(RTMP_GetPollFds(r, NULL, 0) >= 1);
    }
    RTMP_Close(r);
    check(RTMP_GetPollFds(r, NULL, 0) == 0 && RTMP_Step(r) == RTMP_STEP_CLOSED);
    /* An abort makes a step due although no socket tells of it, and the call that began hears of what the step has met. */
    check(!RTMP_Connect(r, NULL));
    if (RTMP_GetLastError(r) == RTMP_ERR_AGAIN) {
        check(RTMP_Abort(r) && RTMP_GetPollTimeout(r) == 0);
        check((RTMP_Step(r) & RTMP_STEP_FAILED) && RTMP_GetLastError(r) == RTMP_ERR_ABORTED);
        check(RTMP_GetPollTimeout(r) == -1 && RTMP_GetPollFds(r, NULL, 0) == 0);
        check(!RTMP_Connect(r, NULL) && RTMP_GetLastError(r) == RTMP_ERR_ABORTED);
    }
    RTMP_Close(r);
    /* So it does of a refusal, once. */
    char refused[64];
    snprintf(refused, sizeof refused, "rtmp://127.0.0.1:%d/app/name", closed_port());
    check(RTMP_SetupURL(r, refused) && !RTMP_Connect(r, NULL));
    while (RTMP_GetLastError(r) == RTMP_ERR_AGAIN && !(RTMP_Step(r) & RTMP_STEP_FAILED))
        usleep(1000);
    check(!RTMP_Connect(r, NULL) && RTMP_GetLastError(r) == RTMP_ERR_CONNECT);
    RTMP_Close(r);
    /* An abort ends what has begun. */
    check(RTMP_Abort(r));
    check(!RTMP_Connect(r, NULL) && RTMP_GetLastError(r) == RTMP_ERR_ABORTED);
    check(RTMP_GetPollFds(r, NULL, 1) == -1 && RTMP_GetLastError(r) == RTMP_ERR_ARGUMENT);
    RTMP_Free(r);
    printf("ok\n");
    return 0;
}

int main(int argc, char **argv)
{
    RTMP_LogSetLevel(getenv("EVENT_LOOP_LOG") ? RTMP_LOGDEBUG : RTMP_LOGCRIT);
    if (argc > 2 && strcmp(argv[1], "play") == 0)
        return play(argv + 2, argc - 2, 0);
    if (argc > 2 && strcmp(argv[1], "watch") == 0)
        return play(argv + 2, argc - 2, 1);
    if (argc == 4 && strcmp(argv[1], "wander") == 0)
        return wander(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "block") == 0)
        return block(argv[2]);
    if (argc == 5 && strcmp(argv[1], "publish") == 0)
        return publish(atoi(argv[2]), atoi(argv[3]), argv[4]);
    if (argc == 3 && strcmp(argv[1], "stall") == 0)
        return stall(argv[2]);
    if (argc > 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3], argv + 4, argc - 4);
    if (argc == 2 && strcmp(argv[1], "misuse") == 0)
        return misuse();
    return 2;
}
