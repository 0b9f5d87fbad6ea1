/* Examples of the manual pages: fetching files over HTTP. The tests compile and run this file: a thread serves it. */
#include <arpa/inet.h>
#include <librtmp/http.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t print(void *bytes, size_t size, size_t count, void *data)
{
    (void)data;
    return fwrite(bytes, size, count, stdout);
}

/* Example: fetch a file and print it.
   print is size_t print(void *bytes, size_t size, size_t count, void *data), and calls fwrite */
static int fetch(const char *url)
{
    char date[64] = "";                                            /* no If-Modified-Since */
    struct HTTP_ctx request = { .date = date };
    HTTPResult result = HTTP_get(&request, url, print);
    fprintf(stderr, "status %d, %d bytes\n", request.status, request.size);
    return result == HTTPRES_OK;
}

/* Example: hash a SWF file for its verification, and use the hash */
static int hash(RTMP *r, const char *url)
{
    unsigned int size = 0;
    unsigned char hash[RTMP_SWF_HASHLEN];
    if (RTMP_HashSWF(url, &size, hash, 30) != 0)                   /* good for 30 days */
        return 0;
    memcpy(r->Link.SWFHash, hash, sizeof hash);
    r->Link.SWFSize = size;
    return 1;
}

/* Example: prepare TLS for a server */
static void *prepare_tls(const char *certificate, const char *key)
{
    RTMP_TLS_Init();                                               /* RTMP_Init does this, too */
    void *context = RTMP_TLS_AllocServerContext(certificate, key);
    if (!context)
        fprintf(stderr, "cannot use %s and %s\n", certificate, key);
    RTMP_TLS_FreeServerContext(context);                           /* when no client needs it any more */
    return context;
}

static void *server(void *listener)
{
    for (;;) {
        char request[1024];
        int fd = accept(*(int *)listener, NULL, NULL);
        if (fd < 0 || read(fd, request, sizeof request) <= 0)
            return NULL;
        static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n"
            "Last-Modified: Mon, 02 Nov 2020 10:00:00 GMT\r\n\r\nFWS\n\x15\0\0\0 and the rest";
        ssize_t sent = write(fd, reply, sizeof reply - 1);
        (void)sent;
        close(fd);
    }
}

int main(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    pthread_t thread;
    pthread_create(&thread, NULL, server, &listener);

    char url[64], home[] = "/tmp/librtmp-example-XXXXXX";
    snprintf(url, sizeof url, "http://127.0.0.1:%d/player.swf", ntohs(address.sin_port));
    if (!mkdtemp(home))
        return 1;
    setenv("HOME", home, 1);                                       /* the cache of hashes is there */
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    int ok = fetch(url) && hash(r, url) && r->Link.SWFSize == 21 && !prepare_tls("no-file", "no-file");
    RTMP_Free(r);
    char cache[64];
    snprintf(cache, sizeof cache, "%s/.swfinfo", home);
    unlink(cache);
    rmdir(home);
    printf(ok ? "\nok\n" : "failed\n");
    return !ok;
}
