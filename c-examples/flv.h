/* FLV files and pipes: reads tag by tag, writes whole tags, and recognises key frames and decoder configurations. It does not use
 * RTMP, which carries the same bodies. */
#ifndef EXAMPLES_FLV_H
#define EXAMPLES_FLV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* FLV_SCRIPT3 is script data in AMF3. */
enum { FLV_AUDIO = 8, FLV_VIDEO = 9, FLV_SCRIPT3 = 15, FLV_SCRIPT = 18 };

/* Whether programs play tags of this type. Other types are legal and must be skipped. */
int flv_is_known(uint8_t type);

/* A tag is an 11-byte header, the body, and the 4-byte size of both. */
enum { FLV_TAG_HEADER = 11, FLV_TAG_TRAILER = 4, FLV_FILE_HEADER = 13 };

struct flv_tag {
    uint8_t type;
    uint32_t timestamp; /* milliseconds */
    uint32_t size;      /* of the body */
    uint8_t *body;      /* the reader's memory, valid until its next call */
    uint8_t *raw;       /* the same tag with header and trailer, as in a file */
    size_t raw_size;
};

/* Bytes are read with read(), so that a program can wait for them together with other descriptors, and from files with
 * pread(), which leaves the file's own position to the program. */
struct flv_reader {
    FILE *file; /* owned: flv_reader_close closes it */
    uint8_t *buffer;
    size_t begin, end, capacity; /* the unread bytes are buffer[begin] to buffer[end] */
    long long position;          /* of buffer[begin] in the input */
    long long first_tag;         /* file offset, -1 if the input is not a file */
    long long base;              /* file offset of the start, -1 if the input is not a file */
    int header_seen, ended, trailer_cut;
    unsigned skipped;            /* number of tags of unknown types that were skipped */
    uint8_t skipped_type;        /* the type of the last of them */
};

enum flv_result {
    FLV_TAG = 1,
    FLV_END = 0,      /* the input ended after a whole tag */
    FLV_DAMAGED = -1, /* the next bytes are not an FLV tag */
    FLV_CUT = -2,     /* the input ended inside a tag or inside the file header */
    FLV_NO_FLV = -3,  /* the input does not start like an FLV file */
    FLV_FAILED = -4,  /* reading failed, see errno */
    FLV_MORE = -5     /* flv_take only: call flv_fill first */
};

/* Takes over `file`, from which nothing has been read, and reads nothing yet. */
void flv_reader_start(struct flv_reader *reader, FILE *file);

/* Like flv_reader_start, and reads the file header. Returns 1. Closes the file and returns 0 if it is not an FLV file. */
int flv_reader_open(struct flv_reader *reader, FILE *file);
void flv_reader_close(struct flv_reader *reader);

/* Parses the file header in the buffer. Returns FLV_TAG after it, or another result. */
enum flv_result flv_take_header(struct flv_reader *reader);

/* Parses the next tag in the buffer. */
enum flv_result flv_take(struct flv_reader *reader, struct flv_tag *tag);

/* Fills the buffer with one read(), which may wait. Returns 0 after an error, with errno set. */
int flv_fill(struct flv_reader *reader);

/* Waits for the next tag. Skips tags of unknown types. */
enum flv_result flv_next(struct flv_reader *reader, struct flv_tag *tag);

/* Returns to the first tag. Returns 0 if the input is not a file. */
int flv_rewind(struct flv_reader *reader);

/* Continues with the last key frame at or before `timestamp` (any tag in a file without video).
 * Returns 1 and that tag's timestamp, or 0 when there is none: then the file is at its start. */
int flv_seek(struct flv_reader *reader, uint32_t timestamp, uint32_t *found);

/* Timestamp of the last tag, 0 when unknown. Keeps the position. */
uint32_t flv_last_timestamp(struct flv_reader *reader);

/* Rewrites the timestamp inside `raw`. */
void flv_set_timestamp(struct flv_tag *tag, uint32_t timestamp);

struct flv_writer {
    FILE *file;      /* owned */
    int own;         /* the file contains only what this writer wrote; only then it is cut and corrected */
    long long whole; /* number of bytes written, up to the last whole tag */
    long long duration_at;
    double duration;
    uint32_t first, last;
    unsigned tags;
    int error;       /* errno of the write that failed */
    uint8_t content; /* bit 2 audio, bit 0 video, as in the file header */
};

/* Takes over `file`, into which nothing has been written, and writes the file header. Returns 1, or 0 with errno. */
int flv_writer_start(struct flv_writer *writer, FILE *file);

/* Returns 1 when the whole tag was accepted, or 0 with errno. A file of the writer's own then still ends with a whole
 * tag; in a pipe, or in a file that others write to as well, the part that was accepted stays. */
int flv_write(struct flv_writer *writer, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size);

/* Corrects what was unknown at the start (content flags, duration) in a file of the writer's own; closes it. Returns 1,
 * or 0 with errno. */
int flv_writer_finish(struct flv_writer *writer);

/* What a body means for a player that joins in the middle of a stream. */
enum flv_kind {
    FLV_PLAIN,    /* needs earlier frames */
    FLV_KEY,      /* video of the default track that can be decoded on its own */
    FLV_CONFIG,   /* decoder configuration ("sequence header"): must precede the first frame */
    FLV_METADATA  /* onMetaData */
};
enum flv_kind flv_kind(uint8_t type, const uint8_t *body, size_t size);

uint32_t flv_get24(const uint8_t *p);
uint32_t flv_get32(const uint8_t *p);

#endif
