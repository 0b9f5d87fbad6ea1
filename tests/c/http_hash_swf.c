/*
 * Hashes SWF files: the first argument is the age, each other a URL. Prints what is returned, and the size and hash,
 * which are filled before, so that one can see whether they were touched. Errors go to the standard output too.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    int i, j;

    RTMP_LogSetOutput(stdout);
    for (i = 2; i < argc; i++) {
        unsigned int size = 0xdeadbeef;
        unsigned char hash[RTMP_SWF_HASHLEN];
        int result;

        memset(hash, 0xee, sizeof(hash));
        result = RTMP_HashSWF(argv[i], &size, hash, atoi(argv[1]));
        printf("result %d, size %u, hash ", result, size);
        for (j = 0; j < RTMP_SWF_HASHLEN; j++)
            printf("%02x", hash[j]);
        printf("\n");
    }
    return 0;
}
