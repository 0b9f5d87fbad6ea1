/* publish_raw: publishes the output of H.265 and Opus encoders: an Annex B file of H.265 and an Ogg file of Opus.
 *
 *   ffmpeg -i film.mp4 -c:v libx265 film.h265 -c:a libopus film.opus
 *   cc publish_raw.c -lrtmp && ./a.out film.h265 25 film.opus rtmp://localhost/live/film
 *
 * It shows how to convert the output of an encoder: the parameter sets become a configuration record, NAL units get lengths, key
 * frames are marked, and each frame has the time between decoding and presentation. */
#define _POSIX_C_SOURCE 200809L
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VPS = 32, SPS = 33, PPS = 34, DELIMITER = 35, PREFIX = 39, FIRST_IRAP = 16, LAST_IRAP = 23, IDR_W_RADL = 19, IDR_N_LP = 20 };

enum { MOST_FRAMES = 100000 };

struct bytes {
    uint8_t *data;
    size_t size;
};

static int read_file(const char *name, struct bytes *bytes)
{
    FILE *file = fopen(name, "rb");
    long size = -1;
    bytes->data = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0) {
        rewind(file);
        bytes->size = (size_t)size;
        bytes->data = malloc(bytes->size);
        if (bytes->data && fread(bytes->data, bytes->size, 1, file) != 1) {
            free(bytes->data);
            bytes->data = NULL;
        }
    }
    if (file)
        fclose(file);
    return bytes->data != NULL;
}

/* ---- H.265 ---- */

/* Bits of a NAL unit. A 3 after two zero bytes is not data. */
struct bits {
    const uint8_t *data;
    size_t size, at;
    int left;
    uint8_t byte;
    int zeros;
};

static unsigned bit(struct bits *b)
{
    if (b->left == 0) {
        if (b->zeros >= 2 && b->at < b->size && b->data[b->at] == 3) {
            b->at++;
            b->zeros = 0;
        }
        b->byte = b->at < b->size ? b->data[b->at++] : 0;
        b->zeros = b->byte == 0 ? b->zeros + 1 : 0;
        b->left = 8;
    }
    return b->byte >> --b->left & 1;
}

static unsigned take(struct bits *b, int count)
{
    unsigned value = 0;
    while (count-- > 0)
        value = value << 1 | bit(b);
    return value;
}

/* An Exp-Golomb code. */
static unsigned golomb(struct bits *b)
{
    int zeros = 0;
    while (zeros < 31 && b->at < b->size && !bit(b))
        zeros++;
    return (1u << zeros) - 1 + take(b, zeros);
}

/* The required values of the parameter sets. */
struct parameters {
    struct bytes sets[3];       /* VPS, SPS, PPS; parts of the file */
    uint8_t profile[12];        /* profile, compatibility, constraints, level, as in the record */
    unsigned layers, nested, chroma, luma_depth, chroma_depth, poc_bits;
    unsigned output_flag, extra_bits; /* of slice headers */
};

static void read_sps(struct parameters *p, const uint8_t *data, size_t size)
{
    struct bits b = { .data = data, .size = size, .at = 2 };
    unsigned i, sub, profiles[8] = { 0 }, levels[8] = { 0 };
    take(&b, 4);
    sub = take(&b, 3);
    p->layers = sub + 1;
    p->nested = take(&b, 1);
    for (i = 0; i < sizeof p->profile; i++)
        p->profile[i] = (uint8_t)take(&b, 8);
    for (i = 0; i < sub; i++) {
        profiles[i] = take(&b, 1);
        levels[i] = take(&b, 1);
    }
    for (i = sub; sub > 0 && i < 8; i++)
        take(&b, 2);
    for (i = 0; i < sub; i++)
        for (unsigned skip = profiles[i] * 88 + levels[i] * 8; skip > 0; skip -= 8)
            take(&b, 8);
    golomb(&b); /* id */
    p->chroma = golomb(&b);
    if (p->chroma == 3)
        take(&b, 1);
    golomb(&b); /* width */
    golomb(&b); /* height */
    if (take(&b, 1))
        for (i = 0; i < 4; i++)
            golomb(&b);
    p->luma_depth = golomb(&b);
    p->chroma_depth = golomb(&b);
    p->poc_bits = golomb(&b) + 4;
}

static void read_pps(struct parameters *p, const uint8_t *data, size_t size)
{
    struct bits b = { .data = data, .size = size, .at = 2 };
    golomb(&b);
    golomb(&b);
    take(&b, 1);
    p->output_flag = take(&b, 1);
    p->extra_bits = take(&b, 3);
}

/* The presentation order of a picture, modulo 2^poc_bits; 0 for a picture that starts a sequence. */
static unsigned shown_at(const struct parameters *p, const uint8_t *data, size_t size, int type)
{
    struct bits b = { .data = data, .size = size, .at = 2 };
    take(&b, 1);
    if (type >= FIRST_IRAP && type <= LAST_IRAP)
        take(&b, 1);
    golomb(&b);
    take(&b, (int)p->extra_bits);
    golomb(&b);
    if (p->output_flag)
        take(&b, 1);
    return type == IDR_W_RADL || type == IDR_N_LP ? 0 : take(&b, (int)p->poc_bits);
}

/* HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1). Returns its length, 0 if a parameter set is missing. */
static size_t write_record(const struct parameters *p, uint8_t *out, size_t room)
{
    size_t at = 0, need = 23;
    for (int i = 0; i < 3; i++)
        need += 5 + p->sets[i].size;
    if (need > room || !p->sets[0].data || !p->sets[1].data || !p->sets[2].data)
        return 0;
    out[at++] = 1;
    memcpy(out + at, p->profile, sizeof p->profile);
    at += sizeof p->profile;
    out[at++] = 0xf0; /* no segmentation */
    out[at++] = 0;
    out[at++] = 0xfc; /* parallelism unknown */
    out[at++] = (uint8_t)(0xfc | p->chroma);
    out[at++] = (uint8_t)(0xf8 | p->luma_depth);
    out[at++] = (uint8_t)(0xf8 | p->chroma_depth);
    out[at++] = 0;
    out[at++] = 0; /* frame rate unknown */
    out[at++] = (uint8_t)(p->layers << 3 | p->nested << 2 | 3); /* lengths have four bytes */
    out[at++] = 3;
    for (int i = 0; i < 3; i++) {
        out[at++] = (uint8_t)(0x80 | (VPS + i));
        out[at++] = 0;
        out[at++] = 1;
        out[at++] = (uint8_t)(p->sets[i].size >> 8);
        out[at++] = (uint8_t)p->sets[i].size;
        memcpy(out + at, p->sets[i].data, p->sets[i].size);
        at += p->sets[i].size;
    }
    return at;
}

struct frame {
    size_t begin, end; /* in the stream with lengths */
    int key;
    long order;        /* in which frames are shown */
};

struct video {
    struct parameters parameters;
    uint8_t *data; /* NAL units with lengths in front */
    size_t size;
    struct frame *frames;
    int count, delay; /* number of frames between decoding and presentation of the first one */
};

/* Finds the next NAL unit: after 00 00 01, up to the next start code. */
static int next_nal(const struct bytes *in, size_t *at, const uint8_t **nal, size_t *size)
{
    size_t i = *at, end;
    while (i + 3 < in->size && (in->data[i] || in->data[i + 1] || in->data[i + 2] != 1))
        i++;
    if (i + 3 >= in->size)
        return 0;
    i += 3;
    for (end = i; end + 3 <= in->size && (in->data[end] || in->data[end + 1] || in->data[end + 2] > 1); end++)
        ;
    if (end + 3 > in->size)
        end = in->size;
    *nal = in->data + i;
    *size = end - i;
    *at = end;
    return *size > 2;
}

static int read_video(const struct bytes *in, struct video *video)
{
    const uint8_t *nal;
    size_t at = 0, size;
    long cycle = 0, last = 0, base = 0, highest = -1;
    size_t begin = 0;
    int prefix = 0; /* NAL units of the next picture have started */
    memset(video, 0, sizeof *video);
    video->data = malloc(in->size * 2 + 4);
    video->frames = calloc(MOST_FRAMES, sizeof *video->frames);
    while (video->data && video->frames && next_nal(in, &at, &nal, &size)) {
        struct parameters *p = &video->parameters;
        int type = nal[0] >> 1 & 63, slice = type < VPS;
        if (type >= VPS && type <= PPS) {
            p->sets[type - VPS] = (struct bytes){ (uint8_t *)(uintptr_t)nal, size };
            if (type == SPS)
                read_sps(p, nal, size);
            if (type == PPS)
                read_pps(p, nal, size);
        }
        if (type >= VPS && type <= DELIMITER)
            continue; /* the record has them */
        if (type == PREFIX && !prefix) {
            prefix = 1;
            begin = video->size;
        }
        if (slice && nal[2] & 0x80) { /* the first slice of a picture */
            struct frame *frame = &video->frames[video->count];
            long shown = (long)shown_at(p, nal, size, type), period = 1L << p->poc_bits;
            if (++video->count == MOST_FRAMES)
                break;
            frame->begin = prefix ? begin : video->size;
            prefix = 0;
            if (type == IDR_W_RADL || type == IDR_N_LP) {
                base = highest + 1;
                cycle = last = 0;
            } else if (shown - last > period / 2) {
                cycle -= period;
            } else if (last - shown > period / 2) {
                cycle += period;
            }
            last = shown;
            frame->order = base + cycle + shown;
            if (frame->order > highest)
                highest = frame->order;
            frame->key = type >= FIRST_IRAP && type <= LAST_IRAP;
        }
        for (int i = 0; i < 4; i++)
            video->data[video->size++] = (uint8_t)(size >> (24 - 8 * i));
        memcpy(video->data + video->size, nal, size);
        video->size += size;
        if (video->count > 0 && !prefix)
            video->frames[video->count - 1].end = video->size;
    }
    /* No frame may be presented before it is decoded. */
    for (int i = 0; i < video->count; i++)
        if (i - video->frames[i].order > video->delay)
            video->delay = (int)(i - video->frames[i].order);
    return video->count > 0;
}

/* ---- Opus ---- */

struct sound {
    struct bytes file;
    struct bytes packet;
    size_t page, segment, data; /* of the next packet */
    uint8_t joined[65536];
};

/* Reads the next packet of an Ogg file. A page is a table of lengths, followed by the data. */
static int next_packet(struct sound *sound)
{
    size_t length = 0;
    for (;;) {
        const uint8_t *page = sound->file.data + sound->page;
        size_t left = sound->file.size - sound->page, segments;
        if (left < 27 || memcmp(page, "OggS", 4) != 0 || left < 27u + (segments = page[26]))
            return 0;
        if (sound->segment == 0)
            sound->data = sound->page + 27 + segments;
        while (sound->segment < segments) {
            size_t size = page[27 + sound->segment++];
            if (sound->data + size > sound->file.size || length + size > sizeof sound->joined)
                return 0;
            memcpy(sound->joined + length, sound->file.data + sound->data, size);
            sound->data += size;
            length += size;
            if (size < 255) {
                sound->packet = (struct bytes){ sound->joined, length };
                return 1;
            }
        }
        sound->page = sound->data;
        sound->segment = 0;
    }
}

/* The duration of a packet in microseconds, from its first byte (RFC 6716, 3.1), and for several frames also the second. */
static unsigned duration(const struct bytes *packet)
{
    static const unsigned silk[] = { 10000, 20000, 40000, 60000 }, celt[] = { 2500, 5000, 10000, 20000 };
    unsigned mode = packet->data[0] >> 3, code = packet->data[0] & 3;
    unsigned frame = mode < 12 ? silk[mode & 3] : mode < 16 ? (mode & 1 ? 20000 : 10000) : celt[mode & 3];
    unsigned frames = code == 0 ? 1 : code < 3 ? 2 : packet->size > 1 ? packet->data[1] & 63 : 0;
    return frame * frames;
}

/* ---- sending ---- */

static int send(RTMP *r, uint8_t kind, uint32_t timestamp, RTMPTrack track, const uint8_t *data, size_t size)
{
    track.t_body = (const char *)data;
    track.t_size = (uint32_t)size;
    return RTMP_SendMedia(r, kind, timestamp, 0, &track, 1);
}

static void wait_for(const struct timespec *start, uint32_t milliseconds)
{
    struct timespec until = *start;
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int publish(RTMP *r, const struct video *video, struct sound *sound, double rate)
{
    static uint8_t record[8192];
    RTMPTrack picture, audio;
    struct timespec start;
    size_t size = write_record(&video->parameters, record, sizeof record);
    unsigned long long heard = 0; /* microseconds */
    int frame = 0, has_sound, ok;
    memset(&picture, 0, sizeof picture);
    memset(&audio, 0, sizeof audio);
    picture.t_fourcc = RTMP_FOURCC_HEVC;
    audio.t_fourcc = RTMP_FOURCC_OPUS;
    picture.t_packet = audio.t_packet = RTMP_MEDIA_CONFIG;
    if (size == 0 || !next_packet(sound)) {
        fprintf(stderr, "the parameter sets of the video or the header of the audio are missing\n");
        return 0;
    }
    /* The configuration of Opus is the first packet of the file, and the second one has comments. */
    ok = send(r, RTMP_PACKET_TYPE_VIDEO, 0, picture, record, size)
         && send(r, RTMP_PACKET_TYPE_AUDIO, 0, audio, sound->packet.data, sound->packet.size);
    next_packet(sound);
    has_sound = next_packet(sound);
    picture.t_packet = audio.t_packet = RTMP_MEDIA_FRAMES;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (ok && (frame < video->count || has_sound)) {
        uint32_t shown = (uint32_t)(frame * 1000 / rate), sounds = (uint32_t)(heard / 1000);
        if (has_sound && (frame >= video->count || sounds < shown)) {
            wait_for(&start, sounds);
            ok = send(r, RTMP_PACKET_TYPE_AUDIO, sounds, audio, sound->packet.data, sound->packet.size);
            heard += duration(&sound->packet);
            has_sound = next_packet(sound);
            continue;
        }
        const struct frame *f = &video->frames[frame];
        wait_for(&start, shown);
        picture.t_key = (uint8_t)f->key;
        picture.t_offset = (int32_t)((double)(f->order + video->delay - frame) * 1000 / rate);
        ok = send(r, RTMP_PACKET_TYPE_VIDEO, shown, picture, video->data + f->begin, f->end - f->begin);
        frame++;
    }
    return ok;
}

int main(int argc, char **argv)
{
    static struct sound sound;
    struct video video;
    struct bytes file;
    double rate = argc > 2 ? atof(argv[2]) : 0;
    RTMP *r = RTMP_Alloc();
    AVal list = AVC("fourCcList"), codecs = AVC("hvc1,Opus"), force = AVC("enhancedForce"), on = AVC("1");
    int ok;
    if (argc != 5 || rate <= 0 || !r) {
        fprintf(stderr, "usage: %s VIDEO.h265 FRAMES_PER_SECOND AUDIO.opus URL\n", argv[0]);
        return 2;
    }
    if (!read_file(argv[1], &file) || !read_video(&file, &video) || !read_file(argv[3], &sound.file)) {
        fprintf(stderr, "%s: cannot use %s and %s\n", argv[0], argv[1], argv[3]);
        return 1;
    }
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    /* Without enhancedForce, Opus is only sent to servers that announce it. */
    ok = RTMP_SetupURL(r, argv[4]) && RTMP_SetOpt(r, &list, &codecs) && RTMP_SetOpt(r, &force, &on);
    RTMP_EnableWrite(r);
    ok = ok && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0) && publish(r, &video, &sound, rate);
    if (!ok)
        fprintf(stderr, "%s: %s\n", argv[0], RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    free(file.data);
    free(sound.file.data);
    free(video.data);
    free(video.frames);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
