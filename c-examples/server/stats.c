/* The statistics of the server, as lines for people or as JSON. */
#include <stdio.h>

#include "forward.h"
#include "live.h"
#include "server.h"

static struct task task;
static struct server *the_server;
static int64_t last_time;
static unsigned long long last_in, last_out;

/* The values that `live_each` adds up or prints. */
struct sum {
    unsigned streams;
    size_t queued, queued_bytes;
    unsigned long long dropped;
    int json, shown;
};

static void add(void *context, const struct live_numbers *numbers)
{
    struct sum *sum = context;
    sum->streams++;
    sum->queued += numbers->queued;
    sum->queued_bytes += numbers->queued_bytes;
    sum->dropped += numbers->dropped;
}

static void show_stream(void *context, const struct live_numbers *numbers)
{
    struct sum *sum = context;
    if (sum->json) {
        printf("%s{", sum->shown++ ? ", " : "");
        tool_json_text(stdout, "name", numbers->name);
        printf(", \"published\": %s, \"players\": %u, \"bytes\": %llu, \"queued_messages\": %zu, \"queued_bytes\": %zu, "
               "\"dropped\": %llu}", numbers->published ? "true" : "false", numbers->players, numbers->bytes, numbers->queued,
               numbers->queued_bytes, numbers->dropped);
        return;
    }
    printf("stats: stream %s: %s, %u players, %llu bytes, %zu messages queued (%zu bytes), %llu dropped\n", numbers->name,
           numbers->published ? "published" : "not published", numbers->players, numbers->bytes, numbers->queued,
           numbers->queued_bytes, numbers->dropped);
}

static void show_forward(void *context, const struct forward_numbers *numbers)
{
    struct sum *sum = context;
    if (sum->json) {
        printf("%s{", sum->shown++ ? ", " : "");
        tool_json_text(stdout, "name", numbers->name);
        printf(", ");
        tool_json_text(stdout, "to", numbers->target);
        printf(", ");
        tool_json_text(stdout, "state", numbers->state);
        printf(", \"bytes\": %llu, \"failures\": %u}", numbers->bytes, numbers->failures);
        return;
    }
    printf("stats: forward %s to %s: %s, %llu bytes, %u failures\n", numbers->name, numbers->target, numbers->state,
           numbers->bytes, numbers->failures);
}

/* Prints the statistics of the server, and its bitrates since the last time. */
static void print(struct server *server)
{
    int64_t now = clock_ms();
    unsigned long long in = server->counts.bytes_in, out = server->counts.bytes_out;
    double seconds = last_time ? (double)(now - last_time) / 1000.0 : 0.0;
    double rate_in = seconds > 0 ? (double)(in - last_in) * 0.008 / seconds : 0.0;
    double rate_out = seconds > 0 ? (double)(out - last_out) * 0.008 / seconds : 0.0;
    struct sum sum = { .json = server->json };
    live_each(server->live, add, &sum);
    printf(server->json ? "{\"clients\": %d, \"publishing\": %d, \"playing\": %d, \"kbit_in\": %.1f, \"kbit_out\": %.1f, "
                          "\"bytes_in\": %llu, \"bytes_out\": %llu, \"queued_messages\": %zu, \"queued_bytes\": %zu, "
                          "\"dropped\": %llu"
                        : "stats: %d clients, %d publishing, %d playing, in %.1f kbit/s, out %.1f kbit/s, "
                          "total in %llu bytes, out %llu bytes, %zu messages queued (%zu bytes), %llu dropped\n",
           server->client_count, server->counts.publishing, server->counts.playing, rate_in, rate_out, in, out, sum.queued,
           sum.queued_bytes, sum.dropped);
    if (server->json)
        printf(", \"streams\": [");
    live_each(server->live, show_stream, &sum);
    sum.shown = 0;
    if (server->json)
        printf("], \"forwards\": [");
    forward_each(server, show_forward, &sum);
    if (server->json)
        printf("]}\n");
    fflush(stdout);
    last_time = now;
    last_in = in;
    last_out = out;
}

static void run(struct task *due, int reasons)
{
    (void)reasons;
    print(the_server);
    loop_due(the_server->loop, due, clock_ms() + the_server->stats_ms);
}

void stats_start(struct server *server)
{
    if (server->stats_ms == 0)
        return;
    the_server = server;
    task.run = run;
    loop_add(server->loop, &task);
}
