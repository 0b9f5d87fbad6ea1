/* Common code of both publishers: connects, waits for the time of each frame while it reads what the server sends, connects again,
 * and ends a stream without losing its last frames. */
#ifndef EXAMPLES_UPLOAD_H
#define EXAMPLES_UPLOAD_H

#include <librtmp/rtmp.h>
#include <signal.h>
#include <stdint.h>

#include "flv.h"
#include "tool.h"

struct upload_options {
    const char *file, *url;
    int loops;      /* number of times to send the file; 0 for no limit */
    int timeout;    /* seconds */
    int chunk_size; /* used by publish_packets */
    uint32_t start; /* milliseconds in the file */
    int enhanced;   /* announce everything */
    const char *codecs;
    int info;       /* print what is in the file instead; used by publish */
};

/* Set by SIGINT, SIGTERM and SIGHUP. */
extern volatile sig_atomic_t upload_interrupted;

/* A copy of a tag that every connection has to start with. */
struct upload_header {
    uint8_t *raw;
    size_t size;
};

struct upload {
    struct upload_options options;
    struct tool tool;
    struct retry retry;
    RTMP *rtmp;
    char *url; /* the session points into it */
    struct flv_reader reader;
    enum ending ending; /* the exit code so far */
    int round;          /* number of times that the file was sent completely */
    int started;        /* the first frame has been seen */
    int64_t opened;     /* milliseconds of the clock at the start of the program */
    int64_t began;      /* … and at the first frame */
    int64_t elapsed;    /* milliseconds of stream time since then */
    uint32_t first;     /* timestamp of that frame in the file */
    uint32_t base;      /* added to the file's timestamps */
    uint32_t last;      /* timestamp of the latest frame as sent */
    uint32_t highest;   /* the latest timestamp so far: frames need not be in order */
    uint32_t step;      /* time between the last two frames: also the gap between two rounds */
    int64_t shown;      /* time of the last progress line */
    unsigned long long bytes;
    unsigned tags, connections;
    struct upload_header headers[3]; /* metadata, video configuration, audio configuration */
    int pending;        /* headers that are still to be sent on this connection, as bits */
    int wants_key;      /* video starts at the next key frame */
    int has_video;
};

/* Parses the options. Returns -1 to continue, or the exit code. `extra` is another line of the help text, or "". */
int upload_parse(int argc, char **argv, const char *extra, struct upload *upload);

/* Opens the file and connects to the server as a publisher. Returns 1, or 0 after a failure. */
int upload_open(struct upload *upload);

/* Waits for the next tag and for its time. Returns 1, with timestamps that keep rising across rounds; 0 when everything is sent or
 * after a failure. After a reconnect it first returns the tags that a stream starts with. */
int upload_next(struct upload *upload, struct flv_tag *tag);

/* Handles a failed send: connects again, as --retry allows. Returns 1 to continue with upload_next. */
int upload_failed(struct upload *upload);

/* Ends the stream, waits until the server has received everything, prints the result and frees all. Returns the exit code. */
enum ending upload_close(struct upload *upload);

#endif
