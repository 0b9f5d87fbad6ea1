/*
 * Plays rtmp://127.0.0.1:<port>/app/pp with RTMP_Read.
 * Arguments: port, then name=value pairs. Prints one line per RTMP_Read: result, errno when it is -1, the fields an
 * application can see, and the bytes.
 */
#include <errno.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include "hex.h"

int main(int argc, char **argv)
{
	int size = 65536, timeout = 2, reads = 1, seek_before = -1, i, n;
	int live = 0, resume = 0, seeking = 0, resume_time = 0;
	unsigned preset = 0;
	const char *frame = NULL, *frame_type = "0", *meta = NULL;
	char url[100], *buffer;
	RTMP *r = RTMP_Alloc();

	for (i = 2; i < argc; i++) {
		const char *value = strchr(argv[i], '=') + 1;
#define IS(name) (!strncmp(argv[i], name "=", sizeof(name)))
		if (IS("size")) size = atoi(value);
		else if (IS("timeout")) timeout = atoi(value);
		else if (IS("reads")) reads = atoi(value);
		else if (IS("seek_before")) seek_before = atoi(value);
		else if (IS("live")) live = atoi(value);
		else if (IS("resume")) resume = atoi(value);
		else if (IS("seeking")) seeking = atoi(value);
		else if (IS("preset")) preset = (unsigned)atoi(value);
		else if (IS("resume_time")) resume_time = atoi(value);
		else if (IS("frame")) frame = value;
		else if (IS("frame_type")) frame_type = value;
		else if (IS("meta")) meta = value;
		else return 2;
	}
	buffer = malloc(size + 1);
	RTMP_LogSetLevel(RTMP_LOGWARNING);
	RTMP_Init(r);
	snprintf(url, sizeof(url), "rtmp://127.0.0.1:%s/app/pp", argv[1]);
	if (!RTMP_SetupURL(r, url))
		return 3;
	r->Link.timeout = timeout;
	if (live)
		r->Link.lFlags |= RTMP_LF_LIVE;
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0)) {
		printf("connect failed\n");
		return 4;
	}
	r->m_read.timestamp = preset;
	if (seeking)
		r->m_read.flags |= RTMP_READ_SEEKING;
	if (resume) {
		r->m_read.flags |= RTMP_READ_RESUME;
		r->m_read.nResumeTS = resume_time;
		r->m_read.initialFrameType = (uint8_t)atoi(frame_type);
		if (frame) {
			r->m_read.initialFrame = parse_hex(frame, &n);
			r->m_read.nInitialFrameSize = n;
		}
		if (meta) {
			r->m_read.metaHeader = parse_hex(meta, &n);
			r->m_read.nMetaHeaderSize = n;
		}
	}
	for (i = 0; i < reads; i++) {
		if (i == seek_before)
			RTMP_SendSeek(r, 5000);
		errno = 0;
		n = RTMP_Read(r, buffer, size);
		printf("%d%s %d %d %u %d %.17g %d %d ", n, n == -1 && errno == EINVAL ? "EINVAL" : "", r->m_read.status,
		       r->m_read.flags, r->m_read.timestamp, r->m_read.dataType, RTMP_GetDuration(r), RTMP_IsConnected(r) != 0,
		       RTMP_IsTimedout(r) != 0);
		if (n > 0)
			print_hex(buffer, n);
		printf("\n");
		fflush(stdout);
	}
	free(r->m_read.initialFrame);
	free(r->m_read.metaHeader);
	r->m_read.initialFrame = r->m_read.metaHeader = NULL;
	RTMP_Close(r);
	RTMP_Free(r);
	free(buffer);
	return 0;
}
