//! FLV files, tag by tag.
//!
//! Knows file headers, tags and the sizes between them, in pieces from a file or a pipe. Accepts what players accept: a missing
//! file header, wrong PreviousTagSize fields, a missing last one, and concatenated files. Does not look into a tag's body.

use super::SIGNATURE;
use super::tag::{PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
use crate::error::{Error, Result};

/// Reads tags from bytes that are passed in; holds none of them.
///
/// ```
/// use rtmp::flv::{FILE_HEADER, TagHeader, TagReader};
///
/// let header = TagHeader { kind: 9, length: 2, timestamp: 40 };
/// let file = [&FILE_HEADER[..], &header.write(), b"\x17\x01", &header.previous_tag_size()].concat();
///
/// let (mut reader, mut rest) = (TagReader::new(), &file[..]);
/// loop {
///     let decoded = reader.next(rest)?;
///     let Some(tag) = decoded.tag else { break };
///     rest = &rest[decoded.consumed..];
///     assert_eq!((tag.header.timestamp, tag.body), (40, &b"\x17\x01"[..]));
/// }
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct TagReader {
    /// Bytes to skip before the next tag or file header.
    skip: usize,
}

/// A tag of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The header before the body.
    pub header: TagHeader,
    /// The body.
    pub body: &'a [u8],
}

/// The result for some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The number of used bytes. With 0, more are needed; at the end of a file, the rest is an incomplete tag.
    pub consumed: usize,
    /// A tag, if the bytes complete one.
    pub tag: Option<Tag<'a>>,
}

impl TagReader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next tag at the start of `input`, which continues after the bytes that previous calls used.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Decoded<'a>> {
        let mut position = 0;
        loop {
            let skipped = self.skip.min(input.len() - position);
            self.skip -= skipped;
            position += skipped;
            let rest = &input[position..];
            if !rest.starts_with(&SIGNATURE) {
                let tag = parse_tag(rest);
                if let Some(tag) = tag {
                    position += TAG_HEADER_LEN + tag.body.len();
                    self.skip = PREVIOUS_TAG_SIZE_LEN;
                }
                return Ok(Decoded { consumed: position, tag });
            }
            let Some(len) = file_header_len(rest)? else {
                return Ok(Decoded { consumed: position, tag: None });
            };
            self.skip = len + PREVIOUS_TAG_SIZE_LEN;
        }
    }
}

/// The tag at the start of `bytes`, if it is complete.
fn parse_tag(bytes: &[u8]) -> Option<Tag<'_>> {
    let header = TagHeader::parse(bytes)?;
    let body = bytes.get(TAG_HEADER_LEN..TAG_HEADER_LEN + header.body_len())?;
    Some(Tag { header, body })
}

/// Length of the file header at the start of `bytes`; `None` if more bytes are needed.
fn file_header_len(bytes: &[u8]) -> Result<Option<usize>> {
    let &[_, _, _, _, _, o0, o1, o2, o3, ..] = bytes else { return Ok(None) };
    let len = u32::from_be_bytes([o0, o1, o2, o3]) as usize;
    if !(FILE_HEADER_LEN..=MAX_FILE_HEADER_LEN).contains(&len) {
        return Err(Error::malformed("FLV header", "impossible data offset"));
    }
    Ok(Some(len))
}

/// Length of the file header of version 1; later versions may have a longer one.
const FILE_HEADER_LEN: usize = 9;

/// More than any header needs; if it is longer, the file is not FLV.
const MAX_FILE_HEADER_LEN: usize = 0xFFFF;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::FILE_HEADER;

    type OwnedTag = (TagHeader, Vec<u8>);

    /// All tags of `bytes` when they come in pieces of `step`, and how many bytes were not used.
    fn tags(bytes: &[u8], step: usize) -> Result<(Vec<OwnedTag>, usize)> {
        let mut reader = TagReader::new();
        let (mut found, mut from, mut to) = (Vec::new(), 0, 0);
        while to < bytes.len() {
            to = (to + step).min(bytes.len());
            loop {
                let decoded = reader.next(&bytes[from..to])?;
                from += decoded.consumed;
                let Some(tag) = decoded.tag else { break };
                found.push((tag.header, tag.body.to_vec()));
            }
        }
        Ok((found, to - from))
    }

    fn tag(kind: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let header = TagHeader { kind, length: body.len() as u32, timestamp };
        [&header.write()[..], body, &header.previous_tag_size()].concat()
    }

    #[test]
    fn tags_are_found_wherever_the_bytes_are_cut() {
        let file = [&FILE_HEADER[..], &tag(9, 0, b"video"), &tag(8, 3, b""), &tag(8, 9, b"au")].concat();
        let (whole, rest) = tags(&file, file.len()).unwrap();
        assert_eq!(rest, 0);
        assert_eq!(whole.iter().map(|(header, _)| header.timestamp).collect::<Vec<_>>(), [0, 3, 9]);
        assert_eq!(whole[0].1, b"video");
        for step in 1..file.len() {
            assert_eq!(tags(&file, step).unwrap(), (whole.clone(), 0), "pieces of {step}");
        }
    }

    #[test]
    fn header_may_be_missing_or_longer_or_repeated() {
        let longer = b"FLV\x01\x05\0\0\0\x0Bxx\0\0\0\0";
        let file = [&tag(8, 1, b"a")[..], longer, &tag(8, 2, b"b"), &FILE_HEADER, &tag(8, 3, b"c")];
        let (found, rest) = tags(&file.concat(), 7).unwrap();
        assert_eq!((found.len(), rest), (3, 0));
        assert_eq!(found[2].1, b"c");
    }

    #[test]
    fn last_tag_needs_no_size_and_wrong_sizes_are_ignored() {
        let mut file = [tag(8, 1, b"a"), tag(8, 2, b"b")].concat();
        file[12..16].fill(0xFF);
        for missing in 1..=4 {
            let (found, rest) = tags(&file[..file.len() - missing], 100).unwrap();
            assert_eq!((found.len(), rest), (2, 0));
        }
        let (found, rest) = tags(&file[..file.len() - 5], 100).unwrap();
        assert_eq!((found.len(), rest), (1, 11), "the second tag's body is missing");
    }

    #[test]
    fn impossible_data_offset_is_an_error() {
        assert!(tags(b"FLV\x01\x05\xFF\0\0\0", 9).is_err());
        assert!(tags(b"FLV\x01\x05\0\0\0\x08", 9).is_err());
    }
}
