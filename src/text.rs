//! Bytes of a peer as text for a log line.

#![forbid(unsafe_code)]

use std::fmt;

/// Bytes shown as text, with what cannot be printed escaped.
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.0))
    }
}
