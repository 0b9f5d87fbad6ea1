/*
 * One side of a session, for systems that only emulators run here: `play URL`, `publish URL COUNT`, `serve PORT`; what a call
 * does that has to wait: `wait URL`, `abort URL`; and what it leaves in files: `log FILE`, `swf URL`. Uses what rtmp_sys.h has on
 * every system, and prints one line.
 */
#include <stdio.h>
#include <librtmp/rtmp_sys.h>
#include <librtmp/log.h>
#ifndef _WIN32
#include <pthread.h>
#endif

static int fail(RTMP *r, const char *what)
{
	printf("%s failed with %d: %s\n", what, RTMP_GetLastError(r), RTMP_GetErrorString(r));
	return 1;
}

static unsigned long sum_of(unsigned long sum, const char *bytes, int n)
{
	int i;
	for (i = 0; i < n; i++)
		sum = (sum * 31 + (unsigned char)bytes[i]) & 0xffffffffUL;
	return sum;
}

static int play(RTMP *r)
{
	static char buffer[65536];
	unsigned long sum = 0, total = 0;
	int n;

	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
		return fail(r, "play");
	while ((n = RTMP_Read(r, buffer, sizeof(buffer))) > 0) {
		sum = sum_of(sum, buffer, n);
		total += (unsigned long)n;
	}
	printf("played %lu bytes, sum %lu, status %d\n", total, sum, r->m_read.status);
	return 0;
}

static int publish(RTMP *r, int count)
{
	static const char header[] = "FLV\1\4\0\0\0\11\0\0\0";
	char tag[11 + 300 + 4];
	int i;

	RTMP_EnableWrite(r);
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
		return fail(r, "publish");
	if (RTMP_Write(r, header, 13) <= 0)
		return fail(r, "write");
	for (i = 0; i < count; i++) {
		memset(tag, i, sizeof(tag));
		tag[0] = 8;
		tag[1] = 0, tag[2] = 1, tag[3] = 44; /* 300 bytes */
		tag[4] = 0, tag[5] = (char)(i >> 8), tag[6] = (char)i, tag[7] = 0;
		tag[8] = tag[9] = tag[10] = 0;
		tag[11] = (char)0xAF;
		tag[311] = tag[312] = 0, tag[313] = 1, tag[314] = 55; /* 311 */
		if (RTMP_Write(r, tag, sizeof(tag)) != (int)sizeof(tag))
			return fail(r, "write");
	}
	printf("published %d\n", count);
	return 0;
}

/* Takes one client until it leaves, and counts what it sends before. */
static int serve(RTMP *r, int port)
{
	struct sockaddr_in address;
	RTMPPacket packet;
	int listener = (int)socket(AF_INET, SOCK_STREAM, 0), commands = 0, connection;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((unsigned short)port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1)) {
		printf("cannot listen\n");
		return 1;
	}
	connection = (int)accept(listener, NULL, NULL);
	closesocket(listener);
	r->m_sb.sb_socket = connection;
	if (!RTMP_Serve(r))
		return fail(r, "serve");
	memset(&packet, 0, sizeof(packet));
	while (RTMP_IsConnected(r) && RTMP_ReadPacket(r, &packet)) {
		if (!RTMPPacket_IsReady(&packet))
			continue;
		if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE)
			commands++;
		RTMPPacket_Free(&packet);
		if (commands)
			break;
	}
	printf("served, %d command\n", commands);
	return 0;
}

#ifdef _WIN32
static DWORD WINAPI abort_soon(void *r)
#else
static void *abort_soon(void *r)
#endif
{
	msleep(300);
	RTMP_Abort(r);
	return 0;
}

/* The peer accepts the connection and says nothing. */
static int wait_for_peer(RTMP *r, int aborts)
{
	r->Link.timeout = aborts ? 600 : 1;
	if (aborts) {
#ifdef _WIN32
		CloseHandle(CreateThread(NULL, 0, abort_soon, r, 0, NULL));
#else
		pthread_t thread;
		pthread_create(&thread, NULL, abort_soon, r);
		pthread_detach(thread);
#endif
	}
	if (RTMP_Connect(r, NULL))
		return fail(r, "nothing");
	printf("code %d\n", RTMP_GetLastError(r));
	return 0;
}

/* The library writes to a FILE of the program. */
static int write_log(const char *name)
{
	FILE *file = fopen(name, "w");

	if (!file)
		return 1;
	RTMP_LogSetLevel(RTMP_LOGINFO);
	RTMP_LogSetOutput(file);
	RTMP_Log(RTMP_LOGINFO, "%s %d %ld %.1f", "text", -1, 2147483647L, 0.5);
	RTMP_Log(RTMP_LOGDEBUG, "not this");
	RTMP_LogSetOutput(stdout);
	RTMP_Log(RTMP_LOGINFO, "afterwards");
	return fclose(file);
}

/* Where the hash of a SWF file is kept. */
static int hash(const char *url)
{
	unsigned char digest[RTMP_SWF_HASHLEN];
	char name[1024], line[1024];
	unsigned int size = 0;
	const char *home = getenv("HOME");
	int result = RTMP_HashSWF(url, &size, digest, 30), found = 0;
	FILE *file;

#ifdef _WIN32
	if (!home)
		home = getenv("USERPROFILE");
#endif
	snprintf(name, sizeof(name), "%s/.swfinfo", home ? home : "");
	file = fopen(name, "r");
	while (file && fgets(line, sizeof(line), file))
		found |= !strncmp(line, "url: ", 5) && !strncmp(line + 5, url, strlen(url));
	if (file)
		fclose(file);
	printf("result %d, size %u, %s\n", result, size, found ? "kept" : "not kept");
	return 0;
}

int main(int argc, char **argv)
{
	WSADATA data;
	RTMP *r;
	char url[1024];
	int result = 2;

	if (argc < 3)
		return result;
	WSAStartup(MAKEWORD(2, 2), &data);
	r = RTMP_Alloc();
	RTMP_Init(r);
	r->Link.timeout = 60;
	RTMP_LogSetLevel(RTMP_LOGERROR);
	if (!strcmp(argv[1], "log"))
		return write_log(argv[2]);
	if (!strcmp(argv[1], "swf"))
		return hash(argv[2]);
	snprintf(url, sizeof(url), "%s", argv[2]);
	if (strcmp(argv[1], "serve") && !RTMP_SetupURL(r, url))
		return fail(r, "setup");
	if (!strcmp(argv[1], "play"))
		result = play(r);
	else if (!strcmp(argv[1], "publish"))
		result = publish(r, atoi(argv[3]));
	else if (!strcmp(argv[1], "serve"))
		result = serve(r, atoi(argv[2]));
	else if (!strcmp(argv[1], "wait") || !strcmp(argv[1], "abort"))
		result = wait_for_peer(r, !strcmp(argv[1], "abort"));
	fflush(stdout);
	RTMP_Close(r);
	RTMP_Free(r);
	WSACleanup();
	return result;
}
