#include "info.h"

#include <errno.h>
#include <librtmp/rtmp.h>
#include <stdlib.h>
#include <string.h>

#include "flv.h"

#ifdef __has_include
#if __has_include(<librtmp/enhanced.h>)
#include <librtmp/enhanced.h>
#endif
#endif

#ifdef RTMP_FOURCC
/* Newer than librtmp 2.4, on which these programs also run: there the weak references stay NULL. */
extern int RTMP_ParseMedia(RTMPMedia *m, uint8_t kind, const char *body, uint32_t size) __attribute__((weak));
extern int RTMP_NextTrack(RTMPMedia *m, RTMPTrack *t) __attribute__((weak));
extern int RTMP_ParseChannels(const RTMPTrack *t, uint8_t *speakers, int size) __attribute__((weak));
extern AMFObjectProperty *RTMP_TrackProperty(AMFObject *metadata, uint8_t kind, uint8_t id, const AVal *name)
    __attribute__((weak));

struct track {
    uint32_t fourcc;
    uint8_t codec;
    unsigned frames, keys, configs, channels;
    unsigned long long bytes;
    uint32_t first, last;
};

struct contents {
    struct track tracks[2][256]; /* audio, video */
    unsigned damaged, data;
    char *metadata; /* body of the last metadata; owned */
    int metadata_size;
};

static const char *legacy_name(int video, unsigned codec)
{
    static const char *const videos[] = { "?", "?", "H.263", "Screen", "VP6", "VP6 with alpha", "Screen 2", "H.264",
                                          "?", "?", "?", "?", "H.265" };
    static const char *const audios[] = { "PCM", "ADPCM", "MP3", "PCM", "Nellymoser", "Nellymoser", "Nellymoser",
                                          "G.711 A", "G.711 u", "?", "AAC", "Speex", "?", "?", "MP3", "device" };
    if (video)
        return codec < sizeof videos / sizeof *videos ? videos[codec] : "?";
    return audios[codec & 15];
}

static void count(struct contents *contents, const struct flv_tag *tag)
{
    RTMPMedia media;
    RTMPTrack track;
    int result = -1;
    if (RTMP_ParseMedia(&media, tag->type, (const char *)tag->body, tag->size))
        while ((result = RTMP_NextTrack(&media, &track)) == 1) {
            struct track *of = &contents->tracks[tag->type == FLV_VIDEO][track.t_id];
            if (track.t_packet == RTMP_MEDIA_SILENCE || track.t_packet == RTMP_MEDIA_COMMAND)
                continue;
            of->fourcc = track.t_fourcc;
            of->codec = track.t_codec;
            of->configs += track.t_packet == RTMP_MEDIA_CONFIG || track.t_packet == RTMP_MEDIA_TS_CONFIG;
            if (track.t_packet == RTMP_MEDIA_CHANNELS) {
                int channels = RTMP_ParseChannels(&track, NULL, 0);
                of->channels = channels > 0 ? (unsigned)channels : 0;
            }
            if (track.t_packet != RTMP_MEDIA_FRAMES)
                continue;
            if (of->frames++ == 0)
                of->first = of->last = tag->timestamp;
            /* Times may go back, and wrap around. */
            if ((int32_t)(tag->timestamp - of->first) < 0)
                of->first = tag->timestamp;
            if ((int32_t)(tag->timestamp - of->last) > 0)
                of->last = tag->timestamp;
            of->keys += track.t_key;
            of->bytes += track.t_size;
        }
    contents->damaged += result != 0;
}

static double number_of(AMFObject *metadata, uint8_t kind, unsigned id, const char *name)
{
    AVal key = { (char *)(uintptr_t)name, (int)strlen(name) };
    AMFObjectProperty *found = RTMP_TrackProperty(metadata, kind, (uint8_t)id, &key);
    return found && AMFProp_GetType(found) == AMF_NUMBER ? AMFProp_GetNumber(found) : 0;
}

static void print_track(AMFObject *metadata, int video, unsigned id, const struct track *track)
{
    uint8_t kind = video ? FLV_VIDEO : FLV_AUDIO;
    printf("%s track %u: ", video ? "video" : "audio", id);
    if (track->fourcc)
        for (int shift = 24; shift >= 0; shift -= 8) {
            int letter = track->fourcc >> shift & 255;
            putchar(letter < ' ' || letter > '~' ? '?' : letter);
        }
    else
        fputs(legacy_name(video, track->codec), stdout);
    if (video) {
        double width = number_of(metadata, kind, id, "width"), height = number_of(metadata, kind, id, "height");
        if (width > 0 && height > 0)
            printf(", %.0fx%.0f", width, height);
    } else if (track->channels) {
        printf(", %u channels", track->channels);
    }
    printf(", %u frames", track->frames);
    if (video)
        printf(", %u key frames", track->keys);
    printf(", %.2f s, %llu bytes%s\n", (double)(track->last - track->first) / 1000, track->bytes,
           track->configs ? "" : ", no configuration");
}

static void print_contents(struct contents *contents)
{
    AMFObject metadata = { 0, NULL };
    if (contents->metadata)
        AMF_Decode(&metadata, contents->metadata, contents->metadata_size, FALSE);
    for (int video = 1; video >= 0; video--)
        for (unsigned id = 0; id < 256; id++) {
            const struct track *track = &contents->tracks[video][id];
            if (track->frames || track->configs)
                print_track(&metadata, video, id, track);
        }
    if (contents->data)
        printf("script data: %u tags\n", contents->data);
    if (contents->damaged)
        printf("not understood: %u tags\n", contents->damaged);
    AMF_Reset(&metadata);
}

static void keep_metadata(struct contents *contents, const struct flv_tag *tag)
{
    contents->data++;
    if (flv_kind(tag->type, tag->body, tag->size) != FLV_METADATA)
        return;
    free(contents->metadata);
    contents->metadata = malloc(tag->size);
    contents->metadata_size = (int)tag->size;
    if (contents->metadata)
        memcpy(contents->metadata, tag->body, tag->size);
}

static enum ending print_file(struct tool *tool, const char *name, FILE *file)
{
    static struct contents contents;
    struct flv_reader reader;
    struct flv_tag tag;
    enum flv_result result;
    unsigned tags = 0;
    if (!flv_reader_open(&reader, file))
        return tool_fail(tool, END_INPUT, "%s is not an FLV file", name);
    for (; (result = flv_next(&reader, &tag)) == FLV_TAG; tags++) {
        if (tag.type == FLV_AUDIO || tag.type == FLV_VIDEO)
            count(&contents, &tag);
        else
            keep_metadata(&contents, &tag);
    }
    flv_reader_close(&reader);
    print_contents(&contents);
    free(contents.metadata);
    if (result == FLV_END && !tags)
        return tool_fail(tool, END_INPUT, "%s has no tags", name);
    if (result == FLV_END)
        return END_WELL;
    return tool_fail(tool, END_INPUT, result == FLV_CUT ? "%s is cut" : "%s is damaged", name);
}

enum ending info_print(struct tool *tool, const char *name)
{
    enum ending ending;
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (!RTMP_ParseMedia)
        ending = tool_fail(tool, END_FAILED, "this version of librtmp does not know what is in audio and video");
    else if (!file)
        ending = tool_fail(tool, END_INPUT, "cannot read %s: %s", name, strerror(errno));
    else
        ending = print_file(tool, name, file);
    if (ending != END_WELL)
        tool_print_problem(tool);
    return tool_flush(tool, stdout, ending);
}
#else
enum ending info_print(struct tool *tool, const char *name)
{
    enum ending ending = tool_fail(tool, END_FAILED, "cannot look into %s: built for an older librtmp", name);
    tool_print_problem(tool);
    return ending;
}
#endif
