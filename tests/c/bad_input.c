/*
 * Calls every exported function with null where it expects a pointer. Every call runs in a process of its own and
 * prints one line; the exit status is 1 when one of them crashed, hung, is missing or returned something else than a failure. With the argument "together" all
 * run in this process, for tools that watch it: a crash ends it then.
 *
 * Functions are called through one type with many integer arguments. That is not C, but it is how arguments travel in
 * every calling convention this test runs on: zero is null, 0 and FALSE alike.
 */
#include <dlfcn.h>
#include <librtmp/amf.h>
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef long any(long, long, long, long, long, long, long, long, long, long, long, long, long, long, long, long, long,
		 long, long, long);

/*
 * Name and arguments, zero for what is not listed: r RTMP, p RTMPPacket, o AMFObject, P AMFObjectProperty, c AMF3ClassDef,
 * s RTMPSockBuf, k RTMPChunk, h HTTP_ctx, a sockaddr, f HTTP_read_callback, v AVal, b 64 zero bytes, e the end of these,
 * t text, 8 the number, 0 null.
 */
static const char *const calls[][2] = {
	{"AMF3CD_AddProp", "0"}, {"AMF3CD_AddProp", "c0"}, {"AMF3CD_AddProp", "0v"}, {"AMF3CD_GetProp", "0"},
	{"AMF3CD_GetProp", "c8"}, {"AMF3Prop_Decode", "0"}, {"AMF3Prop_Decode", "P08"}, {"AMF3Prop_Decode", "0b8"},
	{"AMF3ReadInteger", "0"}, {"AMF3ReadInteger", "b0"}, {"AMF3ReadInteger", "0b"}, {"AMF3ReadString", "0"},
	{"AMF3ReadString", "b0"}, {"AMF3ReadString", "0v"}, {"AMF3_Decode", "0"}, {"AMF3_Decode", "o08"},
	{"AMF3_Decode", "0b8"}, {"AMFProp_Decode", "0"}, {"AMFProp_Decode", "P08"}, {"AMFProp_Decode", "0b8"},
	{"AMFProp_Dump", "0"}, {"AMFProp_Encode", "0"}, {"AMFProp_Encode", "P00"}, {"AMFProp_Encode", "0be"},
	{"AMFProp_Encode", "P0e"}, {"AMFProp_Encode", "Pb0"}, {"AMFProp_GetBoolean", "0"}, {"AMFProp_GetName", "0"},
	{"AMFProp_GetName", "P0"}, {"AMFProp_GetName", "0v"}, {"AMFProp_GetNumber", "0"}, {"AMFProp_GetObject", "0"},
	{"AMFProp_GetObject", "P0"}, {"AMFProp_GetObject", "0o"}, {"AMFProp_GetString", "0"},
	{"AMFProp_GetString", "P0"}, {"AMFProp_GetString", "0v"}, {"AMFProp_GetType", "0"}, {"AMFProp_IsValid", "0"},
	{"AMFProp_Reset", "0"}, {"AMFProp_SetName", "0"}, {"AMFProp_SetName", "P0"}, {"AMFProp_SetName", "0v"},
	{"AMFProp_SetNumber", "0"}, {"AMFProp_SetBoolean", "0"}, {"AMFProp_SetString", "0"}, {"AMFProp_SetString", "P0"},
	{"AMFProp_SetString", "0v"}, {"AMFProp_SetObject", "0"}, {"AMFProp_SetObject", "P0"},
	{"AMFProp_SetObject", "0o"}, {"AMF_AddProp", "0"}, {"AMF_AddProp", "o0"}, {"AMF_AddProp", "0P"},
	{"AMF_CountProp", "0"}, {"AMF_Decode", "0"}, {"AMF_Decode", "o08"}, {"AMF_Decode", "0b8"},
	{"AMF_DecodeArray", "0"}, {"AMF_DecodeArray", "o088"}, {"AMF_DecodeArray", "0b88"}, {"AMF_DecodeBoolean", "0"},
	{"AMF_DecodeInt16", "0"}, {"AMF_DecodeInt24", "0"}, {"AMF_DecodeInt32", "0"}, {"AMF_DecodeLongString", "0"},
	{"AMF_DecodeLongString", "b0"}, {"AMF_DecodeLongString", "0v"}, {"AMF_DecodeNumber", "0"},
	{"AMF_DecodeString", "0"}, {"AMF_DecodeString", "b0"}, {"AMF_DecodeString", "0v"}, {"AMF_Dump", "0"},
	{"AMF_Encode", "0"}, {"AMF_Encode", "o0"}, {"AMF_Encode", "0be"}, {"AMF_Encode", "o0e"}, {"AMF_Encode", "ob0"},
	{"AMF_EncodeArray", "0"}, {"AMF_EncodeArray", "o0"}, {"AMF_EncodeArray", "0be"}, {"AMF_EncodeArray", "o0e"},
	{"AMF_EncodeArray", "ob0"}, {"AMF_EncodeBoolean", "0"}, {"AMF_EncodeBoolean", "b0"},
	{"AMF_EncodeBoolean", "0e0"}, {"AMF_EncodeEcmaArray", "0"}, {"AMF_EncodeEcmaArray", "o0"},
	{"AMF_EncodeEcmaArray", "0be"}, {"AMF_EncodeEcmaArray", "o0e"}, {"AMF_EncodeEcmaArray", "ob0"},
	{"AMF_EncodeInt16", "0"}, {"AMF_EncodeInt16", "b0"}, {"AMF_EncodeInt16", "0e0"}, {"AMF_EncodeInt24", "0"},
	{"AMF_EncodeInt24", "b0"}, {"AMF_EncodeInt24", "0e0"}, {"AMF_EncodeInt32", "0"}, {"AMF_EncodeInt32", "b0"},
	{"AMF_EncodeInt32", "0e0"}, {"AMF_EncodeNamedBoolean", "0"}, {"AMF_EncodeNamedBoolean", "be0"},
	{"AMF_EncodeNamedBoolean", "00v"}, {"AMF_EncodeNamedBoolean", "0ev0"}, {"AMF_EncodeNamedBoolean", "b0v0"},
	{"AMF_EncodeNamedNumber", "0"}, {"AMF_EncodeNamedNumber", "be0"}, {"AMF_EncodeNamedNumber", "00v"},
	{"AMF_EncodeNamedNumber", "0ev0"}, {"AMF_EncodeNamedNumber", "b0v0"}, {"AMF_EncodeNamedString", "0"},
	{"AMF_EncodeNamedString", "be00"}, {"AMF_EncodeNamedString", "bev0"}, {"AMF_EncodeNamedString", "be0v"},
	{"AMF_EncodeNamedString", "0evv"}, {"AMF_EncodeNamedString", "b0vv"}, {"AMF_EncodeNumber", "0"},
	{"AMF_EncodeNumber", "b0"}, {"AMF_EncodeNumber", "0e0"}, {"AMF_EncodeString", "0"}, {"AMF_EncodeString", "be0"},
	{"AMF_EncodeString", "00v"}, {"AMF_EncodeString", "0ev"}, {"AMF_EncodeString", "b0v"}, {"AMF_GetProp", "0"},
	{"AMF_GetProp", "o08"}, {"AMF_GetProp", "0v"}, {"AMF_Reset", "0"}, {"HTTP_get", "0"}, {"HTTP_get", "h0"},
	{"HTTP_get", "0t"}, {"HTTP_get", "0tf"}, {"HTTP_get", "h0f"}, {"HTTP_get", "ht0"}, {"RTMPPacket_Alloc", "08"},
	{"RTMPPacket_Dump", "0"}, {"RTMPPacket_Dump", "p"}, {"RTMPPacket_Free", "0"}, {"RTMPPacket_Reset", "0"},
	{"RTMPSockBuf_Close", "0"}, {"RTMPSockBuf_Fill", "0"}, {"RTMPSockBuf_Send", "0"}, {"RTMPSockBuf_Send", "s08"},
	{"RTMPSockBuf_Send", "0b8"}, {"RTMP_Abort", "0"}, {"RTMP_Alloc", ""}, {"RTMP_ClientPacket", "0"}, {"RTMP_ClientPacket", "r0"},
	{"RTMP_ClientPacket", "0p"}, {"RTMP_ClientPacket", "rp"}, {"RTMP_Close", "0"}, {"RTMP_Connect", "0"},
	{"RTMP_Connect", "r0"}, {"RTMP_Connect", "0p"}, {"RTMP_Connect0", "0"}, {"RTMP_Connect0", "r0"},
	{"RTMP_Connect0", "0a"}, {"RTMP_Connect1", "0"}, {"RTMP_Connect1", "r0"}, {"RTMP_Connect1", "0p"},
	{"RTMP_ConnectStream", "0"}, {"RTMP_ConnectStream", "r0"}, {"RTMP_DeleteStream", "0"},
	{"RTMP_DeleteStream", "r"}, {"RTMP_EncodeCapabilities", "0"}, {"RTMP_EncodeCapabilities", "0be"}, {"RTMP_EncodeCapabilities", "r0e"},
	{"RTMP_EncodeCapabilities", "rb0"}, {"RTMP_GetReconnect", "0"}, {"RTMP_GetReconnect", "0bb"},
	{"RTMP_GetReconnect", "r0b"}, {"RTMP_GetReconnect", "rb0"}, {"RTMP_PeerCaps", "0"}, {"RTMP_PeerFourCc", "0"},
	{"RTMP_PeerProperty", "0"}, {"RTMP_PeerProperty", "0vP"}, {"RTMP_PeerProperty", "r0P"},
	{"RTMP_PeerProperty", "rv0"}, {"RTMP_SendMedia", "0"}, {"RTMP_SendMedia", "0888b8"},
	{"RTMP_SendMedia", "r88808"}, {"RTMP_SendReconnect", "0"}, {"RTMP_SendReconnect", "0vv"},
	{"RTMP_SendReconnect", "r0v"}, {"RTMP_SendReconnect", "rv0"}, {"RTMP_SetupReconnect", "0"},
	{"RTMP_SetupReconnect", "0r"}, {"RTMP_SetupReconnect", "r0"}, {"RTMP_TakeConnect", "0"},
	{"RTMP_TakeConnect", "0p"}, {"RTMP_TakeConnect", "r0"}, {"RTMP_EncodeChannels", "0"}, {"RTMP_EncodeChannels", "0eb8"}, {"RTMP_EncodeChannels", "b0b8"},
	{"RTMP_EncodeChannels", "be08"}, {"RTMP_EncodeMedia", "0"}, {"RTMP_EncodeMedia", "0e8b8"},
	{"RTMP_EncodeMedia", "b08b8"}, {"RTMP_EncodeMedia", "be808"}, {"RTMP_EncodeTrackMap", "0"},
	{"RTMP_EncodeTrackMap", "0e8bo8"}, {"RTMP_EncodeTrackMap", "b08bo8"}, {"RTMP_EncodeTrackMap", "be80o8"},
	{"RTMP_EncodeTrackMap", "be8b08"}, {"RTMP_NextTrack", "0"}, {"RTMP_NextTrack", "b0"}, {"RTMP_NextTrack", "0b"},
	{"RTMP_ParseChannels", "0"}, {"RTMP_ParseChannels", "0b8"}, {"RTMP_ParseChannels", "b08"},
	{"RTMP_ParseMedia", "0"}, {"RTMP_ParseMedia", "08b8"}, {"RTMP_ParseMedia", "b808"}, {"RTMP_TrackCodec", "0"},
	{"RTMP_TrackCodec", "088bb"}, {"RTMP_TrackCodec", "o880b"}, {"RTMP_TrackCodec", "o88b0"},
	{"RTMP_TrackProperty", "0"}, {"RTMP_TrackProperty", "088v"}, {"RTMP_TrackProperty", "o880"},
	{"RTMP_DropRequest", "0"}, {"RTMP_DropRequest", "r8"}, {"RTMP_EnableWrite", "0"},
	{"RTMP_FindFirstMatchingProperty", "0"}, {"RTMP_FindFirstMatchingProperty", "o00"},
	{"RTMP_FindFirstMatchingProperty", "ov0"}, {"RTMP_FindFirstMatchingProperty", "0vP"},
	{"RTMP_FindFirstMatchingProperty", "o0P"}, {"RTMP_FindPrefixProperty", "0"}, {"RTMP_FindPrefixProperty", "o00"},
	{"RTMP_FindPrefixProperty", "ov0"}, {"RTMP_FindPrefixProperty", "0vP"}, {"RTMP_FindPrefixProperty", "o0P"},
	{"RTMP_Free", "0"}, {"RTMP_GetDuration", "0"}, {"RTMP_GetErrorString", "0"}, {"RTMP_GetLastError", "0"},
	{"RTMP_GetLastSystemError", "0"}, {"RTMP_GetStats", "0"}, {"RTMP_GetStats", "r0"}, {"RTMP_GetStats", "0b"}, {"RTMP_GetStats", "rb"},
	{"RTMP_GetPollFds", "0"}, {"RTMP_GetPollFds", "0b8"}, {"RTMP_GetPollFds", "r08"}, {"RTMP_GetPollTimeout", "0"},
	{"RTMP_SetNonBlocking", "0"}, {"RTMP_Step", "0"},
	{"RTMP_GetNextMediaPacket", "0"},
	{"RTMP_GetNextMediaPacket", "r0"}, {"RTMP_GetNextMediaPacket", "0p"}, {"RTMP_GetTime", ""},
	{"RTMP_HashSWF", "0"}, {"RTMP_HashSWF", "t000"}, {"RTMP_HashSWF", "0bb0"}, {"RTMP_HashSWF", "t0b0"},
	{"RTMP_HashSWF", "tb00"}, {"RTMP_Init", "0"}, {"RTMP_IsConnected", "0"}, {"RTMP_IsTimedout", "0"},
	{"RTMP_LibVersion", ""}, {"RTMP_Log", "00"}, {"RTMP_LogGetLevel", ""}, {"RTMP_LogHex", "000"},
	{"RTMP_LogHex", "008"}, {"RTMP_LogHexString", "000"}, {"RTMP_LogHexString", "008"}, {"RTMP_LogPrintf", "0"},
	{"RTMP_LogSetCallback", "0"}, {"RTMP_LogSetLevel", "0"}, {"RTMP_LogSetOutput", "0"}, {"RTMP_LogStatus", "0"},
	{"RTMP_ParsePlaypath", "0"}, {"RTMP_ParsePlaypath", "v0"}, {"RTMP_ParsePlaypath", "0v"}, {"RTMP_ParseURL", "0"},
	{"RTMP_ParseURL", "t00000"}, {"RTMP_ParseURL", "0bvbvv"}, {"RTMP_ParseURL", "t0vbvv"},
	{"RTMP_ParseURL", "tb0bvv"}, {"RTMP_ParseURL", "tbv0vv"}, {"RTMP_ParseURL", "tbvb0v"},
	{"RTMP_ParseURL", "tbvbv0"}, {"RTMP_Pause", "0"}, {"RTMP_Pause", "r8"}, {"RTMP_Read", "0"}, {"RTMP_Read", "r08"},
	{"RTMP_Read", "0b8"}, {"RTMP_ReadPacket", "0"}, {"RTMP_ReadPacket", "r0"}, {"RTMP_ReadPacket", "0p"},
	{"RTMP_ReconnectStream", "0"}, {"RTMP_ReconnectStream", "r"}, {"RTMP_SendChunk", "0"}, {"RTMP_SendChunk", "r0"},
	{"RTMP_SendChunk", "0k"}, {"RTMP_SendClientBW", "0"}, {"RTMP_SendCreateStream", "0"}, {"RTMP_SendCtrl", "0"},
	{"RTMP_SendPacket", "0"}, {"RTMP_SendPacket", "r0"}, {"RTMP_SendPacket", "0p"}, {"RTMP_SendPause", "0"},
	{"RTMP_SendSeek", "0"}, {"RTMP_SendServerBW", "0"}, {"RTMP_Serve", "0"}, {"RTMP_Serve", "r"},
	{"RTMP_SetBufferMS", "08"}, {"RTMP_SetEventCallback", "0"}, {"RTMP_SetEventCallback", "r0b"},
	{"RTMP_SetEventCallback", "0fb"}, {"RTMP_SetEventCallback", "rf0"}, {"RTMP_SetOpt", "0"}, {"RTMP_SetOpt", "r00"}, {"RTMP_SetOpt", "rv0"},
	{"RTMP_SetOpt", "r0v"}, {"RTMP_SetOpt", "0vv"}, {"RTMP_SetSendCallback", "0"}, {"RTMP_SetSendCallback", "r0b"},
	{"RTMP_SetSendCallback", "0fb"}, {"RTMP_SetSendCallback", "rf0"}, {"RTMP_SetSessionLog", "0"}, {"RTMP_SetSessionLog", "r0b"},
	{"RTMP_SetSessionLog", "0fb"}, {"RTMP_SetSessionLog", "rf0"}, {"RTMP_SetupStream", "0"}, {"RTMP_SetupStream", "r"},
	{"RTMP_SetupStream", "00v0vvvvvvvv0vvv0000"}, {"RTMP_SetupStream", "r000vvvvvvvv0vvv0000"},
	{"RTMP_SetupStream", "r0v00vvvvvvv0vvv0000"}, {"RTMP_SetupStream", "r0v0v0vvvvvv0vvv0000"},
	{"RTMP_SetupStream", "r0v0vv0vvvvv0vvv0000"}, {"RTMP_SetupStream", "r0v0vvv0vvvv0vvv0000"},
	{"RTMP_SetupStream", "r0v0vvvv0vvv0vvv0000"}, {"RTMP_SetupStream", "r0v0vvvvv0vv0vvv0000"},
	{"RTMP_SetupStream", "r0v0vvvvvv0v0vvv0000"}, {"RTMP_SetupStream", "r0v0vvvvvvv00vvv0000"},
	{"RTMP_SetupStream", "r0v0vvvvvvvv00vv0000"}, {"RTMP_SetupStream", "r0v0vvvvvvvv0v0v0000"},
	{"RTMP_SetupStream", "r0v0vvvvvvvv0vv00000"}, {"RTMP_SetupURL", "0"}, {"RTMP_SetupURL", "r0"},
	{"RTMP_SetupURL", "0t"}, {"RTMP_Socket", "0"}, {"RTMP_TLS_Accept", "0"}, {"RTMP_TLS_Accept", "r0"},
	{"RTMP_TLS_Accept", "0b"}, {"RTMP_TLS_AllocServerContext", "0"}, {"RTMP_TLS_AllocServerContext", "t0"},
	{"RTMP_TLS_AllocServerContext", "0t"}, {"RTMP_TLS_FreeServerContext", "0"}, {"RTMP_TLS_Init", ""},
	{"RTMP_ToggleStream", "0"}, {"RTMP_UpdateBufferMS", "0"}, {"RTMP_UpdateBufferMS", "r"},
	{"RTMP_UserInterrupt", ""}, {"RTMP_Write", "0"}, {"RTMP_Write", "r08"}, {"RTMP_Write", "0b8"},
};

/* What they return then. Left out is what returns nothing, a floating-point number, or something without a pointer, too. */
static const struct { const char *name; int result; } results[] = {
	{"AMF3Prop_Decode", -1}, {"AMF3ReadInteger", 0}, {"AMF3ReadString", 0}, {"AMF3_Decode", -1},
	{"AMFProp_Decode", -1}, {"AMFProp_Encode", 0}, {"AMFProp_GetBoolean", 0}, {"AMFProp_GetType", 255},
	{"AMFProp_IsValid", 0}, {"AMF_CountProp", 0}, {"AMF_Decode", -1}, {"AMF_DecodeArray", -1},
	{"AMF_DecodeBoolean", 0}, {"AMF_DecodeInt16", 0}, {"AMF_DecodeInt24", 0}, {"AMF_DecodeInt32", 0},
	{"AMF_Encode", 0}, {"AMF_EncodeArray", 0}, {"AMF_EncodeBoolean", 0}, {"AMF_EncodeEcmaArray", 0},
	{"AMF_EncodeInt16", 0}, {"AMF_EncodeInt24", 0}, {"AMF_EncodeInt32", 0}, {"AMF_EncodeNamedBoolean", 0},
	{"AMF_EncodeNamedNumber", 0}, {"AMF_EncodeNamedString", 0}, {"AMF_EncodeNumber", 0},
	{"AMF_EncodeString", 0}, {"HTTP_get", 3}, {"RTMPPacket_Alloc", 0}, {"RTMPSockBuf_Close", -1},
	{"RTMPSockBuf_Fill", -1}, {"RTMPSockBuf_Send", -1}, {"RTMP_ClientPacket", 0}, {"RTMP_Connect", 0},
	{"RTMP_Connect0", 0}, {"RTMP_Connect1", 0}, {"RTMP_ConnectStream", 0},
	{"RTMP_EncodeCapabilities", 0}, {"RTMP_GetReconnect", 0}, {"RTMP_PeerCaps", 0}, {"RTMP_PeerFourCc", 0},
	{"RTMP_PeerProperty", 0}, {"RTMP_SendMedia", 0}, {"RTMP_SendReconnect", 0}, {"RTMP_SetupReconnect", 0},
	{"RTMP_TakeConnect", 0}, {"RTMP_EncodeChannels", 0}, {"RTMP_EncodeMedia", 0}, {"RTMP_EncodeTrackMap", 0}, {"RTMP_NextTrack", -1},
	{"RTMP_ParseChannels", -1}, {"RTMP_ParseMedia", 0}, {"RTMP_TrackCodec", 0}, {"RTMP_TrackProperty", 0},
	{"RTMP_FindFirstMatchingProperty", 0}, {"RTMP_FindPrefixProperty", 0}, {"RTMP_GetLastError", 2},
	{"RTMP_GetLastSystemError", 0}, {"RTMP_GetStats", 0},
	{"RTMP_GetPollFds", -1}, {"RTMP_GetPollTimeout", -1}, {"RTMP_SetNonBlocking", 0}, {"RTMP_Step", 0x20},
	{"RTMP_GetNextMediaPacket", 0}, {"RTMP_HashSWF", -1}, {"RTMP_IsConnected", 0}, {"RTMP_IsTimedout", 0},
	{"RTMP_ParseURL", 0}, {"RTMP_Pause", 0}, {"RTMP_ReadPacket", 0}, {"RTMP_ReconnectStream", 0},
	{"RTMP_SendChunk", 0}, {"RTMP_SendClientBW", 0}, {"RTMP_SendCreateStream", 0}, {"RTMP_SendCtrl", 0},
	{"RTMP_SendPacket", 0}, {"RTMP_SendPause", 0}, {"RTMP_SendSeek", 0}, {"RTMP_SendServerBW", 0},
	{"RTMP_Serve", 0}, {"RTMP_SetOpt", 0}, {"RTMP_SetupURL", 0}, {"RTMP_Socket", -1}, {"RTMP_TLS_Accept", 0},
	{"RTMP_TLS_AllocServerContext", 0}, {"RTMP_ToggleStream", 0}, {"RTMP_Write", -1},
};

static const char *const data_symbols[] = {"RTMPProtocolStrings", "RTMPProtocolStringsLower", "RTMP_DefaultFlashVer",
					   "RTMP_TLS_ctx", "RTMP_ctrlC", "RTMP_debuglevel"};

static size_t take(void *data, size_t size, size_t count, void *stream)
{
	(void)data;
	(void)stream;
	return size * count;
}

static long argument(char kind)
{
	static RTMPPacket packet;
	static AMFObject object;
	static AMFObjectProperty property;
	static AMF3ClassDef class;
	static RTMPSockBuf socket_buffer;
	static RTMPChunk chunk;
	static struct HTTP_ctx http;
	static struct sockaddr_in address;
	static AVal value;
	static char bytes[64], text[] = "rtmp://127.0.0.1:1/app/stream";
	static RTMP *r;

	switch (kind) {
	case 'r':
		r = RTMP_Alloc();
		RTMP_Init(r);
		return (long)r;
	case 'p': return (long)&packet;
	case 'o': return (long)&object;
	case 'P': return (long)&property;
	case 'c': return (long)&class;
	case 's':
		socket_buffer.sb_socket = -1;
		return (long)&socket_buffer;
	case 'k': return (long)&chunk;
	case 'h': return (long)&http;
	case 'a':
		address.sin_family = AF_INET;
		address.sin_port = htons(1);
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return (long)&address;
	case 'f': return (long)take;
	case 'v':
		value.av_val = text;
		value.av_len = (int)strlen(text);
		return (long)&value;
	case 'b': return (long)bytes;
	case 'e': return (long)(bytes + sizeof(bytes));
	case 't': return (long)text;
	case '8': return 8;
	default: return 0;
	}
}

/* One call. */
static void call(const char *name, const char *arguments)
{
	long a[20] = {0}, result;
	size_t at;
	int i;
	any *function;

	*(void **)&function = dlsym(RTLD_DEFAULT, name);
	if (!function)
		_exit(99);
	for (i = 0; arguments[i]; i++)
		a[i] = argument(arguments[i]);
	result = function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14],
			  a[15], a[16], a[17], a[18], a[19]);
	for (at = 0; at < sizeof(results) / sizeof(*results); at++)
		if (!strcmp(name, results[at].name) && (int)result != results[at].result)
			_exit(98);
}

int main(int argc, char **argv)
{
	unsigned i, bad = 0, names = 0;
	int together = argc == 2 && !strcmp(argv[1], "together");

	for (i = 0; i < sizeof(data_symbols) / sizeof(*data_symbols); i++) {
		int found = dlsym(RTLD_DEFAULT, data_symbols[i]) != NULL;
		printf("%s: %s\n", data_symbols[i], found ? "found" : "MISSING");
		bad += !found;
	}
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		int status;
		pid_t child;
		names += i == 0 || strcmp(calls[i][0], calls[i - 1][0]);
		if (together) {
			call(calls[i][0], calls[i][1]);
			continue;
		}
		fflush(stdout);
		child = fork();
		if (child == 0) {
			alarm(10);
			call(calls[i][0], calls[i][1]);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 2;
		printf("%s(%s): ", calls[i][0], calls[i][1]);
		if (WIFSIGNALED(status))
			printf("CRASHED, signal %d\n", WTERMSIG(status));
		else if (WEXITSTATUS(status) == 99)
			printf("MISSING\n");
		else if (WEXITSTATUS(status) == 98)
			printf("WRONG RESULT\n");
		else
			printf("returned\n");
		bad += status != 0;
	}
	printf("%u functions, %u bad calls\n", names, bad);
	return bad != 0;
}
