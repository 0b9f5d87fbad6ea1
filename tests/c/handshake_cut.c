/*
 * The peer goes away after each byte of a handshake: RTMP_Connect1 and RTMP_Serve fail, and nothing is left behind. The
 * argument is "client" or "server". Prints what is not as it should be.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WHOLE = 1 + 1536 + 1536 };

/* What the peer sends, cut after n bytes; whether the handshake succeeded. What comes back is not read: it fits. */
static int shake(int server, int protocol, unsigned swf_size, const char *bytes, int n)
{
	RTMP *r = RTMP_Alloc();
	int pair[2], result;
	if (!r || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	RTMP_Init(r);
	r->Link.protocol = protocol;
	r->Link.SWFSize = swf_size;
	r->Link.timeout = 10;
	r->m_sb.sb_socket = pair[0];
	if (send(pair[1], bytes, (size_t)n, 0) != n || shutdown(pair[1], SHUT_WR))
		return -1;
	result = server ? RTMP_Serve(r) : RTMP_Connect1(r, NULL);
	if (!result && !server && RTMP_IsConnected(r)) {
		printf("%d bytes: the connection is still there\n", n);
	}
	/* Closing is the caller's after RTMP_Serve. */
	if (server && !RTMP_IsConnected(r))
		printf("%d bytes: the connection was closed\n", n);
	RTMP_Close(r);
	RTMP_Free(r);
	close(pair[1]);
	return result;
}

/* The first byte that both sides understand, the protocol, the size of an SWF file, and whether all of it succeeds. */
static const struct { int server, version, protocol; unsigned swf_size; int succeeds, step; } kinds[] = {
	{0, 3, RTMP_PROTOCOL_RTMP, 0, 1, 1},    /* simple */
	{0, 3, RTMP_PROTOCOL_RTMP, 99, 1, 7},   /* the client would sign, the server does not */
	{0, 6, RTMP_PROTOCOL_RTMPE, 0, 0, 61},  /* encrypted, without a digest */
	{0, 9, RTMP_PROTOCOL_RTMPE, 99, 0, 61}, /* encrypted and signed, without a digest */
	{1, 3, RTMP_PROTOCOL_RTMP, 0, 1, 1},
	{1, 3, RTMP_PROTOCOL_RTMP, 99, 1, 7},
	{1, 6, RTMP_PROTOCOL_RTMP, 0, 0, 61},
	{1, 8, RTMP_PROTOCOL_RTMP, 99, 0, 61},
};

int main(int argc, char **argv)
{
	static char bytes[WHOLE];
	size_t i;
	int n, server = argc > 1 && !strcmp(argv[1], "server");
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (kinds[i].server != server)
			continue;
		bytes[0] = (char)kinds[i].version;
		for (n = 0; n <= WHOLE; n += n + kinds[i].step > WHOLE && n < WHOLE ? WHOLE - n : kinds[i].step) {
			int result = shake(server, kinds[i].protocol, kinds[i].swf_size, bytes, n);
			if (result != (n == WHOLE && kinds[i].succeeds))
				printf("kind %zu, %d bytes: %d\n", i, n, result);
		}
	}
	return 0;
}
