/* What RTMP_SetupURL makes of the options swfUrl and swfVfy: prints the size and the hash of the file. */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int ok;
    if (argc != 2 || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGERROR);
    RTMP_Init(r);
    ok = RTMP_SetupURL(r, argv[1]);
    printf("setup %d, size %u, hash ", ok, r->Link.SWFSize);
    for (int i = 0; i < RTMP_SWF_HASHLEN; i++)
        printf("%02x", r->Link.SWFHash[i]);
    printf("\n");
    RTMP_Close(r);
    RTMP_Free(r);
    return 0;
}
