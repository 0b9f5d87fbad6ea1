/* As driver.c, with FFmpeg's own RTMP:  avio read|write|write-live URL message-size total */
#include <libavformat/avformat.h>

#include "measure.h"

int main(int argc, char **argv)
{
    static unsigned char buffer[64 * 1024];
    int live = argc == 5 && !strcmp(argv[1], "write-live"), writes = live || (argc == 5 && !strcmp(argv[1], "write"));
    unsigned size = argc == 5 ? (unsigned)atoi(argv[3]) : 0, timestamp = 0;
    double total = argc == 5 ? atof(argv[4]) : 0, count = 0, messages = 0;
    unsigned char *tag = malloc(size + 64);
    AVIOContext *io = NULL;
    struct timespec pause = {0, 2000000};
    struct moment start;

    if (argc != 5)
        fail("reading the arguments");
    av_log_set_level(AV_LOG_QUIET);
    avformat_network_init();
    if (avio_open(&io, argv[2], writes ? AVIO_FLAG_WRITE : AVIO_FLAG_READ) < 0)
        fail("avio_open");
    if (writes) {
        static const unsigned char header[] = {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0};
        avio_write(io, header, sizeof header);
        make_tag(tag, size, 0);
    }
    start = now();
    while (count < total) {
        if (writes) {
            if (live)
                nanosleep(&pause, NULL);
            timestamp += 40;
            tag[4] = (unsigned char)(timestamp >> 16), tag[5] = (unsigned char)(timestamp >> 8);
            tag[6] = (unsigned char)timestamp, tag[7] = (unsigned char)(timestamp >> 24);
            avio_write(io, tag, (int)size + 15);
            avio_flush(io);
            if (io->error < 0)
                fail("avio_write");
            count += size;
        } else {
            int got = avio_read_partial(io, buffer, sizeof buffer);
            if (got <= 0)
                fail("avio_read_partial");
            count += got;
        }
        messages++;
    }
    report(start, count, messages);
    avio_close(io);
    free(tag);
    return 0;
}
