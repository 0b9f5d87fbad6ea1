//! Audio and video messages: what is in them, for legacy codecs and for Enhanced RTMP v2.
//!
//! This module knows the layout of message bodies: codecs, packet types, tracks, time offsets, and which messages are decoder
//! configurations and key frames. Nothing else in the library decides these. It does not decode the data of the codecs, and
//! knows neither sessions nor files.
//!
//! [`parse`] looks at a body, and [`Message`] writes one. A relay needs no table of codecs for it: for each kind and
//! each track it keeps the last [`Packet::Config`], [`Packet::Metadata`] and [`Packet::Channels`], and the frames
//! since a key frame.
//!
//! ```
//! use rtmp::media::{self, Codec, FourCc, Frame, Kind, Message, Packet, Track};
//!
//! // A key frame of H.265 that is shown 40 ms after it is decoded.
//! let nal_units = [0, 0, 0, 2, 0x26, 0x01];
//! let track = Track { offset: 40, frame: Some(Frame::Key), ..Track::new(FourCc::HEVC, Packet::Frames, &nal_units) };
//! let body = Message::new(Kind::Video, &[track]).encode()?;
//! assert_eq!(body, b"\x91hvc1\0\0\x28\0\0\0\x02\x26\x01");
//!
//! let media = media::parse(Kind::Video, &body)?;
//! let tracks = media.tracks().collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(tracks, [track]);
//! assert!(tracks[0].is_key_frame());
//! assert_eq!(tracks[0].codec, Codec::FourCc(FourCc::HEVC));
//! # Ok::<(), rtmp::Error>(())
//! ```
//!
//! Source: Veovera, Enhanced RTMP v2 (v2-2026-01-31-r2), and Adobe, Video File Format Specification 10.1, annex E.4.

mod channels;
mod color;
mod fourcc;
mod metadata;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use channels::{Channels, Speaker};
pub use color::{ColorInfo, ContentLight, MasteringDisplay};
pub use fourcc::FourCc;
pub use metadata::{TrackInfo, TrackNames, info_map, named_info_map, subject};
pub use parse::{Media, Tracks, parse};
pub use write::Message;

use crate::message::MessageType;

/// Whether a message carries audio or video. The two count their tracks separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Audio, message type 8.
    Audio,
    /// Video, message type 9.
    Video,
}

/// How the data of a track is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// One of FLV's legacy numbers.
    Legacy {
        /// For video: 2 H.263, 3 Screen, 4 VP6, 5 VP6 with alpha, 6 Screen 2, 7 H.264, and 12, which some encoders
        /// use for H.265. For audio: 0 PCM, 1 ADPCM, 2 MP3, 3 PCM little-endian, 4 to 6 Nellymoser, 7 and 8 G.711, 10
        /// AAC, 11 Speex, 14 MP3 at 8 kHz, 15 device-specific.
        id: u8,
        /// For audio the sampling rate (bits 3 and 2), the sample size (bit 1) and whether it is stereo (bit 0); 0
        /// for video.
        format: u8,
    },
    /// A code of Enhanced RTMP.
    FourCc(FourCc),
    /// Silence and the commands of Enhanced RTMP name no codec.
    None,
}

/// The kind of a track's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Packet {
    /// The decoder configuration, also called sequence header: valid until the next one of the track.
    Config,
    /// The same for AV1 as an MPEG-2 TS video descriptor.
    TsConfig,
    /// Coded audio or video.
    Frames,
    /// The track has ended.
    End,
    /// Properties of the frames that follow, see [`ColorInfo`]: valid until the next ones of the track.
    Metadata,
    /// Which channel is for which speaker, see [`Channels`]: valid until the next one of the track.
    Channels,
    /// An audio message without any data: what is buffered is played, and nothing is waited for.
    Silence,
    /// A command in a video message. The data is one byte: 0 begins a seek by the client, 1 ends it.
    Command,
}

/// The frame type of a video message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame {
    /// Can be decoded without earlier frames.
    Key = 1,
    /// Needs earlier frames.
    Inter = 2,
    /// Needs earlier frames, and no frame needs it; H.263 only.
    Disposable = 3,
    /// A key frame that a server has made.
    GeneratedKey = 4,
}

impl Frame {
    /// The frame type of this number, as messages contain it.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Key, Self::Inter, Self::Disposable, Self::GeneratedKey]
            .into_iter()
            .find(|frame| *frame as u8 == number)
    }
}

/// One track of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track<'a> {
    /// How the data is coded.
    pub codec: Codec,
    /// Number of the track. 0 is the default track; the others have no order of rank.
    pub id: u8,
    /// The kind of the data.
    pub packet: Packet,
    /// The frame type of video. All tracks of a message share it. `None` for audio and commands, and where it has no
    /// meaning.
    pub frame: Option<Frame>,
    /// Composition time offset of H.264, H.265 and H.266 frames, in milliseconds: 24 bits with a sign.
    pub offset: i32,
    /// The data, as the codec defines it.
    pub body: &'a [u8],
}

impl Kind {
    /// The kind of a message type; `None` for other messages.
    pub const fn of(kind: MessageType) -> Option<Self> {
        match kind {
            MessageType::AUDIO => Some(Self::Audio),
            MessageType::VIDEO => Some(Self::Video),
            _ => None,
        }
    }

    /// The message type of this kind.
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::Audio => MessageType::AUDIO,
            Self::Video => MessageType::VIDEO,
        }
    }
}

impl Codec {
    /// The code, if there is one.
    pub const fn fourcc(self) -> Option<FourCc> {
        match self {
            Self::FourCc(code) => Some(code),
            _ => None,
        }
    }
}

impl Packet {
    /// Whether it is a decoder configuration in either form.
    pub const fn is_config(self) -> bool {
        matches!(self, Self::Config | Self::TsConfig)
    }

    /// Whether it stays valid until the next one of its kind, so that a late player needs it.
    pub const fn is_state(self) -> bool {
        matches!(self, Self::Config | Self::TsConfig | Self::Metadata | Self::Channels)
    }
}

impl<'a> Track<'a> {
    /// Data of the default track. Frames of video are inter frames until [`Self::frame`] says otherwise.
    pub const fn new(codec: FourCc, packet: Packet, body: &'a [u8]) -> Self {
        Self { codec: Codec::FourCc(codec), id: 0, packet, frame: None, offset: 0, body }
    }

    /// Whether a decoder that has the configuration can begin here: a key frame of video.
    pub fn is_key_frame(&self) -> bool {
        self.packet == Packet::Frames && self.frame == Some(Frame::Key)
    }
}

/// Legacy audio formats with their own layout.
pub(crate) mod sound {
    pub(crate) const AAC: u8 = 10;
    /// Not a format: a packet type of Enhanced RTMP follows.
    pub(crate) const ENHANCED: u8 = 9;
}

/// Whether a legacy video codec has a packet type and a composition time before its data.
const fn is_nal_codec(id: u8) -> bool {
    matches!(id, 7 | 12)
}

/// Packet types of Enhanced RTMP without a track's data.
mod prefix {
    pub(super) const AUDIO_MULTITRACK: u8 = 5;
    pub(super) const VIDEO_MULTITRACK: u8 = 6;
    pub(super) const MODEX: u8 = 7;
}

/// Types of multitrack messages.
mod layout {
    pub(super) const ONE_TRACK: u8 = 0;
    pub(super) const MANY_TRACKS: u8 = 1;
    pub(super) const MANY_CODECS: u8 = 2;
}

/// The bit of a video message that marks it as enhanced.
const EX_HEADER: u8 = 0x80;

/// The frame type of a command.
const COMMAND_FRAME: u8 = 5;

/// The packet type of video metadata, with which the frame type has no meaning.
const VIDEO_METADATA: u8 = 4;

/// The type of a ModEx element that holds nanoseconds.
const TIMESTAMP_OFFSET_NANO: u8 = 0;

/// Nanoseconds in a millisecond: offsets are smaller.
const NANOS_PER_MILLI: u32 = 1_000_000;

/// The limit of ModEx elements before a message.
pub const MAX_MODEX: usize = 8;
