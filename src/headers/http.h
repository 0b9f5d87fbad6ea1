/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: the small HTTP client that fetches SWF files for their verification.
 */
#ifndef __RTMP_HTTP_H__
#define __RTMP_HTTP_H__

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a request ended. */
typedef enum {
    HTTPRES_OK = 0, /**< the whole body was delivered */
    HTTPRES_OK_NOT_MODIFIED = 1, /**< not changed since HTTP_ctx.date; no body */
    HTTPRES_NOT_FOUND = 2,
    HTTPRES_BAD_REQUEST = 3, /**< refused, or the URL is invalid */
    HTTPRES_SERVER_ERROR = 4,
    HTTPRES_REDIRECTED = 5, /**< the server redirects, which is not followed */
    HTTPRES_LOST_CONNECTION = 6 /**< no connection, or it ended too early */
} HTTPResult;

/**
 * Receives one piece of a response body: size * nmemb bytes at ptr, which belong to the library and are valid only during
 * the call. stream is HTTP_ctx.data. The result is ignored.
 */
typedef size_t(HTTP_read_callback)(void *ptr, size_t size, size_t nmemb, void *stream);

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
