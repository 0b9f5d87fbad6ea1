#define _POSIX_C_SOURCE 200809L
#include "flv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "media.h"

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

/* The low 24 bits are in front of the high 8 bits, which the format added later. */
static uint32_t get_timestamp(const uint8_t *header) { return flv_get24(header + 4) | (uint32_t)header[7] << 24; }

static void put_timestamp(uint8_t *header, uint32_t timestamp)
{
    put24(header + 4, timestamp);
    header[7] = (uint8_t)(timestamp >> 24);
}

int flv_is_known(uint8_t type)
{
    return type == FLV_AUDIO || type == FLV_VIDEO || type == FLV_SCRIPT || type == FLV_SCRIPT3;
}

void flv_reader_start(struct flv_reader *reader, FILE *file)
{
    memset(reader, 0, sizeof *reader);
    reader->file = file;
    reader->first_tag = -1;
    struct stat info;
    int regular = fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode);
    reader->base = regular ? lseek(fileno(file), 0, SEEK_CUR) : -1; /* not 0 if the caller's shell has already read from the file */
}

int flv_reader_open(struct flv_reader *reader, FILE *file)
{
    enum flv_result result;
    flv_reader_start(reader, file);
    while ((result = flv_take_header(reader)) == FLV_MORE)
        if (!flv_fill(reader))
            break;
    if (result == FLV_TAG)
        return 1;
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

/* The buffer grows with the bytes that have arrived, not with the size in a tag's header. */
static int have_room(struct flv_reader *reader)
{
    if (reader->begin == reader->end)
        reader->begin = reader->end = 0;
    /* Four bytes stay free, for the trailer of a tag that is cut there. */
    if (reader->end + FLV_TAG_TRAILER < reader->capacity)
        return 1;
    if (reader->begin > 0) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
        if (reader->end < reader->capacity / 2)
            return 1;
    }
    size_t capacity = reader->capacity ? reader->capacity * 2 : 64 * 1024;
    uint8_t *bigger = realloc(reader->buffer, capacity);
    if (!bigger)
        return 0;
    reader->buffer = bigger;
    reader->capacity = capacity;
    return 1;
}

int flv_fill(struct flv_reader *reader)
{
    if (!have_room(reader)) {
        errno = ENOMEM;
        return 0;
    }
    size_t room = reader->capacity - FLV_TAG_TRAILER - reader->end;
    uint8_t *free_part = reader->buffer + reader->end;
    long long at = reader->base + reader->position + (long long)(reader->end - reader->begin);
    ssize_t count = reader->base >= 0 ? pread(fileno(reader->file), free_part, room, (off_t)at)
                                      : read(fileno(reader->file), free_part, room);
    if (count > 0)
        reader->end += (size_t)count;
    else if (count == 0)
        reader->ended = 1;
    else if (errno != EINTR && errno != EAGAIN)
        return 0;
    return 1;
}

static void take(struct flv_reader *reader, size_t count)
{
    reader->begin += count;
    reader->position += (long long)count;
}

enum flv_result flv_take_header(struct flv_reader *reader)
{
    size_t have = reader->end - reader->begin;
    if (reader->header_seen)
        return FLV_TAG;
    if (have == 0)
        return reader->ended ? FLV_NO_FLV : FLV_MORE;
    const uint8_t *header = reader->buffer + reader->begin;
    if (memcmp(header, "FLV", have < 3 ? have : 3) != 0)
        return FLV_NO_FLV;
    if (have >= 9) {
        uint32_t offset = flv_get32(header + 5);
        if (offset < 9 || offset > 0xffff)
            return FLV_NO_FLV;
        if (have >= offset + FLV_TAG_TRAILER) {
            take(reader, offset + FLV_TAG_TRAILER);
            if (reader->base >= 0)
                reader->first_tag = reader->base + reader->position;
            reader->header_seen = 1;
            return FLV_TAG;
        }
    }
    return reader->ended ? FLV_CUT : FLV_MORE;
}

int flv_rewind(struct flv_reader *reader)
{
    if (reader->first_tag < 0)
        return 0;
    reader->begin = reader->end = 0;
    reader->position = reader->first_tag - reader->base;
    reader->ended = reader->trailer_cut = 0;
    return 1;
}

enum flv_result flv_take(struct flv_reader *reader, struct flv_tag *tag)
{
    for (;;) {
        uint8_t *raw = reader->buffer + reader->begin;
        size_t have = reader->end - reader->begin;
        if (have < FLV_TAG_HEADER) {
            if (!reader->ended)
                return FLV_MORE;
            return have > 0 || reader->trailer_cut ? FLV_CUT : FLV_END;
        }
        uint32_t size = flv_get24(raw + 1);
        size_t whole = (size_t)FLV_TAG_HEADER + size, raw_size = whole + FLV_TAG_TRAILER;
        if (have < raw_size && !reader->ended)
            return FLV_MORE;
        if (!flv_is_known(raw[0])) {
            /* A tag of an unknown type has the right size after it; damaged data does not. */
            if (have < raw_size || flv_get32(raw + whole) != whole)
                return FLV_DAMAGED;
            reader->skipped++;
            reader->skipped_type = raw[0];
            take(reader, raw_size);
            continue;
        }
        if (have < whole)
            return FLV_CUT;
        reader->trailer_cut = have < raw_size;
        take(reader, reader->trailer_cut ? have : raw_size);
        put32(raw + whole, (uint32_t)whole); /* the size is for reading backwards, and some programs write a wrong one */

        tag->type = raw[0];
        tag->timestamp = get_timestamp(raw);
        tag->size = size;
        tag->body = raw + FLV_TAG_HEADER;
        tag->raw = raw;
        tag->raw_size = raw_size;
        return FLV_TAG;
    }
}

enum flv_result flv_next(struct flv_reader *reader, struct flv_tag *tag)
{
    enum flv_result result;
    while ((result = flv_take(reader, tag)) == FLV_MORE)
        if (!flv_fill(reader))
            return FLV_FAILED;
    return result;
}

/* Reads at `offset` without moving the file's position. Returns the number of bytes. */
static size_t read_at(struct flv_reader *reader, void *bytes, size_t size, long long offset)
{
    ssize_t count = pread(fileno(reader->file), bytes, size, (off_t)offset);
    return count > 0 ? (size_t)count : 0;
}

int flv_seek(struct flv_reader *reader, uint32_t timestamp, uint32_t *found)
{
    long long any_at = -1, key_at = -1, at = reader->first_tag;
    uint32_t any_time = 0, key_time = 0;
    int has_video = 0;

    if (!flv_rewind(reader))
        return 0;
    for (;;) {
        uint8_t head[FLV_TAG_HEADER + 64]; /* prefixes and track numbers */
        size_t got = read_at(reader, head, sizeof head, at);
        if (got < FLV_TAG_HEADER)
            break;
        uint32_t size = flv_get24(head + 1);
        uint32_t time = get_timestamp(head);
        size_t peeked = got - FLV_TAG_HEADER < size ? got - FLV_TAG_HEADER : size;
        enum flv_kind kind = flv_kind(head[0], head + FLV_TAG_HEADER, peeked);
        if ((head[0] == FLV_AUDIO || head[0] == FLV_VIDEO) && (kind == FLV_PLAIN || kind == FLV_KEY)) {
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
        at += FLV_TAG_HEADER + (long long)size + FLV_TAG_TRAILER;
    }
    if (!has_video && any_at >= 0) {
        key_at = any_at;
        key_time = any_time;
    }
    if (key_at < 0)
        return 0;
    reader->position = key_at - reader->base;
    *found = key_time;
    return 1;
}

uint32_t flv_last_timestamp(struct flv_reader *reader)
{
    uint8_t trailer[FLV_TAG_TRAILER], header[FLV_TAG_HEADER];
    struct stat info;
    if (reader->first_tag < 0 || fstat(fileno(reader->file), &info) != 0
        || read_at(reader, trailer, sizeof trailer, (long long)info.st_size - FLV_TAG_TRAILER) != sizeof trailer)
        return 0;
    long long start = (long long)info.st_size - FLV_TAG_TRAILER - flv_get32(trailer);
    if (start < reader->first_tag || read_at(reader, header, sizeof header, start) != sizeof header
        || !flv_is_known(header[0]))
        return 0;
    return get_timestamp(header);
}

void flv_set_timestamp(struct flv_tag *tag, uint32_t timestamp)
{
    tag->timestamp = timestamp;
    put_timestamp(tag->raw, timestamp);
}

/* Writes all bytes, with several calls if necessary. It does not use standard I/O, which would try failed writes again when the
 * file is closed, after the file was cut to whole tags. */
static int write_all(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t done = writev(fd, parts, count);
        if (done < 0 && errno == EAGAIN) {
            struct pollfd room = { .fd = fd, .events = POLLOUT }; /* a non-blocking pipe */
            if (poll(&room, 1, -1) < 0)
                return 0;
            continue;
        }
        if (done < 0)
            return 0;
        for (; count > 0 && (size_t)done >= parts->iov_len; parts++, count--)
            done -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + done;
            parts->iov_len -= (size_t)done;
        }
    }
    return 1;
}

int flv_writer_start(struct flv_writer *writer, FILE *file)
{
    /* Both content bits are set, so players play all of a file that is never finished. */
    static const uint8_t header[FLV_FILE_HEADER] = { 'F', 'L', 'V', 1, 5, 0, 0, 0, 9 };
    struct iovec part = { .iov_base = (void *)(uintptr_t)header, .iov_len = sizeof header };
    struct stat info;
    int fd = fileno(file), flags = fcntl(fd, F_GETFL);
    memset(writer, 0, sizeof *writer);
    writer->file = file;
    writer->duration_at = -1;
    /* The shell shares standard output: it may append, and other programs may write to it. */
    writer->own = file != stdout && flags >= 0 && !(flags & O_APPEND) && fstat(fd, &info) == 0
                  && S_ISREG(info.st_mode) && info.st_size == 0;
    if (!write_all(fd, &part, 1))
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
    if (size > 0xffffff) {
        errno = EFBIG;
        return 0;
    }
    put24(header + 1, size);
    put_timestamp(header, timestamp);
    put32(trailer, FLV_TAG_HEADER + size);

    /* One write for each tag, so the file has whole tags for readers and after a crash. */
    struct iovec parts[] = {
        { .iov_base = header, .iov_len = sizeof header },
        { .iov_base = (void *)(uintptr_t)body, .iov_len = size },
        { .iov_base = trailer, .iov_len = sizeof trailer },
    };
    int fd = fileno(writer->file);
    if (!write_all(fd, parts, 3)) {
        writer->error = errno;
        if (writer->own && ftruncate(fd, (off_t)writer->whole) == 0)
            lseek(fd, (off_t)writer->whole, SEEK_SET);
        errno = writer->error;
        return 0;
    }
    if (type == FLV_SCRIPT && writer->duration_at < 0 && flv_kind(type, body, size) == FLV_METADATA) {
        long at = find_duration(body, size);
        if (at >= 0) {
            writer->duration_at = writer->whole + FLV_TAG_HEADER + at;
            writer->duration = get_double(body + at);
        }
    }
    if (type == FLV_AUDIO || type == FLV_VIDEO) {
        if (writer->content == 0)
            writer->first = timestamp;
        writer->last = timestamp;
        writer->content |= type == FLV_AUDIO ? 4 : 1;
    }
    writer->whole += FLV_TAG_HEADER + (long long)size + FLV_TAG_TRAILER;
    writer->tags++;
    return 1;
}

static int write_at(int fd, const void *bytes, size_t size, long long offset)
{
    ssize_t done = pwrite(fd, bytes, size, (off_t)offset);
    if (done >= 0 && (size_t)done != size)
        errno = EIO;
    return done == (ssize_t)size;
}

/* Corrects the header and the duration, and flushes the file to the disk, which may report only then that it is full. */
static int correct(struct flv_writer *writer)
{
    int fd = fileno(writer->file);
    double played = (double)(uint32_t)(writer->last - writer->first) / 1000.0;
    double wrong_by = writer->duration > played ? writer->duration - played : played - writer->duration;
    if (writer->content && !write_at(fd, &writer->content, 1, 4))
        return 0;
    /* A second more or less is the length of the last frame and rounding; leave the sender's number then.
     * (The comparison is false for NaN as well, hence written this way round.) */
    if (writer->content && writer->duration_at >= 0 && !(wrong_by <= 1.0)) {
        uint8_t value[8];
        put_double(value, played);
        if (!write_at(fd, value, sizeof value, writer->duration_at))
            return 0;
    }
    return fsync(fd) == 0 || errno == EINVAL || errno == EINTR;
}

int flv_writer_finish(struct flv_writer *writer)
{
    if (!writer->file) {
        errno = EBADF;
        return 0;
    }
    int ok = !writer->own || correct(writer);
    int reason = errno;
    if (fclose(writer->file) == 0)
        errno = reason;
    else if (ok)
        ok = 0;
    else
        errno = reason;
    writer->file = NULL;
    return ok;
}

enum flv_kind flv_kind(uint8_t type, const uint8_t *body, size_t size)
{
    struct media media = media_peek(type, body, size);
    switch (media.kind) {
    case MEDIA_KEY:
        return tracks_have(&media.tracks, 0) ? FLV_KEY : FLV_PLAIN; /* a file does not start at a key frame of another track */
    case MEDIA_CONFIG:
        return FLV_CONFIG;
    case MEDIA_METADATA:
        return FLV_METADATA;
    default:
        return FLV_PLAIN;
    }
}
