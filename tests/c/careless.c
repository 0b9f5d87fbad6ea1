/*
 * Callers that do with an RTMP what the header does not forbid. Arguments are pairs: the name of a scenario, and a URL.
 * Prints what happened; exits with 0 unless memory was short. Meant to be run under valgrind.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static RTMP *closed_by_callback;

static void print_result(const char *step, int result)
{
	printf("%s: %d\n", step, result);
}

/* Connects with a copy of the URL, which the caller has to keep. */
static int open_stream(RTMP *r, char *url, int publish)
{
	r->Link.timeout = 2;
	if (!RTMP_SetupURL(r, url))
		return 0;
	if (publish)
		RTMP_EnableWrite(r);
	if (!RTMP_Connect(r, NULL)) {
		printf("not connected\n");
		return 0;
	}
	return RTMP_ConnectStream(r, 0);
}

static int read_all(RTMP *r)
{
	static char bytes[4096];
	int count, sum = 0;
	while ((count = RTMP_Read(r, bytes, sizeof(bytes))) > 0)
		sum += count;
	return sum;
}

/* Whatever happens, ends with RTMP_Close and RTMP_Free. */
static void play(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMP_Init(r);
	print_result("open", open_stream(r, url, 0));
	print_result("read", read_all(r) > 0);
	RTMP_Close(r);
	RTMP_Close(r);
	RTMP_Free(r);
}

/* On the stack, used for two connections without anything but RTMP_Close and RTMP_Init in between. */
static void reuse(char *url)
{
	RTMP session;
	int round;
	for (round = 0; round < 2; round++) {
		char copy[256];
		snprintf(copy, sizeof(copy), "%s", url);
		RTMP_Init(&session);
		print_result("open", open_stream(&session, copy, 0));
		print_result("read", read_all(&session) > 0);
		RTMP_Close(&session);
	}
}

/* Inside another struct, copied by assignment between all calls; what is left behind is overwritten. */
static void move(char *url)
{
	static struct { int before; RTMP session; int behind; } here, there;
	char bytes[1000];
	int count, sum = 0;
	RTMP_Init(&there.session);
	there.session.Link.timeout = 2;
	print_result("setup", RTMP_SetupURL(&there.session, url));
	here.session = there.session;
	print_result("connect", RTMP_Connect(&here.session, NULL));
	there.session = here.session;
	print_result("stream", RTMP_ConnectStream(&there.session, 0));
	for (;;) {
		here.session = there.session;
		memset(&there, 0xAA, sizeof(there));
		if ((count = RTMP_Read(&here.session, bytes, sizeof(bytes))) <= 0)
			break;
		sum += count;
		there.session = here.session;
		memset(&here, 0xAA, sizeof(here));
		if ((count = RTMP_Read(&there.session, bytes, sizeof(bytes))) <= 0) {
			here.session = there.session;
			break;
		}
		sum += count;
	}
	print_result("read", sum);
	RTMP_Close(&here.session);
}

/* SetupURL twice, options twice, never connected. */
static void set_up_twice(char *url)
{
	RTMP *r = RTMP_Alloc();
	char first[256], second[300];
	RTMP_Init(r);
	snprintf(first, sizeof(first), "%s", url);
	snprintf(second, sizeof(second), "%s app=other socks=proxy:99 conn=S:text conn=O:1 conn=NS:a:b conn=O:0", url);
	print_result("first", RTMP_SetupURL(r, first));
	RTMP_Close(r);
	print_result("second", RTMP_SetupURL(r, second));
	AMF_Reset(&r->Link.extras);
	free(r->Link.sockshost.av_val);
	r->Link.sockshost.av_val = NULL;
	RTMP_Close(r);
	RTMP_Free(r);
}

/* Closes a publishing session in the middle of a tag, and again in the middle of the next. */
static void write_half(char *url)
{
	static const char tag[] = "\x09\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00half";
	RTMP *r = RTMP_Alloc();
	char copy[256];
	int round;
	RTMP_Init(r);
	for (round = 0; round < 2; round++) {
		snprintf(copy, sizeof(copy), "%s", url);
		print_result("open", open_stream(r, copy, 1));
		print_result("write", RTMP_Write(r, tag, sizeof(tag) - 1));
		RTMP_Close(r);
		printf("body %s\n", r->m_write.m_body ? "set" : "NULL");
		print_result("write", RTMP_Write(r, tag, sizeof(tag) - 1));
	}
	RTMP_Free(r);
}

/* Frees the tag that is being written; the next call begins with a tag. */
static void free_half(char *url)
{
	static const char tag[] = "\x09\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00half";
	static const char whole[] = "\x08\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00" "abc\x00\x00\x00\x0E";
	RTMP *r = RTMP_Alloc();
	RTMP_Init(r);
	print_result("open", open_stream(r, url, 1));
	print_result("write", RTMP_Write(r, tag, sizeof(tag) - 1));
	printf("body %s, %u\n", r->m_write.m_body ? "set" : "NULL", r->m_write.m_nBytesRead);
	RTMPPacket_Free(&r->m_write);
	print_result("write", RTMP_Write(r, whole, sizeof(whole) - 1));
	print_result("write", RTMP_Write(r, tag, sizeof(tag) - 5));
	RTMPPacket_Free(&r->m_write);
	print_result("write", RTMP_Write(r, tag, sizeof(tag) - 1));
	RTMPPacket_Free(&r->m_write);
	RTMP_Close(r);
	RTMP_Free(r);
}

/* Reads packets, keeps the first body and gives it back in another struct; leaves another message unfinished. */
static void packets(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet = {0}, other = {0};
	RTMPChunk chunk = {0};
	int seen = 0;
	RTMP_Init(r);
	print_result("open", open_stream(r, url, 0));
	packet.m_chunk = &chunk;
	while (RTMP_ReadPacket(r, &packet)) {
		unsigned char sum = 0;
		int i;
		for (i = 0; i < chunk.c_chunkSize; i++)
			sum += (unsigned char)chunk.c_chunk[i];
		if (!RTMPPacket_IsReady(&packet) || !packet.m_body)
			continue;
		RTMP_ClientPacket(r, &packet);
		if (!seen++) {
			other.m_body = packet.m_body;
			packet.m_body = NULL;
		} else {
			free(packet.m_body - RTMP_MAX_HEADER_SIZE);
			packet.m_body = NULL;
		}
		(void)sum;
	}
	print_result("packets", seen > 1);
	RTMPPacket_Free(&other);
	RTMPPacket_Free(&packet);
	RTMP_Close(r);
	RTMP_Free(r);
}

static void close_in_callback(int level, const char *format, va_list arguments)
{
	char text[2048];
	vsnprintf(text, sizeof(text), format, arguments);
	if (level <= RTMP_LOGERROR && closed_by_callback)
		RTMP_Close(closed_by_callback);
}

/* The log callback closes the session at the first error. */
static void callback(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMP_LogSetCallback(close_in_callback);
	RTMP_LogSetLevel(RTMP_LOGDEBUG);
	RTMP_Init(r);
	closed_by_callback = r;
	print_result("open", open_stream(r, url, 0));
	read_all(r);
	print_result("connected", RTMP_IsConnected(r));
	RTMP_Free(r);
}

/* Sends a message larger than its struct says it has room in front, from memory that it does not own. */
static void borrowed_body(char *url)
{
	static char body[300];
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet;
	int i;
	RTMP_Init(r);
	print_result("open", open_stream(r, url, 1));
	memset(&packet, 0x55, sizeof(packet));
	packet.m_headerType = RTMP_PACKET_SIZE_MEDIUM;
	packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
	packet.m_nChannel = 6;
	packet.m_nTimeStamp = 0;
	packet.m_nInfoField2 = r->m_stream_id;
	packet.m_body = body;
	packet.m_nBodySize = sizeof(body);
	for (i = 0; i < 3; i++)
		print_result("send", RTMP_SendPacket(r, &packet, FALSE));
	RTMP_Close(r);
	print_result("send", RTMP_SendPacket(r, &packet, FALSE));
	RTMP_Free(r);
}

/* The connection fails, and the caller frees without closing: RTMP_Connect has done that. */
static void only_free(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMP_Init(r);
	print_result("open", open_stream(r, url, 0));
	RTMP_Free(r);
}

/* Never connected, and freed without RTMP_Close: there was nothing to close. */
static void unconnected(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet = {0};
	(void)url;
	RTMP_Init(r);
	print_result("no host", RTMP_Connect(r, NULL));
	print_result("packet", RTMP_ClientPacket(r, &packet));
	RTMP_Free(r);
}

/* The only failure that is told is that there is no connection, once for each call. */
static void reconnect_closed(char *url)
{
	RTMP *r = RTMP_Alloc();
	(void)url;
	RTMP_Init(r);
	print_result("reconnect", RTMP_ReconnectStream(r, 0));
	RTMP_Free(r);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(char *url); } scenarios[] = {
		{"play", play},         {"reuse", reuse},       {"move", move},
		{"setup", set_up_twice}, {"write", write_half}, {"packets", packets},
		{"callback", callback}, {"borrowed", borrowed_body}, {"free", only_free},
		{"unconnected", unconnected}, {"reconnect", reconnect_closed}, {"half", free_half},
	};
	const size_t count = sizeof(scenarios) / sizeof(scenarios[0]);
	size_t i;
	int at;
	if (argc < 3 || argc % 2 == 0)
		return 2;
	RTMP_LogSetLevel(RTMP_LOGERROR);
	for (at = 1; at < argc; at += 2) {
		char *url = strdup(argv[at + 1]);
		for (i = 0; i < count && strcmp(argv[at], scenarios[i].name); i++)
			;
		if (i == count)
			return 2;
		scenarios[i].run(url);
		free(url);
	}
	return 0;
}
