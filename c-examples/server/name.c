#define _POSIX_C_SOURCE 200809L
#include "name.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

static size_t length_without_query(const AVal *wire)
{
    if (!wire->av_val || wire->av_len <= 0)
        return 0;
    const char *query = memchr(wire->av_val, '?', (size_t)wire->av_len);
    return query ? (size_t)(query - wire->av_val) : (size_t)wire->av_len;
}

static int append_part(char *path, const char *part, size_t length)
{
    static const char *const kinds[] = { "flv:", "mp4:", "mp3:" };
    size_t at = strlen(path), character;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (length > 4 && strncasecmp(part, kinds[i], 4) == 0) {
            part += 4;
            length -= 4;
            break;
        }
    if (part[0] == '.' || length >= NAME_SIZE || at + length + 2 > PATH_SIZE)
        return 0;
    for (size_t i = 0; i < length; i += character) {
        character = text_printable(part + i, length - i);
        if (character == 0 || part[i] == '\\')
            return 0;
    }
    if (at > 0)
        path[at++] = '/';
    memcpy(path + at, part, length);
    path[at + length] = 0;
    return 1;
}

int name_append(char *path, const AVal *wire)
{
    size_t left = length_without_query(wire);
    const char *part = wire->av_val;
    while (left > 0) {
        const char *slash = memchr(part, '/', left);
        size_t length = slash ? (size_t)(slash - part) : left;
        if (length > 0 && !append_part(path, part, length))
            return 0;
        length += slash != NULL;
        part += length;
        left -= length;
    }
    return 1;
}

int name_finish(char *path)
{
    static const char *const endings[] = { ".flv", ".mp4", ".f4v", ".mp3" };
    size_t length = strlen(path), last = strlen(name_of(path));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (last > 4 && strcasecmp(path + length - 4, endings[i]) == 0) {
            path[length - 4] = 0;
            break;
        }
    return length > 0;
}

const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A file name that begins with a letter, a digit or '_' has no special meaning for programs. */
static const char *prefix(const char *name)
{
    unsigned char first = (unsigned char)name[0];
    return isalnum(first) || first == '_' || first >= 0x80 ? "" : "_";
}

/* Opens a file of a folder; never what a link points to. */
static int open_in(const char *folder, const char *name, int flags)
{
#ifdef _WIN32
    return posix_open_in(folder, name, flags, 0644);
#else
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -1;
    int fd = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644), error = errno;
    close(directory);
    errno = error;
    return fd;
#endif
}

FILE *name_open(const char *folder, const char *name)
{
    char path[NAME_SIZE + 16];
    struct stat info;
    FILE *file = NULL;
    if (!folder)
        return NULL;
    snprintf(path, sizeof path, "%s%s.flv", prefix(name), name);
    /* O_NONBLOCK: opening a named pipe would wait for a writer. */
    int fd = open_in(folder, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
        file = fdopen(fd, "rb");
    if (!file)
        close(fd);
    return file;
}

FILE *name_create(const char *folder, const char *name)
{
    char path[NAME_SIZE + 32];
    int fd = -1;
    for (int number = 0; fd < 0 && number < 10000; number++) {
        if (number == 0)
            snprintf(path, sizeof path, "%s%s.flv", prefix(name), name);
        else
            snprintf(path, sizeof path, "%s%s-%d.flv", prefix(name), name, number);
        fd = open_in(folder, path, O_WRONLY | O_CREAT | O_EXCL);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (fd >= 0 && !file)
        close(fd);
    return file;
}
