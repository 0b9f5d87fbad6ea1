//! Resumes a download: checks whether the stream is that of the file, and finds the end of the file in it.
//!
//! Knows the checks on each message of a resumed stream. It outputs nothing: accepted messages are processed like any others.
//!
//! A server that seeks as requested begins with the key frame, at time 0. One that does not starts from the beginning, or from
//! some point before the key frame, with the times of the file. Then everything before the key frame is skipped. The caller
//! limits the time for that: see [`ReadState::is_searching`].

use log::{debug, error, warn};

use super::state::{Flags, ReadState};
use super::tag::{PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
use crate::amf;
use crate::media::{self, Kind, Packet, Track};
use crate::message::MessageType;

/// The result for a message of a resumed stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// In the file already, or before its end.
    Ignore,
    /// Evidence that the stream is a different one.
    Mismatch,
    /// New from this position of the body on.
    From(usize),
    /// The same for an aggregate, the rest of which has this timestamp.
    Rest(usize, u32),
}

/// The limit of messages that are dropped before the key frame arrives, not counting those before its time.
const MAX_IGNORED_FRAMES: u32 = 50;

/// Compares a message with the end of the file.
pub(super) fn check(state: &mut ReadState<'_>, kind: MessageType, timestamp: u32, body: &[u8]) -> Outcome {
    let is_aggregate = kind == MessageType::AGGREGATE;
    let resume = state.resume;
    let (mut start, mut early) = (0, false);
    if timestamp == 0 {
        if kind == MessageType::DATA
            && !resume.meta_header.is_empty()
            && is_metadata(body)
            && body != resume.meta_header
        {
            return Outcome::Mismatch;
        }
        if !resume.initial_frame.is_empty() {
            if kind.0 == resume.initial_frame_type && body == resume.initial_frame {
                debug!("Checked keyframe successfully!");
                state.flags.set(Flags::GOT_KEY_FRAME);
                return Outcome::Ignore;
            }
            if is_aggregate {
                start = skip_key_frame(state, body);
                if !state.flags.has(Flags::GOT_FLV_KEY_FRAME) {
                    error!("Couldn't find the seeked keyframe in this chunk!");
                    return Outcome::Ignore;
                }
            }
        }
    } else if state.flags.has(EITHER_KEY_FRAME) {
        state.flags.set(EITHER_KEY_FRAME);
    } else if !resume.initial_frame.is_empty() {
        match find_in_place(state, kind, timestamp, body) {
            Found::Before => early = true,
            Found::Here(end) => {
                debug!("found the key frame in its place");
                // Nothing repeats the contents of the file.
                state.flags.set(EITHER_KEY_FRAME);
                state.flags.set(Flags::NO_IGNORE);
                return rest_of_aggregate(timestamp, body, end);
            }
            Found::Nothing => {}
        }
    }

    if is_aggregate {
        if !state.flags.has(Flags::GOT_FLV_KEY_FRAME) {
            return pass_over(&mut state.ignored_flv_frames, &mut state.passed_over, early, " FLV");
        }
        return Outcome::From(start);
    }
    if !state.flags.has(Flags::GOT_KEY_FRAME) {
        return pass_over(&mut state.ignored_frames, &mut state.passed_over, early, "");
    }
    if !state.flags.has(Flags::NO_IGNORE) {
        // Until the timestamps advance, servers repeat metadata and decoder configuration that the file has.
        if timestamp == 0 && !is_new(state, kind, body) {
            return Outcome::Ignore;
        }
        if timestamp != 0 {
            state.flags.set(Flags::NO_IGNORE);
        }
    }
    Outcome::From(start)
}

/// The relation of a message to the searched key frame at its time in the file.
enum Found {
    /// All of it is earlier.
    Before,
    /// The key frame, which ends at this position of the body.
    Here(usize),
    Nothing,
}

/// Looks for the key frame in a message of a stream with the times of the file, or later ones. If it is found, the offset of
/// later timestamps makes its time that of the file.
fn find_in_place(state: &mut ReadState<'_>, kind: MessageType, timestamp: u32, body: &[u8]) -> Found {
    let (wanted, resume) = (state.resume_timestamp, state.resume);
    let mut last_timestamp = timestamp;
    if kind == MessageType::AGGREGATE {
        let mut position = 0;
        let mut first_timestamp = None;
        while let Some((header, tag)) =
            body.get(position..).and_then(|rest| Some((TagHeader::parse(rest)?, rest)))
        {
            // The first tag of an aggregate has the message's time.
            let first = *first_timestamp.get_or_insert(header.timestamp);
            last_timestamp = timestamp.wrapping_add(header.timestamp.wrapping_sub(first));
            let end = TAG_HEADER_LEN + header.body_len();
            let Some(frame) = tag.get(TAG_HEADER_LEN..end) else { break };
            let next = (position + end + PREVIOUS_TAG_SIZE_LEN).min(body.len());
            if header.kind == resume.initial_frame_type
                && last_timestamp >= wanted
                && frame == resume.initial_frame
            {
                state.resume_timestamp = wanted.wrapping_sub(last_timestamp);
                return Found::Here(next);
            }
            position = next;
        }
    } else if kind.0 == resume.initial_frame_type && timestamp >= wanted && body == resume.initial_frame {
        state.resume_timestamp = wanted.wrapping_sub(timestamp);
        return Found::Here(body.len());
    }
    if last_timestamp < wanted { Found::Before } else { Found::Nothing }
}

/// The new part of the body of a message that contains the key frame up to `end`.
fn rest_of_aggregate(timestamp: u32, body: &[u8], end: usize) -> Outcome {
    let first = TagHeader::parse(body);
    match first.zip(body.get(end..).and_then(TagHeader::parse)) {
        Some((first, next)) => {
            Outcome::Rest(end, timestamp.wrapping_add(next.timestamp.wrapping_sub(first.timestamp)))
        }
        None => Outcome::Ignore,
    }
}

/// Looks for the key frame in an aggregate and returns where new data begins; 0 if it is not to be split.
fn skip_key_frame(state: &mut ReadState<'_>, body: &[u8]) -> usize {
    let wanted = state.resume_timestamp;
    let mut last_timestamp = 0;
    let mut position = 0;
    let mut start = 0;
    while position + TAG_HEADER_LEN < body.len() {
        let tag = &body[position..];
        let Some(header) = TagHeader::parse(tag) else { break };
        let end = TAG_HEADER_LEN + header.body_len();
        last_timestamp = header.timestamp;
        if header.kind == state.resume.initial_frame_type {
            if header.timestamp > wanted {
                break;
            }
            if header.timestamp == wanted {
                debug!("found the timestamp of the key frame, {wanted} ms");
                if tag.get(TAG_HEADER_LEN..end) != Some(state.resume.initial_frame) {
                    error!("FLV Stream: Keyframe doesn't match!");
                } else {
                    state.flags.set(Flags::GOT_FLV_KEY_FRAME);
                    if tag.len() >= end + PREVIOUS_TAG_SIZE_LEN {
                        start = position + end + PREVIOUS_TAG_SIZE_LEN;
                    } else {
                        warn!("Non skipable packet since it doesn't end with chunk, stream corrupt!");
                    }
                }
                break;
            }
        }
        position += end + PREVIOUS_TAG_SIZE_LEN;
    }
    if last_timestamp < wanted {
        error!(
            "First packet does not contain keyframe, all timestamps are smaller than the keyframe timestamp; \
             probably the resume seek failed?"
        );
    }
    start
}

/// Drops one more message. Too many are an error, unless they are too early to count; then they are not logged any more.
fn pass_over(ignored: &mut u32, passed_over: &mut u32, early: bool, sort: &str) -> Outcome {
    let count = if early { passed_over } else { ignored };
    *count = count.saturating_add(1);
    if !early || *count <= MAX_IGNORED_FRAMES {
        warn!("Stream does not start with requested{sort} frame, ignoring data... ");
    }
    if !early && *count > MAX_IGNORED_FRAMES { Outcome::Mismatch } else { Outcome::Ignore }
}

/// Whether a message is new in a file that ends with a key frame of the same time. It is new if servers do not repeat its kind,
/// and if it or the key frame has a FourCC. Without a FourCC it is skipped, as in librtmp.
fn is_new(state: &ReadState<'_>, kind: MessageType, body: &[u8]) -> bool {
    let is_enhanced = |track: &Track<'_>| track.codec.fourcc().is_some();
    let resumes_enhanced = tracks(MessageType(state.resume.initial_frame_type), state.resume.initial_frame)
        .any(|track| is_enhanced(&track));
    let is_repeated = |packet: Packet| packet.is_config() || packet == Packet::Channels;
    tracks(kind, body).any(|track| !is_repeated(track.packet) && (resumes_enhanced || is_enhanced(&track)))
}

/// The readable tracks of a message; none if it is neither audio nor video.
fn tracks(kind: MessageType, body: &[u8]) -> impl Iterator<Item = Track<'_>> {
    let media = Kind::of(kind).and_then(|kind| media::parse(kind, body).ok());
    media.into_iter().flat_map(|media| media.tracks()).flatten()
}

/// Whether `body` is AMF0 data that begins with the string `onMetaData`.
fn is_metadata(body: &[u8]) -> bool {
    amf::decode(body).is_ok_and(|values| {
        values.get(0).and_then(|first| first.value.as_string()) == Some(b"onMetaData".as_slice())
    })
}

/// Both ways of having found the key frame.
const EITHER_KEY_FRAME: Flags = Flags(Flags::GOT_KEY_FRAME.0 | Flags::GOT_FLV_KEY_FRAME.0);

#[cfg(test)]
mod tests {
    use super::super::state::Resume;
    use super::*;

    const FRAME: &[u8] = b"\x17\x01key frame";

    fn state<'a>() -> ReadState<'a> {
        let resume = Resume { initial_frame_type: 9, initial_frame: FRAME, meta_header: b"" };
        ReadState { resume, resume_timestamp: 5000, ..Default::default() }
    }

    fn searching<'a>() -> ReadState<'a> {
        ReadState { flags: Flags::RESUME, ..state() }
    }

    fn tag(kind: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let header = TagHeader { kind, length: body.len() as u32, timestamp };
        [&header.write()[..], body, &header.previous_tag_size()].concat()
    }

    #[test]
    fn different_metadata_is_a_different_stream() {
        let own = b"\x02\x00\x0AonMetaData\x05";
        let mut state = state();
        state.resume.meta_header = own;
        let other = b"\x02\x00\x0AonMetaData\x06";
        assert_eq!(check(&mut state, MessageType::DATA, 0, other), Outcome::Mismatch);
        assert_eq!(check(&mut state, MessageType::DATA, 9, other), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::DATA, 0, own), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::DATA, 0, b"\x02\x00\x05other"), Outcome::Ignore);
    }

    #[test]
    fn output_begins_when_time_moves_on_after_the_key_frame() {
        let mut state = state();
        assert_eq!(check(&mut state, MessageType::AUDIO, 0, b"\xAF\x01"), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, FRAME), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::AUDIO, 0, b"\xAF\x01"), Outcome::Ignore);
        assert_eq!((state.flags, state.ignored_frames), (Flags::GOT_KEY_FRAME, 1));
        assert_eq!(check(&mut state, MessageType::AUDIO, 1, b"\xAF\x01"), Outcome::From(0));
        assert_eq!(state.flags, Flags(0x1C));
        assert_eq!(check(&mut state, MessageType::AUDIO, 0, b"\xAF\x01"), Outcome::From(0));
    }

    #[test]
    fn enhanced_frames_with_the_time_of_the_key_frame_are_new() {
        let second = b"\xA6\x01hvc1\x01\0\0\0frame";
        let mut state = state();
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, second), Outcome::Ignore, "in front of it");
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, FRAME), Outcome::Ignore);
        // Messages that servers repeat.
        for (kind, body) in [
            (MessageType::VIDEO, &b"\x96\0hvc1\x01configuration"[..]),
            (MessageType::VIDEO, b"\x90hvc1configuration"),
            (MessageType::AUDIO, b"\x94Opus\0\x02"),
            (MessageType::AUDIO, b"\xAF\x01"),
            (MessageType::VIDEO, b"\x27\x01\0\0\0"),
        ] {
            assert_eq!(check(&mut state, kind, 0, body), Outcome::Ignore, "{body:?}");
        }
        for (kind, body) in [
            (MessageType::VIDEO, &second[..]),
            (MessageType::VIDEO, b"\xD4hvc1colours"),
            (MessageType::AUDIO, b"\x95\x01Opus\x02frame"),
            (MessageType::AUDIO, b"\x91Opusframe"),
        ] {
            assert_eq!(check(&mut state, kind, 0, body), Outcome::From(0), "{body:?}");
        }
        assert_eq!(check(&mut state, MessageType::AUDIO, 0, b"\xAF\x01"), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::AUDIO, 1, b"\xAF\x01"), Outcome::From(0));

        let key_frame = b"\x93hvc1frame";
        let mut state = self::state();
        state.resume.initial_frame = key_frame;
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, key_frame), Outcome::Ignore);
        for (body, expected) in [(b"\xAF\0", Outcome::Ignore), (b"\xAF\x01", Outcome::From(0))] {
            assert_eq!(check(&mut state, MessageType::AUDIO, 0, body), expected);
        }
        assert_eq!(check(&mut state, MessageType::DATA, 0, b"\x02\0\x0AonMetaData"), Outcome::Ignore);
    }

    #[test]
    fn fifty_frames_are_forgiven_besides_those_before_the_key_frame() {
        for (kind, timestamp) in
            [(MessageType::VIDEO, 0), (MessageType::VIDEO, 5000), (MessageType::AGGREGATE, 5000)]
        {
            let mut state = state();
            for early in 1..5000 {
                assert_eq!(check(&mut state, kind, early, b"other"), Outcome::Ignore);
            }
            for _ in 0..50 {
                assert_eq!(check(&mut state, kind, timestamp, b"other"), Outcome::Ignore);
            }
            assert_eq!(check(&mut state, kind, timestamp, b"other"), Outcome::Mismatch);
        }
    }

    #[test]
    fn stream_with_the_times_of_the_file_continues_after_the_key_frame() {
        // The same frame at an earlier time is a different one.
        let earlier = [(MessageType::VIDEO, 40, FRAME), (MessageType::AUDIO, 5000, b"\xAF\x01")];
        for (time, offset) in [(5000, 0), (5001, u32::MAX)] {
            let mut state = searching();
            for (kind, timestamp, body) in earlier {
                assert_eq!(check(&mut state, kind, timestamp, body), Outcome::Ignore);
            }
            assert!(state.is_searching());
            assert_eq!(check(&mut state, MessageType::VIDEO, time, FRAME), Outcome::Ignore);
            assert_eq!((state.is_searching(), state.resume_timestamp), (false, offset));
            // Messages with the time of the key frame are not in the file, and neither is another frame like it.
            for (kind, timestamp, body) in
                [(MessageType::AUDIO, time, &b"\xAF\x02"[..]), (MessageType::VIDEO, 9000, FRAME)]
            {
                assert_eq!(check(&mut state, kind, timestamp, body), Outcome::From(0));
            }
        }
    }

    #[test]
    fn aggregate_with_the_times_of_the_file_is_split_after_the_key_frame() {
        let mut state = searching();
        // Only the differences between the timestamps inside count.
        let early = [tag(9, 100, FRAME), tag(8, 110, b"audio")].concat();
        assert_eq!(check(&mut state, MessageType::AGGREGATE, 4980, &early), Outcome::Ignore);
        let before = [tag(8, 110, b"audio"), tag(9, 120, FRAME)].concat();
        let body = [&before[..], &tag(8, 130, b"audio")].concat();
        assert_eq!(check(&mut state, MessageType::AGGREGATE, 4990, &body), Outcome::Rest(before.len(), 5010));
        assert_eq!((state.resume_timestamp, state.ignored_flv_frames), (0, 0));
        for len in before.len() - PREVIOUS_TAG_SIZE_LEN..=before.len() {
            let mut state = searching();
            assert_eq!(check(&mut state, MessageType::AGGREGATE, 4990, &before[..len]), Outcome::Ignore);
            assert!(!state.is_searching());
        }
    }

    #[test]
    fn aggregate_is_split_after_the_key_frame() {
        let before = [tag(8, 4990, b"audio"), tag(9, 5000, FRAME)].concat();
        let body = [&before[..], &tag(8, 5010, b"audio")].concat();
        let mut state = state();
        assert_eq!(check(&mut state, MessageType::AGGREGATE, 0, &body), Outcome::From(before.len()));
        assert_eq!(state.flags, Flags::GOT_FLV_KEY_FRAME);
    }

    #[test]
    fn key_frame_that_the_message_cuts_is_a_mismatch() {
        let body = tag(9, 5000, FRAME);
        for len in 12..TAG_HEADER_LEN + FRAME.len() {
            let mut state = state();
            assert_eq!(check(&mut state, MessageType::AGGREGATE, 0, &body[..len]), Outcome::Ignore);
            assert_eq!(state.flags, Flags::default());
        }
        // With a cut size it is recognised, but not skipped.
        for len in TAG_HEADER_LEN + FRAME.len()..body.len() {
            let mut state = state();
            assert_eq!(check(&mut state, MessageType::AGGREGATE, 0, &body[..len]), Outcome::From(0));
        }
    }

    #[test]
    fn key_frame_at_the_beginning_is_ignored_every_time() {
        let mut state = state();
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, FRAME), Outcome::Ignore);
        assert_eq!(check(&mut state, MessageType::AUDIO, 20, b"\xAF\x01"), Outcome::From(0));
        assert_eq!(check(&mut state, MessageType::VIDEO, 0, FRAME), Outcome::Ignore);
    }

    #[test]
    fn scan_ends_after_the_requested_timestamp() {
        let body = [tag(9, 5001, b"other"), tag(9, 5000, FRAME)].concat();
        let mut state = state();
        assert_eq!(check(&mut state, MessageType::AGGREGATE, 0, &body), Outcome::Ignore);
        assert_eq!(state.flags, Flags::default());
        assert_eq!(state.ignored_flv_frames, 0);
    }
}
