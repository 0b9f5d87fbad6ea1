/*
 * Fails in every way that a line of the input asks for: every line is a step. Prints each step with its result, and,
 * where that is a failure, the reason that the library gives.
 */
#include <arpa/inet.h>
#include <librtmp/enhanced.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hex.h"

static const char *name_of(int code)
{
	static const struct { int code; const char *name; } names[] = {
#define NAME(code) {RTMP_ERR_##code, #code}
		NAME(NONE), NAME(ENDED), NAME(ARGUMENT), NAME(MEMORY), NAME(URL), NAME(OPTION), NAME(NOT_CONNECTED),
		NAME(RESOLVE), NAME(CONNECT), NAME(PROXY), NAME(TLS), NAME(HANDSHAKE), NAME(REFUSED), NAME(TIMEDOUT),
		NAME(CLOSED), NAME(IO), NAME(MALFORMED), NAME(TOO_LARGE), NAME(FLV), NAME(RESUME), NAME(JOINED),
		NAME(INTERRUPTED), NAME(ABORTED), NAME(UNSUPPORTED), NAME(INTERNAL),
	};
	size_t i;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == code)
			return names[i].name;
	return "another code";
}

static void print_reason(RTMP *r)
{
	printf(" %s '%s'", name_of(RTMP_GetLastError(r)), RTMP_GetErrorString(r));
}

static int set_option(RTMP *r, const char *name, char *value)
{
	AVal opt = {(char *)name, (int)strlen(name)}, arg = {value, (int)strlen(value)};
	return RTMP_SetOpt(r, &opt, &arg);
}

/* Reads to the end; the result of the last call. */
static int read_all(RTMP *r)
{
	static char bytes[4096];
	int count;
	while ((count = RTMP_Read(r, bytes, sizeof(bytes))) > 0)
		;
	return count;
}

static int send_packet(RTMP *r, int channel, unsigned size)
{
	RTMPPacket packet = {0};
	int ret;
	packet.m_nChannel = channel;
	packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
	packet.m_nBodySize = size;
	packet.m_body = calloc(1, size);
	ret = RTMP_SendPacket(r, &packet, 0);
	free(packet.m_body);
	return ret;
}

/* Connects to an address that the application found. */
static int connect0(RTMP *r, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return RTMP_Connect0(r, (struct sockaddr *)&address);
}

/* Serves a client that sends what the digits spell, and then nothing. */
static int serve(RTMP *r, const char *digits)
{
	int ends[2], ret, n;
	char *bytes = parse_hex(digits, &n);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || write(ends[1], bytes, n) < 0)
		return -1;
	free(bytes);
	shutdown(ends[1], SHUT_WR);
	r->m_sb.sb_socket = ends[0];
	ret = RTMP_Serve(r);
	close(ends[1]);
	RTMP_Close(r);
	return ret;
}

static void *serve_in_thread(void *r)
{
	RTMP_Serve(r);
	return NULL;
}

/* Serves an HTTP connection that belongs to the session of another one. */
static int join_session(RTMP *r)
{
	static const char open[] = "POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
	char reply[512] = "", request[256], *id, *end;
	int first[2], second[2], ret;
	size_t used = 0;
	ssize_t n;
	pthread_t thread;
	RTMP *other = RTMP_Alloc();

	RTMP_Init(other);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, first) || socketpair(AF_UNIX, SOCK_STREAM, 0, second))
		return -1;
	other->m_sb.sb_socket = first[0];
	other->Link.timeout = 20;
	if (pthread_create(&thread, NULL, serve_in_thread, other) || write(first[1], open, sizeof(open)) < 0)
		return -1;
	/* The session's name is a line behind the head of the reply. */
	while (!(id = strstr(reply, "\r\n\r\n")) || !(end = strchr(id + 4, '\n'))) {
		n = read(first[1], reply + used, sizeof(reply) - 1 - used);
		if (n <= 0)
			return -1;
		used += n;
	}
	*end = 0;
	snprintf(request, sizeof(request), "POST /send/%s/0 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", id + 4);
	r->m_sb.sb_socket = second[0];
	if (write(second[1], request, strlen(request)) < 0)
		return -1;
	ret = RTMP_Serve(r);
	printf(" socket %d", RTMP_Socket(r));
	/* What is said is no handshake, and nothing more comes. */
	snprintf(request, sizeof(request), "POST /close/%s/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", id + 4);
	if (write(second[1], request, strlen(request)) < 0)
		return -1;
	pthread_join(thread, NULL);
	RTMP_Close(other);
	RTMP_Free(other);
	close(first[1]);
	close(second[1]);
	return ret;
}

/* A session that fails again and again, and nothing but its own reason may be told. */
static void *fail(void *word)
{
	char expected[64];
	RTMP *r = RTMP_Alloc();
	long wrong = 0, i;
	RTMP_Init(r);
	snprintf(expected, sizeof(expected), "option: there is no option %s", (char *)word);
	for (i = 0; i < 2000; i++) {
		const char *text;
		set_option(r, word, "1");
		text = RTMP_GetErrorString(r);
		/* The other thread fails so often that it may displace the text, which only this program does. */
		if (RTMP_GetLastError(r) != RTMP_ERR_OPTION ||
		    (strcmp(text, expected) && strcmp(text, "an option cannot be used")))
			wrong++;
	}
	RTMP_Free(r);
	return (void *)wrong;
}

static long in_threads(void)
{
	static char *words[] = {"one", "another"};
	pthread_t threads[2];
	long wrong = 0;
	int i;
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, fail, words[i]))
			exit(3);
	for (i = 0; i < 2; i++) {
		void *result;
		pthread_join(threads[i], &result);
		wrong += (long)result;
	}
	RTMP_LogSetLevel(RTMP_LOGERROR);
	return wrong;
}

/* A call with an argument that is invalid whatever the state of the session is. */
static int call_with_invalid(RTMP *r, const char *function)
{
	RTMPPacket packet = {0};
	RTMPChunk chunk = {0};
	AMFObjectProperty property;
	AVal name = {"x", 1};
	char byte = 0;
	packet.m_nBodySize = 5;
	chunk.c_headerSize = 1;
	chunk.c_chunkSize = 5;
	if (!strcmp(function, "write")) return RTMP_Write(r, NULL, 5) >= 0;
	if (!strcmp(function, "write-size")) return RTMP_Write(r, &byte, -1) >= 0;
	if (!strcmp(function, "send")) return RTMP_SendPacket(r, NULL, FALSE);
	if (!strcmp(function, "send-body")) return RTMP_SendPacket(r, &packet, FALSE);
	if (!strcmp(function, "chunk")) return RTMP_SendChunk(r, NULL);
	if (!strcmp(function, "chunk-body")) return RTMP_SendChunk(r, &chunk);
	if (!strcmp(function, "read-packet")) return RTMP_ReadPacket(r, NULL);
	if (!strcmp(function, "media")) return RTMP_GetNextMediaPacket(r, NULL);
	if (!strcmp(function, "client-packet")) return RTMP_ClientPacket(r, NULL);
	if (!strcmp(function, "take-connect")) return RTMP_TakeConnect(r, NULL);
	if (!strcmp(function, "take-body")) return RTMP_TakeConnect(r, &packet);
	if (!strcmp(function, "property-name")) return RTMP_PeerProperty(r, NULL, &property);
	if (!strcmp(function, "property")) return RTMP_PeerProperty(r, &name, NULL);
	if (!strcmp(function, "connect0")) return RTMP_Connect0(r, NULL);
	return 1;
}

int main(int argc, char **argv)
{
	char *line, *kept[64];
	RTMP session, *r = RTMP_Alloc(), *first = r;
	int used = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	RTMP_Init(r);
	while ((line = read_line()) && used < 64) {
		char word[32] = "", name[64] = "", *rest = line;
		int a = 0, b = 0, ret = 0, good = 1;
		kept[used++] = line; /* the object points into it */
		sscanf(line, "%31s %63s", word, name);
		rest += strlen(word);
		rest += *rest == ' ';
		printf("%.60s:", line);
		sscanf(rest, "%d %d", &a, &b);
#define STEP(step) else if (!strcmp(word, step))
		if (!strcmp(word, "setup")) ret = RTMP_SetupURL(r, rest);
		STEP("option") ret = set_option(r, name, rest + strlen(name) + (rest[strlen(name)] == ' '));
		STEP("timeout") { r->Link.timeout = a; ret = 1; }
		STEP("enablewrite") { RTMP_EnableWrite(r); ret = 1; }
		STEP("connect") ret = RTMP_Connect(r, NULL);
		STEP("connect0") ret = connect0(r, a);
		STEP("connect1") ret = RTMP_Connect1(r, NULL);
		STEP("stream") ret = RTMP_ConnectStream(r, 0);
		STEP("pause") ret = RTMP_Pause(r, a);
		STEP("read") { ret = read_all(r); good = ret > 0; }
		STEP("readpacket") { RTMPPacket packet = {0}; ret = RTMP_ReadPacket(r, &packet); RTMPPacket_Free(&packet); }
		STEP("media") { RTMPPacket packet = {0}; ret = RTMP_GetNextMediaPacket(r, &packet); RTMPPacket_Free(&packet); }
		STEP("send") ret = send_packet(r, a, (unsigned)b);
		STEP("write") { int n; char *bytes = parse_hex(rest, &n); ret = RTMP_Write(r, bytes, n); good = ret >= 0; free(bytes); }
		STEP("serve") ret = serve(r, rest);
		/* Continues with a file that begins with other metadata. */
		STEP("resume") { r->m_read.flags = RTMP_READ_RESUME; r->m_read.metaHeader = rest; r->m_read.nMetaHeaderSize = 1; ret = 1; }
		STEP("join") ret = join_session(r);
		STEP("accept") ret = RTMP_TLS_Accept(r, NULL);
		STEP("drop") { RTMP_DropRequest(r, a, 1); ret = 0; }
		STEP("invalid") ret = call_with_invalid(r, name);
		STEP("close") { RTMP_Close(r); ret = 0; }
		STEP("init") { RTMP_Init(r); ret = 0; }
		STEP("move") { session = *r; r = &session; ret = 0; }
		STEP("null") { r = NULL; ret = 0; }
		STEP("threads") ret = in_threads() == 0;
		else {
			printf(" unknown step\n");
			return 2;
		}
		printf(" -> %d", ret);
		if (!good || ret == 0)
			print_reason(r);
		printf("\n");
	}
	if (r == &session)
		*first = session;
	/* Programs that never got a connection leave it at this. */
	if (argc < 2 || strcmp(argv[1], "careless"))
		RTMP_Close(first);
	RTMP_Free(first);
	while (used)
		free(kept[--used]);
	return 0;
}
