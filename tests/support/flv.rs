//! FLV files: parsed, and compared tag by tag with a readable difference.

use std::fs;
use std::path::Path;

/// One FLV tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: u8,
    pub timestamp: u32,
    pub body: Vec<u8>,
}

impl Tag {
    /// True for the configuration records before AVC video and AAC audio.
    pub fn is_sequence_header(&self) -> bool {
        match self.kind {
            9 => self.body.len() > 1 && self.body[0] & 0x0f == 7 && self.body[1] == 0,
            8 => self.body.len() > 1 && self.body[0] >> 4 == 10 && self.body[1] == 0,
            _ => false,
        }
    }

    pub fn is_key_frame(&self) -> bool {
        self.kind == 9 && self.body.first().is_some_and(|byte| byte >> 4 == 1) && !self.is_sequence_header()
    }

    fn describe(&self) -> String {
        let head: String = self.body.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("type {} time {} length {} {head}", self.kind, self.timestamp, self.body.len())
    }
}

/// Parses a file, whose structure must be correct.
pub fn parse(data: &[u8]) -> Result<Vec<Tag>, String> {
    if data.len() < 13 || &data[..3] != b"FLV" || data[5..9] != [0, 0, 0, 9] || data[9..13] != [0; 4] {
        return Err(format!("no FLV header in {} bytes", data.len()));
    }
    let mut tags = Vec::new();
    let mut rest = &data[13..];
    while !rest.is_empty() {
        let at = data.len() - rest.len();
        let header = rest.get(..11).ok_or(format!("tag header cut off at {at}"))?;
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let timestamp = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        let body = rest.get(11..11 + size).ok_or(format!("tag body cut off at {at}"))?;
        let trailer = rest.get(11 + size..15 + size).ok_or(format!("size after the tag at {at} cut off"))?;
        if trailer != (11 + size as u32).to_be_bytes() {
            return Err(format!("wrong size after the tag at {at}"));
        }
        tags.push(Tag { kind: header[0], timestamp, body: body.to_vec() });
        rest = &rest[15 + size..];
    }
    Ok(tags)
}

/// Parses a file that a recorder may have left unfinished: drops a last tag that is cut, and everything after a second
/// beginning.
pub fn load_part(file: &Path) -> Vec<Tag> {
    let data = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut end = 13.min(data.len());
    while let Some(header) = data.get(end..end + 4).filter(|header| !header.starts_with(b"FLV")) {
        let next = end + 15 + u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        if next > data.len() {
            break;
        }
        end = next;
    }
    parse(&data[..end]).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Parses a whole file.
pub fn load(file: &Path) -> Vec<Tag> {
    let data = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(&data).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Leaves the first half of a film in its file, as an interrupted download would, and returns its tags.
pub fn cut_in_half(file: &Path) -> Vec<Tag> {
    let mut tags = load(file);
    tags.truncate(tags.len() / 2);
    let half: usize = tags.iter().map(|tag| 15 + tag.body.len()).sum();
    let data = fs::read(file).expect("it was just read");
    fs::write(file, &data[..13 + half]).expect("the build directory is writable");
    tags
}

/// The tags with sound or pictures.
pub fn media(tags: &[Tag]) -> Vec<Tag> {
    tags.iter().filter(|tag| tag.kind != 0x12).cloned().collect()
}

/// The tags that RTMP_Read returns for a stream: it omits video of at most 5 bytes (such as the end of an AVC sequence) and
/// audio of at most 1 byte.
pub fn readable(tags: &[Tag]) -> Vec<Tag> {
    let ignored = |tag: &Tag| match tag.kind {
        8 => tag.body.len() <= 1,
        9 => tag.body.len() <= 5,
        _ => false,
    };
    tags.iter().filter(|tag| !ignored(tag)).cloned().collect()
}

/// Panics at the first difference, and shows the tags around it.
pub fn assert_equal(expected: &[Tag], found: &[Tag], what: &str) {
    let differs = expected.iter().zip(found).position(|(a, b)| a != b);
    let at = match differs {
        Some(at) => at,
        None if expected.len() == found.len() => return,
        None => expected.len().min(found.len()),
    };
    let show = |tags: &[Tag]| {
        let lines: Vec<String> = (at.saturating_sub(2)..at + 3)
            .filter_map(|i| tags.get(i).map(|tag| format!("  {i:4}: {}", tag.describe())))
            .collect();
        lines.join("\n")
    };
    panic!(
        "{what}: tag {at} differs ({} tags expected, {} found)\nexpected:\n{}\nfound:\n{}",
        expected.len(),
        found.len(),
        show(expected),
        show(found)
    );
}

/// Checks that sound and pictures of `found` are one uninterrupted part of `sent`, apart from sequence headers, which
/// a server repeats for late players, and returns how many tags that part has. Times may be shifted as a whole.
pub fn assert_contiguous(sent: &[Tag], found: &[Tag], what: &str) -> usize {
    let frames = |tags: &[Tag]| -> Vec<Tag> {
        tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).cloned().collect()
    };
    let (sent, found) = (frames(sent), frames(found));
    let first = found.first().unwrap_or_else(|| panic!("{what}: nothing arrived"));
    let start = sent
        .iter()
        .position(|tag| tag.kind == first.kind && tag.body == first.body)
        .unwrap_or_else(|| panic!("{what}: the first frame was never sent: {}", first.describe()));
    let shift = first.timestamp.wrapping_sub(sent[start].timestamp);
    let end = (start + found.len()).min(sent.len());
    let part: Vec<Tag> = sent[start..end]
        .iter()
        .map(|tag| Tag { timestamp: tag.timestamp.wrapping_add(shift), ..tag.clone() })
        .collect();
    assert_equal(&part, &found, what);
    found.len()
}
