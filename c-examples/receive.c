/* receive: saves an RTMP stream, live or recorded, as an FLV file, or as several files that are cut by time.
 *
 * RTMP_Read returns the stream as the bytes of an FLV file, cut anywhere. This program assembles whole tags and writes
 * only those, so the file is playable however the stream ends. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "enhanced.h"
#include "flv.h"
#include "output.h"
#include "reason.h"
#include "tool.h"

struct options {
    const char *url, *output;
    int live, timeout;
    int enhanced; /* announce everything */
    int resume;
    const char *codecs;
    uint32_t start, stop, segment; /* milliseconds */
};

/* Bytes of the tag in progress. */
struct assembly {
    uint8_t *bytes;
    size_t used, capacity;
    int header_seen;
};

/* Where a file that is continued ends: with its last key frame, or with the last audio if it has no video. */
struct resumed {
    unsigned tags; /* up to that frame, with it; 0 when nothing is continued */
    uint8_t type;
    uint32_t timestamp, size;
    uint8_t *body;
};

/* One run of the program. */
struct receiver {
    struct options options;
    struct tool tool;
    struct retry retry;
    struct output output;
    struct resumed resumed;
    RTMP *rtmp;
    char *url;      /* the session points into it */
    uint32_t shift; /* added to timestamps, so that they keep rising over several connections */
    int connected_before, shift_known;
    int skipped;    /* a tag of unknown type was left out */
    int64_t began, shown;
};

enum outcome { GOING_ON, ENDED, REACHED_STOP, WRITE_FAILED, NO_MEMORY, BROKEN };

static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t open_socket = -1;

/* RTMP_UserInterrupt ends a read that waits. If the signal comes just before the read starts, the closed receiving side
 * ends it instead; the sending side can still be used to end the stream. */
static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
    RTMP_UserInterrupt();
    if (open_socket >= 0)
        shutdown(open_socket, SHUT_RD);
}

static void catch_signals(void)
{
    tool_catch_signals(on_signal);
    signal(SIGPIPE, SIG_IGN); /* a closed connection is an error code, not the end of the program */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow any more */
}

static const char *name = "receive";

static void usage(FILE *to)
{
    fprintf(to, "Usage: %s [OPTION]... URL\n"
                "Save an RTMP stream as an FLV file. Ctrl-C stops; the file is then complete and playable.\n\n"
                "Stream:\n"
                "  -l, --live             the stream is live\n"
                "      --start TIME       start position of a recorded stream: 90, 1.5s or 1500ms\n"
                "      --stop TIME        end position; of a live stream, the duration\n"
                "      --enhanced         announce Enhanced RTMP: any codec, and several tracks\n"
                "      --codecs LIST      announce these codecs: hvc1,Opus\n"
                "  -t, --timeout SECONDS  give up after SECONDS without data (default 30)\n"
                "      --retry COUNT      connect again up to COUNT times in a row, after 1, 2, 4 ... 30 seconds;\n"
                "                         a recorded stream only until its first data\n\n"
                "Output:\n"
                "  -o, --output FILE      FLV file (default out.flv); - is standard output\n"
                "      --resume           complete FILE, an interrupted recording of a stream that is not live,\n"
                "                         from its last key frame on\n"
                "      --segment TIME     begin a new file at the first key frame after each TIME:\n"
                "                         out-001.flv, out-002.flv ... for out.flv\n\n"
                TOOL_HELP "\n"
                "URL is rtmp://host[:port]/app/name, or rtmps, rtmpe, rtmpt, rtmpte, rtmpts. Options of librtmp\n"
                "can follow it inside the quotes: \"rtmp://host/app/name token=secret\".\n\n"
                ENDING_HELP, name);
}

/* Returns -1 to continue, or the exit code. */
static int parse_options(int argc, char **argv, struct receiver *receiver)
{
    enum { START = 1, STOP, RETRY, SEGMENT, ENHANCED, CODECS, RESUME };
    static const struct option names[] = {
        { "live", no_argument, NULL, 'l' },          { "start", required_argument, NULL, START },
        { "stop", required_argument, NULL, STOP },   { "output", required_argument, NULL, 'o' },
        { "timeout", required_argument, NULL, 't' }, { "retry", required_argument, NULL, RETRY },
        { "segment", required_argument, NULL, SEGMENT }, { "enhanced", no_argument, NULL, ENHANCED },
        { "codecs", required_argument, NULL, CODECS }, { "resume", no_argument, NULL, RESUME }, TOOL_OPTIONS
    };
    struct options *options = &receiver->options;
    int letter, which = 0;
    *options = (struct options){ .output = "out.flv", .timeout = 30 };
    while ((letter = getopt_long(argc, argv, "o:lt:" TOOL_LETTERS, names, &which)) != -1) {
        int ok = 1, code;
        switch (letter) {
        case 'o': options->output = optarg; break;
        case 'l': options->live = 1; break;
        case ENHANCED: options->enhanced = 1; break;
        case CODECS: options->codecs = optarg; break;
        case RESUME: options->resume = 1; break;
        case START: ok = tool_parse_time(optarg, &options->start); break;
        case STOP: ok = tool_parse_time(optarg, &options->stop) && options->stop > 0; break;
        case SEGMENT: ok = tool_parse_time(optarg, &options->segment) && options->segment > 0; break;
        case RETRY: ok = tool_parse_number(optarg, 0, 1000000, &receiver->retry.most); break;
        case 't': ok = tool_parse_number(optarg, 1, 86400, &options->timeout); break;
        default:
            if ((code = tool_option(&receiver->tool, letter, usage)) >= 0)
                return code;
        }
        if (!ok)
            return tool_fail(&receiver->tool, END_WRONG_USE, "invalid value for %s%s: %s", letter == 't' ? "-" : "--",
                             letter == 't' ? "t" : names[which].name, optarg);
    }
    receiver->tool.report = strcmp(options->output, "-") == 0 ? stderr : stdout;
    if (optind + 1 != argc)
        return tool_fail(&receiver->tool, END_WRONG_USE, "%s; try '%s --help'",
                         optind == argc ? "the URL is missing" : "only one URL is possible", name);
    if (options->stop && options->stop <= options->start)
        return tool_fail(&receiver->tool, END_WRONG_USE, "--stop has to be later than --start");
    if (options->segment && receiver->tool.report == stderr)
        return tool_fail(&receiver->tool, END_WRONG_USE, "--segment needs a file, not standard output");
    if (options->resume
        && (options->live || options->start || options->segment || strcmp(options->output, "-") == 0))
        return tool_fail(&receiver->tool, END_WRONG_USE,
                         "--resume needs a file, and is not possible with --live, --start and --segment");
    options->url = argv[optind];
    if (!tool_is_rtmp(options->url))
        return tool_fail(&receiver->tool, END_WRONG_USE, "not an RTMP URL: %s", options->url);
    return -1;
}

/* Reads the file to continue up to its end, which may be cut, or only the first tags, which are written to the
 * output. Returns 0 with errno when memory is short, or the output fails. */
static int read_earlier(struct receiver *receiver, unsigned copied)
{
    struct resumed *end = &receiver->resumed;
    struct flv_reader reader;
    struct flv_tag tag;
    FILE *file = fopen(receiver->options.output, "rb");
    int has_video = 0, ok = 1;
    if (!file || !flv_reader_open(&reader, file))
        return 1; /* there is nothing to be continued */
    for (unsigned number = 1; ok && (!copied || number <= copied) && flv_next(&reader, &tag) == FLV_TAG; number++) {
        if (copied) {
            ok = output_write(&receiver->output, tag.type, tag.timestamp, tag.body, tag.size);
            continue;
        }
        enum flv_kind kind = flv_kind(tag.type, tag.body, tag.size);
        has_video |= tag.type == FLV_VIDEO;
        if (kind != FLV_KEY && (has_video || tag.type != FLV_AUDIO || kind != FLV_PLAIN))
            continue;
        uint8_t *body = realloc(end->body, tag.size + 1);
        if (!body) {
            ok = 0;
            break;
        }
        memcpy(body, tag.body, tag.size);
        *end = (struct resumed){ number, tag.type, tag.timestamp, tag.size, body };
    }
    flv_reader_close(&reader);
    if (has_video && end->type == FLV_AUDIO)
        end->tags = 0; /* there is no key frame yet */
    return ok;
}

/* Continues behind the last key frame: the library compares what the server sends with it. */
static void resume(struct receiver *receiver)
{
    RTMP_READ *read = &receiver->rtmp->m_read;
    read->timestamp = read->nResumeTS = receiver->resumed.timestamp;
    read->initialFrameType = receiver->resumed.type;
    read->initialFrame = (char *)receiver->resumed.body;
    read->nInitialFrameSize = receiver->resumed.size;
    read->flags |= RTMP_READ_RESUME;
}

/* Connects, and returns END_WELL once the stream plays. */
static enum ending connect_stream(struct receiver *receiver)
{
    const struct options *options = &receiver->options;
    RTMP *r = receiver->rtmp;
    free(receiver->url);
    receiver->url = strdup(options->url);
    RTMP_Init(r);
    r->Link.timeout = options->timeout;
    if (!receiver->url || !RTMP_SetupURL(r, receiver->url))
        return tool_fail(&receiver->tool, END_WRONG_USE, "invalid URL or option: %s (%s)", options->url, reason(r));
    if (!announce(r, options->enhanced, options->codecs))
        return tool_fail(&receiver->tool, END_WRONG_USE, "cannot announce codecs (%s)", reason(r));
    if (options->live) {
        r->Link.lFlags |= RTMP_LF_LIVE;
    } else {
        r->Link.seekTime = (int)(receiver->resumed.tags ? receiver->resumed.timestamp : options->start);
        r->Link.stopTime = (int)options->stop;
        RTMP_SetBufferMS(r, 3600 * 1000); /* a file needs no pacing: ask for all of it */
    }
    const char *what = "cannot connect to";
    enum ending failure = END_NOT_CONNECTED;
    if (RTMP_Connect(r, NULL)) {
        open_socket = RTMP_Socket(r);
        if (RTMP_ConnectStream(r, 0)) {
            if (receiver->resumed.tags)
                resume(receiver);
            return END_WELL;
        }
        what = "the server does not play";
        failure = END_REFUSED;
    }
    if (interrupted)
        return tool_fail(&receiver->tool, END_FAILED, "stopped before the stream started");
    return tool_fail(&receiver->tool, ending_of(r, failure), "%s %s (%s)", what, options->url, reason(r));
}

static int assemble(struct assembly *in, const char *bytes, size_t count)
{
    if (in->used + count > in->capacity) {
        size_t capacity = (in->used + count) * 2;
        uint8_t *bigger = realloc(in->bytes, capacity);
        if (!bigger)
            return 0;
        in->bytes = bigger;
        in->capacity = capacity;
    }
    memcpy(in->bytes + in->used, bytes, count);
    in->used += count;
    return 1;
}

static int is_media(uint8_t type) { return type == FLV_AUDIO || type == FLV_VIDEO; }

/* Whether the stream has reached --stop, counted from its first tag: some servers count recorded streams from the start
 * of the file, others from where they begin to play. */
static int past_stop(const struct receiver *receiver, uint8_t type, uint32_t timestamp)
{
    const struct options *options = &receiver->options;
    if (!options->stop || !is_media(type) || !receiver->output.started)
        return 0;
    uint32_t passed = timestamp - receiver->output.first;
    return passed < 0x80000000u && passed >= options->stop - (options->live ? 0 : options->start);
}

/* The timestamp in the output: after another connection the stream continues where it ended. */
static uint32_t output_time(struct receiver *receiver, uint8_t type, uint32_t timestamp)
{
    const struct output *output = &receiver->output;
    if (receiver->connected_before && output->started && !receiver->shift_known && is_media(type)) {
        receiver->shift = output->last + 40 - timestamp;
        receiver->shift_known = 1;
    }
    if (receiver->connected_before && output->started && !receiver->shift_known)
        return output->last; /* metadata in front of the first media */
    return timestamp + receiver->shift;
}

/* Writes the whole tags at the front of the assembly. */
static enum outcome write_tags(struct assembly *in, struct receiver *receiver)
{
    enum outcome outcome = GOING_ON;
    size_t at = 0;
    if (!in->header_seen) {
        if (in->used < FLV_FILE_HEADER)
            return GOING_ON;
        at = FLV_FILE_HEADER;
        in->header_seen = 1;
    }
    while (outcome == GOING_ON && in->used - at >= FLV_TAG_HEADER) {
        const uint8_t *tag = in->bytes + at;
        uint32_t size = flv_get24(tag + 1);
        uint32_t timestamp = flv_get24(tag + 4) | (uint32_t)tag[7] << 24;
        size_t whole = (size_t)FLV_TAG_HEADER + size + FLV_TAG_TRAILER;
        if (in->used - at < whole)
            break;
        if (!flv_is_known(tag[0])) {
            /* Messages of several tags may contain any type. The size at its end shows that it is a tag. */
            if (flv_get32(tag + whole - FLV_TAG_TRAILER) != FLV_TAG_HEADER + size)
                return BROKEN;
            if (!receiver->skipped)
                tool_warn(&receiver->tool, "the stream has tags of type %d, which are left out", tag[0]);
            receiver->skipped = 1;
            at += whole;
            continue;
        }
        timestamp = output_time(receiver, tag[0], timestamp);
        if (past_stop(receiver, tag[0], timestamp))
            outcome = REACHED_STOP;
        else if (!output_write(&receiver->output, tag[0], timestamp, tag + FLV_TAG_HEADER, size))
            outcome = WRITE_FAILED;
        else
            at += whole;
        if (is_media(tag[0]))
            receiver->retry.attempt = 0; /* it works again */
    }
    memmove(in->bytes, in->bytes + at, in->used - at);
    in->used -= at;
    return outcome;
}

static enum ending cannot_write(struct receiver *receiver, int error)
{
    const char *file = receiver->options.output;
    return tool_fail(&receiver->tool, END_OUTPUT, "cannot write %s: %s",
                     strcmp(file, "-") == 0 ? "to standard output" : file, strerror(error));
}

static unsigned long long bytes_written(const struct receiver *receiver)
{
    const struct output *output = &receiver->output;
    return output->bytes + (output->open ? (unsigned long long)output->writer.whole : 0);
}

static void show_progress(struct receiver *receiver, int last)
{
    int64_t now = tool_clock();
    if (!tool_shows_progress(&receiver->tool) || (!last && now - receiver->shown < 250))
        return;
    receiver->shown = now;
    double kilobytes = (double)bytes_written(receiver) / 1024.0, seconds = (double)(now - receiver->began) / 1000.0;
    fprintf(stderr, "\r%10.1f kB  %8.2f s  %8.1f kB/s", kilobytes, output_length(&receiver->output) / 1000.0,
            seconds > 0 ? kilobytes / seconds : 0.0);
}

/* Reads the stream until it ends. */
static enum outcome receive(struct receiver *receiver)
{
    static char bytes[64 * 1024];
    struct assembly in = { .header_seen = receiver->resumed.tags > 0 };
    enum outcome outcome = GOING_ON;
    RTMP *r = receiver->rtmp;

    if (receiver->resumed.tags && !read_earlier(receiver, receiver->resumed.tags))
        outcome = WRITE_FAILED;
    while (outcome == GOING_ON && !interrupted) {
        int count = RTMP_Read(r, bytes, sizeof bytes);
        if (count < 0)
            outcome = BROKEN;
        else if (count == 0)
            outcome = ENDED;
        else if (!assemble(&in, bytes, (size_t)count))
            outcome = NO_MEMORY;
        else
            outcome = write_tags(&in, receiver);
        show_progress(receiver, 0);
    }
    /* A stream ends with a whole tag. */
    if (outcome == ENDED && in.used > 0 && has_ended(r))
        outcome = BROKEN;
    free(in.bytes);
    return outcome;
}

/* Whether a recorded stream is complete although the server closed the connection without ending it. */
static int is_whole(const struct receiver *receiver)
{
    const struct options *options = &receiver->options;
    double expected = options->stop ? options->stop / 1000.0 : RTMP_GetDuration(receiver->rtmp);
    double passed = ((double)output_length(&receiver->output) + options->start) / 1000.0;
    return !options->live && expected > 0 && passed + 1.0 >= expected;
}

/* Turns what happened into the exit code. */
static enum ending judge(struct receiver *receiver, enum outcome outcome)
{
    RTMP *r = receiver->rtmp;
    struct tool *tool = &receiver->tool;
    int has_data = receiver->output.tags > 0;
    double seconds = output_length(&receiver->output) / 1000.0;
    if (outcome == WRITE_FAILED)
        return cannot_write(receiver, receiver->output.error);
    if (outcome == NO_MEMORY)
        return tool_fail(tool, END_FAILED, "out of memory");
    if (outcome == REACHED_STOP || (interrupted && has_data))
        return END_WELL;
    if (interrupted)
        return tool_fail(tool, END_FAILED, "stopped before any data arrived");
    if (outcome == BROKEN)
        return tool_fail(tool, END_INPUT, "the server sent something that is not a stream (%s)", reason(r));
    if (has_data && (has_ended(r) || is_whole(receiver)))
        return END_WELL;
    enum ending ending = has_ended(r) ? END_FAILED : ending_of(r, END_LOST);
    if (ending == END_TIMED_OUT)
        return tool_fail(tool, ending, "the server sent nothing for %d s, after %.1f s of the stream",
                         receiver->options.timeout, seconds);
    if (!has_data)
        return tool_fail(tool, ending, "the stream ended before any data arrived (%s)", reason(r));
    return tool_fail(tool, ending, "the stream broke off after %.1f s (%s)", seconds, reason(r));
}

/* Connects and receives, again as often as --retry allows. */
static enum ending run(struct receiver *receiver)
{
    enum ending ending;
    do {
        receiver->shift_known = 0;
        ending = connect_stream(receiver);
        if (ending == END_WELL)
            ending = judge(receiver, receive(receiver));
        open_socket = -1;
        RTMP_Close(receiver->rtmp);
        receiver->connected_before = 1;
        if (interrupted || (!receiver->options.live && receiver->output.tags > 0))
            break;
    } while (retry_may(&receiver->retry, ending) && retry_wait(&receiver->retry, &receiver->tool, &interrupted));
    if (interrupted && ending != END_WELL && ending != END_OUTPUT) /* also between two attempts */
        return receiver->output.tags > 0 ? END_WELL : tool_fail(&receiver->tool, END_FAILED, "stopped before any data arrived");
    return ending;
}

static void print_json(const struct receiver *receiver, enum ending ending)
{
    const struct output *output = &receiver->output;
    FILE *to = receiver->tool.report;
    fprintf(to, "{");
    tool_json_text(to, "program", receiver->tool.name);
    fprintf(to, ", \"code\": %d, ", ending);
    tool_json_text(to, "error", ending == END_WELL ? "" : receiver->tool.problem);
    fprintf(to, ", ");
    tool_json_text(to, "file", output->last_name ? output->last_name : "");
    fprintf(to, ", \"files\": %u, \"tags\": %u, \"bytes\": %llu, \"seconds\": %.3f}\n", output->files, output->tags,
            output->bytes, output_length(output) / 1000.0);
}

int main(int argc, char **argv)
{
    static struct receiver receiver;
    receiver.tool.name = name = tool_name(argv);
    int code = parse_options(argc, argv, &receiver);
    if (code >= 0) {
        tool_print_problem(&receiver.tool);
        return code;
    }
    catch_signals();
    set_log_level(receiver.tool.quiet, receiver.tool.verbose);
    receiver.began = tool_clock();
    receiver.rtmp = RTMP_Alloc();
    enum ending ending;
    if (!receiver.rtmp)
        ending = tool_fail(&receiver.tool, END_FAILED, "out of memory");
    else if (receiver.options.resume && !read_earlier(&receiver, 0))
        ending = tool_fail(&receiver.tool, END_FAILED, "out of memory");
    else if (!output_open(&receiver.output, receiver.options.output, receiver.options.segment))
        ending = cannot_write(&receiver, receiver.output.error);
    else
        ending = run(&receiver);
    if (receiver.output.tags > 0)
        show_progress(&receiver, 1);
    if (!output_close(&receiver.output) && ending != END_OUTPUT)
        ending = cannot_write(&receiver, receiver.output.error);
    if (receiver.output.tags > 0)
        tool_end_progress(&receiver.tool);
    if (ending != END_WELL && (!interrupted || ending == END_OUTPUT))
        tool_print_problem(&receiver.tool);
    if (receiver.tool.json) {
        print_json(&receiver, ending);
        ending = tool_flush(&receiver.tool, receiver.tool.report, ending);
    }
    free(receiver.output.last_name);
    free(receiver.resumed.body);
    RTMP_Free(receiver.rtmp);
    free(receiver.url);
    return ending;
}
