/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: values in Action Message Format, the encoding of RTMP's commands and of metadata.
 *
 * Two conventions apply to all functions:
 *  - An encoder writes between a position and the end of a buffer. It returns the position after the value, or NULL if
 *    the value does not fit or cannot be encoded.
 *  - A decoder does not copy text: strings point into the decoded buffer, are valid as long as that buffer is, and are
 *    not NUL-terminated.
 */
#ifndef __AMF_H__
#define __AMF_H__

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TRUE
#define TRUE 1
#define FALSE 0
#endif

/** Type of an AMF0 value; except for AMF_INVALID the number is its marker on the wire. */
typedef enum {
    AMF_NUMBER = 0,
    AMF_BOOLEAN = 1,
    AMF_STRING = 2,
    AMF_OBJECT = 3,
    AMF_MOVIECLIP = 4, /**< never sent */
    AMF_NULL = 5,
    AMF_UNDEFINED = 6,
    AMF_REFERENCE = 7,
    AMF_ECMA_ARRAY = 8, /**< named members, with a count in front */
    AMF_OBJECT_END = 9, /**< ends objects and named arrays */
    AMF_STRICT_ARRAY = 10, /**< members without names */
    AMF_DATE = 11,
    AMF_LONG_STRING = 12, /**< more than 65535 bytes */
    AMF_UNSUPPORTED = 13,
    AMF_RECORDSET = 14, /**< never sent */
    AMF_XML_DOC = 15,
    AMF_TYPED_OBJECT = 16,
    AMF_AVMPLUS = 17, /**< an AMF3 value follows */
    AMF_INVALID = 255 /**< no value; not on the wire */
} AMFDataType;

/** Type of an AMF3 value: its marker on the wire. */
typedef enum {
    AMF3_UNDEFINED = 0,
    AMF3_NULL = 1,
    AMF3_FALSE = 2,
    AMF3_TRUE = 3,
    AMF3_INTEGER = 4,
    AMF3_DOUBLE = 5,
    AMF3_STRING = 6,
    AMF3_XML_DOC = 7,
    AMF3_DATE = 8,
    AMF3_ARRAY = 9,
    AMF3_OBJECT = 10,
    AMF3_XML = 11,
    AMF3_BYTE_ARRAY = 12
} AMF3DataType;

/** Initialiser of an AVal from a string literal, which is not copied: `AVal name = AVC("connect");` */
#define AVC(str) { (char *)(str), (int)sizeof(str) - 1 }

/** True if two strings, given as pointers to AVal, have the same bytes. Evaluates its arguments more than once. */
#define AVMATCH(a, b) ((a)->av_len == (b)->av_len && !memcmp((a)->av_val, (b)->av_val, (size_t)(a)->av_len))

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
