/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: numbers, events and hooks of sessions, for programs that adapt to the network or have an event loop of their own.
 *
 * librtmp 2.4 has none of this. RTMP and everything that is done with it is in rtmp.h.
 */
#ifndef LIBRTMP_LOOP_H
#define LIBRTMP_LOOP_H

#include <stdint.h>

#include "rtmp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
