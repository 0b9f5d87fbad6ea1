//! Bytes of a peer as text for a log line, without control characters and line breaks.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Bytes of a peer as text for a log line.
///
/// UTF-8 stays unchanged. Control characters other than tab, and bytes that are not UTF-8, become escapes such as `\x1b`. A
/// backslash is not escaped, so the result is for reading, not for parsing.
///
/// ```
/// assert_eq!(rtmp::text::Text(b"bell \x07 and \xFF").to_string(), r"bell \x07 and \xff");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            write_escaped(f, chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// `text` as [`Text`] shows it; a line that needs no escape is not copied.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(needs_escape) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Text(text.as_bytes()).to_string())
}

/// A log record as one line: cut after `limit` bytes, and escaped except for a newline at its end, which belongs to the message.
pub fn log_line(mut text: String, limit: usize) -> String {
    let newline = text.ends_with('\n');
    if newline {
        text.pop();
    }
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
    }
    let mut line = escaped(&text).into_owned();
    if newline {
        line.push('\n');
    }
    line
}

/// Text in the log as librtmp writes it: missing or empty text is `(null)`.
pub struct OrNull<'a>(pub(crate) Option<&'a [u8]>);

impl fmt::Display for OrNull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some([]) => f.write_str("(null)"),
            Some(text) => Text(text).fmt(f),
        }
    }
}

/// Replacement for a secret in the log.
pub const NOT_SHOWN: &str = "(not shown)";

/// The text before the encoded password of a publisher in an address.
pub const ANSWER: &[u8] = b"&response=";

/// An address without the answer to a publisher's challenge.
pub fn without_answer(address: &[u8]) -> Cow<'_, [u8]> {
    let Some(at) = position(address, ANSWER) else { return Cow::Borrowed(address) };
    let (front, answer) = address.split_at(at + ANSWER.len());
    let end = answer.iter().position(|byte| *byte == b'&').unwrap_or(answer.len());
    Cow::Owned([front, NOT_SHOWN.as_bytes(), &answer[end..]].concat())
}

/// The position of `needle`, which is not empty.
pub fn position(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

/// Bytes in a line of a dump.
pub const ROW: usize = 16;

/// Bytes in hexadecimal, 16 in a line; only a full line ends without a space.
pub fn hex_rows(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(ROW).map(|row| {
        let mut line: String =
            row.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15), ' ']).collect();
        if row.len() == ROW {
            line.pop();
        }
        line
    })
}

/// Bytes in hexadecimal and as characters, 16 in a line of 78 columns.
pub fn dump_rows(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(ROW).enumerate().map(|(number, row)| {
        let line = dump_row(number * ROW, row, |byte| matches!(byte, b' '..=b'~'));
        String::from_utf8(line).unwrap_or_default()
    })
}

/// One line of [`dump_rows`]; `printable` selects the bytes that are shown unchanged.
pub fn dump_row(offset: usize, row: &[u8], printable: impl Fn(u8) -> bool) -> Vec<u8> {
    // The modulus is librtmp's own; dumps of more than 65,535 bytes compare equal this way.
    let mut line = format!("  {:04x}:  ", offset % 65_535);
    for (number, byte) in row.iter().enumerate() {
        if number == ROW / 2 {
            line.push(' ');
        }
        line.extend([hex_digit(byte >> 4), hex_digit(byte & 15), ' ']);
    }
    let mut line = line.into_bytes();
    line.resize(TEXT_COLUMN, b' ');
    line.extend(row.iter().map(|&byte| if printable(byte) { byte } else { b'.' }));
    line.resize(COLUMNS, b' ');
    line
}

/// The column of the characters in a line of [`dump_rows`].
const TEXT_COLUMN: usize = 60;
/// The length of such a line.
const COLUMNS: usize = 78;

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble & 15), 16).unwrap_or('0')
}

fn write_escaped(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (plain, tail) = rest.split_at(at);
        out.write_str(plain)?;
        let mut tail = tail.chars();
        // Control characters end at U+009F.
        write!(out, "\\x{:02x}", tail.next().map_or(0, u32::from))?;
        rest = tail.as_str();
    }
    out.write_str(rest)
}

fn needs_escape(c: char) -> bool {
    c.is_control() && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_text_is_unchanged() {
        for text in ["", "stream\tname", "C:\\flv", "Größe 日本語"] {
            assert_eq!(Text(text.as_bytes()).to_string(), text);
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn only_a_full_hex_line_ends_without_a_space() {
        let bytes: Vec<u8> = (0..17).collect();
        let lines: Vec<_> = hex_rows(&bytes).collect();
        assert_eq!(lines, ["00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f", "10 "]);
    }

    #[test]
    fn a_line_of_a_dump_always_has_78_columns() {
        let bytes: Vec<u8> = (0x10..0x24).collect();
        let lines: Vec<_> = dump_rows(&bytes).collect();
        assert_eq!(
            lines,
            [
                "  0000:  10 11 12 13 14 15 16 17  18 19 1a 1b 1c 1d 1e 1f   ................  ",
                "  0010:  20 21 22 23                                         !\"#              ",
            ]
        );
        assert!(lines.iter().all(|line| line.len() == 78));
    }

    #[test]
    fn the_offset_of_a_dump_wraps_at_65535() {
        assert_eq!(dump_row(65_536, b"x", |_| true)[..7], *b"  0001:");
    }

    #[test]
    fn the_answer_to_a_challenge_is_not_shown() {
        let shown = |text: &str| String::from_utf8(without_answer(text.as_bytes()).into_owned()).unwrap();
        assert_eq!(shown("app?user=u&response=abc&opaque=o"), "app?user=u&response=(not shown)&opaque=o");
        assert_eq!(shown("app?user=u&response=abc"), "app?user=u&response=(not shown)");
        assert_eq!(shown("app?user=u"), "app?user=u");
    }

    #[test]
    fn control_characters_and_stray_bytes_are_escaped() {
        assert_eq!(Text(b"a\x1b[2Jb\r\nERROR: c\0\x7f").to_string(), r"a\x1b[2Jb\x0d\x0aERROR: c\x00\x7f");
        assert_eq!(Text(b"\xff\xc3(\xc2\x9b1m\xe6\x97").to_string(), r"\xff\xc3(\x9b1m\xe6\x97");
        assert_eq!(escaped("one\ntwo"), r"one\x0atwo");
    }
}
