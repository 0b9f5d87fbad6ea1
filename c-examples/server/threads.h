/* On librtmp 2.4, whose calls wait, each client has its own thread; otherwise these functions do nothing.
 *
 * Only one thread runs at a time: it lets the others continue while it waits in the library. So the rest of the server does not
 * have to consider threads. */
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

/* The data of a thread. Returns 0 with errno. */
int threads_prepare(struct client *client);
void threads_forget(struct client *client);
/* Serves an accepted socket in a thread. Returns 0 with errno. */
int threads_serve(struct client *client, int fd);
/* Wakes the client's thread. */
void threads_wake(struct client *client);
/* From now on the connection is shut down after this time unless the client is guarded again: a peer that sends or accepts a
 * byte now and then meets every timeout of the socket, but not this. 0 for no limit. */
void threads_guard(struct client *client, int64_t ms);
/* Ends the connection of a client; its thread then ends. */
void threads_shut_down(struct client *client);

#endif
