/* Publishes and plays streams of numbered tags, and checks every byte of them.
 *
 * One command a line, one line of answer each, so that a process lives as long as its user wants:
 *   publish ID COUNT START STEP PACE URL   COUNT tags, the first at START ms, each STEP ms later; sleeps PACE µs between
 *   play ID START STEP URL                 expects these, from the first on; answers "playing" before the first
 *   timeout SECONDS | count BYTES          for what follows: Link.timeout; the byte counters begin here
 * An ID stands for the contents of a stream: sizes, kinds and bytes follow from it and from a tag's number. */
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TAG_HEADER = 11, TRAILER = 4, LARGEST = 60000, KEY_DISTANCE = 24, FILE_HEADER = 13 };

static int timeout_seconds = 30;
static unsigned long long first_byte;

struct numbered {
    uint32_t id, start, step;
};

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ x >> 16;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Small ones mostly, some around the sizes of chunks, a few large ones. */
static uint32_t body_size(uint32_t dice)
{
    static const uint32_t around[] = { 127, 128, 129, 255, 256, 257, 4095, 4096, 4097, 8192 };
    switch (dice % 16) {
    case 0: return 10000 + mix(dice) % (LARGEST - 10000);
    case 1:
    case 2: return around[mix(dice) % (sizeof around / sizeof *around)];
    default: return 9 + mix(dice) % 1500;
    }
}

/* Writes tag `n` as FLV bytes; returns how many these are. Video begins with a key frame, so servers keep nothing back. */
static size_t make_tag(const struct numbered *stream, uint32_t n, uint8_t *tag)
{
    uint32_t dice = mix(stream->id * 0x9e3779b9U + n), size = body_size(dice);
    uint32_t time = stream->start + n * stream->step;
    int video = n % 3 != 2;
    tag[0] = video ? RTMP_PACKET_TYPE_VIDEO : RTMP_PACKET_TYPE_AUDIO;
    put32(tag + 4, time << 8 | time >> 24); /* the high byte comes last, where the stream number takes up 3 bytes */
    put32(tag, (uint32_t)tag[0] << 24 | size);
    tag[8] = tag[9] = tag[10] = 0;
    uint8_t *body = tag + TAG_HEADER;
    body[0] = !video ? 0x2f : n % KEY_DISTANCE == 0 ? 0x12 : 0x22; /* MP3, H.263 */
    put32(body + 1, stream->id);
    put32(body + 5, n);
    for (uint32_t i = 9; i < size; i++) {
        if (i % 4 == 1)
            dice = dice * 1664525U + 1013904223U;
        body[i] = (uint8_t)(dice >> (8 * (i % 4)));
    }
    put32(body + size, TAG_HEADER + size);
    return TAG_HEADER + size + TRAILER;
}

static int ready(RTMP *r)
{
    struct pollfd socket = { .fd = RTMP_Socket(r), .events = POLLIN };
    return r->m_sb.sb_size > 0 || poll(&socket, 1, 0) > 0;
}

/* Answers pings. Over HTTP there is a reply to each request, and reading would wait for one with a message in it. */
static int listen_to_server(RTMP *r)
{
    RTMPPacket packet = { 0 };
    while (!(r->Link.protocol & RTMP_FEATURE_HTTP) && ready(r)) {
        if (!RTMP_ReadPacket(r, &packet))
            return 0;
        if (!RTMPPacket_IsReady(&packet))
            continue;
        RTMP_ClientPacket(r, &packet);
        RTMPPacket_Free(&packet);
    }
    return 1;
}

/* Closing a socket with unread bytes throws away what is still to be sent. */
static void part(RTMP *r)
{
    char scrap[4096];
    if (!RTMP_IsConnected(r) || r->Link.protocol & RTMP_FEATURE_HTTP)
        return;
    RTMP_DeleteStream(r);
    if (shutdown(RTMP_Socket(r), SHUT_WR) != 0)
        return;
    for (;;) {
        struct pollfd socket = { .fd = RTMP_Socket(r), .events = POLLIN };
        if (poll(&socket, 1, 5000) <= 0 || recv(RTMP_Socket(r), scrap, sizeof scrap, 0) <= 0)
            return;
    }
}

static RTMP *open_stream(char *url, int publishes)
{
    RTMP *r = RTMP_Alloc();
    if (!r)
        abort();
    RTMP_Init(r);
    r->Link.timeout = timeout_seconds;
    int ok = RTMP_SetupURL(r, url);
    if (publishes)
        RTMP_EnableWrite(r);
    else
        r->Link.lFlags |= RTMP_LF_LIVE;
    if (ok && RTMP_Connect(r, NULL)) {
        if (first_byte) { /* as if as much had arrived before */
            r->m_nBytesIn = (int)(uint32_t)first_byte;
            r->m_nBytesInSent = (int)(uint32_t)first_byte;
        }
        if (RTMP_ConnectStream(r, 0))
            return r;
    }
    int timed_out = RTMP_IsTimedout(r);
    RTMP_Close(r);
    RTMP_Free(r);
    printf("refused%s\n", timed_out ? " timedout" : "");
    return NULL;
}

static void close_stream(RTMP *r)
{
    RTMP_Close(r);
    RTMP_Free(r);
}

static void publish(const struct numbered *stream, uint32_t count, unsigned pace, char *url)
{
    static uint8_t tag[TAG_HEADER + LARGEST + TRAILER];
    RTMP *r = open_stream(url, 1);
    uint32_t n = 0;
    uint64_t bytes = 0;
    if (!r)
        return;
    for (; n < count; n++) {
        size_t size = make_tag(stream, n, tag), sent = 0;
        while (sent < size) { /* in parts of any size, but headers and trailers are not cut */
            size_t part = 1 + mix((uint32_t)bytes) % 9000;
            if (sent == 0)
                part += TAG_HEADER;
            if (part + TRAILER >= size - sent) /* a trailer on its own is taken for a header */
                part = size - sent;
            if (RTMP_Write(r, (const char *)tag + sent, (int)part) != (int)part)
                break;
            sent += part;
            bytes += part;
        }
        if (sent < size || !listen_to_server(r))
            break;
        if (pace)
            usleep(pace);
    }
    if (n == count)
        part(r);
    printf("published %u %llu timedout=%d connected=%d %s\n", n, (unsigned long long)bytes, RTMP_IsTimedout(r),
           RTMP_IsConnected(r), n == count ? "complete" : "lost");
    close_stream(r);
}

/* Compares whole tags at the front of `buffer`; returns how many bytes these were, or -1 with a line about what is wrong. */
static long check(const struct numbered *stream, uint32_t *n, const uint8_t *buffer, size_t used)
{
    static uint8_t wanted[TAG_HEADER + LARGEST + TRAILER];
    size_t at = 0;
    while (used - at >= TAG_HEADER) {
        const uint8_t *tag = buffer + at;
        if (tag[0] == RTMP_PACKET_TYPE_INFO) { /* what the server says of itself */
            size_t whole = TAG_HEADER + (size_t)(tag[1] << 16 | tag[2] << 8 | tag[3]) + TRAILER;
            if (used - at < whole)
                break;
            at += whole;
            continue;
        }
        size_t size = make_tag(stream, *n, wanted), there = used - at < size ? used - at : size;
        for (size_t i = 0; i < there; i++)
            if (tag[i] != wanted[i]) {
                printf("wrong tag %u differs at byte %zu of %zu: %02x is not %02x (found %02x%02x%02x%02x %02x%02x%02x%02x)\n", *n, i, size, tag[i],
                       wanted[i], tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]);
                return -1;
            }
        if (there < size)
            break;
        ++*n;
        at += size;
    }
    return (long)at;
}

static void play(const struct numbered *stream, char *url)
{
    static uint8_t buffer[2 * (TAG_HEADER + LARGEST + TRAILER) + 65536];
    size_t used = 0;
    uint32_t n = 0;
    uint64_t bytes = 0;
    int begun = 0, count, silent = 0, time_outs = 0;
    RTMP *r = open_stream(url, 0);
    if (!r)
        return;
    puts("playing");
    for (;;) {
        count = RTMP_Read(r, (char *)buffer + used, 1 + (int)(mix((uint32_t)bytes) % 65535));
        if (count <= 0 && RTMP_IsTimedout(r) && RTMP_IsConnected(r) && silent++ < 6) {
            time_outs++;
            r->m_read.status = 0; /* as RTMP_ToggleStream does; what was on the way is not lost */
            continue;
        }
        if (count <= 0)
            break;
        silent = 0;
        used += (size_t)count;
        bytes += (uint64_t)count;
        if (!begun) {
            if (used < FILE_HEADER)
                continue;
            begun = 1;
            memmove(buffer, buffer + FILE_HEADER, used -= FILE_HEADER);
        }
        long done = check(stream, &n, buffer, used);
        if (done < 0) {
            close_stream(r);
            return;
        }
        memmove(buffer, buffer + done, used -= (size_t)done);
    }
    printf("played %u %llu read=%d status=%d timedout=%d timeouts=%d rest=%zu\n", n, (unsigned long long)bytes, count,
           r->m_read.status, RTMP_IsTimedout(r), time_outs, used);
    close_stream(r);
}

int main(void)
{
    char line[2048], url[1024];
    struct numbered stream;
    unsigned count, pace;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    RTMP_LogSetLevel(getenv("NUMBERED_LOG") ? RTMP_LOGDEBUG : RTMP_LOGERROR);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "publish %u %u %u %u %u %1023[^\n]", &stream.id, &count, &stream.start, &stream.step, &pace, url) == 6)
            publish(&stream, count, pace, url);
        else if (sscanf(line, "play %u %u %u %1023[^\n]", &stream.id, &stream.start, &stream.step, url) == 4)
            play(&stream, url);
        else if (sscanf(line, "timeout %d", &timeout_seconds) == 1 || sscanf(line, "count %llu", &first_byte) == 1)
            puts("set");
        else
            puts("what?");
    }
    return 0;
}
