/* Makes text from the network safe for people: log lines and file names. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Returns the number of bytes of the first character, or 0 if a terminal may treat it as an instruction: control and formatting
 * characters (including those that change the writing direction), and bytes that are not UTF-8. */
size_t text_printable(const char *text, size_t size);

/* For RTMP_LogSetCallback: prints one line on standard error, in which such bytes are written as \xNN. */
void text_log(int level, const char *format, va_list arguments);

#endif
