//! Reads message bodies.

use super::{
    COMMAND_FRAME, Codec, EX_HEADER, FourCc, Frame, Kind, MAX_MODEX, NANOS_PER_MILLI, Packet,
    TIMESTAMP_OFFSET_NANO, Track, VIDEO_METADATA, is_nal_codec, layout, prefix, sound,
};
use crate::error::{Error, Result};

/// A message body whose beginning was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media<'a> {
    /// Whether it is audio or video.
    pub kind: Kind,
    /// Nanoseconds to add to the presentation time of this message, 0 to 999,999. They never change its timestamp.
    pub nano: Option<u32>,
    tracks: Tracks<'a>,
}

/// The tracks of a message, in order. After an error there are no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracks<'a> {
    state: State<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<'a> {
    /// There is one track, which was already read.
    One(Track<'a>),
    /// Tracks with their sizes before them.
    Many {
        kind: Kind,
        packet_type: u8,
        frame: Option<Frame>,
        /// `None` if each track has its own.
        codec: Option<FourCc>,
        rest: Bytes<'a>,
    },
    Ended,
}

/// Reads the beginning of an audio or video message.
///
/// An error means that this message is damaged, or uses reserved values; it does not affect the next message. A program that
/// passes messages on may pass this one on as well.
pub fn parse(kind: Kind, body: &[u8]) -> Result<Media<'_>> {
    let mut rest = Bytes(body);
    let first = match (kind, rest.u8()) {
        (_, Ok(first)) => first,
        (Kind::Audio, Err(_)) => return Ok(Media::one(kind, Track::of(Codec::None, Packet::Silence, body))),
        (Kind::Video, Err(error)) => return Err(error),
    };
    match kind {
        Kind::Audio if first >> 4 == sound::ENHANCED => enhanced(kind, first & 0x0F, None, rest),
        Kind::Audio => legacy_audio(first, rest).map(|track| Media::one(kind, track)),
        Kind::Video if first & EX_HEADER != 0 => enhanced(kind, first & 0x0F, Some(first >> 4 & 7), rest),
        Kind::Video => legacy_video(first, rest).map(|track| Media::one(kind, track)),
    }
}

impl<'a> Media<'a> {
    fn one(kind: Kind, track: Track<'a>) -> Self {
        Self { kind, nano: None, tracks: Tracks { state: State::One(track) } }
    }

    /// The tracks of the message: one at least, or an error.
    pub fn tracks(&self) -> Tracks<'a> {
        self.tracks
    }
}

impl Tracks<'_> {
    /// The position of the next track: a number for [`Tracks::go_to`] on tracks of the same body. 0 means that there is none.
    pub fn position(&self) -> usize {
        match &self.state {
            State::One(_) => 1,
            State::Many { rest, .. } => rest.0.len(),
            State::Ended => 0,
        }
    }

    /// Continues at a position of [`Tracks::position`]. Any other number leads to wrong tracks, but not to a panic.
    pub fn go_to(&mut self, position: usize) {
        match &mut self.state {
            State::Many { rest, .. } => {
                rest.0 = rest.0.get(rest.0.len().saturating_sub(position)..).unwrap_or_default();
            }
            State::One(_) if position == 0 => self.state = State::Ended,
            State::One(_) | State::Ended => {}
        }
    }
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Result<Track<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.state {
            State::One(track) => {
                let track = *track;
                self.state = State::Ended;
                Some(Ok(track))
            }
            State::Many { rest, .. } if rest.0.is_empty() => {
                self.state = State::Ended;
                None
            }
            State::Many { kind, packet_type, frame, codec, rest } => {
                let track = sized_track(*kind, *packet_type, *frame, *codec, rest);
                if track.is_err() {
                    self.state = State::Ended;
                }
                Some(track)
            }
            State::Ended => None,
        }
    }
}

impl<'a> Track<'a> {
    fn of(codec: Codec, packet: Packet, body: &'a [u8]) -> Self {
        Self { codec, id: 0, packet, frame: None, offset: 0, body }
    }
}

fn legacy_audio(first: u8, mut rest: Bytes<'_>) -> Result<Track<'_>> {
    let (id, format) = (first >> 4, first & 0x0F);
    let packet = match id {
        sound::AAC => match rest.u8()? {
            0 => Packet::Config,
            1 => Packet::Frames,
            _ => return Err(RESERVED),
        },
        _ => Packet::Frames,
    };
    Ok(Track::of(Codec::Legacy { id, format }, packet, rest.0))
}

fn legacy_video(first: u8, mut rest: Bytes<'_>) -> Result<Track<'_>> {
    let (frame_type, id) = (first >> 4, first & 0x0F);
    let codec = Codec::Legacy { id, format: 0 };
    if frame_type == COMMAND_FRAME {
        return command(codec, rest);
    }
    let frame = Some(frame(frame_type)?);
    if !is_nal_codec(id) {
        return Ok(Track { frame, ..Track::of(codec, Packet::Frames, rest.0) });
    }
    let packet = match rest.u8()? {
        0 => Packet::Config,
        1 => Packet::Frames,
        2 => Packet::End,
        _ => return Err(RESERVED),
    };
    let offset = match packet {
        Packet::Frames => rest.s24()?,
        // It has no meaning here, and some writers omit it.
        _ => {
            rest.0 = rest.0.get(3..).unwrap_or_default();
            0
        }
    };
    Ok(Track { frame, offset, ..Track::of(codec, packet, rest.0) })
}

/// A command has one byte, which is at the start of `rest`.
fn command<'a>(codec: Codec, mut rest: Bytes<'a>) -> Result<Track<'a>> {
    let body = rest.take(1)?;
    Ok(Track::of(codec, Packet::Command, body))
}

fn frame(frame_type: u8) -> Result<Frame> {
    Frame::from_number(frame_type).ok_or(RESERVED)
}

/// The part after the first byte of an enhanced message. Only video has a frame type.
fn enhanced<'a>(
    kind: Kind,
    mut packet_type: u8,
    frame_type: Option<u8>,
    mut rest: Bytes<'a>,
) -> Result<Media<'a>> {
    let mut nano = None;
    let mut elements = 0;
    while packet_type == prefix::MODEX {
        elements += 1;
        if elements > MAX_MODEX {
            return Err(Error::malformed(MESSAGE, "too many ModEx elements"));
        }
        packet_type = modex(&mut rest, &mut nano)?;
    }
    let with_nano = |media: Media<'a>| Media { nano, ..media };
    let frame = match frame_type {
        // The packet type comes first: encoders write any frame type before metadata.
        None => None,
        Some(_) if packet_type == VIDEO_METADATA => None,
        Some(COMMAND_FRAME) => return Ok(with_nano(Media::one(kind, command(Codec::None, rest)?))),
        Some(frame_type) => Some(frame(frame_type)?),
    };
    let multitrack = match kind {
        Kind::Audio => prefix::AUDIO_MULTITRACK,
        Kind::Video => prefix::VIDEO_MULTITRACK,
    };
    if packet_type != multitrack {
        let codec = rest.fourcc()?;
        return Ok(with_nano(Media::one(kind, track(kind, packet_type, frame, codec, 0, rest)?)));
    }
    let byte = rest.u8()?;
    let packet_type = byte & 0x0F;
    // A packet type without data is invalid here, and so is a reserved one.
    packet(kind, packet_type)?;
    let frame = if kind == Kind::Video && packet_type == VIDEO_METADATA { None } else { frame };
    let codec = match byte >> 4 {
        layout::ONE_TRACK => {
            let codec = rest.fourcc()?;
            let id = rest.u8()?;
            return Ok(with_nano(Media::one(kind, track(kind, packet_type, frame, codec, id, rest)?)));
        }
        layout::MANY_TRACKS => Some(rest.fourcc()?),
        layout::MANY_CODECS => None,
        _ => return Err(RESERVED),
    };
    if rest.0.is_empty() {
        return Err(CUT_OFF);
    }
    let state = State::Many { kind, packet_type, frame, codec, rest };
    Ok(Media { kind, nano, tracks: Tracks { state } })
}

/// Reads a ModEx element, and returns the packet type that it names.
fn modex(rest: &mut Bytes<'_>, nano: &mut Option<u32>) -> Result<u8> {
    let size = match rest.u8()? {
        u8::MAX => usize::from(rest.u16()?) + 1,
        size => usize::from(size) + 1,
    };
    let data = rest.take(size)?;
    let byte = rest.u8()?;
    if byte >> 4 == TIMESTAMP_OFFSET_NANO {
        let offset = Bytes(data).u24().ok().filter(|offset| *offset < NANOS_PER_MILLI);
        *nano = offset.or(*nano);
    }
    Ok(byte & 0x0F)
}

/// The next of several tracks.
fn sized_track<'a>(
    kind: Kind,
    packet_type: u8,
    frame: Option<Frame>,
    codec: Option<FourCc>,
    rest: &mut Bytes<'a>,
) -> Result<Track<'a>> {
    let codec = match codec {
        Some(codec) => codec,
        None => rest.fourcc()?,
    };
    let id = rest.u8()?;
    let size = rest.u24()?;
    let body = rest.take(size as usize)?;
    track(kind, packet_type, frame, codec, id, Bytes(body))
}

/// A track of this packet type, whose data is in `rest`.
fn track<'a>(
    kind: Kind,
    packet_type: u8,
    frame: Option<Frame>,
    codec: FourCc,
    id: u8,
    mut rest: Bytes<'a>,
) -> Result<Track<'a>> {
    let (packet, has_offset) = packet(kind, packet_type)?;
    let offset = if has_offset && codec.has_composition_time() { rest.s24()? } else { 0 };
    Ok(Track { codec: Codec::FourCc(codec), id, packet, frame, offset, body: rest.0 })
}

/// The meaning of a packet type, and whether a composition time offset may follow it.
fn packet(kind: Kind, packet_type: u8) -> Result<(Packet, bool)> {
    Ok(match (kind, packet_type) {
        (_, 0) => (Packet::Config, false),
        (_, 1) => (Packet::Frames, kind == Kind::Video),
        (_, 2) => (Packet::End, false),
        (Kind::Video, 3) => (Packet::Frames, false),
        (Kind::Video, VIDEO_METADATA) => (Packet::Metadata, false),
        (Kind::Video, 5) => (Packet::TsConfig, false),
        (Kind::Audio, 4) => (Packet::Channels, false),
        _ => return Err(RESERVED),
    })
}

/// The bytes of a body that were not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u24(&mut self) -> Result<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn s24(&mut self) -> Result<i32> {
        // The sign is in the upper bit of the three bytes.
        self.array().map(|[a, b, c]| i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    fn fourcc(&mut self) -> Result<FourCc> {
        self.u32().map(FourCc)
    }
}

const MESSAGE: &str = "audio or video message";
pub(super) const CUT_OFF: Error = Error::malformed(MESSAGE, "it ends inside a field");
const RESERVED: Error = Error::malformed(MESSAGE, "a reserved value");
