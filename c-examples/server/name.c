#define _POSIX_C_SOURCE 200809L
#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy_safely(const char *text, size_t length, char *name, size_t size, int slashes)
{
    if (length == 0 || length >= size || text[0] == '.' || text[0] == '/')
        return 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            return 0;
        if (c == '/' && (!slashes || i + 1 == length || text[i + 1] == '.' || text[i + 1] == '/'))
            return 0;
    }
    memcpy(name, text, length);
    name[length] = 0;
    return 1;
}

static size_t length_without_query(const AVal *wire)
{
    if (!wire->av_val || wire->av_len <= 0)
        return 0;
    const char *query = memchr(wire->av_val, '?', (size_t)wire->av_len);
    return query ? (size_t)(query - wire->av_val) : (size_t)wire->av_len;
}

int name_accept(const AVal *wire, char *name, size_t size)
{
    static const char *const kinds[] = { "flv:", "mp4:", "mp3:" };
    static const char *const endings[] = { ".flv", ".mp4", ".f4v", ".mp3" };
    const char *text = wire->av_val;
    size_t length = length_without_query(wire);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (length > 4 && strncasecmp(text, kinds[i], 4) == 0) {
            text += 4;
            length -= 4;
            break;
        }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (length > 4 && strncasecmp(text + length - 4, endings[i], 4) == 0) {
            length -= 4;
            break;
        }
    return copy_safely(text, length, name, size, 0);
}

int name_accept_app(const AVal *wire, char *name, size_t size)
{
    size_t length = length_without_query(wire);
    while (length > 0 && wire->av_val[length - 1] == '/')
        length--;
    if (length == 0) { /* rtmp://host/name has none */
        name[0] = 0;
        return 1;
    }
    return copy_safely(wire->av_val, length, name, size, 1);
}

static int open_folder(const char *folder) { return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

FILE *name_open(const char *folder, const char *name)
{
    char path[NAME_SIZE + 8];
    struct stat info;
    FILE *file = NULL;
    int directory = folder ? open_folder(folder) : -1;
    if (directory < 0)
        return NULL;
    snprintf(path, sizeof path, "%s.flv", name);
    /* O_NONBLOCK: opening a named pipe would wait for a writer. */
    int fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(directory);
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
    char path[NAME_SIZE + 24];
    int fd = -1;
    int directory = open_folder(folder);
    if (directory < 0)
        return NULL;
    for (int number = 0; fd < 0 && number < 10000; number++) {
        if (number == 0)
            snprintf(path, sizeof path, "%s.flv", name);
        else
            snprintf(path, sizeof path, "%s-%d.flv", name, number);
        fd = openat(directory, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    close(directory);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (fd >= 0 && !file)
        close(fd);
    return file;
}
