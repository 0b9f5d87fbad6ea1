/* FLV files: reading tag by tag, writing whole tags only, and telling key frames and decoder
 * configuration from ordinary frames. Knows nothing of RTMP, except that RTMP carries the same bodies. */
#ifndef EXAMPLES_FLV_H
#define EXAMPLES_FLV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { FLV_AUDIO = 8, FLV_VIDEO = 9, FLV_SCRIPT = 18 };

/* A tag is an 11-byte header, the body, and the 4-byte size of both. */
enum { FLV_TAG_HEADER = 11, FLV_TAG_TRAILER = 4, FLV_FILE_HEADER = 13 };

struct flv_tag {
    uint8_t type;
    uint32_t timestamp; /* milliseconds */
    uint32_t size;      /* of the body */
    uint8_t *body;      /* the reader's memory, valid until its next call */
    uint8_t *raw;       /* the same tag with header and trailer, as it stands in a file */
    size_t raw_size;
};

struct flv_reader {
    FILE *file; /* owned: flv_reader_close closes it */
    uint8_t *buffer;
    size_t capacity;
    long first_tag; /* file offset */
};

/* Takes over `file` (also on failure). Returns 1, or 0 when it is no FLV file. */
int flv_reader_open(struct flv_reader *reader, FILE *file);
void flv_reader_close(struct flv_reader *reader);

/* Returns 1 with a tag, 0 at the end of the last whole tag, -1 when what follows is no FLV tag. */
int flv_next(struct flv_reader *reader, struct flv_tag *tag);
int flv_rewind(struct flv_reader *reader);

/* Continues with the last key frame at or before `timestamp` (any tag in a file without video).
 * Returns 1 and that tag's timestamp, or 0 when there is none: then the file is at its start. */
int flv_seek(struct flv_reader *reader, uint32_t timestamp, uint32_t *found);

/* Timestamp of the last tag, 0 when unknown. Keeps the position. */
uint32_t flv_last_timestamp(struct flv_reader *reader);

/* Rewrites the timestamp inside `raw`. */
void flv_set_timestamp(struct flv_tag *tag, uint32_t timestamp);

struct flv_writer {
    FILE *file; /* owned */
    long whole; /* offset behind the last whole tag */
    long duration_at;
    double duration;
    uint32_t first, last;
    unsigned tags;
    uint8_t content; /* bit 2 audio, bit 0 video, as in the file header */
};

/* Takes over `file` and writes the file header. Returns 1 or 0. */
int flv_writer_start(struct flv_writer *writer, FILE *file);

/* Returns 1 when the whole tag was accepted. After 0 the file still ends with a whole tag. */
int flv_write(struct flv_writer *writer, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size);

/* Corrects what was unknown at the start (content flags, duration) where the file can seek; closes it. */
int flv_writer_finish(struct flv_writer *writer);

/* What a body is good for when somebody starts to play in the middle of a stream. */
enum flv_kind {
    FLV_PLAIN,    /* needs what came before it */
    FLV_KEY,      /* video that can be decoded on its own */
    FLV_CONFIG,   /* decoder configuration ("sequence header"): must precede the first frame */
    FLV_METADATA  /* onMetaData */
};
enum flv_kind flv_kind(uint8_t type, const uint8_t *body, size_t size);

uint32_t flv_get24(const uint8_t *p);
uint32_t flv_get32(const uint8_t *p);

#endif
