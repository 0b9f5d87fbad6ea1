/* Records a stream into a file: record URL FILE */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static char buffer[64 * 1024];
    int count, result = 1;
    if (argc != 3) {
        fprintf(stderr, "usage: record URL FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[2], "wb");
    RTMP *r = RTMP_Alloc();
    if (!file || !r) {
        perror(argv[2]);
        return 1;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT);                  /* this program prints the reason itself */
    RTMP_Init(r);
    r->Link.timeout = 10;                            /* seconds for each wait */
    if (RTMP_SetupURL(r, argv[1])                    /* the session keeps using this text */
        && RTMP_Connect(r, NULL)                     /* TCP, handshake, connect command */
        && RTMP_ConnectStream(r, 0)) {               /* returns when the stream plays */
        while ((count = RTMP_Read(r, buffer, sizeof buffer)) > 0)
            fwrite(buffer, 1, (size_t)count, file);  /* the bytes of an FLV file */
        result = RTMP_GetLastError(r) != RTMP_ERR_ENDED;
    }
    if (result)
        fprintf(stderr, "%s\n", RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return fclose(file) != 0 || result;
}
