/* One audio, video or data message, shared by all its users. */
#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

#include <librtmp/rtmp.h>
#include <stddef.h>
#include <stdint.h>

#include "../media.h"

enum { MOST_MEDIA = 512 << 20 }; /* bytes of all messages of the process */

/* What the chunk header of a message has besides its type and size. */
struct header {
    uint8_t basic; /* format and chunk stream, the first byte */
    int stream_id;
    uint32_t time; /* absolute or relative, depending on the format */
};

struct message {
    int users;
    uint64_t number; /* no other message has it */
    uint8_t type;
    uint32_t timestamp;
    uint32_t size;
    struct media media;
    struct header header; /* of the player that was sent the message last, in front of the body */
    int header_size;      /* 0: none was */
    char *packet_body; /* of the packet that the body came with; NULL for one that was copied */
    uint8_t *body;     /* after RTMP_MAX_HEADER_SIZE bytes for a chunk header, so that both are sent in one piece */
};

/* The caller is its first user. Returns NULL if memory is short or MOST_MEDIA is reached. */
struct message *message_new(uint8_t type, uint32_t timestamp, const void *body, uint32_t size);
/* The same without a copy: takes the body of the packet, unless it returns NULL. */
struct message *message_take(RTMPPacket *packet);
struct message *message_share(struct message *message);
void message_release(struct message *message);

/* The size of a message for all limits in bytes. */
static inline size_t message_cost(const struct message *message) { return sizeof *message + message->size; }
/* Returns 1 if half of MOST_MEDIA is in use. */
int message_memory_is_short(void);

#endif
