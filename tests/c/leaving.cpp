/* Ways to leave a log callback other than by returning: `leaving HOW URL`.
 *
 * HOW: own (a C++ exception through the program's own RTMP_Log), call (one through a call of the library, which ends the
 * process), jump (longjmp out of a call, after which the program uses other sessions and threads).
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>

static std::jmp_buf place;
static bool jumps;

static void leave(int, const char *, va_list)
{
    if (jumps)
        std::longjmp(place, 1);
    throw std::runtime_error("from a callback");
}

static RTMP *prepare(char *url)
{
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    RTMP_SetupURL(r, url);
    r->Link.timeout = 5;
    return r;
}

static void *play(void *url)
{
    char bytes[500];
    int count, sum = 0;
    RTMP *r = prepare(static_cast<char *>(url));
    if (RTMP_Connect(r, nullptr) && RTMP_ConnectStream(r, 0))
        while ((count = RTMP_Read(r, bytes, sizeof bytes)) > 0)
            sum += count;
    std::printf("read %d\n", sum);
    RTMP_Close(r);
    RTMP_Free(r);
    return nullptr;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    jumps = !std::strcmp(argv[1], "jump");
    if (!std::strcmp(argv[1], "own")) {
        RTMP_LogSetCallback(leave);
        try {
            RTMP_Log(RTMP_LOGERROR, "to be left");
        } catch (const std::runtime_error &error) {
            std::printf("caught: %s\n", error.what());
        }
        RTMP_LogSetCallback(nullptr);
        play(argv[2]);
        return 0;
    }
    static RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    RTMP_LogSetCallback(leave);
    if (!setjmp(place)) {
        try {
            RTMP_Connect(r, nullptr); /* There is no host: it is logged. */
        } catch (...) {
            std::printf("caught\n");
        }
        std::printf("returned\n");
        return 1;
    }
    RTMP_LogSetCallback(nullptr);
    std::printf("refused %d\n", !RTMP_Connect(r, nullptr));
    play(argv[2]);
    pthread_t thread;
    if (pthread_create(&thread, nullptr, play, argv[2]) || pthread_join(thread, nullptr))
        return 2;
    return 0;
}
