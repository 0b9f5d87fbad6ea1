/*
 * Reads chunks from a socket pair with RTMP_ReadPacket: every line of the input is the bytes of one chunk. A line
 * "size <n>" sets m_inChunkSize instead.
 * Prints per chunk: result, ready, m_headerType, m_nChannel, m_nTimeStamp, m_nBodySize, m_nBytesRead, m_packetType,
 * m_nInfoField2, m_channelTimestamp of the channel, and the body of a ready packet.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "hex.h"

int main(void)
{
	RTMP *r = RTMP_Alloc();
	RTMPPacket packet = {0};
	struct timeval limit = {2, 0};
	char *line;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 2;
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	RTMP_Init(r);
	r->m_sb.sb_socket = pair[0];
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while ((line = read_line())) {
		int n, ret, ready;
		char *bytes;
		if (sscanf(line, "size %d", &n) == 1) {
			r->m_inChunkSize = n;
			free(line);
			continue;
		}
		bytes = parse_hex(line, &n);
		free(line);
		if (send(pair[1], bytes, n, 0) != n)
			return 3;
		free(bytes);
		ret = RTMP_ReadPacket(r, &packet);
		if (!ret) {
			printf("0 body %s\n", packet.m_body ? "set" : "NULL");
			break;
		}
		ready = RTMPPacket_IsReady(&packet);
		printf("%d %d %d %d %u %u %u %d %d %d ", ret, ready, packet.m_headerType, packet.m_nChannel,
		       packet.m_nTimeStamp, packet.m_nBodySize, packet.m_nBytesRead, packet.m_packetType,
		       packet.m_nInfoField2,
		       packet.m_nChannel < r->m_channelsAllocatedIn && r->m_channelTimestamp
			       ? r->m_channelTimestamp[packet.m_nChannel] : -1);
		if (ready && packet.m_body)
			print_hex(packet.m_body, packet.m_nBodySize);
		else
			printf("%s", packet.m_body ? "set" : "NULL");
		printf("\n");
		if (ready)
			RTMPPacket_Free(&packet);
	}
	RTMP_Close(r);
	RTMP_Free(r);
	close(pair[1]);
	return 0;
}
