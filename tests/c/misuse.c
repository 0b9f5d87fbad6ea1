/*
 * Callers that break the rules of the headers, or take them by the letter. Arguments are pairs: the name of a scenario, and
 * a URL for those that connect. Every expectation that is not met is printed, and the exit
 * status is then 1. No scenario may leave a descriptor or a block behind, which is for valgrind and sanitizers to see.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures;

#define CHECK(what) \
	do { \
		if (!(what)) { \
			printf("line %d: %s\n", __LINE__, #what); \
			failures++; \
		} \
	} while (0)

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;
	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Memory of n bytes between two pages that cannot be accessed, at the beginning or at the end of what lies between. */
static char *guarded(size_t n, int at_end)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (n + page - 1) / page + 1;
	char *memory = mmap(NULL, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || mprotect(memory + page, pages * page, PROT_READ | PROT_WRITE))
		exit(5);
	return at_end ? memory + (pages + 1) * page - n : memory + page;
}

/* A session on one end of a socket pair; the other end is *peer. */
static RTMP *on_socket_pair(int type, int *peer)
{
	RTMP *r = RTMP_Alloc();
	int pair[2];
	if (!r || socketpair(AF_UNIX, type, 0, pair))
		exit(5);
	RTMP_Init(r);
	r->m_sb.sb_socket = pair[0];
	r->m_stream_id = 1;
	*peer = pair[1];
	return r;
}

static void end(RTMP *r, int peer)
{
	RTMP_Close(r);
	RTMP_Free(r);
	close(peer);
}

/* Takes what arrives on a socket until its other end is closed. */
struct sink {
	int socket;
	char *bytes;
	size_t count;
	pthread_t thread;
};

static void *drain(void *argument)
{
	struct sink *sink = argument;
	size_t room = 0;
	ssize_t n;
	do {
		if (sink->count + 65536 > room)
			sink->bytes = realloc(sink->bytes, room = 2 * room + 65536);
		n = read(sink->socket, sink->bytes + sink->count, 65536);
		if (n > 0)
			sink->count += (size_t)n;
	} while (n > 0);
	return NULL;
}

static RTMP *with_sink(struct sink *sink)
{
	RTMP *r = on_socket_pair(SOCK_STREAM, &sink->socket);
	sink->bytes = NULL;
	sink->count = 0;
	if (pthread_create(&sink->thread, NULL, drain, sink))
		exit(5);
	return r;
}

/* Closes the session without its goodbyes, which are of no interest. */
static void end_sink(RTMP *r, struct sink *sink)
{
	r->m_stream_id = -1;
	RTMP_Close(r);
	RTMP_Free(r);
	pthread_join(sink->thread, NULL);
	close(sink->socket);
}

/* Calls everything that works on a session, which has no connection. */
static void call_everything(RTMP *r)
{
	char bytes[64] = {0};
	RTMPPacket packet = {0};
	RTMPChunk chunk = {0};
	CHECK(!RTMP_IsConnected(r));
	CHECK(RTMP_Socket(r) == -1);
	CHECK(!RTMP_IsTimedout(r));
	CHECK(RTMP_GetDuration(r) == 0);
	CHECK(RTMP_Read(r, bytes, sizeof(bytes)) == 0);
	CHECK(RTMP_Write(r, bytes, sizeof(bytes)) == -1);
	CHECK(!RTMP_ReadPacket(r, &packet));
	CHECK(!RTMP_SendPacket(r, &packet, TRUE));
	CHECK(!RTMP_SendChunk(r, &chunk));
	CHECK(!RTMP_GetNextMediaPacket(r, &packet));
	CHECK(RTMP_ClientPacket(r, &packet) == 0);
	CHECK(!RTMP_Connect1(r, NULL));
	CHECK(!RTMP_ConnectStream(r, 0));
	CHECK(!RTMP_ReconnectStream(r, 0));
	RTMP_DeleteStream(r);
	CHECK(!RTMP_SendCreateStream(r));
	CHECK(!RTMP_SendCtrl(r, 3, 1, 1));
	CHECK(!RTMP_SendPause(r, 1, 0));
	CHECK(!RTMP_SendSeek(r, 0));
	CHECK(!RTMP_SendServerBW(r));
	CHECK(!RTMP_SendClientBW(r));
	CHECK(!RTMP_Pause(r, 1));
	CHECK(!RTMP_ToggleStream(r));
	CHECK(!RTMP_Serve(r));
	CHECK(!RTMP_TLS_Accept(r, NULL));
	RTMP_UpdateBufferMS(r);
	RTMP_DropRequest(r, 0, TRUE);
	RTMP_DropRequest(r, -1, TRUE);
	CHECK(RTMPSockBuf_Fill(&r->m_sb) <= 0);
	CHECK(RTMPSockBuf_Send(&r->m_sb, bytes, 1) <= 0);
}

/* Without a connection: before one was made, after RTMP_Close, closed twice. */
static void closed(char *url)
{
	RTMP *r = RTMP_Alloc();
	(void)url;
	RTMP_Close(NULL);
	RTMP_Free(NULL);
	RTMP_Init(r);
	call_everything(r);
	RTMP_Close(r);
	RTMP_Close(r);
	call_everything(r);
	RTMP_Close(r);
	RTMP_Free(r);
	/* Initialised and freed, no more. */
	r = RTMP_Alloc();
	RTMP_Init(r);
	RTMP_Free(r);
	RTMP_Free(RTMP_Alloc());
}

/* A connection that was used: afterwards it is as if there had not been one. */
static void used_after_close(char *url)
{
	RTMP *r = RTMP_Alloc();
	char bytes[4096];
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
	CHECK(RTMP_Read(r, bytes, sizeof(bytes)) > 0);
	RTMP_Close(r);
	r->m_fDuration = 0;
	call_everything(r);
	RTMP_Close(r);
	RTMP_Free(r);
}

/* A struct of zeros that nobody initialised: descriptor 0 is the program's, and not a connection. */
static void zeroed(char *url)
{
	static RTMP r;
	static RTMP again;
	char bytes[4096];
	CHECK(fcntl(0, F_GETFD) != -1);
	call_everything(&r);
	RTMP_Close(&r);
	CHECK(fcntl(0, F_GETFD) != -1);
	memset(&r, 0, sizeof(r));
	RTMP_Close(&r);
	RTMP_Close(&r);
	CHECK(fcntl(0, F_GETFD) != -1);
	memset(&r, 0, sizeof(r));
	CHECK(RTMP_Read(&r, bytes, sizeof(bytes)) == 0);
	memset(&r, 0, sizeof(r));
	CHECK(!RTMP_IsConnected(&r) && RTMP_Socket(&r) == -1);
	memset(&r, 0, sizeof(r));
	RTMP_DropRequest(&r, 0, TRUE);
	/* It connects as one that was initialised does. */
	CHECK(RTMP_SetupURL(&again, url));
	CHECK(RTMP_Connect(&again, NULL));
	CHECK(RTMP_ConnectStream(&again, 0));
	CHECK(RTMP_Read(&again, bytes, sizeof(bytes)) > 0);
	RTMP_Close(&again);
	CHECK(fcntl(0, F_GETFD) != -1);
}

/* The settings are cleared, before the connection and during it. */
static void link_cleared(char *url)
{
	RTMP *r = RTMP_Alloc();
	char *name;
	char bytes[100];
	RTMP_Init(r);
	memset(&r->Link, 0, sizeof(r->Link));
	CHECK(!RTMP_Connect(r, NULL));
	RTMP_SetupStream(r, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0);
	CHECK(!RTMP_Connect(r, NULL));
	RTMP_Close(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0));
	name = r->Link.playpath0.av_val;
	memset(&r->Link, 0, sizeof(r->Link));
	while (RTMP_Read(r, bytes, sizeof(bytes)) > 0)
		;
	RTMP_Close(r);
	CHECK(!RTMP_Connect(r, NULL));
	RTMP_Free(r);
	/* A program that clears the settings takes over the name. */
	free(name);
}

/* URLs in memory that cannot be written to. */
static void literal(char *url)
{
	static const char *const good[] = {
		"rtmp://127.0.0.1:1/app/stream",
		"rtmp://127.0.0.1:1/app/stream live=1 timeout=7",
		"rtmp://127.0.0.1:1/app/stream   app=other  timeout=7 ",
		"rtmp://127.0.0.1:1/app/stream conn=S:text conn=O:1 conn=NN:a:1 conn=O:0 timeout=7",
	};
	static const char *const bad[] = {"", "rtmp", "rtmp://", "rtmp://127.0.0.1/app/stream unknown=1", "rtmp://h/a/s app=a\\"};
	size_t i;
	(void)url;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		RTMP *r = RTMP_Alloc();
		RTMP_Init(r);
		CHECK(RTMP_SetupURL(r, (char *)good[i]));
		CHECK(r->Link.hostname.av_len == 9 && !memcmp(r->Link.hostname.av_val, "127.0.0.1", 9));
		CHECK(r->Link.port == 1);
		CHECK(i == 0 || r->Link.timeout == 7);
		CHECK(i != 2 || (r->Link.app.av_len == 5 && !memcmp(r->Link.app.av_val, "other", 5)));
		CHECK(i != 3 || r->Link.extras.o_num == 2);
		CHECK(!RTMP_Connect(r, NULL));
		AMF_Reset(&r->Link.extras);
		RTMP_Close(r);
		RTMP_Free(r);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		RTMP *r = RTMP_Alloc();
		RTMP_Init(r);
		CHECK(!RTMP_SetupURL(r, (char *)bad[i]));
		RTMP_Close(r);
		RTMP_Free(r);
	}
	{
		/* An escape cannot be decoded where it stands: refused, unless the text can be changed. */
		static const char escaped[] = "rtmp://127.0.0.1:1/app/stream flashver=LNX\\2011";
		char writable[sizeof(escaped)];
		RTMP *r = RTMP_Alloc();
		RTMP_Init(r);
		CHECK(!RTMP_SetupURL(r, (char *)escaped));
		RTMP_Close(r);
		memcpy(writable, escaped, sizeof(escaped));
		CHECK(RTMP_SetupURL(r, writable));
		CHECK(r->Link.flashVer.av_len == 6 && !strcmp(r->Link.flashVer.av_val, "LNX 11"));
		RTMP_Close(r);
		RTMP_Free(r);
	}
}

static RTMPPacket video(char *body, uint32_t size)
{
	RTMPPacket packet = {0};
	packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
	packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
	packet.m_nChannel = 4;
	packet.m_nInfoField2 = 1;
	packet.m_body = body;
	packet.m_nBodySize = size;
	return packet;
}

/* Bodies with nothing in front and nothing behind, of every kind of size, sent as often as one likes. */
static void bodies(char *url)
{
	static const uint32_t sizes[] = {1, 17, 18, 127, 128, 129, 4095, 4096, 70000};
	struct sink sink;
	RTMP *r = with_sink(&sink);
	size_t i, at, expected = 0;
	(void)url;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int at_end;
		for (at_end = 0; at_end < 2; at_end++) {
			char *body = guarded(sizes[i], at_end);
			RTMPPacket packet = video(body, sizes[i]);
			memset(body, 'b', sizes[i]);
			CHECK(RTMP_SendPacket(r, &packet, TRUE));
			packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
			CHECK(RTMP_SendPacket(r, &packet, FALSE));
			expected += 2 * (12 + sizes[i] + (sizes[i] - 1) / 128);
			for (at = 0; at < sizes[i]; at++)
				if (body[at] != 'b')
					break;
			CHECK(at == sizes[i]);
		}
	}
	{
		RTMPPacket empty = video(NULL, 0), missing = video(NULL, 5), negative = video("x", 1), none = video("x", 0);
		RTMPPacket huge = video("x", 1 << 24), larger = video("x", 0xFFFFFFFF), most = video("x", 0x80000000);
		RTMPPacket format = video("x", 1);
		CHECK(RTMP_SendPacket(r, &empty, FALSE));
		CHECK(RTMP_SendPacket(r, &none, FALSE));
		expected += 12 + 12;
		CHECK(!RTMP_SendPacket(r, &missing, FALSE));
		negative.m_nChannel = -1;
		CHECK(!RTMP_SendPacket(r, &negative, FALSE));
		negative.m_nChannel = -2147483647 - 1;
		CHECK(!RTMP_SendPacket(r, &negative, FALSE));
		negative.m_nChannel = 2147483647;
		CHECK(!RTMP_SendPacket(r, &negative, FALSE));
		CHECK(!RTMP_SendPacket(r, &huge, FALSE));
		CHECK(!RTMP_SendPacket(r, &larger, FALSE));
		CHECK(!RTMP_SendPacket(r, &most, FALSE));
		format.m_headerType = 4;
		CHECK(!RTMP_SendPacket(r, &format, FALSE));
		format.m_headerType = 255;
		CHECK(!RTMP_SendPacket(r, &format, FALSE));
		CHECK(RTMP_IsConnected(r));
	}
	{
		uint32_t size = (1 << 24) - 1;
		char *body = calloc(1, size);
		RTMPPacket largest = video(body, size);
		CHECK(RTMP_SendPacket(r, &largest, FALSE));
		expected += 12 + size + (size - 1) / 128;
		free(body);
	}
	end_sink(r, &sink);
	CHECK(sink.count == expected);
	free(sink.bytes);
}

/* Chunks whose sizes are invalid. */
static void chunks(char *url)
{
	int peer, sizes[] = {-1, RTMP_MAX_HEADER_SIZE + 1, -2147483647 - 1, 2147483647};
	RTMP *r = on_socket_pair(SOCK_STREAM, &peer);
	char *payload = guarded(10, 1), wire[64];
	size_t i;
	(void)url;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		RTMPChunk chunk = {0};
		chunk.c_headerSize = sizes[i];
		CHECK(!RTMP_SendChunk(r, &chunk));
	}
	{
		RTMPChunk chunk = {0};
		chunk.c_chunkSize = -1;
		chunk.c_chunk = payload;
		CHECK(!RTMP_SendChunk(r, &chunk));
		chunk.c_chunkSize = 5;
		chunk.c_chunk = NULL;
		CHECK(!RTMP_SendChunk(r, &chunk));
		CHECK(recv(peer, wire, sizeof(wire), MSG_DONTWAIT) == -1);
		chunk.c_headerSize = 1;
		chunk.c_header[0] = (char)0xC4;
		chunk.c_chunkSize = 10;
		chunk.c_chunk = payload;
		CHECK(RTMP_SendChunk(r, &chunk));
		CHECK(recv(peer, wire, sizeof(wire), MSG_DONTWAIT) == 11);
	}
	r->m_stream_id = -1;
	end(r, peer);
}

/* Commands to be remembered whose bodies are cut anywhere: sent as they are, and not remembered. */
static void queued(char *url)
{
	static const char command[] = "\x02\x00\x04name\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05";
	struct sink sink;
	RTMP *r = with_sink(&sink);
	int n, whole = (int)sizeof(command) - 1;
	(void)url;
	for (n = 0; n <= whole; n++) {
		char *body = guarded((size_t)n, 1);
		RTMPPacket packet = video(body, (uint32_t)n);
		packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
		memcpy(body, command, (size_t)n);
		CHECK(RTMP_SendPacket(r, &packet, TRUE));
		CHECK(r->m_numCalls == (n >= whole - 1) + (n >= whole));
		if (n > 2) {
			body[1] = body[2] = (char)0xFF; /* a name longer than everything */
			CHECK(RTMP_SendPacket(r, &packet, TRUE));
			body[0] = 5; /* no string */
			CHECK(RTMP_SendPacket(r, &packet, TRUE));
		}
	}
	CHECK(r->m_numCalls == 2 && r->m_methodCalls[0].num == 2);
	for (n = 0; n < 1000; n++) {
		RTMPPacket packet = video((char *)command, (uint32_t)whole);
		packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
		CHECK(RTMP_SendPacket(r, &packet, TRUE));
	}
	CHECK(r->m_numCalls == 1002);
	RTMP_DropRequest(r, 1002, TRUE);
	RTMP_DropRequest(r, -1, TRUE);
	RTMP_DropRequest(r, 2147483647, TRUE);
	CHECK(r->m_numCalls == 1002);
	RTMP_DropRequest(r, 1001, TRUE);
	RTMP_DropRequest(r, 0, TRUE);
	CHECK(r->m_numCalls == 1000);
	end_sink(r, &sink);
	free(sink.bytes);
}

/* Messages of every type without a body, with too short a body, and with a size that is none. */
static void handled(char *url)
{
	struct sink sink;
	RTMP *r = with_sink(&sink);
	int type, n;
	(void)url;
	for (type = 0; type < 256; type++) {
		RTMPPacket packet = {0};
		packet.m_packetType = (uint8_t)type;
		CHECK(RTMP_ClientPacket(r, &packet) < 2);
		packet.m_nBodySize = 5;
		CHECK(RTMP_ClientPacket(r, &packet) < 2);
		packet.m_nBodySize = 0xFFFFFFFF;
		CHECK(RTMP_ClientPacket(r, &packet) < 2);
		for (n = 0; n < 16; n++) {
			char *body = guarded((size_t)n, 1);
			int value;
			for (value = -1; value < 2; value++) {
				memset(body, value, (size_t)n);
				packet.m_body = body;
				packet.m_nBodySize = (uint32_t)n;
				/* A chunk size, window or bandwidth of 0, -1 or 0x01010101. */
				CHECK(RTMP_ClientPacket(r, &packet) < 2);
				RTMPPacket_Dump(&packet);
			}
			munmap((void *)((size_t)body & ~(size_t)(sysconf(_SC_PAGESIZE) - 1)), 1);
		}
	}
	CHECK(r->m_inChunkSize > 0);
	CHECK(RTMP_IsConnected(r));
	end_sink(r, &sink);
	free(sink.bytes);
}

/* A message leaves in one piece, however many chunks it has: each send on this socket is a datagram. */
static void one_piece(char *url)
{
	int peer;
	RTMP *r = on_socket_pair(SOCK_SEQPACKET, &peer);
	static char body[1000], wire[2000];
	RTMPPacket packet = video(body, sizeof(body));
	(void)url;
	CHECK(RTMP_SendPacket(r, &packet, FALSE));
	CHECK(recv(peer, wire, sizeof(wire), MSG_DONTWAIT) == 12 + 1000 + 7);
	r->m_stream_id = -1;
	end(r, peer);
}

/* The peer is gone, and the program has not said that it wants no SIGPIPE. */
static void peer_gone(char *url)
{
	int step;
	(void)url;
	for (step = 0; step < 6; step++) {
		int peer;
		RTMP *r = on_socket_pair(SOCK_STREAM, &peer);
		RTMPPacket packet = video("body", 4);
		RTMPChunk chunk = {0};
		chunk.c_headerSize = 1;
		close(peer);
		r->Link.protocol |= RTMP_FEATURE_WRITE;
		switch (step) {
		case 0: CHECK(!RTMP_SendPacket(r, &packet, FALSE)); break;
		case 1: CHECK(!RTMP_SendChunk(r, &chunk)); break;
		case 2: CHECK(RTMPSockBuf_Send(&r->m_sb, "x", 1) == -1); break;
		case 3: CHECK(!RTMP_SendPause(r, 1, 0)); break;
		case 4: CHECK(!RTMP_Connect1(r, NULL)); break;
		default: break; /* RTMP_Close says goodbye. */
		}
		RTMP_Close(r);
		RTMP_Free(r);
	}
}

/* State that sessions share is created once, by the first of them. */
static void *sessions_in_a_thread(void *unused)
{
	int i;
	for (i = 0; i < 20; i++) {
		char url[] = "rtmps://127.0.0.1:1/app/stream timeout=5";
		RTMP *r = RTMP_Alloc();
		RTMP_TLS_Init();
		RTMP_Init(r);
		CHECK(RTMP_SetupURL(r, url));
		CHECK(!RTMP_Connect(r, NULL));
		RTMP_GetTime();
		RTMP_Close(r);
		RTMP_Free(r);
	}
	return unused;
}

static void threads(char *url)
{
	pthread_t started[8];
	size_t i, count = sizeof(started) / sizeof(*started);
	(void)url;
	for (i = 0; i < count; i++)
		if (pthread_create(&started[i], NULL, sessions_in_a_thread, NULL))
			exit(5);
	for (i = 0; i < count; i++)
		pthread_join(started[i], NULL);
}

/* RTMPSockBuf_Close leaves the number where it is, RTMP_Close does not. */
static void socket_number(char *url)
{
	RTMPSockBuf sb = {0};
	int peer, number;
	RTMP *r = on_socket_pair(SOCK_STREAM, &peer);
	(void)url;
	number = sb.sb_socket = dup(peer);
	CHECK(RTMPSockBuf_Close(&sb) == 0);
	CHECK(sb.sb_socket == number && fcntl(number, F_GETFD) == -1);
	number = r->m_sb.sb_socket;
	RTMP_Close(r);
	CHECK(r->m_sb.sb_socket == -1 && fcntl(number, F_GETFD) == -1);
	RTMP_Free(r);
	close(peer);
}

/* Three tags, the first of which is metadata, behind a file header. */
static const char film[] =
	"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
	"\x12\x00\x00\x0E\x00\x00\x00\x00\x00\x00\x00\x02\x00\x0AonMetaData\x05\x00\x00\x00\x19"
	"\x09\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x17\x01\x00\x00\x00\x00\x00\x00\x10"
	"\x08\x00\x00\x04\x00\x00\x28\x00\x00\x00\x00\xAF\x01\x02\x03\x00\x00\x00\x0F";
enum { FILM = sizeof(film) - 1 };

/* Writes all bytes in two pieces, of which the first ends at `cut`. With `skip`, the rest of the four bytes behind a tag
 * stays away. */
static void write_in_two(RTMP *r, int cut, int skip)
{
	static const int tag_ends[] = {13 + 11 + 14, 42 + 11 + 5, 62 + 11 + 4};
	int from = 0, to = cut, calls, i;
	for (calls = 0; calls < 2; calls++) {
		int size = to - from;
		char *piece = guarded((size_t)size, 1);
		memcpy(piece, film + from, (size_t)size);
		CHECK(RTMP_Write(r, piece, size) == size);
		from = to;
		for (i = 0; skip && i < 3; i++)
			if (to >= tag_ends[i] && to < tag_ends[i] + 4)
				from = tag_ends[i] + 4;
		to = FILM;
	}
}

/* A film cut at every byte, and the same messages every time; then what is no film. */
static void write_cut(char *url)
{
	struct sink whole, sink;
	RTMP *r = with_sink(&whole);
	int cut, at, value;
	unsigned seed = 1;
	(void)url;
	CHECK(RTMP_Write(r, film, FILM) == FILM);
	end_sink(r, &whole);
	for (cut = 0; cut <= 2 * FILM + 1; cut++) {
		r = with_sink(&sink);
		write_in_two(r, cut / 2, cut % 2);
		end_sink(r, &sink);
		if (sink.count != whole.count || memcmp(sink.bytes, whole.bytes, whole.count)) {
			printf("cut at %d / 2: %zu bytes instead of %zu\n", cut, sink.count, whole.count);
			failures++;
		}
		free(sink.bytes);
	}
	free(whole.bytes);
	/* Every byte replaced, every beginning, sizes that are none. */
	r = with_sink(&sink);
	for (at = 0; at < FILM; at++)
		for (value = 0; value < 256; value += 51) {
			char *bytes = guarded(FILM, 1);
			int n;
			memcpy(bytes, film, FILM);
			bytes[at] = (char)value;
			n = RTMP_Write(r, bytes + at, FILM - at);
			CHECK(n >= -1 && n <= FILM - at);
			n = RTMP_Write(r, bytes, FILM);
			CHECK(n >= -1 && n <= FILM);
		}
	for (at = 0; at < 3000; at++) {
		int n, size = at % 97;
		char *bytes = guarded((size_t)size, 1);
		for (n = 0; n < size; n++) {
			seed = seed * 1664525 + 1013904223;
			bytes[n] = (char)(seed >> 24);
		}
		n = RTMP_Write(r, bytes, size);
		CHECK(n >= -1 && n <= size);
	}
	CHECK(RTMP_Write(r, film, 0) == 0 || r->m_write.m_body);
	CHECK(RTMP_Write(r, film, -1) == -1);
	CHECK(RTMP_Write(r, film, -2147483647 - 1) == -1);
	CHECK(RTMP_Write(r, NULL, 10) == -1);
	errno = 0;
	CHECK(RTMP_Read(r, (char *)film, -1) == -1 && errno == EINVAL);
	CHECK(RTMP_Read(r, NULL, 10) == -1);
	CHECK(RTMP_IsConnected(r));
	end_sink(r, &sink);
	free(sink.bytes);
}

static int start(RTMP *r)
{
	return RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
}

/* Connects again without anything in between, then after RTMP_Close, with the settings that are left. */
static void connect_twice(char *url)
{
	RTMP *r = RTMP_Alloc();
	char bytes[4096];
	int before = open_descriptors();
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(start(r));
	CHECK(RTMP_Read(r, bytes, sizeof(bytes)) > 0);
	CHECK(start(r));
	CHECK(open_descriptors() == before + 1);
	CHECK(RTMP_Read(r, bytes, sizeof(bytes)) > 0);
	RTMP_Close(r);
	CHECK(!r->Link.playpath.av_val && r->Link.playpath.av_len == 0);
	CHECK(!r->Link.playpath0.av_val && r->Link.playpath0.av_len == 0);
	CHECK(r->Link.app.av_len == 3 && r->Link.tcUrl.av_len > 0);
	/* The name of the stream is gone: an empty one is sent. */
	CHECK(start(r));
	RTMP_Close(r);
	RTMP_Free(r);
	CHECK(open_descriptors() == before);
}

/* The server chooses large chunks and goes away; the next connection starts with small ones. */
static void reconnect(char *url)
{
	RTMP *r = RTMP_Alloc();
	char bytes[4096], *copy = strdup(url);
	int n, sum = 0;
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(start(r));
	while (RTMP_Read(r, bytes, sizeof(bytes)) > 0)
		;
	CHECK(!RTMP_IsConnected(r));
	CHECK(r->m_inChunkSize != 128);
	r->m_outChunkSize = 4096;
	r->m_read.status = 0;
	/* No RTMP_Close: the error has closed the connection. */
	CHECK(RTMP_SetupURL(r, copy));
	CHECK(RTMP_Connect(r, NULL));
	/* This side sends what it requested. */
	CHECK(r->m_inChunkSize == 128 && r->m_outChunkSize == 4096);
	CHECK(RTMP_ConnectStream(r, 0));
	while ((n = RTMP_Read(r, bytes, sizeof(bytes))) > 0)
		sum += n;
	CHECK(sum == 13 + 2 * (11 + 600 + 4));
	RTMP_Close(r);
	RTMP_Free(r);
	free(copy);
}

/* Closed more than once: what has got the number of the socket since then stays open. Closed without a connection. */
static void closed_twice(char *url)
{
	RTMP *r = RTMP_Alloc();
	char bytes[4096];
	int number, next;
	RTMP_Init(r);
	RTMP_Close(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(start(r));
	CHECK(RTMP_Read(r, bytes, sizeof(bytes)) > 0);
	number = RTMP_Socket(r);
	RTMP_Close(r);
	next = dup(2);
	CHECK(next == number);
	RTMP_Close(r);
	RTMP_Close(r);
	CHECK(fcntl(next, F_GETFD) >= 0);
	close(next);
	/* The settings are there, the connection was never made. */
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, (char *)"rtmp://127.0.0.1:1/app/stream conn=S:text"));
	AMF_Reset(&r->Link.extras);
	RTMP_Close(r);
	RTMP_Close(r);
	RTMP_Free(r);
}

/* Freed while it is connected: the connection is not touched, and a copy of the struct continues with it. */
static void freed_without_close(char *url)
{
	static RTMP copy;
	RTMP *r = RTMP_Alloc();
	char bytes[4096];
	int sum = 0, n;
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(start(r));
	copy = *r;
	RTMP_Free(r);
	while ((n = RTMP_Read(&copy, bytes, sizeof(bytes))) > 0)
		sum += n;
	CHECK(sum > 20 * 700);
	RTMP_Close(&copy);
}

static int set_option(RTMP *r, const char *name, const char *value)
{
	AVal option = {(char *)name, (int)strlen(name)}, argument = {(char *)value, (int)strlen(value)};
	return RTMP_SetOpt(r, &option, &argument);
}

/* Every option twice, as separate calls and in one URL: the last one counts, and members of `conn` are added. */
static void options_twice(char *url)
{
	RTMP *r = RTMP_Alloc();
	int round;
	(void)url;
	RTMP_Init(r);
	for (round = 0; round < 2; round++) {
		CHECK(set_option(r, "app", round ? "second" : "first"));
		CHECK(set_option(r, "tcUrl", round ? "rtmp://h/second" : "rtmp://h/first"));
		CHECK(set_option(r, "playpath", round ? "two" : "one"));
		CHECK(set_option(r, "timeout", round ? "7" : "5"));
		CHECK(set_option(r, "live", round ? "1" : "0"));
		CHECK(set_option(r, "conn", "S:text"));
		CHECK(!set_option(r, "nonsense", "1"));
	}
	CHECK(r->Link.app.av_len == 6 && !memcmp(r->Link.app.av_val, "second", 6));
	CHECK(r->Link.playpath.av_len == 3 && !memcmp(r->Link.playpath.av_val, "two", 3));
	CHECK(r->Link.timeout == 7 && r->Link.extras.o_num == 2);
	CHECK(r->Link.lFlags & RTMP_LF_LIVE);
	CHECK(RTMP_SetupURL(r, (char *)"rtmp://127.0.0.1:1/app/stream app=third app=fourth timeout=8 timeout=9"));
	CHECK(RTMP_SetupURL(r, (char *)"rtmp://127.0.0.1:2/app/stream app=fifth app=sixth timeout=8 timeout=10"));
	CHECK(r->Link.app.av_len == 5 && !memcmp(r->Link.app.av_val, "sixth", 5));
	CHECK(r->Link.port == 2 && r->Link.timeout == 10);
	AMF_Reset(&r->Link.extras);
	RTMP_Close(r);
	RTMP_Free(r);
}

/* Copied to another place between all calls, and what is left behind is overwritten. */
static void moved(char *url)
{
	static RTMP places[2];
	char bytes[1000];
	int n, sum = 0, at = 0;
#define MOVE() (places[!at] = places[at], memset(&places[at], 0xAA, sizeof(RTMP)), at = !at, &places[at])
	RTMP_Init(&places[at]);
	places[at].Link.timeout = 5;
	CHECK(RTMP_SetupURL(MOVE(), url));
	CHECK(RTMP_Connect(MOVE(), NULL));
	CHECK(RTMP_ConnectStream(MOVE(), 0));
	while ((n = RTMP_Read(MOVE(), bytes, sizeof(bytes))) > 0)
		sum += n;
	CHECK(sum > 20 * 700);
	RTMP_Close(MOVE());
	CHECK(!RTMP_IsConnected(MOVE()));
#undef MOVE
}

/* A struct that still has a body: it is neither freed nor written to, nor given back. */
static void leftover(char *url)
{
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet;
	char *small = guarded(4, 1);
	RTMP_Init(r);
	CHECK(RTMP_SetupURL(r, url));
	r->Link.timeout = 5;
	CHECK(start(r));
	memset(&packet, 0x77, sizeof(packet));
	packet.m_chunk = NULL;
	packet.m_body = small;
	packet.m_nBodySize = 4;
	packet.m_nBytesRead = 0;
	while (RTMP_ReadPacket(r, &packet)) {
		CHECK(packet.m_body != small);
		if (RTMPPacket_IsReady(&packet))
			RTMPPacket_Free(&packet);
		packet.m_body = small;
		packet.m_nBodySize = 4;
	}
	CHECK(!packet.m_body);
	CHECK(!small[0] && !small[1] && !small[2] && !small[3]);
	RTMP_Close(r);
	RTMP_Free(r);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(char *url); } scenarios[] = {
		{"closed", closed},       {"used", used_after_close}, {"zeroed", zeroed},     {"cleared", link_cleared},
		{"literal", literal},     {"bodies", bodies},         {"chunks", chunks},     {"queued", queued},
		{"handled", handled},     {"piece", one_piece},       {"socket", socket_number}, {"write", write_cut},
		{"twice", connect_twice}, {"reconnect", reconnect},   {"leftover", leftover}, {"gone", peer_gone},
		{"threads", threads},     {"double", closed_twice},   {"freed", freed_without_close}, {"options", options_twice},
		{"moved", moved},
	};
	const size_t count = sizeof(scenarios) / sizeof(scenarios[0]);
	size_t i;
	int at;
	if (argc < 3 || argc % 2 == 0)
		return 2;
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	for (at = 1; at < argc; at += 2) {
		char *url = strdup(argv[at + 1]);
		int before = open_descriptors();
		for (i = 0; i < count && strcmp(argv[at], scenarios[i].name); i++)
			;
		if (i == count)
			return 2;
		scenarios[i].run(url);
		free(url);
		CHECK(open_descriptors() == before);
	}
	return failures ? 1 : 0;
}
