/*
 * Sends messages over a socket pair with RTMP_SendPacket, one per line of the input:
 *   headerType timestamp length packetType channel streamId body|null [chunkSize]
 * Prints per line: result, m_headerType afterwards, the bytes on the wire, and whether the body is as it was.
 * The body is the byte 0x48 repeated.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hex.h"

int main(void)
{
	RTMP *r = RTMP_Alloc();
	char *line;
	int pair[2], large = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 2;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	RTMP_Init(r);
	r->m_sb.sb_socket = pair[0];
	while ((line = read_line())) {
		RTMPPacket packet = {0};
		unsigned header, type, length, i;
		int ret, chunk_size = 128, changed = 0;
		char body[8];
		char wire[65536];
		ssize_t n;

		if (sscanf(line, "%u %u %u %u %d %d %7s %d", &header, &packet.m_nTimeStamp, &length, &type,
			   &packet.m_nChannel, &packet.m_nInfoField2, body, &chunk_size) < 7)
			return 3;
		free(line);
		if (strcmp(body, "null")) {
			if (!RTMPPacket_Alloc(&packet, length))
				return 4;
			memset(packet.m_body, 0x48, length);
		}
		packet.m_headerType = (uint8_t)header;
		packet.m_packetType = (uint8_t)type;
		packet.m_nBodySize = length;
		r->m_outChunkSize = chunk_size;
		ret = RTMP_SendPacket(r, &packet, FALSE);
		printf("%d %d ", ret, packet.m_headerType);
		n = recv(pair[1], wire, sizeof(wire), MSG_DONTWAIT);
		if (n > 0)
			print_hex(wire, n);
		else
			printf("-");
		for (i = 0; packet.m_body && i < length; i++)
			changed |= packet.m_body[i] != 0x48;
		printf(" %s\n", changed ? "clobbered" : "intact");
		RTMPPacket_Free(&packet);
	}
	RTMP_Close(r);
	RTMP_Free(r);
	close(pair[1]);
	return 0;
}
