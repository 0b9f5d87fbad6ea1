/* Enhanced RTMP. A program that needs only this library includes <librtmp/enhanced.h>. */
#ifndef EXAMPLES_ENHANCED_H
#define EXAMPLES_ENHANCED_H

#include <librtmp/rtmp.h>
#include <string.h>

#include "newer.h"

NEWER extern int RTMP_PeerCaps(RTMP *r);
NEWER extern int RTMP_PeerProperty(RTMP *r, const AVal *name, AMFObjectProperty *p);
NEWER extern int RTMP_TakeConnect(RTMP *r, const RTMPPacket *packet);
NEWER extern char *RTMP_EncodeCapabilities(RTMP *r, char *p, char *end);
NEWER extern int RTMP_SendReconnect(RTMP *r, const AVal *url, const AVal *description);

/* Sets an option of the library, which keeps using the text. Returns 0 if the library does not have the option. */
static inline int set_option(RTMP *r, const char *name, const char *value)
{
    AVal option = { (char *)(uintptr_t)name, (int)strlen(name) }; /* both are only read */
    AVal text = { (char *)(uintptr_t)value, (int)strlen(value) };
    return RTMP_SetOpt(r, &option, &text);
}

/* Announces `codecs` (hvc1,Opus) or everything, if requested. Returns 0 on an error. */
static inline int announce(RTMP *r, int everything, const char *codecs)
{
    return (!everything || set_option(r, "enhanced", "1")) && (!codecs || set_option(r, "fourCcList", codecs));
}

#endif
