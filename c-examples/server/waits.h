/* Sessions that never wait (librtmp/loop.h). librtmp 2.4, on which the server also runs, has only calls that wait: there the
 * weak references stay NULL, and threads.c takes the place of the event loop. */
#ifndef SERVER_WAITS_H
#define SERVER_WAITS_H

#include <librtmp/loop.h>

#include "../reason.h"

#pragma weak RTMP_SetNonBlocking
#pragma weak RTMP_GetPollFds
#pragma weak RTMP_GetPollTimeout
#pragma weak RTMP_Step

static inline int library_waits(void) { return !RTMP_SetNonBlocking; }

/* A call has failed only because it would have to wait. */
static inline int would_wait(RTMP *r) { return !library_waits() && RTMP_GetLastError(r) == RTMP_ERR_AGAIN; }

#endif
