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
                "Publishes an FLV file, or standard input if that is -, at the speed of its timestamps.\n"
                "  -l, --loop      repeat until stopped; timestamps keep rising\n"
                "  -n COUNT        send the file COUNT times\n%s"
                "  -t SECONDS      give up when the server is silent that long (default 30)\n"
                "  -q              only errors      -v  tell more (twice: everything)\n"
                "  -h              this text\n" ENDING_HELP, program, extra);
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
        case 'h': usage(stdout, program, extra); return fflush(stdout) == 0 ? END_WELL : END_FILE_FAILED;
        default: usage(stderr, program, extra); return END_WRONG_USE;
        }
        if (!ok) {
            fprintf(stderr, "%s: -%c cannot be %s\n", program, letter, optarg);
            return END_WRONG_USE;
        }
    }
    if (optind + 2 != argc) {
        usage(stderr, program, extra);
        return END_WRONG_USE;
    }
    options->file = argv[optind];
    options->url = argv[optind + 1];
    return -1;
}

/* Shows the error that a server reports: onStatus("level", "code", "description"). Returns 1 when it refuses to take the
 * stream: other errors are about side matters, such as a recording that cannot be made. */
static int is_refusal(const struct upload *upload, const RTMPPacket *packet)
{
    static const AVal on_status = AVC("onStatus"), error = AVC("error"), publish = AVC("NetStream.Publish.");
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
            fprintf(stderr, "%s: the server says ", upload->options->program);
            for (int at = 0; at < code.av_len; at++) /* nothing that a terminal would obey */
                fputc(code.av_val[at] < ' ' || code.av_val[at] > '~' ? '?' : code.av_val[at], stderr);
            fputc('\n', stderr);
            refused = code.av_len >= publish.av_len && memcmp(code.av_val, publish.av_val, (size_t)publish.av_len) == 0;
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
        upload_failed(upload);
        return 0;
    }
    if (!RTMPPacket_IsReady(&packet))
        return 1;
    int refused = is_refusal(upload, &packet);
    RTMP_ClientPacket(r, &packet);
    RTMPPacket_Free(&packet);
    if (refused)
        upload->ending = END_REFUSED;
    else if (!RTMP_IsConnected(r))
        upload_failed(upload);
    return !refused && RTMP_IsConnected(r);
}

/* Listens to the server until `due`, or until there is something to read from `input`, which may be -1. A publisher that
 * never reads looks dead to a server that pings. Returns 0 when the stream cannot go on.
 *
 * Not over HTTP: there each request has a reply, most with no message in it, and reading would wait for one. */
static int wait_until(struct upload *upload, int64_t due, int input)
{
    RTMP *r = upload->rtmp;
    int listens = r && !(r->Link.protocol & RTMP_FEATURE_HTTP);
    for (;;) {
        int64_t left = due - clock_ms();
        if (upload_interrupted)
            return 0;
        struct pollfd waiting[] = {
            { .fd = input, .events = POLLIN },
            { .fd = listens ? RTMP_Socket(r) : -1, .events = POLLIN },
        };
        int buffered = listens && r->m_sb.sb_size > 0; /* bytes are waiting inside the library already */
        int ready = poll(waiting, 2, buffered || left < 0 ? 0 : left > 1000 ? 1000 : (int)left);
        if (ready < 0 && errno != EINTR) {
            fprintf(stderr, "%s: cannot wait: %s\n", upload->options->program, strerror(errno));
            upload->ending = END_FAILED;
            return 0;
        }
        if ((buffered || (ready > 0 && waiting[1].revents)) && !listen_once(upload))
            return 0;
        if ((ready > 0 && waiting[0].revents) || due <= clock_ms())
            return !upload_interrupted;
    }
}

static const char *input_name(const struct upload *upload)
{
    return strcmp(upload->options->file, "-") == 0 ? "standard input" : upload->options->file;
}

/* Explains why there are no more tags. */
static void input_failed(struct upload *upload, enum flv_result result)
{
    const char *program = upload->options->program, *name = input_name(upload);
    long long end = upload->reader.position + (long long)(upload->reader.end - upload->reader.begin);
    upload->ending = END_CUT;
    switch (result) {
    case FLV_NO_FLV:
        fprintf(stderr, "%s: %s %s\n", program, name, end == 0 ? "is empty" : "is not an FLV file");
        break;
    case FLV_CUT:
        fprintf(stderr, "%s: %s is cut: it ends after %lld bytes, inside %s\n", program, name, end,
                upload->reader.header_seen ? "a tag" : "its header");
        break;
    case FLV_DAMAGED:
        fprintf(stderr, "%s: %s is damaged: there is no FLV tag at byte %lld\n", program, name,
                upload->reader.position);
        break;
    default:
        fprintf(stderr, "%s: cannot read %s: %s\n", program, name, strerror(errno));
        upload->ending = END_FILE_FAILED;
    }
}

/* Reads what the input has, and listens to the server until it has something. */
static int fill(struct upload *upload)
{
    if (!wait_until(upload, INT64_MAX, fileno(upload->reader.file)))
        return 0;
    if (flv_fill(&upload->reader))
        return 1;
    input_failed(upload, FLV_FAILED);
    return 0;
}

static int open_input(struct upload *upload)
{
    const struct upload_options *options = upload->options;
    enum flv_result result;
    FILE *file = strcmp(options->file, "-") == 0 ? stdin : fopen(options->file, "rb");
    if (!file) {
        input_failed(upload, FLV_FAILED);
        return 0;
    }
    flv_reader_start(&upload->reader, file);
    if (options->loops != 1 && upload->reader.base < 0) {
        fprintf(stderr, "%s: %s can be sent only once: it is not a file\n", options->program, input_name(upload));
        upload->ending = END_WRONG_USE;
        return 0;
    }
    while ((result = flv_take_header(&upload->reader)) == FLV_MORE)
        if (!fill(upload))
            return 0;
    if (result != FLV_TAG)
        input_failed(upload, result);
    return result == FLV_TAG;
}

int upload_open(struct upload *upload, const struct upload_options *options)
{
    memset(upload, 0, sizeof *upload);
    upload->options = options;
    upload->step = 40;
    set_log_level(options->quiet, options->verbose);
    catch_signals();
    if (!open_input(upload))
        return 0;

    upload->url = strdup(options->url);
    upload->rtmp = RTMP_Alloc();
    if (!upload->url || !upload->rtmp) {
        fprintf(stderr, "%s: out of memory\n", options->program);
        upload->ending = END_FAILED;
        return 0;
    }
    RTMP *r = upload->rtmp;
    RTMP_Init(r);
    r->Link.timeout = options->timeout;
    if (!RTMP_SetupURL(r, upload->url)) {
        fprintf(stderr, "%s: not a usable address: %s (%s)\n", options->program, options->url, reason(r));
        upload->ending = END_WRONG_USE;
        return 0;
    }
    RTMP_EnableWrite(r); /* after the address, before connecting */
    const char *what = "cannot connect to";
    upload->ending = END_NOT_CONNECTED;
    if (RTMP_Connect(r, NULL)) {
        if (RTMP_ConnectStream(r, 0)) {
            upload->ending = END_WELL;
            return 1;
        }
        what = "the server does not accept";
        upload->ending = END_REFUSED;
    }
    if (!upload_interrupted)
        fprintf(stderr, "%s: %s %s (%s)\n", options->program, what, options->url, reason(r));
    upload->ending = ending_of(r, upload->ending);
    return 0;
}

void upload_failed(struct upload *upload)
{
    if (!upload_interrupted)
        fprintf(stderr, "%s: the connection was lost (%s)\n", upload->options->program, reason(upload->rtmp));
    upload->ending = ending_of(upload->rtmp, END_LOST);
}

/* The next tag of this round or of the next one. */
static int next_tag(struct upload *upload, struct flv_tag *tag)
{
    struct flv_reader *reader = &upload->reader;
    for (;;) {
        unsigned skipped = reader->skipped;
        enum flv_result result = flv_take(reader, tag);
        if (skipped == 0 && reader->skipped > 0)
            fprintf(stderr, "%s: %s has tags of type %d, which are left out\n", upload->options->program,
                    input_name(upload), reader->skipped_type);
        if (result == FLV_TAG)
            return 1;
        if (result == FLV_MORE) {
            if (!fill(upload))
                return 0;
        } else if (result != FLV_END) {
            input_failed(upload, result);
            return 0;
        } else if (upload->bytes == 0) {
            fprintf(stderr, "%s: %s has no tags\n", upload->options->program, input_name(upload));
            upload->ending = END_CUT;
            return 0;
        } else if (++upload->round == upload->options->loops || !upload->started) {
            return 0; /* enough, or a file without frames */
        } else if (flv_rewind(reader)) {
            upload->base = upload->highest + upload->step - upload->first;
        } else {
            input_failed(upload, FLV_FAILED);
            return 0;
        }
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
    do
        if (!next_tag(upload, tag))
            return 0;
    while (tag->type != FLV_AUDIO && tag->type != FLV_VIDEO && upload->round > 0); /* metadata once is enough */

    flv_set_timestamp(tag, tag->timestamp + upload->base);
    if (tag->type == FLV_AUDIO || tag->type == FLV_VIDEO)
        keep_time(upload, tag->timestamp);
    int64_t due = upload->started ? upload->began + upload->elapsed : clock_ms();
    if (!wait_until(upload, due, -1))
        return 0;

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

enum ending upload_close(struct upload *upload)
{
    enum ending ending = upload->ending;
    if (upload_interrupted) {
        ending = upload->bytes > 0 ? END_WELL : END_FAILED;
        if (upload->bytes == 0)
            fprintf(stderr, "%s: stopped before anything was sent\n", upload->options->program);
    }
    if (upload->rtmp) {
        if (RTMP_IsConnected(upload->rtmp) && !(upload->rtmp->Link.protocol & RTMP_FEATURE_HTTP))
            drain(upload->rtmp);
        RTMP_Close(upload->rtmp);
        RTMP_Free(upload->rtmp);
    }
    if (upload->started && !upload->options->quiet)
        show_progress(upload, "\n");
    if (upload->reader.file)
        flv_reader_close(&upload->reader);
    free(upload->url);
    memset(upload, 0, sizeof *upload);
    return ending;
}
