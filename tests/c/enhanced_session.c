/*
 * Sessions of Enhanced RTMP through enhanced.h.
 *
 *   client URL [OPTION=VALUE...]   publishes: prints what the server announces, and what becomes of messages; then reads until the
 *                                  server asks to connect again, does so, and prints what it sends there
 *   server                         prints its port, and serves one client: prints what it announces, and asks it to connect
 *                                  again, to //127.0.0.1:1/moved
 */
#include <arpa/inet.h>
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void show_peer(RTMP *r, const char *text)
{
	static const uint32_t codecs[] = {RTMP_FOURCC_HEVC, RTMP_FOURCC_AV1, RTMP_FOURCC_OPUS, RTMP_FOURCC_FLAC};
	AVal name = {(char *)text, (int)strlen(text)}, value;
	AMFObjectProperty property;
	int i;

	printf("caps %d codecs", RTMP_PeerCaps(r));
	for (i = 0; i < 4; i++)
		printf(" %d/%d", RTMP_PeerFourCc(r, RTMP_PACKET_TYPE_VIDEO, codecs[i]),
		       RTMP_PeerFourCc(r, RTMP_PACKET_TYPE_AUDIO, codecs[i]));
	if (RTMP_PeerProperty(r, &name, &property)) {
		AMFProp_GetString(&property, &value);
		printf(" %s %.*s", text, value.av_len, value.av_val);
	}
	name.av_val = "videoFourCcInfoMap";
	name.av_len = 18;
	if (RTMP_PeerProperty(r, &name, &property)) {
		AMFObject map;
		AMFProp_GetObject(&property, &map);
		printf(" map of %d", AMF_CountProp(&map));
		AMFProp_Reset(&property);
	}
	printf("\n");
	fflush(stdout);
}

static RTMPTrack track(uint32_t fourcc, uint8_t id, uint8_t packet, const char *text)
{
	RTMPTrack track;
	memset(&track, 0, sizeof(track));
	track.t_fourcc = fourcc;
	track.t_id = id;
	track.t_packet = packet;
	track.t_body = text;
	track.t_size = (uint32_t)strlen(text);
	return track;
}

static void send_media(RTMP *r, const char *what, uint8_t kind, uint32_t nano, const RTMPTrack *tracks, int count)
{
	int sent = RTMP_SendMedia(r, kind, 40, nano, tracks, count);
	printf("%s: %d", what, sent);
	if (!sent)
		printf(" %d %s", RTMP_GetLastError(r), RTMP_GetErrorString(r));
	printf(" connected %d\n", RTMP_IsConnected(r));
}

static int option(RTMP *r, char *text)
{
	AVal name, value;
	name.av_val = text;
	name.av_len = (int)strcspn(text, "=");
	value.av_val = text + name.av_len + 1;
	value.av_len = (int)strlen(value.av_val);
	return RTMP_SetOpt(r, &name, &value);
}

static int client(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc(), *to, *last;
	RTMPTrack tracks[2];
	RTMPPacket packet;
	AVal url, description;
	int i;

	RTMP_Init(r);
	if (!RTMP_SetupURL(r, argv[2]))
		return 1;
	for (i = 3; i < argc; i++)
		printf("option %d\n", option(r, argv[i]));
	RTMP_EnableWrite(r);
	printf("before: %d %d\n", RTMP_PeerCaps(r), RTMP_GetReconnect(r, &url, &description));
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0)) {
		printf("failed: %s\n", RTMP_GetErrorString(r));
		return 1;
	}
	show_peer(r, "fmsVer");
	tracks[0] = track(RTMP_FOURCC_HEVC, 0, RTMP_MEDIA_FRAMES, "one");
	tracks[0].t_key = 1;
	tracks[1] = track(RTMP_FOURCC_HEVC, 1, RTMP_MEDIA_FRAMES, "two");
	tracks[1].t_key = 1;
	send_media(r, "video", RTMP_PACKET_TYPE_VIDEO, 0, tracks, 1);
	send_media(r, "two tracks", RTMP_PACKET_TYPE_VIDEO, 0, tracks, 2);
	send_media(r, "second track", RTMP_PACKET_TYPE_VIDEO, 0, tracks + 1, 1);
	send_media(r, "nanoseconds", RTMP_PACKET_TYPE_VIDEO, 999999, tracks, 1);
	tracks[0] = track(RTMP_FOURCC_OPUS, 0, RTMP_MEDIA_FRAMES, "opus");
	send_media(r, "audio", RTMP_PACKET_TYPE_AUDIO, 0, tracks, 1);
	send_media(r, "no tracks", RTMP_PACKET_TYPE_AUDIO, 0, tracks, 0);
	send_media(r, "neither", 18, 0, tracks, 1);
	fflush(stdout);

	memset(&packet, 0, sizeof(packet));
	while (!RTMP_GetReconnect(r, &url, &description)) {
		if (RTMP_GetLastError(r) == RTMP_ERR_URL) {
			printf("refused: %s\n", RTMP_GetErrorString(r));
			break;
		}
		if (!RTMP_ReadPacket(r, &packet))
			break;
		if (RTMPPacket_IsReady(&packet)) {
			RTMP_ClientPacket(r, &packet);
			RTMPPacket_Free(&packet);
		}
	}
	if (RTMP_GetReconnect(r, &url, &description)) {
		printf("reconnect to %.*s: %.*s\n", url.av_len, url.av_val, description.av_len, description.av_val);
		to = RTMP_Alloc();
		RTMP_Init(to);
		printf("set up %d\n", RTMP_SetupReconnect(to, r));
		RTMP_Close(r);
		RTMP_Free(r);
		/* Nothing of the old session is needed. */
		memset(argv[2], 'x', strlen(argv[2]));
		for (i = 3; i < argc; i++)
			memset(argv[i], 'x', strlen(argv[i]));
		r = to;
		if (RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0)) {
			tracks[0] = track(RTMP_FOURCC_HEVC, 0, RTMP_MEDIA_FRAMES, "moved");
			send_media(r, "there", RTMP_PACKET_TYPE_VIDEO, 0, tracks, 1);
		} else {
			printf("failed: %s\n", RTMP_GetErrorString(r));
		}
		printf("%s %d\n", RTMP_GetReconnect(r, &url, &description) ? "asked again" : "not asked",
		       RTMP_SetupReconnect(r, r));
	}
	/* A chain of requests has an end. */
	last = r;
	RTMP_Close(last);
	RTMP_Close(last);
	RTMP_Free(last);
	return 0;
}

static void answer(RTMP *r, double transaction, int is_connect)
{
	static const AVal result = AVC("_result"), code = AVC("code"), success = AVC("NetConnection.Connect.Success");
	RTMPPacket packet;
	char body[600], *at = body, *end = body + sizeof(body);

	memset(&packet, 0, sizeof(packet));
	at = AMF_EncodeString(at, end, &result);
	at = AMF_EncodeNumber(at, end, transaction);
	*at++ = AMF_NULL;
	if (is_connect) {
		*at++ = AMF_OBJECT;
		at = AMF_EncodeNamedString(at, end, &code, &success);
		at = RTMP_EncodeCapabilities(r, at, end);
		at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
	} else {
		at = AMF_EncodeNumber(at, end, 1);
	}
	RTMPPacket_Alloc(&packet, (uint32_t)(at - body));
	packet.m_nChannel = 3;
	packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
	packet.m_nBodySize = (uint32_t)(at - body);
	memcpy(packet.m_body, body, packet.m_nBodySize);
	RTMP_SendPacket(r, &packet, FALSE);
	RTMPPacket_Free(&packet);
}

static int server(int argc, char **argv)
{
	static const AVal connect = AVC("connect"), elsewhere = AVC("//127.0.0.1:1/moved"), why = AVC("maintenance");
	static const AVal create = AVC("createStream");
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), i;
	char small[4];
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 5)
	    || getsockname(listener, (struct sockaddr *)&address, &size))
		return 1;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	RTMP_Init(r);
	for (i = 2; i < argc; i++)
		option(r, argv[i]);
	r->m_sb.sb_socket = accept(listener, NULL, NULL);
	if (!RTMP_Serve(r))
		return 1;
	memset(&packet, 0, sizeof(packet));
	while (RTMP_ReadPacket(r, &packet)) {
		AMFObject values;
		AVal name = {NULL, 0};
		if (!RTMPPacket_IsReady(&packet))
			continue;
		if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE
		    && AMF_Decode(&values, packet.m_body, (int)packet.m_nBodySize, FALSE) > 0) {
			AMFProp_GetString(AMF_GetProp(&values, NULL, 0), &name);
			if (AVMATCH(&name, &connect)) {
				printf("early %d %d\n", RTMP_PeerCaps(r), RTMP_SendReconnect(r, NULL, NULL));
				printf("take %d\n", RTMP_TakeConnect(r, &packet));
				show_peer(r, "app");
				printf("no room %d\n", RTMP_EncodeCapabilities(r, small, small + 4) == NULL);
				answer(r, AMFProp_GetNumber(AMF_GetProp(&values, NULL, 1)), TRUE);
				printf("ask %d", RTMP_SendReconnect(r, &elsewhere, &why));
				printf(" %d\n", RTMP_SendReconnect(r, NULL, NULL));
			} else {
				printf("take %d\n", RTMP_TakeConnect(r, &packet));
				if (AVMATCH(&name, &create))
					answer(r, AMFProp_GetNumber(AMF_GetProp(&values, NULL, 1)), FALSE);
			}
			AMF_Reset(&values);
		}
		RTMPPacket_Free(&packet);
	}
	RTMP_Close(r);
	RTMP_Free(r);
	close(listener);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	if (argc > 2 && !strcmp(argv[1], "client"))
		return client(argc, argv);
	return argc > 1 && !strcmp(argv[1], "server") ? server(argc, argv) : 2;
}
