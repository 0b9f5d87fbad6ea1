//! Writes message bodies.

use super::{
    COMMAND_FRAME, Codec, EX_HEADER, FourCc, Frame, Kind, NANOS_PER_MILLI, Packet, TIMESTAMP_OFFSET_NANO,
    Track, VIDEO_METADATA, is_nal_codec, layout, prefix, sound,
};
use crate::error::{Error, Result};

/// An audio or video message to write.
///
/// One track with the number 0 becomes an ordinary message. Any other single track becomes a message for that track, which most
/// receivers of several tracks understand. Several tracks become one message for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Whether it is audio or video.
    pub kind: Kind,
    /// Nanoseconds to add to the presentation time, 0 to 999,999. Only for peers that understand them, and only with a
    /// codec that has a [`FourCc`].
    pub nano: Option<u32>,
    /// The tracks: at least one. Several must have the same kind of packet, the same frame type, and different numbers.
    pub tracks: &'a [Track<'a>],
}

/// The destination of a message's bytes.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts bytes.
impl Sink for usize {
    fn put(&mut self, bytes: &[u8]) {
        *self += bytes.len();
    }
}

/// Room whose size was calculated before.
impl Sink for &mut [u8] {
    fn put(&mut self, bytes: &[u8]) {
        let (front, rest) = std::mem::take(self).split_at_mut(bytes.len());
        front.copy_from_slice(bytes);
        *self = rest;
    }
}

impl<'a> Message<'a> {
    /// A message without a nanosecond offset.
    pub const fn new(kind: Kind, tracks: &'a [Track<'a>]) -> Self {
        Self { kind, nano: None, tracks }
    }

    /// The length of the body in bytes. Fails if the message is invalid.
    pub fn encoded_len(&self) -> Result<usize> {
        let mut len = 0;
        self.write(&mut len)?;
        Ok(len)
    }

    /// The body. Fails if the message is invalid.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        body.try_reserve_exact(self.encoded_len()?).map_err(|_| Error::OutOfMemory)?;
        self.write(&mut body)?;
        Ok(body)
    }

    /// Writes the body to the beginning of `out`, and returns its length; `None` if there is too little room. Fails if the
    /// message is invalid.
    pub fn encode_into(&self, out: &mut [u8]) -> Result<Option<usize>> {
        let len = self.encoded_len()?;
        let Some(mut room) = out.get_mut(..len) else { return Ok(None) };
        self.write(&mut room)?;
        Ok(Some(len))
    }

    fn write(&self, out: &mut impl Sink) -> Result<()> {
        let [first, others @ ..] = self.tracks else { return Err(Error::Invalid("a message needs a track")) };
        if !self.is_expected(first.packet) {
            return Err(Error::Invalid("the packet does not exist for this kind of media"));
        }
        if !(-0x80_0000..0x80_0000).contains(&first.offset) {
            return Err(Error::TooLarge("composition time offset"));
        }
        if first.packet == Packet::Command && first.body.len() != 1 {
            return Err(Error::Invalid("a command is one byte"));
        }
        match first.codec {
            Codec::FourCc(_) if first.packet != Packet::Silence && first.packet != Packet::Command => {
                self.write_enhanced(first, others, out)
            }
            Codec::FourCc(_) => Err(Error::Invalid("a packet without a codec")),
            _ if !others.is_empty() || first.id != 0 => Err(Error::Invalid("a track needs a FourCC")),
            Codec::None if first.packet == Packet::Command => {
                self.write_beginning(COMMAND_FRAME, 0, out)?;
                out.put(first.body);
                Ok(())
            }
            _ if self.nano.is_some() => Err(Error::Invalid("nanoseconds need a FourCC")),
            Codec::None if first.packet == Packet::Silence && first.body.is_empty() => Ok(()),
            Codec::None => Err(Error::Invalid("a packet without a codec")),
            Codec::Legacy { id, format } if id <= 0x0F && format <= 0x0F => match self.kind {
                Kind::Audio => write_legacy_audio(id, format, first, out),
                Kind::Video => write_legacy_video(id, first, out),
            },
            Codec::Legacy { .. } => Err(Error::Invalid("a legacy codec has four bits")),
        }
    }

    fn is_expected(&self, packet: Packet) -> bool {
        match packet {
            Packet::Config | Packet::Frames | Packet::End => true,
            Packet::TsConfig | Packet::Metadata | Packet::Command => self.kind == Kind::Video,
            Packet::Channels | Packet::Silence => self.kind == Kind::Audio,
        }
    }

    fn write_enhanced(&self, first: &Track<'_>, others: &[Track<'_>], out: &mut impl Sink) -> Result<()> {
        let packet_type = self.packet_type(first.packet);
        // Before metadata the frame type has no meaning.
        let frame_type = if packet_type == VIDEO_METADATA { Frame::Key as u8 } else { frame_type(first) };
        let Some(code) = first.codec.fourcc() else { return Err(NOT_ALIKE) };
        if others.is_empty() && first.id == 0 {
            self.write_beginning(frame_type, packet_type, out)?;
            out.put(&code.characters());
            self.write_data(first, code, packet_type, out);
            return Ok(());
        }
        self.check_tracks(first, others)?;
        let multitrack = match self.kind {
            Kind::Audio => prefix::AUDIO_MULTITRACK,
            Kind::Video => prefix::VIDEO_MULTITRACK,
        };
        self.write_beginning(frame_type, multitrack, out)?;
        let layout = match others {
            [] => layout::ONE_TRACK,
            others if others.iter().all(|track| track.codec == first.codec) => layout::MANY_TRACKS,
            _ => layout::MANY_CODECS,
        };
        out.put(&[layout << 4 | packet_type]);
        if layout != layout::MANY_CODECS {
            out.put(&code.characters());
        }
        if layout == layout::ONE_TRACK {
            out.put(&[first.id]);
            self.write_data(first, code, packet_type, out);
            return Ok(());
        }
        for track in self.tracks {
            let Codec::FourCc(code) = track.codec else { return Err(NOT_ALIKE) };
            if layout == layout::MANY_CODECS {
                out.put(&code.characters());
            }
            let offset_len = if self.has_offset(code, packet_type) { 3 } else { 0 };
            let size = u32::try_from(track.body.len() + offset_len).ok().filter(|size| *size <= 0xFF_FFFF);
            let [_, a, b, c] = size.ok_or(Error::TooLarge("the data of a track"))?.to_be_bytes();
            out.put(&[track.id, a, b, c]);
            self.write_data(track, code, packet_type, out);
        }
        Ok(())
    }

    /// Whether the tracks can share a message.
    fn check_tracks(&self, first: &Track<'_>, others: &[Track<'_>]) -> Result<()> {
        let mut seen = [false; 256];
        for track in self.tracks {
            if std::mem::replace(&mut seen[usize::from(track.id)], true) {
                return Err(Error::Invalid("two tracks have the same number"));
            }
        }
        for track in others {
            if track.packet != first.packet || frame_type(track) != frame_type(first) {
                return Err(NOT_ALIKE);
            }
            if !(-0x80_0000..0x80_0000).contains(&track.offset) {
                return Err(Error::TooLarge("composition time offset"));
            }
        }
        Ok(())
    }

    /// The first byte, and the nanoseconds, if there are any.
    fn write_beginning(&self, frame_type: u8, packet_type: u8, out: &mut impl Sink) -> Result<()> {
        let upper = match self.kind {
            Kind::Audio => sound::ENHANCED << 4,
            Kind::Video => EX_HEADER | frame_type << 4,
        };
        match self.nano {
            None => out.put(&[upper | packet_type]),
            Some(nano @ 0..NANOS_PER_MILLI) => {
                // Some receivers ignore any size other than 3.
                let [_, a, b, c] = nano.to_be_bytes();
                out.put(&[upper | prefix::MODEX, 2, a, b, c, TIMESTAMP_OFFSET_NANO << 4 | packet_type]);
            }
            Some(_) => return Err(Error::TooLarge("nanosecond offset")),
        }
        Ok(())
    }

    fn write_data(&self, track: &Track<'_>, code: FourCc, packet_type: u8, out: &mut impl Sink) {
        if self.has_offset(code, packet_type) {
            put_s24(track.offset, out);
        }
        out.put(track.body);
    }

    fn has_offset(&self, code: FourCc, packet_type: u8) -> bool {
        self.kind == Kind::Video && packet_type == 1 && code.has_composition_time()
    }

    fn packet_type(&self, packet: Packet) -> u8 {
        match packet {
            Packet::Config => 0,
            Packet::End => 2,
            Packet::Metadata | Packet::Channels => 4,
            Packet::TsConfig => 5,
            Packet::Frames if self.kind == Kind::Video && self.tracks.iter().all(is_without_offset) => 3,
            Packet::Frames | Packet::Silence | Packet::Command => 1,
        }
    }
}

/// Whether frames may be written in the form without a composition time offset. It exists for codecs that have one.
fn is_without_offset(track: &Track<'_>) -> bool {
    track.offset == 0 && track.codec.fourcc().is_some_and(FourCc::has_composition_time)
}

/// The frame type of a video message for which the program has given none.
fn frame_type(track: &Track<'_>) -> u8 {
    match (track.frame, track.packet) {
        (Some(frame), _) => frame as u8,
        (None, Packet::Frames) => Frame::Inter as u8,
        (None, _) => Frame::Key as u8,
    }
}

fn write_legacy_audio(id: u8, format: u8, track: &Track<'_>, out: &mut impl Sink) -> Result<()> {
    if id == sound::ENHANCED {
        return Err(Error::Invalid("legacy audio format 9 does not exist"));
    }
    let first = id << 4 | format;
    match track.packet {
        Packet::Config if id == sound::AAC => out.put(&[first, 0]),
        Packet::Frames if id == sound::AAC => out.put(&[first, 1]),
        Packet::Frames => out.put(&[first]),
        _ => return Err(LEGACY_WITHOUT),
    }
    out.put(track.body);
    Ok(())
}

fn write_legacy_video(id: u8, track: &Track<'_>, out: &mut impl Sink) -> Result<()> {
    let first = frame_type(track) << 4 | id;
    match track.packet {
        Packet::Command => out.put(&[COMMAND_FRAME << 4 | id]),
        Packet::Config if is_nal_codec(id) => out.put(&[first, 0, 0, 0, 0]),
        Packet::End if is_nal_codec(id) => out.put(&[first, 2, 0, 0, 0]),
        Packet::Frames if is_nal_codec(id) => {
            out.put(&[first, 1]);
            put_s24(track.offset, out);
        }
        Packet::Frames => out.put(&[first]),
        _ => return Err(LEGACY_WITHOUT),
    }
    out.put(track.body);
    Ok(())
}

fn put_s24(value: i32, out: &mut impl Sink) {
    let [_, a, b, c] = value.to_be_bytes();
    out.put(&[a, b, c]);
}

const LEGACY_WITHOUT: Error = Error::Invalid("the legacy codec has no packet of this kind");
const NOT_ALIKE: Error =
    Error::Invalid("tracks of a message need the same kind of packet, the same frame type, and a FourCC");
