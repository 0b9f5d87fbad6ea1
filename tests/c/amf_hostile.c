/*
 * AMF that no honest peer sends and trees that only a program can build, on a thread with a stack of 64 kB. Inputs end
 * where memory does. Every expectation that is not met is printed, and the exit status is then 1.
 *
 * The argument is the number of levels. With "limits", memory is short instead: large bodies cannot be had.
 */
#include <librtmp/amf.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures;

#define CHECK(what) \
	do { \
		if (!(what)) { \
			printf("line %d: %s\n", __LINE__, #what); \
			failures++; \
		} \
	} while (0)

/* How deep; sanitizers need long for the full depth. */
static int levels = 100000;

/* A copy of n bytes in front of a page that cannot be accessed. Never given back: few and small. */
static char *guarded(const char *data, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (n + page - 1) / page + 1;
	char *memory = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || mprotect(memory + pages * page, page, PROT_NONE))
		exit(5);
	return memcpy(memory + pages * page - n, data, n);
}

/* `first`, then `unit` again and again. */
static char *nested(const char *first, size_t first_size, const char *unit, size_t unit_size, int *n)
{
	size_t size = first_size + unit_size * (size_t)levels;
	char *bytes = malloc(size);
	int i;
	if (!bytes)
		exit(5);
	memcpy(bytes, first, first_size);
	for (i = 0; i < levels; i++)
		memcpy(bytes + first_size + unit_size * (size_t)i, unit, unit_size);
	*n = (int)size;
	return bytes;
}

/* Decodes with everything that decodes, whether that is what the bytes are for or not. */
static void decode_all(const char *bytes, int n, int amf3)
{
	AMFObject object;
	AMFObjectProperty property;
	int i, ret;
	memset(&object, 0x55, sizeof(object));
	ret = amf3 ? AMF3_Decode(&object, bytes, n, 1) : AMF_Decode(&object, bytes, n, 0);
	/* Another marker than an object's is skipped, and what follows is read as one. */
	CHECK(ret == -1 || bytes[0] == 9);
	AMF_Dump(&object);
	AMF_Reset(&object);
	CHECK(object.o_num == 0 && !object.o_props);
	for (i = 0; i < 2; i++) {
		memset(&object, 0x55, sizeof(object));
		ret = AMF_Decode(&object, bytes, n, i);
		CHECK(ret >= -1 && ret <= n);
		AMF_Reset(&object);
		ret = AMF3_Decode(&object, bytes, n, i);
		CHECK(ret >= -1 && ret <= n);
		AMF_Reset(&object);
		ret = AMF_DecodeArray(&object, bytes, n, 3, i);
		CHECK(ret >= -1 && ret <= n);
		AMF_Reset(&object);
		memset(&property, 0, sizeof(property));
		ret = AMFProp_Decode(&property, bytes, n, i);
		CHECK(ret >= -1 && ret <= n);
		AMFProp_Reset(&property);
		ret = AMF3Prop_Decode(&property, bytes, n, i);
		CHECK(ret >= -1 && ret <= n);
		AMFProp_Reset(&property);
	}
}

static void decode_deep(void)
{
	static const struct { const char *first, *unit; size_t first_size, unit_size; int amf3; } inputs[] = {
		{"\x03", "\x00\x01\x61\x03", 1, 4, 0},
		{"\x08\x00\x00\x00\x00", "\x00\x01\x61\x08\x00\x00\x00\x00", 5, 8, 0},
		{"", "\x0A\x00\x00\x00\x01", 0, 5, 0},
		{"\x11", "\x0A\x0B\x01\x03\x61", 1, 5, 0},
		{"\x11\x0A\x0B\x01", "\x03\x61\x0A\x0B\x01", 4, 5, 0},
		{"\x0A\x0B\x01", "\x03\x61\x0A\x0B\x01", 3, 5, 1},
		{"\x0A\x0B\x01", "\x03\x61\x0A\x0A\x0B\x01", 3, 6, 1},
		{"", "\x0A\x13\x01\x03\x61", 0, 5, 1},
		{"", "\x09\x03\x01", 0, 3, 1},
	};
	size_t i;
	for (i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
		int n;
		char *bytes = nested(inputs[i].first, inputs[i].first_size, inputs[i].unit, inputs[i].unit_size, &n);
		decode_all(bytes, n, inputs[i].amf3);
		free(bytes);
	}
}

/* A tree that is built by hand, of any of the kinds that hold members. */
static void handle_deep(AMFDataType kind)
{
	AMFObject object = {0, NULL};
	AMFObjectProperty leaf, found;
	AVal name = AVC("o"), needle = AVC("needle");
	char *room = malloc(2000000), *end;
	int i;
	memset(&leaf, 0, sizeof(leaf));
	leaf.p_name = needle;
	leaf.p_type = AMF_NUMBER;
	AMF_AddProp(&object, &leaf);
	for (i = 0; i < levels; i++) {
		AMFObject outer = {0, NULL};
		AMFObjectProperty member;
		memset(&member, 0, sizeof(member));
		member.p_name = name;
		member.p_type = kind;
		member.p_vu.p_object = object;
		AMF_AddProp(&outer, &member);
		object = outer;
	}
	CHECK(AMF_CountProp(&object) == 1);
	AMF_Dump(&object);
	AMFProp_Dump(AMF_GetProp(&object, NULL, 0));
	CHECK(RTMP_FindFirstMatchingProperty(&object, &needle, &found) == (kind != AMF_STRICT_ARRAY));
	RTMP_FindPrefixProperty(&object, &needle, &found);
	end = AMF_Encode(&object, room, room + 2000000);
	CHECK(end && end > room + levels);
	end = AMF_Encode(&object, room, room + 1000);
	CHECK(!end || end <= room + 1000);
	end = AMF_EncodeEcmaArray(&object, room, room + 2000000);
	CHECK(end && end > room + levels);
	end = AMF_EncodeArray(&object, room, room + 2000000);
	CHECK(end && end > room + levels);
	end = AMFProp_Encode(AMF_GetProp(&object, NULL, 0), room, room + 2000000);
	CHECK(end && end > room + levels);
	AMF_Reset(&object);
	CHECK(object.o_num == 0 && !object.o_props);
	free(room);
}

/* Counts and lengths that promise more than there is. As with librtmp, an object that the data cuts short is kept as far as
 * it came, and so is an ECMA array, whose count is a hint; all others are refused. */
static void decode_lies(void)
{
#define LIE(amf3, bytes) {bytes, sizeof(bytes) - 1, amf3}
	static const struct { const char *bytes; size_t size; int amf3; } lies[] = {
		/* Strict arrays, ECMA arrays, long strings, XML, strings, names. */
		LIE(0, "\x0A\x7F\xFF\xFF\xFF\x05"), LIE(0, "\x0A\x00\x00\x00\x02\x05"), LIE(0, "\x0A\xFF\xFF\xFF"),
		LIE(0, "\x08\xFF\xFF\xFF\xFF\x00\x01" "a"), LIE(0, "\x08\x7F\xFF\xFF\xFF"),
		LIE(0, "\x0C\xFF\xFF\xFF\xFF" "abc"), LIE(0, "\x0C\x7F\xFF\xFF\xFF" "abc"), LIE(0, "\x0C\x00\x00\x00\x04" "abc"),
		LIE(0, "\x0F\xFF\xFF\xFF\xFF" "abc"), LIE(0, "\x0F\x00\x00\x00\x04" "abc"), LIE(0, "\x0F\x00"),
		LIE(0, "\x02\xFF\xFF" "abc"), LIE(0, "\x02\x00\x04" "abc"), LIE(0, "\x02\x00"), LIE(0, "\x02"),
		LIE(0, "\x03\xFF\xFF" "abc"), LIE(0, "\x03\x00\x01" "a\x02\xFF\xFF"), LIE(0, "\x00\x00\x00\x00"),
		LIE(0, "\x0B\x00\x00\x00\x00\x00\x00\x00\x00\x00"), LIE(0, "\x11"), LIE(0, "\x11\x0A"), LIE(0, "\x01"),
		/* AMF3: class definitions with 2^27 members and with one that is not there, strings and names of 2^28 bytes, a
		   class that is a reference to one that was never sent, one that speaks for itself. */
		LIE(1, "\x0A\xFF\xFF\xFF\xF3\x01"), LIE(1, "\x0A\xFF\xFF\xFF\xFB\x01\x03" "a"), LIE(1, "\x0A\x13\x01"),
		LIE(1, "\x0A\x23\x01\x03" "a\x03" "b\x04\x01"), LIE(1, "\x0A\x13\x01\xFF\xFF\xFF\xFF" "abc"),
		LIE(1, "\x0A\x0B\xFF\xFF\xFF\xFF" "abc"), LIE(1, "\x0A\x0B\x09" "abc"), LIE(1, "\x0A\x07\x01"),
		LIE(1, "\x0A\x0B\x01\x03" "a\x06\xFF\xFF\xFF\xFF" "abc"), LIE(1, "\x0A\x0B\x01\x03" "a\x06\x09" "abc"),
		LIE(1, "\x0A\x0B\x01\x03" "a\x04\xFF\xFF\xFF"), LIE(1, "\x0A\x0B\x01\x03" "a\x05\x00\x00"),
		LIE(1, "\x0A\x0B\x01\x03" "a\x08\x01\x00"), LIE(1, "\x0A\x0B\x01\x03" "a\x09\xFF\xFF\xFF\xFF\x01"),
		LIE(1, "\x0A\x0B\x01\x03" "a\x0C\xFF\xFF\xFF\xFF" "abc"), LIE(1, "\x0A\x0B\x01\x03" "a\x07\xFF\xFF\xFF\xFF" "abc"),
		LIE(1, "\x0A\x0B\x01\x03" "a"), LIE(1, "\x0A\xFF"), LIE(1, "\x0A\xFF\xFF\xFF"), LIE(1, "\x0A"),
	};
	size_t i, n;
	for (i = 0; i < sizeof(lies) / sizeof(*lies); i++)
		for (n = 0; n <= lies[i].size; n++) {
			char *input = guarded(lies[i].bytes, n);
			AMFObject object = {0, NULL};
			int ret = lies[i].amf3 ? AMF3_Decode(&object, input, (int)n, 1) : AMF_Decode(&object, input, (int)n, 0);
			CHECK(ret >= -1 && ret <= (int)n);
			if (n == lies[i].size && ret != -1 && !lies[i].amf3 && input[0] != 8) {
				printf("%s %zu: %d\n", lies[i].amf3 ? "AMF3" : "AMF0", i, ret);
				failures++;
			}
			/* Whatever was decoded lies inside the input, and there is not more of it than bytes. */
			CHECK(object.o_num <= (int)n);
			AMF_Dump(&object);
			AMF_Reset(&object);
		}
	for (i = 0; i < 256; i++) {
		/* Every marker with nothing, and with bytes of ones, behind it. */
		char all[6] = {(char)i, -1, -1, -1, -1, -1};
		for (n = 1; n <= sizeof(all); n++) {
			char *input = guarded(all, n);
			AMFObject object = {0, NULL};
			AMFObjectProperty property;
			AMF_Decode(&object, input, (int)n, 0);
			AMF_Reset(&object);
			AMF3_Decode(&object, input, (int)n, 1);
			AMF_Reset(&object);
			memset(&property, 0, sizeof(property));
			AMF3Prop_Decode(&property, input, (int)n, 0);
			AMFProp_Reset(&property);
		}
	}
}

/* The vulnerabilities with public numbers, as far as they were the library's. */
static void public_vulnerabilities(void)
{
	/* CVE-2015-8270: a string that is a reference left the caller with a pointer that was never set. */
	{
		AVal text = {(char *)1, 77};
		char *input = guarded("\x02", 1);
		CHECK(AMF3ReadString(input, &text) == 1);
		CHECK(!text.av_val && text.av_len == 0);
		CHECK(AMF3ReadString(NULL, &text) == 0 && !text.av_val && text.av_len == 0);
		CHECK(AMF3ReadString(input, NULL) == 0);
	}
	/* CVE-2015-8271: the number of a class's members was taken from the peer while their table was growing. */
	{
		static const char many[] = "\x0A\xFF\xFF\xFF\xF3\x01\x03" "a\x03" "b";
		char *input = guarded(many, sizeof(many) - 1);
		AMFObject object = {0, NULL};
		AMF3ClassDef class;
		AVal name = AVC("member");
		int i;
		CHECK(AMF3_Decode(&object, input, (int)sizeof(many) - 1, 1) <= (int)sizeof(many) - 1);
		CHECK(object.o_num == 0);
		AMF_Reset(&object);
		memset(&class, 0, sizeof(class));
		for (i = 0; i < 1000; i++)
			AMF3CD_AddProp(&class, &name);
		CHECK(class.cd_num == 1000 && AMF3CD_GetProp(&class, 999)->av_len == 6);
		CHECK(AMF3CD_GetProp(&class, 1000)->av_len == 0 && AMF3CD_GetProp(&class, -1)->av_len == 0);
		free(class.cd_props);
	}
	/* CVE-2015-8272: servers used the text of a member that was none. */
	{
		static const char members[] = "\x00\x03" "app\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x05" "tcUrl\x05"
			"\x00\x06" "swfUrl\x03\x00\x00\x09\x00\x07" "pageUrl\x06\x00\x08" "flashVer\x01\x01\x00\x00\x09";
		char *input = guarded(members, sizeof(members) - 1);
		AMFObject object = {0, NULL};
		AVal missing = AVC("missing");
		int i;
		CHECK(AMF_Decode(&object, input, (int)sizeof(members) - 1, 1) == (int)sizeof(members) - 1);
		CHECK(AMF_CountProp(&object) == 5);
		for (i = -1; i <= 5; i++) {
			AVal text = {(char *)1, 77};
			AMFObject inner = {77, (AMFObjectProperty *)1};
			AMFObjectProperty *property = AMF_GetProp(&object, i < 0 ? &missing : NULL, i);
			AMFProp_GetString(property, &text);
			CHECK(!text.av_val && text.av_len == 0);
			AMFProp_GetObject(property, &inner);
			CHECK(inner.o_num == 0);
		}
		AMF_Reset(&object);
	}
}

static void *on_small_stack(void *unused)
{
	static const AMFDataType kinds[] = {AMF_OBJECT, AMF_ECMA_ARRAY, AMF_STRICT_ARRAY};
	size_t i;
	decode_deep();
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		handle_deep(kinds[i]);
	decode_lies();
	public_vulnerabilities();
	return unused;
}

/* A message of 16 MB, announced and sent by a peer, when there is no memory for it. */
static void *send_large(void *argument)
{
	static char bytes[65536];
	int socket = *(int *)argument, i;
	/* Chunks of 16 MB from now on. */
	static const char header[] = "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\xFF\xFF\xFF"
		"\x04\x00\x00\x00\xFF\xFF\xFF\x09\x01\x00\x00\x00";
	if (send(socket, header, sizeof(header) - 1, MSG_NOSIGNAL) < 0)
		return NULL;
	for (i = 0; i < 256; i++)
		if (send(socket, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			break;
	return NULL;
}

static void short_of_memory(void)
{
	struct rlimit limit;
	RTMPPacket packet = {0};
	RTMP *r = RTMP_Alloc();
	pthread_t peer;
	int pair[2];
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	if (!statm || fscanf(statm, "%ld", &pages) != 1 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(5);
	fclose(statm);
	RTMP_Init(r);
	r->m_sb.sb_socket = pair[0];
	r->Link.timeout = 10;
	if (pthread_create(&peer, NULL, send_large, &pair[1]))
		exit(5);
	/* The thread's stack and heap, and a few megabytes. */
	limit.rlim_cur = limit.rlim_max = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (84 << 20);
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	{
		/* What is left of that goes. */
		void *block;
		while ((block = malloc(4 << 20)))
			memset(block, 1, 1);
	}
	CHECK(!RTMPPacket_Alloc(&packet, 0xFFFFFFFF) && !packet.m_body);
	CHECK(!RTMPPacket_Alloc(&packet, 16 << 20) && !packet.m_body);
	CHECK(RTMP_ReadPacket(r, &packet) && packet.m_packetType == 1);
	RTMP_ClientPacket(r, &packet);
	RTMPPacket_Free(&packet);
	CHECK(r->m_inChunkSize == 0xFFFFFF);
	CHECK(!RTMP_ReadPacket(r, &packet));
	CHECK(!packet.m_body && !RTMP_IsConnected(r));
	pthread_join(peer, NULL);
	RTMP_Close(r);
	RTMP_Free(r);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;
	pthread_t thread;
	RTMP_LogSetLevel(RTMP_LOGCRIT);
	if (argc > 1 && !strcmp(argv[1], "limits")) {
		short_of_memory();
		return failures ? 1 : 0;
	}
	if (argc > 1)
		levels = atoi(argv[1]);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, 64 * 1024) || pthread_create(&thread, &attributes, on_small_stack, NULL))
		return 2;
	pthread_join(thread, NULL);
	return failures ? 1 : 0;
}
