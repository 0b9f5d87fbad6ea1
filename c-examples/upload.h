/* What both publishers share besides the FLV file: connecting, keeping time while listening to what the
 * server says, and ending a stream so that its last frames arrive. */
#ifndef EXAMPLES_UPLOAD_H
#define EXAMPLES_UPLOAD_H

#include <librtmp/rtmp.h>
#include <signal.h>
#include <stdint.h>

#include "ending.h"
#include "flv.h"

struct upload_options {
    const char *program, *file, *url;
    int loops; /* how often to send the file, 0 = until stopped */
    int timeout, quiet, verbose;
    int chunk_size; /* used by publish_packets */
};

/* Set by SIGINT and SIGTERM. */
extern volatile sig_atomic_t upload_interrupted;

/* Returns -1 to go on, or the exit code. `extra` is one more line of the usage text, or "". */
int upload_parse(int argc, char **argv, const char *program, const char *extra, struct upload_options *options);

struct upload {
    RTMP *rtmp;
    char *url; /* pointed into by the session */
    struct flv_reader reader;
    enum ending ending; /* the exit code so far */
    const struct upload_options *options;
    int round;          /* how often the file was sent completely */
    int started;        /* the first frame has been seen */
    int64_t began;      /* milliseconds of the clock at that frame */
    int64_t elapsed;    /* milliseconds of stream time since then */
    uint32_t first;     /* timestamp of that frame in the file */
    uint32_t base;      /* added to the file's timestamps */
    uint32_t last;      /* timestamp of the latest frame as sent */
    uint32_t highest;   /* the latest timestamp so far: frames need not be in order */
    uint32_t step;      /* time between the last two frames: also the gap between two rounds */
    unsigned long long bytes;
};

/* Opens the file and connects to the server as a publisher. Returns 1, or 0 with one line of explanation. */
int upload_open(struct upload *upload, const struct upload_options *options);

/* Waits for the next tag, and for its time, and returns 1 with its timestamp rising across rounds; 0 when all is sent, or
 * after a failure (explained). */
int upload_next(struct upload *upload, struct flv_tag *tag);

/* Explains why a tag was not sent. */
void upload_failed(struct upload *upload);

/* Says goodbye, waits for the server to take everything, and frees all. Returns the exit code. */
enum ending upload_close(struct upload *upload);

#endif
