/* What a message is to a relay: whether a decoder can begin with it, and which tracks it belongs to. The only place
 * that looks into audio and video. Legacy bodies and Enhanced RTMP (ModEx prefixes, several tracks in a message).
 *
 * A program that needs only this library can do it with RTMP_ParseMedia and RTMP_NextTrack; this also runs on librtmp 2.4. */
#ifndef EXAMPLES_MEDIA_H
#define EXAMPLES_MEDIA_H

#include <stddef.h>
#include <stdint.h>

enum media_kind {
    MEDIA_OTHER,    /* relayed, and never needed later: video commands, cue points, what is damaged or reserved */
    MEDIA_FRAME,    /* audio, and video that needs what came before it */
    MEDIA_KEY,      /* video that can be decoded on its own */
    MEDIA_END,      /* the end of a track */
    MEDIA_CONFIG,   /* decoder configuration; the kinds from here on stay valid until the next one of their kind */
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
    uint32_t codec; /* FourCC, 0 in legacy bodies and where each track has its own; of metadata: for audio or video */
    struct tracks tracks;
};

/* `type` is FLV_AUDIO, FLV_VIDEO or FLV_SCRIPT. */
struct media media_parse(uint8_t type, const uint8_t *body, size_t size);
/* The same for a body of which only the beginning is known: tracks behind it are not seen. */
struct media media_peek(uint8_t type, const uint8_t *body, size_t size);

int tracks_have(const struct tracks *tracks, unsigned id);
int tracks_overlap(const struct tracks *a, const struct tracks *b);
void tracks_add(struct tracks *tracks, const struct tracks *more);
/* Returns 1 when some are left. */
int tracks_remove(struct tracks *tracks, const struct tracks *fewer);

#endif
