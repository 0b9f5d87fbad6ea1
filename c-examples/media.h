/* What a message means for a relay: whether a decoder can start with it, and which tracks it belongs to. Only this file parses
 * audio and video: legacy bodies and Enhanced RTMP (ModEx prefixes, several tracks in a message).
 *
 * A program that needs only this library can do it with RTMP_ParseMedia and RTMP_NextTrack; this also runs on librtmp 2.4. */
#ifndef EXAMPLES_MEDIA_H
#define EXAMPLES_MEDIA_H

#include <stddef.h>
#include <stdint.h>

enum media_kind {
    MEDIA_OTHER,    /* relayed, and not kept: video commands, cue points, damaged and reserved messages */
    MEDIA_FRAME,    /* audio, and video that needs earlier frames */
    MEDIA_KEY,      /* video that can be decoded on its own */
    MEDIA_END,      /* the end of a track */
    MEDIA_CONFIG,   /* decoder configuration; this and the following kinds are valid until the next one of their kind */
    MEDIA_LAYOUT,   /* which speaker an audio channel belongs to */
    MEDIA_COLOR,    /* colour and HDR metadata */
    MEDIA_METADATA  /* onMetaData */
};

/* A set of track ids, 0 to 255. Audio and video count their tracks separately. */
struct tracks {
    uint64_t bits[4];
};

struct media {
    enum media_kind kind;
    uint32_t codec; /* FourCC; 0 in legacy bodies and if each track has its own; in metadata, of the audio or video */
    struct tracks tracks;
};

/* `type` is FLV_AUDIO, FLV_VIDEO or FLV_SCRIPT. */
struct media media_parse(uint8_t type, const uint8_t *body, size_t size);
/* The same for a body of which only the start is known; it does not find tracks after that. */
struct media media_peek(uint8_t type, const uint8_t *body, size_t size);

int tracks_have(const struct tracks *tracks, unsigned id);
int tracks_overlap(const struct tracks *a, const struct tracks *b);
void tracks_add(struct tracks *tracks, const struct tracks *more);
/* Returns 1 if some are left. */
int tracks_remove(struct tracks *tracks, const struct tracks *fewer);

#endif
