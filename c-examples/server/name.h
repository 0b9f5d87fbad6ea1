/* Stream names from the network: which are acceptable, which stream they mean, and which file. */
#ifndef SERVER_NAME_H
#define SERVER_NAME_H

#include <librtmp/amf.h>
#include <stdio.h>

enum { NAME_SIZE = 160, PATH_SIZE = 320 };

/* Clients cut a URL into application and stream name at different places. Both together are the path of a stream, which
 * does not depend on where: parts with single slashes between them. */

/* Appends the parts of `wire` to `path`, without a query ("?…") and, in each part, the kind ("flv:", "mp4:", "mp3:").
 * Empty parts do not count. Returns 0 for what is too long or could mean a place instead of a name: a part that
 * begins with a dot, '\', control and formatting characters, what is not UTF-8. */
int name_append(char *path, const AVal *wire);

/* Takes ".flv", ".mp4", ".f4v" or ".mp3" off the end. Returns 0 when the path is empty. */
int name_finish(char *path);

/* The last part of a path: the name of its files. */
const char *name_of(const char *path);

/* Files are called NAME.flv, or _NAME.flv where a shell would take NAME for an option or something else of its own. */

/* Opens the file of a name inside `folder` for reading: a regular file in that very folder, never through a link. */
FILE *name_open(const char *folder, const char *name);

/* Creates the file, or NAME-1.flv and so on: never touches a file that is there. */
FILE *name_create(const char *folder, const char *name);

#endif
