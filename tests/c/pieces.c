/*
 * Publishes a file with RTMP_Write in pieces of the given sizes, which are used in turn. With "ignore" it continues behind what it
 * passed, as Python's shutil.copyfileobj does, with "follow" behind what was counted, as curl does.
 * Arguments: URL, file, "ignore" or "follow", sizes.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *load(const char *name, long *size)
{
	FILE *file = fopen(name, "rb");
	char *bytes;
	if (!file || fseek(file, 0, SEEK_END) || (*size = ftell(file)) < 0)
		exit(5);
	rewind(file);
	bytes = malloc((size_t)*size + 1);
	if (!bytes || fread(bytes, 1, (size_t)*size, file) != (size_t)*size)
		exit(5);
	fclose(file);
	return bytes;
}

int main(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc();
	long size, at = 0;
	char *bytes;
	int next = 4, code = 0;

	if (!r || argc < 5)
		return 2;
	bytes = load(argv[2], &size);
	RTMP_LogSetLevel(RTMP_LOGERROR);
	RTMP_Init(r);
	r->Link.timeout = 20;
	if (!RTMP_SetupURL(r, argv[1]))
		return 3;
	RTMP_EnableWrite(r);
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
		code = 4;
	while (!code && at < size) {
		int count = atoi(argv[next]), used;
		char *piece;
		if (count > size - at)
			count = (int)(size - at);
		/* What is read behind its end shows under valgrind. */
		piece = malloc((size_t)count);
		if (!piece)
			return 5;
		memcpy(piece, bytes + at, (size_t)count);
		used = RTMP_Write(r, piece, count);
		free(piece);
		if (used <= 0 || used > count) {
			printf("%d of %d at %ld\n", used, count, at);
			code = 1;
		}
		at += strcmp(argv[3], "follow") ? count : used;
		next = next + 1 < argc ? next + 1 : 4;
	}
	RTMP_Close(r);
	RTMP_Free(r);
	free(bytes);
	return code;
}
