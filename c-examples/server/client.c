/* One client: its thread, the messages it sends, and the media that goes to it.
 *
 * The thread waits in poll() for the socket, for the live queue and for the next tag's time at once, so
 * reading, sending and time-outs all happen here and the RTMP object has a single user. */
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
    MOST_MESSAGE = 8 << 20,
    MOST_PENDING = 24 << 20, /* bytes announced by all messages that have begun */
    BATCH = 32,              /* media messages sent before the socket is looked at again */
    HANDSHAKE_MS = 10000
};

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* From here on the connection is shut down unless the call that follows is through in time. A peer that
 * sends or takes one byte now and then passes every socket time-out, but not this. */
static void guard(struct client *client, int64_t ms) { atomic_store(&client->deadline, clock_ms() + ms); }

static void unguard(struct client *client) { atomic_store(&client->deadline, 0); }

/* ---- media from the client ---- */

static void record(struct client *client, const struct message *message)
{
    if (!client->recording.file
        || flv_write(&client->recording, message->type, message->timestamp, message->body, message->size))
        return;
    RTMP_Log(RTMP_LOGERROR, "client %u: recording of %s ends, cannot write: %s", client->number, client->name,
             strerror(errno));
    flv_writer_finish(&client->recording);
}

static void take_media(struct client *client, uint8_t type, uint32_t timestamp, const char *body, uint32_t size)
{
    if (client->role != ROLE_PUBLISHING || size == 0)
        return;
    struct message *message = message_new(type, timestamp, body, size);
    if (!message)
        return;
    record(client, message);
    live_feed(client->server->live, client->stream, message);
}

/* Publishers wrap metadata in a call of @setDataFrame; players get what is inside. */
static void take_data(struct client *client, uint32_t timestamp, const char *body, uint32_t size)
{
    static const char set[] = "\x02\x00\x0d@setDataFrame", clear[] = "\x02\x00\x0f@clearDataFrame";
    if (size >= sizeof clear - 1 && memcmp(body, clear, sizeof clear - 1) == 0)
        return;
    if (size >= sizeof set - 1 && memcmp(body, set, sizeof set - 1) == 0) {
        body += sizeof set - 1;
        size -= sizeof set - 1;
    }
    take_media(client, FLV_SCRIPT, timestamp, body, size);
}

/* An aggregate is a run of FLV tags. Its own timestamp is that of the first. */
static void take_aggregate(struct client *client, uint32_t timestamp, const char *body, uint32_t size)
{
    uint32_t first = 0;
    for (uint32_t at = 0; size - at >= FLV_TAG_HEADER;) {
        const uint8_t *tag = (const uint8_t *)body + at;
        uint32_t length = flv_get24(tag + 1);
        uint32_t time = flv_get24(tag + 4) | (uint32_t)tag[7] << 24;
        if (length > size - at - FLV_TAG_HEADER)
            return;
        if (at == 0)
            first = time;
        if (tag[0] == FLV_AUDIO || tag[0] == FLV_VIDEO)
            take_media(client, tag[0], timestamp + (time - first), body + at + FLV_TAG_HEADER, length);
        else if (tag[0] == FLV_SCRIPT)
            take_data(client, timestamp + (time - first), body + at + FLV_TAG_HEADER, length);
        at += FLV_TAG_HEADER + length;
        at += size - at < FLV_TAG_TRAILER ? size - at : FLV_TAG_TRAILER;
    }
}

/* ---- messages from the client ---- */

static int take_control(struct client *client, const char *body, uint32_t size)
{
    if (size < 6)
        return 1;
    unsigned event = AMF_DecodeInt16(body);
    uint32_t value = AMF_DecodeInt32(body + 2);
    if (event == 3 && size >= 10) {
        uint32_t buffer = AMF_DecodeInt32(body + 6);
        client->buffer_ms = buffer < 100 ? 100 : buffer;
    } else if (event == CONTROL_PING) {
        return RTMP_SendCtrl(&client->rtmp, 7, value, 0);
    }
    return 1;
}

/* Returns 0 when the connection has to end. */
static int take_message(struct client *client, const RTMPPacket *packet)
{
    const char *body = packet->m_body;
    uint32_t size = packet->m_nBodySize, timestamp = packet->m_nTimeStamp;
    if (!body || size == 0)
        return 1;
    switch (packet->m_packetType) {
    case RTMP_PACKET_TYPE_CHUNK_SIZE:
        if (size < 4 || (AMF_DecodeInt32(body) & 0x7fffffff) == 0)
            return 0;
        client->rtmp.m_inChunkSize = (int)(AMF_DecodeInt32(body) & 0x7fffffff);
        if (client->rtmp.m_inChunkSize > 0xffffff)
            client->rtmp.m_inChunkSize = 0xffffff; /* no message is longer */
        return 1;
    case RTMP_PACKET_TYPE_CONTROL:
        return take_control(client, body, size);
    case RTMP_PACKET_TYPE_SERVER_BW:
        if (size >= 4 && AMF_DecodeInt32(body) >= 1000 && AMF_DecodeInt32(body) <= INT32_MAX)
            client->rtmp.m_nServerBW = (int)AMF_DecodeInt32(body); /* the library acknowledges in time for it */
        return 1;
    case RTMP_PACKET_TYPE_AUDIO:
    case RTMP_PACKET_TYPE_VIDEO:
        take_media(client, packet->m_packetType, timestamp, body, size);
        return 1;
    case RTMP_PACKET_TYPE_FLEX_STREAM_SEND: /* AMF0 behind one byte */
        take_data(client, timestamp, body + 1, size - 1);
        return 1;
    case RTMP_PACKET_TYPE_INFO:
        take_data(client, timestamp, body, size);
        return 1;
    case RTMP_PACKET_TYPE_FLASH_VIDEO:
        take_aggregate(client, timestamp, body, size);
        return 1;
    case RTMP_PACKET_TYPE_FLEX_MESSAGE:
        body++;
        size--;
        /* fall through */
    case RTMP_PACKET_TYPE_INVOKE:
        return size <= MOST_COMMAND && command_handle(client, packet->m_nInfoField2, body, size);
    default:
        return 1;
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
    guard(client, client->server->timeout_ms);
    int ok = RTMP_ReadPacket(r, &packet);
    unguard(client);
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

/* ---- media to the client ---- */

static int send_media(struct client *client, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size)
{
    guard(client, 2 * (int64_t)client->server->timeout_ms);
    int sent = media_send(&client->out, &client->rtmp, client->stream_id, type, timestamp, body, size);
    unguard(client);
    return sent;
}

static int send_delivery(struct client *client, const struct delivery *delivery)
{
    const struct message *message = delivery->message;
    RTMP *r = &client->rtmp;
    switch (message->type) {
    case LIVE_PUBLISHED:
        return RTMP_SendCtrl(r, CONTROL_STREAM_BEGIN, (unsigned)client->stream_id, 0)
               && reply_status(r, client->stream_id, "status", "NetStream.Play.PublishNotify", client->name);
    case LIVE_UNPUBLISHED:
        return RTMP_SendCtrl(r, CONTROL_STREAM_EOF, (unsigned)client->stream_id, 0)
               && reply_status(r, client->stream_id, "status", "NetStream.Play.UnpublishNotify", client->name);
    default:
        return send_media(client, message->type, delivery->timestamp, message->body, message->size);
    }
}

static int send_live(struct client *client)
{
    struct delivery deliveries[BATCH];
    int ok = 1;
    size_t count = live_take(client->server->live, client->player, deliveries, BATCH);
    for (size_t i = 0; i < count; i++) {
        ok = ok && send_delivery(client, &deliveries[i]);
        message_release(deliveries[i].message);
    }
    client->more = count == BATCH;
    return ok;
}

static int send_file(struct client *client)
{
    RTMP *r = &client->rtmp;
    uint8_t type;
    uint32_t timestamp, size, last = 0;
    const uint8_t *body;
    for (int i = 0; i < BATCH && vod_wait(client->vod, client->buffer_ms, clock_ms()) == 0; i++) {
        if (vod_next(client->vod, &type, &timestamp, &body, &size)) {
            if (!send_media(client, type, timestamp, body, size))
                return 0;
            continue;
        }
        if (client->vod->tag.timestamp > client->vod->origin)
            last = client->vod->tag.timestamp - client->vod->origin;
        return reply_play_complete(r, client->stream_id, last)
               && RTMP_SendCtrl(r, CONTROL_STREAM_EOF, (unsigned)client->stream_id, 0)
               && reply_status(r, client->stream_id, "status", "NetStream.Play.Stop", client->name);
    }
    return 1;
}

void client_stop_role(struct client *client)
{
    struct server *server = client->server;
    switch (client->role) {
    case ROLE_PUBLISHING:
        live_unpublish(server->live, client->stream);
        if (client->recording.file && !flv_writer_finish(&client->recording))
            RTMP_Log(RTMP_LOGERROR, "client %u: the recording of %s is incomplete", client->number, client->name);
        client->stream = NULL;
        break;
    case ROLE_PLAYING_LIVE:
        live_leave(server->live, client->player);
        client->player = NULL;
        break;
    case ROLE_PLAYING_FILE:
        vod_close(client->vod);
        client->vod = NULL;
        break;
    case ROLE_NONE:
        return;
    }
    RTMP_Log(RTMP_LOGINFO, "client %u: ends %s", client->number, client->name);
    client->role = ROLE_NONE;
    client->paused = client->more = 0;
}

/* ---- the thread ---- */

/* How long the socket may be left alone. */
static int wait_ms(struct client *client)
{
    int64_t wait = 1000;
    if (client->more || client->rtmp.m_sb.sb_size > 0) /* bytes the library has read already */
        return 0;
    if (client->role == ROLE_PLAYING_FILE) {
        int64_t due = vod_wait(client->vod, client->buffer_ms, clock_ms());
        if (due >= 0 && due < wait)
            wait = due;
    }
    return (int)wait;
}

/* A client that publishes or does nothing has to be heard of; a player is asked for a sign of life. */
static int check_silence(struct client *client)
{
    int64_t now = clock_ms(), silent = now - client->last_heard, limit = client->server->timeout_ms;
    int playing = client->role == ROLE_PLAYING_LIVE || client->role == ROLE_PLAYING_FILE;
    if (silent > (playing ? 4 * limit : limit)) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: silent for %d seconds", client->number, (int)(silent / 1000));
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
    if (poll(waiting, 2, wait_ms(client)) < 0 && errno != EINTR)
        return 0;
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
    int ok = 1;
    if (client->role == ROLE_PLAYING_LIVE)
        ok = send_live(client);
    else if (client->role == ROLE_PLAYING_FILE)
        ok = send_file(client);
    return ok && !atomic_load(&client->server->stopping) && check_silence(client);
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

static void client_free(struct client *client)
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
    guard(client, HANDSHAKE_MS);
    int ok = !client->tls || RTMP_TLS_Accept(&client->rtmp, client->tls);
    if (!ok)
        RTMP_Log(RTMP_LOGWARNING, "client %u: no TLS handshake: %s", client->number, reason(&client->rtmp));
    else if (!(ok = RTMP_Serve(&client->rtmp)) && RTMP_IsConnected(&client->rtmp))
        RTMP_Log(RTMP_LOGWARNING, "client %u: no RTMP handshake: %s", client->number, reason(&client->rtmp));
    follow_socket(client, accepted);
    unguard(client);
    client->last_heard = clock_ms();
    while (ok)
        ok = turn(client);
    client_stop_role(client);
    int connected = RTMP_IsConnected(&client->rtmp);
    guard(client, 2 * (int64_t)client->server->timeout_ms);
    RTMP_Close(&client->rtmp); /* TLS says goodbye; shutdown_fd keeps the connection open */
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
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0
           && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0
           && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

struct client *client_start(struct server *server, int fd, void *tls, unsigned number)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        close(fd);
        return NULL;
    }
    client->server = server;
    client->tls = tls;
    client->number = number;
    client->buffer_ms = 3000;
    client->wake[0] = client->wake[1] = -1;
    client->shutdown_fd = dup(fd);
    RTMP_Init(&client->rtmp);
    client->rtmp.m_sb.sb_socket = fd; /* RTMP_Close closes it */
    client->rtmp.Link.timeout = server->timeout_ms / 1000;
    if (client->shutdown_fd >= 0 && pipe(client->wake) == 0
        && fcntl(client->wake[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(client->wake[1], F_SETFL, O_NONBLOCK) == 0
        && prepare_socket(fd, server->timeout_ms)
        && pthread_create(&client->thread, NULL, serve, client) == 0)
        return client;
    RTMP_Close(&client->rtmp);
    client_free(client);
    return NULL;
}
