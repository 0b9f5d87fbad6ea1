/* Prints the tracks of an FLV file, with their codecs and numbers of frames. */
#ifndef EXAMPLES_INFO_H
#define EXAMPLES_INFO_H

#include "tool.h"

/* Prints a line for each track of a file, or of standard input if that is "-". */
enum ending info_print(struct tool *tool, const char *file);

#endif
