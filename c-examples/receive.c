/* receive: saves an RTMP stream, live or recorded, as an FLV file.
 *
 * RTMP_Read hands out the stream as the bytes of an FLV file, cut anywhere. Here they are put together
 * to whole tags first and only those are written, so the file is playable however the stream ends. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "flv.h"
#include "reason.h"

struct options {
    const char *url, *output;
    int live, quiet, verbose, timeout;
    uint32_t start, stop; /* milliseconds */
};

/* Bytes of the tag in progress. */
struct assembly {
    uint8_t *bytes;
    size_t used, capacity;
    int header_seen;
    int skipped; /* a tag of unknown type was passed over */
};

enum outcome { GOING_ON, ENDED, REACHED_STOP, WRITE_FAILED, BROKEN };

static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t open_socket = -1;

/* RTMP_UserInterrupt makes a blocked read give up. Should the signal come just before the read starts,
 * the closed receiving side ends it instead; the sending side stays usable for a proper goodbye. */
static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    interrupted = 1;
    RTMP_UserInterrupt();
    if (open_socket >= 0)
        shutdown(open_socket, SHUT_RD);
    errno = saved;
}

static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* no SA_RESTART: blocking calls have to return */
    action.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C ends the program at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed connection is an error code, not the end of the program */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow any more */
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void usage(FILE *to)
{
    fprintf(to, "usage: receive [options] rtmp://host[:port]/app/name\n"
                "Saves a stream as an FLV file. Ctrl-C stops; the file is valid then, too.\n"
                "  -o FILE        output (default out.flv, - for standard output)\n"
                "  -l, --live     the stream is live\n"
                "  --start TIME   begin there: 90, 1.5s or 1500ms (recorded streams)\n"
                "  --stop TIME    end there; for live streams: after that long\n"
                "  -t SECONDS     give up when the server is silent that long (default 30)\n"
                "  -q             only errors      -v  tell more (twice: everything)\n"
                "  -h             this text\n"
                "librtmp's own options may follow the URL inside the quotes: \"rtmp://… token=secret\".\n"
                ENDING_HELP);
}

/* 90 and 90s are seconds, 1500ms are milliseconds. Returns 0 when it is no such time. */
static int parse_time(const char *text, uint32_t *milliseconds)
{
    char *rest;
    double value = strtod(text, &rest);
    if (rest == text)
        return 0;
    if (strcmp(rest, "ms") != 0) {
        if (*rest && strcmp(rest, "s") != 0)
            return 0;
        value *= 1000.0;
    }
    if (!(value >= 0 && value <= 2147483647.0))
        return 0;
    *milliseconds = (uint32_t)(value + 0.5);
    return 1;
}

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        { "live", no_argument, NULL, 'l' },          { "start", required_argument, NULL, 'A' },
        { "stop", required_argument, NULL, 'B' },    { "output", required_argument, NULL, 'o' },
        { "timeout", required_argument, NULL, 't' }, { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
    };
    int letter;
    *options = (struct options){ .output = "out.flv", .timeout = 30 };
    while ((letter = getopt_long(argc, argv, "o:lt:qvh", names, NULL)) != -1) {
        int ok = 1;
        switch (letter) {
        case 'o': options->output = optarg; break;
        case 'l': options->live = 1; break;
        case 'A': ok = parse_time(optarg, &options->start); break;
        case 'B': ok = parse_time(optarg, &options->stop) && options->stop > 0; break;
        case 't': ok = (options->timeout = atoi(optarg)) > 0; break;
        case 'q': options->quiet = 1; break;
        case 'v': options->verbose++; break;
        case 'h': usage(stdout); return fflush(stdout) == 0 ? END_WELL : END_FILE_FAILED;
        default: usage(stderr); return END_WRONG_USE;
        }
        if (!ok) {
            fprintf(stderr, "receive: %s is not a usable time\n", optarg);
            return END_WRONG_USE;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return END_WRONG_USE;
    }
    if (options->stop && options->stop <= options->start) {
        fprintf(stderr, "receive: --stop has to be later than --start\n");
        return END_WRONG_USE;
    }
    options->url = argv[optind];
    return -1;
}

/* Returns END_WELL once the stream plays, or says why it does not. `url` is changed and pointed into by the session, so
 * it has to live until RTMP_Close. */
static enum ending connect_stream(RTMP *r, char *url, const struct options *options)
{
    RTMP_Init(r);
    r->Link.timeout = options->timeout;
    if (!RTMP_SetupURL(r, url)) {
        fprintf(stderr, "receive: not a usable address: %s (%s)\n", options->url, reason(r));
        return END_WRONG_USE;
    }
    if (options->live) {
        r->Link.lFlags |= RTMP_LF_LIVE;
    } else {
        r->Link.seekTime = (int)options->start;
        r->Link.stopTime = (int)options->stop;
        RTMP_SetBufferMS(r, 3600 * 1000); /* a file needs no pacing: ask for it in one go */
    }
    const char *what = "cannot connect to";
    enum ending failure = END_NOT_CONNECTED;
    if (RTMP_Connect(r, NULL)) {
        open_socket = RTMP_Socket(r);
        if (RTMP_ConnectStream(r, 0))
            return END_WELL;
        what = "the server does not play";
        failure = END_REFUSED;
    }
    if (interrupted) {
        fprintf(stderr, "receive: stopped before the stream began\n");
        return END_FAILED;
    }
    fprintf(stderr, "receive: %s %s (%s)\n", what, options->url, reason(r));
    return ending_of(r, failure);
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

/* How much of the stream's time has passed, seen from its first tag: some servers count recorded
 * streams from the start of the file, some from the place where they began to play. */
static int past_stop(const struct options *options, const struct flv_writer *out, uint8_t type, uint32_t timestamp)
{
    if (!options->stop || (type != FLV_AUDIO && type != FLV_VIDEO) || out->content == 0)
        return 0;
    uint32_t passed = timestamp - out->first;
    return passed < 0x80000000u && passed >= options->stop - (options->live ? 0 : options->start);
}

/* Writes the whole tags at the front of the assembly. */
static enum outcome write_tags(struct assembly *in, struct flv_writer *out, const struct options *options)
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
            /* Messages of several tags may have any in them. The size behind it shows that it is one. */
            if (flv_get32(tag + whole - FLV_TAG_TRAILER) != FLV_TAG_HEADER + size)
                return BROKEN;
            if (!in->skipped)
                fprintf(stderr, "receive: the stream has tags of type %d, which are left out\n", tag[0]);
            in->skipped = 1;
            at += whole;
        } else if (past_stop(options, out, tag[0], timestamp))
            outcome = REACHED_STOP;
        else if (!flv_write(out, tag[0], timestamp, tag + FLV_TAG_HEADER, size))
            outcome = WRITE_FAILED;
        else
            at += whole;
    }
    memmove(in->bytes, in->bytes + at, in->used - at);
    in->used -= at;
    return outcome;
}

static enum ending cannot_write(const char *name, int error)
{
    fprintf(stderr, "receive: cannot write %s: %s\n", strcmp(name, "-") == 0 ? "to standard output" : name,
            strerror(error));
    return END_FILE_FAILED;
}

static void show_progress(const struct flv_writer *out, double seconds, const char *end)
{
    double kilobytes = (double)out->whole / 1024.0;
    fprintf(stderr, "%10.1f kB  %8.2f s  %8.1f kB/s%s", kilobytes,
            (double)(uint32_t)(out->last - out->first) / 1000.0, seconds > 0 ? kilobytes / seconds : 0.0, end);
}

static enum outcome receive(RTMP *r, struct flv_writer *out, const struct options *options)
{
    static char bytes[64 * 1024];
    struct assembly in = { 0 };
    enum outcome outcome = GOING_ON;
    double began = seconds_now(), shown = 0;
    int terminal = !options->quiet && isatty(STDERR_FILENO);

    while (outcome == GOING_ON && !interrupted) {
        int count = RTMP_Read(r, bytes, sizeof bytes);
        if (count < 0)
            outcome = BROKEN;
        else if (count == 0)
            outcome = ENDED;
        else if (!assemble(&in, bytes, (size_t)count))
            outcome = WRITE_FAILED;
        else
            outcome = write_tags(&in, out, options);
        if (terminal && seconds_now() - shown >= 0.25) {
            shown = seconds_now();
            show_progress(out, shown - began, "\r");
        }
    }
    /* A stream ends with a whole tag. */
    if (outcome == ENDED && in.used > 0 && has_ended(r))
        outcome = BROKEN;
    free(in.bytes);
    if (!options->quiet)
        show_progress(out, seconds_now() - began, "\n");
    return outcome;
}

/* Whether a recorded stream arrived to its end although the server closed the connection without a word. */
static int is_whole(RTMP *r, const struct flv_writer *out, const struct options *options)
{
    double expected = options->stop ? options->stop / 1000.0 : RTMP_GetDuration(r);
    double passed = ((double)(uint32_t)(out->last - out->first) + options->start) / 1000.0;
    return !options->live && expected > 0 && passed + 1.0 >= expected;
}

/* Says what happened; returns the exit code. */
static enum ending judge(RTMP *r, const struct flv_writer *out, enum outcome outcome, const struct options *options)
{
    double seconds = (double)(uint32_t)(out->last - out->first) / 1000.0;
    if (outcome == REACHED_STOP || (interrupted && outcome != WRITE_FAILED && out->tags > 0))
        return END_WELL;
    if (outcome == WRITE_FAILED)
        return cannot_write(options->output, out->error ? out->error : ENOMEM);
    if (interrupted) {
        fprintf(stderr, "receive: stopped before anything arrived\n");
        return END_FAILED;
    }
    if (outcome == BROKEN) {
        fprintf(stderr, "receive: the server sent something that is not a stream (%s)\n", reason(r));
        return END_CUT;
    }
    if (out->tags > 0 && (has_ended(r) || is_whole(r, out, options)))
        return END_WELL;
    enum ending ending = has_ended(r) ? END_FAILED : ending_of(r, END_LOST);
    if (ending == END_TIMED_OUT)
        fprintf(stderr, "receive: the server was silent for %d seconds, after %.1f seconds of the stream\n",
                options->timeout, seconds);
    else if (out->tags == 0)
        fprintf(stderr, "receive: the stream ended before anything arrived (%s)\n", reason(r));
    else
        fprintf(stderr, "receive: the stream broke off after %.1f seconds (%s)\n", seconds, reason(r));
    return ending;
}

static int begins_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* Opens FILE.part, or FILE.part2 and so on: what an earlier recording left, or another one is writing, stays. */
static FILE *open_part(const char *name, char **temporary)
{
    size_t length = strlen(name) + sizeof ".part" + 10;
    char *part = malloc(length);
    int fd = -1;
    for (int number = 1; part && fd < 0 && number < 1000; number++) {
        snprintf(part, length, number == 1 ? "%s.part" : "%s.part%d", name, number);
        fd = open(part, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (file) {
        *temporary = part;
    } else {
        int error = errno;
        free(part);
        errno = error;
    }
    return file;
}

/* Regular files are written as FILE.part and get their name when they are closed: what is called FILE is always valid,
 * and an attempt that brings nothing leaves an earlier recording alone. Everything else is only appended to: pipes,
 * devices, and what the shell has opened. */
static FILE *open_output(const char *name, char **temporary, char **target)
{
    struct stat info;
    *temporary = *target = NULL;
    if (strcmp(name, "-") == 0 || strcmp(name, "/dev/stdout") == 0)
        return stdout;
    int exists = stat(name, &info) == 0;
    if (begins_with(name, "/dev/fd/") || begins_with(name, "/dev/std") || begins_with(name, "/proc/")
        || (exists && !S_ISREG(info.st_mode))) {
        int fd = open(name, O_WRONLY | O_APPEND);
        return fd < 0 ? NULL : fdopen(fd, "ab");
    }
    /* Behind a symbolic link, the file that it names gets the recording. */
    *target = exists ? realpath(name, NULL) : strdup(name);
    return *target ? open_part(*target, temporary) : NULL;
}

int main(int argc, char **argv)
{
    struct options options;
    struct flv_writer out;
    char *temporary, *target;
    int code = parse_options(argc, argv, &options);
    if (code >= 0)
        return code;

    catch_signals();
    set_log_level(options.quiet, options.verbose);
    FILE *file = open_output(options.output, &temporary, &target);
    if (!file) {
        free(target);
        return cannot_write(options.output, errno);
    }
    RTMP *r = RTMP_Alloc();
    char *url = strdup(options.url);
    enum ending ending = END_FAILED;
    if (!flv_writer_start(&out, file)) {
        ending = cannot_write(options.output, errno);
    } else if (r && url) {
        ending = connect_stream(r, url, &options);
        if (ending == END_WELL)
            ending = judge(r, &out, receive(r, &out, &options), &options);
        open_socket = -1;
        RTMP_Close(r);
    } else {
        fprintf(stderr, "receive: out of memory\n");
    }
    int tags = out.tags > 0;
    if (!flv_writer_finish(&out) && ending != END_FILE_FAILED)
        ending = cannot_write(options.output, errno);
    if (temporary) {
        /* What arrived before a failure is worth keeping; an empty file is not. */
        if (!tags) {
            remove(temporary);
        } else if (rename(temporary, target) != 0) {
            fprintf(stderr, "receive: cannot rename %s: %s\n", temporary, strerror(errno));
            ending = END_FILE_FAILED;
        }
    }
    free(temporary);
    free(target);
    RTMP_Free(r);
    free(url);
    return ending;
}
