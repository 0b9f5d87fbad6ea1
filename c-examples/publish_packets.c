/* publish_packets: sends an FLV file to an RTMP server message by message with RTMP_SendPacket.
 *
 * This is more work than RTMP_Write (see publish.c), but the program decides more: here the chunk size, separate channels for audio
 * and video, and the metadata. */
#include <librtmp/rtmp.h>
#include <string.h>

#include "info.h"
#include "upload.h"

/* Channels 2 and 3 are for protocol control and commands. The library uses 4 for `publish`. */
enum { CONTROL_CHANNEL = 2, DATA_CHANNEL = 4, AUDIO_CHANNEL = 5, VIDEO_CHANNEL = 6 };

struct channel {
    int used;
    uint32_t timestamp;
};

/* Tells the server that messages now come in chunks of `size` bytes, then does so. In this order:
 * the announcement itself still travels in chunks of the old size. */
static int set_chunk_size(RTMP *r, int size)
{
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (!RTMPPacket_Alloc(&packet, 4)) /* the body, with space for the chunk header in front of it */
        return 0;
    packet.m_nChannel = CONTROL_CHANNEL;
    packet.m_headerType = RTMP_PACKET_SIZE_LARGE;
    packet.m_packetType = RTMP_PACKET_TYPE_CHUNK_SIZE;
    packet.m_nBodySize = 4;
    AMF_EncodeInt32(packet.m_body, packet.m_body + 4, size);
    int sent = RTMP_SendPacket(r, &packet, FALSE);
    RTMPPacket_Free(&packet);
    if (sent)
        r->m_outChunkSize = size;
    return sent;
}

static int send_tag(RTMP *r, struct channel *channels, const struct flv_tag *tag)
{
    /* Servers keep metadata for late joiners when it is wrapped in this call. */
    static const AVal set_data_frame = AVC("@setDataFrame");
    int metadata = flv_kind(tag->type, tag->body, tag->size) == FLV_METADATA;
    size_t prefix = metadata ? 3 + (size_t)set_data_frame.av_len : 0;
    RTMPPacket packet;
    memset(&packet, 0, sizeof packet);
    if (!RTMPPacket_Alloc(&packet, (uint32_t)prefix + tag->size + 2)) /* AMF_EncodeString needs 2 spare bytes */
        return 0;
    if (prefix)
        AMF_EncodeString(packet.m_body, packet.m_body + prefix + 2, &set_data_frame);
    memcpy(packet.m_body + prefix, tag->body, tag->size);
    packet.m_nBodySize = (uint32_t)prefix + tag->size;
    packet.m_packetType = tag->type; /* FLV and RTMP use the same numbers */
    packet.m_nTimeStamp = tag->timestamp;
    packet.m_nInfoField2 = r->m_stream_id;
    packet.m_nChannel = tag->type == FLV_AUDIO ? AUDIO_CHANNEL : tag->type == FLV_VIDEO ? VIDEO_CHANNEL : DATA_CHANNEL;

    /* A channel's first header is a full one; later ones may leave out what did not change. With equal
     * or falling timestamps a full header is the one that every receiver understands alike. */
    struct channel *channel = &channels[packet.m_nChannel];
    int rising = channel->used && (int32_t)(tag->timestamp - channel->timestamp) > 0;
    packet.m_headerType = rising ? RTMP_PACKET_SIZE_MEDIUM : RTMP_PACKET_SIZE_LARGE;
    channel->used = 1;
    channel->timestamp = tag->timestamp;

    int sent = RTMP_SendPacket(r, &packet, FALSE);
    RTMPPacket_Free(&packet); /* RTMP_SendPacket does not keep the body */
    return sent;
}

int main(int argc, char **argv)
{
    static struct upload upload;
    struct flv_tag tag;
    struct channel channels[VIDEO_CHANNEL + 1];
    unsigned connection = 0; /* the connection whose chunk size was set */
    int code = upload_parse(argc, argv, "  -c, --chunk BYTES      chunk size (default 4096)\n", &upload);
    if (code >= 0)
        return code;

    if (upload.options.info)
        return info_print(&upload.tool, upload.options.file);
    if (upload_open(&upload)) {
        while (upload_next(&upload, &tag)) {
            int ok = 1;
            if (connection != upload.connections) {
                memset(channels, 0, sizeof channels);
                connection = upload.connections;
                ok = set_chunk_size(upload.rtmp, upload.options.chunk_size);
            }
            if (!(ok && send_tag(upload.rtmp, channels, &tag)) && !upload_failed(&upload))
                break;
        }
    }
    return upload_close(&upload);
}
