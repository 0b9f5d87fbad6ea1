//! The structs of `enhanced.h`.

use libc::c_char;

/// An audio or video message that is being looked at. Its members are for reading. Copies are independent of each
/// other.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMPMedia {
    /// `RTMP_PACKET_TYPE_AUDIO` or `RTMP_PACKET_TYPE_VIDEO`.
    pub m_kind: u8,
    /// Whether `m_nano` was sent.
    pub m_hasNano: u8,
    /// Nanoseconds to add to the presentation time of this message, 0 to 999999. They never change its timestamp.
    pub m_nano: u32,
    /// The body; the caller's.
    pub m_body: *const c_char,
    /// Bytes of the body.
    pub m_size: u32,
    /// Where the next track is.
    pub m_next: u32,
}

/// One track of a message. To write one, clear the struct first: members that are 0 are the usual ones.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMPTrack {
    /// The codec, one of `RTMP_FOURCC_*` or any other four characters; 0 for a legacy codec, and for
    /// `RTMP_MEDIA_SILENCE` and commands.
    pub t_fourcc: u32,
    /// A legacy codec, as FLV numbers it. Video: 2 H.263, 3 Screen, 4 VP6, 5 VP6 with alpha, 6 Screen 2, 7 H.264, and
    /// 12, which some encoders use for H.265. Audio: 0 PCM, 1 ADPCM, 2 MP3, 3 PCM little-endian, 4 to 6 Nellymoser, 7
    /// and 8 G.711, 10 AAC, 11 Speex.
    pub t_codec: u8,
    /// Legacy audio: sampling rate (bits 3 and 2), sample size (bit 1), stereo (bit 0). Otherwise 0.
    pub t_format: u8,
    /// Number of the track, which its kind of media counts for itself. 0 is the default track; the others have no order
    /// of rank.
    pub t_id: u8,
    /// The kind of the data, one of `RTMP_MEDIA_*`.
    pub t_packet: u8,
    /// 1 if a decoder that has the configuration can begin here: a key frame of video. When writing, 1 makes frames key
    /// frames, unless `t_frame` says otherwise.
    pub t_key: u8,
    /// The frame type of video as it was sent, one of `RTMP_FRAME_*`; 0 for audio and where it means nothing. When
    /// writing, 0 leaves it to `t_key`. All tracks of a message share it.
    pub t_frame: u8,
    /// Composition time offset of H.264, H.265 and H.266 frames: milliseconds, 24 bits with a sign.
    pub t_offset: i32,
    /// The data, as the codec defines it: a part of the body that was parsed, or the caller's when writing. Commands
    /// have one byte, 0 to begin a seek by the client and 1 to end it.
    pub t_body: *const c_char,
    /// Bytes of the data.
    pub t_size: u32,
}

/// `RTMPTrack.t_packet`: decoder configuration.
pub(super) const RTMP_MEDIA_CONFIG: u8 = 1;
/// Coded audio or video.
pub(super) const RTMP_MEDIA_FRAMES: u8 = 2;
/// The end of a track.
pub(super) const RTMP_MEDIA_END: u8 = 3;
/// Colours and HDR.
pub(super) const RTMP_MEDIA_METADATA: u8 = 4;
/// Channels and their speakers.
pub(super) const RTMP_MEDIA_CHANNELS: u8 = 5;
/// An empty audio message.
pub(super) const RTMP_MEDIA_SILENCE: u8 = 6;
/// A video command.
pub(super) const RTMP_MEDIA_COMMAND: u8 = 7;
/// Decoder configuration of AV1 as an MPEG-2 TS descriptor.
pub(super) const RTMP_MEDIA_TS_CONFIG: u8 = 8;
