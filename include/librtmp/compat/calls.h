/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: the functions that a fork has not changed, for the session type of that fork.
 *
 * For the headers of this directory only. LIBRTMP_COMPAT_BASE(r) converts a session of the fork to one of this library. A name
 * in parentheses is the function itself and not the macro.
 */
#ifndef LIBRTMP_COMPAT_CALLS_H
#define LIBRTMP_COMPAT_CALLS_H

#define RTMP_GetDuration(r) (RTMP_GetDuration)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_GetLastError(r) (RTMP_GetLastError)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_SetOpt(r, name, value) (RTMP_SetOpt)(LIBRTMP_COMPAT_BASE(r), name, value)
#ifndef RTMP_SendCtrl
#define RTMP_SendCtrl(r, type, object, time) (RTMP_SendCtrl)(LIBRTMP_COMPAT_BASE(r), type, object, time)
#endif
#ifndef RTMP_SendPause
#define RTMP_SendPause(r, pause, time) (RTMP_SendPause)(LIBRTMP_COMPAT_BASE(r), pause, time)
#endif
#ifndef RTMP_Pause
#define RTMP_Pause(r, pause) (RTMP_Pause)(LIBRTMP_COMPAT_BASE(r), pause)
#endif
#ifndef RTMP_SendSeek
#define RTMP_SendSeek(r, time) (RTMP_SendSeek)(LIBRTMP_COMPAT_BASE(r), time)
#endif
#ifndef RTMP_SendCreateStream
#define RTMP_SendCreateStream(r) (RTMP_SendCreateStream)(LIBRTMP_COMPAT_BASE(r))
#endif
#ifndef RTMP_SendServerBW
#define RTMP_SendServerBW(r) (RTMP_SendServerBW)(LIBRTMP_COMPAT_BASE(r))
#endif
#ifndef RTMP_SendClientBW
#define RTMP_SendClientBW(r) (RTMP_SendClientBW)(LIBRTMP_COMPAT_BASE(r))
#endif
#define RTMP_ToggleStream(r) (RTMP_ToggleStream)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_UpdateBufferMS(r) (RTMP_UpdateBufferMS)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_SendChunk(r, chunk) (RTMP_SendChunk)(LIBRTMP_COMPAT_BASE(r), chunk)
#define RTMP_GetNextMediaPacket(r, packet) (RTMP_GetNextMediaPacket)(LIBRTMP_COMPAT_BASE(r), packet)
#define RTMP_Abort(r) (RTMP_Abort)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_Serve(r) (RTMP_Serve)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_DropRequest(r, i, freeit) (RTMP_DropRequest)(LIBRTMP_COMPAT_BASE(r), i, freeit)

#ifdef LIBRTMP_LOOP_H
#define RTMP_SetEventCallback(r, callback, arg) (RTMP_SetEventCallback)(LIBRTMP_COMPAT_BASE(r), callback, arg)
#define RTMP_SetSendCallback(r, callback, arg) (RTMP_SetSendCallback)(LIBRTMP_COMPAT_BASE(r), callback, arg)
#define RTMP_SetSessionLog(r, callback, arg) (RTMP_SetSessionLog)(LIBRTMP_COMPAT_BASE(r), callback, arg)
#define RTMP_GetStats(r, s) (RTMP_GetStats)(LIBRTMP_COMPAT_BASE(r), s)
#define RTMP_GetLastSystemError(r) (RTMP_GetLastSystemError)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_SetNonBlocking(r, on) (RTMP_SetNonBlocking)(LIBRTMP_COMPAT_BASE(r), on)
#define RTMP_GetPollFds(r, fds, size) (RTMP_GetPollFds)(LIBRTMP_COMPAT_BASE(r), fds, size)
#define RTMP_GetPollTimeout(r) (RTMP_GetPollTimeout)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_GetPollFd(r) (RTMP_GetPollFd)(LIBRTMP_COMPAT_BASE(r))
#define RTMP_Step(r) (RTMP_Step)(LIBRTMP_COMPAT_BASE(r))
#endif

#endif
