/*
 * "handshake_cut client|server PROTOCOL SWFSIZE FIRST STEP", and what the peer says in hexadecimal digits on standard input:
 * it goes away after FIRST bytes of it, each STEP more, and then after all. RTMP_Connect1 and RTMP_Serve fail, and nothing
 * is left behind. Prints after how many they do not, and what is not as it should be.
 */
#include "hex.h"
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int main(int argc, char **argv)
{
	int n, len, first, step, server = argc > 1 && !strcmp(argv[1], "server");
	char *line, *bytes;
	if (argc != 6 || (first = atoi(argv[4])) < 0 || (step = atoi(argv[5])) < 1 || !(line = read_line()))
		return 2;
	bytes = parse_hex(line, &len);
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	for (n = first;; n = n < len && len < n + step ? len : n + step) {
		if (n > len)
			break;
		if (shake(server, atoi(argv[2]), (unsigned)atoi(argv[3]), bytes, n))
			printf("%d succeed\n", n);
	}
	free(bytes);
	free(line);
	return 0;
}
