//! Bytes of a peer as text for a log line: nothing in it moves a cursor, rings a bell or starts a line of its own.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Bytes of a peer as text for a log line.
///
/// UTF-8 is shown as it is, except that control characters other than tab, and bytes that are no UTF-8, become
/// escapes like `\x1b`. A backslash stays one, so the result is for reading, not for parsing.
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
    fn readable_text_stays_as_it_is() {
        for text in ["", "stream\tname", "C:\\flv", "Größe 日本語"] {
            assert_eq!(Text(text.as_bytes()).to_string(), text);
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn control_characters_and_stray_bytes_are_escaped() {
        assert_eq!(Text(b"a\x1b[2Jb\r\nERROR: c\0\x7f").to_string(), r"a\x1b[2Jb\x0d\x0aERROR: c\x00\x7f");
        assert_eq!(Text(b"\xff\xc3(\xc2\x9b1m\xe6\x97").to_string(), r"\xff\xc3(\x9b1m\xe6\x97");
        assert_eq!(escaped("one\ntwo"), r"one\x0atwo");
    }
}
