/*
 * Drives one RTMP object: every line of the input is a step, and "another" continues with a new one. Prints each step with its result, and the fields that
 * applications look at whenever one of them has changed. Arguments are the level of the log, and "in-turns" if each step
 * runs in another thread.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "hex.h"

#define FIELDS 80
#define WIDTH 1024

static RTMP *r;
static char before[FIELDS][WIDTH];
static const char *playpath0; /* what Link.playpath0 was when it was something */
static int settled;

/* What errno is set to before each call of the library. No system uses the value. */
#define UNTOUCHED 4711

/* The values of errno that calls of this step have left behind, each once. */
static char errnos[256];

/* Notes errno behind a call, which failed or not: what a call that succeeded left there is "stray". */
static void note_errno(int failed)
{
	static const struct {
		int value;
		const char *name;
	} known[] = {{EAGAIN, "EAGAIN"}, {EBADF, "EBADF"}, {ECONNREFUSED, "ECONNREFUSED"}, {ECONNRESET, "ECONNRESET"},
		     {EINPROGRESS, "EINPROGRESS"}, {EINTR, "EINTR"}, {EINVAL, "EINVAL"}, {ENOENT, "ENOENT"},
		     {ENOMEM, "ENOMEM"}, {ENOTCONN, "ENOTCONN"}, {ENOTTY, "ENOTTY"}, {EPIPE, "EPIPE"},
		     {ETIMEDOUT, "ETIMEDOUT"}, {0, "0"}};
	int left = errno;
	char text[40];
	size_t i;
	if (left == UNTOUCHED)
		return;
	snprintf(text, sizeof text, " %s=%d", failed ? "errno" : "stray", left);
	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (left == known[i].value)
			snprintf(text, sizeof text, " %s=%s", failed ? "errno" : "stray", known[i].name);
	if (!strstr(errnos, text) && strlen(errnos) + strlen(text) < sizeof errnos)
		strcat(errnos, text);
}

/* The result of a call; `least` is the least that it returns when it succeeds. */
static int after(int ret, int least)
{
	note_errno(ret < least);
	return ret;
}

/* Calls the library, and looks at errno as soon as that has returned. */
#define CALL(call, least) (errno = UNTOUCHED, after(call, least))
#define RUN(call) (errno = UNTOUCHED, (call), note_errno(0))

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
	while (CALL(RTMP_ReadPacket(r, packet), 1))
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
	return CALL(RTMP_SetOpt(r, &name, &value), 1);
}

/* Everything that RTMP_SetupStream takes, for a server of this machine. */
static void setup_stream(int port)
{
	static char hash_bytes[] = "0123456789abcdef0123456789ABCDEF";
	static AVal host = AVC("127.0.0.1"), none = {NULL, 0}, playpath = AVC("name"), url = AVC("rtmp://h/app"),
		    swf = AVC("http://h/a.swf"), page = AVC("http://h/"), app = AVC("app"), auth = AVC("secret"),
		    version = AVC("TST 1,2"), subscribe = AVC("other"), usher = AVC("usher");
	AVal hash = {hash_bytes, 32};
	RUN(RTMP_SetupStream(r, RTMP_PROTOCOL_RTMP, &host, (unsigned)port, &none, &playpath, &url, &swf, &page, &app, &auth,
			     &hash, 4321, &version, &subscribe, &usher, 1000, 5000, 1, 5));
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
	return CALL(RTMP_Connect0(r, (struct sockaddr *)&address), 1) && CALL(RTMP_Connect1(r, &packet), 1);
}

/* Serves the peer, to whose port this side has to connect. */
static int serve(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	r->m_sb.sb_socket = fd;
	return CALL(RTMP_Serve(r), 1);
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
	ret = CALL(RTMP_SendPacket(r, &packet, (int)queue), 1);
	RUN(RTMPPacket_Free(&packet));
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
	ret = CALL(RTMP_Write(r, (char *)tag, size + 15), 0);
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
	ret = CALL(RTMP_SendChunk(r, &chunk), 1);
	free(room);
	return ret;
}

/* Makes reading continue after a key frame: "<type> <time> <frame> <metadata>". */
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

/* Sends Set Chunk Size as programs do that fill in what they know of, in a packet that was never initialised. */
static int announce(int size)
{
	RTMPPacket packet;
	char memory[RTMP_MAX_HEADER_SIZE + 4];
	memset(&packet, 0xa5, sizeof packet);
	memset(memory, 0xa5, sizeof memory);
	packet.m_nBytesRead = 0;
	packet.m_body = memory + RTMP_MAX_HEADER_SIZE;
	packet.m_packetType = RTMP_PACKET_TYPE_CHUNK_SIZE;
	packet.m_hasAbsTimestamp = 0;
	packet.m_nChannel = 2;
	packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
	packet.m_nBodySize = 4;
	AMF_EncodeInt32(packet.m_body, packet.m_body + 4, size);
	return CALL(RTMP_SendPacket(r, &packet, FALSE), 1);
}

/* Looks at what was sent last on a chunk stream, as far as there is a record of it. It must not be what is freed. */
static int look_at_sent(int channel)
{
	const RTMPPacket *sent = channel < r->m_channelsAllocatedOut ? r->m_vecChannelsOut[channel] : NULL;
	return !sent || sent->m_nChannel == channel;
}

/* Lets the system end waits on the library's socket after so many milliseconds. */
static int limit_waits(int milliseconds)
{
	struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
	return !setsockopt(RTMP_Socket(r), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) &&
	       !setsockopt(RTMP_Socket(r), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* Waits for the socket with poll, and reads as much as is there, until a message is complete. */
static int poll_message(RTMPPacket *packet)
{
	for (;;) {
		struct pollfd wait = {.fd = RTMP_Socket(r), .events = POLLIN};
		if (CALL(RTMP_ReadPacket(r, packet), 1)) {
			if (RTMPPacket_IsReady(packet))
				return 1;
		} else if (errno != EAGAIN || poll(&wait, 1, 10000) != 1) {
			return 0;
		}
		/* How often it waits is up to the network. */
		*errnos = 0;
	}
}

/* What a message is, apart from what every line says. */
static void describe(const RTMPPacket *packet, char *note)
{
	int n = snprintf(note, WIDTH, " header %d channel %d stream %d absolute %d read %u body ", packet->m_headerType,
			 packet->m_nChannel, packet->m_nInfoField2, packet->m_hasAbsTimestamp, packet->m_nBytesRead);
	print_bytes(note + n - 1, "", (unsigned char *)packet->m_body, packet->m_nBodySize < 64 ? (int)packet->m_nBodySize : 64);
}

/* Lines that the object points into. */
static char *kept[64];
static int used;

static void begin(void)
{
	r = RTMP_Alloc();
	RTMP_Init(r);
}

static void finish(void)
{
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
	playpath0 = NULL;
}

/* Takes one step; 0, or the program's exit status. */
static int take_step(char *line)
{
	static char note[2 * WIDTH];
	char word[32] = "", name[64] = "", *rest;
	int a = 0, b = 0, c = 0, ret = 0;
	*note = *errnos = 0;
	sscanf(line, "%31s", word);
	rest = line + strlen(word);
	rest += *rest == ' ';
	printf("%s:", line);
	sscanf(rest, "%i %i %i", &a, &b, &c);
#define STEP(step) else if (!strcmp(word, step))
	if (!strcmp(word, "setup")) {
		ret = CALL(RTMP_SetupURL(r, rest), 1);
		kept[used++] = line; /* the object points into it */
		line = NULL;
	}
	STEP("set") ret = sscanf(rest, "%63s %i", name, &a) == 2 && set(name, a);
	STEP("enablewrite") RUN(RTMP_EnableWrite(r));
	STEP("connect") ret = CALL(RTMP_Connect(r, NULL), 1);
	STEP("stream") ret = CALL(RTMP_ConnectStream(r, a), 1);
	STEP("reconnect") ret = CALL(RTMP_ReconnectStream(r, a), 1);
	STEP("delete") RUN(RTMP_DeleteStream(r));
	STEP("close") RUN(RTMP_Close(r));
	/* A session that was never connected begins again. */
	STEP("init") {
		free(r->Link.playpath0.av_val);
		RUN(RTMP_Init(r));
	}
	STEP("another") {
		finish();
		begin();
	}
	STEP("pause") ret = CALL(RTMP_Pause(r, a), 1);
	STEP("sendpause") ret = CALL(RTMP_SendPause(r, a, b), 1);
	STEP("seek") ret = CALL(RTMP_SendSeek(r, a), 1);
	STEP("toggle") ret = CALL(RTMP_ToggleStream(r), 1);
	STEP("ctrl") ret = CALL(RTMP_SendCtrl(r, (short)a, (unsigned)b, (unsigned)c), 1);
	STEP("serverbw") ret = CALL(RTMP_SendServerBW(r), 1);
	STEP("clientbw") ret = CALL(RTMP_SendClientBW(r), 1);
	STEP("create") ret = CALL(RTMP_SendCreateStream(r), 1);
	STEP("buffer") { RUN(RTMP_SetBufferMS(r, a)); RUN(RTMP_UpdateBufferMS(r)); }
	STEP("packet") {
		RTMPPacket packet = {0};
		ret = -1;
		if (read_message(&packet)) {
			printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
			describe(&packet, note);
			ret = CALL(RTMP_ClientPacket(r, &packet), 0);
			RUN(RTMPPacket_Free(&packet));
		}
	}
	STEP("media") {
		RTMPPacket packet = {0};
		ret = CALL(RTMP_GetNextMediaPacket(r, &packet), 1);
		if (ret) {
			printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
			describe(&packet, note);
		}
		RUN(RTMPPacket_Free(&packet));
	}
	/* The most memory that the process had so far, in megabytes. */
	STEP("memory") {
		struct rusage used_up;
		ret = getrusage(RUSAGE_SELF, &used_up) ? -1 : (int)(used_up.ru_maxrss >> 10);
	}
	STEP("read") {
		char *buffer = malloc(a + 1);
		ret = CALL(RTMP_Read(r, buffer, a), 1);
		if (ret > 0)
			print_bytes(note, " flv", (unsigned char *)buffer, ret < 400 ? ret : 400);
		free(buffer);
	}
	STEP("write") {
		char *bytes = parse_hex(rest, &a);
		ret = CALL(RTMP_Write(r, bytes, a), 0);
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
	STEP("update") RUN(RTMP_UpdateBufferMS(r));
	STEP("announce") ret = announce(a);
	STEP("sent") ret = look_at_sent(a);
	STEP("waits") ret = limit_waits(a);
	STEP("nonblocking") ret = fcntl(RTMP_Socket(r), F_SETFL, fcntl(RTMP_Socket(r), F_GETFL) | O_NONBLOCK);
	/* Closes the socket behind the library's back. */
	STEP("steal") {
		ret = close(r->m_sb.sb_socket);
		r->m_sb.sb_socket = -1;
	}
	STEP("poll") {
		RTMPPacket packet = {0};
		ret = poll_message(&packet);
		if (ret) {
			printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
			RTMPPacket_Free(&packet);
		}
	}
	STEP("drop") RUN(RTMP_DropRequest(r, a, TRUE));
	else {
		printf(" unknown step\n");
		return 2;
	}
	printf(" -> %d |", ret);
	print_fields();
	printf("%s%s\n", note, errnos);
	free(line);
	return 0;
}

/* A step that another thread takes, as calls of a program in Go or Java come from one thread and then from another. */
static struct {
	pthread_mutex_t lock;
	pthread_t thread;
	int running, result;
	char *line;
} turn = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *take_turn(void *unused)
{
	(void)unused;
	turn.result = take_step(turn.line);
	pthread_mutex_lock(&turn.lock);
	turn.running = 0;
	pthread_mutex_unlock(&turn.lock);
	return NULL;
}

static void ignore_signal(int number)
{
	(void)number;
}

/* Interrupts the thread that takes a step every other millisecond, as Go's scheduler does. */
static void *interrupt_turns(void *unused)
{
	(void)unused;
	for (;;) {
		usleep(2000);
		pthread_mutex_lock(&turn.lock);
		if (turn.running)
			pthread_kill(turn.thread, SIGURG);
		pthread_mutex_unlock(&turn.lock);
	}
	return NULL;
}

static void start_interrupting(void)
{
	struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
	pthread_t thread;
	sigaction(SIGURG, &action, NULL);
	if (pthread_create(&thread, NULL, interrupt_turns, NULL) || pthread_detach(thread))
		abort();
}

#ifdef __SANITIZE_ADDRESS__
#define SMALL_STACK (4 << 20)
#else
#define SMALL_STACK (256 << 10)
#endif

/* Has a new thread take a step, with a stack as small as other languages give their threads. */
static int take_step_in_turn(char *line)
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, SMALL_STACK);
	pthread_mutex_lock(&turn.lock);
	turn.line = line;
	turn.running = 1;
	if (pthread_create(&turn.thread, &small, take_turn, NULL))
		abort();
	pthread_mutex_unlock(&turn.lock);
	pthread_join(turn.thread, NULL);
	pthread_attr_destroy(&small);
	return turn.result;
}

int main(int argc, char **argv)
{
	int in_turns = argc > 2 && !strcmp(argv[2], "in-turns"), result;
	char *line;

	setvbuf(stdout, NULL, _IOLBF, 0);
	begin();
	if (argc > 1)
		RTMP_LogSetLevel((RTMP_LogLevel)atoi(argv[1]));
	if (in_turns)
		start_interrupting();
	while ((line = read_line()))
		if ((result = in_turns ? take_step_in_turn(line) : take_step(line)) != 0)
			return result;
	finish();
	return 0;
}
