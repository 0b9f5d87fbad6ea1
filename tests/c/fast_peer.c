/* Plays a stream that comes faster than it is read, and says what has arrived: `fast_peer URL PATTERN OPTIONS ROUNDS`.
 *
 * PATTERN is repeated, one letter a turn: k, r, R RTMP_Read with blocks of 1 kB, 64 kB, 1 MB; n RTMP_GetNextMediaPacket;
 * p RTMP_ReadPacket. OPTIONS: l repeats only the last letter; w waits for the socket, and only if nothing is unread; m moves
 * the struct by assignment after each turn; b makes the socket non-blocking; u tells the server when time was up; f receives
 * with RTMPSockBuf_Fill in between; s seeks, and pauses for a moment, now and then; t sends from another thread; a aborts from there after ABORT_AFTER messages; - none. ROUNDS
 * is how often the same struct connects. With t or a, a line says when a round has ended.
 *
 * Standard output has one line for each message: kind, timestamp, length, hash. What differs between libraries goes to
 * standard error: how often unread bytes were found outside of the struct, whether they are in the end, and how much less
 * memory was in use when they no longer were, or when time was up; and a sum of them, for tools that see where it is from. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, TAG_HEADER = 11, FILE_HEADER = 13, PATIENCE = 30000, ABORT_AFTER = 300 };

static RTMP *r;
static const char *options;
static char block[BLOCK];
/* The part of an FLV file that makes no whole tag yet. */
static uint8_t *part;
static size_t part_size, part_room;
static int header_seen;
static unsigned outside_count;
static int last_outside;
static size_t heap_before, given_back, given_back_late;
static int size_before;
static volatile unsigned sum;
static unsigned shown;
static int over;

static int has(char option)
{
	return strchr(options, option) != NULL;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	fflush(stdout);
	_Exit(1);
}

static uint64_t hash(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0xcbf29ce484222325u, word;
	for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		value = (value ^ word) * 0x100000001b3u;
	}
	while (size--)
		value = (value ^ *bytes++) * 0x100000001b3u;
	return value;
}

static void show(int kind, uint32_t time, const uint8_t *body, size_t size)
{
	printf("%d %u %zu %016llx\n", kind, time, size, (unsigned long long)hash(body, size));
	__atomic_add_fetch(&shown, 1, __ATOMIC_RELAXED);
}

static size_t heap(void)
{
	struct mallinfo2 now = mallinfo2();
	return now.uordblks + now.hblkhd;
}

static int is_outside(void)
{
	return r->m_sb.sb_start < r->m_sb.sb_buf || r->m_sb.sb_start > r->m_sb.sb_buf + sizeof r->m_sb.sb_buf;
}

static void wait_for_bytes(void)
{
	struct pollfd socket = { .fd = RTMP_Socket(r), .events = POLLIN };
	if (poll(&socket, 1, PATIENCE) <= 0)
		fail("nothing to read");
}

static void before(void)
{
	if (has('w') && r->m_sb.sb_size == 0 && r->m_read.buflen == 0 && RTMP_IsConnected(r))
		wait_for_bytes();
	size_before = r->m_sb.sb_size;
	heap_before = r->m_sb.sb_start && is_outside() ? heap() : 0;
}

/* All that is said to be unread can be read, also if it has just been moved. */
static void after(void)
{
	const char *start = r->m_sb.sb_start;
	int size = r->m_sb.sb_size;
	/* Another thread may close the connection between any two steps. */
	if (!RTMP_IsConnected(r) && !has('t') && !has('a')) {
		if (size > 0)
			fail("unread bytes of no connection");
		return;
	}
	if (size > size_before)
		for (int i = 0; i < size; i++)
			sum += (uint8_t)start[i];
	else if (size > 0)
		sum += (unsigned)(start[0] + start[size - 1]);
	last_outside = is_outside();
	if (size > 0 && last_outside) {
		outside_count++;
	} else if (heap_before > 0 && !last_outside) {
		size_t now = heap();
		size_t less = heap_before > now ? heap_before - now : 0;
		if (less > given_back)
			given_back = less;
		if (RTMP_IsTimedout(r) && less > given_back_late)
			given_back_late = less;
	}
}

/* Whether to continue after a call that got nothing. */
static int may_go_on(void)
{
	if (!RTMP_IsConnected(r) || !RTMP_IsTimedout(r))
		return 0;
	if (has('u'))
		RTMP_UpdateBufferMS(r);
	else if (has('b'))
		wait_for_bytes();
	else
		fail("time was up");
	r->m_read.status = 0;
	return 1;
}

/* Adds bytes of an FLV file, and shows the tags that are complete. */
static void take_file(const char *bytes, size_t size)
{
	size_t at = 0;
	if (part_size + size > part_room) {
		part_room = 2 * (part_size + size);
		part = realloc(part, part_room);
		if (!part)
			fail("memory");
	}
	memcpy(part + part_size, bytes, size);
	part_size += size;
	if (!header_seen) {
		if (part_size < FILE_HEADER)
			return;
		header_seen = 1;
		at = FILE_HEADER;
	}
	while (part_size - at >= TAG_HEADER) {
		const uint8_t *tag = part + at;
		size_t length = (size_t)tag[1] << 16 | (size_t)tag[2] << 8 | tag[3];
		if (part_size - at < TAG_HEADER + length + 4)
			break;
		uint32_t time = (uint32_t)tag[7] << 24 | (uint32_t)tag[4] << 16 | (uint32_t)tag[5] << 8 | tag[6];
		if (tag[0] == 8 || tag[0] == 9)
			show(tag[0], time, tag + TAG_HEADER, length);
		at += TAG_HEADER + length + 4;
	}
	memmove(part, part + at, part_size - at);
	part_size -= at;
}

/* One turn of a kind of call; 0 at the end of the stream. */
static int read_blocks(int size, int most)
{
	while (most-- > 0 || part_size > 0 || r->m_read.buflen > 0) {
		before();
		int n = RTMP_Read(r, block, size);
		after();
		if (n > 0)
			take_file(block, (size_t)n);
		else if (!may_go_on())
			return 0;
	}
	return 1;
}

static int next_packets(int most)
{
	while (most > 0) {
		RTMPPacket packet = { 0 };
		before();
		int got = RTMP_GetNextMediaPacket(r, &packet);
		after();
		if (got && (packet.m_packetType == 8 || packet.m_packetType == 9)) {
			show(packet.m_packetType, packet.m_nTimeStamp, (uint8_t *)packet.m_body, packet.m_nBodySize);
			most--;
		}
		RTMPPacket_Free(&packet);
		if (!got && !may_go_on())
			return 0;
	}
	return 1;
}

/* Stops in the middle of messages, too. */
static int read_chunks(int most)
{
	while (most-- > 0) {
		RTMPPacket packet = { 0 };
		before();
		int got = RTMP_ReadPacket(r, &packet);
		after();
		if (!got && !may_go_on())
			return 0;
		if (!got || !RTMPPacket_IsReady(&packet))
			continue;
		if (packet.m_packetType == 8 || packet.m_packetType == 9)
			show(packet.m_packetType, packet.m_nTimeStamp, (uint8_t *)packet.m_body, packet.m_nBodySize);
		RTMP_ClientPacket(r, &packet);
		RTMPPacket_Free(&packet);
	}
	return 1;
}

/* Receives behind what is unread in the struct. */
static void fill(void)
{
	struct pollfd socket = { .fd = RTMP_Socket(r), .events = POLLIN };
	if (poll(&socket, 1, 0) > 0 && RTMPSockBuf_Fill(&r->m_sb) < 0)
		fail("RTMPSockBuf_Fill");
	size_before = 0;
	heap_before = 0;
	after();
}

static int take_turn(char letter, int most)
{
	if (has('f'))
		fill();
	switch (letter) {
	case 'k': return read_blocks(1 << 10, most);
	case 'r': return read_blocks(1 << 16, most);
	case 'R': return read_blocks(1 << 20, most);
	case 'n': return next_packets(most);
	case 'p': return read_chunks(most);
	default: return 0;
	}
}

static void move(void)
{
	RTMP *other = RTMP_Alloc();
	if (!other)
		fail("memory");
	*other = *r;
	/* Whatever still points there shows. */
	memset(r, 0xA5, sizeof *r);
	RTMP_Free(r);
	r = other;
}

static void *disturb(void *unused)
{
	char body[100] = { 0x2f };
	RTMPPacket packet = { .m_headerType = RTMP_PACKET_SIZE_LARGE, .m_packetType = RTMP_PACKET_TYPE_AUDIO, .m_nChannel = 4 };
	/* Programs of this directory are linked with the original, which does not have it. */
	int (*abort_session)(RTMP *) = (int (*)(RTMP *))dlsym(RTLD_DEFAULT, "RTMP_Abort");
	packet.m_body = body;
	packet.m_nBodySize = sizeof body;
	packet.m_nInfoField2 = 1;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		if (has('t') && !RTMP_SendPacket(r, &packet, FALSE))
			break;
		if (has('a') && __atomic_load_n(&shown, __ATOMIC_RELAXED) >= ABORT_AFTER) {
			abort_session(r);
			break;
		}
		usleep(has('t') ? 1000 : 100);
	}
	return unused;
}

static void play(char *url, const char *pattern)
{
	pthread_t thread;
	if (!RTMP_SetupURL(r, url))
		fail("not a URL");
	r->Link.timeout = has('u') ? 1 : PATIENCE / 1000;
	if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
		fail("no connection");
	if (has('b'))
		fcntl(RTMP_Socket(r), F_SETFL, fcntl(RTMP_Socket(r), F_GETFL) | O_NONBLOCK);
	part_size = 0;
	header_seen = 0;
	shown = 0;
	over = 0;
	if ((has('t') || has('a')) && pthread_create(&thread, NULL, disturb, NULL))
		fail("no thread");
	unsigned length = (unsigned)strlen(pattern), turn = 0, letter = 0;
	while (take_turn(pattern[letter], 1 + (int)(turn++ * 7 % 23))) {
		letter++;
		if (letter == length)
			letter = has('l') ? length - 1 : 0;
		if (has('m'))
			move();
		if (has('s') && turn % 5 == 4)
			RTMP_SendSeek(r, (int)turn);
		if (has('s') && turn % 7 == 6) {
			RTMP_Pause(r, 1);
			RTMP_Pause(r, 0);
		}
	}
	if (has('t') || has('a')) {
		__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		printf("over\n");
	}
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	options = argv[3];
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	r = RTMP_Alloc();
	if (!r)
		return 3;
	RTMP_Init(r);
	/* RTMP_SetupURL writes into it, and the session keeps parts of it, also for the next connection. */
	char *url = strdup(argv[1]);
	for (int round = atoi(argv[4]); round > 0; round--) {
		strcpy(url, argv[1]);
		play(url, argv[2]);
		RTMP_Close(r);
		if (r->m_sb.sb_size != 0)
			fail("unread bytes of a closed connection");
		fprintf(stderr, "outside %u last %d back %zu late %zu sum %u\n", outside_count, last_outside,
			given_back, given_back_late, sum);
	}
	RTMP_Free(r);
	free(url);
	free(part);
	return 0;
}
