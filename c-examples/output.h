/* Writes a recording to an FLV file, to a pipe, or to several files that are cut by time. It writes whole tags only. */
#ifndef EXAMPLES_OUTPUT_H
#define EXAMPLES_OUTPUT_H

#include <stdint.h>

#include "flv.h"

/* A copy of a tag that every file has to start with. */
struct kept {
    uint8_t *body;
    uint32_t size;
    uint8_t type;
};

struct output {
    const char *name;    /* "-" is standard output */
    uint32_t segment;    /* milliseconds per file; 0 for a single file */
    struct flv_writer writer;
    int open;            /* the writer has a file */
    char *temporary, *target; /* a regular file is called `temporary` until it is complete */
    int number;          /* of the segment */
    uint32_t base;       /* timestamp of the stream at which the segment begins */
    int begun, has_video;
    struct kept kept[3]; /* metadata, video configuration, audio configuration */
    unsigned long long bytes;
    unsigned tags, files;
    uint32_t first, last; /* timestamps of the stream */
    int started;
    char *last_name;     /* of the latest complete file */
    int error;           /* errno of the last failure */
};

/* Opens the output. Returns 1, or 0 with `error` set. */
int output_open(struct output *output, const char *name, uint32_t segment);

/* Writes a tag, in a new file if the segment is complete. Returns 0 on an error. */
int output_write(struct output *output, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size);

/* Completes the file, gives it its name, and frees everything except `last_name`. A file without tags is removed. Returns 0 on
 * an error. */
int output_close(struct output *output);

/* The duration that was written, in milliseconds. */
uint32_t output_length(const struct output *output);

#endif
