/* One of several copies of the library in a process: its functions and variables, however the program came by them. */
#ifndef COPY_H
#define COPY_H

#include <stdarg.h>
#include <stddef.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

struct copy {
    RTMP *(*alloc)(void);
    void (*init)(RTMP *);
    int (*setup_url)(RTMP *, char *);
    int (*connect)(RTMP *, RTMPPacket *);
    int (*connect_stream)(RTMP *, int);
    int (*read)(RTMP *, char *, int);
    void (*close)(RTMP *);
    void (*free)(RTMP *);
    void (*interrupt)(void);
    void (*log)(int, const char *, ...);
    void (*log_set_callback)(RTMP_LogCallback *);
    RTMP_LogLevel (*log_level)(void);
    RTMP_LogLevel *level;
    int *interrupted;
};

/* What a program was linked with, as copy_linked.c gives it. */
extern const struct copy plain_copy, prefixed_copy;

#endif
