/* A log callback that calls every function with the session of the call that reports: `in_callback URL`.
 *
 * Those that must not be called there have to fail with a reason and leave the session as it is; the stream that is read
 * around them has to arrive whole, and its length is printed.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not linked: programs of this directory are linked with the original, which does not have them. */
static int (*last_error)(RTMP *), (*tls_accept)(RTMP *, void *);
static const char *(*error_string)(RTMP *);
static RTMP *session;
static int inside, calls, failures;

static void check(int condition, const char *what)
{
	calls++;
	if (!condition) {
		failures++;
		fprintf(stderr, "%s\n", what);
	}
}

/* Whether the session is what it was, the reason of the last failure aside. */
static int is_untouched(const RTMP *before)
{
	static RTMP now;
	now = *session;
	now.Link.pFlags = before->Link.pFlags;
	return !memcmp(&now, before, sizeof(now));
}

#define REFUSED(call) \
	do { \
		before = *session; \
		session->Link.pFlags = 0; \
		before.Link.pFlags = 0; \
		call; \
		check(last_error(session) == 2 && is_untouched(&before), #call); \
	} while (0)
#define FAILS(call, value) REFUSED(check((call) == (value), #call " returned another value"))

static void call_all(RTMP *r)
{
	static RTMP before;
	static char buffer[RTMP_MAX_HEADER_SIZE + 100], url[] = "rtmp://127.0.0.1:1/other/name", tag[20] = { 8, 0, 0, 5 };
	static AVal name = { "live", 4 }, value = { "1", 1 };
	RTMPPacket packet = { .m_packetType = 9, .m_nChannel = 6, .m_nBodySize = 4, .m_body = buffer + RTMP_MAX_HEADER_SIZE };
	RTMPPacket received = { 0 };
	RTMPChunk chunk = { .c_headerSize = 1, .c_chunkSize = 1, .c_chunk = buffer };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	memset(buffer, 'x', sizeof(buffer));
	errno = 0;
	FAILS(RTMP_Read(r, buffer, sizeof(buffer)), -1);
	check(errno == EINVAL && buffer[0] == 'x', "RTMP_Read wrote into the buffer");
	FAILS(RTMP_Write(r, tag, sizeof(tag)), -1);
	FAILS(RTMP_ReadPacket(r, &received), FALSE);
	FAILS(RTMP_GetNextMediaPacket(r, &received), 0);
	FAILS(RTMP_ClientPacket(r, &packet), 0);
	FAILS(RTMP_SendPacket(r, &packet, FALSE), FALSE);
	FAILS(RTMP_SendChunk(r, &chunk), FALSE);
	FAILS(RTMP_Connect(r, NULL), FALSE);
	FAILS(RTMP_Connect0(r, (struct sockaddr *)&address), FALSE);
	FAILS(RTMP_Connect1(r, NULL), FALSE);
	FAILS(RTMP_ConnectStream(r, 0), FALSE);
	FAILS(RTMP_ReconnectStream(r, 0), FALSE);
	FAILS(RTMP_Serve(r), FALSE);
	FAILS(tls_accept(r, buffer), FALSE); /* RTMP_TLS_Accept */
	FAILS(RTMP_ToggleStream(r), FALSE);
	FAILS(RTMP_Pause(r, 1), FALSE);
	FAILS(RTMP_SendPause(r, 1, 0), FALSE);
	FAILS(RTMP_SendSeek(r, 1), FALSE);
	FAILS(RTMP_SendCtrl(r, 3, 1, 1), FALSE);
	FAILS(RTMP_SendCreateStream(r), FALSE);
	FAILS(RTMP_SendServerBW(r), FALSE);
	FAILS(RTMP_SendClientBW(r), FALSE);
	FAILS(RTMP_SetOpt(r, &name, &value), FALSE);
	FAILS(RTMP_SetupURL(r, url), FALSE);
	REFUSED(RTMP_SetupStream(r, RTMP_PROTOCOL_RTMP, &name, 1, &name, &name, &name, &name, &name, &name, &name, &name, 0, &name,
				 &name, &name, 0, 0, 0, 0));
	REFUSED(RTMP_UpdateBufferMS(r));
	REFUSED(RTMP_DeleteStream(r));
	REFUSED(RTMP_DropRequest(r, 0, TRUE));
	REFUSED(RTMP_Init(r));
	check(RTMPSockBuf_Fill(&r->m_sb) == -1, "RTMPSockBuf_Fill");
	check(RTMPSockBuf_Send(&r->m_sb, buffer, 1) == -1, "RTMPSockBuf_Send");
	check(RTMPSockBuf_Close(&r->m_sb) == -1, "RTMPSockBuf_Close");
	RTMP_Free(r);
	RTMP_SetBufferMS(r, r->m_nBufferMS);
	if (r->Link.protocol & RTMP_FEATURE_WRITE)
		RTMP_EnableWrite(r);
	RTMP_IsConnected(r), RTMP_IsTimedout(r), RTMP_Socket(r), RTMP_GetDuration(r);
	check(strstr(error_string(r), "log callback") != NULL, "RTMP_GetErrorString"); /* and RTMP_GetLastError */

	/* Another session, and what belongs to none. */
	RTMP *other = RTMP_Alloc();
	RTMP_Init(other);
	check(RTMP_SetupURL(other, url) && !RTMP_SendSeek(other, 1) && last_error(other) == 6, "another session");
	RTMP_Close(other);
	RTMP_Free(other);
	RTMP_Log(RTMP_LOGERROR, "from inside");
	RTMP_LogHex(RTMP_LOGERROR, (unsigned char *)buffer, 4);
	/* A session may also be ended there, RTMP_Close and RTMP_Abort: see careless.c and stress.c. */
}

static void take(int level, const char *format, va_list arguments)
{
	char line[2048];
	(void)level;
	vsnprintf(line, sizeof(line), format, arguments);
	if (!inside && calls < 20000) {
		inside = 1;
		int reason = session->Link.pFlags;
		call_all(session);
		session->Link.pFlags = reason;
		inside = 0;
	}
}

int main(int argc, char **argv)
{
	static char bytes[4096];
	int count, sum = 0, opened;

	if (argc != 2)
		return 2;
	*(void **)&last_error = dlsym(RTLD_DEFAULT, "RTMP_GetLastError");
	*(void **)&error_string = dlsym(RTLD_DEFAULT, "RTMP_GetErrorString");
	*(void **)&tls_accept = dlsym(RTLD_DEFAULT, "RTMP_TLS_Accept");
	session = RTMP_Alloc();
	RTMP_Init(session);
	if (!RTMP_SetupURL(session, argv[1]))
		return 2;
	session->Link.timeout = 20;
	RTMP_LogSetLevel(RTMP_LOGALL);
	RTMP_LogSetCallback(take);
	opened = RTMP_Connect(session, NULL) && RTMP_ConnectStream(session, 0);
	while ((count = RTMP_Read(session, bytes, sizeof(bytes))) > 0)
		sum += count;
	RTMP_LogSetCallback(NULL);
	printf("opened %d, read %d, error %d\n", opened, sum, last_error(session));
	fprintf(stderr, "%d calls\n", calls);
	RTMP_Close(session);
	RTMP_Free(session);
	return failures || calls < 100;
}
