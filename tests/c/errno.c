/*
 * Prints what every way in which a call can end leaves in errno: its name, or "-" where errno is as it was before.
 * Peers are threads of this program. The argument is a directory without files.
 */
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* What errno is before each call. No system uses the value. */
#define UNTOUCHED 4711

static const char *name_of(int value)
{
	static char number[16];
	switch (value) {
	case UNTOUCHED: return "-";
	case 0: return "0";
	case EAGAIN: return "EAGAIN";
	case EBADF: return "EBADF";
	case ECONNREFUSED: return "ECONNREFUSED";
	case ECONNRESET: return "ECONNRESET";
	case EINPROGRESS: return "EINPROGRESS";
	case EINTR: return "EINTR";
	case EINVAL: return "EINVAL";
	case ENOENT: return "ENOENT";
	case ENOMEM: return "ENOMEM";
	case ENETUNREACH: return "ENETUNREACH";
	case EHOSTUNREACH: return "EHOSTUNREACH";
	case ENOTCONN: return "ENOTCONN";
	case ENOTSOCK: return "ENOTSOCK";
	case EPIPE: return "EPIPE";
	case ETIMEDOUT: return "ETIMEDOUT";
	}
	snprintf(number, sizeof number, "%d", value);
	return number;
}

static const char *at = "";

static int show(const char *what, int ret)
{
	int left = errno;
	printf("%s: %s -> %d %s\n", at, what, ret, name_of(left));
	return ret;
}

/* Calls the library, and looks at errno as soon as that has returned. */
#define SHOW(call) (errno = UNTOUCHED, show(#call, (call)))
#define DONE(call) (errno = UNTOUCHED, (call), show(#call, 0))

/* What a peer does with a connection before, and after, the handshake. */
enum deed { WAIT, CLOSE, RESET, SEND_MESSAGE, SEND_HALF, SAY_NO, GARBAGE, PAGE, NO_PAGE, WAIT_FOR_EVER };

struct peer {
	int listener, port;
	enum deed before, after;
	int order[2];
	pthread_t thread;
};

static void take(int fd, size_t count)
{
	char buffer[4096];
	while (count > 0) {
		ssize_t got = read(fd, buffer, count < sizeof buffer ? count : sizeof buffer);
		if (got <= 0)
			return;
		count -= (size_t)got;
	}
}

static void give(int fd, const void *bytes, size_t count)
{
	while (count > 0) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes = (const char *)bytes + sent;
		count -= (size_t)sent;
	}
}

static int handshake(int fd, enum deed before)
{
	static const char blocks[1 + 2 * 1536] = {3};
	if (before == WAIT) {
		take(fd, 1537);
		give(fd, blocks, sizeof blocks);
		take(fd, 1536);
		return 1;
	}
	/* The least that a client says first: what it tells a proxy. */
	take(fd, 9);
	return 0;
}

static void act(int fd, enum deed deed)
{
	static const char message[] = "\6\0\0\12\0\0\4\10\1\0\0\0\257\1\1\2";
	static const char no[8] = {0, 91};
	struct linger at_once = {1, 0};
	if (deed == SEND_MESSAGE)
		give(fd, message, sizeof message - 1);
	else if (deed == SEND_HALF)
		give(fd, message, sizeof message - 3);
	else if (deed == SAY_NO)
		give(fd, no, sizeof no);
	else if (deed == GARBAGE)
		give(fd, "no handshake", 12);
	else if (deed == NO_PAGE)
		give(fd, "HTTP/1.0 404 Not Found\r\n\r\n", 26);
	else if (deed == PAGE)
		give(fd, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 41);
	else if (deed == RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (deed == CLOSE || deed == NO_PAGE)
		shutdown(fd, SHUT_WR);
	if (deed == RESET)
		close(fd);
}

/* Accepts one connection. The deed behind the handshake waits for an order, the end for another. */
static void *run(void *of)
{
	struct peer *peer = of;
	int fd = accept(peer->listener, NULL, NULL);
	char order;
	if (handshake(fd, peer->before)) {
		if (read(peer->order[0], &order, 1) == 1)
			act(fd, peer->after);
	} else {
		act(fd, peer->before);
		peer->after = peer->before;
	}
	if (read(peer->order[0], &order, 1) != 1 || peer->after != RESET)
		close(fd);
	return NULL;
}

static void command(struct peer *peer)
{
	if (write(peer->order[1], "", 1) != 1)
		abort();
}

static struct peer *start(enum deed before, enum deed after)
{
	struct peer *peer = calloc(1, sizeof *peer);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int small = 4096;
	peer->listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(peer->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	if (bind(peer->listener, (struct sockaddr *)&address, len) || listen(peer->listener, 5) ||
	    getsockname(peer->listener, (struct sockaddr *)&address, &len) || pipe(peer->order))
		abort();
	peer->port = ntohs(address.sin_port);
	peer->before = before;
	peer->after = after;
	if (pthread_create(&peer->thread, NULL, run, peer))
		abort();
	return peer;
}

static void finish(struct peer *peer)
{
	command(peer);
	close(peer->order[1]);
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	close(peer->order[0]);
	free(peer);
}

/* A port that nobody listens on. */
static int dead_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&address, len) || getsockname(fd, (struct sockaddr *)&address, &len))
		abort();
	close(fd);
	return ntohs(address.sin_port);
}

static char url[400];

static RTMP *session(const char *format, int port, int timeout)
{
	RTMP *r = RTMP_Alloc();
	RTMP_Init(r);
	snprintf(url, sizeof url, format, port);
	RTMP_SetupURL(r, url);
	r->Link.timeout = timeout;
	return r;
}

static void end(RTMP *r)
{
	DONE(RTMP_Close(r));
	RTMP_Free(r);
}

/* Lets the library wait for a moment only. */
static void hurry(RTMP *r)
{
	struct timeval brief = {0, 100000};
	setsockopt(RTMP_Socket(r), SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
	setsockopt(RTMP_Socket(r), SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
}

static void wait_for(RTMP *r, short events)
{
	struct pollfd wait = {.fd = RTMP_Socket(r), .events = events};
	poll(&wait, 1, 10000);
}

static int send_bytes(RTMP *r, uint32_t size)
{
	RTMPPacket packet = {.m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nChannel = 4, .m_nInfoField2 = 1};
	int ret;
	RTMPPacket_Alloc(&packet, size);
	packet.m_nBodySize = size;
	errno = UNTOUCHED;
	ret = RTMP_SendPacket(r, &packet, 0);
	RTMPPacket_Free(&packet);
	return ret;
}

static int read_packet(RTMP *r)
{
	RTMPPacket packet = {0};
	int ret = RTMP_ReadPacket(r, &packet);
	RTMPPacket_Free(&packet);
	return ret;
}

static int next_packet(RTMP *r)
{
	RTMPPacket packet = {0};
	int ret = RTMP_GetNextMediaPacket(r, &packet);
	RTMPPacket_Free(&packet);
	return ret;
}

static int read_flv(RTMP *r)
{
	char buffer[1000];
	return RTMP_Read(r, buffer, sizeof buffer);
}

static int write_flv(RTMP *r)
{
	static const char tag[] = "\10\0\0\4\0\0\0\0\0\0\0\257\1\1\2\0\0\0\17";
	return RTMP_Write(r, tag, sizeof tag - 1);
}

static const char plain[] = "rtmp://127.0.0.1:%d/app/name";
static const char tls[] = "rtmps://127.0.0.1:%d/app/name";
static const char encrypted[] = "rtmpe://127.0.0.1:%d/app/name";

static void without_a_connection(void)
{
	RTMP *r = session(plain, 1, 1);
	char memory[RTMP_MAX_HEADER_SIZE + 4] = {0};
	RTMPChunk chunk = {.c_headerSize = 1, .c_chunkSize = 4, .c_chunk = memory + RTMP_MAX_HEADER_SIZE};
	at = "no connection";
	DONE(RTMP_DeleteStream(r));
	SHOW(read_packet(r));
	SHOW(next_packet(r));
	SHOW(read_flv(r));
	SHOW(write_flv(r));
	SHOW(send_bytes(r, 10));
	SHOW(RTMP_SendChunk(r, &chunk));
	SHOW(RTMP_ConnectStream(r, 0));
	SHOW(RTMP_SendCtrl(r, 3, 1, 1));
	SHOW(RTMP_SendPause(r, 1, 1));
	SHOW(RTMP_ReconnectStream(r, 0));
	SHOW(RTMP_ToggleStream(r));
	SHOW(RTMP_Connect1(r, NULL));
	SHOW(RTMP_Serve(r));
	SHOW(RTMP_IsConnected(r));
	SHOW(RTMP_Socket(r));
	end(r);
}

static void connecting(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	RTMP *r = session(plain, dead_port(), 2);
	at = "refused";
	SHOW(RTMP_Connect(r, NULL));
	address.sin_port = htons((uint16_t)dead_port());
	SHOW(RTMP_Connect0(r, (struct sockaddr *)&address));
	end(r);

	at = "unknown host";
	r = session("rtmp://a..b/app/name", 0, 2);
	SHOW(RTMP_Connect(r, NULL));
	end(r);

	at = "no host";
	r = session("rtmp://", 0, 2);
	SHOW(RTMP_Connect(r, NULL));
	end(r);

	at = "proxy refused";
	r = session("rtmp://127.0.0.1:1/app/name socks=127.0.0.1:%d", dead_port(), 2);
	SHOW(RTMP_Connect(r, NULL));
	end(r);
}

static void handshaking(const char *name, const char *format, enum deed deed)
{
	struct peer *peer = start(deed, WAIT);
	RTMP *r = session(format, peer->port, 1);
	at = name;
	SHOW(RTMP_Connect(r, NULL));
	finish(peer);
	end(r);
}

static RTMP *connected(struct peer *peer)
{
	RTMP *r = session(plain, peer->port, 1);
	SHOW(RTMP_Connect(r, NULL));
	command(peer);
	return r;
}

typedef int call(RTMP *r);

static void reading(const char *name, call *call)
{
	static const struct { const char *name; enum deed deed; } ways[] = {
	    {"time-out", WAIT}, {"closed", CLOSE}, {"reset", RESET}, {"message", SEND_MESSAGE}, {"half", SEND_HALF}};
	size_t i;
	for (i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct peer *peer = start(WAIT, ways[i].deed);
		char text[60];
		RTMP *r;
		snprintf(text, sizeof text, "%s, %s", name, ways[i].name);
		at = text;
		r = connected(peer);
		hurry(r);
		if (ways[i].deed != WAIT)
			wait_for(r, POLLIN);
		SHOW(call(r));
		SHOW(call(r));
		SHOW(call(r));
		end(r);
		finish(peer);
	}
}

static void without_waiting(const char *name, call *call)
{
	struct peer *peer = start(WAIT, SEND_MESSAGE);
	char text[60];
	RTMP *r;
	snprintf(text, sizeof text, "%s, O_NONBLOCK", name);
	at = text;
	r = session(plain, peer->port, 5);
	SHOW(RTMP_Connect(r, NULL));
	fcntl(RTMP_Socket(r), F_SETFL, fcntl(RTMP_Socket(r), F_GETFL) | O_NONBLOCK);
	SHOW(call(r));
	SHOW(call(r));
	r->m_read.status = 0; /* as programs do that read on */
	command(peer);
	wait_for(r, POLLIN);
	SHOW(call(r));
	SHOW(call(r));
	end(r);
	finish(peer);
}

static void sending(const char *name, enum deed deed, int flags)
{
	struct peer *peer = start(WAIT, deed);
	RTMP *r;
	int sent, left;
	at = name;
	r = connected(peer);
	if (deed == RESET)
		wait_for(r, POLLIN);
	hurry(r);
	fcntl(RTMP_Socket(r), F_SETFL, fcntl(RTMP_Socket(r), F_GETFL) | flags);
	do {
		sent = send_bytes(r, 100000);
		left = errno;
		if (sent && left != UNTOUCHED)
			printf("%s: a message was sent, and errno is %s\n", at, name_of(left));
	} while (sent);
	printf("%s: the connection is lost, errno %s, connected %d\n", at, name_of(left), RTMP_IsConnected(r));
	SHOW(send_bytes(r, 10));
	end(r);
	finish(peer);
}

static void serving(const char *name, int silent)
{
	int pair[2];
	RTMP *r = RTMP_Alloc();
	RTMP_Init(r);
	r->Link.timeout = 1;
	at = name;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	r->m_sb.sb_socket = pair[0];
	if (silent)
		hurry(r);
	else
		close(pair[1]);
	SHOW(RTMP_Serve(r));
	if (silent)
		close(pair[1]);
	end(r);
}

static void buffers(void)
{
	RTMPSockBuf *sb = calloc(1, sizeof *sb);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	at = "buffer";
	sb->sb_socket = pair[0];
	SHOW(RTMPSockBuf_Fill(sb));
	SHOW(RTMPSockBuf_Send(sb, "abc", 3));
	if (write(pair[1], "abc", 3) != 3)
		abort();
	SHOW(RTMPSockBuf_Fill(sb));
	while (write(pair[0], url, sizeof url) > 0)
		;
	SHOW(RTMPSockBuf_Send(sb, "abc", 3));
	close(pair[1]);
	SHOW(RTMPSockBuf_Send(sb, "abc", 3));
	SHOW(RTMPSockBuf_Close(sb));
	sb->sb_size = 0;
	SHOW(RTMPSockBuf_Fill(sb));
	SHOW(RTMPSockBuf_Send(sb, "abc", 3));
	SHOW(RTMPSockBuf_Close(sb));
	sb->sb_socket = -1;
	SHOW(RTMPSockBuf_Fill(sb));
	SHOW(RTMPSockBuf_Send(sb, "abc", 3));
	SHOW(RTMPSockBuf_Close(sb));
	free(sb);
}

static size_t ignore(void *ptr, size_t size, size_t count, void *data)
{
	(void)ptr;
	(void)data;
	return size * count;
}

static void fetch(const char *name, enum deed deed)
{
	struct peer *peer = start(deed, WAIT);
	char date[64] = "", address[60];
	struct HTTP_ctx http = {.date = date};
	at = name;
	snprintf(address, sizeof address, "http://127.0.0.1:%d/a.swf", peer->port);
	SHOW(HTTP_get(&http, address, ignore));
	finish(peer);
}

static void fetching(void)
{
	char date[64] = "", address[60];
	struct HTTP_ctx http = {.date = date};
	unsigned char hash[RTMP_SWF_HASHLEN];
	unsigned int size = 0;
	at = "HTTP";
	snprintf(address, sizeof address, "http://127.0.0.1:%d/a.swf", dead_port());
	SHOW(HTTP_get(&http, address, ignore));
	SHOW(RTMP_HashSWF(address, &size, hash, 0));
	snprintf(address, sizeof address, "file:///nothing");
	SHOW(HTTP_get(&http, address, ignore));
	fetch("HTTP, not found", NO_PAGE);
	fetch("HTTP, closed", CLOSE);
	fetch("HTTP, reset", RESET);
	fetch("HTTP, found", PAGE);
}

static void settings(void)
{
	static const AVal no_such = AVC("nonsense"), conn = AVC("conn");
	RTMP *r = session(plain, 1, 1);
	AVal value = AVC("X:1"), host = {0}, app = {0}, path = {0};
	char bad[] = "no URL", odd[] = "rtmp://h/app nonsense=1";
	int protocol;
	unsigned port;
	at = "settings";
	SHOW(RTMP_SetupURL(r, bad));
	SHOW(RTMP_SetupURL(r, odd));
	SHOW(RTMP_SetOpt(r, &no_such, &value));
	SHOW(RTMP_SetOpt(r, &conn, &value));
	SHOW(RTMP_ParseURL(bad, &protocol, &host, &port, &path, &app));
	SHOW(RTMP_ParseURL("rtmp://h/app/name", &protocol, &host, &port, &path, &app));
	free(path.av_val);
	DONE(RTMP_Init(r));
	SHOW(RTMP_TLS_AllocServerContext("nothing.pem", "nothing.pem") != NULL);
	RTMP_Free(r);
}

static void logging(void)
{
	FILE *file = tmpfile();
	at = "log";
	DONE(RTMP_LogSetOutput(file));
	DONE(RTMP_LogSetLevel(RTMP_LOGALL));
	DONE(RTMP_Log(RTMP_LOGERROR, "an error, %d", 1));
	DONE(RTMP_LogPrintf("a line\n"));
	DONE(RTMP_LogStatus("a status\r"));
	DONE(RTMP_LogHex(RTMP_LOGERROR, (const uint8_t *)"abc", 3));
	DONE(RTMP_LogHexString(RTMP_LOGERROR, (const uint8_t *)"abc", 3));
	DONE(RTMP_LogSetLevel(RTMP_LOGCRIT));
	DONE(RTMP_LogSetOutput(stderr));
	fclose(file);
}

static void memory(void)
{
	RTMPPacket packet = {0};
	struct rlimit before, limit;
	at = "memory";
	SHOW(RTMPPacket_Alloc(&packet, 1000));
	DONE(RTMPPacket_Free(&packet));
	getrlimit(RLIMIT_AS, &before);
	limit = before;
	limit.rlim_cur = 1u << 30;
	setrlimit(RLIMIT_AS, &limit);
	SHOW(RTMPPacket_Alloc(&packet, 0x7fffff00u));
	setrlimit(RLIMIT_AS, &before);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || chdir(argv[1]))
		return 2;
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	without_a_connection();
	connecting();
	handshaking("handshake, time-out", plain, GARBAGE);
	handshaking("handshake, closed", plain, CLOSE);
	handshaking("handshake, reset", plain, RESET);
	handshaking("TLS, time-out", tls, WAIT_FOR_EVER);
	handshaking("TLS, garbage", tls, GARBAGE);
	handshaking("TLS, closed", tls, CLOSE);
	handshaking("TLS, reset", tls, RESET);
	handshaking("RTMPE, closed", encrypted, CLOSE);
	handshaking("RTMPE, reset", encrypted, RESET);
	handshaking("proxy, says no", "rtmp://127.0.0.1:1/app/name socks=127.0.0.1:%d", SAY_NO);
	handshaking("proxy, closed", "rtmp://127.0.0.1:1/app/name socks=127.0.0.1:%d", CLOSE);
	reading("ReadPacket", read_packet);
	reading("GetNextMediaPacket", next_packet);
	reading("Read", read_flv);
	without_waiting("ReadPacket", read_packet);
	without_waiting("GetNextMediaPacket", next_packet);
	without_waiting("Read", read_flv);
	sending("send, time-out", WAIT, 0);
	sending("send, O_NONBLOCK", WAIT, O_NONBLOCK);
	sending("send, reset", RESET, 0);
	serving("serve, closed", 0);
	serving("serve, time-out", 1);
	buffers();
	fetching();
	settings();
	logging();
	memory();
	return 0;
}
