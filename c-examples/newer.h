/* Functions that librtmp 2.4 lacks, on which these programs also run: there the references are weak and stay NULL. A program that
 * needs only this library simply calls them. So do these programs on Windows, which has no weak references. */
#ifndef EXAMPLES_NEWER_H
#define EXAMPLES_NEWER_H

#include <stddef.h>

#ifdef _WIN32
#define NEWER
#define IS_THERE(function) 1
#else
#define NEWER __attribute__((weak))
#define IS_THERE(function) ((function) != NULL)
#endif

#endif
