/* publish: sends an FLV file to an RTMP server with RTMP_Write, the simple way.
 *
 * RTMP_Write takes FLV bytes and makes RTMP messages of them; onMetaData becomes @setDataFrame by itself.
 * It is given whole tags: that works with every version of the library. */
#include <stdio.h>

#include "reason.h"
#include "upload.h"

int main(int argc, char **argv)
{
    struct upload_options options;
    struct upload upload;
    struct flv_tag tag;
    int code = upload_parse(argc, argv, "publish", "", &options);
    if (code >= 0)
        return code;

    int result = -1;
    if (upload_open(&upload, &options)) {
        while ((result = upload_next(&upload, &tag)) == 1) {
            if (RTMP_Write(upload.rtmp, (const char *)tag.raw, (int)tag.raw_size) <= 0) {
                if (!upload_interrupted)
                    fprintf(stderr, "publish: the connection was lost (%s)\n", reason(upload.rtmp));
                result = -1;
                break;
            }
        }
    }
    upload_close(&upload);
    return result == 0 ? 0 : 1;
}
