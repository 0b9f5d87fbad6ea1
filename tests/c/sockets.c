/*
 * Packets and socket buffers as programs use them without a session: what each call returns, and every field after it.
 */
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "hex.h"

static void show_packet(const char *what, const RTMPPacket *packet)
{
	printf("%s: header %d type %d absolute %d channel %d time %u stream %d size %u read %u chunk %s body %s\n", what,
	       packet->m_headerType, packet->m_packetType, packet->m_hasAbsTimestamp, packet->m_nChannel, packet->m_nTimeStamp,
	       packet->m_nInfoField2, packet->m_nBodySize, packet->m_nBytesRead, packet->m_chunk ? "set" : "NULL",
	       packet->m_body ? "set" : "NULL");
}

static void packets(void)
{
	RTMPChunk chunk;
	RTMPPacket packet;
	unsigned i, sum = 0;

	memset(&packet, 0xa5, sizeof(packet));
	packet.m_chunk = &chunk;
	packet.m_body = (char *)&chunk;
	RTMPPacket_Reset(&packet);
	show_packet("reset", &packet);
	packet.m_body = NULL;
	packet.m_chunk = NULL;
	printf("alloc %d\n", RTMPPacket_Alloc(&packet, 100));
	show_packet("alloc", &packet);
	for (i = 0; i < 100 + RTMP_MAX_HEADER_SIZE; i++)
		sum += (unsigned char)packet.m_body[(int)i - RTMP_MAX_HEADER_SIZE];
	printf("sum of a new body %u\n", sum);
	packet.m_packetType = RTMP_PACKET_TYPE_VIDEO;
	packet.m_nChannel = 4;
	packet.m_nTimeStamp = 40;
	packet.m_nBodySize = 100;
	packet.m_body[0] = 0x17;
	RTMPPacket_Dump(&packet);
	RTMPPacket_Free(&packet);
	show_packet("free", &packet);
	RTMPPacket_Dump(&packet);
	RTMPPacket_Free(&packet);
	printf("alloc of nothing %d\n", RTMPPacket_Alloc(&packet, 0));
	RTMPPacket_Free(&packet);
}

static void show_buffer(const char *what, const RTMPSockBuf *buffer, int ret)
{
	printf("%s: %d size %d timed out %d ", what, ret, buffer->sb_size, buffer->sb_timedout);
	if (buffer->sb_size > 0)
		print_hex(buffer->sb_start, buffer->sb_size < 16 ? (size_t)buffer->sb_size : 16);
	printf("\n");
}

static void buffers(void)
{
	static RTMPSockBuf buffer;
	static char large[20000];
	struct timeval limit = {0, 50000};
	int pair[2], spare;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(3);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	buffer.sb_socket = pair[0];
	show_buffer("silence", &buffer, RTMPSockBuf_Fill(&buffer));
	n = write(pair[1], "hello", 5);
	show_buffer("five bytes", &buffer, RTMPSockBuf_Fill(&buffer));
	buffer.sb_start += 2;
	buffer.sb_size -= 2;
	n += write(pair[1], " world", 6);
	show_buffer("six more", &buffer, RTMPSockBuf_Fill(&buffer));
	printf("start at %d\n", (int)(buffer.sb_start - buffer.sb_buf));
	buffer.sb_size = 0;
	n += write(pair[1], large, sizeof(large));
	show_buffer("more than it holds", &buffer, RTMPSockBuf_Fill(&buffer));
	show_buffer("full", &buffer, RTMPSockBuf_Fill(&buffer));
	buffer.sb_size = 0;
	show_buffer("the rest", &buffer, RTMPSockBuf_Fill(&buffer));
	printf("written %d\n", (int)n);
	printf("send %d\n", RTMPSockBuf_Send(&buffer, "reply", 5));
	n = read(pair[1], large, sizeof(large));
	printf("arrived %d '%.5s'\n", (int)n, large);
	printf("send nothing %d\n", RTMPSockBuf_Send(&buffer, "", 0));
	buffer.sb_size = 0;
	shutdown(pair[1], SHUT_WR);
	show_buffer("end", &buffer, RTMPSockBuf_Fill(&buffer));
	printf("close %d\n", RTMPSockBuf_Close(&buffer));
	errno = 0;
	printf("socket %s, ", buffer.sb_socket == pair[0] ? "kept" : "gone");
	spare = dup(0);
	printf("number %s\n", spare == pair[0] ? "free" : "taken");
	buffer.sb_socket = -1;
	printf("close without a socket %d\n", RTMPSockBuf_Close(&buffer));
	show_buffer("fill without a socket", &buffer, RTMPSockBuf_Fill(&buffer));
	printf("send without a socket %d\n", RTMPSockBuf_Send(&buffer, "x", 1));
	close(pair[1]);
	close(spare);
}

/* Chunks made by hand, one system call each. */
static void chunks(void)
{
	RTMP *r = RTMP_Alloc();
	char data[40], wire[100];
	RTMPChunk chunk = {.c_headerSize = 12, .c_chunkSize = 4, .c_chunk = data + 20};
	int pair[2];
	ssize_t n;

	if (!r || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(3);
	RTMP_Init(r);
	r->m_sb.sb_socket = pair[0];
	printf("socket %d connected %d timed out %d duration %g\n", RTMP_Socket(r) == pair[0], RTMP_IsConnected(r),
	       RTMP_IsTimedout(r), RTMP_GetDuration(r));
	memset(data, 0x55, sizeof(data));
	memset(chunk.c_header, 0x11, sizeof(chunk.c_header));
	printf("chunk %d\n", RTMP_SendChunk(r, &chunk));
	chunk.c_chunkSize = 0;
	printf("header %d\n", RTMP_SendChunk(r, &chunk));
	n = read(pair[1], wire, sizeof(wire));
	print_hex(wire, (size_t)n);
	printf(" data ");
	print_hex(data, sizeof(data));
	printf("\n");
	RTMP_Close(r);
	printf("socket %d chunk %d\n", RTMP_Socket(r), RTMP_SendChunk(r, &chunk));
	RTMP_Free(r);
	close(pair[1]);
}

int main(void)
{
	uint32_t start = RTMP_GetTime();
	RTMP_LogSetOutput(stdout);
	RTMP_LogSetLevel(RTMP_LOGDEBUG);
	packets();
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	buffers();
	chunks();
	printf("version %x, time %s\n", (unsigned)RTMP_LibVersion(), RTMP_GetTime() - start < 60000 ? "goes on" : "jumps");
	return 0;
}
