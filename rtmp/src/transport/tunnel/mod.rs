//! RTMPT: a byte stream carried in the bodies of HTTP requests and their replies.
//!
//! The client sends requests (`open`, `send`, `idle`, `close`), and the server can only answer, so a client that waits for
//! bytes has to ask for them repeatedly. [`Client`] and [`Server`] know HTTP and the four requests, but no sockets and no
//! clock; [`net`](crate::net) has the connections. The module does not know the meaning of the bytes.

mod client;
mod connection;
mod outbound;
mod reply;
mod request;
mod server;

use std::{fmt, time::Duration};

pub use client::{Client, Decoded, Poll, Status};
pub(crate) use connection::{Connection, MAX_UNWANTED};
pub use request::{Head, Target, parse_head};
pub(crate) use server::MAX_CARRIERS;
pub use server::{Arrived, Server};

use crate::{
    error::{Error, Result},
    http::head::Headers,
};

/// The purpose of a request. Each is a `POST`; all except `open` name the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start a session.
    Open,
    /// Deliver bytes, and return those that are available.
    Send,
    /// Return the available bytes.
    Idle,
    /// End the session.
    Close,
}

/// The name of a session: text that is valid in the path of a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(String);

/// The time limit of the other side's next message when a session ends. It is longer than for a TCP connection, where the
/// system continues after the program has ended.
pub(crate) const NEXT_REPLY: Duration = Duration::from_secs(5);

/// The body of requests without bytes of the stream.
const NOTHING: [u8; 1] = [0];

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

    /// A name as a server sent it, or from a path.
    pub fn new(text: &[u8]) -> Result<Self> {
        if text.len() > Self::MAX_LEN {
            return Err(Error::TooLarge("session id of an HTTP tunnel"));
        }
        match std::str::from_utf8(text) {
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

/// Enough to distinguish sessions in a log, but not enough to take one over.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}…", self.0)
    }
}

/// The length of the body after a head, if it is given. A value that an `int` cannot hold counts as missing.
fn content_length(headers: &Headers<'_>) -> Result<Option<u32>> {
    let Some(length) = headers.content_length()? else { return Ok(None) };
    let length = i32::try_from(length).map_err(|_| Error::TooLarge("Content-Length of an HTTP tunnel"))?;
    Ok(Some(length as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Request;

    #[test]
    fn lengths_fit_an_int() {
        let length = |length: &str| {
            let text = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            let (request, _) = Request::parse(text.as_bytes(), MAX_HEADERS).unwrap().unwrap();
            content_length(&request.headers)
        };
        assert_eq!(length("2147483647").unwrap(), Some(0x7FFF_FFFF));
        for value in ["2147483648", "99999999999999999999999999"] {
            assert!(matches!(length(value), Err(Error::TooLarge(_))), "{value:?}");
        }
        assert!(matches!(length("-1"), Err(Error::Malformed { .. })));
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
