/* publish: sends an FLV file, or what an encoder writes into a pipe, to an RTMP server with RTMP_Write.
 *
 * RTMP_Write takes FLV bytes and makes RTMP messages of them; onMetaData becomes @setDataFrame by itself.
 * This program passes whole tags: that works with every version of the library. */
#include "info.h"
#include "upload.h"

int main(int argc, char **argv)
{
    static struct upload upload;
    struct flv_tag tag;
    int code = upload_parse(argc, argv, "", &upload);
    if (code >= 0)
        return code;

    if (upload.options.info)
        return info_print(&upload.tool, upload.options.file);
    if (upload_open(&upload)) {
        while (upload_next(&upload, &tag)) {
            if (RTMP_Write(upload.rtmp, (const char *)tag.raw, (int)tag.raw_size) <= 0 && !upload_failed(&upload))
                break;
        }
    }
    return upload_close(&upload);
}
