#define _POSIX_C_SOURCE 200809L
#include "upload.h"

#include <errno.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reason.h"

volatile sig_atomic_t upload_interrupted;

static void on_signal(int number)
{
    (void)number;
    upload_interrupted = 1;
    RTMP_UserInterrupt();
}

static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C ends the program at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed connection is an error code, not the end of the program */
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void usage(FILE *to, const char *program, const char *extra)
{
    fprintf(to, "usage: %s [options] file.flv rtmp://host[:port]/app/name\n"
                "Publishes an FLV file at the speed of its timestamps.\n"
                "  -l, --loop      repeat until stopped; timestamps keep rising\n"
                "  -n COUNT        send the file COUNT times\n%s"
                "  -t SECONDS      give up when the server is silent that long (default 30)\n"
                "  -q              only errors      -v  tell more (twice: everything)\n"
                "  -h              this text\n", program, extra);
}

int upload_parse(int argc, char **argv, const char *program, const char *extra, struct upload_options *options)
{
    static const struct option names[] = {
        { "loop", no_argument, NULL, 'l' },          { "quiet", no_argument, NULL, 'q' },
        { "timeout", required_argument, NULL, 't' }, { "chunk", required_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
    };
    int letter;
    *options = (struct upload_options){ .program = program, .loops = 1, .timeout = 30, .chunk_size = 4096 };
    while ((letter = getopt_long(argc, argv, *extra ? "ln:t:c:qvh" : "ln:t:qvh", names, NULL)) != -1) {
        int ok = 1;
        switch (letter) {
        case 'l': options->loops = 0; break;
        case 'n': ok = (options->loops = atoi(optarg)) > 0; break;
        case 't': ok = (options->timeout = atoi(optarg)) > 0; break;
        case 'c': ok = *extra && (options->chunk_size = atoi(optarg)) > 0 && options->chunk_size <= 65536; break;
        case 'q': options->quiet = 1; break;
        case 'v': options->verbose++; break;
        case 'h': usage(stdout, program, extra); return 0;
        default: usage(stderr, program, extra); return 2;
        }
        if (!ok) {
            fprintf(stderr, "%s: -%c cannot be %s\n", program, letter, optarg);
            return 2;
        }
    }
    if (optind + 2 != argc) {
        usage(stderr, program, extra);
        return 2;
    }
    options->file = argv[optind];
    options->url = argv[optind + 1];
    return -1;
}

/* Shows why a server refuses: onStatus("level", "code", "description"). Returns 1 when it is an error. */
static int is_refusal(const struct upload *upload, const RTMPPacket *packet)
{
    static const AVal on_status = AVC("onStatus"), error = AVC("error");
    static const AVal level_name = AVC("level"), code_name = AVC("code");
    AMFObject message, information;
    AVal method, level, code;
    int refused = 0;

    if (packet->m_packetType != RTMP_PACKET_TYPE_INVOKE || !packet->m_body
        || AMF_Decode(&message, packet->m_body, (int)packet->m_nBodySize, FALSE) < 0)
        return 0;
    AMFProp_GetString(AMF_GetProp(&message, NULL, 0), &method);
    if (AVMATCH(&method, &on_status)) {
        AMFProp_GetObject(AMF_GetProp(&message, NULL, 3), &information); /* still owned by `message` */
        AMFProp_GetString(AMF_GetProp(&information, &level_name, -1), &level);
        AMFProp_GetString(AMF_GetProp(&information, &code_name, -1), &code);
        if (AVMATCH(&level, &error)) {
            fprintf(stderr, "%s: the server says %.*s\n", upload->options->program, code.av_len, code.av_val);
            refused = 1;
        }
    }
    AMF_Reset(&message);
    return refused;
}

/* Reads one chunk; a complete message goes to the library, which answers pings and the like. */
static int listen_once(struct upload *upload)
{
    RTMP *r = upload->rtmp;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (!RTMP_ReadPacket(r, &packet)) {
        if (!upload_interrupted)
            fprintf(stderr, "%s: the server closed the connection (%s)\n", upload->options->program, reason(r));
        return 0;
    }
    if (!RTMPPacket_IsReady(&packet))
        return 1;
    int refused = is_refusal(upload, &packet);
    RTMP_ClientPacket(r, &packet);
    RTMPPacket_Free(&packet);
    return !refused && RTMP_IsConnected(r);
}

/* Listens to the server until `due`. A publisher that never reads looks dead to a server that pings.
 *
 * Not over HTTP: there each request has a reply, most with no message in it, and reading would wait for one. */
static int wait_until(struct upload *upload, int64_t due)
{
    RTMP *r = upload->rtmp;
    int over_http = (r->Link.protocol & RTMP_FEATURE_HTTP) != 0;
    for (;;) {
        int64_t left = due - clock_ms();
        if (upload_interrupted)
            return 0;
        struct pollfd socket = { .fd = over_http ? -1 : RTMP_Socket(r), .events = POLLIN };
        int readable = 1;
        if (r->m_sb.sb_size == 0) /* otherwise bytes are waiting inside the library already */
            readable = poll(&socket, 1, left < 0 ? 0 : left > 1000 ? 1000 : (int)left);
        if (readable < 0 && errno != EINTR)
            return 0;
        if (readable > 0 && !listen_once(upload))
            return 0;
        if (due <= clock_ms())
            return !upload_interrupted;
    }
}

int upload_open(struct upload *upload, const struct upload_options *options)
{
    memset(upload, 0, sizeof *upload);
    upload->options = options;
    upload->step = 40;
    RTMP_LogSetLevel(options->verbose > 1 ? RTMP_LOGDEBUG : options->verbose ? RTMP_LOGINFO
                     : options->quiet     ? RTMP_LOGCRIT
                                          : RTMP_LOGERROR);
    catch_signals();

    FILE *file = fopen(options->file, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot read %s: %s\n", options->program, options->file, strerror(errno));
        return 0;
    }
    if (!flv_reader_open(&upload->reader, file)) {
        fprintf(stderr, "%s: %s is not an FLV file\n", options->program, options->file);
        return 0;
    }
    upload->url = strdup(options->url);
    upload->rtmp = RTMP_Alloc();
    if (!upload->url || !upload->rtmp)
        return 0;
    RTMP_Init(upload->rtmp);
    upload->rtmp->Link.timeout = options->timeout;
    if (!RTMP_SetupURL(upload->rtmp, upload->url)) {
        fprintf(stderr, "%s: not a usable address: %s (%s)\n", options->program, options->url, reason(upload->rtmp));
        return 0;
    }
    RTMP_EnableWrite(upload->rtmp); /* after the address, before connecting */
    if (!RTMP_Connect(upload->rtmp, NULL)) {
        fprintf(stderr, "%s: cannot connect to %s (%s)\n", options->program, options->url, reason(upload->rtmp));
        return 0;
    }
    if (!RTMP_ConnectStream(upload->rtmp, 0)) {
        fprintf(stderr, "%s: the server does not accept %s (%s)\n", options->program, options->url,
                reason(upload->rtmp));
        return 0;
    }
    return 1;
}

/* The next tag of this round or of the next one. */
static int next_tag(struct upload *upload, struct flv_tag *tag)
{
    for (;;) {
        int result = flv_next(&upload->reader, tag);
        if (result < 0)
            fprintf(stderr, "%s: %s is damaged\n", upload->options->program, upload->options->file);
        if (result != 0)
            return result;
        if (++upload->round == upload->options->loops || !upload->started)
            return 0; /* enough, or a file without frames */
        if (!flv_rewind(&upload->reader))
            return -1;
        upload->base = upload->highest + upload->step - upload->first;
    }
}

static void keep_time(struct upload *upload, uint32_t timestamp)
{
    if (!upload->started) {
        upload->started = 1;
        upload->began = clock_ms();
        upload->first = upload->last = upload->highest = timestamp;
    }
    int32_t passed = (int32_t)(timestamp - upload->last); /* timestamps may wrap around */
    if (passed > 0 && passed <= 1000)
        upload->step = (uint32_t)passed;
    if ((int32_t)(timestamp - upload->highest) > 0)
        upload->highest = timestamp;
    upload->elapsed += passed;
    upload->last = timestamp;
}

static void show_progress(const struct upload *upload, const char *end)
{
    fprintf(stderr, "%10.1f kB  %8.2f s%s", (double)upload->bytes / 1024.0, (double)upload->elapsed / 1000.0, end);
}

int upload_next(struct upload *upload, struct flv_tag *tag)
{
    int result;
    do
        result = next_tag(upload, tag);
    while (result == 1 && tag->type == FLV_SCRIPT && upload->round > 0); /* metadata once is enough */
    if (result != 1)
        return result;

    flv_set_timestamp(tag, tag->timestamp + upload->base);
    if (tag->type != FLV_SCRIPT)
        keep_time(upload, tag->timestamp);
    int64_t due = upload->started ? upload->began + upload->elapsed : clock_ms();
    if (!wait_until(upload, due))
        return upload_interrupted ? 0 : -1;

    upload->bytes += tag->raw_size;
    if (!upload->options->quiet && isatty(STDERR_FILENO))
        show_progress(upload, "\r");
    return 1;
}

/* Closing a socket with unread bytes makes the kernel throw away what it has not sent yet. So: announce
 * the end, close the sending side only, and read until the server has closed as well. */
static void drain(RTMP *r)
{
    char scrap[4096];
    int64_t deadline = clock_ms() + 3000;
    RTMP_DeleteStream(r);
    int fd = RTMP_Socket(r);
    if (fd < 0 || shutdown(fd, SHUT_WR) != 0)
        return;
    for (;;) {
        struct pollfd socket = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - clock_ms();
        if (left <= 0 || poll(&socket, 1, (int)left) <= 0 || recv(fd, scrap, sizeof scrap, 0) <= 0)
            return;
    }
}

void upload_close(struct upload *upload)
{
    if (upload->rtmp) {
        if (RTMP_IsConnected(upload->rtmp) && !(upload->rtmp->Link.protocol & RTMP_FEATURE_HTTP))
            drain(upload->rtmp);
        RTMP_Close(upload->rtmp);
        RTMP_Free(upload->rtmp);
    }
    if (upload->started && !upload->options->quiet)
        show_progress(upload, "\n");
    flv_reader_close(&upload->reader);
    free(upload->url);
    memset(upload, 0, sizeof *upload);
}
