//! RTMPT: a byte stream carried in the bodies of HTTP requests and their replies.
//!
//! The client asks (`open`, `send`, `idle`, `close`), the server can only answer, so a client that waits for bytes has
//! to ask for them again and again. [`Client`] and [`Server`] know HTTP and the four requests, no sockets and no
//! clock; [`net`](crate::net) has the connections. What the bytes mean is none of this module's business.

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

/// How long the other side may take for its next message when a session ends. Longer than for a TCP connection: there the system
/// continues when the program has given up.
pub(crate) const NEXT_REPLY: Duration = Duration::from_secs(5);

/// The body of requests that carry nothing.
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

    /// A name as a server gave it, or as it stood in a path.
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

/// Enough to tell sessions apart in a log, not enough to take one over.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}…", self.0)
    }
}

/// The length of the body behind a head, if it is said. What does not fit an `int` is none.
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
