/* One client: its connection, the messages it sends, and the media that goes to it.
 *
 * Where the library has sessions that never wait, the event loop runs a client when its socket is ready, when something is in
 * its queues, and once a second. Otherwise its thread does the same (threads.c). */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <librtmp/rtmp_sys.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reply.h"
#include "server.h"
#include "threads.h"
#include "waits.h"

enum {
    MOST_COMMAND = 16 << 10, /* bytes of a command; also limits how deep its objects can nest */
    MOST_COMMANDS = 200,     /* per second */
    MOST_MESSAGE = 8 << 20,
    MOST_PENDING = 10 << 20, /* bytes of all incomplete messages */
    MOST_CHUNKS = 256,       /* that are read before other clients have their turn */
    HANDSHAKE_MS = 10000,
    PARTING_MS = 1000,       /* the time in which the peer may read the rest */
    TICK_MS = 20             /* period of a client whose connection is being closed */
};

/* A session in an HTTP tunnel has several connections, which change. The library owns them; the session has no single socket. */
static int is_tunnelled(const struct client *client)
{
    return !library_waits() && (client->rtmp->Link.protocol & RTMP_FEATURE_HTTP2);
}

/* ---- messages from the client ---- */

static int take_user_control(struct client *client, const char *body, uint32_t size)
{
    if (size >= 10 && AMF_DecodeInt16(body) == CONTROL_BUFFER_LENGTH) {
        uint32_t buffer = AMF_DecodeInt32(body + 6);
        client->buffer_ms = buffer < 100 ? 100 : buffer;
    } else if (size >= 6 && AMF_DecodeInt16(body) == CONTROL_PING) {
        return reply_control(&client->sender, CONTROL_PONG, AMF_DecodeInt32(body + 2));
    }
    return 1;
}

/* The client ends an incomplete message. */
static void abort_message(struct client *client, RTMPPacket *packet)
{
    RTMP *r = client->rtmp;
    int channel = AMF_DecodeInt32(packet->m_body) <= INT32_MAX ? (int)AMF_DecodeInt32(packet->m_body) : -1;
    RTMP_ClientPacket(r, packet);
    /* librtmp 2.4 ignores it, but has the received part of the message in these fields. Others leave them empty. */
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

/* What the two ends agree on. The library applies what it supports, after the values were checked. */
static int take_control(struct client *client, RTMPPacket *packet)
{
    RTMP *r = client->rtmp;
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
    case RTMP_PACKET_TYPE_SERVER_BW: /* after how many bytes the client expects an acknowledgement */
        if (number > 0 && number < SERVER_WINDOW)
            r->m_nClientBW = (int)number; /* the library acknowledges each tenth of it */
        return 1;
    case RTMP_PACKET_TYPE_CLIENT_BW: /* how many bytes the server may send: TCP limits that, but an answer is due */
        return number == SERVER_WINDOW || reply_window(&client->sender);
    default:
        return 1;
    }
}

/* A client that only sends commands costs time and log lines. */
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

/* Returns 0 if the connection has to end. */
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
        return netstream_receive(client, packet);
    case RTMP_PACKET_TYPE_FLEX_MESSAGE: /* one byte, and then as below */
        return take_command(client, packet->m_nInfoField2, body + 1, size - 1);
    case RTMP_PACKET_TYPE_INVOKE:
        return take_command(client, packet->m_nInfoField2, body, size);
    default:
        return take_control(client, packet);
    }
}

/* Counts the incomplete messages. The library allocates the full length of each, so a client that begins many long ones has to
 * be disconnected. */
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

/* Checked before reading, since the library logs the end of a connection as an error. */
static int has_left(RTMP *r)
{
    char byte;
    if (r->m_sb.sb_size > 0 || recv(r->m_sb.sb_socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        return 0;
    if (!library_waits())
        RTMP_Step(r); /* TLS may have decrypted more than there was room for */
    return r->m_sb.sb_size == 0;
}

/* Reads one chunk; processes the message that it completes. Returns 1, 0 if there is none, and -1 if the connection has to end. */
static int read_chunk(struct client *client)
{
    RTMP *r = client->rtmp;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (r->m_sb.sb_size == 0 && !is_tunnelled(client) && has_left(r))
        return -1;
    threads_guard(client, client->server->timeout_ms);
    threads_release();
    int ok = RTMP_ReadPacket(r, &packet);
    threads_acquire();
    threads_guard(client, 2 * (int64_t)client->server->timeout_ms); /* for the answers */
    if (!ok)
        return would_wait(r) ? 0 : -1;
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
    return ok ? 1 : -1;
}

/* Nothing more is read from a client that does not read its answers. */
static int read_messages(struct client *client)
{
    for (int count = 0; !sender_is_behind(&client->sender); count++) {
        if (count == MOST_CHUNKS) {
            loop_wake(client->server->loop, &client->task, TASK_IO);
            return 1;
        }
        int found = read_chunk(client);
        if (found <= 0)
            return found == 0;
        /* Whether there is more is for the next step to find out. */
        if (client->rtmp->m_sb.sb_size == 0 || (library_waits() && count == MOST_CHUNKS - 1))
            return 1;
    }
    return 1;
}

/* ---- what is due ---- */

/* A client that publishes or does nothing has to be heard of; a player is asked for a sign of life. All of them have to take
 * what they are sent. */
int client_check(struct client *client)
{
    int64_t now = clock_ms(), silent = now - client->last_heard, limit = client->server->timeout_ms;
    int playing = 0, busy = 0;
    for (int i = 0; i < client->netstream_count; i++) {
        enum role role = client->netstreams[i] ? client->netstreams[i]->role : ROLE_NONE;
        busy |= role != ROLE_NONE;
        playing |= role > ROLE_PUBLISHING;
    }
    if (busy)
        client->last_busy = now;
    if (silent > (playing ? 4 * limit : limit) || now - client->last_busy > 4 * limit) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: %s for %d seconds", client->number, silent > limit ? "silent" : "idle",
                 (int)((silent > limit ? silent : now - client->last_busy) / 1000));
        return 0;
    }
    if (client->sender.full_since != 0 && now - client->sender.full_since > 2 * limit) {
        RTMP_Log(RTMP_LOGWARNING, "client %u: takes nothing for %d seconds", client->number,
                 (int)((now - client->sender.full_since) / 1000));
        return 0;
    }
    if (playing && silent > limit / 2 && now - client->last_ping > limit / 2) {
        client->last_ping = now;
        return reply_control(&client->sender, CONTROL_PING, (uint32_t)now) && sender_flush(&client->sender) >= 0;
    }
    return 1;
}

/* The server has asked its clients to connect again. */
static int ask_to_move(struct client *client)
{
    int moves = client->server->moves;
    if (moves == client->moves || !client->connected)
        return 1;
    int sent = sender_flush(&client->sender);
    if (sent > 0 && !reply_reconnect(client->rtmp, client->server->move_to))
        sent = would_wait(client->rtmp) ? 0 : -1;
    if (sent > 0)
        client->moves = moves;
    return sent >= 0;
}

int client_turn(struct client *client, int readable)
{
    return (!readable || read_messages(client)) && ask_to_move(client) && netstream_send(client) && !client->server->stopping;
}

int client_greet(struct client *client)
{
    RTMP *r = client->rtmp;
    if (client->stage == STAGE_TLS) {
        threads_release();
        int ok = RTMP_TLS_Accept(r, client->tls);
        threads_acquire();
        if (!ok && would_wait(r))
            return 0;
        if (!ok) {
            RTMP_Log(RTMP_LOGWARNING, "client %u: no TLS handshake: %s", client->number, reason(r));
            return -1;
        }
        client->stage = STAGE_HANDSHAKE;
    }
    threads_release();
    int ok = RTMP_Serve(r);
    threads_acquire();
    if (!ok && would_wait(r))
        return 0;
    if (!ok) {
        if (RTMP_IsConnected(r))
            RTMP_Log(RTMP_LOGWARNING, "client %u: no RTMP handshake: %s", client->number, reason(r));
        return -1;
    }
    client->stage = STAGE_SERVED;
    client->last_heard = client->last_busy = clock_ms();
    r->m_bSendCounter = TRUE; /* RTMP_Serve leaves it to us whether what is received is acknowledged */
    if (!library_waits())
        r->Link.timeout = 5 * (client->server->timeout_ms / 1000); /* `client_check` is earlier */
    return 1;
}

void client_stop(struct client *client)
{
    for (int i = 0; i < client->netstream_count; i++)
        if (client->netstreams[i])
            netstream_stop(client, client->netstreams[i]);
}

/* ---- in the event loop ---- */

static void limit_stage(struct client *client, enum stage stage, int64_t ms)
{
    client->stage = stage;
    client->stage_ends = clock_ms() + ms;
}

static void end(struct client *client)
{
    loop_remove(client->server->loop, &client->task);
    RTMP_Log(RTMP_LOGINFO, "client %u: gone", client->number);
    client_free(client);
}

/* What the client was told last is on its way: it gets the time to read it. Closing with unread bytes would make the kernel
 * drop unsent ones, so the connection is kept open by another descriptor. */
static void close_session(struct client *client)
{
    int fd = RTMP_Socket(client->rtmp);
    if (fd >= 0 && fd == client->accepted && !is_tunnelled(client)) /* an HTTP connection is not ours to end */
        client->part_fd = dup(fd);
    client->task.descriptors = NULL;
    loop_forget(client->server->loop, &client->task);
    RTMP_Close(client->rtmp);
    limit_stage(client, STAGE_CLOSING, client->server->timeout_ms);
}

static void start_parting(struct client *client)
{
    limit_stage(client, STAGE_PARTING, PARTING_MS);
    if (client->part_fd >= 0 && shutdown(client->part_fd, SHUT_WR) != 0)
        client->stage_ends = 0;
}

/* Returns 1 when the peer has closed the connection, too. */
static int has_parted(struct client *client)
{
    char scrap[4096];
    ssize_t count = 0;
    for (int i = 0; i < 64 && client->part_fd >= 0; i++)
        if ((count = recv(client->part_fd, scrap, sizeof scrap, MSG_DONTWAIT)) <= 0)
            break;
    return client->part_fd < 0 || count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Continues with the end of a connection, and returns 1 when it is complete. */
static int leave(struct client *client)
{
    if (client->stage == STAGE_LEAVING
        && (!RTMP_IsConnected(client->rtmp) || sender_flush(&client->sender) != 0 || clock_ms() >= client->stage_ends))
        close_session(client);
    if (client->stage == STAGE_CLOSING && ((RTMP_Step(client->rtmp) & RTMP_STEP_CLOSED) || clock_ms() >= client->stage_ends))
        start_parting(client);
    return client->stage == STAGE_PARTING && (has_parted(client) || clock_ms() >= client->stage_ends);
}

static void start_leaving(struct client *client)
{
    client_stop(client);
    limit_stage(client, STAGE_LEAVING, client->server->timeout_ms);
}

/* When the client is looked at without a reason: all of them together, once a second. */
static void schedule(struct client *client, int reasons)
{
    struct loop *loop = client->server->loop;
    int64_t now = clock_ms(), due = now / 1000 * 1000 + 1000;
    if (client->stage >= STAGE_LEAVING) {
        due = now + TICK_MS;
    } else {
        int wait = netstream_wait(client, 1000);
        if (wait < 1000)
            due = now + wait < due ? now + wait : due;
        int reads = reasons & TASK_IO && !sender_is_behind(&client->sender);
        int timeout = !reads ? -1 : client->task.hung_up ? 0 : RTMP_GetPollTimeout(client->rtmp);
        if (timeout == 0)
            loop_wake(loop, &client->task, TASK_IO);
        else if (timeout > 0 && now + timeout < due)
            due = now + timeout;
    }
    loop_due(loop, &client->task, due);
}

static void run(struct task *task, int reasons)
{
    struct client *client = (struct client *)task; /* its first member */
    int state = client->stage < STAGE_LEAVING && reasons & TASK_IO ? RTMP_Step(client->rtmp) : 0;
    if (client->stage < STAGE_SERVED) {
        int greeted = client_greet(client);
        if (greeted > 0)
            state = RTMP_Step(client->rtmp); /* more may have come with the handshake */
        if (greeted < 0 || (greeted == 0 && clock_ms() >= client->stage_ends))
            start_leaving(client);
    }
    if (client->stage == STAGE_SERVED
        && !(client_turn(client, state & RTMP_STEP_READABLE) && (!(reasons & TASK_IO) || client_check(client))))
        start_leaving(client);
    if (reasons & TASK_IO && !(state & RTMP_STEP_READABLE))
        netstream_flush(client); /* its time has come, and no message has */
    task->unsettled = client->stage < STAGE_SERVED || is_tunnelled(client);
    if (client->stage >= STAGE_LEAVING && leave(client)) {
        end(client);
        return;
    }
    if (reasons & TASK_IO || client->stage >= STAGE_LEAVING)
        schedule(client, reasons);
}

static int descriptors(struct task *task, struct pollfd *fds, int size)
{
    return RTMP_GetPollFds(((struct client *)task)->rtmp, fds, size);
}

/* ---- beginning and end ---- */

struct client *client_new(struct server *server)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->server = server;
    client->buffer_ms = 3000;
    client->accepted = client->part_fd = -1;
    client->rtmp = RTMP_Alloc();
    if (client->rtmp) {
        RTMP_Init(client->rtmp);
        client->rtmp->Link.timeout = library_waits() ? server->timeout_ms / 1000 : HANDSHAKE_MS / 1000;
    }
    if (client->rtmp && sender_init(&client->sender, client->rtmp)
        && (library_waits() ? threads_prepare(client) : RTMP_SetNonBlocking(client->rtmp, TRUE)))
        return client;
    int error = errno;
    client_free(client);
    errno = error;
    return NULL;
}

static void unlink_client(struct client *client)
{
    if (!client->link)
        return;
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    client->link = NULL;
    client->server->client_count--;
}

void client_free(struct client *client)
{
    unlink_client(client);
    threads_forget(client);
    sender_free(&client->sender);
    if (client->rtmp)
        RTMP_Close(client->rtmp); /* with which waiting for anything ends */
    RTMP_Free(client->rtmp);
    if (client->part_fd >= 0)
        closesocket(client->part_fd);
    for (int i = 0; i < client->netstream_count; i++)
        free(client->netstreams[i]);
    free(client);
}

int client_start(struct client *client, int fd, void *tls, unsigned number)
{
    int on = 1, flags = fcntl(fd, F_GETFL);
    struct server *server = client->server;
    client->tls = tls;
    client->number = number;
    client->moves = server->moves;
    client->accepted = client->rtmp->m_sb.sb_socket = fd; /* RTMP_Close closes it */
    limit_stage(client, tls ? STAGE_TLS : STAGE_HANDSHAKE, HANDSHAKE_MS);
    int ok = flags >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    ok = ok && (library_waits() ? threads_serve(client, fd) : fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    if (!ok) {
        int error = errno;
        client_free(client);
        errno = error;
        return 0;
    }
    client->next = server->clients;
    client->link = &server->clients;
    if (client->next)
        client->next->link = &client->next;
    server->clients = client;
    server->client_count++;
    if (library_waits())
        return 1;
    client->task.run = run;
    client->task.descriptors = descriptors;
    client->task.unsettled = 1;
    loop_add(server->loop, &client->task);
    return 1;
}

void client_cut(struct client *client)
{
    if (client->thread) {
        threads_shut_down(client);
        return;
    }
    client_stop(client);
    end(client);
}

void client_wake(struct client *client)
{
    if (client->thread)
        threads_wake(client);
    else
        loop_wake(client->server->loop, &client->task, TASK_WOKEN);
}
