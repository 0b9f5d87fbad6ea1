#include "message.h"

#include <stdlib.h>
#include <string.h>

static size_t in_use;
static uint64_t count;

int message_memory_is_short(void) { return in_use > MOST_MEDIA / 2; }

/* Returns a message for a body of `size` bytes, with space for `room` bytes behind the struct. */
static struct message *make(uint8_t type, uint32_t timestamp, uint32_t size, size_t room)
{
    size_t cost = sizeof(struct message) + size;
    struct message *message = NULL;
    if (in_use + cost <= MOST_MEDIA || size == 0) /* events always find room */
        message = malloc(sizeof *message + room);
    if (!message)
        return NULL;
    in_use += cost;
    message->users = 1;
    message->number = ++count;
    message->type = type;
    message->timestamp = timestamp;
    message->size = size;
    message->header_size = 0;
    message->packet_body = NULL;
    message->body = NULL;
    return message;
}

struct message *message_new(uint8_t type, uint32_t timestamp, const void *body, uint32_t size)
{
    struct message *message = make(type, timestamp, size, RTMP_MAX_HEADER_SIZE + (size_t)size);
    if (!message)
        return NULL;
    message->body = (uint8_t *)(message + 1) + RTMP_MAX_HEADER_SIZE;
    message->media = media_parse(type, body, size);
    if (size)
        memcpy(message->body, body, size);
    return message;
}

struct message *message_take(RTMPPacket *packet)
{
    struct message *message = make(packet->m_packetType, packet->m_nTimeStamp, packet->m_nBodySize, 0);
    if (!message)
        return NULL;
    message->packet_body = packet->m_body;
    message->body = (uint8_t *)packet->m_body;
    message->media = media_parse(message->type, message->body, message->size);
    packet->m_body = NULL;
    return message;
}

struct message *message_share(struct message *message)
{
    message->users++;
    return message;
}

void message_release(struct message *message)
{
    if (!message || --message->users > 0)
        return;
    in_use -= message_cost(message);
    RTMPPacket packet = { .m_body = message->packet_body };
    RTMPPacket_Free(&packet);
    free(message);
}
