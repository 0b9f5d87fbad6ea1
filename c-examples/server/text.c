#include "text.h"

#include <librtmp/log.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LINE = 4096 };

/* Ranges of code points that move the cursor, hide themselves or turn the text around. */
static const struct { uint32_t first, last; } unprintable[] = {
    { 0, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
    { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xd800, 0xdfff }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
    { 0xe0000, 0xe0fff }, { 0x110000, UINT32_MAX }
};

size_t text_printable(const char *text, size_t size)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* for this number of bytes */
    if (size == 0)
        return 0;
    unsigned char head = (unsigned char)text[0];
    size_t length = head < 0x80 ? 1 : head >> 5 == 6 ? 2 : head >> 4 == 14 ? 3 : head >> 3 == 30 ? 4 : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t code = length == 1 ? head : head & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (code < least[length])
        return 0;
    for (size_t i = 0; i < sizeof unprintable / sizeof *unprintable; i++)
        if (code >= unprintable[i].first && code <= unprintable[i].last)
            return 0;
    return length;
}

void text_log(int level, const char *format, va_list arguments)
{
    static const char *const names[] = { "CRIT", "ERROR", "WARNING", "INFO", "DEBUG", "DEBUG2" };
    char raw[MOST_LINE], line[4 * MOST_LINE + 1]; /* an escape has four characters */
    size_t at = 0;
    if (level < 0 || level > (int)RTMP_LogGetLevel()) /* not every librtmp checks the level first */
        return;
    int wanted = vsnprintf(raw, sizeof raw, format, arguments);
    size_t size = wanted < 0 ? 0 : strlen(raw);
    for (size_t i = 0; i < size;) {
        size_t length = text_printable(raw + i, size - i);
        if (length == 0)
            at += (size_t)snprintf(line + at, sizeof line - at, "\\x%02x", (unsigned char)raw[i]);
        memcpy(line + at, raw + i, length);
        at += length;
        i += length ? length : 1;
    }
    line[at] = 0;
    fprintf(stderr, "%s: %s%s\n", level < 6 ? names[level] : "LOG", line,
            wanted >= MOST_LINE ? " [cut]" : "");
}
