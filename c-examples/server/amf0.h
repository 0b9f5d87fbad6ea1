/* AMF0 that librtmp does not decode, made into AMF0 that it does. */
#ifndef SERVER_AMF0_H
#define SERVER_AMF0_H

#include <stdint.h>

/* In place: references become null, typed objects plain ones. Returns the new size. What is behind something unknown or
 * damaged stays as it is. */
uint32_t amf0_simplify(char *body, uint32_t size);

#endif
