/* Prints the version of librtmp that it was built with and the one that it runs with. */
#include <librtmp/rtmp.h>
#include <stdio.h>

int main(void)
{
    printf("built with %#x, running with %#x\n", RTMP_LIB_VERSION, RTMP_LibVersion());
    return RTMP_LibVersion() != RTMP_LIB_VERSION;
}
