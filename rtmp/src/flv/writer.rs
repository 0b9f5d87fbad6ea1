//! FLV bytes in, messages out.
//!
//! Splits a published FLV file into messages, also when it comes in pieces, and knows which of its script tags a server has to
//! be told to keep. Does not know how messages are sent.

use std::mem;

use super::SIGNATURE;
use super::tag::{MAX_BODY_LEN, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
use crate::error::{Error, Result};
use crate::message::{Body, MessageType};

/// The message in progress, and the state after the last one.
#[derive(Debug, Default)]
pub struct Writer<B> {
    kind: MessageType,
    timestamp: u32,
    body_size: u32,
    format: u8,
    /// The number of bytes that were put before the tag's own body.
    mark: usize,
    /// `Some` from a tag's header to the end of its body.
    body: Option<B>,
    /// The missing part of the size after the last tag or file header.
    gap: Option<Gap>,
    /// The end of the last call, if it was too short to decide: a part of a header, or of the size before one.
    head: Vec<u8>,
}

/// The PreviousTagSize field after a tag or a file header.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// The correct value of the field.
    size: [u8; PREVIOUS_TAG_SIZE_LEN],
    missing: usize,
    /// Whether a tag may come in its place: some programs pass tags without the field, one in each call.
    may_stay_away: bool,
}

impl Gap {
    fn behind_tag(body_len: usize) -> Self {
        let size = ((TAG_HEADER_LEN + body_len) as u32).to_be_bytes();
        Self { size, missing: PREVIOUS_TAG_SIZE_LEN, may_stay_away: false }
    }

    /// Some programs write a file's header without the field, also directly before the first tag.
    const BEHIND_FILE_HEADER: Self =
        Self { size: [0; PREVIOUS_TAG_SIZE_LEN], missing: PREVIOUS_TAG_SIZE_LEN, may_stay_away: true };

    /// The number of bytes of `input` that belong to the field; `None` while there are too few to decide.
    fn extent(&self, input: &[u8]) -> Option<usize> {
        let missing = self.missing;
        let expected = &self.size[PREVIOUS_TAG_SIZE_LEN - missing..];
        let starts = |at: usize| input.get(at).map(|byte| TAG_STARTS.contains(byte));
        let looks_like_a_tag = starts(0)?;
        if !self.may_stay_away {
            // As librtmp does, without checking: there are files with wrong sizes.
            return Some(missing.min(input.len()));
        }
        if input.iter().zip(expected).all(|(byte, expected)| byte == expected) {
            return Some(if starts(missing)? || !looks_like_a_tag { missing } else { 0 });
        }
        if !looks_like_a_tag {
            return (input.len() >= missing).then_some(missing);
        }
        // The last bytes of a wrong size can have any value. The first ones cannot, because sizes have three bytes.
        let is_wrong_size = missing <= 2 && starts(missing)?;
        Some(if is_wrong_size { missing } else { 0 })
    }
}

/// The first bytes of tags and files.
const TAG_STARTS: [u8; 6] = [
    MessageType::AUDIO.0,
    MessageType::VIDEO.0,
    MessageType::DATA.0,
    MessageType::DATA_AMF3.0,
    MessageType::AGGREGATE.0,
    SIGNATURE[0],
];

/// Length of a file's header without the PreviousTagSize after it.
const FILE_HEADER_LEN: usize = 9;

/// A message ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<B> {
    /// The kind of message: any tag type is passed on.
    pub kind: MessageType,
    /// Milliseconds, absolute.
    pub timestamp: u32,
    /// Chunk header format to begin with: 0 has the absolute timestamp, 1 the difference from the message before.
    pub format_hint: u8,
    /// Its bytes.
    pub body: B,
}

/// The result for some bytes.
#[derive(Debug)]
struct Step<B> {
    /// The number of used bytes. If it is 0 and nothing is finished, more are needed.
    consumed: usize,
    /// The body that the last byte completed.
    finished: Option<B>,
}

impl<B: Body> Writer<B> {
    /// The kind of the message in progress, or of the last one.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// Timestamp of the message in progress, or the last one.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Size of the last message, or of the one in progress; for script data it includes the mark of metadata.
    pub fn body_size(&self) -> u32 {
        self.body_size
    }

    /// Chunk header format of the message in progress, or the last one.
    pub fn format(&self) -> u8 {
        self.format
    }

    /// The number of received bytes of the message in progress; 0 if there is none.
    pub fn bytes_read(&self) -> usize {
        self.body().map_or(0, |body| body.as_ref().len())
    }

    /// The body of the message in progress.
    pub fn body(&self) -> Option<&B> {
        self.body.as_ref()
    }

    /// Takes out the body of the message in progress. Unless it is put back, the message is forgotten, and a tag follows.
    pub fn take_body(&mut self) -> Option<B> {
        self.body.take()
    }

    /// Puts back the body that [`take_body`](Self::take_body) has returned.
    pub fn put_body(&mut self, body: B) {
        self.body = Some(body);
    }

    /// Forgets the message in progress and the received part of the next one.
    pub fn reset(&mut self) {
        self.body = None;
        self.gap = None;
        self.head = Vec::new();
    }

    /// Whether the next byte begins a tag or a file.
    fn is_between_tags(&self) -> bool {
        self.body.is_none() && self.gap.is_none() && self.head.is_empty()
    }

    /// The message of a tag that is complete and needs no change, and how many bytes it took; `None` leaves the work to
    /// [`Writer::step`].
    fn borrow<'i>(&mut self, input: &'i [u8]) -> Option<(usize, Finished<&'i [u8]>)> {
        if input.starts_with(&SIGNATURE) {
            return None;
        }
        self.borrow_behind(TagHeader::parse(input)?, input)
    }

    /// As [`borrow`](Self::borrow), for the tag whose header is at the start of `input`.
    #[inline]
    fn borrow_behind<'i>(
        &mut self,
        header: TagHeader,
        input: &'i [u8],
    ) -> Option<(usize, Finished<&'i [u8]>)> {
        if !self.is_between_tags() {
            return None;
        }
        let end = TAG_HEADER_LEN + header.body_len();
        let body = input.get(TAG_HEADER_LEN..end)?;
        let has_room = body.len() <= MAX_BODY_LEN - SET_DATA_FRAME.len();
        if header.kind == MessageType::DATA.0 && (!has_room || is_metadata(body)) {
            return None;
        }
        self.remember(header, 0);
        self.gap = Some(Gap::behind_tag(body.len()));
        Some((end, self.finished(body)))
    }

    /// The message of a call that passes exactly one complete tag. `None` leaves the work to [`write()`].
    #[inline]
    pub fn whole<'i>(&mut self, input: &'i [u8]) -> Option<Finished<&'i [u8]>> {
        let rest = input.len().checked_sub(TAG_HEADER_LEN + PREVIOUS_TAG_SIZE_LEN)?;
        let header = TagHeader::parse(input)?;
        // A file begins with bytes that no tag has there.
        if header.body_len() != rest || input.starts_with(&SIGNATURE) {
            return None;
        }
        let (_, message) = self.borrow_behind(header, input)?;
        self.gap = None;
        Some(message)
    }

    /// Takes bytes up to the end of the current part: the size after a tag, a file header, or a tag's body.
    fn step(&mut self, input: &[u8]) -> Result<Step<B>> {
        if let Some(body) = self.body.take() {
            return self.fill(body, input, 0);
        }
        if let Some(mut gap) = self.gap {
            let Some(skipped) = gap.extent(input) else { return Ok(Step { consumed: 0, finished: None }) };
            gap.missing -= skipped;
            self.gap = Some(gap).filter(|gap| skipped > 0 && gap.missing > 0);
            if skipped > 0 {
                return Ok(Step { consumed: skipped, finished: None });
            }
        }
        // Checked at every tag, so files may be concatenated, even empty ones.
        if SIGNATURE.starts_with(input) || input.starts_with(&SIGNATURE) {
            let is_whole = input.len() >= FILE_HEADER_LEN;
            self.gap = is_whole.then_some(Gap::BEHIND_FILE_HEADER);
            return Ok(Step { consumed: if is_whole { FILE_HEADER_LEN } else { 0 }, finished: None });
        }
        let Some(header) = TagHeader::parse(input) else { return Ok(Step { consumed: 0, finished: None }) };
        let body = self.start(header)?;
        self.fill(body, input, TAG_HEADER_LEN)
    }

    /// Begins the message of a tag.
    fn start(&mut self, header: TagHeader) -> Result<B> {
        // Whether script data is metadata is known later; until then callers see it marked, as in librtmp.
        let mark = if header.kind == MessageType::DATA.0 { SET_DATA_FRAME } else { &[] };
        if mark.len() + header.body_len() > MAX_BODY_LEN {
            return Err(Error::TooLarge("metadata tag"));
        }
        let mut body = B::default();
        body.reserve_total(mark.len() + header.body_len())?;
        body.append(mark);
        self.remember(header, mark.len());
        Ok(body)
    }

    /// Stores the fields that callers see of the message in progress.
    fn remember(&mut self, header: TagHeader, mark: usize) {
        self.kind = MessageType(header.kind);
        self.timestamp = header.timestamp;
        self.body_size = header.length + mark as u32;
        self.format = format_of(header);
        self.mark = mark;
    }

    /// Appends the bytes of `input` from `position` on to the body.
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
        self.gap = Some(Gap::behind_tag(body.as_ref().len() - self.mark));
        Ok(Step { consumed, finished: Some(body) })
    }

    /// The part of a body to send: only metadata keeps its mark.
    fn sent_part<'b>(&mut self, body: &'b [u8]) -> &'b [u8] {
        let data = body.get(self.mark..).unwrap_or_default();
        let part = if is_metadata(data) { body } else { data };
        self.body_size = part.len() as u32;
        part
    }

    fn finished<'b>(&self, body: &'b [u8]) -> Finished<&'b [u8]> {
        Finished { kind: self.kind, timestamp: self.timestamp, format_hint: self.format, body }
    }
}

/// Takes the bytes of one call, split anywhere, and passes every message that they complete to `send`. Returns the number of
/// bytes: those that do not complete a header or a message are kept for the next call.
///
/// The next call continues after them. After a tag without its PreviousTagSize, or with a part of it, it may also begin with
/// the next tag, as librtmp requires.
pub fn write<B: Body>(
    writer: &mut Writer<B>,
    input: &[u8],
    send: &mut dyn FnMut(Finished<&[u8]>) -> Result<()>,
) -> Result<usize> {
    let mut rest = input;
    while !rest.is_empty() {
        if let Some((consumed, message)) = writer.borrow(rest) {
            rest = &rest[consumed..];
            send(message)?;
            continue;
        }
        let step = if writer.head.is_empty() {
            let step = writer.step(rest)?;
            if step.consumed == 0 && step.finished.is_none() {
                writer.head = mem::take(&mut rest).to_vec();
            }
            rest = &rest[step.consumed..];
            step
        } else {
            // It takes a few more bytes, but not those after them.
            let mut head = mem::take(&mut writer.head);
            head.push(rest[0]);
            rest = &rest[1..];
            let step = writer.step(&head)?;
            head.drain(..step.consumed);
            writer.head = head;
            step
        };
        if let Some(body) = step.finished {
            let part = writer.sent_part(body.as_ref());
            send(writer.finished(part))?;
        }
    }
    if let Some(gap) = &mut writer.gap {
        gap.may_stay_away = true;
    }
    Ok(input.len())
}

/// Whether script data is the metadata of the stream, and not yet marked as such. Everything else is passed on unchanged:
/// events like `onCuePoint` would replace the metadata if they were marked.
fn is_metadata(data: &[u8]) -> bool {
    [&b"\x02\x00\x0AonMetaData"[..], b"\x0C\x00\x00\x00\x0AonMetaData"]
        .iter()
        .any(|name| data.starts_with(name))
}

/// Only the first audio and video and all metadata carry an absolute timestamp.
fn format_of(header: TagHeader) -> u8 {
    match MessageType(header.kind) {
        MessageType::DATA => 0,
        MessageType::AUDIO | MessageType::VIDEO if header.timestamp == 0 => 0,
        _ => 1,
    }
}

/// The AMF0 string that tells a server to keep the metadata after it, and to send it to every player.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::FILE_HEADER;

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

    /// The result when the bytes come in these pieces.
    fn arrival<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Finished<Vec<u8>>> {
        let (mut writer, mut arrived) = (Writer::default(), Vec::new());
        for piece in pieces {
            let (used, sent) = call(&mut writer, piece);
            assert_eq!(used.unwrap(), piece.len(), "all of it counts");
            arrived.extend(sent);
        }
        arrived
    }

    /// Every kind of tag, two files in one, empty bodies, and sizes that look like the beginning of a tag.
    fn file() -> Vec<u8> {
        let file = FILE_HEADER;
        [
            &file[..],
            &tag(0x12, 0, b"\x02\0\x0AonMetaData\x05"),
            &tag(9, 0, &[0; 0x0900 - TAG_HEADER_LEN]),
            &tag(8, 1, &[8; 0x0808 - TAG_HEADER_LEN]),
            &tag(9, 2, &[9; 0x1209 - TAG_HEADER_LEN]),
            &file,
            &file,
            &tag(8, 3, b""),
            &tag(0x0F, 4, b"\0\x02\0\x02on"),
            &tag(0x12, 5, &[0x12; 0x46 - TAG_HEADER_LEN]),
            &tag(9, u32::MAX, b"end"),
        ]
        .concat()
    }

    #[test]
    fn file_cut_anywhere_completes_the_same_messages() {
        let file = file();
        let whole = arrival([&file[..]]);
        assert_eq!(whole.len(), 8);
        for cut in 0..=file.len() {
            assert!(arrival([&file[..cut], &file[cut..]]) == whole, "cut at {cut}");
            // With pieces around the cut that are shorter than any header.
            let (before, after) = (cut.saturating_sub(3), file.len().min(cut + 2));
            let pieces = [&file[..before], &file[before..cut], b"", &file[cut..after], &file[after..]];
            assert!(arrival(pieces) == whole, "around {cut}");
        }
        for len in (1..64).chain([100, 1000, 0x1000]) {
            assert!(arrival(file.chunks(len)) == whole, "pieces of {len}");
        }
    }

    #[test]
    fn size_after_a_tag_may_be_wrong() {
        let first = tag(9, 40, b"video");
        let second = [tag(8, 50, b"audio"), tag(9, 50, &[0; 0x0700]), tag(0x12, 50, b"data")];
        for second in second {
            for wrong in [[0; 4], [0xFF; 4], [0, 0, 0, 5], [0, 0, 0, 8], [0, 0, 9, 9]] {
                let end = first.len() - wrong.len();
                let file = [&first[..end], &wrong, &second[..]].concat();
                let whole = arrival([&file[..]]);
                assert_eq!(whole.len(), 2);
                for cut in end..=first.len() {
                    assert!(arrival([&file[..cut], &file[cut..]]) == whole, "{wrong:?} cut at {cut}");
                }
                assert!(arrival(file.chunks(1)) == whole, "{wrong:?}");
            }
        }
    }

    /// librtmp requires that the rest of the size does not follow.
    #[test]
    fn size_after_a_tag_may_be_missing() {
        let tags =
            [tag(0x12, 0, b"data"), tag(8, 9, b"audio"), tag(9, 0x0908_0000, &[7; 300]), tag(8, 9, b"")];
        for missing in 0..=PREVIOUS_TAG_SIZE_LEN {
            let cut: Vec<_> = tags.iter().map(|tag| &tag[..tag.len() - missing]).collect();
            assert_eq!(arrival(cut.iter().copied().cycle().take(9)).len(), 9, "{missing}");
            // The next tag need not come in one piece.
            assert_eq!(arrival(cut.iter().flat_map(|tag| [&tag[..5], &tag[5..]])).len(), 4, "{missing}");
        }
    }

    #[test]
    fn size_after_a_file_header_may_be_missing() {
        let tag = tag(9, 40, b"video");
        assert_eq!(arrival([&FILE_HEADER[..9], &tag[..]]), arrival([&tag[..]]));
        assert_eq!(arrival([&[&FILE_HEADER[..9], &tag[..]].concat()[..]]), arrival([&tag[..]]));
    }

    #[test]
    fn tag_type_may_look_like_a_file() {
        let odd = tag(b'F', 40, b"body");
        let (whole, pieces) = (arrival([&odd[..]]), arrival(odd.chunks(1)));
        assert_eq!((whole.len(), &whole), (1, &pieces));
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
    fn only_a_single_complete_tag_is_sent_at_once() {
        let alone = tag(9, 70, b"video");
        let mut writer = Writer::<Vec<u8>>::default();
        let taken = writer.whole(&alone).unwrap();
        assert_eq!((taken.kind, taken.timestamp, taken.body), (MessageType::VIDEO, 70, &b"video"[..]));
        let (_, by_write) = call(&mut Writer::default(), &alone);
        assert_eq!(taken.format_hint, by_write[0].format_hint);
        let two = [&alone[..], &alone].concat();
        let file = [&FILE_HEADER[..], &alone].concat();
        for other in [&alone[..alone.len() - 1], &alone[..7], &two, &file, &tag(0x12, 0, METADATA), b""] {
            assert!(Writer::<Vec<u8>>::default().whole(other).is_none(), "{other:02x?}");
        }
        // The rest of another tag may come first.
        let mut writer = Writer::default();
        call(&mut writer, &alone[..alone.len() - 4]).0.unwrap();
        assert!(writer.whole(&alone).is_none());
        call(&mut writer, &two[alone.len() - 4..alone.len() + 13]).0.unwrap();
        assert!(writer.body().is_some() && writer.whole(&alone).is_none());
    }

    const METADATA: &[u8] = b"\x02\0\x0AonMetaData\x08\0\0\0\0\0\0\x09";

    #[test]
    fn only_metadata_is_marked_for_the_server_and_only_once() {
        let long_name = b"\x0C\0\0\0\x0AonMetaData\x05";
        for metadata in [METADATA, long_name, b"\x02\0\x0AonMetaData"] {
            let sent = arrival(tag(0x12, 70, metadata).chunks(1));
            assert_eq!(sent[0].body, [SET_DATA_FRAME, metadata].concat());
            assert_eq!((sent[0].kind, sent[0].timestamp, sent[0].format_hint), (MessageType::DATA, 70, 0));
            assert_eq!(arrival([&tag(0x12, 70, metadata)[..]]), sent);
        }
        let marked = [SET_DATA_FRAME, METADATA].concat();
        for other in [
            &marked[..],
            SET_DATA_FRAME,
            b"\x02\0\x0F@clearDataFrame\x02\0\x0AonMetaData",
            b"\x02\0\x0AonCuePoint\x05",
            b"\x02\0\x0AonTextData\x05",
            b"\x02\0\x09onXMPData\x05",
            b"\x02\0\x10|RtmpSampleAccess\x01\x01\x01\x01",
            b"\x02\0\x0BonMetaDataX",
            b"\x02\0\x09onMetaData",
            b"onMetaData",
            b"\x02\0\x0AonMetaDat",
            b"\x02",
            b"\xFF\xFF\xFF",
            b"",
        ] {
            let sent = arrival([&tag(0x12, 70, other)[..]]);
            assert_eq!(sent[0].body, other);
            assert_eq!(arrival(tag(0x12, 70, other).chunks(1)), sent);
        }
        // Its name is after another byte, and librtmp passes it on unchanged.
        let amf3 = tag(0x0F, 0, &[b"\0", METADATA].concat());
        assert_eq!(arrival([&amf3[..]])[0].body[1..], *METADATA);
    }

    #[test]
    fn script_data_in_progress_looks_like_metadata() {
        let mut writer = Writer::default();
        let bytes = tag(0x12, 70, b"\x02\0\x0AonCuePoint\x05");
        call(&mut writer, &bytes[..TAG_HEADER_LEN]).0.unwrap();
        assert_eq!((writer.body_size(), writer.bytes_read()), (30, 16));
        call(&mut writer, &bytes[TAG_HEADER_LEN..]).0.unwrap();
        assert_eq!((writer.body_size(), writer.bytes_read()), (14, 0));
    }

    #[test]
    fn metadata_that_leaves_no_room_for_the_mark_is_refused() {
        for (length, accepted) in [(0xFF_FFFF - 16, true), (0xFF_FFFF - 15, false)] {
            let header = TagHeader { kind: 0x12, length, timestamp: 0 };
            let mut writer = Writer::default();
            assert_eq!(call(&mut writer, &header.write()).0.is_ok(), accepted);
            assert_eq!(writer.body().is_some(), accepted);
            // The same for other script data, which has the same header.
            let (used, sent) = call(&mut Writer::default(), &tag(0x12, 0, &vec![0; length as usize]));
            assert_eq!((used.is_ok(), sent.len()), (accepted, usize::from(accepted)));
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
