/* Text from the network in front of people: log lines and file names. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Returns how many bytes the first character has, or 0 when a terminal may take it for an instruction: control and
 * formatting characters (also those that turn the writing direction), and what is not UTF-8. */
size_t text_printable(const char *text, size_t size);

/* For RTMP_LogSetCallback: one line on standard error, in which such bytes are written as \xNN. */
void text_log(int level, const char *format, va_list arguments);

#endif
