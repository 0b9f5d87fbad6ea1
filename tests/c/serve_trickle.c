/*
 * "serve_trickle HEX": RTMP_Serve with a client that says the given bytes and then one every 50 ms, for as long as it can.
 * Prints the result and how long that took, in milliseconds.
 */
#include "hex.h"
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int client;

static void *trickle(void *unused)
{
	char byte = 'x';
	while (send(client, &byte, 1, MSG_NOSIGNAL) == 1)
		usleep(50000);
	return unused;
}

int main(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc();
	pthread_t thread;
	int pair[2], n, result;
	unsigned began;
	char *bytes;
	if (argc != 2 || !r || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 2;
	bytes = parse_hex(argv[1], &n);
	client = pair[1];
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	RTMP_Init(r);
	r->Link.timeout = 1;
	r->m_sb.sb_socket = pair[0];
	if (send(client, bytes, (size_t)n, 0) != n || pthread_create(&thread, NULL, trickle, NULL))
		return 3;
	began = RTMP_GetTime();
	result = RTMP_Serve(r);
	printf("serve %d %u -\n", result, RTMP_GetTime() - began);
	began = RTMP_GetTime();
	RTMP_Close(r);
	printf("close 0 %u -\n", RTMP_GetTime() - began);
	RTMP_Free(r);
	free(bytes);
	return 0; /* which ends the client, whose HTTP connection is another thread's now */
}
