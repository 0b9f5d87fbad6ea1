/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * librtmp: Enhanced RTMP v2: new codecs, several tracks, HDR, multichannel audio.
 *
 * The functions about messages and metadata need no session and may be called by any thread. A relay needs no table of
 * codecs: for each kind of media and each track (t_id) it keeps the last RTMP_MEDIA_CONFIG (or RTMP_MEDIA_TS_CONFIG),
 * RTMP_MEDIA_METADATA and RTMP_MEDIA_CHANNELS, and the messages since one with t_key.
 *
 *   RTMPMedia media;
 *   RTMPTrack track;
 *   if (RTMP_ParseMedia(&media, packet.m_packetType, packet.m_body, packet.m_nBodySize))
 *       while (RTMP_NextTrack(&media, &track) == 1)
 *           if (track.t_key) ...
 *
 * The functions about a session need exclusive use of it; RTMP_SendMedia and RTMP_SendReconnect may be called by a thread
 * that sends while another one reads. Nothing is announced to the peer unless an option says so: `enhanced` and those behind
 * it. A server calls RTMP_TakeConnect with its client's command, and puts what RTMP_EncodeCapabilities writes into its answer.
 *
 * Source: Veovera, Enhanced RTMP v2 (v2-2026-01-31-r2).
 */
#ifndef __RTMP_ENHANCED_H__
#define __RTMP_ENHANCED_H__

#include "rtmp.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Four characters as a number, as they are in messages and in metadata: RTMP_FOURCC('h', 'v', 'c', '1'). */
#define RTMP_FOURCC(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* RTMPTrack.t_fourcc: codecs. Case matters. */
#define RTMP_FOURCC_VP8 RTMP_FOURCC('v', 'p', '0', '8')
#define RTMP_FOURCC_VP9 RTMP_FOURCC('v', 'p', '0', '9')
#define RTMP_FOURCC_AV1 RTMP_FOURCC('a', 'v', '0', '1')
#define RTMP_FOURCC_AVC RTMP_FOURCC('a', 'v', 'c', '1') /**< H.264 */
#define RTMP_FOURCC_HEVC RTMP_FOURCC('h', 'v', 'c', '1') /**< H.265 */
#define RTMP_FOURCC_VVC RTMP_FOURCC('v', 'v', 'c', '1') /**< H.266 */
#define RTMP_FOURCC_AC3 RTMP_FOURCC('a', 'c', '-', '3')
#define RTMP_FOURCC_EAC3 RTMP_FOURCC('e', 'c', '-', '3')
#define RTMP_FOURCC_OPUS RTMP_FOURCC('O', 'p', 'u', 's')
#define RTMP_FOURCC_MP3 RTMP_FOURCC('.', 'm', 'p', '3')
#define RTMP_FOURCC_FLAC RTMP_FOURCC('f', 'L', 'a', 'C')
#define RTMP_FOURCC_AAC RTMP_FOURCC('m', 'p', '4', 'a')

/* RTMPTrack.t_packet: what the data of a track is. There may be more in later versions. */
#define RTMP_MEDIA_CONFIG 1 /**< decoder configuration: valid until the next one of the track */
#define RTMP_MEDIA_FRAMES 2 /**< coded audio or video */
#define RTMP_MEDIA_END 3 /**< the track has ended */
#define RTMP_MEDIA_METADATA 4 /**< video: colours and HDR, AMF values: valid until the next ones of the track */
#define RTMP_MEDIA_CHANNELS 5 /**< audio: see RTMP_ParseChannels: valid until the next ones of the track */
#define RTMP_MEDIA_SILENCE 6 /**< audio: an empty message; what is buffered is played, and nothing is waited for */
#define RTMP_MEDIA_COMMAND 7 /**< video: a command of one byte */
#define RTMP_MEDIA_TS_CONFIG 8 /**< video: decoder configuration of AV1 as an MPEG-2 TS video descriptor */

/* RTMPTrack.t_frame: frame types of video. */
#define RTMP_FRAME_KEY 1 /**< can be decoded without earlier frames */
#define RTMP_FRAME_INTER 2 /**< needs earlier frames */
#define RTMP_FRAME_DISPOSABLE 3 /**< needs earlier frames, and no frame needs it; H.263 only */
#define RTMP_FRAME_GENERATED_KEY 4 /**< a key frame that a server has made */

/** The maximum size of a message besides the data of its tracks, in bytes for each track. */
#define RTMP_MEDIA_OVERHEAD 18

/* Features, for RTMP_PeerCaps and the option capsEx. */
#define RTMP_CAPS_RECONNECT 0x01 /**< follows reconnect requests */
#define RTMP_CAPS_MULTITRACK 0x02 /**< reads messages of several tracks */
#define RTMP_CAPS_MODEX 0x04 /**< reads ModEx elements */
#define RTMP_CAPS_NANO 0x08 /**< uses nanosecond offsets */

/* Abilities for a codec, for RTMP_PeerFourCc and the options videoFourCc and audioFourCc. */
#define RTMP_CAN_DECODE 0x01
#define RTMP_CAN_ENCODE 0x02
#define RTMP_CAN_FORWARD 0x04

/* Values that RTMP_ParseChannels stores. */
#define RTMP_SPEAKER_FRONT_LEFT 0
#define RTMP_SPEAKER_FRONT_RIGHT 1
#define RTMP_SPEAKER_FRONT_CENTER 2
#define RTMP_SPEAKER_LFE 3
#define RTMP_SPEAKER_BACK_LEFT 4
#define RTMP_SPEAKER_BACK_RIGHT 5
#define RTMP_SPEAKER_FRONT_LEFT_CENTER 6
#define RTMP_SPEAKER_FRONT_RIGHT_CENTER 7
#define RTMP_SPEAKER_BACK_CENTER 8
#define RTMP_SPEAKER_SIDE_LEFT 9
#define RTMP_SPEAKER_SIDE_RIGHT 10
#define RTMP_SPEAKER_TOP_CENTER 11
#define RTMP_SPEAKER_TOP_FRONT_LEFT 12
#define RTMP_SPEAKER_TOP_FRONT_CENTER 13
#define RTMP_SPEAKER_TOP_FRONT_RIGHT 14
#define RTMP_SPEAKER_TOP_BACK_LEFT 15
#define RTMP_SPEAKER_TOP_BACK_CENTER 16
#define RTMP_SPEAKER_TOP_BACK_RIGHT 17
#define RTMP_SPEAKER_LFE2 18
#define RTMP_SPEAKER_TOP_SIDE_LEFT 19
#define RTMP_SPEAKER_TOP_SIDE_RIGHT 20
#define RTMP_SPEAKER_BOTTOM_FRONT_CENTER 21
#define RTMP_SPEAKER_BOTTOM_FRONT_LEFT 22
#define RTMP_SPEAKER_BOTTOM_FRONT_RIGHT 23
#define RTMP_SPEAKER_UNUSED 0xfe
#define RTMP_SPEAKER_UNKNOWN 0xff

/* @declarations@ */

#ifdef __cplusplus
}
#endif

#endif
