/* One client: its thread, the messages it sends, and the media that goes to it.
 *
 * The thread waits in poll() for the socket, for the live queue and for the next tag's time at once, so
 * reading, sending and timeouts all happen here and the RTMP object has a single user. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../reason.h"
#include "server.h"

enum {
    MOST_COMMAND = 16 << 10, /* bytes of a command: also bounds how deep its objects can nest */
    MOST_COMMANDS = 200,     /* in a second */
    MOST_MESSAGE = 8 << 20,
    MOST_PENDING = 10 << 20, /* bytes announced by all messages that have begun */
    HANDSHAKE_MS = 10000
};

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void client_guard(struct client *client, int64_t ms) { atomic_store(&client->deadline, clock_ms() + ms); }

static void unguard(struct client *client) { atomic_store(&client->deadline, 0); }

/* ---- messages from the client ---- */

static int take_user_control(struct client *client, const char *body, uint32_t size)
{
    if (size >= 10 && AMF_DecodeInt16(body) == CONTROL_BUFFER_LENGTH) {
        uint32_t buffer = AMF_DecodeInt32(body + 6);
        client->buffer_ms = buffer < 100 ? 100 : buffer;
    } else if (size >= 6 && AMF_DecodeInt16(body) == CONTROL_PING) {
        return RTMP_SendCtrl(&client->rtmp, CONTROL_PONG, AMF_DecodeInt32(body + 2), 0);
    }
    return 1;
}

/* The client ends a message that it has begun, without the rest. */
static void abort_message(struct client *client, RTMPPacket *packet)
{
    RTMP *r = &client->rtmp;
    int channel = AMF_DecodeInt32(packet->m_body) <= INT32_MAX ? (int)AMF_DecodeInt32(packet->m_body) : -1;
    RTMP_ClientPacket(r, packet);
    /* librtmp 2.4 ignores it, but keeps what it has of a message in these fields. Others leave them empty. */
    RTMPPacket *begun =
        r->m_vecChannelsIn && channel >= 0 && channel < r->m_channelsAllocatedIn ? r->m_vecChannelsIn[channel] : NULL;
    if (begun && begun->m_body) {
        RTMPPacket_Free(begun);
        begun->m_nBytesRead = 0;
    }
    for (int i = 0; i < MOST_PARTIAL; i++)
        if (client->partial[i].channel == channel)
            client->partial[i].size = 0;
}

/* What the two ends agree about. The library does what it can do itself, once it is known to make sense. */
static int take_control(struct client *client, RTMPPacket *packet)
{
    RTMP *r = &client->rtmp;
    const char *body = packet->m_body;
    uint32_t number = packet->m_nBodySize >= 4 ? AMF_DecodeInt32(body) : 0;
    switch (packet->m_packetType) {
    case RTMP_PACKET_TYPE_CHUNK_SIZE:
        if (number == 0 || number > INT32_MAX)
            return 0;
        RTMP_ClientPacket(r, packet);
        if (r->m_inChunkSize > 0xffffff)
            r->m_inChunkSize = 0xffffff; /* no message is longer */
        return 1;
    case PACKET_TYPE_ABORT:
        if (packet->m_nBodySize >= 4)
            abort_message(client, packet);
        return 1;
    case RTMP_PACKET_TYPE_CONTROL:
        return take_user_control(client, body, packet->m_nBodySize);
    case RTMP_PACKET_TYPE_SERVER_BW: /* how many bytes the client sends without an acknowledgement */
        if (number > 0 && number < SERVER_WINDOW)
            r->m_nClientBW = (int)number; /* the library acknowledges each tenth of it */
        return 1;
    case RTMP_PACKET_TYPE_CLIENT_BW: /* how many we may send: TCP sees to that, but an answer is due */
        return number == SERVER_WINDOW || RTMP_SendServerBW(r);
    default:
        return 1;
    }
}

/* A client that does nothing but give commands costs time and log lines. */
static int take_command(struct client *client, int stream_id, char *body, uint32_t size)
{
    int64_t now = clock_ms();
    if (now - client->second >= 1000) {
        client->second = now;
        client->commands = 0;
    }
    if (size > MOST_COMMAND || ++client->commands > MOST_COMMANDS) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: too long or too many commands", client->number);
        return 0;
    }
    return command_handle(client, stream_id, body, size);
}

/* Returns 0 when the connection has to end. */
static int take_message(struct client *client, RTMPPacket *packet)
{
    char *body = packet->m_body;
    uint32_t size = packet->m_nBodySize;
    if (!body || size == 0)
        return 1;
    switch (packet->m_packetType) {
    case RTMP_PACKET_TYPE_AUDIO:
    case RTMP_PACKET_TYPE_VIDEO:
    case RTMP_PACKET_TYPE_FLEX_STREAM_SEND:
    case RTMP_PACKET_TYPE_INFO:
    case RTMP_PACKET_TYPE_FLASH_VIDEO:
        return netstream_receive(client, packet->m_nInfoField2, packet->m_packetType, packet->m_nTimeStamp, body, size);
    case RTMP_PACKET_TYPE_FLEX_MESSAGE: /* one byte, and then as below */
        return take_command(client, packet->m_nInfoField2, body + 1, size - 1);
    case RTMP_PACKET_TYPE_INVOKE:
        return take_command(client, packet->m_nInfoField2, body, size);
    default:
        return take_control(client, packet);
    }
}

/* Keeps count of the messages that have begun. Each has its full length allocated by the library, so a
 * client that begins many long ones has to go. */
static int note_partial(struct client *client, const RTMPPacket *packet, int begun)
{
    uint64_t pending = 0;
    int place = -1;
    for (int i = 0; i < MOST_PARTIAL; i++) {
        if (client->partial[i].size && client->partial[i].channel == packet->m_nChannel)
            client->partial[i].size = 0;
        if (client->partial[i].size == 0)
            place = i;
        pending += client->partial[i].size;
    }
    if (!begun)
        return 1;
    if (place < 0 || pending + packet->m_nBodySize > MOST_PENDING)
        return 0;
    client->partial[place].channel = packet->m_nChannel;
    client->partial[place].size = packet->m_nBodySize;
    return 1;
}

/* Reads one chunk; acts when it completes a message. */
static int read_chunk(struct client *client)
{
    RTMP *r = &client->rtmp;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    client_guard(client, client->server->timeout_ms);
    int ok = RTMP_ReadPacket(r, &packet);
    client_guard(client, 2 * (int64_t)client->server->timeout_ms); /* for the answers */
    if (!ok)
        return 0;
    client->last_heard = clock_ms();
    int ready = RTMPPacket_IsReady(&packet);
    ok = packet.m_nBodySize <= MOST_MESSAGE && note_partial(client, &packet, !ready);
    if (!ok)
        RTMP_Log(RTMP_LOGWARNING, "client %u: sends too much at once", client->number);
    if (ready) {
        if (ok)
            ok = take_message(client, &packet);
        RTMPPacket_Free(&packet);
    }
    return ok;
}

/* ---- the thread ---- */

/* A client that publishes or does nothing has to be heard of; a player is asked for a sign of life. */
static int check_silence(struct client *client)
{
    int64_t now = clock_ms(), silent = now - client->last_heard, limit = client->server->timeout_ms;
    int playing = 0, busy = 0;
    for (int i = 0; i < MOST_NETSTREAMS; i++) {
        busy |= client->netstreams[i].role != ROLE_NONE;
        playing |= client->netstreams[i].role > ROLE_PUBLISHING;
    }
    if (busy)
        client->last_busy = now;
    if (silent > (playing ? 4 * limit : limit) || now - client->last_busy > 4 * limit) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: %s for %d seconds", client->number, silent > limit ? "silent" : "idle",
                 (int)((silent > limit ? silent : now - client->last_busy) / 1000));
        return 0;
    }
    if (playing && silent > limit / 2 && now - client->last_ping > limit / 2) {
        client->last_ping = now;
        return RTMP_SendCtrl(&client->rtmp, CONTROL_PING, (unsigned)now, 0);
    }
    return 1;
}

/* Asked before reading, since the library logs the end of a connection as an error. */
static int has_left(const RTMP *r)
{
    char byte;
    return r->m_sb.sb_size == 0 && recv(r->m_sb.sb_socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int turn(struct client *client)
{
    RTMP *r = &client->rtmp;
    char scrap[64];
    struct pollfd waiting[2] = { { .fd = RTMP_Socket(r), .events = POLLIN },
                                 { .fd = client->wake[0], .events = POLLIN } };
    unguard(client);
    /* Bytes that the library has read already do not make the socket readable. */
    if (poll(waiting, 2, r->m_sb.sb_size > 0 ? 0 : netstream_wait(client, 1000)) < 0 && errno != EINTR)
        return 0;
    client_guard(client, 2 * (int64_t)client->server->timeout_ms);
    if (waiting[0].revents || r->m_sb.sb_size > 0) {
        int chunks = 0;
        if (has_left(r))
            return 0;
        do
            if (!read_chunk(client) || atomic_load(&client->server->stopping))
                return 0;
        while (r->m_sb.sb_size > 0 && ++chunks < 64);
    }
    if (waiting[1].revents)
        while (read(client->wake[0], scrap, sizeof scrap) == (ssize_t)sizeof scrap)
            ;
    int moves = atomic_load(&client->server->moves);
    if (moves != client->moves && client->connected && !reply_reconnect(r, client->server->move_to))
        return 0;
    client->moves = moves;
    return netstream_send(client) && !atomic_load(&client->server->stopping) && check_silence(client);
}

/* Lets the last messages arrive: closing with unread bytes would make the kernel drop unsent ones. */
static void part(struct client *client)
{
    char scrap[4096];
    if (shutdown(client->shutdown_fd, SHUT_WR) != 0)
        return;
    int64_t end = clock_ms() + 1000;
    for (;;) {
        struct pollfd waiting = { .fd = client->shutdown_fd, .events = POLLIN };
        int64_t left = end - clock_ms();
        if (left <= 0 || atomic_load(&client->server->stopping) || poll(&waiting, 1, (int)left) <= 0
            || recv(client->shutdown_fd, scrap, sizeof scrap, 0) <= 0)
            return;
    }
}

void client_free(struct client *client)
{
    int descriptors[] = { client->shutdown_fd, client->wake[0], client->wake[1] };
    for (int i = 0; i < 3; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    media_free(&client->out);
    free(client);
}

/* An RTMPT client came over HTTP: its session goes through another socket then, and the HTTP connection is not
 * ours to end. Where it belongs to a session in another thread, there is no socket at all. */
static void follow_socket(struct client *client, int accepted)
{
    int fd = RTMP_Socket(&client->rtmp);
    if (fd != accepted)
        dup2(fd >= 0 ? fd : client->wake[0], client->shutdown_fd); /* a pipe is nothing that can be shut down */
}

static void *serve(void *argument)
{
    struct client *client = argument;
    int accepted = RTMP_Socket(&client->rtmp);
    client_guard(client, HANDSHAKE_MS);
    int ok = !client->tls || RTMP_TLS_Accept(&client->rtmp, client->tls);
    if (!ok)
        RTMP_Log(RTMP_LOGWARNING, "client %u: no TLS handshake: %s", client->number, reason(&client->rtmp));
    else if (!(ok = RTMP_Serve(&client->rtmp)) && RTMP_IsConnected(&client->rtmp))
        RTMP_Log(RTMP_LOGWARNING, "client %u: no RTMP handshake: %s", client->number, reason(&client->rtmp));
    follow_socket(client, accepted);
    client->last_heard = client->last_busy = clock_ms();
    client->rtmp.m_bSendCounter = TRUE; /* RTMP_Serve leaves it to us whether what is received is acknowledged */
    while (ok)
        ok = turn(client);
    for (int i = 0; i < MOST_NETSTREAMS; i++)
        netstream_stop(client, &client->netstreams[i]);
    int connected = RTMP_IsConnected(&client->rtmp);
    client_guard(client, 2 * (int64_t)client->server->timeout_ms);
    RTMP_Close(&client->rtmp); /* sends the TLS close message; shutdown_fd keeps the connection open */
    unguard(client);
    if (connected)
        part(client);
    shutdown(client->shutdown_fd, SHUT_RDWR); /* closed for the peer now, not when the thread is joined */
    RTMP_Log(RTMP_LOGINFO, "client %u: gone", client->number);
    atomic_store(&client->done, 1);
    return NULL;
}

void client_join(struct client *client)
{
    pthread_join(client->thread, NULL);
    client_free(client);
}

static int prepare_socket(int fd, int timeout_ms)
{
    struct timeval limit = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    int on = 1, flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 /* some systems take it from the listener */
           && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0
           && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0
           && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

struct client *client_new(struct server *server)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->server = server;
    client->buffer_ms = 3000;
    client->shutdown_fd = client->wake[0] = client->wake[1] = -1;
    RTMP_Init(&client->rtmp);
    client->rtmp.Link.timeout = server->timeout_ms / 1000;
    if (pipe(client->wake) == 0 && (client->shutdown_fd = dup(client->wake[0])) >= 0 /* the socket takes its place */
        && fcntl(client->wake[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(client->wake[1], F_SETFL, O_NONBLOCK) == 0)
        return client;
    client_free(client);
    return NULL;
}

int client_start(struct client *client, int fd, void *tls, unsigned number)
{
    client->tls = tls;
    client->number = number;
    client->moves = atomic_load(&client->server->moves);
    client->rtmp.m_sb.sb_socket = fd; /* RTMP_Close closes it */
    int error = 0;
    if (dup2(fd, client->shutdown_fd) < 0 || !prepare_socket(fd, client->server->timeout_ms))
        error = errno;
    else
        error = pthread_create(&client->thread, NULL, serve, client);
    if (error == 0)
        return 1;
    RTMP_Close(&client->rtmp);
    client_free(client);
    errno = error;
    return 0;
}
