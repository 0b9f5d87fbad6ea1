/* Messages from the server to a client: commands with AMF arguments, and status. Chooses the chunk streams; knows no session
 * state. All functions return 1, or 0 if the message cannot be queued. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include <librtmp/rtmp.h>
#include <stdint.h>

#include "sender.h"

enum { SERVER_WINDOW = 2500000 };

/* librtmp calls chunk streams channels. Media use three of them. */
enum { CHANNEL_CONTROL = 2, CHANNEL_COMMAND = 3, CHANNEL_STATUS = 5, CHANNEL_MEDIA = 6 };

enum { PACKET_TYPE_ABORT = 2 }; /* the only message type without a name in rtmp.h */

/* User control events. */
enum {
    CONTROL_STREAM_BEGIN = 0,
    CONTROL_STREAM_EOF = 1,
    CONTROL_BUFFER_LENGTH = 3,
    CONTROL_STREAM_IS_RECORDED = 4,
    CONTROL_PING = 6,
    CONTROL_PONG = 7
};

/* Window size, bandwidth and chunk size, which a server sends first. */
int reply_limits(struct sender *to);
/* The number of bytes that may be sent without an acknowledgement. */
int reply_window(struct sender *to);
/* A user control event for a message stream, or with another number. */
int reply_control(struct sender *to, int event, uint32_t number);

int reply_connected(struct sender *to, double transaction);
/* Asks a client that supports such requests to connect again, to the application at `url` or to the same one if that is empty.
 * Returns 0 if other output is queued, or if the connection was lost. */
int reply_reconnect(RTMP *r, const char *url);
/* _result(transaction, null, value); `value` is omitted if it is NULL. */
int reply_result(struct sender *to, double transaction, const double *value);
int reply_error(struct sender *to, double transaction, const char *code, const char *description);
/* name(0, null, value) */
int reply_call(struct sender *to, const char *name, const double *value);
/* name(0, null, {code, description}) */
int reply_call_status(struct sender *to, const char *name, const char *code, const char *description);
/* onStatus on a message stream */
int reply_status(struct sender *to, int stream_id, const char *level, const char *code, const char *details);
/* onPlayStatus(NetStream.Play.Complete) as the data message that players expect */
int reply_play_complete(struct sender *to, int stream_id, uint32_t timestamp);

#endif
