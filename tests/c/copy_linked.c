/* A copy that the program is linked with: the headers and -D COPY=name say which. */
#include "copy.h"

const struct copy COPY = {
    RTMP_Alloc,
    RTMP_Init,
    RTMP_SetupURL,
    RTMP_Connect,
    RTMP_ConnectStream,
    RTMP_Read,
    RTMP_Close,
    RTMP_Free,
    RTMP_UserInterrupt,
    RTMP_Log,
    RTMP_LogSetCallback,
    RTMP_LogGetLevel,
    &RTMP_debuglevel,
    &RTMP_ctrlC,
};
