/* adapt: publishes an FLV file in real time, like a live encoder, and adapts to the network.
 *
 * If the network is too slow, the program skips video frames up to the next key frame, and prints a bitrate that the network could
 * carry; a real encoder would use that bitrate. If the connection is lost, the program connects again, with growing delays. It then
 * sends the metadata and the decoder configurations again, and continues at the next key frame. */
#define _XOPEN_SOURCE 700
#include <getopt.h>
#include <librtmp/log.h>
#include <librtmp/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flv.h"

enum { FIRST_DELAY = 500, LAST_DELAY = 16000, SETUP_TAGS = 3 }; /* milliseconds */

struct encoder {
    RTMP *r;
    const char *url;
    int limit; /* bytes that may wait for the network */
    int streaming, needs_key, dropping;
    long long next_try, delay;
    struct { uint8_t *raw; size_t size; } setup[SETUP_TAGS]; /* metadata, audio and video configuration */
    unsigned sent, dropped, connections;
    long long measured_at;
    uint64_t measured;
};

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void sleep_until(long long time)
{
    long long left = time - now();
    struct timespec t = { (time_t)(left / 1000), (long)(left % 1000) * 1000000 };
    if (left > 0)
        nanosleep(&t, NULL);
}

/* Bytes in the socket's send buffer can no longer be skipped, so the buffer must be small. */
static int on_event(RTMP *r, const RTMPEvent *event, void *arg)
{
    const struct encoder *e = arg;
    int size = e->limit;
    (void)r;
    if (event->e_type == RTMP_EVENT_SOCKET)
        setsockopt(event->e_socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return TRUE;
}

static uint64_t backlog(RTMP *r, uint64_t *out)
{
    RTMPStats stats;
    stats.s_size = sizeof stats;
    if (!RTMP_GetStats(r, &stats))
        return 0;
    *out = stats.s_bytesOut;
    return stats.s_queued + stats.s_unsent;
}

static void lose(struct encoder *e, const char *what)
{
    fprintf(stderr, "adapt: %s: %s; again in %lld ms\n", what, RTMP_GetErrorString(e->r), e->delay);
    RTMP_Close(e->r);
    e->streaming = 0;
    e->next_try = now() + e->delay;
    e->delay = e->delay * 2 > LAST_DELAY ? LAST_DELAY : e->delay * 2;
}

static void start(struct encoder *e)
{
    char *url = strdup(e->url); /* the session changes it and points into it */
    RTMP_SetEventCallback(e->r, on_event, e);
    e->r->Link.timeout = 10;
    if (url && RTMP_SetupURL(e->r, url)) {
        RTMP_EnableWrite(e->r);
        e->streaming = RTMP_Connect(e->r, NULL) && RTMP_ConnectStream(e->r, 0);
    }
    if (e->streaming) {
        e->needs_key = 1;
        e->dropping = 0;
        e->delay = FIRST_DELAY;
        e->connections++;
        e->measured_at = now();
        e->measured = 0;
    } else {
        lose(e, "cannot publish");
    }
    /* The session no longer uses the previous text: RTMP_Close and RTMP_SetupURL were called since. */
    static char *last;
    free(last);
    last = url;
}

static int send_raw(struct encoder *e, uint8_t *raw, size_t size)
{
    if (RTMP_Write(e->r, (const char *)raw, (int)size) == (int)size)
        return 1;
    lose(e, "lost the connection");
    return 0;
}

/* The index in `setup` of a tag that each connection has to start with, or -1. */
static int setup_slot(const struct flv_tag *tag, enum flv_kind kind)
{
    return kind == FLV_METADATA ? 0 : kind != FLV_CONFIG ? -1 : tag->type == FLV_AUDIO ? 1 : 2;
}

/* Prints once a second, while frames are skipped, what bitrate the network could carry. */
static void advise(struct encoder *e, uint64_t out, uint64_t waiting)
{
    long long time = now() - e->measured_at;
    uint64_t taken = out > waiting ? out - waiting : 0;
    if (time < 1000)
        return;
    if (e->dropping)
        printf("suggested bitrate: %llu kbit/s\n",
               (unsigned long long)(taken > e->measured ? (taken - e->measured) * 8 / (uint64_t)time * 4 / 5 : 0));
    fflush(stdout);
    e->measured_at += time;
    e->measured = taken;
}

static void publish(struct encoder *e, struct flv_tag *tag)
{
    enum flv_kind kind = flv_kind(tag->type, tag->body, tag->size);
    int slot = setup_slot(tag, kind), i;
    uint64_t out = 0, waiting;
    if (slot >= 0) {
        uint8_t *raw = realloc(e->setup[slot].raw, tag->raw_size);
        if (!raw)
            exit(2);
        memcpy(raw, tag->raw, tag->raw_size);
        e->setup[slot].raw = raw;
        e->setup[slot].size = tag->raw_size;
    }
    if (!e->streaming && now() >= e->next_try)
        start(e);
    if (!e->streaming)
        return;
    if (e->needs_key && kind != FLV_KEY) {
        e->dropped += slot < 0;
        return;
    }
    if (e->needs_key) {
        e->needs_key = 0;
        for (i = 0; i < SETUP_TAGS; i++) {
            struct flv_tag again = { 0 };
            again.raw = e->setup[i].raw;
            if (!again.raw)
                continue;
            flv_set_timestamp(&again, tag->timestamp);
            if (!send_raw(e, e->setup[i].raw, e->setup[i].size))
                return;
        }
    }
    waiting = backlog(e->r, &out);
    if (waiting > (uint64_t)e->limit && !e->dropping) {
        e->dropping = 1;
        puts("skipping frames");
        fflush(stdout);
    } else if (e->dropping && kind == FLV_KEY && waiting < (uint64_t)e->limit / 2) {
        e->dropping = 0;
    }
    advise(e, out, waiting);
    if (e->dropping && tag->type == FLV_VIDEO && slot < 0) {
        e->dropped++;
        return;
    }
    if (send_raw(e, tag->raw, tag->raw_size))
        e->sent++;
}

static void usage(FILE *to)
{
    fprintf(to, "Usage: adapt [OPTION]... FILE URL\n"
                "Publish an FLV file like a live encoder: skip frames when the network is slow, and connect again.\n\n"
                "  -b, --backlog BYTES  skip frames while more than BYTES wait for the network (default 131072)\n"
                "  -h, --help           print this text and exit\n");
}

int main(int argc, char **argv)
{
    static struct encoder e;
    struct flv_reader reader;
    struct flv_tag tag;
    FILE *file;
    long long began = 0;
    int started = 0, option, i;

    e.limit = 128 * 1024;
    e.delay = FIRST_DELAY;
    static const struct option names[] = { { "backlog", required_argument, NULL, 'b' }, { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    while ((option = getopt_long(argc, argv, "b:h", names, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            return 0;
        }
        if (option != 'b' || (e.limit = atoi(optarg)) <= 0)
            optind = argc;
    }
    if (argc - optind != 2 || !(e.r = RTMP_Alloc())) {
        usage(stderr);
        return 2;
    }
    e.url = argv[optind + 1];
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(e.r);
    if (!(file = fopen(argv[optind], "rb")) || !flv_reader_open(&reader, file)) {
        fprintf(stderr, "adapt: %s is not an FLV file\n", argv[optind]);
        return 2;
    }
    while (flv_next(&reader, &tag) == FLV_TAG) {
        /* In recordings of a live stream, what comes before the frames may have time 0 although the frames have others. */
        if (!started && flv_kind(tag.type, tag.body, tag.size) < FLV_CONFIG && tag.type <= FLV_VIDEO) {
            started = 1;
            began = now() - tag.timestamp;
        }
        if (started)
            sleep_until(began + tag.timestamp);
        publish(&e, &tag);
    }
    flv_reader_close(&reader);
    printf("sent %u, skipped %u, connections %u\n", e.sent, e.dropped, e.connections);
    RTMP_Close(e.r);
    RTMP_Free(e.r);
    for (i = 0; i < SETUP_TAGS; i++)
        free(e.setup[i].raw);
    return e.streaming ? 0 : 1;
}
