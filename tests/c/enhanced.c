/*
 * Messages of Enhanced RTMP through enhanced.h. Each line of the input is a kind, 8 or 9, and a body in hexadecimal: it is
 * parsed, each of its tracks is printed, and written again. Then metadata with several tracks, and channels.
 */
#include <librtmp/enhanced.h>

#include "hex.h"

static void print_track(const RTMPTrack *track)
{
	if (track->t_fourcc)
		printf(" %c%c%c%c", (int)(track->t_fourcc >> 24), (int)(track->t_fourcc >> 16 & 255),
		       (int)(track->t_fourcc >> 8 & 255), (int)(track->t_fourcc & 255));
	else
		printf(" %d/%d", track->t_codec, track->t_format);
	printf(":%d packet %d%s frame %d offset %d ", track->t_id, track->t_packet, track->t_key ? " key" : "",
	       track->t_frame, (int)track->t_offset);
	print_hex(track->t_body, track->t_size);
}

static void message(unsigned char kind, const char *body, int size)
{
	RTMPMedia media, copy;
	RTMPTrack tracks[16], again;
	char written[256], *end;
	int count = 0, result;

	if (!RTMP_ParseMedia(&media, kind, body, (uint32_t)size)) {
		printf("damaged\n");
		return;
	}
	if (media.m_hasNano)
		printf(" +%u ns", (unsigned)media.m_nano);
	while (count < 16 && (result = RTMP_NextTrack(&media, &tracks[count])) == 1) {
		copy = media;
		print_track(&tracks[count++]);
	}
	if (result == 0 && RTMP_NextTrack(&copy, &again) != 0)
		printf(" a copy goes on otherwise");
	if (result < 0)
		printf(" then damaged");
	if (RTMP_NextTrack(&media, &again) != 0)
		printf(" does not end");
	end = RTMP_EncodeMedia(written, written + sizeof(written), kind, tracks, count, media.m_nano);
	printf(" = ");
	if (end)
		print_hex(written, (size_t)(end - written));
	if (end && RTMP_EncodeMedia(written, end - 1, kind, tracks, count, media.m_nano))
		printf(" fits into too little room");
	if (end && end - written > (long)(size + count * RTMP_MEDIA_OVERHEAD))
		printf(" is too long");
	printf("\n");
}

static void metadata(void)
{
	static const AVal on_metadata = AVC("onMetaData"), width = AVC("width"), height = AVC("height"),
			  codec = AVC("videocodecid"), missing = AVC("missing");
	static const unsigned char ids[] = {1, 200};
	char body[512], *end = body + sizeof(body), *p = body;
	AMFObject infos[2] = {{0, 0}}, decoded;
	AMFObjectProperty property;
	uint32_t fourcc = 7;
	uint8_t number = 7;
	unsigned id;

	property.p_type = AMF_NUMBER;
	property.p_name = width;
	property.p_vu.p_number = 640;
	AMF_AddProp(&infos[0], &property);
	property.p_name = codec;
	property.p_vu.p_number = RTMP_FOURCC_AV1;
	AMF_AddProp(&infos[1], &property);

	p = AMF_EncodeString(p, end, &on_metadata);
	*p++ = AMF_OBJECT;
	p = AMF_EncodeNamedNumber(p, end, &width, 1920);
	p = AMF_EncodeNamedNumber(p, end, &height, 1080);
	p = AMF_EncodeNamedNumber(p, end, &codec, RTMP_FOURCC_HEVC);
	if (RTMP_EncodeTrackMap(p, p + 20, RTMP_PACKET_TYPE_VIDEO, ids, infos, 2))
		printf("the map fits into too little room\n");
	p = RTMP_EncodeTrackMap(p, end, RTMP_PACKET_TYPE_VIDEO, ids, infos, 2);
	p = AMF_EncodeInt24(p, end, AMF_OBJECT_END);

	if (AMF_Decode(&decoded, body, (int)(p - body), FALSE) != p - body)
		printf("the metadata cannot be decoded\n");
	for (id = 0; id < 201; id += id ? 199 : 1) {
		AMFObjectProperty *w = RTMP_TrackProperty(&decoded, RTMP_PACKET_TYPE_VIDEO, (uint8_t)id, &width);
		AMFObjectProperty *h = RTMP_TrackProperty(&decoded, RTMP_PACKET_TYPE_VIDEO, (uint8_t)id, &height);
		int known = RTMP_TrackCodec(&decoded, RTMP_PACKET_TYPE_VIDEO, (uint8_t)id, &fourcc, &number);
		printf("track %u: %.0fx%.0f %d %08x %d\n", id, AMFProp_GetNumber(w), AMFProp_GetNumber(h), known,
		       (unsigned)fourcc, number);
	}
	printf("%d %d\n", RTMP_TrackProperty(&decoded, RTMP_PACKET_TYPE_VIDEO, 1, &missing) == NULL,
	       RTMP_TrackCodec(&decoded, RTMP_PACKET_TYPE_AUDIO, 0, &fourcc, &number));
	AMF_Reset(&decoded);
	AMF_Reset(&infos[0]);
	AMF_Reset(&infos[1]);
}

static void channels(void)
{
	static const uint8_t given[][4] = {
		{RTMP_SPEAKER_FRONT_LEFT, RTMP_SPEAKER_FRONT_RIGHT, RTMP_SPEAKER_LFE2, RTMP_SPEAKER_BOTTOM_FRONT_RIGHT},
		{RTMP_SPEAKER_SIDE_RIGHT, RTMP_SPEAKER_FRONT_LEFT, RTMP_SPEAKER_UNUSED, RTMP_SPEAKER_UNKNOWN}};
	uint8_t speakers[4];
	RTMPTrack track;
	char body[16], *end;
	int i, j, count;

	for (i = 0; i < 2; i++) {
		end = RTMP_EncodeChannels(body, body + sizeof(body), given[i], 4);
		memset(&track, 0, sizeof(track));
		track.t_body = body;
		track.t_size = (uint32_t)(end - body);
		print_hex(body, track.t_size);
		memset(speakers, 0x77, sizeof(speakers));
		count = RTMP_ParseChannels(&track, speakers, 3);
		printf(": %d", count);
		for (j = 0; j < 4; j++)
			printf(" %d", speakers[j]);
		track.t_size--;
		printf(" %d %d\n", RTMP_ParseChannels(&track, speakers, 4),
		       RTMP_EncodeChannels(body, end - 1, given[i], 4) == NULL);
	}
}

int main(void)
{
	char *line;

	while ((line = read_line())) {
		int size;
		char *body = parse_hex(line + 2, &size);
		message((unsigned char)(line[0] - '0'), body, size);
		free(body);
		free(line);
	}
	metadata();
	channels();
	return 0;
}
