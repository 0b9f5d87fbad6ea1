//! Audio and video messages.

use libc::{c_char, c_int};
use rtmp_core::{
    error::Result,
    media::{self, Channels, Codec, FourCc, Frame, Kind as Medium, Message, Packet, Speaker, Track},
    message::MessageType,
};

use super::types::*;
use crate::{
    FALSE, TRUE,
    amf::{
        room::{Edge, fill_silently},
        view::In,
    },
    boundary::{Kind, boundary},
    ptr::{self, Out, given, items},
    valid::{Valid, field},
};

/// The limit of tracks of a message: track numbers have one byte.
const MAX_TRACKS: usize = 256;

/// Starts to read an audio or video message.
///
/// `kind` is the message type, which is the type of an FLV tag as well: `RTMP_PACKET_TYPE_AUDIO` or
/// `RTMP_PACKET_TYPE_VIDEO`. An empty audio message is `RTMP_MEDIA_SILENCE`; `body` may be NULL then. The body is not
/// copied, and has to stay as long as `m` and its tracks are used.
///
/// May be called in any thread, needs no session, allocates no memory and logs nothing.
///
/// Returns TRUE, or FALSE if the start of the message is malformed or has reserved values. That says nothing about the
/// next message, and a relay may pass this one on all the same.
///
/// # Safety
/// `m` is null or writable; `body` is null or readable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_ParseMedia(
    m: Option<Out<RTMPMedia>>,
    kind: u8,
    body: *const c_char,
    size: u32,
) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        // SAFETY: `body` is null or readable for `size` bytes, by the Safety section.
        let bytes = unsafe { items(body.cast(), size) };
        let (Some(m), Some(bytes), Some(medium)) = (m, bytes, medium(kind)) else { return Ok(FALSE) };
        let Ok(media) = media::parse(medium, bytes) else { return Ok(FALSE) };
        m.write(RTMPMedia {
            m_kind: kind,
            m_hasNano: media.nano.is_some().into(),
            m_nano: media.nano.unwrap_or(0),
            m_body: bytes.as_ptr().cast(),
            m_size: size,
            m_next: u32::try_from(media.tracks().position()).unwrap_or(0),
        });
        Ok(TRUE)
    })
}

/// Reads the next track of a message.
///
/// May be called in any thread, needs no session, allocates no memory and logs nothing.
///
/// Returns 1, 0 if there is no other track, or -1 if the rest of the message is malformed. Tracks that were read
/// before stay valid.
///
/// # Safety
/// `m` is null or what `RTMP_ParseMedia` has filled, and the body that it was given is there; `t` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_NextTrack(m: Option<Valid<'_, RTMPMedia>>, t: Option<Out<RTMPTrack>>) -> c_int {
    boundary(Kind::Plain, -1, |_| {
        let (Some(m), Some(t)) = (m, t) else { return Ok(-1) };
        let RTMPMedia { m_kind, m_body, m_size, m_next, .. } = m.copy();
        // SAFETY: the body that `RTMP_ParseMedia` was given is still there, by the Safety section.
        let body = unsafe { items(m_body.cast(), m_size) };
        let (Some(body), Some(medium)) = (body, medium(m_kind)) else { return Ok(-1) };
        let Ok(media) = media::parse(medium, body) else { return Ok(-1) };
        let mut tracks = media.tracks();
        tracks.go_to(m_next as usize);
        let next = tracks.next();
        field!(m, m_next).set(u32::try_from(tracks.position()).unwrap_or(0));
        Ok(match next {
            Some(Ok(track)) => {
                t.write(shown(&track));
                1
            }
            Some(Err(_)) => -1,
            None => 0,
        })
    })
}

/// Writes an audio or video message between `p` and `end`.
///
/// One track with the number 0 becomes an ordinary message. One track with another number becomes a message for that
/// track, the form for several tracks that most receivers support. `count` tracks become one message for all of them:
/// their `t_packet` and frame types have to be the same, and their numbers different. Only a codec with a FourCC can
/// have a number other than 0.
///
/// `nano` are nanoseconds to add to the presentation time, 1 to 999999, or 0 to send none. The message takes at most
/// `RTMP_MEDIA_OVERHEAD` bytes for each track besides its data, which must not overlap what is written.
///
/// May be called in any thread, needs no session, allocates no memory and logs nothing.
///
/// Returns the position after the message, or NULL if it does not fit or is not valid.
///
/// # Safety
/// The bytes from `p` to `end` are writable; `tracks` is null or points to `count` tracks whose `t_body` is null or
/// readable for `t_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EncodeMedia(
    p: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
    kind: u8,
    tracks: *const RTMPTrack,
    count: c_int,
    nano: u32,
) -> *mut c_char {
    fill_silently(p, end, |room| {
        let mut message = Tracks::new();
        // SAFETY: `tracks` is null or points to `count` tracks whose data is readable, by the Safety section.
        let message = unsafe { message.read(kind, tracks, count, nano) }.ok()?;
        let place = room.zeroed(message.encoded_len().ok()?)?;
        message.encode_into(place).ok()?.map(drop)
    })
}

/// Reads the speakers of a track's channels.
///
/// `t` is a track whose `t_packet` is `RTMP_MEDIA_CHANNELS`. For each channel the function stores one of
/// `RTMP_SPEAKER_*`, at most `size` of them; `RTMP_SPEAKER_UNKNOWN` is a channel for which the publisher names no
/// speaker.
///
/// Returns the number of channels, or -1 if the data is malformed.
///
/// # Safety
/// `t` is null or a track with readable data; `speakers` is null or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_ParseChannels(
    t: Option<In<'_, RTMPTrack>>,
    speakers: *mut u8,
    size: c_int,
) -> c_int {
    boundary(Kind::Plain, -1, |_| {
        // SAFETY: `speakers` is null or writable for `size` bytes, by the Safety section.
        let room = unsafe { ptr::room(speakers, usize::try_from(size).unwrap_or(0)) };
        let Some(Ok(channels)) = t.and_then(data).map(Channels::parse) else { return Ok(-1) };
        // Speakers that do not fit are left out.
        for (place, Speaker(number)) in room.unwrap_or_default().iter_mut().zip(channels.speakers()) {
            place.write(number);
        }
        Ok(c_int::try_from(channels.count()).unwrap_or(-1))
    })
}

/// Writes the speakers of `count` channels as the data of a track.
///
/// The `t_packet` of the track is `RTMP_MEDIA_CHANNELS`. The data takes at most 2 bytes and one for each channel, or 6.
///
/// Returns the position after the data, or NULL if it does not fit.
///
/// # Safety
/// The bytes from `p` to `end` are writable; `speakers` is null or readable for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EncodeChannels(
    p: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
    speakers: *const u8,
    count: c_int,
) -> *mut c_char {
    fill_silently(p, end, |room| {
        // SAFETY: `speakers` is null or readable for `count` bytes, by the Safety section.
        let numbers = unsafe { items(speakers, u32::try_from(count).unwrap_or(0)) }?;
        let channels = Channels::of(numbers).ok().filter(|_| !speakers.is_null())?;
        room.put(&channels.encode().ok()?)
    })
}

/// The tracks of a message to write, without allocation.
pub(super) struct Tracks<'a>([Track<'a>; MAX_TRACKS]);

impl<'a> Tracks<'a> {
    pub(super) fn new() -> Self {
        Self([Track::new(FourCc(0), Packet::Frames, &[]); MAX_TRACKS])
    }

    /// The message that consists of `count` tracks.
    ///
    /// # Safety
    /// `tracks` is null or points to `count` tracks whose `t_body` is null or readable for `t_size` bytes, and stays
    /// so while the result is used.
    pub(super) unsafe fn read(
        &mut self,
        kind: u8,
        tracks: *const RTMPTrack,
        count: c_int,
        nano: u32,
    ) -> Result<Message<'_>> {
        let kind = given(medium(kind), "the kind of media is neither audio nor video")?;
        let count = u32::try_from(count).ok().filter(|count| (1..=MAX_TRACKS as u32).contains(count));
        let count = given(count, "a message has 1 to 256 tracks")?;
        // SAFETY: `tracks` is null or points to `count` tracks with readable data, by the Safety section.
        let tracks = given(unsafe { In::items(tracks, count) }, "tracks")?;
        for (place, track) in self.0.iter_mut().zip(tracks) {
            *place = meant(kind, track)?;
        }
        Ok(Message { kind, nano: (nano != 0).then_some(nano), tracks: &self.0[..count as usize] })
    }
}

/// The media of a message type.
pub(super) fn medium(kind: u8) -> Option<Medium> {
    Medium::of(MessageType(kind))
}

/// The data of a track; `None` if the pointer to it is null and there should be some.
fn data<'a>(track: In<'a, RTMPTrack>) -> Option<&'a [u8]> {
    // SAFETY: the data of a valid track is null or readable for its size (`RTMPTrack`), and stays (`In`).
    unsafe { items(track.t_body.cast(), track.t_size) }
}

/// A track in C's form.
fn shown(track: &Track<'_>) -> RTMPTrack {
    let (t_codec, t_format) = match track.codec {
        Codec::Legacy { id, format } => (id, format),
        Codec::FourCc(_) | Codec::None => (0, 0),
    };
    RTMPTrack {
        t_fourcc: track.codec.fourcc().map_or(0, |code| code.0),
        t_codec,
        t_format,
        t_id: track.id,
        // A later core may have packets that this header does not define.
        t_packet: PACKETS.iter().find(|(packet, _)| *packet == track.packet).map_or(0, |(_, number)| *number),
        t_key: track.is_key_frame().into(),
        t_frame: track.frame.map_or(0, |frame| frame as u8),
        t_offset: track.offset,
        t_body: track.body.as_ptr().cast(),
        t_size: u32::try_from(track.body.len()).unwrap_or(0),
    }
}

/// The reverse of `shown`.
fn meant<'a>(kind: Medium, track: In<'a, RTMPTrack>) -> Result<Track<'a>> {
    let packet = PACKETS.iter().find(|(_, number)| *number == track.t_packet);
    let (packet, _) = *given(packet, "t_packet is none of RTMP_MEDIA_*")?;
    let codec = match (track.t_fourcc, packet) {
        (0, Packet::Silence) => Codec::None,
        (0, Packet::Command) if track.t_codec == 0 => Codec::None,
        (0, _) => Codec::Legacy { id: track.t_codec, format: track.t_format },
        (code, _) => Codec::FourCc(FourCc(code)),
    };
    let frame = match (kind, track.t_frame) {
        (Medium::Audio, _) => None,
        (Medium::Video, 0) => (track.t_key != 0).then_some(Frame::Key),
        (Medium::Video, number) => {
            Some(given(Frame::from_number(number), "t_frame is none of RTMP_FRAME_*")?)
        }
    };
    let body = given(data(track), "t_body is NULL")?;
    Ok(Track { codec, id: track.t_id, packet, frame, offset: track.t_offset, body })
}

/// The values of `t_packet`.
const PACKETS: [(Packet, u8); 8] = [
    (Packet::Config, RTMP_MEDIA_CONFIG),
    (Packet::Frames, RTMP_MEDIA_FRAMES),
    (Packet::End, RTMP_MEDIA_END),
    (Packet::Metadata, RTMP_MEDIA_METADATA),
    (Packet::Channels, RTMP_MEDIA_CHANNELS),
    (Packet::Silence, RTMP_MEDIA_SILENCE),
    (Packet::Command, RTMP_MEDIA_COMMAND),
    (Packet::TsConfig, RTMP_MEDIA_TS_CONFIG),
];
