/* Messages from the server to a client: commands with AMF arguments, status, and media.
 * Decides about chunk streams and headers; knows no session state. All functions return 1, or 0 when the
 * connection is gone. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include <librtmp/rtmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SERVER_CHUNK_SIZE = 60000, SERVER_WINDOW = 2500000 };

enum { PACKET_TYPE_ABORT = 2 }; /* the one message type that rtmp.h has no name for */

/* User control events. */
enum {
    CONTROL_STREAM_BEGIN = 0,
    CONTROL_STREAM_EOF = 1,
    CONTROL_BUFFER_LENGTH = 3,
    CONTROL_STREAM_IS_RECORDED = 4,
    CONTROL_PING = 6,
    CONTROL_PONG = 7
};

/* Window size, bandwidth and chunk size: what a server says first. */
int reply_limits(RTMP *r);

int reply_connected(RTMP *r, double transaction);
/* Asks a client that knows such requests to connect again, to the application at `url` or to the same if that is empty. */
int reply_reconnect(RTMP *r, const char *url);
/* _result(transaction, null, value); the value is left out when `value` is NULL. */
int reply_result(RTMP *r, double transaction, const double *value);
int reply_error(RTMP *r, double transaction, const char *code, const char *description);
/* name(0, null, value) */
int reply_call(RTMP *r, const char *name, const double *value);
/* name(0, null, {code, description}) */
int reply_call_status(RTMP *r, const char *name, const char *code, const char *description);
/* onStatus on a message stream */
int reply_status(RTMP *r, int stream_id, const char *level, const char *code, const char *details);
/* onPlayStatus(NetStream.Play.Complete) as the data message that players expect */
int reply_play_complete(RTMP *r, int stream_id, uint32_t timestamp);

/* Sends media in chunks of its own, and remembers per chunk stream what lets the next header be shorter. All players
 * share a body, and RTMP_SendPacket may write into it: so each chunk is copied. A player that does not read costs the
 * memory of one chunk. */
struct media_out {
    struct { int stream_id; uint32_t timestamp; } chunk_streams[3]; /* stream_id 0: nothing was sent */
    char *block;
};
/* A body in memory, or what comes next in `file` when `bytes` is NULL. */
struct body {
    const uint8_t *bytes;
    FILE *file;
    uint32_t size;
};
int media_send(struct media_out *out, RTMP *r, int stream_id, uint8_t type, uint32_t timestamp,
               const struct body *body);
void media_free(struct media_out *out);

#endif
