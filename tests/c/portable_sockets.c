/*
 * What a program needs that was written against Winsock names and includes nothing but rtmp_sys.h and log.h.
 */
#include <stdio.h>
#include "librtmp/rtmp_sys.h"
#include "librtmp/log.h"

static int start(void)
{
    WORD version = MAKEWORD(2, 1);
    WSADATA data;
    memset(&data, 0, sizeof(data));
    return WSAStartup(version, &data) == 0 && data.wVersion == 0x0102;
}

int main(void)
{
    bool ok = start();
    SOCKET listener = INVALID_SOCKET;
    struct sockaddr_in address;
    char *text = (char *)malloc(16);
    RTMP *session = RTMP_Alloc();

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    {
        /* What programs of librtmp 2.4 use. */
        SET_RCVTIMEO(limit, 1);
        struct timeval found;
        socklen_t len = sizeof(found);
        uint32_t before = RTMP_GetTime();
        int naps = 0;
        ok = ok && setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, (char *)&limit, sizeof(limit)) == 0
             && getsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &found, &len) == 0 && found.tv_sec == 1
             && found.tv_usec == 0;
        SetSockError(EAGAIN);
        ok = ok && GetSockError() == EAGAIN && errno == EAGAIN;
        SetSockError(0);
        /* The original reads a clock that moves in steps, so it may see less time pass than a nap took. */
        do
            msleep(30);
        while (RTMP_GetTime() - before < 29 && ++naps < 100);
        ok = ok && GetSockError() == 0 && naps < 3;
        sleep(0);
    }
    ok = ok && text && session && listener != INVALID_SOCKET
         && bind(listener, (struct sockaddr *)&address, sizeof(address)) != SOCKET_ERROR
         && shutdown(listener, SD_BOTH) == SOCKET_ERROR && WSAGetLastError() == ENOTCONN
         && closesocket(listener) == 0;

    RTMP_Init(session);
    session->Link.lFlags |= RTMP_LF_LIVE;
    RTMP_Log(RTMP_LOGDEBUG, "%s", "not seen");
    RTMP_LogSetOutput(stdout);
    RTMP_LogPrintf("%s\n", ok ? "ok" : "failed");
    RTMP_Close(session);
    RTMP_Free(session);
    free(text);
    WSACleanup();
    return !ok;
}
