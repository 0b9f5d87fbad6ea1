//! Messages in, FLV tags out.
//!
//! Knows which media messages become part of the FLV stream, with which timestamps, and the state between messages. Does not
//! know how many bytes the caller has room for (see [`super::stream`]), nor the meaning of metadata.

use std::ops::Range;

use log::debug;

use super::place::Place;
use super::state::{Flags, ReadState, data_type_of};
use super::tag::{MAX_BODY_LEN, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
use super::{aggregate, resume};
use crate::message::MessageType;

/// The decision for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is not part of the FLV stream.
    Ignore,
    /// The stream is not the one to be resumed; the read ends with an error.
    Mismatch,
    /// It is part of the FLV stream in this form.
    Output(Piece),
}

/// A message's FLV form, which borrows nothing: the bytes around its body, and the part of the body that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    prefix: Option<[u8; TAG_HEADER_LEN]>,
    body: Range<usize>,
    suffix: Option<[u8; PREVIOUS_TAG_SIZE_LEN]>,
}

impl Piece {
    /// A body with a tag header before it and a PreviousTagSize after it.
    fn tag(header: TagHeader) -> Self {
        Self {
            prefix: Some(header.write()),
            body: 0..header.body_len(),
            suffix: Some(header.previous_tag_size()),
        }
    }

    /// A part of an aggregate's body, which already consists of tags; `suffix` completes the last one.
    pub(super) fn tags(body: Range<usize>, suffix: Option<[u8; PREVIOUS_TAG_SIZE_LEN]>) -> Self {
        Self { prefix: None, body, suffix }
    }

    /// The total length in bytes.
    pub fn len(&self) -> usize {
        self.prefix.map_or(0, |prefix| prefix.len())
            + self.body.len()
            + self.suffix.map_or(0, |suffix| suffix.len())
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes before the body, the part of the body that counts, and the bytes after it.
    pub(super) fn layout(&self) -> (usize, Range<usize>, &[u8]) {
        let front = self.prefix.map_or(0, |prefix| prefix.len());
        (front, self.body.clone(), self.suffix.as_ref().map_or(&[], |suffix| suffix.as_slice()))
    }

    /// Its bytes in order; `body` is the body of the message it was made for.
    pub fn parts<'a>(&'a self, body: &'a [u8]) -> [&'a [u8]; 3] {
        [
            self.prefix.as_ref().map_or(&[], |prefix| prefix.as_slice()),
            body.get(self.body.clone()).unwrap_or_default(),
            self.suffix.as_ref().map_or(&[], |suffix| suffix.as_slice()),
        ]
    }

    /// Copies its bytes from position `skip` on into `out`, up to its length, and returns how many.
    pub fn copy_to<T: Place>(&self, body: &[u8], mut skip: usize, out: &mut [T]) -> usize {
        let mut written = 0;
        for part in self.parts(body) {
            let rest = part.get(skip..).unwrap_or_default();
            skip -= part.len() - rest.len();
            let free = &mut out[written..];
            let count = rest.len().min(free.len());
            T::copy(free, &rest[..count]);
            written += count;
        }
        written
    }
}

/// Decides about the next media message. `timestamp` is absolute. The timestamps inside an aggregate are shifted in place.
/// `live` is whether [`ReadState::timestamp`] follows the messages or the tags.
pub fn accept(
    state: &mut ReadState<'_>,
    kind: MessageType,
    mut timestamp: u32,
    body: &mut [u8],
    live: bool,
) -> Verdict {
    let all = state.flags.has(Flags::ALL);
    if (body.is_empty() && !all) || body.len() > MAX_BODY_LEN {
        return Verdict::Ignore;
    }
    state.data_type |= data_type_of(kind.0);
    if is_too_small(kind, body.len()) && !all {
        let name = if kind == MessageType::VIDEO { "video" } else { "audio" };
        debug!("ignoring too small {name} packet: size: {}", body.len());
        return Verdict::Ignore;
    }
    if state.flags.has(Flags::SEEKING) {
        return Verdict::Ignore;
    }
    let mut start = 0;
    if state.flags.has(Flags::RESUME) {
        match resume::check(state, kind, timestamp, body) {
            resume::Outcome::Ignore => return Verdict::Ignore,
            resume::Outcome::Mismatch => return Verdict::Mismatch,
            resume::Outcome::From(position) => start = position,
            resume::Outcome::Rest(position, time) => (start, timestamp) = (position, time),
        }
    }
    let shifted = timestamp.wrapping_add(state.resume_timestamp);
    let (piece, last_timestamp) = match kind {
        MessageType::AUDIO | MessageType::VIDEO | MessageType::DATA | MessageType::DATA_AMF3 => {
            let header = TagHeader { kind: kind.0, length: body.len() as u32, timestamp: shifted };
            (Piece::tag(header), shifted)
        }
        MessageType::AGGREGATE => {
            // The body may consist of the key frame alone.
            if start >= body.len() {
                return Verdict::Ignore;
            }
            let rebased = aggregate::rebase(&mut body[start..], timestamp, state.resume_timestamp);
            state.data_type |= rebased.data_type;
            (Piece::tags(start..start + rebased.len, rebased.suffix), rebased.last_timestamp)
        }
        _ => return Verdict::Ignore,
    };
    state.timestamp = if live { timestamp } else { last_timestamp };
    Verdict::Output(piece)
}

/// The header of the tag for an audio or video message of `length` bytes, as [`accept`] makes it; `None`, without any change,
/// if the decision needs more than that.
pub fn plain_tag(
    state: &mut ReadState<'_>,
    kind: MessageType,
    timestamp: u32,
    length: usize,
    live: bool,
) -> Option<TagHeader> {
    let media = data_type_of(kind.0);
    if !in_order(state) || media == 0 || length > MAX_BODY_LEN || is_too_small(kind, length) {
        return None;
    }
    let shifted = timestamp.wrapping_add(state.resume_timestamp);
    state.data_type |= media;
    state.timestamp = if live { timestamp } else { shifted };
    Some(TagHeader { kind: kind.0, length: length as u32, timestamp: shifted })
}

/// Whether each audio and video message becomes a tag, after the header was returned.
pub fn in_order(state: &ReadState<'_>) -> bool {
    state.status == 0
        && state.flags.has(Flags::HEADER)
        && !state.flags.has(Flags(Flags::RESUME.0 | Flags::SEEKING.0))
}

/// Some servers send audio and video that is a header without data, as a keep-alive.
pub fn is_too_small(kind: MessageType, len: usize) -> bool {
    match kind {
        MessageType::VIDEO => len <= 5,
        MessageType::AUDIO => len <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::DATA_TYPE_AUDIO;
    use super::*;

    #[test]
    fn message_becomes_a_tag_followed_by_its_size() {
        let mut state = ReadState::default();
        let mut body = [0xAF, 1, 2];
        let verdict = accept(&mut state, MessageType::AUDIO, 0x0102_0304, &mut body, false);
        let Verdict::Output(piece) = verdict else { panic!("{verdict:?}") };
        let expected = [8, 0, 0, 3, 2, 3, 4, 1, 0, 0, 0, 0xAF, 1, 2, 0, 0, 0, 14];
        let mut out = [0; 18];
        assert_eq!((piece.len(), piece.copy_to(&body, 0, &mut out)), (18, 18));
        assert_eq!(out, expected);
        assert_eq!((state.timestamp, state.data_type), (0x0102_0304, DATA_TYPE_AUDIO));
    }

    #[test]
    fn script_data_in_amf3_is_a_tag_of_its_own_type() {
        let mut state = ReadState::default();
        let mut body = *b"\0\x02\0\x0AonMetaData\x05";
        let verdict = accept(&mut state, MessageType::DATA_AMF3, 40, &mut body, false);
        let Verdict::Output(piece) = verdict else { panic!("{verdict:?}") };
        let [header, content, _] = piece.parts(&body);
        assert_eq!(TagHeader::parse(header).map(|header| (header.kind, header.timestamp)), Some((15, 40)));
        assert_eq!(content, body);
    }

    #[test]
    fn piece_can_be_copied_from_and_up_to_any_byte() {
        let mut body = [0xAF, 1, 2];
        let mut state = ReadState::default();
        let Verdict::Output(piece) = accept(&mut state, MessageType::AUDIO, 7, &mut body, false) else {
            panic!("audio is output")
        };
        let mut whole = vec![0; piece.len()];
        piece.copy_to(&body, 0, &mut whole);
        for skip in 0..=whole.len() + 1 {
            for room in 0..=whole.len() + 1 {
                let mut out = vec![0; room];
                let expected = whole.get(skip..).unwrap_or_default();
                let expected = &expected[..expected.len().min(room)];
                assert_eq!(piece.copy_to(&body, skip, &mut out), expected.len());
                assert_eq!(&out[..expected.len()], expected);
            }
        }
    }

    #[test]
    fn timestamps_are_shifted_and_wrap() {
        let mut state = ReadState { resume_timestamp: 0x20, ..Default::default() };
        let mut body = [0x17, 1, 0, 0, 0, 0];
        let Verdict::Output(piece) = accept(&mut state, MessageType::VIDEO, 0xFFFF_FFF0, &mut body, false)
        else {
            panic!("video is output")
        };
        let [header, _, _] = piece.parts(&body);
        assert_eq!(TagHeader::parse(header).map(|header| header.timestamp), Some(0x10));
        assert_eq!(state.timestamp, 0x10);
    }

    #[test]
    fn live_streams_remember_the_timestamp_of_the_message() {
        let mut state = ReadState { resume_timestamp: 5000, ..Default::default() };
        let mut body = [0xAF, 1];
        assert!(matches!(accept(&mut state, MessageType::AUDIO, 23, &mut body, true), Verdict::Output(_)));
        assert_eq!(state.timestamp, 23);
    }

    #[test]
    fn media_without_data_is_ignored_but_noticed() {
        for (kind, len, ignored) in [
            (MessageType::VIDEO, 5, true),
            (MessageType::VIDEO, 6, false),
            (MessageType::AUDIO, 1, true),
            (MessageType::AUDIO, 2, false),
        ] {
            let mut state = ReadState::default();
            let verdict = accept(&mut state, kind, 9, &mut vec![0; len], false);
            assert_eq!(verdict == Verdict::Ignore, ignored, "{kind:?} {len}");
            assert_eq!(state.data_type, data_type_of(kind.0));
            assert_eq!(state.timestamp, if ignored { 0 } else { 9 });
        }
    }

    #[test]
    fn nothing_is_output_while_a_seek_is_unanswered() {
        let mut state = ReadState { flags: Flags(0x21), ..Default::default() };
        assert_eq!(accept(&mut state, MessageType::AUDIO, 9, &mut [0; 8], false), Verdict::Ignore);
        state.flags.clear(Flags::SEEKING);
        assert_eq!(state.flags, Flags::HEADER);
        assert!(matches!(accept(&mut state, MessageType::AUDIO, 9, &mut [0; 8], false), Verdict::Output(_)));
    }

    #[test]
    fn empty_and_foreign_messages_are_ignored() {
        let mut state = ReadState::default();
        for kind in [MessageType::AUDIO, MessageType::DATA, MessageType::AGGREGATE] {
            assert_eq!(accept(&mut state, kind, 0, &mut [], false), Verdict::Ignore);
        }
        assert_eq!(accept(&mut state, MessageType::COMMAND, 0, &mut [0; 9], false), Verdict::Ignore);
        assert_eq!(state, ReadState::default());
    }
}
