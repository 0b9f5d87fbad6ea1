/* make_flv: writes a small FLV file without an encoder, to try the other programs with. It contains a square that moves over a grey
 * background (Screen video in uncompressed zlib blocks) and a tone (16-bit PCM). */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ending.h"
#include "flv.h"

enum {
    WIDTH = 128, HEIGHT = 96, BLOCK = 32, COLUMNS = WIDTH / BLOCK, ROWS = HEIGHT / BLOCK,
    FRAMES_PER_SECOND = 10, SAMPLE_RATE = 11025,
    PIXELS = BLOCK * BLOCK * 3
};

static uint8_t *put16(uint8_t *p, unsigned value)
{
    *p++ = (uint8_t)(value >> 8);
    *p++ = (uint8_t)value;
    return p;
}

static uint8_t *put_text(uint8_t *p, const char *text)
{
    size_t length = strlen(text);
    p = put16(p, (unsigned)length);
    memcpy(p, text, length);
    return p + length;
}

static uint8_t *put_number(uint8_t *p, const char *name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    p = put_text(p, name);
    *p++ = 0; /* AMF0 number */
    for (int shift = 56; shift >= 0; shift -= 8)
        *p++ = (uint8_t)(bits >> shift);
    return p;
}

static int write_metadata(struct flv_writer *writer, int seconds)
{
    uint8_t body[512], *p = body;
    *p++ = 2; /* string */
    p = put_text(p, "onMetaData");
    *p++ = 8; /* array of named values, their number as a hint */
    p = put16(p, 0);
    p = put16(p, 7);
    p = put_number(p, "duration", seconds);
    p = put_number(p, "width", WIDTH);
    p = put_number(p, "height", HEIGHT);
    p = put_number(p, "framerate", FRAMES_PER_SECOND);
    p = put_number(p, "videocodecid", 3);
    p = put_number(p, "audiocodecid", 3);
    p = put_number(p, "audiosamplerate", SAMPLE_RATE);
    p = put16(p, 0);
    *p++ = 9; /* end */
    return flv_write(writer, FLV_SCRIPT, 0, body, (uint32_t)(p - body));
}

/* A zlib container with one stored block, which needs no compression. */
static uint8_t *put_stored(uint8_t *p, const uint8_t *data, unsigned size)
{
    uint32_t a = 1, b = 0;
    p = put16(p, 0x7801);
    *p++ = 1; /* last block, stored */
    *p++ = (uint8_t)size;
    *p++ = (uint8_t)(size >> 8);
    *p++ = (uint8_t)~size;
    *p++ = (uint8_t)(~size >> 8);
    for (unsigned i = 0; i < size; i++) {
        p[i] = data[i];
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    p = put16(p + size, b);
    return put16(p, a);
}

/* The position of the square in frame `number`: it visits block after block. */
static int square_at(int number) { return number % (COLUMNS * ROWS); }

static uint8_t *put_block(uint8_t *p, int index, int number)
{
    uint8_t pixels[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
        int x = i / 3 % BLOCK, y = i / 3 / BLOCK;
        int inside = index == square_at(number) && x >= 8 && x < 24 && y >= 8 && y < 24;
        pixels[i] = (uint8_t)(inside ? (i % 3 == 2 ? 230 : 40) : 64 + index * 8);
    }
    uint8_t *size_at = p;
    p = put_stored(p + 2, pixels, PIXELS);
    put16(size_at, (unsigned)(p - size_at - 2));
    return p;
}

/* A whole picture every second, and between them only the two blocks that have changed. */
static int write_picture(struct flv_writer *writer, int number)
{
    static uint8_t body[5 + COLUMNS * ROWS * (PIXELS + 16)];
    int key = number % FRAMES_PER_SECOND == 0;
    uint8_t *p = body;
    *p++ = (uint8_t)(key ? 0x13 : 0x23);
    p = put16(p, (BLOCK / 16 - 1) << 12 | WIDTH);
    p = put16(p, (BLOCK / 16 - 1) << 12 | HEIGHT);
    for (int index = 0; index < COLUMNS * ROWS; index++) {
        int changed = index == square_at(number) || (number > 0 && index == square_at(number - 1));
        p = key || changed ? put_block(p, index, number) : put16(p, 0);
    }
    return flv_write(writer, FLV_VIDEO, (uint32_t)(number * 1000 / FRAMES_PER_SECOND), body, (uint32_t)(p - body));
}

/* The sound for the time of one frame: a soft triangle wave of 441 Hz. */
static int write_sound(struct flv_writer *writer, int number)
{
    enum { PERIOD = SAMPLE_RATE / 441 };
    static uint8_t body[1 + 2 * (SAMPLE_RATE / FRAMES_PER_SECOND + 1)];
    long from = (long)number * SAMPLE_RATE / FRAMES_PER_SECOND;
    long to = (long)(number + 1) * SAMPLE_RATE / FRAMES_PER_SECOND;
    uint8_t *p = body;
    *p++ = 0x36; /* PCM little-endian, 11025 Hz, 16 bits, mono */
    for (long sample = from; sample < to; sample++) {
        int phase = (int)(sample % PERIOD);
        int level = (phase < PERIOD / 2 ? phase : PERIOD - phase) * 400;
        *p++ = (uint8_t)level;
        *p++ = (uint8_t)(level >> 8);
    }
    return flv_write(writer, FLV_AUDIO, (uint32_t)(number * 1000 / FRAMES_PER_SECOND), body, (uint32_t)(p - body));
}

int main(int argc, char **argv)
{
    int seconds = 5, letter;
    static const char usage[] = "Usage: make_flv [OPTION]... FILE\n"
                                "Write a small playable FLV file (Screen video, PCM sound).\n\n"
                                "  -t, --time SECONDS  length of the file (default 5)\n"
                                "  -h, --help          print this text and exit\n";
    static const struct option names[] = { { "time", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    while ((letter = getopt_long(argc, argv, "t:h", names, NULL)) != -1) {
        if (letter == 'h') {
            fputs(usage, stdout);
            return fflush(stdout) == 0 ? END_WELL : END_OUTPUT;
        }
        if (letter != 't' || (seconds = atoi(optarg)) <= 0 || seconds > 3600) {
            fputs(usage, stderr);
            return END_WRONG_USE;
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return END_WRONG_USE;
    }
    struct flv_writer writer;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow any more is an error, and must not end the program */
    FILE *file = fopen(argv[optind], "wb");
    if (!file) {
        fprintf(stderr, "make_flv: cannot write %s: %s\n", argv[optind], strerror(errno));
        return END_OUTPUT;
    }
    int ok = flv_writer_start(&writer, file) && write_metadata(&writer, seconds);
    for (int number = 0; ok && number < seconds * FRAMES_PER_SECOND; number++)
        ok = write_picture(&writer, number) && write_sound(&writer, number);
    int error = errno;
    if (flv_writer_finish(&writer) && ok)
        return END_WELL;
    fprintf(stderr, "make_flv: cannot write %s: %s\n", argv[optind], strerror(ok ? errno : error));
    return END_OUTPUT;
}
