/* Stream names from the network: which are acceptable, and which file they mean. */
#ifndef SERVER_NAME_H
#define SERVER_NAME_H

#include <librtmp/amf.h>
#include <stdio.h>

enum { NAME_SIZE = 160 };

/* Copies a stream name without its query ("?…") and its kind ("flv:", "mp4:", "mp3:"). Returns 0 for what
 * could mean a place instead of a name: empty, too long, '/' or '\', control characters, a leading dot. */
int name_accept(const AVal *wire, char *name, size_t size);

/* The same for an application name, which may have several parts: "live/room". */
int name_accept_app(const AVal *wire, char *name, size_t size);

/* Opens NAME.flv inside `folder` for reading: a regular file in that very folder, never through a link. */
FILE *name_open(const char *folder, const char *name);

/* Creates NAME.flv inside `folder`, or NAME-1.flv and so on: never touches a file that is there. */
FILE *name_create(const char *folder, const char *name);

#endif
