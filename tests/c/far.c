/*
 * A session that is far along: "far URL COUNT read|messages|write BYTES". COUNT is how many bytes have arrived, as far as
 * the counters know. Receives so many bytes of an FLV file or of messages, or publishes them, and prints how many it were.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = 60000, TAG_HEADER = 11, TRAILER = 4 };

static char buffer[1 << 20];

static unsigned long long read_file(RTMP *r, unsigned long long wanted)
{
	unsigned long long total = 0;
	int n;
	while (total < wanted && (n = RTMP_Read(r, buffer, sizeof(buffer))) > 0)
		total += (unsigned)n;
	return total;
}

/* Counts bodies. */
static unsigned long long read_messages(RTMP *r, unsigned long long wanted)
{
	unsigned long long total = 0;
	RTMPPacket packet = {0};
	while (total < wanted && RTMP_GetNextMediaPacket(r, &packet)) {
		total += packet.m_nBodySize;
		RTMPPacket_Free(&packet);
	}
	return total;
}

/* Frames of one size, as an FLV file has them. */
static unsigned long long write_file(RTMP *r, unsigned long long wanted)
{
	enum { BODY = FRAME - TAG_HEADER - TRAILER };
	unsigned long long total = 0;
	buffer[0] = RTMP_PACKET_TYPE_VIDEO;
	AMF_EncodeInt24(buffer + 1, buffer + FRAME, BODY);
	memset(buffer + TAG_HEADER, 0x27, BODY);
	AMF_EncodeInt32(buffer + FRAME - TRAILER, buffer + FRAME, BODY + TAG_HEADER);
	for (; total < wanted && RTMP_Write(r, buffer, FRAME) == FRAME; total += FRAME) {
		AMF_EncodeInt24(buffer + 4, buffer + FRAME, (int)(total / FRAME));
	}
	return total;
}

int main(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc();
	unsigned long long total = 0, wanted;
	int writes;
	if (argc != 5 || !r)
		return 2;
	writes = !strcmp(argv[3], "write");
	wanted = strtoull(argv[4], NULL, 10);
	RTMP_LogSetLevel(RTMP_LOGERROR);
	RTMP_Init(r);
	r->Link.timeout = 20;
	if (!RTMP_SetupURL(r, argv[1]))
		return 3;
	if (writes)
		RTMP_EnableWrite(r);
	if (!RTMP_Connect(r, NULL))
		return 4;
	r->m_nBytesIn = r->m_nBytesInSent = (int)strtoul(argv[2], NULL, 10);
	if (!RTMP_ConnectStream(r, 0))
		return 5;
	if (writes)
		total = write_file(r, wanted);
	else
		total = !strcmp(argv[3], "read") ? read_file(r, wanted) : read_messages(r, wanted);
	printf("%llu\n", total);
	RTMP_Close(r);
	RTMP_Free(r);
	return 0;
}
