/* Why a call failed. RTMP_GetErrorString is newer than librtmp 2.4, on which these programs run, too: there the
 * reference stays empty. A program that needs a library which has it simply calls it. */
#ifndef EXAMPLES_REASON_H
#define EXAMPLES_REASON_H

#include <librtmp/rtmp.h>

extern const char *RTMP_GetErrorString(RTMP *r) __attribute__((weak));

static inline const char *reason(RTMP *r)
{
    return RTMP_GetErrorString ? RTMP_GetErrorString(r) : "the log says why";
}

#endif
