//! FLV bytes in, messages out.
//!
//! Knows how a published FLV file is cut into messages, also when it comes in pieces, and how many bytes each call reports
//! as used. Refuses to know how messages are sent.

#![forbid(unsafe_code)]

use super::tag::{MAX_BODY_LEN, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
use super::{FILE_HEADER, SIGNATURE};
use crate::error::{Error, Result};
use crate::message::{Body, MessageType};

/// The message in progress, and what is remembered of the last one.
#[derive(Debug, Default)]
pub struct Writer<B> {
    kind: MessageType,
    timestamp: u32,
    body_size: u32,
    format: u8,
    /// `Some` from a tag's header to the end of its body.
    body: Option<B>,
    /// What may still come of a tag whose end was cut by the end of a call.
    cut: Cut,
}

/// The end of a tag that was cut inside its PreviousTagSize. Such a call counts less than it used. The next one may begin
/// with a tag; but curl, like any program that writes to a descriptor, passes what was not counted once more, and others
/// go on where they were.
#[derive(Debug, Default, Clone, Copy)]
struct Cut {
    /// Bytes of the last call that were not counted, then those that were missing.
    bytes: [u8; 2 * PREVIOUS_TAG_SIZE_LEN],
    len: usize,
    missing: usize,
}

impl Cut {
    /// The end of `input` is the end of a tag without its last `missing` bytes; `size` is the tag's.
    fn new(input: &[u8], size: u32, missing: usize) -> Self {
        let again = &input[input.len().saturating_sub(missing)..];
        let size = size.to_be_bytes();
        let mut cut = Self { len: again.len() + missing, missing, ..Self::default() };
        cut.bytes[..again.len()].copy_from_slice(again);
        cut.bytes[again.len()..cut.len].copy_from_slice(&size[size.len() - missing..]);
        cut
    }

    /// How much of `input` is what was cut; the rest begins with a tag.
    fn skip(&mut self, input: &[u8]) -> usize {
        let Self { bytes, len, missing } = std::mem::take(self);
        for start in [0, len - missing] {
            let expected = &bytes[start..len];
            if input.len() < expected.len() && expected.starts_with(input) {
                // All of it, and there is more to come.
                *self = Self { missing: missing.min(expected.len() - input.len()), ..Self::default() };
                let rest = &expected[input.len()..];
                self.bytes[..rest.len()].copy_from_slice(rest);
                self.len = rest.len();
                return input.len();
            }
            let follows = input.get(expected.len());
            if input.starts_with(expected) && follows.is_none_or(|byte| TAG_STARTS.contains(byte)) {
                return expected.len();
            }
        }
        0
    }
}

/// What a tag or another file may begin with.
const TAG_STARTS: [u8; 4] = [MessageType::AUDIO.0, MessageType::VIDEO.0, MessageType::DATA.0, SIGNATURE[0]];

/// A message ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<B> {
    /// What it carries: any tag type is passed on.
    pub kind: MessageType,
    /// Milliseconds, absolute.
    pub timestamp: u32,
    /// Chunk header format to begin with: 0 carries the absolute timestamp, 1 the difference to the message before.
    pub format_hint: u8,
    /// Its bytes.
    pub body: B,
}

/// What came of some bytes.
#[derive(Debug)]
pub struct Step<B> {
    /// How many were used. If none were and nothing is finished, the next tag's header is incomplete.
    pub consumed: usize,
    /// The message that the last byte completed; the tag's PreviousTagSize comes next.
    pub finished: Option<Finished<B>>,
}

impl<B: Body> Writer<B> {
    /// What the message in progress, or the last one, carries.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// Timestamp of the message in progress, or the last one.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Declared size of the message in progress, or the last one, with the prefix of metadata.
    pub fn body_size(&self) -> u32 {
        self.body_size
    }

    /// Chunk header format of the message in progress, or the last one.
    pub fn format(&self) -> u8 {
        self.format
    }

    /// How many bytes of the message in progress are there; 0 if there is none.
    pub fn bytes_read(&self) -> usize {
        self.body().map_or(0, |body| body.as_ref().len())
    }

    /// The body of the message in progress.
    pub fn body(&self) -> Option<&B> {
        self.body.as_ref()
    }

    /// Takes the body of the message in progress out. Unless it is put back, the message is forgotten, and a tag comes next.
    pub fn take_body(&mut self) -> Option<B> {
        self.body.take()
    }

    /// Puts back what [`take_body`](Self::take_body) has returned.
    pub fn put_body(&mut self, body: B) {
        self.body = Some(body);
    }

    /// Forgets the message in progress.
    pub fn reset(&mut self) {
        self.body = None;
        self.cut = Cut::default();
    }

    /// The size of the last tag as it stands behind it.
    fn tag_size(&self) -> u32 {
        let prefix = if self.kind == MessageType::DATA { SET_DATA_FRAME.len() } else { 0 };
        TAG_HEADER_LEN as u32 + self.body_size - prefix as u32
    }

    /// Takes bytes up to the end of the current tag's body, after file headers if they come first.
    pub fn step(&mut self, input: &[u8]) -> Result<Step<B>> {
        if let Some(body) = self.body.take() {
            return self.fill(body, input, 0);
        }
        // Checked at every tag, so files may follow each other, also empty ones.
        let mut skipped = 0;
        while input[skipped..].starts_with(&SIGNATURE) {
            if input.len() - skipped < FILE_HEADER.len() {
                return Ok(Step { consumed: skipped, finished: None });
            }
            skipped += FILE_HEADER.len();
        }
        let Some(header) = TagHeader::parse(&input[skipped..]) else {
            return Ok(Step { consumed: skipped, finished: None });
        };
        let body = self.start(header)?;
        self.fill(body, input, skipped + TAG_HEADER_LEN)
    }

    /// The message of a tag that is there as a whole and needs no change, and how many bytes it took; `None` leaves the
    /// work to [`Writer::step`].
    fn borrow<'i>(&mut self, input: &'i [u8]) -> Option<(usize, Finished<&'i [u8]>)> {
        if self.body.is_some() || input.starts_with(&SIGNATURE) {
            return None;
        }
        let header = TagHeader::parse(input).filter(|header| header.kind != MessageType::DATA.0)?;
        let end = TAG_HEADER_LEN + header.body_len();
        let body = input.get(TAG_HEADER_LEN..end)?;
        self.remember(header, header.body_len());
        let Self { kind, timestamp, format, .. } = *self;
        Some((end, Finished { kind, timestamp, format_hint: format, body }))
    }

    /// The message of a call that brings one tag as a whole, and nothing else. `None` leaves the work to [`write()`].
    #[inline]
    pub fn whole<'i>(&mut self, input: &'i [u8]) -> Option<Finished<&'i [u8]>> {
        let rest = input.len().checked_sub(TAG_HEADER_LEN + PREVIOUS_TAG_SIZE_LEN)?;
        if self.cut.len > 0 || TagHeader::parse(input)?.body_len() != rest {
            return None;
        }
        self.borrow(input).map(|(_, message)| message)
    }

    /// Begins the message of a tag.
    fn start(&mut self, header: TagHeader) -> Result<B> {
        let prefix: &[u8] = if header.kind == MessageType::DATA.0 { SET_DATA_FRAME } else { &[] };
        let size = header.body_len() + prefix.len();
        if size > MAX_BODY_LEN {
            return Err(Error::TooLarge("metadata tag"));
        }
        let mut body = B::default();
        body.reserve_total(size)?;
        body.append(prefix);
        self.remember(header, size);
        Ok(body)
    }

    /// Keeps what callers see of the message in progress.
    fn remember(&mut self, header: TagHeader, size: usize) {
        self.kind = MessageType(header.kind);
        self.timestamp = header.timestamp;
        self.body_size = size as u32;
        self.format = format_of(header);
    }

    /// Appends to the body what `input` has from `position` on.
    fn fill(&mut self, mut body: B, input: &[u8], position: usize) -> Result<Step<B>> {
        let available = input.get(position..).unwrap_or_default();
        let missing = (self.body_size as usize).saturating_sub(body.as_ref().len());
        let count = missing.min(available.len());
        body.append(&available[..count]);
        let consumed = position + count;
        if count < missing {
            self.body = Some(body);
            return Ok(Step { consumed, finished: None });
        }
        let finished =
            Finished { kind: self.kind, timestamp: self.timestamp, format_hint: self.format, body };
        Ok(Step { consumed, finished: Some(finished) })
    }
}

/// Takes one call's bytes and passes every message they complete to `send`; the return value is the one of `RTMP_Write`.
///
/// It is the number of bytes used, less as many as are missing of the last tag's PreviousTagSize. The next call goes on with
/// what was not counted, with what is missing, or with the next tag. A tag or file header that is cut is not used; the
/// caller passes it again with more.
pub fn write<B: Body>(
    writer: &mut Writer<B>,
    input: &[u8],
    send: &mut dyn FnMut(Finished<&[u8]>) -> Result<()>,
) -> Result<usize> {
    let mut used = if writer.cut.len > 0 { writer.cut.skip(input) } else { 0 };
    while used < input.len() {
        let rest = &input[used..];
        let (consumed, sent) = if let Some((consumed, message)) = writer.borrow(rest) {
            send(message)?;
            (consumed, true)
        } else {
            let step = writer.step(rest)?;
            let sent = step.finished.is_some();
            if let Some(message) = step.finished {
                let Finished { kind, timestamp, format_hint, body } = message;
                send(Finished { kind, timestamp, format_hint, body: body.as_ref() })?;
            }
            (step.consumed, sent)
        };
        used += consumed;
        if sent {
            let behind = input.len() - used;
            if behind < PREVIOUS_TAG_SIZE_LEN {
                writer.cut = Cut::new(input, writer.tag_size(), PREVIOUS_TAG_SIZE_LEN - behind);
                return Ok(input.len().saturating_sub(PREVIOUS_TAG_SIZE_LEN - behind));
            }
            used += PREVIOUS_TAG_SIZE_LEN;
        } else if consumed == 0 {
            break;
        }
    }
    Ok(used)
}

/// Only the first audio and video and all metadata carry an absolute timestamp.
fn format_of(header: TagHeader) -> u8 {
    match MessageType(header.kind) {
        MessageType::DATA => 0,
        MessageType::AUDIO | MessageType::VIDEO if header.timestamp == 0 => 0,
        _ => 1,
    }
}

/// The AMF0 string that tells a server to keep the metadata behind it and to send it to every player.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let header = TagHeader { kind, length: body.len() as u32, timestamp };
        [&header.write()[..], body, &header.previous_tag_size()].concat()
    }

    /// The result of one call and what it sent.
    fn call(writer: &mut Writer<Vec<u8>>, input: &[u8]) -> (Result<usize>, Vec<Finished<Vec<u8>>>) {
        let mut sent = Vec::new();
        let result = write(writer, input, &mut |message| {
            let Finished { kind, timestamp, format_hint, body } = message;
            sent.push(Finished { kind, timestamp, format_hint, body: body.to_vec() });
            Ok(())
        });
        (result, sent)
    }

    /// Cuts at every byte, and every way in which callers are known to go on.
    #[test]
    fn a_cut_end_of_a_tag_may_come_again_go_on_or_stay_away() {
        let first = [&FILE_HEADER[..], &tag(9, 40, b"video, long enough"), &tag(8, 41, b"au")].concat();
        for second in [tag(8, 50, b"audio"), tag(9, 50, &[0; 0x0700]), tag(0x12, 50, b"data")] {
            let file = [&first[..], &second, &tag(8, 60, b"end")].concat();
            for missing in 0..=PREVIOUS_TAG_SIZE_LEN {
                let cut = first.len() - missing;
                for (what, next) in [("again", cut - missing), ("on", cut), ("away", first.len())] {
                    let mut writer = Writer::default();
                    let (used, mut sent) = call(&mut writer, &file[..cut]);
                    assert_eq!(used.unwrap(), cut - missing, "{missing}");
                    if what == "again" && missing > 0 {
                        // As curl does: alone.
                        assert_eq!(call(&mut writer, &file[next..cut]).0.unwrap(), missing, "{missing}");
                    }
                    let rest = if what == "again" { cut } else { next };
                    let (used, more) = call(&mut writer, &file[rest..]);
                    assert_eq!(used.unwrap(), file.len() - rest, "{what} {missing}");
                    sent.extend(more);
                    assert_eq!(sent.len(), 4, "{what} {missing}");
                    // Together with what follows.
                    let mut writer = Writer::default();
                    call(&mut writer, &file[..cut]).0.unwrap();
                    assert_eq!(call(&mut writer, &file[next..]).1.len(), 2, "{what} {missing}");
                }
            }
        }
    }

    #[test]
    fn tag_may_come_in_two_pieces_cut_anywhere() {
        let file = [&FILE_HEADER[..], &tag(9, 40, b"video"), &tag(8, 41, b"audio")].concat();
        let (_, whole) = call(&mut Writer::default(), &file);
        assert_eq!(whole.len(), 2);
        let first_end = FILE_HEADER.len() + TAG_HEADER_LEN + 5;
        for cut in 0..=file.len() {
            let mut writer = Writer::default();
            let (used, mut sent) = call(&mut writer, &file[..cut]);
            let used = used.unwrap();
            // A PreviousTagSize that is cut counts as used and must not be sent again.
            let after_tag = [first_end, file.len() - PREVIOUS_TAG_SIZE_LEN]
                .into_iter()
                .find(|&end| (end..end + PREVIOUS_TAG_SIZE_LEN).contains(&cut));
            let resume_at = after_tag.map_or(used, |end| end + PREVIOUS_TAG_SIZE_LEN);
            if let Some(end) = after_tag {
                assert_eq!(used, cut - (end + PREVIOUS_TAG_SIZE_LEN - cut));
            }
            let (_, rest) = call(&mut writer, &file[resume_at..]);
            sent.extend(rest);
            assert_eq!(sent, whole, "cut at {cut}");
        }
    }

    #[test]
    fn cut_header_is_left_to_the_caller() {
        let (first, second) = (tag(9, 0, b"video"), tag(8, 0, b"audio"));
        for present in 0..TAG_HEADER_LEN {
            let input = [&first[..], &second[..present]].concat();
            let (used, sent) = call(&mut Writer::default(), &input);
            assert_eq!((used.unwrap(), sent.len()), (first.len(), 1));
        }
        for present in 0..FILE_HEADER.len() {
            let (used, _) = call(&mut Writer::default(), &FILE_HEADER[..present]);
            assert_eq!(used.unwrap(), 0);
        }
        for behind in 0..TAG_HEADER_LEN {
            let input = [&FILE_HEADER[..], &second[..behind]].concat();
            assert_eq!(call(&mut Writer::default(), &input).0.unwrap(), FILE_HEADER.len());
        }
    }

    #[test]
    fn file_without_tags_in_front_of_another_is_left_out_however_it_is_cut() {
        // Also when both headers come in one call, where the second one looks like a tag of type 0x46.
        let file =
            [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tag(9, 0, b"v")].concat();
        for cut in 0..=2 * FILE_HEADER.len() + TAG_HEADER_LEN {
            let mut writer = Writer::default();
            let (used, mut sent) = call(&mut writer, &file[..cut]);
            sent.extend(call(&mut writer, &file[used.unwrap()..]).1);
            assert_eq!(sent.len(), 1, "cut at {cut}");
            assert_eq!((sent[0].kind, &sent[0].body[..]), (MessageType::VIDEO, &b"v"[..]));
        }
    }

    #[test]
    fn call_that_only_ends_a_tag_never_returns_less_than_nothing() {
        // The original returns -3 and -2 for the first two, though the message was sent.
        let bytes = tag(9, 40, b"video");
        for (last, result) in [(1, 0), (2, 0), (4, 0), (5, 1)] {
            let mut writer = Writer::default();
            let end = TAG_HEADER_LEN + 5;
            let start = end - last;
            call(&mut writer, &bytes[..start]).0.unwrap();
            let (used, sent) = call(&mut writer, &bytes[start..end]);
            assert_eq!((used.unwrap(), sent.len()), (result, 1), "last {last} bytes");
        }
    }

    #[test]
    fn empty_tag_is_sent_with_its_header() {
        let (used, sent) = call(&mut Writer::default(), &tag(9, 40, b"")[..11]);
        assert_eq!((used.unwrap(), sent.len()), (7, 1));
    }

    #[test]
    fn tag_header_alone_begins_a_message() {
        let mut writer = Writer::default();
        let bytes = tag(9, 70, b"video");
        assert_eq!(call(&mut writer, &bytes[..11]).0.unwrap(), 11);
        assert_eq!((writer.kind(), writer.timestamp(), writer.body_size()), (MessageType::VIDEO, 70, 5));
        assert_eq!((writer.bytes_read(), writer.body().is_some(), writer.format()), (0, true, 1));
        let (used, sent) = call(&mut writer, &bytes[11..]);
        assert_eq!((used.unwrap(), &sent[0].body[..]), (9, &b"video"[..]));
        assert_eq!((writer.bytes_read(), writer.body().is_some()), (0, false));
    }

    #[test]
    fn header_format_follows_type_and_timestamp() {
        for (kind, timestamp, format) in [
            (8, 0, 0),
            (9, 0, 0),
            (0x12, 0, 0),
            (0x12, 9, 0),
            (8, 1, 1),
            (9, 1, 1),
            (0x0F, 0, 1),
            (0x14, 0, 1),
        ] {
            let (_, sent) = call(&mut Writer::default(), &tag(kind, timestamp, b"body"));
            assert_eq!(sent[0].format_hint, format, "type {kind} at {timestamp}");
        }
    }

    #[test]
    fn only_a_tag_that_comes_alone_and_as_a_whole_is_taken_at_once() {
        let alone = tag(9, 70, b"video");
        let mut writer = Writer::<Vec<u8>>::default();
        let taken = writer.whole(&alone).unwrap();
        assert_eq!((taken.kind, taken.timestamp, taken.body), (MessageType::VIDEO, 70, &b"video"[..]));
        let (_, by_write) = call(&mut Writer::default(), &alone);
        assert_eq!(taken.format_hint, by_write[0].format_hint);
        let two = [&alone[..], &alone].concat();
        let file = [&FILE_HEADER[..], &alone].concat();
        for other in [&alone[..alone.len() - 1], &alone[..7], &two, &file, &tag(0x12, 0, b"data"), b""] {
            assert!(Writer::<Vec<u8>>::default().whole(other).is_none(), "{other:02x?}");
        }
        // The end of another tag may come first.
        let mut writer = Writer::default();
        call(&mut writer, &alone[..alone.len() - 4]).0.unwrap();
        assert!(writer.whole(&alone).is_none());
        call(&mut writer, &two[alone.len() - 4..alone.len() + 13]).0.unwrap();
        assert!(writer.body().is_some() && writer.whole(&alone).is_none());
    }

    #[test]
    fn metadata_is_marked_for_the_server() {
        let (used, sent) = call(&mut Writer::default(), &tag(0x12, 0, b""));
        assert_eq!((used.unwrap(), &sent[0].body[..]), (15, SET_DATA_FRAME));
    }

    #[test]
    fn metadata_that_leaves_no_room_for_the_mark_is_refused() {
        for (length, accepted) in [(0xFF_FFFF - 16, true), (0xFF_FFFF - 15, false)] {
            let header = TagHeader { kind: 0x12, length, timestamp: 0 };
            let mut writer = Writer::default();
            assert_eq!(call(&mut writer, &header.write()).0.is_ok(), accepted);
            assert_eq!(writer.body().is_some(), accepted);
        }
    }

    #[test]
    fn failed_send_ends_the_call_and_forgets_the_message() {
        let mut writer = Writer::<Vec<u8>>::default();
        let input = [tag(8, 0, b"a"), tag(8, 0, b"b")].concat();
        let mut sends = 0;
        let result = write(&mut writer, &input, &mut |_| {
            sends += 1;
            Err(Error::Closed)
        });
        assert!(matches!(result, Err(Error::Closed)));
        assert_eq!((sends, writer.bytes_read(), writer.body().is_some()), (1, 0, false));
    }
}
