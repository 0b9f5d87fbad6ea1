/* Sessions and fork: `forked URL URL`. The session is begun before the fork and continues in the child, which also makes one of
 * its own; the parent closes the first as rtmp.h says. Prints how many bytes came, in all and in the second session.
 */
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static RTMP *open_session(char *url)
{
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    if (!RTMP_SetupURL(r, url))
        exit(2);
    r->Link.timeout = 20;
    if (!RTMP_Connect(r, NULL) || !RTMP_ConnectStream(r, 0))
        exit(3);
    return r;
}

static int read_at_most(RTMP *r, int most)
{
    char bytes[500];
    int count, sum = 0;
    while (sum < most && (count = RTMP_Read(r, bytes, sizeof bytes)) > 0)
        sum += count;
    return sum;
}

static void close_session(RTMP *r)
{
    RTMP_Close(r);
    RTMP_Free(r);
}

int main(int argc, char **argv)
{
    int status, sum, ready[2];
    char byte = 0;
    if (argc != 3 || pipe(ready))
        return 2;
    RTMP *r = open_session(argv[1]);
    sum = read_at_most(r, 1000);
    pid_t child = fork();
    if (child < 0)
        return 2;
    if (!child) {
        /* The parent has let go. */
        if (read(ready[0], &byte, 1) != 1)
            exit(4);
        sum += read_at_most(r, 1 << 30);
        close_session(r);
        r = open_session(argv[2]);
        int second = read_at_most(r, 1 << 30);
        close_session(r);
        printf("%d %d\n", sum, second);
        return 0;
    }
    close(RTMP_Socket(r));
    r->m_sb.sb_socket = -1;
    close_session(r);
    if (write(ready[1], &byte, 1) != 1 || waitpid(child, &status, 0) != child)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}
