/*
 * Drives one RTMP object: every line of the input is a step. Prints each step with its result, and the fields that
 * applications look at whenever one of them has changed. An argument is the level of the log.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <sys/resource.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "hex.h"

#define FIELDS 80
#define WIDTH 1024

static RTMP *r;
static char before[FIELDS][WIDTH];
static const char *playpath0; /* what Link.playpath0 was when it was something */
static int settled;

static int open_socket(void)
{
	return RTMP_IsConnected(r) != 0;
}

/* A string of Link: its text, NULL, or what RTMP_Close left behind. */
static void print_string(char *out, const char *name, const AVal *value)
{
	if (!value->av_val)
		snprintf(out, WIDTH, value->av_len ? "%s=NULL(%d)" : "%s=NULL", name, value->av_len);
	else if (value->av_val == playpath0 && !r->Link.playpath0.av_val)
		snprintf(out, WIDTH, "%s=dangling", name);
	else
		snprintf(out, WIDTH, "%s='%.*s'", name, value->av_len, value->av_val);
}

static void print_bytes(char *out, const char *name, const unsigned char *data, int n)
{
	out += sprintf(out, "%s=", name);
	while (n--)
		out += sprintf(out, "%02x", *data++);
}

/* The time of the last message on every chunk stream. */
static void print_times(char *out)
{
	int i;
	out += sprintf(out, "times=");
	for (i = 0; r->m_channelTimestamp && i < r->m_channelsAllocatedIn && i < 64; i++)
		if (r->m_channelTimestamp[i])
			out += sprintf(out, "%d:%d,", i, r->m_channelTimestamp[i]);
}

/* The commands whose results are awaited. */
static void print_calls(char *out)
{
	int i;
	out += sprintf(out, "calls=");
	for (i = 0; i < r->m_numCalls && i < 20; i++)
		out += sprintf(out, "%.*s:%d,", r->m_methodCalls[i].name.av_len, r->m_methodCalls[i].name.av_val,
			       r->m_methodCalls[i].num);
}

/* Bytes that have arrived and are not read; known once a script has said how many there are. */
static int unread(void)
{
	int n = 0;
	if (open_socket())
		ioctl(RTMP_Socket(r), FIONREAD, &n);
	return r->m_sb.sb_size + n;
}

/* Prints the fields that differ from what they were. */
static void print_fields(void)
{
	static char now[FIELDS][WIDTH];
	int n = 0, i;
#define FIELD(name, format, value) snprintf(now[n++], WIDTH, name "=" format, value)
#define STRING(name, field) print_string(now[n++], name, &r->Link.field)
	if (r->Link.playpath0.av_val)
		playpath0 = r->Link.playpath0.av_val;
	FIELD("connected", "%d", open_socket());
	FIELD("timedout", "%d", RTMP_IsTimedout(r) != 0);
	FIELD("playing", "%d", r->m_bPlaying);
	FIELD("stream_id", "%d", r->m_stream_id);
	FIELD("numInvokes", "%d", r->m_numInvokes);
	FIELD("numCalls", "%d", r->m_numCalls);
	print_calls(now[n++]);
	FIELD("mediaChannel", "%d", r->m_mediaChannel);
	FIELD("mediaStamp", "%u", r->m_mediaStamp);
	FIELD("pauseStamp", "%u", r->m_pauseStamp);
	FIELD("pausing", "%d", r->m_pausing);
	print_times(now[n++]);
	FIELD("serverBW", "%d", r->m_nServerBW);
	FIELD("clientBW", "%d", r->m_nClientBW);
	FIELD("clientBW2", "%d", r->m_nClientBW2);
	FIELD("inChunkSize", "%d", r->m_inChunkSize);
	FIELD("outChunkSize", "%d", r->m_outChunkSize);
	FIELD("bufferMS", "%d", r->m_nBufferMS);
	FIELD("bwCheckCounter", "%d", r->m_nBWCheckCounter);
	FIELD("bytesIn", "%d", r->m_nBytesIn);
	FIELD("bytesInSent", "%d", r->m_nBytesInSent);
	FIELD("duration", "%g", RTMP_GetDuration(r));
	FIELD("audioCodecs", "%g", r->m_fAudioCodecs);
	FIELD("videoCodecs", "%g", r->m_fVideoCodecs);
	FIELD("encoding", "%g", r->m_fEncoding);
	FIELD("sendEncoding", "%d", r->m_bSendEncoding);
	FIELD("sendCounter", "%d", r->m_bSendCounter);
	FIELD("msgCounter", "%d", r->m_msgCounter);
	FIELD("polling", "%d", r->m_polling);
	print_string(now[n++], "clientID", &r->m_clientID);
	FIELD("read.status", "%d", r->m_read.status);
	FIELD("read.flags", "%d", r->m_read.flags);
	FIELD("read.dataType", "%d", r->m_read.dataType);
	FIELD("read.timestamp", "%u", r->m_read.timestamp);
	FIELD("read.resumeTS", "%u", r->m_read.nResumeTS);
	FIELD("read.frameType", "%d", r->m_read.initialFrameType);
	FIELD("read.frame", "%s", r->m_read.initialFrame ? "set" : "NULL");
	FIELD("read.frameSize", "%u", r->m_read.nInitialFrameSize);
	FIELD("read.meta", "%s", r->m_read.metaHeader ? "set" : "NULL");
	FIELD("read.metaSize", "%u", r->m_read.nMetaHeaderSize);
	FIELD("read.ignored", "%u", r->m_read.nIgnoredFrameCounter);
	FIELD("read.ignoredFlv", "%u", r->m_read.nIgnoredFlvFrameCounter);
	FIELD("protocol", "%d", r->Link.protocol);
	FIELD("port", "%d", r->Link.port);
	FIELD("socksport", "%d", r->Link.socksport);
	FIELD("timeout", "%d", r->Link.timeout);
	FIELD("lFlags", "%d", r->Link.lFlags);
	FIELD("seekTime", "%d", r->Link.seekTime);
	FIELD("stopTime", "%d", r->Link.stopTime);
	FIELD("swfAge", "%d", r->Link.swfAge);
	FIELD("SWFSize", "%u", r->Link.SWFSize);
	print_bytes(now[n++], "SWFHash", r->Link.SWFHash, sizeof(r->Link.SWFHash));
	FIELD("extras", "%d", r->Link.extras.o_num);
	FIELD("edepth", "%d", r->Link.edepth);
	FIELD("playpath0", "%s", r->Link.playpath0.av_val ? "set" : "NULL");
	STRING("playpath", playpath);
	STRING("hostname", hostname);
	STRING("app", app);
	STRING("tcUrl", tcUrl);
	STRING("swfUrl", swfUrl);
	STRING("pageUrl", pageUrl);
	STRING("auth", auth);
	STRING("flashVer", flashVer);
	STRING("subscribepath", subscribepath);
	STRING("usherToken", usherToken);
	STRING("token", token);
	STRING("pubUser", pubUser);
	STRING("pubPasswd", pubPasswd);
	STRING("sockshost", sockshost);
	if (settled) {
		FIELD("unread", "%d", unread());
		/* How much is read ahead of a large body is nobody's business. */
		FIELD("buffered", "%s", r->m_sb.sb_size > 0 ? "some" : "none");
	}
	for (i = 0; i < n; i++) {
		if (strcmp(now[i], before[i]))
			printf(" %s", now[i]);
		strcpy(before[i], now[i]);
	}
}

/* Waits until exactly so many bytes are there and not read. */
static int settle(int wanted)
{
	int tries;
	settled = 1;
	for (tries = 0; tries < 5000 && unread() < wanted; tries++)
		usleep(1000);
	return unread() == wanted;
}

/* Reads chunks until a message is complete; 0 when reading failed. */
static int read_message(RTMPPacket *packet)
{
	while (RTMP_ReadPacket(r, packet))
		if (RTMPPacket_IsReady(packet))
			return 1;
	return 0;
}

static int set(const char *name, int value)
{
	if (!strcmp(name, "timeout")) r->Link.timeout = value;
	else if (!strcmp(name, "lFlags")) r->Link.lFlags |= value;
	else if (!strcmp(name, "pausing")) r->m_pausing = value;
	else if (!strcmp(name, "pauseStamp")) r->m_pauseStamp = value;
	else if (!strcmp(name, "clientBW")) r->m_nClientBW = value;
	else if (!strcmp(name, "encoding")) r->m_fEncoding = value;
	else if (!strcmp(name, "sendEncoding")) r->m_bSendEncoding = value;
	else if (!strcmp(name, "SWFSize")) r->Link.SWFSize = value;
	else if (!strcmp(name, "status")) r->m_read.status = value;
	else if (!strcmp(name, "bytesIn")) r->m_nBytesIn = r->m_nBytesInSent = value;
	else if (!strcmp(name, "readTimestamp")) r->m_read.timestamp = value;
	else if (!strcmp(name, "audioCodecs")) r->m_fAudioCodecs = value;
	else if (!strcmp(name, "videoCodecs")) r->m_fVideoCodecs = value;
	else if (!strcmp(name, "numInvokes")) r->m_numInvokes = value;
	else if (!strcmp(name, "stream_id")) r->m_stream_id = value;
	else if (!strcmp(name, "playing")) r->m_bPlaying = value;
	else if (!strcmp(name, "sendCounter")) r->m_bSendCounter = value;
	else if (!strcmp(name, "outChunkSize")) r->m_outChunkSize = value;
	else if (!strcmp(name, "inChunkSize")) r->m_inChunkSize = value;
	else if (!strcmp(name, "loglevel")) RTMP_LogSetLevel(value);
	else return 0;
	return 1;
}

/* Waits until the peer has refused what was sent to it. */
static int broken(void)
{
	struct pollfd wait = {.fd = RTMP_Socket(r)};
	return poll(&wait, 1, 10000) == 1 && (wait.revents & POLLERR) != 0;
}

/* Lets the program have so many kilobytes more than it has. */
static int limit_memory(int kilobytes)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;
	struct rlimit limit;
	if (!file)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	limit.rlim_cur = limit.rlim_max = pages * (unsigned long)sysconf(_SC_PAGESIZE) + ((unsigned long)kilobytes << 10);
	return pages && !setrlimit(RLIMIT_AS, &limit);
}

/* An option on its own: "name=value". */
static int set_option(char *text)
{
	char *equals = strchr(text, '=');
	AVal name = {text, (int)(equals - text)}, value = {equals + 1, (int)strlen(equals + 1)};
	*equals = 0;
	return RTMP_SetOpt(r, &name, &value);
}

/* Everything that RTMP_SetupStream takes, for a server of this machine. */
static void setup_stream(int port)
{
	static char hash_bytes[] = "0123456789abcdef0123456789ABCDEF";
	static AVal host = AVC("127.0.0.1"), none = {NULL, 0}, playpath = AVC("name"), url = AVC("rtmp://h/app"),
		    swf = AVC("http://h/a.swf"), page = AVC("http://h/"), app = AVC("app"), auth = AVC("secret"),
		    version = AVC("TST 1,2"), subscribe = AVC("other"), usher = AVC("usher");
	AVal hash = {hash_bytes, 32};
	RTMP_SetupStream(r, RTMP_PROTOCOL_RTMP, &host, (unsigned)port, &none, &playpath, &url, &swf, &page, &app, &auth,
			 &hash, 4321, &version, &subscribe, &usher, 1000, 5000, 1, 5);
}

/* Connects the program's own way: an address, then a connect command of its own. */
static int connect_with_packet(int port)
{
	static const AVal connect = AVC("connect"), app = AVC("app"), value = AVC("of its own");
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	char memory[RTMP_MAX_HEADER_SIZE + 200], *start = memory + RTMP_MAX_HEADER_SIZE, *end = memory + sizeof(memory), *at;
	RTMPPacket packet = {.m_nChannel = 3, .m_headerType = RTMP_PACKET_SIZE_LARGE,
			     .m_packetType = RTMP_PACKET_TYPE_INVOKE, .m_body = start};
	at = AMF_EncodeString(start, end, &connect);
	at = AMF_EncodeNumber(at, end, ++r->m_numInvokes);
	*at++ = AMF_OBJECT;
	at = AMF_EncodeNamedString(at, end, &app, &value);
	at = AMF_EncodeInt24(at, end, AMF_OBJECT_END);
	packet.m_nBodySize = (uint32_t)(at - start);
	return RTMP_Connect0(r, (struct sockaddr *)&address) && RTMP_Connect1(r, &packet);
}

/* Serves the peer, to whose port this side has to connect. */
static int serve(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	r->m_sb.sb_socket = fd;
	return RTMP_Serve(r);
}

/* "<kind> <channel> <stream> <time> <header type> <queue> <body>" */
static int send_packet(const char *text)
{
	unsigned kind, channel, stream, time, header, queue;
	char body[512] = "";
	RTMPPacket packet = {0};
	int n, ret;
	sscanf(text, "%u %u %u %u %u %u %511s", &kind, &channel, &stream, &time, &header, &queue, body);
	char *bytes = parse_hex(body, &n);
	RTMPPacket_Alloc(&packet, (uint32_t)n);
	memcpy(packet.m_body, bytes, n);
	free(bytes);
	packet.m_packetType = (uint8_t)kind;
	packet.m_nChannel = (int)channel;
	packet.m_nInfoField2 = (int)stream;
	packet.m_nTimeStamp = time;
	packet.m_headerType = (uint8_t)header;
	packet.m_nBodySize = (uint32_t)n;
	ret = RTMP_SendPacket(r, &packet, (int)queue);
	RTMPPacket_Free(&packet);
	return ret;
}

/* Publishes a tag of an FLV file with so many bytes in it. */
static int write_tag(int type, unsigned time, int size)
{
	unsigned char *tag = malloc((size_t)size + 15);
	int i, ret;
	char *end = AMF_EncodeInt24((char *)tag + 1, (char *)tag + 4, size);
	end = AMF_EncodeInt24(end, end + 3, (int)(time & 0xffffff));
	tag[0] = (unsigned char)type;
	*end++ = (char)(time >> 24);
	end = AMF_EncodeInt24(end, end + 3, 0);
	for (i = 0; i < size; i++)
		*end++ = (char)(i * 7 + (i >> 8));
	AMF_EncodeInt32(end, end + 4, size + 11);
	ret = RTMP_Write(r, (char *)tag, size + 15);
	free(tag);
	return ret;
}

/* "<header> <body>", both in hexadecimal digits. */
static int send_chunk(const char *text)
{
	RTMPChunk chunk = {0};
	int header, body, ret;
	char *bytes = parse_hex(text, &header), *room;
	memcpy(chunk.c_header, bytes, header);
	free(bytes);
	bytes = parse_hex(strchr(text, ' ') + 1, &body);
	room = malloc(header + body + 1); /* the header is put in front of the data */
	memcpy(room + header, bytes, body);
	free(bytes);
	chunk.c_headerSize = header;
	chunk.c_chunkSize = body;
	chunk.c_chunk = room + header;
	ret = RTMP_SendChunk(r, &chunk);
	free(room);
	return ret;
}

/* Makes reading go on after a key frame: "<type> <time> <frame> <metadata>". */
static int resume(const char *text)
{
	int type, n;
	unsigned time;
	char frame[256] = "", meta[512] = "";
	if (sscanf(text, "%d %u %255s %511s", &type, &time, frame, meta) < 3)
		return 0;
	r->m_read.flags |= RTMP_READ_RESUME;
	r->m_read.initialFrameType = (uint8_t)type;
	r->m_read.nResumeTS = time;
	r->m_read.initialFrame = parse_hex(frame, &n);
	r->m_read.nInitialFrameSize = (uint32_t)n;
	if (*meta) {
		r->m_read.metaHeader = parse_hex(meta, &n);
		r->m_read.nMetaHeaderSize = (uint32_t)n;
	}
	return 1;
}

/* What a message is, apart from what every line says. */
static void describe(const RTMPPacket *packet, char *note)
{
	int n = snprintf(note, WIDTH, " header %d channel %d stream %d absolute %d read %u body ", packet->m_headerType,
			 packet->m_nChannel, packet->m_nInfoField2, packet->m_hasAbsTimestamp, packet->m_nBytesRead);
	print_bytes(note + n - 1, "", (unsigned char *)packet->m_body, packet->m_nBodySize < 64 ? (int)packet->m_nBodySize : 64);
}

int main(int argc, char **argv)
{
	char *line, *kept[64];
	static char note[2 * WIDTH];
	int used = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = RTMP_Alloc();
	RTMP_Init(r);
	if (argc > 1)
		RTMP_LogSetLevel((RTMP_LogLevel)atoi(argv[1]));
	while ((line = read_line())) {
		char word[32] = "", name[64] = "", *rest;
		int a = 0, b = 0, c = 0, ret = 0;
		*note = 0;
		sscanf(line, "%31s", word);
		rest = line + strlen(word);
		rest += *rest == ' ';
		printf("%s:", line);
		sscanf(rest, "%i %i %i", &a, &b, &c);
#define STEP(step) else if (!strcmp(word, step))
		if (!strcmp(word, "setup")) {
			ret = RTMP_SetupURL(r, rest);
			kept[used++] = line; /* the object points into it */
			line = NULL;
		}
		STEP("set") ret = sscanf(rest, "%63s %i", name, &a) == 2 && set(name, a);
		STEP("enablewrite") RTMP_EnableWrite(r);
		STEP("connect") ret = RTMP_Connect(r, NULL);
		STEP("stream") ret = RTMP_ConnectStream(r, a);
		STEP("reconnect") ret = RTMP_ReconnectStream(r, a);
		STEP("delete") RTMP_DeleteStream(r);
		STEP("close") RTMP_Close(r);
		STEP("pause") ret = RTMP_Pause(r, a);
		STEP("sendpause") ret = RTMP_SendPause(r, a, b);
		STEP("seek") ret = RTMP_SendSeek(r, a);
		STEP("toggle") ret = RTMP_ToggleStream(r);
		STEP("ctrl") ret = RTMP_SendCtrl(r, (short)a, (unsigned)b, (unsigned)c);
		STEP("serverbw") ret = RTMP_SendServerBW(r);
		STEP("clientbw") ret = RTMP_SendClientBW(r);
		STEP("create") ret = RTMP_SendCreateStream(r);
		STEP("buffer") { RTMP_SetBufferMS(r, a); RTMP_UpdateBufferMS(r); }
		STEP("packet") {
			RTMPPacket packet = {0};
			ret = -1;
			if (read_message(&packet)) {
				printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
				describe(&packet, note);
				ret = RTMP_ClientPacket(r, &packet);
				RTMPPacket_Free(&packet);
			}
		}
		STEP("media") {
			RTMPPacket packet = {0};
			ret = RTMP_GetNextMediaPacket(r, &packet);
			if (ret) {
				printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
				describe(&packet, note);
			}
			RTMPPacket_Free(&packet);
		}
		/* The most memory that the process had so far, in megabytes. */
		STEP("memory") {
			struct rusage used_up;
			ret = getrusage(RUSAGE_SELF, &used_up) ? -1 : (int)(used_up.ru_maxrss >> 10);
		}
		STEP("read") {
			char *buffer = malloc(a + 1);
			errno = 0;
			ret = RTMP_Read(r, buffer, a);
			if (ret > 0)
				print_bytes(note, " flv", (unsigned char *)buffer, ret < 400 ? ret : 400);
			else if (ret < 0)
				sprintf(note, " errno %d", errno == EINVAL ? EINVAL : 0);
			free(buffer);
		}
		STEP("write") {
			char *bytes = parse_hex(rest, &a);
			ret = RTMP_Write(r, bytes, a);
			free(bytes);
		}
		/* A tag of an FLV file: "<type> <time> <size of its data>". */
		STEP("tag") ret = write_tag(a, (unsigned)b, c);
		STEP("option") {
			ret = set_option(rest);
			kept[used++] = line;
			line = NULL;
		}
		STEP("setupstream") setup_stream(a);
		STEP("connectwith") ret = connect_with_packet(a);
		STEP("serve") ret = serve(a);
		STEP("send") ret = send_packet(rest);
		STEP("chunk") ret = send_chunk(rest);
		STEP("resume") ret = resume(rest);
		STEP("leave") ret = limit_memory(a);
		STEP("broken") ret = broken();
		STEP("settle") ret = settle(a);
		STEP("update") RTMP_UpdateBufferMS(r);
		STEP("drop") RTMP_DropRequest(r, a, TRUE);
		else {
			printf(" unknown step\n");
			return 2;
		}
		printf(" -> %d |", ret);
		print_fields();
		printf("%s\n", note);
		free(line);
	}
	free(r->m_read.initialFrame);
	free(r->m_read.metaHeader);
	r->m_read.initialFrame = r->m_read.metaHeader = NULL;
	RTMP_Close(r);
	/* What options allocated stays the caller's. */
	AMF_Reset(&r->Link.extras);
	free(r->Link.sockshost.av_val);
	RTMP_Free(r);
	while (used)
		free(kept[--used]);
	return 0;
}
