/*
 * Plays with one session from one URL after the other. With "free" the text of a URL is overwritten and freed as soon as its
 * stream is closed, with "keep" it stays, with "again" the first text is passed for each of them, and with "without" the
 * session is connected again without any. "publish" publishes nothing instead, and frees.
 * Arguments: what, URLs.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	RTMP *r = RTMP_Alloc();
	static char bytes[4096];
	char *texts[16] = {NULL};
	int i;

	if (!r || argc < 3 || argc > 16)
		return 2;
	RTMP_LogSetLevel(RTMP_LOGALL);
	RTMP_Init(r);
	r->Link.timeout = 20;
	for (i = 2; i < argc; i++) {
		int first = i == 2;
		if (first || !strcmp(argv[1], "free") || !strcmp(argv[1], "keep") || !strcmp(argv[1], "publish"))
			texts[i] = strdup(argv[i]);
		else
			texts[i] = texts[2];
		if ((first || strcmp(argv[1], "without")) && !RTMP_SetupURL(r, texts[i]))
			return 3;
		if (!strcmp(argv[1], "publish"))
			RTMP_EnableWrite(r);
		printf("connect: %d\n", RTMP_Connect(r, NULL));
		printf("stream: %d\n", RTMP_ConnectStream(r, 0));
		if (strcmp(argv[1], "publish"))
			while (RTMP_Read(r, bytes, sizeof(bytes)) > 0)
				continue;
		RTMP_Close(r);
		if (!strcmp(argv[1], "free") || !strcmp(argv[1], "publish")) {
			memset(texts[i], 'X', strlen(texts[i]));
			free(texts[i]);
			texts[i] = NULL;
		}
	}
	for (i = 2; i < argc; i++)
		if (i == 2 || texts[i] != texts[2])
			free(texts[i]);
	free(r->Link.sockshost.av_val);
	AMF_Reset(&r->Link.extras);
	RTMP_Free(r);
	return 0;
}
