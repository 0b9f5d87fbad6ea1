/* Converts AMF0 that librtmp does not decode into AMF0 that it does. */
#ifndef SERVER_AMF0_H
#define SERVER_AMF0_H

#include <stdint.h>

/* In place: references become null, typed objects become plain ones. Returns the new size. Everything after unknown or damaged
 * data stays unchanged. */
uint32_t amf0_simplify(char *body, uint32_t size);

#endif
