/*
 * Publishes to rtmp://127.0.0.1:<port>/app/pp with RTMP_Write: one call per line of the input, which is hexadecimal
 * text, or "size <n>" for a call with that size on a buffer of 4 bytes.
 * Arguments: port, chunk size, "guard" or "slack". With "guard" every buffer ends where an inaccessible page begins.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#ifndef _WIN32
#include <sys/mman.h>
#include <unistd.h>
#endif
#include "hex.h"

#ifdef _WIN32
static char *guarded(const char *data, int n)
{
	size_t page = 4096, pages = ((size_t)n + page - 1) / page + 1;
	char *memory = VirtualAlloc(NULL, (pages + 1) * page, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
	DWORD before;
	if (!memory || !VirtualProtect(memory + pages * page, page, PAGE_NOACCESS, &before))
		exit(5);
	return memcpy(memory + pages * page - n, data, n);
}
#else
static char *guarded(const char *data, int n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = ((size_t)n + page - 1) / page + 1;
	char *memory = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || mprotect(memory + pages * page, page, PROT_NONE))
		exit(5);
	return memcpy(memory + pages * page - n, data, n);
}
#endif

int main(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc();
	char url[100], *line;

	if (argc != 4)
		return 2;
	RTMP_LogSetLevel(RTMP_LOGWARNING);
	RTMP_Init(r);
	snprintf(url, sizeof(url), "rtmp://127.0.0.1:%s/app/pp", argv[1]);
	if (!RTMP_SetupURL(r, url))
		return 3;
	r->Link.timeout = 5;
	RTMP_EnableWrite(r);
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0)) {
		printf("connect failed\n");
		return 4;
	}
	r->m_outChunkSize = atoi(argv[2]);
	while ((line = read_line())) {
		int n, ret;
		char *bytes, *buffer;
		if (sscanf(line, "size %d", &n) == 1) {
			char small[4] = {0};
			ret = RTMP_Write(r, small, n);
		} else {
			bytes = parse_hex(line, &n);
			if (!strcmp(argv[3], "guard")) {
				buffer = guarded(bytes, n);
			} else {
				buffer = calloc(1, n + 65536);
				memcpy(buffer, bytes, n);
			}
			ret = RTMP_Write(r, buffer, n);
			if (strcmp(argv[3], "guard"))
				free(buffer);
			free(bytes);
		}
		printf("%d %d %d %u %u %u %d %s\n", n, ret, r->m_write.m_packetType, r->m_write.m_nBodySize,
		       r->m_write.m_nBytesRead, r->m_write.m_nTimeStamp, r->m_write.m_headerType,
		       r->m_write.m_body ? "set" : "NULL");
		fflush(stdout);
		free(line);
	}
	RTMP_Close(r);
	RTMP_Free(r);
	return 0;
}
