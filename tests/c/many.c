/* Thousands of sessions on one thread: a server, and players that connect all at once.
 *
 *   many PLAYERS ROUNDS SIZE [stalled]   sessions that never wait, in one thread; with "stalled" the first player stops to read
 *   many PLAYERS ROUNDS SIZE blocking    the same with calls that wait, in one thread for each side
 *   many PLAYERS ROUNDS SIZE sockets     the same bytes over sockets alone, without this library: what the system costs
 *
 * In each round every player is sent one message of SIZE bytes; when all are sent, they are received, so that both ways meet
 * the same memory in the same order. Prints one line of figures: CPU of both sides together, memory
 * of both ends of a connection, and how long messages took (the one that stalls left out). */
#define _GNU_SOURCE
#include <librtmp/log.h>
#include <librtmp/loop.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
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

enum { MOST_FDS = 8, EVENTS = 512, SWEEP_MS = 1000, WARM_UP = 3 };

/* One end of a connection. */
struct end {
    RTMP *r;
    int is_player, ready, told, is_stalled, is_due;
    long received;
    struct pollfd watched[MOST_FDS];
    int watching;
    char url[64];
};

static struct end *players, *guests, **due;
static int count, rounds, size, accepted, ready, due_count, poller, listener, port;
static long dropped, arrived;
static int rounds_sent; /* while calls wait */
static char *body;
static unsigned *delays; /* microseconds */
static size_t delay_count;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* CPU time between two calls, in nanoseconds: all of it, and the part of the program and the library. */
static long long used, used_by_user;

static void measure(int begins)
{
    int sign = begins ? -1 : 1;
    struct timespec time;
    struct rusage usage;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    check(getrusage(RUSAGE_SELF, &usage) == 0);
    if (begins)
        used = used_by_user = 0;
    used += sign * (time.tv_sec * 1000000000LL + time.tv_nsec);
    used_by_user += sign * (usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec) * 1000;
}

static long resident(void)
{
    long pages = 0, unused = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    check(file && fscanf(file, "%ld %ld", &unused, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void mark_due(struct end *end)
{
    if (!end->is_due) {
        end->is_due = 1;
        due[due_count++] = end;
    }
}

/* Watches what the session waits for now. */
static void watch(struct end *end)
{
    struct pollfd wanted[MOST_FDS];
    int found = RTMP_GetPollFds(end->r, wanted, MOST_FDS);
    check(found >= 0 && found <= MOST_FDS);
    for (int i = 0; i < found; i++) {
        int known = 0;
        for (int k = 0; k < end->watching; k++)
            known |= end->watched[k].fd == wanted[i].fd && end->watched[k].events == wanted[i].events;
        if (known)
            continue;
        struct epoll_event event = {.data.ptr = end};
        event.events = (wanted[i].events & POLLIN ? EPOLLIN : 0) | (wanted[i].events & POLLOUT ? EPOLLOUT : 0);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, wanted[i].fd, &event) != 0)
            check(errno == EEXIST && epoll_ctl(poller, EPOLL_CTL_MOD, wanted[i].fd, &event) == 0);
    }
    for (int k = 0; k < end->watching; k++) {
        int wants = 0;
        for (int i = 0; i < found; i++)
            wants |= end->watched[k].fd == wanted[i].fd;
        if (!wants)
            epoll_ctl(poller, EPOLL_CTL_DEL, end->watched[k].fd, NULL);
    }
    memcpy(end->watched, wanted, sizeof wanted);
    end->watching = found;
    if (RTMP_GetPollTimeout(end->r) == 0)
        mark_due(end);
}

/* Counts a message, whose first bytes are the time when it was sent. */
static void take(struct end *end, const RTMPPacket *packet)
{
    long long sent;
    if (packet->m_packetType != RTMP_PACKET_TYPE_VIDEO)
        return;
    check(packet->m_nBodySize == (uint32_t)size && packet->m_nTimeStamp == (uint32_t)end->received);
    memcpy(&sent, packet->m_body, sizeof sent);
    end->received++;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_RELAXED);
    if (end->received > WARM_UP)
        delays[delay_count++] = (unsigned)((now() - sent) / 1000);
}

static int is_again(RTMP *r)
{
    return RTMP_GetLastError(r) == RTMP_ERR_AGAIN;
}

static void receive(struct end *end, int state)
{
    RTMPPacket packet;
    if (!(state & RTMP_STEP_READABLE))
        return;
    for (;;) {
        memset(&packet, 0, sizeof packet);
        if (!RTMP_ReadPacket(end->r, &packet)) {
            check(is_again(end->r));
            return;
        }
        if (!RTMPPacket_IsReady(&packet))
            continue;
        if (end->is_player)
            take(end, &packet);
        if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE || end->is_player)
            RTMP_ClientPacket(end->r, &packet);
        if (!end->is_player)
            answer(end->r, &packet, &end->told);
        RTMPPacket_Free(&packet);
    }
}

static void step(struct end *end)
{
    int state = RTMP_Step(end->r);
    if (state & RTMP_STEP_FAILED) {
        fprintf(stderr, "%s: %s\n", end->is_player ? "player" : "server", RTMP_GetErrorString(end->r));
        exit(1);
    }
    if (!end->ready && end->is_player) {
        if ((state & RTMP_STEP_CONNECTED) && !RTMP_ConnectStream(end->r, 0))
            check(is_again(end->r));
        else if (state & RTMP_STEP_CONNECTED)
            end->ready = 1, ready++, state = RTMP_Step(end->r);
    } else if (!end->ready) {
        if (!RTMP_Serve(end->r))
            check(is_again(end->r));
        else
            end->ready = 1, state = RTMP_Step(end->r);
    }
    if (end->ready && !end->is_stalled)
        receive(end, state);
}

static void accept_all(void)
{
    int fd;
    while (accepted < count && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct end *guest = &guests[accepted++];
        guest->r = RTMP_Alloc();
        RTMP_Init(guest->r);
        guest->r->Link.timeout = 60;
        guest->r->m_sb.sb_socket = fd;
        check(RTMP_SetNonBlocking(guest->r, 1));
        step(guest);
        watch(guest);
    }
}

/* One turn of the loop. */
static void turn(void)
{
    static long long swept;
    struct epoll_event events[EVENTS];
    int found = epoll_wait(poller, events, EVENTS, due_count ? 0 : SWEEP_MS);
    check(found >= 0 || errno == EINTR);
    for (int i = 0; i < found; i++) {
        if (events[i].data.ptr)
            mark_due(events[i].data.ptr);
        else
            accept_all();
    }
    int turns = due_count;
    struct end **round = malloc(sizeof *round * (size_t)(turns + 1));
    memcpy(round, due, sizeof *round * (size_t)turns);
    due_count = 0;
    for (int i = 0; i < turns; i++) {
        round[i]->is_due = 0;
        step(round[i]);
        watch(round[i]);
    }
    free(round);
    if (now() - swept > SWEEP_MS * 1000000LL) {
        swept = now();
        for (int i = 0; i < count; i++)
            if (RTMP_GetPollTimeout(players[i].r) == 0)
                mark_due(&players[i]);
        for (int i = 0; i < accepted; i++)
            if (RTMP_GetPollTimeout(guests[i].r) == 0)
                mark_due(&guests[i]);
    }
}

static int send_one(struct end *guest, int number)
{
    RTMPPacket packet;
    long long time = now();
    memset(&packet, 0, sizeof packet);
    packet.m_nChannel = 4;
    packet.m_headerType = number == 0 ? RTMP_PACKET_SIZE_LARGE : RTMP_PACKET_SIZE_MEDIUM;
    packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
    packet.m_nTimeStamp = (uint32_t)number;
    packet.m_nInfoField2 = 1;
    packet.m_body = body + RTMP_MAX_HEADER_SIZE;
    packet.m_nBodySize = (uint32_t)size;
    memcpy(packet.m_body, &time, sizeof time);
    return RTMP_SendPacket(guest->r, &packet, 0);
}

static int by_size(const void *left, const void *right)
{
    unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;
    return (a > b) - (a < b);
}

static void report(const char *how, long long connecting, long grown, long messages)
{
    qsort(delays, delay_count, sizeof *delays, by_size);
    size_t last = delay_count ? delay_count - 1 : 0;
    if (messages == 0)
        messages = 1;
    printf("%s sessions=%d connected_ms=%lld kb_per_session=%.1f cpu_ns_per_message=%lld user_ns=%lld p50_us=%u p999_us=%u arrived=%ld dropped=%ld\n",
           how, 2 * count, connecting / 1000000, (double)grown / (2 * count), used / messages, used_by_user / messages,
           delays[delay_count / 2], delays[last * 999 / 1000], arrived, dropped);
}

static void listen_for_players(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 65535) == 0);
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    port = ntohs(address.sin_port);
}

static void prepare(struct end *player)
{
    player->is_player = 1;
    snprintf(player->url, sizeof player->url, "rtmp://127.0.0.1:%d/app/name", port);
    player->r = RTMP_Alloc();
    RTMP_Init(player->r);
    player->r->Link.timeout = 60;
    check(RTMP_SetupURL(player->r, player->url));
}

static void never_waiting(int stalls)
{
    struct epoll_event event = {.events = EPOLLIN};
    long before = resident();
    long long began = now();
    poller = epoll_create1(EPOLL_CLOEXEC);
    check(poller >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) == 0);
    check(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < count; i++) {
        prepare(&players[i]);
        check(RTMP_SetNonBlocking(players[i].r, 1));
        check(!RTMP_Connect(players[i].r, NULL) && is_again(players[i].r));
        watch(&players[i]);
    }
    while (ready < count)
        turn();
    long long connecting = now() - began;
    long grown = resident() - before;
    players[0].is_stalled = stalls;
    for (int round = 0; round < rounds; round++) {
        if (round == WARM_UP)
            measure(1);
        for (int i = 0; i < count; i++) {
            if (!send_one(&guests[i], round)) {
                check(is_again(guests[i].r));
                dropped++;
            }
            watch(&guests[i]);
        }
        /* Which guest serves the player that stalls is not known: all but one have to get everything. */
        while (arrived < (long)(count - stalls) * (round + 1))
            turn();
    }
    measure(0);
    report(stalls ? "stalled" : "steps", connecting, grown, (long)(rounds - WARM_UP) * count);
}

static void *serve_blocking(void *unused)
{
    for (int i = 0; i < count; i++) {
        struct end *guest = &guests[i];
        int fd = accept(listener, NULL, NULL);
        check(fd >= 0);
        guest->r = RTMP_Alloc();
        RTMP_Init(guest->r);
        guest->r->Link.timeout = 60;
        guest->r->m_sb.sb_socket = fd;
        check(RTMP_Serve(guest->r));
        while (guest->told < 3) {
            RTMPPacket packet = {0};
            check(RTMP_ReadPacket(guest->r, &packet));
            if (!RTMPPacket_IsReady(&packet))
                continue;
            if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE)
                RTMP_ClientPacket(guest->r, &packet);
            answer(guest->r, &packet, &guest->told);
            RTMPPacket_Free(&packet);
        }
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++)
            check(send_one(&guests[i], round));
        __atomic_store_n(&rounds_sent, round + 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < (long)count * (round + 1))
            usleep(50);
    }
    return unused;
}

static void blocking(void)
{
    pthread_t server;
    long before = resident();
    long long began = now(), connecting;
    check(pthread_create(&server, NULL, serve_blocking, NULL) == 0);
    for (int i = 0; i < count; i++) {
        prepare(&players[i]);
        check(RTMP_Connect(players[i].r, NULL) && RTMP_ConnectStream(players[i].r, 0));
    }
    connecting = now() - began;
    long grown = resident() - before;
    for (int round = 0; round < rounds; round++) {
        if (round == WARM_UP)
            measure(1);
        while (__atomic_load_n(&rounds_sent, __ATOMIC_ACQUIRE) <= round)
            usleep(50);
        for (int i = 0; i < count; i++) {
            while (players[i].received <= round) {
                RTMPPacket packet = {0};
                check(RTMP_ReadPacket(players[i].r, &packet));
                if (!RTMPPacket_IsReady(&packet))
                    continue;
                take(&players[i], &packet);
                RTMP_ClientPacket(players[i].r, &packet);
                RTMPPacket_Free(&packet);
            }
        }
    }
    measure(0);
    pthread_join(server, NULL);
    report("blocking", connecting, grown, (long)(rounds - WARM_UP) * count);
}

/* One send and one receive for each message, as the sessions make them, with the same buffer. */
static void sockets_alone(void)
{
    enum { HEADER = 8, BUFFER = 16384 };
    static char buffer[BUFFER];
    int *near = calloc((size_t)count, sizeof *near), on = 1;
    int *far = calloc((size_t)count, sizeof *far);
    long before = resident();
    long long began = now();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    check(near && far && (poller = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = far[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        check(connect(far[i], (struct sockaddr *)&address, sizeof address) == 0);
        check((near[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
        check(setsockopt(near[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
        check(epoll_ctl(poller, EPOLL_CTL_ADD, far[i], &event) == 0);
    }
    long long connecting = now() - began;
    long grown = resident() - before;
    for (int round = 0; round < rounds; round++) {
        if (round == WARM_UP)
            measure(1);
        for (int i = 0; i < count; i++) {
            long long time = now();
            memcpy(body, &time, sizeof time);
            check(send(near[i], body, (size_t)size + HEADER, MSG_DONTWAIT | MSG_NOSIGNAL) == size + HEADER);
        }
        while (arrived < (long)count * (round + 1)) {
            struct epoll_event events[EVENTS];
            int found = epoll_wait(poller, events, EVENTS, SWEEP_MS);
            check(found >= 0 || errno == EINTR);
            for (int i = 0; i < found; i++) {
                long long sent;
                check(recv(events[i].data.fd, buffer, sizeof buffer, MSG_DONTWAIT) == size + HEADER);
                memcpy(&sent, buffer, sizeof sent);
                arrived++;
                if (round >= WARM_UP)
                    delays[delay_count++] = (unsigned)((now() - sent) / 1000);
            }
        }
    }
    measure(0);
    report("sockets", connecting, grown, (long)(rounds - WARM_UP) * count);
    for (int i = 0; i < count; i++) {
        close(near[i]);
        close(far[i]);
    }
    free(near);
    free(far);
}

static void release(struct end *end)
{
    RTMP_Close(end->r);
    RTMP_Free(end->r);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    if (argc < 4)
        return 2;
    count = atoi(argv[1]), rounds = atoi(argv[2]), size = atoi(argv[3]);
    check(count > 0 && rounds > WARM_UP && size >= (int)sizeof(long long));
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < (rlim_t)(2 * count + 32)) {
        printf("only %llu descriptors\n", (unsigned long long)limit.rlim_cur);
        return 3;
    }
    players = calloc((size_t)count, sizeof *players);
    guests = calloc((size_t)count, sizeof *guests);
    due = calloc((size_t)(2 * count), sizeof(struct end *));
    delays = calloc((size_t)count * (size_t)rounds, sizeof *delays);
    body = calloc(1, (size_t)size + RTMP_MAX_HEADER_SIZE);
    check(players && guests && due && delays && body);
    listen_for_players();
    if (argc > 4 && strcmp(argv[4], "blocking") == 0)
        blocking();
    else if (argc > 4 && strcmp(argv[4], "sockets") == 0)
        sockets_alone();
    else
        never_waiting(argc > 4 && strcmp(argv[4], "stalled") == 0);
    for (int i = 0; i < count && players[i].r; i++) {
        release(&players[i]);
        release(&guests[i]);
    }
    return 0;
}
