/*
 * Drives one RTMP object: every line of the input is a step. Prints each step with its result, and the fields that
 * applications look at whenever one of them has changed.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <sys/resource.h>
#include "hex.h"

#define FIELDS 27

static RTMP *r;
static char before[FIELDS][64];

/* Prints the fields that differ from what they were. */
static void print_fields(void)
{
	char now[FIELDS][64];
	int n = 0, i;
#define FIELD(name, format, value) snprintf(now[n++], sizeof(now[0]), name "=" format, value)
	FIELD("connected", "%d", RTMP_IsConnected(r) != 0);
	FIELD("timedout", "%d", RTMP_IsTimedout(r) != 0);
	FIELD("playing", "%d", r->m_bPlaying);
	FIELD("stream_id", "%d", r->m_stream_id);
	FIELD("numInvokes", "%d", r->m_numInvokes);
	FIELD("numCalls", "%d", r->m_numCalls);
	FIELD("mediaChannel", "%d", r->m_mediaChannel);
	FIELD("mediaStamp", "%u", r->m_mediaStamp);
	FIELD("pauseStamp", "%u", r->m_pauseStamp);
	FIELD("pausing", "%d", r->m_pausing);
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
	FIELD("read.status", "%d", r->m_read.status);
	FIELD("read.flags", "%d", r->m_read.flags);
	FIELD("read.dataType", "%d", r->m_read.dataType);
	FIELD("read.timestamp", "%u", r->m_read.timestamp);
	FIELD("sendCounter", "%d", r->m_bSendCounter);
	FIELD("seekTime", "%d", r->Link.seekTime);
	FIELD("playpath", "%s", r->Link.playpath0.av_val ? "set" : "NULL");
	for (i = 0; i < n; i++) {
		if (strcmp(now[i], before[i]))
			printf(" %s", now[i]);
		strcpy(before[i], now[i]);
	}
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
	else if (!strcmp(name, "loglevel")) RTMP_LogSetLevel(value);
	else return 0;
	return 1;
}

int main(void)
{
	char *line, *kept[64];
	int used = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = RTMP_Alloc();
	RTMP_Init(r);
	while ((line = read_line())) {
		char word[32] = "", name[64] = "", *rest;
		int a = 0, b = 0, c = 0, ret = 0;
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
				ret = RTMP_ClientPacket(r, &packet);
				RTMPPacket_Free(&packet);
			}
		}
		STEP("media") {
			RTMPPacket packet = {0};
			ret = RTMP_GetNextMediaPacket(r, &packet);
			if (ret)
				printf(" type %d time %u size %u", packet.m_packetType, packet.m_nTimeStamp, packet.m_nBodySize);
			RTMPPacket_Free(&packet);
		}
		/* The most memory that the process had so far, in megabytes. */
		STEP("memory") {
			struct rusage used_up;
			ret = getrusage(RUSAGE_SELF, &used_up) ? -1 : (int)(used_up.ru_maxrss >> 10);
		}
		STEP("read") {
			char *buffer = malloc(a + 1);
			ret = RTMP_Read(r, buffer, a);
			free(buffer);
		}
		else {
			printf(" unknown step\n");
			return 2;
		}
		printf(" -> %d |", ret);
		print_fields();
		printf("\n");
		free(line);
	}
	RTMP_Close(r);
	/* What options allocated stays the caller's. */
	AMF_Reset(&r->Link.extras);
	free(r->Link.sockshost.av_val);
	RTMP_Free(r);
	while (used)
		free(kept[--used]);
	return 0;
}
