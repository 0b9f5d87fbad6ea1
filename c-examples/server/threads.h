/* On librtmp 2.4, whose calls wait, each client has a thread of its own; elsewhere these functions do nothing.
 *
 * One thread at a time runs, as if there were only one: it lets the others go on while it waits in the library. So nothing else
 * in the server knows of threads. */
#ifndef SERVER_THREADS_H
#define SERVER_THREADS_H

#include <stdint.h>

struct client;
struct server;

/* For the time of a call that may wait. */
void threads_release(void);
void threads_acquire(void);

/* The main thread is one of them. Returns 0 with errno. */
int threads_begin(struct server *server);
/* Waits until all threads have ended. */
void threads_end(struct server *server);

/* What a thread needs. Returns 0 with errno. */
int threads_prepare(struct client *client);
void threads_forget(struct client *client);
/* Serves an accepted socket in a thread. Returns 0 with errno. */
int threads_serve(struct client *client, int fd);
/* There is something for the client. */
void threads_wake(struct client *client);
/* From here on the connection is shut down unless the client is guarded again in time: a peer that sends or takes one byte now
 * and then passes every time-out of the socket, but not this. 0 for no limit. */
void threads_guard(struct client *client, int64_t ms);
/* Ends the connection of a client, whose thread then ends. */
void threads_shut_down(struct client *client);

#endif
