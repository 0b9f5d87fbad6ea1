//! The state of an FLV reader between messages.

use crate::message::MessageType;

/// Bit of [`ReadState::data_type`]: audio was seen.
pub const DATA_TYPE_AUDIO: u8 = 4;
/// Bit of [`ReadState::data_type`]: video was seen.
pub const DATA_TYPE_VIDEO: u8 = 1;

/// The state of the reader between messages. The C library stores it in its caller's struct, where callers read and preset it,
/// so it is loaded before and stored after each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadState<'a> {
    /// Timestamp of the last message returned, milliseconds.
    pub timestamp: u32,
    /// The kinds of media seen so far, as in byte 4 of an FLV file.
    pub data_type: u8,
    /// The progress of the stream.
    pub flags: Flags,
    /// 0 while the stream runs, else the [`Ending::status`](super::Ending::status) that ended it.
    pub status: i8,
    /// Added to all timestamps; when a download is resumed, the timestamp of the last key frame in the file, until that is
    /// found at a time of its own.
    pub resume_timestamp: u32,
    /// The end of the file to be resumed; set by the caller after connecting.
    pub resume: Resume<'a>,
    /// Messages dropped because the resumed stream did not reach the key frame.
    pub ignored_frames: u32,
    /// The same for aggregates.
    pub ignored_flv_frames: u32,
    /// Messages dropped because they were earlier than the key frame.
    pub passed_over: u32,
}

impl ReadState<'_> {
    /// Whether everything is skipped because the position to resume at has not been reached. A server that starts from the
    /// beginning may need the playing time of the file for that.
    pub fn is_searching(&self) -> bool {
        let found = Flags(Flags::GOT_KEY_FRAME.0 | Flags::GOT_FLV_KEY_FRAME.0);
        self.flags.has(Flags::RESUME) && !self.flags.has(found)
    }
}

/// The contents of a file to be resumed, to check that the stream is the same one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resume<'a> {
    /// Message type of the key frame: 8 or 9.
    pub initial_frame_type: u8,
    /// Body of the last key frame in the file; empty if there is none, in which case nothing is ever accepted.
    pub initial_frame: &'a [u8],
    /// Body of the file's metadata tag; empty if it need not be compared.
    pub meta_header: &'a [u8],
}

/// Bits of the reader's progress, with the values of the C constants `RTMP_READ_*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The FLV header has been produced, or is not wanted.
    pub const HEADER: Self = Self(0x01);
    /// The stream continues a file; set by the caller.
    pub const RESUME: Self = Self(0x02);
    /// A message with a timestamp above 0 came after the key frame: nothing is skipped any more.
    pub const NO_IGNORE: Self = Self(0x04);
    /// The key frame was found.
    pub const GOT_KEY_FRAME: Self = Self(0x08);
    /// The key frame was found inside an aggregate.
    pub const GOT_FLV_KEY_FRAME: Self = Self(0x10);
    /// A seek was sent and not yet answered.
    pub const SEEKING: Self = Self(0x20);
    /// Every script tag is returned, and audio and video without data: the option `data=all`. librtmp does not have it.
    pub const ALL: Self = Self(0x40);

    /// Whether any bit of `bits` is set.
    pub fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    /// Sets the bits of `bits`.
    pub fn set(&mut self, bits: Self) {
        self.0 |= bits.0;
    }

    /// Clears the bits of `bits`.
    pub fn clear(&mut self, bits: Self) {
        self.0 &= !bits.0;
    }
}

/// The data type bit of a message or tag type.
pub(super) fn data_type_of(kind: u8) -> u8 {
    match MessageType(kind) {
        MessageType::AUDIO => DATA_TYPE_AUDIO,
        MessageType::VIDEO => DATA_TYPE_VIDEO,
        _ => 0,
    }
}
