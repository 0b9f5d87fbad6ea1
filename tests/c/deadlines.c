/* deadlines play|watch|publish|feed|idle|ready|leave|finish TIMEOUT URL: calls what a client calls, and says of each call
 * how it ended and how long it took, in milliseconds. `play` reads until there is nothing more or for 5 seconds, `watch`
 * until there is nothing more; `publish` writes until that fails, `feed` does so at leisure; `idle` and `ready` stop before.
 * `leave` reads once and `finish` writes once, then they wait for SIGUSR1 before they close. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 50000, LONGEST_PLAY = 5000, MOST = 200 << 20 };

static char tag[11 + BODY + 4] = { 9, 0, BODY >> 8, (char)(BODY & 0xff), 0, 0, 40, 0, 0, 0, 0, 0x12 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void say(const char *what, long result, double since, RTMP *r)
{
    printf("%s %ld %.0f %s\n", what, result, now() - since, RTMP_IsTimedout(r) ? "timedout" : "-");
    fflush(stdout);
}

static void play(RTMP *r, int for_ever)
{
    static char bytes[65536];
    double began = now(), since;
    long count;
    do {
        since = now();
        count = RTMP_Read(r, bytes, sizeof bytes);
    } while (count > 0 && (for_ever || now() - began < LONGEST_PLAY));
    say("read", count, since, r);
}

static void publish(RTMP *r, int at_leisure)
{
    double since;
    long count, sum = 0;
    do {
        if (at_leisure)
            usleep(20000);
        since = now();
        count = RTMP_Write(r, tag, sizeof tag);
        sum += count;
    } while (count == (long)sizeof tag && sum < MOST);
    say("write", count, since, r);
}

static void read_once(RTMP *r)
{
    static char bytes[65536];
    double since = now();
    say("read", RTMP_Read(r, bytes, sizeof bytes), since, r);
}

static void write_once(RTMP *r)
{
    double since = now();
    say("write", RTMP_Write(r, tag, sizeof tag), since, r);
}

static void wait_for_signal(void)
{
    sigset_t wanted;
    int number;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    printf("waiting\n");
    fflush(stdout);
    sigwait(&wanted, &number);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    const char *mode = argv[1];
    int leaves = strcmp(mode, "leave") == 0, finishes = strcmp(mode, "finish") == 0;
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGUSR1);
    sigprocmask(SIG_BLOCK, &held, NULL);
    int at_leisure = strcmp(mode, "feed") == 0, publishes = at_leisure || strcmp(mode, "publish") == 0;
    int for_ever = strcmp(mode, "watch") == 0, plays = for_ever || strcmp(mode, "play") == 0;
    RTMP *r = RTMP_Alloc();
    signal(SIGPIPE, SIG_IGN);
    RTMP_LogSetLevel(RTMP_LOGDEBUG);
    RTMP_Init(r);
    r->Link.timeout = atoi(argv[2]);
    if (!RTMP_SetupURL(r, argv[3]))
        return 2;
    r->Link.timeout = atoi(argv[2]);
    if (publishes || finishes || strcmp(mode, "ready") == 0)
        RTMP_EnableWrite(r);
    double since = now();
    int ok = RTMP_Connect(r, NULL);
    say("connect", ok, since, r);
    if (ok) {
        since = now();
        ok = RTMP_ConnectStream(r, 0);
        say("stream", ok, since, r);
    }
    if (ok && publishes)
        publish(r, at_leisure);
    else if (ok && plays)
        play(r, for_ever);
    else if (ok && leaves)
        read_once(r);
    else if (ok && finishes)
        write_once(r);
    if (leaves || finishes)
        wait_for_signal();
    since = now();
    RTMP_Close(r);
    say("close", 0, since, r);
    RTMP_Free(r);
    return 0;
}
