#include "media.h"

#include <string.h>

#include "flv.h"

enum { MOST_MODEX = 8 }; /* ModEx elements in front of a message */

enum { VIDEO_KEY = 1, VIDEO_COMMAND = 5 }; /* frame types */

enum { VIDEO_METADATA = 4 }; /* a packet type whose frame type has no meaning */

/* The packet types of Enhanced RTMP; some of them are prefixes. */
struct packet_types {
    uint8_t multitrack, modex;
    enum media_kind kinds[16];
};

static const struct packet_types audio_types = {
    5, 7, { MEDIA_CONFIG, MEDIA_FRAME, MEDIA_END, MEDIA_OTHER, MEDIA_LAYOUT }
};

static const struct packet_types video_types = {
    6, 7, { MEDIA_CONFIG, MEDIA_FRAME, MEDIA_END, MEDIA_FRAME, MEDIA_COLOR, MEDIA_CONFIG }
};

int tracks_have(const struct tracks *tracks, unsigned id) { return tracks->bits[id / 64] >> id % 64 & 1; }

int tracks_overlap(const struct tracks *a, const struct tracks *b)
{
    uint64_t common = 0;
    for (int i = 0; i < 4; i++)
        common |= a->bits[i] & b->bits[i];
    return common != 0;
}

void tracks_add(struct tracks *tracks, const struct tracks *more)
{
    for (int i = 0; i < 4; i++)
        tracks->bits[i] |= more->bits[i];
}

int tracks_remove(struct tracks *tracks, const struct tracks *fewer)
{
    uint64_t left = 0;
    for (int i = 0; i < 4; i++)
        left |= tracks->bits[i] &= ~fewer->bits[i];
    return left != 0;
}

static void add_track(struct media *media, uint8_t id) { media->tracks.bits[id / 64] |= (uint64_t)1 << id % 64; }

/* The bytes of a body that have not been parsed. */
struct rest {
    const uint8_t *at;
    size_t size;
    int partial; /* the body has more bytes */
};

/* Returns the next `count` bytes, or NULL if there are fewer. */
static const uint8_t *take(struct rest *rest, size_t count)
{
    const uint8_t *bytes = rest->at;
    if (rest->size < count)
        return NULL;
    rest->at += count;
    rest->size -= count;
    return bytes;
}

/* Skips a ModEx element: its size minus one, data, and a byte with the next packet type. Returns that type, or -1 if the body is
 * damaged. */
static int skip_modex(struct rest *rest)
{
    const uint8_t *byte = take(rest, 1), *wide = NULL;
    if (!byte || (*byte == 255 && !(wide = take(rest, 2))))
        return -1;
    size_t size = wide ? ((size_t)wide[0] << 8 | wide[1]) + 1 : (size_t)*byte + 1;
    const uint8_t *next = take(rest, size) ? take(rest, 1) : NULL;
    return next ? *next & 0x0f : -1;
}

/* Reads the track numbers. `layout` is 0 for one track, 1 for several, 2 for several with a codec each.
 * Returns 0 when the body is damaged. */
static int read_tracks(struct rest *rest, int layout, struct media *media)
{
    const uint8_t *id, *size, *codec = layout < 2 ? take(rest, 4) : NULL;
    if (layout > 2 || (layout < 2 && !codec))
        return 0;
    media->codec = codec ? flv_get32(codec) : 0;
    do {
        if ((layout == 2 && !take(rest, 4)) || !(id = take(rest, 1)))
            return rest->partial;
        add_track(media, *id);
        if (layout == 0)
            return 1;
        if (!(size = take(rest, 3)) || !take(rest, flv_get24(size)))
            return rest->partial;
    } while (rest->size > 0);
    return 1;
}

static struct media enhanced(const struct packet_types *types, int frame, struct rest rest)
{
    static const struct media other = { .kind = MEDIA_OTHER };
    struct media media = other;
    int packet = *take(&rest, 1) & 0x0f; /* the body is not empty */
    for (int i = 0; packet == types->modex; i++)
        if (i == MOST_MODEX || (packet = skip_modex(&rest)) < 0)
            return other;
    if (frame == VIDEO_COMMAND && packet != VIDEO_METADATA)
        return other;
    if (packet == types->multitrack) {
        const uint8_t *byte = take(&rest, 1);
        if (!byte || !read_tracks(&rest, *byte >> 4, &media))
            return other;
        packet = *byte & 0x0f;
    } else {
        const uint8_t *codec = take(&rest, 4);
        if (!codec)
            return other;
        media.codec = flv_get32(codec);
        add_track(&media, 0);
    }
    media.kind = types->kinds[packet]; /* a prefix must not follow a prefix: it is MEDIA_OTHER there */
    if (media.kind == MEDIA_FRAME && frame == VIDEO_KEY)
        media.kind = MEDIA_KEY;
    return media;
}

static enum media_kind legacy_video(const uint8_t *body, size_t size)
{
    int frame = body[0] >> 4, codec = body[0] & 0x0f;
    enum media_kind frame_kind = frame == VIDEO_KEY ? MEDIA_KEY : MEDIA_FRAME;
    if (frame == VIDEO_COMMAND)
        return MEDIA_OTHER;
    if (codec != 7 && codec != 12) /* AVC, and HEVC as some encoders send it, have a packet type */
        return frame_kind;
    if (size < 2)
        return MEDIA_OTHER;
    return body[1] == 0 ? MEDIA_CONFIG : body[1] == 1 ? frame_kind : body[1] == 2 ? MEDIA_END : MEDIA_OTHER;
}

/* Returns the position of a property's value of at least `size` bytes, or NULL if there is none. */
static const uint8_t *find_property(struct rest rest, const char *name, size_t size)
{
    size_t length = strlen(name);
    for (; rest.size >= 2 + length + size; take(&rest, 1))
        if (rest.at[0] == 0 && rest.at[1] == length && memcmp(rest.at + 2, name, length) == 0)
            return rest.at + 2 + length;
    return NULL;
}

static double get_double(const uint8_t *bytes)
{
    uint64_t bits = (uint64_t)flv_get32(bytes) << 32 | flv_get32(bytes + 4);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Metadata for one track has `trackId`, and `mediaType`, whose first bytes are sufficient. */
static void read_metadata(struct media *media, struct rest rest)
{
    const uint8_t *id = find_property(rest, "trackId", 9), *medium = find_property(rest, "mediaType", 4);
    double number = id && id[0] == 0 ? get_double(id + 1) : 0; /* 0 is the marker of a number */
    media->kind = MEDIA_METADATA;
    media->codec = medium ? flv_get32(medium) : 0;
    add_track(media, number > 0 && number < 256 ? (uint8_t)number : 0);
}

static struct media parse(uint8_t type, const uint8_t *body, size_t size, int partial)
{
    static const char metadata[] = "\x02\x00\x0aonMetaData";
    struct media media = { .kind = MEDIA_OTHER };
    struct rest rest = { body, size, partial };
    if (size == 0)
        return media;
    if (type == FLV_VIDEO && body[0] & 0x80)
        return enhanced(&video_types, body[0] >> 4 & 7, rest);
    if (type == FLV_AUDIO && body[0] >> 4 == 9)
        return enhanced(&audio_types, 0, rest);
    if (type == FLV_VIDEO)
        media.kind = legacy_video(body, size);
    else if (type == FLV_AUDIO) /* AAC has its packet type in the second byte */
        media.kind = body[0] >> 4 == 10 && size >= 2 && body[1] == 0 ? MEDIA_CONFIG : MEDIA_FRAME;
    if (type == FLV_VIDEO || type == FLV_AUDIO)
        add_track(&media, 0);
    else if (size >= sizeof metadata - 1 && memcmp(body, metadata, sizeof metadata - 1) == 0)
        read_metadata(&media, rest);
    return media;
}

struct media media_parse(uint8_t type, const uint8_t *body, size_t size) { return parse(type, body, size, 0); }

struct media media_peek(uint8_t type, const uint8_t *body, size_t size) { return parse(type, body, size, 1); }
