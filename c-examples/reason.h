/* The reason for a failure. */
#ifndef EXAMPLES_REASON_H
#define EXAMPLES_REASON_H

#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include "ending.h"
#include "newer.h"

NEWER extern int RTMP_GetLastError(RTMP *r);
NEWER extern const char *RTMP_GetErrorString(RTMP *r);

static inline const char *reason(RTMP *r)
{
    return IS_THERE(RTMP_GetErrorString) ? RTMP_GetErrorString(r) : "the log says why";
}

/* The programs print the reason themselves. The log contains it, too, so it is shown only with -v, and on librtmp 2.4,
 * which has the reason nowhere else. */
static inline void set_log_level(int quiet, int verbose)
{
    RTMP_LogSetLevel(verbose > 1 ? RTMP_LOGDEBUG : verbose ? RTMP_LOGINFO
                     : quiet || IS_THERE(RTMP_GetErrorString) ? RTMP_LOGCRIT : RTMP_LOGERROR);
}

/* Whether the server ended the stream: the connection was not lost. */
static inline int has_ended(RTMP *r)
{
    return IS_THERE(RTMP_GetLastError) ? RTMP_GetLastError(r) == 1 : r->m_read.status == RTMP_READ_COMPLETE;
}

/* The exit code for a call that failed. `otherwise` applies if the library has no code; END_NOT_CONNECTED there means that
 * the call was connecting. */
static inline enum ending ending_of(RTMP *r, enum ending otherwise)
{
    int connecting = otherwise == END_NOT_CONNECTED;
    switch (IS_THERE(RTMP_GetLastError) ? RTMP_GetLastError(r) : 0) { /* RTMP_ERR_…, which the headers of librtmp 2.4 lack */
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
        return connecting ? END_NOT_CONNECTED : END_INPUT;
    default:
        return END_FAILED;
    }
}

#endif
