/*
 * A server and a client in one process: `serve` for RTMP, `serve CERTIFICATE KEY` for RTMPS. The server answers the
 * client's commands until it plays, sends it a frame, and shows what the client has said.
 */
#include <arpa/inet.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hex.h"

static void *context;
static int listener;
static char heard[65536];

#define SAY(...) snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), __VA_ARGS__)

static void send_command(RTMP *r, int stream, const char *body, size_t n)
{
	RTMPPacket packet = {.m_nChannel = 3, .m_packetType = RTMP_PACKET_TYPE_INVOKE, .m_nInfoField2 = stream};
	RTMPPacket_Alloc(&packet, (uint32_t)n);
	memcpy(packet.m_body, body, n);
	packet.m_nBodySize = (uint32_t)n;
	SAY("  sent %d\n", RTMP_SendPacket(r, &packet, FALSE));
	RTMPPacket_Free(&packet);
}

/* `_result` with a number, which is the stream's id to the client that created one. */
static void send_result(RTMP *r, double transaction)
{
	static const AVal result = AVC("_result");
	char body[100], *at = AMF_EncodeString(body, body + sizeof(body), &result);
	at = AMF_EncodeNumber(at, body + sizeof(body), transaction);
	*at++ = AMF_NULL;
	at = AMF_EncodeNumber(at, body + sizeof(body), 1);
	send_command(r, 0, body, (size_t)(at - body));
}

static void send_start(RTMP *r)
{
	static const AVal status = AVC("onStatus"), code = AVC("code"), start = AVC("NetStream.Play.Start");
	char body[200], *end = body + sizeof(body), *at = AMF_EncodeString(body, end, &status);
	at = AMF_EncodeNumber(at, end, 0);
	*at++ = AMF_NULL;
	*at++ = AMF_OBJECT;
	at = AMF_EncodeNamedString(at, end, &code, &start);
	at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
	send_command(r, 1, body, (size_t)(at - body));
}

static void send_frame(RTMP *r)
{
	RTMPPacket packet = {.m_nChannel = 6, .m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nInfoField2 = 1, .m_nTimeStamp = 40};
	RTMPPacket_Alloc(&packet, 300);
	packet.m_nBodySize = 300;
	memset(packet.m_body, 0x17, 300);
	SAY("  sent %d\n", RTMP_SendPacket(r, &packet, FALSE));
	RTMPPacket_Free(&packet);
}

static void *serve(void *unused)
{
	static const AVal connect = AVC("connect"), create = AVC("createStream"), play = AVC("play");
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet = {0};

	RTMP_Init(r);
	r->m_sb.sb_socket = accept(listener, NULL, NULL);
	if (context)
		SAY("accept TLS %d\n", RTMP_TLS_Accept(r, context));
	SAY("serve %d\n", RTMP_Serve(r));
	SAY("protocol %d send counter %d\n", r->Link.protocol, r->m_bSendCounter);
	while (RTMP_ReadPacket(r, &packet)) {
		AMFObject object = {0, NULL};
		AVal name = {NULL, 0};
		if (!RTMPPacket_IsReady(&packet))
			continue;
		SAY("type %d channel %d stream %d size %u time %u\n", packet.m_packetType, packet.m_nChannel,
		    packet.m_nInfoField2, packet.m_nBodySize, packet.m_nTimeStamp);
		if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE
		    && AMF_Decode(&object, packet.m_body, (int)packet.m_nBodySize, FALSE) > 0) {
			double transaction = AMFProp_GetNumber(AMF_GetProp(&object, NULL, 1));
			AMFProp_GetString(AMF_GetProp(&object, NULL, 0), &name);
			SAY("  %.*s %g\n", name.av_len, name.av_val, transaction);
			if (AVMATCH(&name, &connect) || AVMATCH(&name, &create))
				send_result(r, transaction);
			if (AVMATCH(&name, &play)) {
				send_start(r);
				send_frame(r);
			}
		}
		AMF_Reset(&object);
		RTMPPacket_Free(&packet);
	}
	SAY("end connected %d timed out %d\n", RTMP_IsConnected(r), RTMP_IsTimedout(r));
	RTMP_Close(r);
	RTMP_Free(r);
	return unused;
}

static void play(int port)
{
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet = {0};
	char url[100];

	RTMP_Init(r);
	snprintf(url, sizeof(url), "%s://127.0.0.1:%d/app/name timeout=20", context ? "rtmps" : "rtmp", port);
	printf("setup %d\n", RTMP_SetupURL(r, url));
	printf("connect %d\n", RTMP_Connect(r, NULL));
	printf("stream %d\n", RTMP_ConnectStream(r, 0));
	printf("media %d", RTMP_GetNextMediaPacket(r, &packet));
	printf(" type %d time %u size %u bytes %d\n", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize, r->m_nBytesIn);
	RTMPPacket_Free(&packet);
	RTMP_Close(r);
	RTMP_Free(r);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	pthread_t thread;

	alarm(60);
	RTMP_LogSetOutput(stdout);
	RTMP_LogSetLevel(RTMP_LOGERROR);
	if (argc > 2) {
		printf("no such file: %d\n", RTMP_TLS_AllocServerContext("/nonexistent", argv[2]) != NULL);
		context = RTMP_TLS_AllocServerContext(argv[1], argv[2]);
		printf("context %d\n", context != NULL);
		if (!context)
			return 1;
	}
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1)
	    || getsockname(listener, (struct sockaddr *)&address, &len) || pthread_create(&thread, NULL, serve, NULL))
		return 3;
	play(ntohs(address.sin_port));
	pthread_join(thread, NULL);
	printf("%s", heard);
	if (context)
		RTMP_TLS_FreeServerContext(context);
	close(listener);
	return 0;
}
