#include "message.h"

#include <stdlib.h>
#include <string.h>

static atomic_size_t in_use;

size_t message_cost(const struct message *message) { return sizeof *message + message->size; }

int message_memory_is_short(void) { return atomic_load(&in_use) > MOST_MEDIA / 2; }

struct message *message_new(uint8_t type, uint32_t timestamp, const void *body, uint32_t size)
{
    size_t cost = sizeof(struct message) + size;
    struct message *message = NULL;
    if (atomic_fetch_add(&in_use, cost) + cost <= MOST_MEDIA || size == 0) /* events always find room */
        message = malloc(cost);
    if (!message) {
        atomic_fetch_sub(&in_use, cost);
        return NULL;
    }
    atomic_init(&message->users, 1);
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
    atomic_fetch_add(&message->users, 1);
    return message;
}

void message_release(struct message *message)
{
    if (!message || atomic_fetch_sub(&message->users, 1) != 1)
        return;
    atomic_fetch_sub(&in_use, message_cost(message));
    free(message);
}
