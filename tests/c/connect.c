/*
 * Connects one RTMP object in the ways that an application can: every line of the input is a step. Prints each step with
 * its result.
 */
#include <arpa/inet.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <netinet/in.h>
#include "hex.h"

static RTMP *r;

/* Connects to an address of the application's own. */
static int connect0(const char *text, int port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return RTMP_Connect0(r, (struct sockaddr *)&v4);
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		return RTMP_Connect0(r, (struct sockaddr *)&v6);
	return -1;
}

static int set_option(char *name, char *value)
{
	AVal opt = {name, (int)strlen(name)}, arg = {value, (int)strlen(value)};
	return RTMP_SetOpt(r, &opt, &arg);
}

int main(void)
{
	char *line, *kept[64];
	int used = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = RTMP_Alloc();
	RTMP_Init(r);
	while ((line = read_line()) && used < 64) {
		char first[64] = "", second[64] = "", *rest = strchr(line, ' ');
		int ret = 0;
		kept[used++] = line; /* the object points into it */
		printf("%s:", line);
		rest = rest ? rest + 1 : line + strlen(line);
		sscanf(rest, "%63s %63s", first, second);
#define STEP(step) !strncmp(line, step, strlen(step))
		if (STEP("setup "))
			ret = RTMP_SetupURL(r, rest);
		else if (STEP("option "))
			/* The value is the end of the line, which stays. */
			ret = set_option(first, rest + strlen(first) + (rest[strlen(first)] == ' '));
		else if (STEP("show"))
			printf(" sockshost '%.*s' socksport %d tcUrl '%.*s'", r->Link.sockshost.av_len,
				r->Link.sockshost.av_len ? r->Link.sockshost.av_val : "", r->Link.socksport,
				r->Link.tcUrl.av_len, r->Link.tcUrl.av_len ? r->Link.tcUrl.av_val : "");
		else if (STEP("open "))
			ret = connect0(first, atoi(second));
		else if (STEP("start"))
			ret = RTMP_Connect1(r, NULL);
		else if (STEP("connect"))
			ret = RTMP_Connect(r, NULL);
		else if (STEP("stream"))
			ret = RTMP_ConnectStream(r, 0);
		else if (STEP("close"))
			RTMP_Close(r);
		else
			ret = -1;
		printf(" -> %d connected %d\n", ret, RTMP_IsConnected(r) != 0);
	}
	RTMP_Close(r);
	/* The name of the proxy stays the caller's. */
	free(r->Link.sockshost.av_val);
	RTMP_Free(r);
	while (used)
		free(kept[--used]);
	return 0;
}
