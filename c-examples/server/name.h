/* Stream names from the network: which are acceptable, and which stream and file they refer to. */
#ifndef SERVER_NAME_H
#define SERVER_NAME_H

#include <librtmp/amf.h>
#include <stdio.h>

enum { NAME_SIZE = 160, PATH_SIZE = 320 };

/* Clients split a URL into application and stream name at different places. Both together are the path of a stream, which does
 * not depend on that: parts with single slashes between them. */

/* Appends the parts of `wire` to `path`, without a query ("?…") and, in each part, without the kind ("flv:", "mp4:", "mp3:").
 * Empty parts are skipped. Returns 0 if it is too long or could be a file path: a part that begins with a dot, '\', control and
 * formatting characters, and bytes that are not UTF-8. */
int name_append(char *path, const AVal *wire);

/* Removes ".flv", ".mp4", ".f4v" or ".mp3" from the end. Returns 0 if the path is empty. */
int name_finish(char *path);

/* The last part of a path: the name of its files. */
const char *name_of(const char *path);

/* Files are called NAME.flv, or _NAME.flv if a shell or a program would treat NAME as an option or a pattern. */

/* Opens the file of a name inside `folder` for reading: only a regular file in that folder, never through a link. */
FILE *name_open(const char *folder, const char *name);

/* Creates the file, or NAME-1.flv and so on: never changes an existing file. */
FILE *name_create(const char *folder, const char *name);

#endif
