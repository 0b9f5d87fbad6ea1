/* Why a call failed. RTMP_GetLastError and RTMP_GetErrorString are newer than librtmp 2.4, on which these programs run,
 * too: there the references stay empty. A program that needs a library which has them simply calls them. */
#ifndef EXAMPLES_REASON_H
#define EXAMPLES_REASON_H

#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include "ending.h"

extern int RTMP_GetLastError(RTMP *r) __attribute__((weak));
extern const char *RTMP_GetErrorString(RTMP *r) __attribute__((weak));

static inline const char *reason(RTMP *r)
{
    return RTMP_GetErrorString ? RTMP_GetErrorString(r) : "the log says why";
}

/* The programs print the reason themselves. So the log, which has it too, is for those who ask for more (-v), and for
 * librtmp 2.4, where nothing else has it. */
static inline void set_log_level(int quiet, int verbose)
{
    RTMP_LogSetLevel(verbose > 1 ? RTMP_LOGDEBUG : verbose ? RTMP_LOGINFO
                     : quiet || RTMP_GetErrorString ? RTMP_LOGCRIT : RTMP_LOGERROR);
}

/* The server ended the stream, and the connection did not just break. */
static inline int has_ended(RTMP *r)
{
    return RTMP_GetLastError ? RTMP_GetLastError(r) == 1 : r->m_read.status == RTMP_READ_COMPLETE;
}

/* The exit code for a call that failed. `otherwise` is for what the library cannot tell, and END_NOT_CONNECTED there says
 * that it was connecting. */
static inline enum ending ending_of(RTMP *r, enum ending otherwise)
{
    int connecting = otherwise == END_NOT_CONNECTED;
    switch (RTMP_GetLastError ? RTMP_GetLastError(r) : 0) { /* RTMP_ERR_…, which the headers of librtmp 2.4 lack */
    case 0: case 6:                           /* NONE, NOT_CONNECTED */
        return RTMP_IsTimedout(r) ? END_TIMED_OUT : otherwise;
    case 4: case 5:                           /* URL, OPTION */
        return END_WRONG_USE;
    case 7: case 8: case 9: case 10: case 11: /* RESOLVE, CONNECT, PROXY, TLS, HANDSHAKE */
        return END_NOT_CONNECTED;
    case 12:                                  /* REFUSED */
        return END_REFUSED;
    case 13:                                  /* TIMEDOUT */
        return END_TIMED_OUT;
    case 14: case 15:                         /* CLOSED, IO */
        return connecting ? END_NOT_CONNECTED : END_LOST;
    case 16: case 17: case 18:                /* MALFORMED, TOO_LARGE, FLV */
        return connecting ? END_NOT_CONNECTED : END_CUT;
    default:
        return END_FAILED;
    }
}

#endif
