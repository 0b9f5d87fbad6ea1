#include "message.h"

#include <stdlib.h>
#include <string.h>

static size_t in_use;

int message_memory_is_short(void) { return in_use > MOST_MEDIA / 2; }

struct message *message_new(uint8_t type, uint32_t timestamp, const void *body, uint32_t size)
{
    size_t cost = sizeof(struct message) + size;
    struct message *message = NULL;
    if (in_use + cost <= MOST_MEDIA || size == 0) /* events are always accepted */
        message = malloc(cost);
    if (!message)
        return NULL;
    in_use += cost;
    message->users = 1;
    message->type = type;
    message->timestamp = timestamp;
    message->size = size;
    message->media = media_parse(type, body, size);
    if (size)
        memcpy(message->body, body, size);
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
    free(message);
}
