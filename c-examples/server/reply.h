/* Messages from the server to a client: commands with AMF arguments, status, and media.
 * Decides about chunk streams and headers; knows no session state. All functions return 1, or 0 when the
 * connection is gone. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include <librtmp/rtmp.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVER_CHUNK_SIZE = 60000, SERVER_WINDOW = 2500000 };

enum { CONTROL_STREAM_BEGIN = 0, CONTROL_STREAM_EOF = 1, CONTROL_STREAM_IS_RECORDED = 4, CONTROL_PING = 6 };

/* Window size, bandwidth and chunk size: what a server says first. */
int reply_limits(RTMP *r);

int reply_connected(RTMP *r, double transaction);
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

/* Sends media and remembers, per chunk stream, what lets the next header be shorter. */
struct media_out {
    struct { int used, stream_id; uint32_t timestamp; } chunk_streams[3];
    char *block; /* the library may write into a body it sends, so every player has a copy */
    size_t capacity;
};
int media_send(struct media_out *out, RTMP *r, int stream_id, uint8_t type, uint32_t timestamp,
               const uint8_t *body, uint32_t size);
void media_free(struct media_out *out);

#endif
