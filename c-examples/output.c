#define _XOPEN_SOURCE 700
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int begins_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* Opens FILE.part, or FILE.part2 and so on: files that an earlier recording left, or that another one is writing, stay. */
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

/* A regular file is written as FILE.part and gets its name when it is complete: FILE is always valid, and an attempt without
 * data does not replace an earlier recording. Anything else is only appended to: pipes, devices, and files that the shell has
 * opened. */
static FILE *open_file(const char *name, char **temporary, char **target)
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
    /* If the name is a symbolic link, the file that it points to is replaced. */
    *target = exists ? realpath(name, NULL) : strdup(name);
    return *target ? open_part(*target, temporary) : NULL;
}

/* NAME-001.flv for NAME.flv; numbers that are in use are skipped. */
static char *segment_name(struct output *output)
{
    const char *dot = strrchr(output->name, '.'), *slash = strrchr(output->name, '/');
    int stem = (int)(dot && (!slash || dot > slash + 1) ? (size_t)(dot - output->name) : strlen(output->name));
    size_t length = strlen(output->name) + 16;
    char *name = malloc(length);
    struct stat info;
    do
        if (name)
            snprintf(name, length, "%.*s-%03d%s", stem, output->name, ++output->number, output->name + stem);
    while (name && stat(name, &info) == 0);
    return name;
}

static int open_next(struct output *output)
{
    char *name = output->segment ? segment_name(output) : strdup(output->name);
    FILE *file = name ? open_file(name, &output->temporary, &output->target) : NULL;
    output->error = errno;
    free(name);
    if (!file)
        return 0;
    output->open = 1;
    output->begun = 0;
    if (flv_writer_start(&output->writer, file))
        return 1;
    output->error = errno;
    return 0;
}

int output_open(struct output *output, const char *name, uint32_t segment)
{
    memset(output, 0, sizeof *output);
    output->name = name;
    output->segment = segment;
    return open_next(output);
}

/* Completes the file. Returns 0 on an error. */
static int finish(struct output *output)
{
    int ok = 1, tags = 0;
    if (output->open) {
        output->open = 0;
        tags = output->writer.tags > 0;
        if (tags)
            output->bytes += (unsigned long long)output->writer.whole;
        if (!flv_writer_finish(&output->writer)) {
            output->error = errno;
            ok = 0;
        }
    }
    if (output->temporary && !tags) {
        remove(output->temporary);
    } else if (output->temporary && rename(output->temporary, output->target) != 0) {
        output->error = errno;
        ok = 0;
    }
    if (tags) {
        output->files++;
        free(output->last_name);
        output->last_name = strdup(output->target ? output->target : output->name);
    }
    free(output->temporary);
    free(output->target);
    output->temporary = output->target = NULL;
    return ok;
}

static void keep(struct kept *kept, uint8_t type, const uint8_t *body, uint32_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return;
    memcpy(copy, body, size);
    free(kept->body);
    *kept = (struct kept){ .body = copy, .size = size, .type = type };
}

/* A segment can begin at a key frame, and without video at any tag. */
static int starts_segment(const struct output *output, uint8_t type, uint32_t timestamp, enum flv_kind kind)
{
    if (!output->segment || !output->begun || timestamp - output->base >= 0x80000000u
        || timestamp - output->base < output->segment)
        return 0;
    return kind == FLV_KEY || (type == FLV_AUDIO && kind == FLV_PLAIN && !output->has_video);
}

static int write_tag(struct output *output, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size)
{
    if (flv_write(&output->writer, type, timestamp, body, size)) {
        output->tags++;
        return 1;
    }
    output->error = output->writer.error;
    return 0;
}

int output_write(struct output *output, uint8_t type, uint32_t timestamp, const uint8_t *body, uint32_t size)
{
    enum flv_kind kind = flv_kind(type, body, size);
    int media = type == FLV_AUDIO || type == FLV_VIDEO;
    if (starts_segment(output, type, timestamp, kind)) {
        if (!finish(output) || !open_next(output))
            return 0;
        for (int i = 0; i < 3; i++)
            if (output->kept[i].body && !write_tag(output, output->kept[i].type, 0, output->kept[i].body, output->kept[i].size))
                return 0;
    }
    if (output->segment && (kind == FLV_METADATA || kind == FLV_CONFIG))
        keep(&output->kept[kind == FLV_METADATA ? 0 : type == FLV_VIDEO ? 1 : 2], type, body, size);
    if (media && !output->begun) {
        output->begun = 1;
        output->base = timestamp;
    }
    if (media) {
        output->has_video |= type == FLV_VIDEO;
        if (!output->started)
            output->first = timestamp;
        output->started = 1;
        output->last = timestamp;
    }
    /* Each segment plays by itself, from time 0. */
    uint32_t time = output->segment ? (output->begun && timestamp - output->base < 0x80000000u ? timestamp - output->base : 0)
                                    : timestamp;
    return write_tag(output, type, time, body, size);
}

int output_close(struct output *output)
{
    int ok = finish(output);
    for (int i = 0; i < 3; i++)
        free(output->kept[i].body);
    memset(output->kept, 0, sizeof output->kept);
    return ok;
}

uint32_t output_length(const struct output *output) { return output->last - output->first; }
