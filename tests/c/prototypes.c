/*
 * Every function of the public headers, with the type that compiled programs call it by. A name that is missing or a
 * type that differs does not compile.
 */
#include <stdio.h>
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#define FUNCTION(result, name, ...) result (*check_##name)(__VA_ARGS__) = name
#define VARIABLE(type, name) type *check_##name = &name

/* rtmp.h */
VARIABLE(const AVal, RTMP_DefaultFlashVer);
VARIABLE(int, RTMP_ctrlC);
const char (*check_RTMPProtocolStringsLower)[7] = RTMPProtocolStringsLower;
FUNCTION(int, RTMPPacket_Alloc, RTMPPacket *, uint32_t);
FUNCTION(void, RTMPPacket_Dump, RTMPPacket *);
FUNCTION(void, RTMPPacket_Free, RTMPPacket *);
FUNCTION(void, RTMPPacket_Reset, RTMPPacket *);
FUNCTION(int, RTMPSockBuf_Close, RTMPSockBuf *);
FUNCTION(int, RTMPSockBuf_Fill, RTMPSockBuf *);
FUNCTION(int, RTMPSockBuf_Send, RTMPSockBuf *, const char *, int);
FUNCTION(RTMP *, RTMP_Alloc, void);
FUNCTION(int, RTMP_ClientPacket, RTMP *, RTMPPacket *);
FUNCTION(void, RTMP_Close, RTMP *);
FUNCTION(int, RTMP_Connect, RTMP *, RTMPPacket *);
FUNCTION(int, RTMP_Connect0, RTMP *, struct sockaddr *);
FUNCTION(int, RTMP_Connect1, RTMP *, RTMPPacket *);
FUNCTION(int, RTMP_ConnectStream, RTMP *, int);
FUNCTION(void, RTMP_DeleteStream, RTMP *);
FUNCTION(void, RTMP_DropRequest, RTMP *, int, int);
FUNCTION(void, RTMP_EnableWrite, RTMP *);
FUNCTION(int, RTMP_FindFirstMatchingProperty, AMFObject *, const AVal *, AMFObjectProperty *);
FUNCTION(void, RTMP_Free, RTMP *);
FUNCTION(double, RTMP_GetDuration, RTMP *);
FUNCTION(int, RTMP_GetNextMediaPacket, RTMP *, RTMPPacket *);
FUNCTION(uint32_t, RTMP_GetTime, void);
FUNCTION(int, RTMP_HashSWF, const char *, unsigned int *, unsigned char *, int);
FUNCTION(void, RTMP_Init, RTMP *);
FUNCTION(int, RTMP_IsConnected, RTMP *);
FUNCTION(int, RTMP_IsTimedout, RTMP *);
FUNCTION(int, RTMP_LibVersion, void);
FUNCTION(void, RTMP_ParsePlaypath, AVal *, AVal *);
FUNCTION(int, RTMP_ParseURL, const char *, int *, AVal *, unsigned int *, AVal *, AVal *);
FUNCTION(int, RTMP_Pause, RTMP *, int);
FUNCTION(int, RTMP_Read, RTMP *, char *, int);
FUNCTION(int, RTMP_ReadPacket, RTMP *, RTMPPacket *);
FUNCTION(int, RTMP_ReconnectStream, RTMP *, int);
FUNCTION(int, RTMP_SendChunk, RTMP *, RTMPChunk *);
FUNCTION(int, RTMP_SendClientBW, RTMP *);
FUNCTION(int, RTMP_SendCreateStream, RTMP *);
FUNCTION(int, RTMP_SendCtrl, RTMP *, short, unsigned int, unsigned int);
FUNCTION(int, RTMP_SendPacket, RTMP *, RTMPPacket *, int);
FUNCTION(int, RTMP_SendPause, RTMP *, int, int);
FUNCTION(int, RTMP_SendSeek, RTMP *, int);
FUNCTION(int, RTMP_SendServerBW, RTMP *);
FUNCTION(int, RTMP_Serve, RTMP *);
FUNCTION(void, RTMP_SetBufferMS, RTMP *, int);
FUNCTION(int, RTMP_SetOpt, RTMP *, const AVal *, AVal *);
FUNCTION(void, RTMP_SetupStream, RTMP *, int, AVal *, unsigned int, AVal *, AVal *, AVal *, AVal *, AVal *, AVal *,
         AVal *, AVal *, uint32_t, AVal *, AVal *, AVal *, int, int, int, long);
FUNCTION(int, RTMP_SetupURL, RTMP *, char *);
FUNCTION(int, RTMP_Socket, RTMP *);
FUNCTION(int, RTMP_TLS_Accept, RTMP *, void *);
FUNCTION(void *, RTMP_TLS_AllocServerContext, const char *, const char *);
FUNCTION(void, RTMP_TLS_FreeServerContext, void *);
FUNCTION(int, RTMP_ToggleStream, RTMP *);
FUNCTION(void, RTMP_UpdateBufferMS, RTMP *);
FUNCTION(void, RTMP_UserInterrupt, void);
FUNCTION(int, RTMP_Write, RTMP *, const char *, int);

/* amf.h */
FUNCTION(void, AMF3CD_AddProp, AMF3ClassDef *, AVal *);
FUNCTION(AVal *, AMF3CD_GetProp, AMF3ClassDef *, int);
FUNCTION(int, AMF3Prop_Decode, AMFObjectProperty *, const char *, int, int);
FUNCTION(int, AMF3_Decode, AMFObject *, const char *, int, int);
FUNCTION(int, AMFProp_Decode, AMFObjectProperty *, const char *, int, int);
FUNCTION(void, AMFProp_Dump, AMFObjectProperty *);
FUNCTION(char *, AMFProp_Encode, AMFObjectProperty *, char *, char *);
FUNCTION(int, AMFProp_GetBoolean, AMFObjectProperty *);
FUNCTION(void, AMFProp_GetName, AMFObjectProperty *, AVal *);
FUNCTION(double, AMFProp_GetNumber, AMFObjectProperty *);
FUNCTION(void, AMFProp_GetObject, AMFObjectProperty *, AMFObject *);
FUNCTION(void, AMFProp_GetString, AMFObjectProperty *, AVal *);
FUNCTION(AMFDataType, AMFProp_GetType, AMFObjectProperty *);
FUNCTION(int, AMFProp_IsValid, AMFObjectProperty *);
FUNCTION(void, AMFProp_Reset, AMFObjectProperty *);
FUNCTION(void, AMFProp_SetBoolean, AMFObjectProperty *, int);
FUNCTION(void, AMFProp_SetName, AMFObjectProperty *, AVal *);
FUNCTION(void, AMFProp_SetNumber, AMFObjectProperty *, double);
FUNCTION(void, AMFProp_SetObject, AMFObjectProperty *, AMFObject *);
FUNCTION(void, AMFProp_SetString, AMFObjectProperty *, AVal *);
FUNCTION(void, AMF_AddProp, AMFObject *, const AMFObjectProperty *);
FUNCTION(int, AMF_CountProp, AMFObject *);
FUNCTION(int, AMF_Decode, AMFObject *, const char *, int, int);
FUNCTION(int, AMF_DecodeArray, AMFObject *, const char *, int, int, int);
FUNCTION(int, AMF_DecodeBoolean, const char *);
FUNCTION(unsigned short, AMF_DecodeInt16, const char *);
FUNCTION(unsigned int, AMF_DecodeInt24, const char *);
FUNCTION(unsigned int, AMF_DecodeInt32, const char *);
FUNCTION(void, AMF_DecodeLongString, const char *, AVal *);
FUNCTION(double, AMF_DecodeNumber, const char *);
FUNCTION(void, AMF_DecodeString, const char *, AVal *);
FUNCTION(void, AMF_Dump, AMFObject *);
FUNCTION(char *, AMF_Encode, AMFObject *, char *, char *);
FUNCTION(char *, AMF_EncodeArray, AMFObject *, char *, char *);
FUNCTION(char *, AMF_EncodeBoolean, char *, char *, int);
FUNCTION(char *, AMF_EncodeEcmaArray, AMFObject *, char *, char *);
FUNCTION(char *, AMF_EncodeInt16, char *, char *, short);
FUNCTION(char *, AMF_EncodeInt24, char *, char *, int);
FUNCTION(char *, AMF_EncodeInt32, char *, char *, int);
FUNCTION(char *, AMF_EncodeNamedBoolean, char *, char *, const AVal *, int);
FUNCTION(char *, AMF_EncodeNamedNumber, char *, char *, const AVal *, double);
FUNCTION(char *, AMF_EncodeNamedString, char *, char *, const AVal *, const AVal *);
FUNCTION(char *, AMF_EncodeNumber, char *, char *, double);
FUNCTION(char *, AMF_EncodeString, char *, char *, const AVal *);
FUNCTION(AMFObjectProperty *, AMF_GetProp, AMFObject *, const AVal *, int);
FUNCTION(void, AMF_Reset, AMFObject *);

/* log.h */
VARIABLE(RTMP_LogLevel, RTMP_debuglevel);
RTMP_LogCallback *check_RTMP_LogCallback = NULL;
FUNCTION(void, RTMP_Log, int, const char *, ...);
FUNCTION(RTMP_LogLevel, RTMP_LogGetLevel, void);
FUNCTION(void, RTMP_LogHex, int, const uint8_t *, unsigned long);
FUNCTION(void, RTMP_LogHexString, int, const uint8_t *, unsigned long);
FUNCTION(void, RTMP_LogPrintf, const char *, ...);
FUNCTION(void, RTMP_LogSetCallback, void (*)(int, const char *, va_list));
FUNCTION(void, RTMP_LogSetLevel, RTMP_LogLevel);
FUNCTION(void, RTMP_LogSetOutput, FILE *);
FUNCTION(void, RTMP_LogStatus, const char *, ...);

/* http.h */
typedef size_t read_callback(void *, size_t, size_t, void *);
HTTP_read_callback *check_HTTP_read_callback = NULL;
FUNCTION(HTTPResult, HTTP_get, struct HTTP_ctx *, const char *, read_callback *);

/* Exported by the original too, but in none of its headers. */
const char (*check_RTMPProtocolStrings)[7] = RTMPProtocolStrings;
FUNCTION(int, AMF3ReadInteger, const char *, int32_t *);
FUNCTION(int, AMF3ReadString, const char *, AVal *);
FUNCTION(int, RTMP_FindPrefixProperty, AMFObject *, const AVal *, AMFObjectProperty *);
FUNCTION(void, RTMP_TLS_Init, void);
