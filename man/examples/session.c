/* Examples of the manual pages: sessions, as client and as server. The tests compile and run this file: a thread serves
 * what the examples play and publish. */
#include <arpa/inet.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned short port;

static void check(int ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        exit(1);
    }
}

/* Example: record a stream to standard output */
static int play(char *url)
{
    static char buffer[64 * 1024];
    int count, result = 1;
    RTMP *r = RTMP_Alloc();
    if (!r)
        return 1;
    RTMP_Init(r);
    if (RTMP_SetupURL(r, url) && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
        while ((count = RTMP_Read(r, buffer, sizeof buffer)) > 0)
            fwrite(buffer, 1, (size_t)count, stdout);
        result = RTMP_GetLastError(r) != RTMP_ERR_ENDED;           /* the end, or a lost connection? */
    }
    if (result)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return result;
}

/* Example: publish the bytes of an FLV file */
static int publish(char *url, const char *flv, int size)
{
    RTMP *r = RTMP_Alloc();
    if (!r)
        return 1;
    RTMP_Init(r);
    int ok = RTMP_SetupURL(r, url);
    RTMP_EnableWrite(r);                                           /* after RTMP_SetupURL */
    ok = ok && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    ok = ok && RTMP_Write(r, flv, size) == size;                   /* any part of the file at a time */
    if (!ok)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}

/* Example: configure a session option by option, or from separate values */
static int configure(RTMP *r, char *url)
{
    static const AVal live = AVC("live"), timeout = AVC("timeout");
    static AVal yes = AVC("1"), seconds = AVC("10"), host = AVC("localhost"), stream = AVC("stream"), app = AVC("live");
    static AVal url_of_app = AVC("rtmp://localhost/live"), none = { NULL, 0 };
    RTMP_Init(r);
    if (!RTMP_SetOpt(r, &live, &yes) || !RTMP_SetOpt(r, &timeout, &seconds))
        return 0;
    /* ... and the rest without a URL: protocol, host, port, proxy, stream, ... */
    RTMP_SetupStream(r, RTMP_PROTOCOL_RTMP, &host, 0, &none, &stream, &url_of_app, &none, &none, &app, &none,
                     NULL, 0, &none, &none, &none, 0, 0, TRUE, 10);
    RTMP_SetBufferMS(r, 2000);                                     /* before connecting */
    return RTMP_SetupURL(r, url);
}

/* Example: split a URL */
static int split(void)
{
    AVal host, stream, app, name, file = AVC("film.mp4");
    unsigned int port;
    int protocol;
    if (!RTMP_ParseURL("rtmp://localhost:1935/vod/film", &protocol, &host, &port, &stream, &app))
        return 0;
    printf("%s host %.*s port %u application %.*s stream %.*s\n", RTMPProtocolStringsLower[protocol], host.av_len,
           host.av_val, port, app.av_len, app.av_val, stream.av_len, stream.av_val);
    free(stream.av_val);
    RTMP_ParsePlaypath(&file, &name);                              /* "mp4:film" */
    free(name.av_val);
    return strcmp(RTMPProtocolStrings[protocol], "RTMP") == 0 && RTMP_DefaultFlashVer.av_len > 0
        && RTMP_LibVersion() == RTMP_LIB_VERSION;
}

/* Example: connect in two steps, on a socket address of the program's choice */
static int connect_in_steps(RTMP *r, unsigned short to)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(to) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return RTMP_Connect0(r, (struct sockaddr *)&address)           /* TCP */
        && RTMP_Connect1(r, NULL)                                  /* handshake and connect command */
        && RTMP_ConnectStream(r, 0);
}

/* Example: control a stream that plays */
static int control(RTMP *r)
{
    RTMP_SetBufferMS(r, 5000);
    RTMP_UpdateBufferMS(r);                                        /* tells the server */
    return RTMP_Pause(r, TRUE)                                     /* at the current position */
        && RTMP_Pause(r, FALSE)
        && RTMP_SendPause(r, TRUE, 1000) && RTMP_SendPause(r, FALSE, 1000)
        && RTMP_SendSeek(r, 4000)                                  /* to 4 seconds */
        && RTMP_ToggleStream(r);                                   /* wakes up a server that stopped */
}

/* Example: query a session */
static void query(RTMP *r)
{
    printf("socket %s, %.1f seconds long\n", RTMP_IsConnected(r) && RTMP_Socket(r) >= 0 ? "open" : "closed",
           RTMP_GetDuration(r));
    if (RTMP_IsTimedout(r))
        printf("the last read timed out\n");
    uint32_t now = RTMP_GetTime();                                 /* milliseconds */
    printf("%u ms since then\n", (unsigned)(RTMP_GetTime() - now) / 1000);
}

/* Example: play messages instead of FLV bytes */
static int play_messages(RTMP *r)
{
    RTMPPacket packet = { 0 };
    int count = 0;
    while (RTMP_GetNextMediaPacket(r, &packet) == 1) {
        count += packet.m_packetType == RTMP_PACKET_TYPE_AUDIO;
        RTMPPacket_Dump(&packet);                                  /* one log line */
        RTMPPacket_Free(&packet);
    }
    return count;
}

/* Example: read every message, and let the session process what it needs */
static int read_messages(RTMP *r)
{
    RTMPPacket packet = { 0 };
    int media = 0, ended = 0;
    while (!ended && RTMP_ReadPacket(r, &packet)) {
        if (!RTMPPacket_IsReady(&packet))                          /* more chunks follow */
            continue;
        int result = RTMP_ClientPacket(r, &packet);                /* answers pings and so on */
        media += result == 1;
        ended = result == 2;
        RTMPPacket_Free(&packet);
    }
    return media;
}

/* Example: send a message, here audio of 3 bytes at 40 ms */
static int send_audio(RTMP *r)
{
    RTMPPacket packet = { 0 };
    RTMPPacket_Reset(&packet);
    if (!RTMPPacket_Alloc(&packet, 3))
        return 0;
    memcpy(packet.m_body, "\xAF\x01x", 3);
    packet.m_nBodySize = 3;
    packet.m_packetType = RTMP_PACKET_TYPE_AUDIO;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_nChannel = 4;
    packet.m_nTimeStamp = 40;                                      /* milliseconds, absolute */
    packet.m_nInfoField2 = r->m_stream_id;
    int sent = RTMP_SendPacket(r, &packet, FALSE);
    RTMPPacket_Free(&packet);
    return sent;
}

/* Example: send a chunk that the program made itself, here a ping */
static int send_chunk(RTMP *r)
{
    static const char header[] = "\x02" "\0\0\0" "\0\0\6" "\4" "\0\0\0\0";
    static char body[] = "\0\6" "\0\0\0\1";
    RTMPChunk chunk = { .c_headerSize = sizeof header - 1, .c_chunkSize = sizeof body - 1, .c_chunk = body };
    memcpy(chunk.c_header, header, sizeof header - 1);
    return RTMP_SendChunk(r, &chunk);
}

/* Example: protocol control messages */
static int send_control(RTMP *r)
{
    r->m_nServerBW = 1000000;
    r->m_nClientBW = 1000000;
    return RTMP_SendServerBW(r)                                    /* acknowledge every 1,000,000 bytes */
        && RTMP_SendClientBW(r)
        && RTMP_SendCtrl(r, 3, (unsigned)r->m_stream_id, 2000);    /* buffer length of 2 seconds */
}

/* Example: use another message stream on the same connection */
static int reconnect(RTMP *r)
{
    if (!RTMP_ReconnectStream(r, 0))                               /* deletes the old stream first */
        return 0;
    RTMP_DeleteStream(r);
    int sent = RTMP_SendCreateStream(r);                           /* only asks for one ... */
    if (sent && r->m_numCalls > 0)
        RTMP_DropRequest(r, r->m_numCalls - 1, TRUE);              /* ... and forgets that it did */
    return sent;
}

/* Example: the socket and its buffer, without RTMP */
static int raw_bytes(int fd)
{
    static RTMPSockBuf buffer;
    buffer.sb_socket = fd;
    if (RTMPSockBuf_Send(&buffer, "hello", 5) != 5)
        return 0;
    int count = RTMPSockBuf_Fill(&buffer);                         /* bytes at sb_start, sb_size of them */
    return RTMPSockBuf_Close(&buffer) == 0 && count > 0;
}

/* Example: end waits from another thread */
static void stop(RTMP *r)
{
    RTMP_Abort(r);             /* this session, until RTMP_Close */
    RTMP_UserInterrupt();      /* all sessions: sets RTMP_ctrlC ... */
    RTMP_ctrlC = 0;            /* ... and this allows waits again */
}

/* Example: serve one client that a listening socket has accepted, over TLS if `tls` is not NULL.
   `tls` comes from RTMP_TLS_AllocServerContext("cert.pem", "key.pem"), which RTMP_TLS_FreeServerContext frees */
static int serve(int fd, void *tls)
{
    RTMPPacket packet = { 0 };
    RTMP *r = RTMP_Alloc();
    if (!r)
        return 0;
    RTMP_Init(r);                                                  /* calls RTMP_TLS_Init() */
    r->m_sb.sb_socket = fd;
    int commands = 0;
    if ((!tls || RTMP_TLS_Accept(r, tls)) && RTMP_Serve(r)) {
        while (RTMP_ReadPacket(r, &packet)) {
            if (RTMPPacket_IsReady(&packet)) {
                commands += packet.m_packetType == RTMP_PACKET_TYPE_INVOKE;
                RTMPPacket_Free(&packet);
            }
        }
    }
    RTMP_Close(r);                                                 /* closes the socket as well */
    RTMP_Free(r);
    return commands;
}

/* What the examples talk to: answers commands, and sends ten sounds to players. */
static void say(RTMP *r, int stream, int type, const char *body, char *end)
{
    RTMPPacket packet = { .m_nChannel = type == 8 ? 4 : 3, .m_packetType = (uint8_t)type, .m_nInfoField2 = stream,
                          .m_headerType = RTMP_PACKET_SIZE_LARGE, .m_body = (char *)body,
                          .m_nBodySize = (uint32_t)(end - body) };
    RTMP_SendPacket(r, &packet, FALSE);
}

static void answer(RTMP *r, const char *name, double id, const char *code, int stream)
{
    static const AVal level = AVC("level"), status = AVC("status"), code_name = AVC("code");
    char body[256], *end = body + sizeof body, *at = body;
    AVal text = { (char *)name, (int)strlen(name) }, value = { (char *)code, code ? (int)strlen(code) : 0 };
    at = AMF_EncodeString(at, end, &text);
    at = AMF_EncodeNumber(at, end, id);
    *at++ = AMF_NULL;
    if (code) {
        *at++ = AMF_OBJECT;
        at = AMF_EncodeNamedString(at, end, &level, &status);
        at = AMF_EncodeNamedString(at, end, &code_name, &value);
        at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
    } else {
        at = AMF_EncodeNumber(at, end, 1.0);
    }
    say(r, stream, RTMP_PACKET_TYPE_INVOKE, body, at);
}

static void handle(RTMP *r, RTMPPacket *packet)
{
    AMFObject command;
    AVal name;
    if (packet->m_packetType != RTMP_PACKET_TYPE_INVOKE
        || AMF_Decode(&command, packet->m_body, (int)packet->m_nBodySize, FALSE) < 0)
        return;
    AMFProp_GetString(AMF_GetProp(&command, NULL, 0), &name);
    double id = AMFProp_GetNumber(AMF_GetProp(&command, NULL, 1));
    static const AVal connect = AVC("connect"), create = AVC("createStream"), play = AVC("play"), publish = AVC("publish");
    if (AVMATCH(&name, &connect)) {
        answer(r, "_result", id, "NetConnection.Connect.Success", 0);
    } else if (AVMATCH(&name, &create)) {
        answer(r, "_result", id, NULL, 0);
    } else if (AVMATCH(&name, &play)) {
        answer(r, "onStatus", 0, "NetStream.Play.Start", 1);
        static const char sound[] = "\xAF\x01sound";
        for (int i = 0; i < 10; i++)
            say(r, 1, RTMP_PACKET_TYPE_AUDIO, sound, (char *)sound + sizeof sound - 1);
        answer(r, "onStatus", 0, "NetStream.Play.Complete", 1);
    } else if (AVMATCH(&name, &publish)) {
        answer(r, "onStatus", 0, "NetStream.Publish.Start", 1);
    }
    AMF_Reset(&command);
}

static void *server(void *listener)
{
    for (;;) {
        int fd = accept(*(int *)listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        RTMPPacket packet = { 0 };
        RTMP *r = RTMP_Alloc();
        RTMP_Init(r);
        r->m_sb.sb_socket = fd;
        if (RTMP_Serve(r)) {
            while (RTMP_ReadPacket(r, &packet)) {
                if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE && RTMPPacket_IsReady(&packet))
                    r->m_inChunkSize = (int)AMF_DecodeInt32(packet.m_body);
                if (RTMPPacket_IsReady(&packet)) {
                    handle(r, &packet);
                    RTMPPacket_Free(&packet);
                }
            }
        }
        RTMP_Close(r);
        RTMP_Free(r);
    }
}

static void *serve_one(void *fd)
{
    int commands = serve(*(int *)fd, NULL);
    return commands > 0 ? fd : NULL;
}

/* The bytes of an FLV file with one sound. */
static const char flv[] = "FLV\1\4\0\0\0\11\0\0\0\0" "\10\0\0\3\0\0\0\0\0\0\0\xAF\1x\0\0\0\16";

static void again(RTMP *r, char *memory, const char *url, int publishes)
{
    RTMP_Close(r);
    strcpy(memory, url);
    check(RTMP_SetupURL(r, memory), "set up again");
    if (publishes)
        RTMP_EnableWrite(r);
    check(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0), "connect again");
}

int main(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    port = ntohs(address.sin_port);
    pthread_t thread;
    check(pthread_create(&thread, NULL, server, &listener) == 0, "thread");
    RTMP_LogSetLevel(RTMP_LOGCRIT);

    char url[64], missing[] = "rtmp://127.0.0.1:1/app/name timeout=2";
    snprintf(url, sizeof url, "rtmp://127.0.0.1:%d/app/name timeout=20", port);
    char first[64], second[64], third[64];
    strcpy(first, url);
    check(play(first) == 0, "play");
    check(play(missing) == 1, "play without a server");
    strcpy(second, url);
    check(publish(second, flv, sizeof flv - 1) == 0, "publish");
    check(split(), "split");

    RTMP *r = RTMP_Alloc();
    strcpy(third, url);
    check(configure(r, third), "configure");
    check(connect_in_steps(r, port), "connect_in_steps");
    query(r);
    check(play_messages(r) == 10, "play_messages");
    again(r, third, url, 0);
    check(send_audio(r) && send_chunk(r) && send_control(r) && control(r), "send");
    again(r, third, url, 1);
    check(reconnect(r), "reconnect");
    again(r, third, url, 0);
    check(read_messages(r) == 10, "read_messages");
    stop(r);
    RTMP_Close(r);

    /* A client of the example for serving, which gets no answer. */
    void *served = NULL;
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    check(pthread_create(&thread, NULL, serve_one, &pair[0]) == 0, "thread");
    r->m_sb.sb_socket = pair[1];
    check(RTMP_Connect1(r, NULL), "RTMP_Connect1");
    RTMP_Close(r);
    pthread_join(thread, &served);
    check(served != NULL, "serve");
    RTMP_Free(r);

    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[1], "hi", 2) == 2, "socketpair");
    check(raw_bytes(pair[0]), "raw_bytes");
    close(pair[1]);
    printf("\nok\n");
    return 0;
}
