#define _POSIX_C_SOURCE 200809L
#include "flv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t flv_get24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }

uint32_t flv_get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | flv_get24(p + 1); }

static void put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 16);
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    put24(p + 1, value);
}

/* The low 24 bits come first, then the high 8: the format grew. */
static uint32_t get_timestamp(const uint8_t *header) { return flv_get24(header + 4) | (uint32_t)header[7] << 24; }

static void put_timestamp(uint8_t *header, uint32_t timestamp)
{
    put24(header + 4, timestamp);
    header[7] = (uint8_t)(timestamp >> 24);
}

static int is_tag_type(uint8_t type) { return type == FLV_AUDIO || type == FLV_VIDEO || type == FLV_SCRIPT; }

int flv_reader_open(struct flv_reader *reader, FILE *file)
{
    uint8_t header[9];
    memset(reader, 0, sizeof *reader);
    reader->file = file;
    if (fread(header, 1, sizeof header, file) == sizeof header && memcmp(header, "FLV", 3) == 0) {
        uint32_t offset = flv_get32(header + 5);
        if (offset >= sizeof header && offset <= 0xffff) {
            reader->first_tag = (long)offset + 4;
            if (flv_rewind(reader))
                return 1;
        }
    }
    flv_reader_close(reader);
    return 0;
}

void flv_reader_close(struct flv_reader *reader)
{
    if (reader->file)
        fclose(reader->file);
    free(reader->buffer);
    memset(reader, 0, sizeof *reader);
}

int flv_rewind(struct flv_reader *reader) { return fseek(reader->file, reader->first_tag, SEEK_SET) == 0; }

int flv_next(struct flv_reader *reader, struct flv_tag *tag)
{
    uint8_t header[FLV_TAG_HEADER];
    if (fread(header, 1, sizeof header, reader->file) != sizeof header)
        return 0;
    if (!is_tag_type(header[0]))
        return -1;

    uint32_t size = flv_get24(header + 1);
    size_t raw_size = (size_t)FLV_TAG_HEADER + size + FLV_TAG_TRAILER;
    if (raw_size > reader->capacity) {
        uint8_t *bigger = realloc(reader->buffer, raw_size);
        if (!bigger)
            return -1;
        reader->buffer = bigger;
        reader->capacity = raw_size;
    }
    uint8_t *raw = reader->buffer;
    memcpy(raw, header, sizeof header);
    if (fread(raw + FLV_TAG_HEADER, 1, size, reader->file) != size)
        return 0; /* cut off in the middle */

    /* The trailer is for reading backwards; some files lack the last one, so it is made rather than read. */
    uint8_t trailer[FLV_TAG_TRAILER];
    if (fread(trailer, 1, sizeof trailer, reader->file) != sizeof trailer)
        clearerr(reader->file);
    put32(raw + FLV_TAG_HEADER + size, FLV_TAG_HEADER + size);

    tag->type = header[0];
    tag->timestamp = get_timestamp(header);
    tag->size = size;
    tag->body = raw + FLV_TAG_HEADER;
    tag->raw = raw;
    tag->raw_size = raw_size;
    return 1;
}

int flv_seek(struct flv_reader *reader, uint32_t timestamp, uint32_t *found)
{
    long any_at = -1, key_at = -1;
    uint32_t any_time = 0, key_time = 0;
    int has_video = 0;

    if (!flv_rewind(reader))
        return 0;
    for (;;) {
        uint8_t head[FLV_TAG_HEADER + 8];
        long at = ftell(reader->file);
        size_t got = at < 0 ? 0 : fread(head, 1, sizeof head, reader->file);
        if (got < FLV_TAG_HEADER || !is_tag_type(head[0]))
            break;
        uint32_t size = flv_get24(head + 1);
        uint32_t time = get_timestamp(head);
        size_t peeked = got - FLV_TAG_HEADER < size ? got - FLV_TAG_HEADER : size;
        enum flv_kind kind = flv_kind(head[0], head + FLV_TAG_HEADER, peeked);
        if (kind == FLV_PLAIN || kind == FLV_KEY) {
            if (time > timestamp)
                break;
            if (head[0] == FLV_VIDEO)
                has_video = 1;
            if (kind == FLV_KEY) {
                key_at = at;
                key_time = time;
            } else if (head[0] == FLV_AUDIO && (any_at < 0 || time > any_time)) {
                any_at = at;
                any_time = time;
            }
        }
        if (fseek(reader->file, at + FLV_TAG_HEADER + (long)size + FLV_TAG_TRAILER, SEEK_SET) != 0)
            break;
    }
    clearerr(reader->file);
    if (!has_video && any_at >= 0) {
        key_at = any_at;
        key_time = any_time;
    }
    if (key_at < 0 || fseek(reader->file, key_at, SEEK_SET) != 0) {
        flv_rewind(reader);
        return 0;
    }
    *found = key_time;
    return 1;
}

uint32_t flv_last_timestamp(struct flv_reader *reader)
{
    uint8_t trailer[FLV_TAG_TRAILER], header[FLV_TAG_HEADER];
    uint32_t timestamp = 0;
    long here = ftell(reader->file);
    if (here >= 0 && fseek(reader->file, -(long)sizeof trailer, SEEK_END) == 0) {
        long end = ftell(reader->file);
        if (fread(trailer, 1, sizeof trailer, reader->file) == sizeof trailer) {
            long start = end - (long)flv_get32(trailer);
            if (start >= reader->first_tag && fseek(reader->file, start, SEEK_SET) == 0
                && fread(header, 1, sizeof header, reader->file) == sizeof header && is_tag_type(header[0]))
                timestamp = get_timestamp(header);
        }
    }
    clearerr(reader->file);
    if (here >= 0 && fseek(reader->file, here, SEEK_SET) != 0)
        return 0;
    return timestamp;
}

void flv_set_timestamp(struct flv_tag *tag, uint32_t timestamp)
{
    tag->timestamp = timestamp;
    put_timestamp(tag->raw, timestamp);
}

int flv_writer_start(struct flv_writer *writer, FILE *file)
{
    /* Both content bits for now: a file that never gets finished is then still played in full. */
    static const uint8_t header[FLV_FILE_HEADER] = { 'F', 'L', 'V', 1, 5, 0, 0, 0, 9 };
    memset(writer, 0, sizeof *writer);
    writer->file = file;
    writer->duration_at = -1;
    if (fwrite(header, 1, sizeof header, file) != sizeof header || fflush(file) != 0)
        return 0;
    writer->whole = sizeof header;
    return 1;
}

/* Finds the number called `duration` in an onMetaData body: name length, name, type 0, eight bytes. */
static long find_duration(const uint8_t *body, uint32_t size)
{
    static const uint8_t name[] = { 0, 8, 'd', 'u', 'r', 'a', 't', 'i', 'o', 'n', 0 };
    for (uint32_t at = 0; at + sizeof name + 8 <= size; at++)
        if (memcmp(body + at, name, sizeof name) == 0)
            return (long)(at + sizeof name);
    return -1;
}

static double get_double(const uint8_t *p)
{
    uint64_t bits = (uint64_t)flv_get32(p) << 32 | flv_get32(p + 4);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_double(uint8_t *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put32(p, (uint32_t)(bits >> 32));
    put32(p + 4, (uint32_t)bits);
}

int flv_write(struct flv_writer *writer, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size)
{
    uint8_t header[FLV_TAG_HEADER] = { type };
    uint8_t trailer[FLV_TAG_TRAILER];
    if (size > 0xffffff)
        return 0;
    put24(header + 1, size);
    put_timestamp(header, timestamp);
    put32(trailer, FLV_TAG_HEADER + size);

    /* Flushed per tag: whoever looks at the file, or finds it after a crash, sees whole tags. */
    if (fwrite(header, 1, sizeof header, writer->file) != sizeof header
        || fwrite(body, 1, size, writer->file) != size
        || fwrite(trailer, 1, sizeof trailer, writer->file) != sizeof trailer || fflush(writer->file) != 0) {
        if (ftruncate(fileno(writer->file), (off_t)writer->whole) != 0)
            clearerr(writer->file); /* a pipe: nothing to cut */
        return 0;
    }
    if (type == FLV_SCRIPT && writer->duration_at < 0 && flv_kind(type, body, size) == FLV_METADATA) {
        long at = find_duration(body, size);
        if (at >= 0) {
            writer->duration_at = writer->whole + FLV_TAG_HEADER + at;
            writer->duration = get_double(body + at);
        }
    }
    if (type != FLV_SCRIPT) {
        if (writer->content == 0)
            writer->first = timestamp;
        writer->last = timestamp;
        writer->content |= type == FLV_AUDIO ? 4 : 1;
    }
    writer->whole += FLV_TAG_HEADER + (long)size + FLV_TAG_TRAILER;
    writer->tags++;
    return 1;
}

int flv_writer_finish(struct flv_writer *writer)
{
    struct stat info;
    int ok = 1;
    if (!writer->file)
        return 0;
    /* Standard output may be appended to something else, so it is left alone. */
    if (writer->file != stdout && fstat(fileno(writer->file), &info) == 0 && S_ISREG(info.st_mode)
        && writer->content) {
        double played = (double)(uint32_t)(writer->last - writer->first) / 1000.0;
        double wrong_by = writer->duration > played ? writer->duration - played : played - writer->duration;
        ok = fseek(writer->file, 4, SEEK_SET) == 0 && fputc(writer->content, writer->file) != EOF;
        /* A second more or less is the length of the last frame and rounding; leave the sender's number then.
         * (The comparison is false for NaN as well, hence written this way round.) */
        if (ok && writer->duration_at >= 0 && !(wrong_by <= 1.0)) {
            uint8_t value[8];
            put_double(value, played);
            ok = fseek(writer->file, writer->duration_at, SEEK_SET) == 0
                 && fwrite(value, 1, sizeof value, writer->file) == sizeof value;
        }
    }
    if (fclose(writer->file) != 0)
        ok = 0;
    writer->file = NULL;
    return ok;
}

static enum flv_kind video_kind(const uint8_t *body, size_t size)
{
    int key = (body[0] >> 4 & 7) == 1;
    if (body[0] & 0x80) {                    /* Enhanced RTMP: packet type where the codec used to be */
        int packet_type = body[0] & 0x0f;
        if (packet_type == 0 || packet_type == 5)
            return FLV_CONFIG;
        return key && packet_type != 2 && packet_type != 4 ? FLV_KEY : FLV_PLAIN;
    }
    int codec = body[0] & 0x0f;
    if (codec == 7 || codec == 12) {         /* AVC, and HEVC as some encoders send it */
        if (size >= 2 && body[1] == 0)
            return FLV_CONFIG;
        if (size >= 2 && body[1] != 1)
            return FLV_PLAIN;                /* end of sequence */
    }
    return key ? FLV_KEY : FLV_PLAIN;
}

enum flv_kind flv_kind(uint8_t type, const uint8_t *body, size_t size)
{
    static const char metadata[] = "\x02\x00\x0aonMetaData";
    if (size == 0)
        return FLV_PLAIN;
    if (type == FLV_VIDEO)
        return video_kind(body, size);
    if (type == FLV_AUDIO) {
        int format = body[0] >> 4;
        if (format == 10)                    /* AAC: the packet type is the second byte */
            return size >= 2 && body[1] == 0 ? FLV_CONFIG : FLV_PLAIN;
        if (format == 9)                     /* Enhanced RTMP: it is in the first */
            return (body[0] & 0x0f) == 0 ? FLV_CONFIG : FLV_PLAIN;
        return FLV_PLAIN;
    }
    if (type == FLV_SCRIPT && size >= sizeof metadata - 1 && memcmp(body, metadata, sizeof metadata - 1) == 0)
        return FLV_METADATA;
    return FLV_PLAIN;
}
