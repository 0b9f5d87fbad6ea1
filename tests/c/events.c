/* Events and hooks of one session, one line on standard output for each:
 *
 *   events play URL              plays to the end
 *   events publish URL           publishes 50 messages through a send callback that takes 700 bytes at a time
 *   events stall URL             publishes until the second STALL event, and gives up there
 *   events give_up TYPE URL      gives up at the first event of that type; prints where that ended the session
 *   events close TYPE URL        closes the session there instead
 *   events close_at LINE URL     closes it when a log line begins so
 *   events fail URL              publishes through a send callback that fails
 *   events login URL             as publish, where the server wants a login
 */
#include <librtmp/loop.h>
#include <librtmp/log.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static int give_up_at, close_at, stalls, sockets, lines, foreign_lines;
static size_t sent, pieces;
static pthread_t caller;
static const char marker = 'm';
static const char *closing_line;

static int event(RTMP *r, const RTMPEvent *e, void *arg)
{
    RTMPStats s;
    RTMPPacket packet;
    check(arg == &marker && pthread_equal(pthread_self(), caller));
    s.s_size = sizeof s;
    check(RTMP_GetStats(r, &s));
    memset(&packet, 0, sizeof packet);
    check(!RTMP_ReadPacket(r, &packet) && !RTMP_SendPacket(r, &packet, FALSE) && !RTMP_Pause(r, 1));
    switch (e->e_type) {
    case RTMP_EVENT_SOCKET: {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int size = 65536;
        check(getpeername(e->e_socket, (struct sockaddr *)&peer, &len) == -1 && errno == ENOTCONN);
        check(setsockopt(e->e_socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
        sockets++;
        break;
    }
    case RTMP_EVENT_STATUS:
        printf("status %d %.*s %.*s %.*s '%.*s'\n", e->e_stream, e->e_name.av_len, e->e_name.av_val, e->e_level.av_len,
               e->e_level.av_val, e->e_code.av_len, e->e_code.av_val, e->e_description.av_len, e->e_description.av_val);
        break;
    case RTMP_EVENT_DATA:
    case RTMP_EVENT_COMMAND: {
        AMFObject values;
        int skip = e->e_packetType == RTMP_PACKET_TYPE_FLEX_STREAM_SEND;
        check(AMF_Decode(&values, e->e_body.av_val + skip, e->e_body.av_len - skip, FALSE) > 0);
        AMF_Reset(&values);
        printf("%s %d %d %u %.*s %d\n", e->e_type == RTMP_EVENT_DATA ? "data" : "command", e->e_stream, e->e_packetType,
               e->e_timestamp, e->e_name.av_len, e->e_name.av_val, e->e_body.av_len);
        break;
    }
    case RTMP_EVENT_STALL:
        check((int)(e->e_stalled / 1000) == ++stalls && s.s_stalled >= e->e_stalled && s.s_blocked >= e->e_stalled);
        if (stalls == 2)
            return FALSE;
        break;
    }
    if (e->e_type == close_at)
        RTMP_Close(r);
    return e->e_type != give_up_at;
}

/* Sends everything: waits for the system, because the socket of a session that never waits is non-blocking. */
static int send_some(RTMP *r, const char *bytes, int size)
{
    struct pollfd fd = { .fd = RTMP_Socket(r), .events = POLLOUT };
    ssize_t count;
    while ((count = send(fd.fd, bytes, (size_t)size, MSG_NOSIGNAL)) < 0 && errno == EAGAIN)
        poll(&fd, 1, -1);
    return (int)count;
}

static int send_bytes(RTMP *r, const char *bytes, int size, void *arg)
{
    int count;
    check(arg == &marker && size > 0 && !RTMP_Pause(r, 1));
    count = send_some(r, bytes, size > 700 ? 700 : size);
    check(count > 0);
    sent += (size_t)count;
    pieces++;
    return count;
}

static int fail(RTMP *r, const char *bytes, int size, void *arg)
{
    (void)bytes;
    (void)arg;
    if (RTMP_IsConnected(r) && sent < 10000) {
        sent += (size_t)size;
        return send_some(r, bytes, size);
    }
    errno = ENETDOWN;
    return -1;
}

static void log_line(RTMP *r, int level, const char *line, void *arg)
{
    check(r && level <= RTMP_LOGDEBUG && *line && !strchr(line, '\n') && arg == &marker);
    lines++;
    if (closing_line && !strncmp(line, closing_line, strlen(closing_line)))
        RTMP_Close(r);
}

static void foreign_line(int level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    foreign_lines++;
}

static int publish(RTMP *r, int count)
{
    static char body[3000];
    RTMPPacket packet;
    int i;
    memset(&packet, 0, sizeof packet);
    for (i = 0; i < count; i++) {
        packet.m_nChannel = 4;
        packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
        packet.m_headerType = RTMP_PACKET_SIZE_MEDIUM;
        packet.m_nTimeStamp = 40 * (uint32_t)i;
        packet.m_nInfoField2 = r->m_stream_id;
        packet.m_nBodySize = sizeof body;
        packet.m_body = body;
        if (!RTMP_SendPacket(r, &packet, FALSE))
            return FALSE;
    }
    return TRUE;
}

static const char *end(RTMP *r)
{
    static char buffer[4096];
    if (!RTMP_Connect(r, NULL))
        return "connect";
    if (!RTMP_ConnectStream(r, 0))
        return "stream";
    while (RTMP_Read(r, buffer, sizeof buffer) > 0)
        ;
    return "read";
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    char *url = argc > 2 ? argv[argc - 1] : NULL;
    RTMP *r = RTMP_Alloc();

    caller = pthread_self();
    check(r && url);
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGDEBUG);
    RTMP_LogSetCallback(foreign_line);
    RTMP_SetEventCallback(r, event, (void *)&marker);
    RTMP_SetSessionLog(r, log_line, (void *)&marker);
    check(RTMP_SetupURL(r, url));
    if (strcmp(what, "play") && strcmp(what, "give_up") && strncmp(what, "close", 5))
        RTMP_EnableWrite(r);
    if (!strncmp(what, "close", 5)) {
        const char *where;
        close_at = atoi(argv[2]);
        closing_line = close_at ? NULL : argv[2];
        where = end(r);
        check(!RTMP_IsConnected(r) && RTMP_GetLastError(r) == RTMP_ERR_CLOSED);
        printf("closed in %s\n", where);
    } else if (!strcmp(what, "give_up")) {
        const char *where;
        give_up_at = atoi(argv[2]);
        where = end(r);
        check(RTMP_GetLastError(r) == RTMP_ERR_ABORTED);
        printf("gave up in %s\n", where);
    } else if (!strcmp(what, "play")) {
        check(!strcmp(end(r), "read") && RTMP_GetLastError(r) == RTMP_ERR_ENDED);
    } else if (!strcmp(what, "stall")) {
        check(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
        check(!publish(r, 1000000) && RTMP_GetLastError(r) == RTMP_ERR_ABORTED && stalls == 2);
        check(!publish(r, 1));
    } else if (!strcmp(what, "fail")) {
        RTMP_SetSendCallback(r, fail, NULL);
        check(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
        check(!publish(r, 1000000) && RTMP_GetLastError(r) == RTMP_ERR_IO && RTMP_GetLastSystemError(r) == ENETDOWN);
        check(!RTMP_IsConnected(r));
    } else {
        RTMPStats s;
        if (strcmp(what, "login"))
            RTMP_SetSendCallback(r, send_bytes, (void *)&marker);
        check(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
        check(publish(r, 50));
        s.s_size = sizeof s;
        check(RTMP_GetStats(r, &s));
        check(!strcmp(what, "login") || (s.s_bytesOut == sent && pieces > 150 * 1000 / 700));
    }
    printf("sockets %d\n", sockets);
    /* After the session was closed, its log is that of the process. */
    check(lines > 0 && (!strncmp(what, "close", 5) || foreign_lines == 0));
    RTMP_Close(r);
    lines = 0;
    /* Nobody is told any more. The peer of a stall still listens. */
    check(!strcmp(what, "stall") || !strncmp(what, "close", 5) || (!RTMP_Connect(r, NULL) && lines == 0 && foreign_lines > 0));
    RTMP_Free(r);
    return 0;
}
