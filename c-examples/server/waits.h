/* Sessions that never wait (librtmp/loop.h). librtmp 2.4 has only calls that wait: there threads.c takes the place of the event
 * loop. */
#ifndef SERVER_WAITS_H
#define SERVER_WAITS_H

#include <librtmp/loop.h>

#include "../reason.h"

NEWER extern int RTMP_SetNonBlocking(RTMP *r, int on);
NEWER extern int RTMP_GetPollFds(RTMP *r, struct pollfd *fds, int size);
NEWER extern int RTMP_GetPollTimeout(RTMP *r);
NEWER extern int RTMP_Step(RTMP *r);

static inline int library_waits(void) { return !IS_THERE(RTMP_SetNonBlocking); }

/* A call has failed only because it would have to wait. */
static inline int would_wait(RTMP *r) { return !library_waits() && RTMP_GetLastError(r) == RTMP_ERR_AGAIN; }

#endif
