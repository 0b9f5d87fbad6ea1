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
#include <unistd.h>

#include "enhanced.h"
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
    tool_catch_signals(on_signal);
    signal(SIGPIPE, SIG_IGN); /* a closed connection is an error code, not the end of the program */
}

static const char *program_name, *extra_help;

static void usage(FILE *to)
{
    fprintf(to, "Usage: %s [OPTION]... FILE URL\n"
                "Publish an FLV file, or what an encoder writes to standard input (FILE is -), in real time.\n\n"
                "Input:\n"
                "      --start TIME       start at the last key frame up to TIME in the file: 90, 1.5s or 1500ms\n"
                "  -l, --loop             repeat the file until stopped; timestamps keep rising\n"
                "  -n, --count COUNT      send the file COUNT times\n"
                "      --info             print the tracks and codecs of FILE instead of publishing it; needs no URL\n\n"
                "Connection:\n%s"
                "      --enhanced         announce Enhanced RTMP: any codec, and several tracks\n"
                "      --codecs LIST      announce these codecs: hvc1,Opus\n"
                "  -t, --timeout SECONDS  give up if the server does not answer for SECONDS (default 30)\n"
                "      --retry COUNT      connect again up to COUNT times in a row, after 1, 2, 4 ... 30 seconds,\n"
                "                         and continue at the next key frame\n\n"
                TOOL_HELP "\n"
                "URL is rtmp://[user:password@]host[:port]/app/name, or rtmps, rtmpe, rtmpt, rtmpte, rtmpts.\n"
                "Options of librtmp can follow it inside the quotes: \"rtmp://host/app/name token=secret\".\n\n"
                ENDING_HELP, program_name, extra_help);
}

int upload_parse(int argc, char **argv, const char *extra, struct upload *upload)
{
    enum { START = 1, RETRY, ENHANCED, CODECS, INFO };
    static const struct option names[] = {
        { "start", required_argument, NULL, START },   { "loop", no_argument, NULL, 'l' },
        { "count", required_argument, NULL, 'n' },     { "timeout", required_argument, NULL, 't' },
        { "retry", required_argument, NULL, RETRY },   { "chunk", required_argument, NULL, 'c' },
        { "enhanced", no_argument, NULL, ENHANCED },   { "codecs", required_argument, NULL, CODECS },
        { "info", no_argument, NULL, INFO },           TOOL_OPTIONS
    };
    int letter;
    memset(upload, 0, sizeof *upload);
    struct upload_options *options = &upload->options;
    program_name = tool_name(argv);
    extra_help = extra;
    upload->tool = (struct tool){ .name = program_name, .report = stdout };
    *options = (struct upload_options){ .loops = 1, .timeout = 30, .chunk_size = 4096 };
    while ((letter = getopt_long(argc, argv, *extra ? "ln:t:c:" TOOL_LETTERS : "ln:t:" TOOL_LETTERS, names, NULL)) != -1) {
        int ok = 1, code;
        switch (letter) {
        case START: ok = tool_parse_time(optarg, &options->start); break;
        case RETRY: ok = tool_parse_number(optarg, 0, 1000000, &upload->retry.most); break;
        case ENHANCED: options->enhanced = 1; break;
        case CODECS: options->codecs = optarg; break;
        case INFO: options->info = 1; break;
        case 'l': options->loops = 0; break;
        case 'n': ok = tool_parse_number(optarg, 1, 1000000000, &options->loops); break;
        case 't': ok = tool_parse_number(optarg, 1, 86400, &options->timeout); break;
        case 'c': ok = *extra && tool_parse_number(optarg, 1, 65536, &options->chunk_size); break;
        default:
            if ((code = tool_option(&upload->tool, letter, usage)) >= 0)
                return code;
        }
        if (!ok) {
            const char *name = letter == START ? "--start" : letter == RETRY ? "--retry" : letter == 'n' ? "-n"
                               : letter == 't' ? "-t" : "-c";
            tool_fail(&upload->tool, END_WRONG_USE, "invalid value for %s: %s", name, optarg);
        }
    }
    if (!upload->tool.problem[0] && options->info && upload->tool.json)
        tool_fail(&upload->tool, END_WRONG_USE, "--info prints text only, not JSON");
    if (!upload->tool.problem[0] && optind + (options->info ? 1 : 2) != argc)
        tool_fail(&upload->tool, END_WRONG_USE, "a file%s needed; try '%s --help'", options->info ? " is" : " and a URL are",
                  program_name);
    if (!upload->tool.problem[0]) {
        options->file = argv[optind];
        options->url = options->info ? "" : argv[optind + 1];
        if (!tool_is_rtmp(options->url))
            tool_fail(&upload->tool, END_WRONG_USE, "not an RTMP URL: %s", options->url);
    }
    if (upload->tool.problem[0]) {
        tool_print_problem(&upload->tool);
        return END_WRONG_USE;
    }
    return -1;
}

/* Prints the error that a server reports: onStatus("level", "code", "description"). Returns 1 if the server refuses the stream.
 * Other errors have other subjects, for example a recording that failed. */
static int is_refusal(struct upload *upload, const RTMPPacket *packet)
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
            char text[128]; /* without control characters */
            int at = 0;
            for (; at < code.av_len && at < (int)sizeof text - 1; at++)
                text[at] = code.av_val[at] < ' ' || code.av_val[at] > '~' ? '?' : code.av_val[at];
            text[at] = 0;
            refused = code.av_len >= publish.av_len && memcmp(code.av_val, publish.av_val, (size_t)publish.av_len) == 0;
            if (refused)
                tool_fail(&upload->tool, END_REFUSED, "the server says %s", text);
            else
                tool_warn(&upload->tool, "the server says %s", text);
        }
    }
    AMF_Reset(&message);
    return refused;
}

/* Stores the reason for a lost connection. */
static void lost(struct upload *upload)
{
    upload->ending = tool_fail(&upload->tool, ending_of(upload->rtmp, END_LOST), "the connection was lost (%s)",
                               reason(upload->rtmp));
}

/* Reads one chunk; the library processes a complete message, for example answers a ping. */
static int listen_once(struct upload *upload)
{
    RTMP *r = upload->rtmp;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (!RTMP_ReadPacket(r, &packet)) {
        lost(upload);
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
        lost(upload);
    return !refused && RTMP_IsConnected(r);
}

static int connect_again(struct upload *upload);

/* Reads what the server sends until `due`, or until `input` is readable; `input` may be -1. A server that pings disconnects a
 * publisher that never reads. Returns 0 if the stream cannot continue.
 *
 * It does not read over HTTP, where most replies contain no message, and reading would wait for one. */
static int wait_until(struct upload *upload, int64_t due, int input)
{
    RTMP *r = upload->rtmp;
    int listens = r && !(r->Link.protocol & RTMP_FEATURE_HTTP);
    for (;;) {
        int64_t left = due - tool_clock();
        if (upload_interrupted)
            return 0;
        struct pollfd waiting[] = {
            { .fd = input, .events = POLLIN },
            { .fd = listens ? RTMP_Socket(r) : -1, .events = POLLIN },
        };
        int buffered = listens && r->m_sb.sb_size > 0; /* the library has received bytes */
        int ready = poll(waiting, 2, buffered || left < 0 ? 0 : left > 1000 ? 1000 : (int)left);
        if (ready < 0 && errno != EINTR) {
            upload->ending = tool_fail(&upload->tool, END_FAILED, "cannot wait: %s", strerror(errno));
            return 0;
        }
        if ((buffered || (ready > 0 && waiting[1].revents)) && !listen_once(upload) && !connect_again(upload))
            return 0;
        listens = r && !(r->Link.protocol & RTMP_FEATURE_HTTP) && RTMP_IsConnected(r);
        if ((ready > 0 && waiting[0].revents) || due <= tool_clock())
            return !upload_interrupted;
    }
}

static const char *input_name(const struct upload *upload)
{
    return strcmp(upload->options.file, "-") == 0 ? "standard input" : upload->options.file;
}

/* Stores the reason for the end of the tags. */
static void input_failed(struct upload *upload, enum flv_result result)
{
    const char *name = input_name(upload);
    struct tool *tool = &upload->tool;
    long long end = upload->reader.position + (long long)(upload->reader.end - upload->reader.begin);
    upload->ending = END_INPUT;
    switch (result) {
    case FLV_NO_FLV:
        tool_fail(tool, END_INPUT, "%s %s", name, end == 0 ? "is empty" : "is not an FLV file");
        break;
    case FLV_CUT:
        tool_fail(tool, END_INPUT, "%s is cut: it ends after %lld bytes, inside %s", name, end,
                  upload->reader.header_seen ? "a tag" : "its header");
        break;
    case FLV_DAMAGED:
        tool_fail(tool, END_INPUT, "%s is damaged: there is no FLV tag at byte %lld", name, upload->reader.position);
        break;
    default:
        tool_fail(tool, END_INPUT, "cannot read %s: %s", name, strerror(errno));
    }
}

/* Reads the input, and meanwhile what the server sends. */
static int fill(struct upload *upload)
{
    if (!wait_until(upload, INT64_MAX, fileno(upload->reader.file)))
        return 0;
    if (flv_fill(&upload->reader))
        return 1;
    input_failed(upload, FLV_FAILED);
    return 0;
}

/* Copies a tag that every connection has to start with. */
static void keep(struct upload *upload, const struct flv_tag *tag, enum flv_kind kind)
{
    struct upload_header *header = &upload->headers[kind == FLV_METADATA ? 0 : tag->type == FLV_VIDEO ? 1 : 2];
    uint8_t *copy = malloc(tag->raw_size);
    if (!copy)
        return;
    memcpy(copy, tag->raw, tag->raw_size);
    free(header->raw);
    *header = (struct upload_header){ .raw = copy, .size = tag->raw_size };
}

/* Moves to --start, but keeps the tags before the first frame. Returns 0 after a failure. */
static int skip_to_start(struct upload *upload)
{
    struct flv_reader *reader = &upload->reader;
    struct flv_tag tag;
    uint32_t found;
    int frames = 0;
    if (reader->base < 0) {
        upload->ending = tool_fail(&upload->tool, END_WRONG_USE, "--start needs a file; %s is none", input_name(upload));
        return 0;
    }
    while (frames < 100 && flv_next(reader, &tag) == FLV_TAG) {
        enum flv_kind kind = flv_kind(tag.type, tag.body, tag.size);
        if (kind == FLV_METADATA || kind == FLV_CONFIG)
            keep(upload, &tag, kind);
        else
            frames += tag.type == FLV_AUDIO || tag.type == FLV_VIDEO;
    }
    if (!flv_seek(reader, upload->options.start, &found) && !flv_rewind(reader)) {
        input_failed(upload, FLV_FAILED);
        return 0;
    }
    upload->pending = 7;
    upload->last = upload->first = found;
    return 1;
}

static int open_input(struct upload *upload)
{
    const struct upload_options *options = &upload->options;
    enum flv_result result;
    FILE *file = strcmp(options->file, "-") == 0 ? stdin : fopen(options->file, "rb");
    if (!file) {
        input_failed(upload, FLV_FAILED);
        return 0;
    }
    flv_reader_start(&upload->reader, file);
    if (options->loops != 1 && upload->reader.base < 0) {
        upload->ending = tool_fail(&upload->tool, END_WRONG_USE, "%s can be sent only once: it is not a file",
                                   input_name(upload));
        return 0;
    }
    while ((result = flv_take_header(&upload->reader)) == FLV_MORE)
        if (!fill(upload))
            return 0;
    if (result != FLV_TAG)
        input_failed(upload, result);
    return result == FLV_TAG && (options->start == 0 || skip_to_start(upload));
}

/* Connects as a publisher. Returns 1, or 0 after a failure. */
static int connect_once(struct upload *upload)
{
    const struct upload_options *options = &upload->options;
    RTMP *r = upload->rtmp;
    free(upload->url);
    upload->url = strdup(options->url);
    RTMP_Init(r);
    r->Link.timeout = options->timeout;
    if (!upload->url || !RTMP_SetupURL(r, upload->url)) {
        upload->ending = tool_fail(&upload->tool, END_WRONG_USE, "invalid URL or option: %s (%s)", options->url, reason(r));
        return 0;
    }
    if (!announce(r, options->enhanced, options->codecs)) {
        upload->ending = tool_fail(&upload->tool, END_WRONG_USE, "cannot announce codecs (%s)", reason(r));
        return 0;
    }
    RTMP_EnableWrite(r); /* after the URL, before connecting */
    const char *what = "cannot connect to";
    upload->ending = END_NOT_CONNECTED;
    if (RTMP_Connect(r, NULL)) {
        if (RTMP_ConnectStream(r, 0)) {
            upload->ending = END_WELL;
            upload->connections++;
            return 1;
        }
        what = "the server does not accept";
        upload->ending = END_REFUSED;
    }
    upload->ending = tool_fail(&upload->tool, ending_of(r, upload->ending), "%s %s (%s)", what, options->url, reason(r));
    return 0;
}

/* After a failure: waits and connects again, as --retry allows. Returns 1 when connected. */
static int connect_again(struct upload *upload)
{
    int64_t lost_at = tool_clock();
    while (!upload_interrupted && retry_may(&upload->retry, upload->ending)) {
        RTMP_Close(upload->rtmp);
        if (!retry_wait(&upload->retry, &upload->tool, &upload_interrupted))
            return 0;
        if (connect_once(upload)) {
            upload->pending = 7;
            upload->wants_key = upload->has_video;
            /* A file pauses meanwhile. What an encoder has written meanwhile is sent at once. */
            if (upload->started && upload->reader.base >= 0)
                upload->began += tool_clock() - lost_at;
            return 1;
        }
    }
    return 0;
}

int upload_open(struct upload *upload)
{
    upload->step = 40;
    upload->opened = tool_clock();
    set_log_level(upload->tool.quiet, upload->tool.verbose);
    catch_signals();
    if (!open_input(upload))
        return 0;
    upload->rtmp = RTMP_Alloc();
    if (!upload->rtmp) {
        upload->ending = tool_fail(&upload->tool, END_FAILED, "out of memory");
        return 0;
    }
    return connect_once(upload) || connect_again(upload);
}

int upload_failed(struct upload *upload)
{
    lost(upload);
    return connect_again(upload);
}

/* The next tag of this round or of the next one. */
static int next_tag(struct upload *upload, struct flv_tag *tag)
{
    struct flv_reader *reader = &upload->reader;
    for (;;) {
        unsigned skipped = reader->skipped;
        enum flv_result result = flv_take(reader, tag);
        if (skipped == 0 && reader->skipped > 0)
            tool_warn(&upload->tool, "%s has tags of type %d, which are left out", input_name(upload),
                      reader->skipped_type);
        if (result == FLV_TAG)
            return 1;
        if (result == FLV_MORE) {
            if (!fill(upload))
                return 0;
        } else if (result != FLV_END) {
            input_failed(upload, result);
            return 0;
        } else if (upload->bytes == 0) {
            upload->ending = tool_fail(&upload->tool, END_INPUT, "%s has no tags", input_name(upload));
            return 0;
        } else if (++upload->round == upload->options.loops || !upload->started) {
            return 0; /* all rounds are complete, or the file has no frames */
        } else if (flv_rewind(reader)) {
            upload->base = upload->highest + upload->step - (upload->options.start ? 0 : upload->first);
        } else {
            input_failed(upload, FLV_FAILED);
            return 0;
        }
    }
}

/* The next tag that this connection has to start with. Returns 0 if there is none left. */
static int take_header(struct upload *upload, struct flv_tag *tag)
{
    for (int i = 0; i < 3; i++) {
        struct upload_header *header = &upload->headers[i];
        if (!(upload->pending & 1 << i))
            continue;
        upload->pending &= ~(1 << i);
        if (!header->raw)
            continue;
        *tag = (struct flv_tag){ .type = header->raw[0], .raw = header->raw, .raw_size = header->size,
                                 .body = header->raw + FLV_TAG_HEADER,
                                 .size = (uint32_t)header->size - FLV_TAG_HEADER - FLV_TAG_TRAILER };
        tag->timestamp = upload->last;
        flv_set_timestamp(tag, upload->last);
        return 1;
    }
    return 0;
}

static void keep_time(struct upload *upload, uint32_t timestamp)
{
    if (!upload->started) {
        upload->started = 1;
        upload->began = tool_clock();
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

static void show_progress(struct upload *upload, int last)
{
    int64_t now = tool_clock();
    if (!tool_shows_progress(&upload->tool) || (!last && now - upload->shown < 250))
        return;
    upload->shown = now;
    double kilobytes = (double)upload->bytes / 1024.0, seconds = (double)(now - upload->opened) / 1000.0;
    fprintf(stderr, "\r%10.1f kB  %8.2f s  %8.1f kB/s", kilobytes, (double)upload->elapsed / 1000.0,
            seconds > 0 ? kilobytes / seconds : 0.0);
}

/* Whether to skip a tag, because a new connection has to start with a key frame. */
static int waits_for_key(struct upload *upload, const struct flv_tag *tag, enum flv_kind kind)
{
    if (tag->type != FLV_VIDEO || kind == FLV_CONFIG)
        return 0;
    upload->has_video = 1;
    if (kind == FLV_KEY)
        upload->wants_key = 0;
    return upload->wants_key;
}

int upload_next(struct upload *upload, struct flv_tag *tag)
{
    for (;;) {
        if (take_header(upload, tag))
            break;
        if (!next_tag(upload, tag))
            return 0;
        enum flv_kind kind = flv_kind(tag->type, tag->body, tag->size);
        int media = tag->type == FLV_AUDIO || tag->type == FLV_VIDEO;
        if (kind == FLV_METADATA || kind == FLV_CONFIG)
            keep(upload, tag, kind);
        if (!media && upload->round > 0)
            continue; /* metadata is sent once */

        flv_set_timestamp(tag, tag->timestamp + upload->base);
        /* In recordings of a live stream, configurations may have time 0 whatever the frames have: only frames set the clock. */
        if (kind == FLV_CONFIG && upload->started && (int32_t)(tag->timestamp - upload->last) < 0)
            flv_set_timestamp(tag, upload->last);
        else if (media && kind != FLV_CONFIG)
            keep_time(upload, tag->timestamp);
        int64_t due = upload->started ? upload->began + upload->elapsed : tool_clock();
        if (!wait_until(upload, due, -1))
            return 0;
        if (!upload->pending && !waits_for_key(upload, tag, kind))
            break;
    }
    upload->bytes += tag->raw_size;
    if (++upload->tags % 100 == 0)
        upload->retry.attempt = 0; /* it works again */
    show_progress(upload, 0);
    return 1;
}

/* Closing a socket with unread bytes makes the kernel discard what it has not sent yet. So this ends the stream, closes the
 * sending side only, and reads until the server has closed as well. */
static void drain(RTMP *r)
{
    char scrap[4096];
    int64_t deadline = tool_clock() + 3000;
    RTMP_DeleteStream(r);
    int fd = RTMP_Socket(r);
    if (fd < 0 || shutdown(fd, SHUT_WR) != 0)
        return;
    for (;;) {
        struct pollfd socket = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - tool_clock();
        if (left <= 0 || poll(&socket, 1, (int)left) <= 0 || recv(fd, scrap, sizeof scrap, 0) <= 0)
            return;
    }
}

static void print_json(const struct upload *upload, enum ending ending)
{
    printf("{");
    tool_json_text(stdout, "program", upload->tool.name);
    printf(", \"code\": %d, ", ending);
    tool_json_text(stdout, "error", ending == END_WELL ? "" : upload->tool.problem);
    printf(", \"tags\": %u, \"bytes\": %llu, \"seconds\": %.3f, \"connections\": %u}\n", upload->tags, upload->bytes,
           (double)upload->elapsed / 1000.0, upload->connections);
}

enum ending upload_close(struct upload *upload)
{
    enum ending ending = upload->ending;
    if (upload_interrupted) {
        ending = upload->bytes > 0 ? END_WELL : END_FAILED;
        if (upload->bytes == 0)
            tool_fail(&upload->tool, END_FAILED, "stopped before any data was sent");
    }
    if (upload->rtmp) {
        if (RTMP_IsConnected(upload->rtmp) && !(upload->rtmp->Link.protocol & RTMP_FEATURE_HTTP))
            drain(upload->rtmp);
        RTMP_Close(upload->rtmp);
        RTMP_Free(upload->rtmp);
    }
    if (upload->started) {
        show_progress(upload, 1);
        tool_end_progress(&upload->tool);
    }
    if (ending != END_WELL && !upload_interrupted)
        tool_print_problem(&upload->tool);
    if (upload->tool.json) {
        print_json(upload, ending);
        ending = tool_flush(&upload->tool, stdout, ending);
    }
    if (upload->reader.file)
        flv_reader_close(&upload->reader);
    for (int i = 0; i < 3; i++)
        free(upload->headers[i].raw);
    free(upload->url);
    memset(upload, 0, sizeof *upload);
    return ending;
}
