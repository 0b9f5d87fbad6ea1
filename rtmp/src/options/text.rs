//! The text after a URL: the limits of its options, and the escapes in a value.

use std::ops::Range;

use crate::{
    error::{Error, Result},
    url::hex_pair,
};

/// The position of an option in the text; the character after each range is a separator or the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Up to the equals sign.
    pub name: Range<usize>,
    /// Up to the next space.
    pub value: Range<usize>,
}

/// The first option at or after `start`, spaces skipped; `None` if no equals sign follows.
pub fn next_pair(text: &[u8], start: usize) -> Option<Pair> {
    let rest = text.get(start..)?;
    let name = start + rest.iter().position(|&byte| byte != b' ')?;
    let equals = name + text[name..].iter().position(|&byte| byte == b'=')?;
    let value = equals + 1;
    let len = text[value..].iter().position(|&byte| byte == b' ').unwrap_or(text.len() - value);
    Some(Pair { name: name..equals, value: value..value + len })
}

/// Decodes `\xx` in place and returns the new length. A backslash without two characters after it is an error; one without two
/// hexadecimal digits stays unchanged.
pub fn unescape(value: &mut [u8]) -> Result<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = value.get(from) {
        let mut decoded = byte;
        from += 1;
        if byte == b'\\' {
            let [high, low, ..] = value[from..] else {
                return Err(Error::malformed("option value", "a backslash without two characters behind it"));
            };
            if let Some(escaped) = hex_pair(high, low) {
                decoded = escaped;
                from += 2;
            }
        }
        value[to] = decoded;
        to += 1;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(&str, &str)> {
        let (mut start, mut found) = (0, Vec::new());
        while let Some(pair) = next_pair(text.as_bytes(), start) {
            start = pair.value.end;
            found.push((&text[pair.name], &text[pair.value]));
        }
        found
    }

    #[test]
    fn options_are_separated_by_any_number_of_spaces() {
        assert_eq!(pairs("a=1 b=2"), [("a", "1"), ("b", "2")]);
        assert_eq!(pairs("  a=1   b=2  "), [("a", "1"), ("b", "2")]);
        assert_eq!(pairs("a= b=c=d"), [("a", ""), ("b", "c=d")]);
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("   "), []);
    }

    #[test]
    fn a_word_without_a_value_ends_the_list_or_spoils_the_next_name() {
        assert_eq!(pairs("a=1 live"), [("a", "1")]);
        assert_eq!(pairs("live a=1"), [("live a", "1")]);
        assert_eq!(pairs("=x"), [("", "x")]);
    }

    fn unescaped(text: &str) -> Option<Vec<u8>> {
        let mut bytes = text.as_bytes().to_vec();
        let len = unescape(&mut bytes).ok()?;
        bytes.truncate(len);
        Some(bytes)
    }

    #[test]
    fn escapes_are_two_hexadecimal_digits() {
        assert_eq!(unescaped(r"LNX\2011,2").unwrap(), b"LNX 11,2");
        assert_eq!(unescaped(r"\5c41").unwrap(), br"\41");
        assert_eq!(unescaped(r"x\zzb").unwrap(), br"x\zzb");
        assert_eq!(unescaped(r"\\20").unwrap(), br"\ ");
        for truncated in [r"\", r"\2", r"a\", r"\20\2"] {
            assert_eq!(unescaped(truncated), None);
        }
    }
}
