/* Preloaded into a program that calls librtmp and waits: makes its sessions ones that never wait, and each call that would have
 * waited a loop of poll and RTMP_Step. The program sees the same results, so every table of tests can run a second time this
 * way.
 *
 * A session that waits forever although it has a timeout ends the program, and so does a wait without anything to wait
 * for. With STEPPING_MEASURE=MS a call that sleeps for 5 ms ends it, too, and one that computes for so many milliseconds: the
 * first depends on nothing else, the second on the processor and on how the library was compiled. */
#define _GNU_SOURCE
#include <librtmp/loop.h>
#include <librtmp/rtmp.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 64, LONGEST_SLEEP_NS = 5 * 1000 * 1000 };

/* The function of the library that has this name. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "stepping: the library has no %s\n", name);
        abort();
    }
    return found;
}

static void fail(const char *name, const char *what, long long number)
{
    fprintf(stderr, "stepping: %s %s (%lld)\n", name, what, number);
    abort();
}

/* How a thread has spent its time. */
struct spent {
    long long wall, computing, queued, switches;
};

static long long nanoseconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* How many milliseconds a call may compute; 0 if nothing is measured. */
static int measures(void)
{
    static int answer = -1;
    const char *text;
    if (answer < 0)
        answer = (text = getenv("STEPPING_MEASURE")) ? atoi(text) : 0;
    return answer;
}

static void look(struct spent *spent)
{
    char text[128] = "";
    struct rusage usage;
    if (!measures())
        return;
    /* Time on a processor, and time ready to run without one, as a busy machine lets threads wait. */
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0 ||
        sscanf(text, "%lld %lld", &spent->computing, &spent->queued) != 2)
        fail("measuring", "is not possible here", errno);
    close(fd);
    getrusage(RUSAGE_THREAD, &usage);
    spent->switches = usage.ru_nvcsw;
    spent->wall = nanoseconds(CLOCK_MONOTONIC);
    spent->computing = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

static void judge(const char *name, const struct spent *before)
{
    struct spent after;
    if (!measures())
        return;
    look(&after);
    long long computed = after.computing - before->computing;
    long long slept = after.wall - before->wall - computed - (after.queued - before->queued);
    if (after.switches > before->switches && slept >= LONGEST_SLEEP_NS)
        fail(name, "slept, in nanoseconds", slept);
    if (computed >= measures() * 1000000LL)
        fail(name, "computed, in nanoseconds", computed);
}

/* A call, measured. */
#define MEASURED(name, call) \
    ({ \
        struct spent before; \
        int saved = errno; \
        look(&before); \
        errno = saved; \
        __typeof__(call) value = call; \
        saved = errno; \
        judge(name, &before); \
        errno = saved; \
        value; \
    })

/* Waits until a step is due, and takes it. */
static int step(RTMP *r, const char *name)
{
    struct pollfd fds[MOST_FDS];
    int count = MEASURED("RTMP_GetPollFds", REAL(RTMP_GetPollFds)(r, fds, MOST_FDS));
    int timeout = MEASURED("RTMP_GetPollTimeout", REAL(RTMP_GetPollTimeout)(r));
    if (count < 0 || count > MOST_FDS)
        fail(name, "waits for so many descriptors", count);
    if (count == 0 && timeout < 0)
        fail(name, "waits for nothing", r->Link.timeout);
    /* What a helper thread does has an end, too. */
    int longest = timeout < 0 && r->Link.timeout > 0 ? 60000 + 5000 * r->Link.timeout : timeout;
    if (poll(fds, (nfds_t)count, longest) == 0 && timeout < 0)
        fail(name, "waits for ever", r->Link.timeout);
    return MEASURED("RTMP_Step", REAL(RTMP_Step)(r));
}

/* Calls again while the session asks for steps. */
#define IN_STEPS(r, name, failed, call) \
    ({ \
        int began = errno; \
        __typeof__(call) value; \
        for (;;) { \
            errno = began; \
            value = MEASURED(#name, call); \
            if (!(r) || value != (failed) || REAL(RTMP_GetLastError)(r) != RTMP_ERR_AGAIN) \
                break; \
            step(r, #name); \
        } \
        value; \
    })

/* As a call that waits, it ends when the system has taken what it sends. */
static int flushed(RTMP *r, const char *name)
{
    int saved = errno, state = REAL(RTMP_Step)(r);
    while (!(state & (RTMP_STEP_FLUSHED | RTMP_STEP_FAILED | RTMP_STEP_CLOSED)))
        state = step(r, name);
    errno = saved;
    return !(state & RTMP_STEP_FAILED);
}

/* As above, and flushes unless the call has failed. */
#define SENT_IN_STEPS(r, name, failed, call) \
    ({ \
        __typeof__(call) sent = IN_STEPS(r, name, failed, call); \
        if ((r) && sent != (failed) && !flushed(r, #name)) \
            sent = (failed); \
        sent; \
    })

static void begin(RTMP *r)
{
    if (r && !REAL(RTMP_IsConnected)(r))
        REAL(RTMP_SetNonBlocking)(r, 1);
    else if (r && r->m_nBytesIn == 0)
        REAL(RTMP_SetNonBlocking)(r, 1);
}

int RTMP_Connect(RTMP *r, RTMPPacket *cp)
{
    begin(r);
    return IN_STEPS(r, RTMP_Connect, FALSE, REAL(RTMP_Connect)(r, cp));
}

int RTMP_Connect0(RTMP *r, struct sockaddr *svc)
{
    begin(r);
    return IN_STEPS(r, RTMP_Connect0, FALSE, REAL(RTMP_Connect0)(r, svc));
}

int RTMP_Connect1(RTMP *r, RTMPPacket *cp)
{
    begin(r);
    return IN_STEPS(r, RTMP_Connect1, FALSE, REAL(RTMP_Connect1)(r, cp));
}

int RTMP_TLS_Accept(RTMP *r, void *ctx)
{
    begin(r);
    return IN_STEPS(r, RTMP_TLS_Accept, FALSE, REAL(RTMP_TLS_Accept)(r, ctx));
}

int RTMP_Serve(RTMP *r)
{
    begin(r);
    return IN_STEPS(r, RTMP_Serve, FALSE, REAL(RTMP_Serve)(r));
}

int RTMP_ConnectStream(RTMP *r, int seekTime)
{
    return IN_STEPS(r, RTMP_ConnectStream, FALSE, REAL(RTMP_ConnectStream)(r, seekTime));
}

int RTMP_ReconnectStream(RTMP *r, int seekTime)
{
    return IN_STEPS(r, RTMP_ReconnectStream, FALSE, REAL(RTMP_ReconnectStream)(r, seekTime));
}

int RTMP_ToggleStream(RTMP *r)
{
    return IN_STEPS(r, RTMP_ToggleStream, FALSE, REAL(RTMP_ToggleStream)(r));
}

int RTMP_Read(RTMP *r, char *buf, int size)
{
    return IN_STEPS(r, RTMP_Read, -1, REAL(RTMP_Read)(r, buf, size));
}

int RTMP_ReadPacket(RTMP *r, RTMPPacket *packet)
{
    return IN_STEPS(r, RTMP_ReadPacket, FALSE, REAL(RTMP_ReadPacket)(r, packet));
}

int RTMP_GetNextMediaPacket(RTMP *r, RTMPPacket *packet)
{
    return IN_STEPS(r, RTMP_GetNextMediaPacket, 0, REAL(RTMP_GetNextMediaPacket)(r, packet));
}

int RTMP_Write(RTMP *r, const char *buf, int size)
{
    return SENT_IN_STEPS(r, RTMP_Write, -1, REAL(RTMP_Write)(r, buf, size));
}

int RTMP_WriteStream(RTMP *r, int stream, const char *buf, int size)
{
    return SENT_IN_STEPS(r, RTMP_WriteStream, -1, REAL(RTMP_WriteStream)(r, stream, buf, size));
}

int RTMP_OpenStream(RTMP *r, const AVal *name)
{
    return IN_STEPS(r, RTMP_OpenStream, 0, REAL(RTMP_OpenStream)(r, name));
}

int RTMP_CloseStream(RTMP *r, int stream)
{
    return SENT_IN_STEPS(r, RTMP_CloseStream, FALSE, REAL(RTMP_CloseStream)(r, stream));
}

int RTMP_SendPacket(RTMP *r, RTMPPacket *packet, int queue)
{
    return SENT_IN_STEPS(r, RTMP_SendPacket, FALSE, REAL(RTMP_SendPacket)(r, packet, queue));
}

int RTMP_SendChunk(RTMP *r, RTMPChunk *chunk)
{
    return SENT_IN_STEPS(r, RTMP_SendChunk, FALSE, REAL(RTMP_SendChunk)(r, chunk));
}

int RTMP_SendCtrl(RTMP *r, short nType, unsigned int nObject, unsigned int nTime)
{
    return SENT_IN_STEPS(r, RTMP_SendCtrl, FALSE, REAL(RTMP_SendCtrl)(r, nType, nObject, nTime));
}

int RTMP_SendPause(RTMP *r, int DoPause, int dTime)
{
    return SENT_IN_STEPS(r, RTMP_SendPause, FALSE, REAL(RTMP_SendPause)(r, DoPause, dTime));
}

int RTMP_Pause(RTMP *r, int DoPause)
{
    return SENT_IN_STEPS(r, RTMP_Pause, FALSE, REAL(RTMP_Pause)(r, DoPause));
}

int RTMP_SendSeek(RTMP *r, int dTime)
{
    return SENT_IN_STEPS(r, RTMP_SendSeek, FALSE, REAL(RTMP_SendSeek)(r, dTime));
}

int RTMP_SendCreateStream(RTMP *r)
{
    return SENT_IN_STEPS(r, RTMP_SendCreateStream, FALSE, REAL(RTMP_SendCreateStream)(r));
}

int RTMP_SendServerBW(RTMP *r)
{
    return SENT_IN_STEPS(r, RTMP_SendServerBW, FALSE, REAL(RTMP_SendServerBW)(r));
}

int RTMP_SendClientBW(RTMP *r)
{
    return SENT_IN_STEPS(r, RTMP_SendClientBW, FALSE, REAL(RTMP_SendClientBW)(r));
}

void RTMP_UpdateBufferMS(RTMP *r)
{
    REAL(RTMP_UpdateBufferMS)(r);
    if (r)
        flushed(r, "RTMP_UpdateBufferMS");
}

void RTMP_DeleteStream(RTMP *r)
{
    REAL(RTMP_DeleteStream)(r);
    if (r)
        flushed(r, "RTMP_DeleteStream");
}

int RTMP_ClientPacket(RTMP *r, RTMPPacket *packet)
{
    int value = MEASURED("RTMP_ClientPacket", REAL(RTMP_ClientPacket)(r, packet));
    if (r)
        flushed(r, "RTMP_ClientPacket");
    return value;
}

void RTMP_Close(RTMP *r)
{
    int saved = errno;
    MEASURED("RTMP_Close", (REAL(RTMP_Close)(r), 0));
    /* In a callback of the session, the call that runs ends it. */
    if (!r || REAL(RTMP_GetPollFds)(r, NULL, 0) < 0)
        return;
    while (!(REAL(RTMP_Step)(r) & RTMP_STEP_CLOSED) && !(step(r, "RTMP_Close") & RTMP_STEP_CLOSED))
        ;
    /* Its memory may be freed without RTMP_Free. */
    REAL(RTMP_SetNonBlocking)(r, 0);
    errno = saved;
}

void RTMP_Free(RTMP *r)
{
    if (r)
        RTMP_Close(r);
    REAL(RTMP_Free)(r);
}
