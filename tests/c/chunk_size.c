/*
 * Chunk sizes that a program requests. `chunk_size publish URL FILE SIZE` sets the field before it connects, sends Set
 * Chunk Size and does not set the field again; `chunk_size serve SIZE` prints a port and sends a message of 5000 bytes to
 * the client that comes; `chunk_size zeros URL SIZE` connects with a struct that was never initialised.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int announce(RTMP *r, int size)
{
	char memory[RTMP_MAX_HEADER_SIZE + 4];
	RTMPPacket packet;
	packet.m_nBytesRead = 0;
	packet.m_body = memory + RTMP_MAX_HEADER_SIZE;
	packet.m_packetType = RTMP_PACKET_TYPE_CHUNK_SIZE;
	packet.m_hasAbsTimestamp = 0;
	packet.m_nChannel = 2;
	packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
	packet.m_nTimeStamp = 0;
	packet.m_nInfoField2 = 0;
	packet.m_nBodySize = 4;
	AMF_EncodeInt32(packet.m_body, packet.m_body + 4, size);
	return RTMP_SendPacket(r, &packet, FALSE);
}

static int publish(char *url, const char *name, int size)
{
	static char block[50000];
	FILE *file = fopen(name, "rb");
	RTMP *r = RTMP_Alloc();
	size_t got;
	int ok;
	RTMP_Init(r);
	if (!file || !RTMP_SetupURL(r, url))
		return 2;
	r->Link.timeout = 10;
	RTMP_EnableWrite(r);
	r->m_outChunkSize = size;
	ok = RTMP_Connect(r, NULL) && announce(r, size) && RTMP_ConnectStream(r, 0);
	while (ok && (got = fread(block, 1, sizeof block, file)) > 0) {
		int used = RTMP_Write(r, block, (int)got);
		ok = used > 0 && !fseek(file, used - (long)got, SEEK_CUR);
	}
	RTMP_Close(r);
	RTMP_Free(r);
	fclose(file);
	return ok ? 0 : 1;
}

static int serve(int size)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	RTMPPacket packet = {.m_packetType = RTMP_PACKET_TYPE_VIDEO, .m_nChannel = 4, .m_nBodySize = 5000};
	RTMP *r = RTMP_Alloc();
	int ok;
	RTMP_Init(r);
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		return 2;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	r->m_sb.sb_socket = accept(listener, NULL, NULL);
	r->Link.timeout = 10;
	r->m_outChunkSize = size;
	RTMPPacket_Alloc(&packet, 5000);
	packet.m_nBodySize = 5000;
	ok = RTMP_Serve(r) && RTMP_SendPacket(r, &packet, 0);
	RTMPPacket_Free(&packet);
	RTMP_Close(r);
	RTMP_Free(r);
	return ok ? 0 : 1;
}

static int zeros(char *url, int size)
{
	RTMP *r = calloc(1, sizeof *r);
	int ok;
	r->m_outChunkSize = size;
	ok = RTMP_SetupURL(r, url) && RTMP_Connect(r, NULL);
	printf("%d %d\n", ok, r->m_outChunkSize);
	RTMP_Close(r);
	free(r);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "publish"))
		return publish(argv[2], argv[3], atoi(argv[4]));
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "zeros"))
		return zeros(argv[2], atoi(argv[3]));
	return 2;
}
