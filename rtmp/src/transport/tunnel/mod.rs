//! RTMPT: a byte stream carried in the bodies of HTTP requests and their replies.
//!
//! The client asks (`open`, `send`, `idle`, `close`), the server can only answer, so a client that waits for bytes has
//! to ask for them again and again. [`Client`] and the parsers know HTTP and the four requests, no sockets and no
//! clock. [`Tunnel`] is the client's blocking side, over any [`Carrier`]; [`server`] is the server's. What the bytes
//! mean is none of this module's business.

mod client;
mod link;
mod mailbox;
mod pump;
mod reply;
mod request;
pub mod server;

use std::fmt;

pub use client::{Client, Decoded, Poll, Status};
pub use link::Link;
pub use pump::{Carrier, Ending, Tunnel};
pub use request::{Head, Target, parse_head};

use crate::error::{Error, Result};

/// What a request asks for. Each is a `POST`; all but `open` name the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start a session.
    Open,
    /// Take bytes, and give what there is.
    Send,
    /// Give what there is.
    Idle,
    /// End the session.
    Close,
}

/// The name of a session: text that can stand in the path of a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(String);

/// The body of requests that carry nothing.
const NOTHING: [u8; 1] = [0];

/// The longest head of a request or reply.
const MAX_HEAD: usize = 16 << 10;

/// The most header lines in one head.
const MAX_HEADERS: usize = 64;

impl Command {
    /// The first part of the path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Send => "send",
            Self::Idle => "idle",
            Self::Close => "close",
        }
    }
}

impl SessionId {
    /// The longest name of a session, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// A name as a server gave it, or as it stood in a path.
    pub fn new(text: &[u8]) -> Result<Self> {
        if text.len() > Self::MAX_LEN {
            return Err(Error::TooLarge("session id of an HTTP tunnel"));
        }
        match str::from_utf8(text) {
            Ok(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(name.to_owned()))
            }
            _ => Err(Error::malformed("session id of an HTTP tunnel", "not a row of printable characters")),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Enough to tell sessions apart in a log, not enough to take one over.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}…", self.0)
    }
}

/// Whether a comma-separated header value has `token` in it, in any case.
fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The value of `Content-Length`: digits, or the same digits more than once.
fn parse_length(value: &[u8]) -> Result<u32> {
    let mut length = None;
    for part in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
            return Err(Error::malformed("HTTP head", "Content-Length is not a number"));
        }
        // Digits only, so all that can be wrong is the size; and what does not fit an `int` is no length of a reply.
        let number = str::from_utf8(part)
            .ok()
            .and_then(|digits| digits.parse::<i32>().ok())
            .ok_or(Error::TooLarge("Content-Length of an HTTP tunnel"))?
            .cast_unsigned();
        if length.replace(number).is_some_and(|earlier| earlier != number) {
            return Err(Error::malformed("HTTP head", "Content-Length has two values"));
        }
    }
    length.ok_or(Error::malformed("HTTP head", "Content-Length is empty"))
}

/// Length of the head at the start of `bytes`, empty line included, once all of it is there. Lines may end with LF only.
/// Looks at what lies behind `seen` only, where the end was not found before.
fn head_len(bytes: &[u8], seen: usize) -> Option<usize> {
    let start = seen.saturating_sub(3);
    let tail = bytes.get(start..)?;
    tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        let end = start + at + 1;
        let before = &bytes[..end - 1];
        (before.ends_with(b"\n\r") || before.ends_with(b"\n")).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_numbers_of_any_spacing_and_nothing_else() {
        for (value, expected) in [("0", 0), (" 17 ", 17), ("5, 5", 5), ("\t2147483647", 0x7FFF_FFFF)] {
            assert_eq!(parse_length(value.as_bytes()).unwrap(), expected, "{value:?}");
        }
        for value in ["", " ", "-1", "+1", "1 2", "0x10", "5, 6", "5,", "\u{0661}", "1e3"] {
            assert!(matches!(parse_length(value.as_bytes()), Err(Error::Malformed { .. })), "{value:?}");
        }
        for value in ["2147483648", "99999999999999999999999999"] {
            assert!(matches!(parse_length(value.as_bytes()), Err(Error::TooLarge(_))), "{value:?}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_split() {
        for head in [&b"a\r\nb: c\r\n\r\n"[..], b"a\nb\n\n", b"a\nb\n\r\n"] {
            for seen in 0..head.len() {
                assert_eq!(head_len(&head[..seen], 0), None);
                assert_eq!(head_len(&[head, b"rest\n\n"].concat(), seen), Some(head.len()));
            }
        }
    }

    #[test]
    fn session_ids_are_bounded_and_printable() {
        for good in [&b"1"[..], b"aB-_.~=+/9", &[b'x'; SessionId::MAX_LEN]] {
            assert_eq!(SessionId::new(good).unwrap().as_str().as_bytes(), good);
        }
        for bad in [&b""[..], b"a b", b"a\r\nX: y", b"a\0", b"\xC3\xA9", &[b'x'; SessionId::MAX_LEN + 1]] {
            assert!(SessionId::new(bad).is_err());
        }
    }
}
