/* Sends published streams to other servers, as a publisher there. */
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H

struct server;

/* Forwards the stream with this path to all targets, until it is no longer published. */
void forward_all(struct server *server, const char *path);
/* Ends all forwarding at once. */
void forward_stop(struct server *server);

/* Returns 1 if `url` can be forwarded to. */
int forward_may(const char *url);

struct forward_numbers {
    const char *name, *target, *state;
    unsigned long long bytes;
    unsigned failures;
};

/* Calls `show` with each stream that is being forwarded. */
void forward_each(const struct server *server, void (*show)(void *context, const struct forward_numbers *numbers), void *context);

#endif
