//! HTTP replies as a sequence of events. Does not know the meaning of their bodies.

use std::ops::Range;

use super::{MAX_HEADERS, content_length};
use crate::{
    error::{Error, Refusal, Result},
    http::{
        body::Body,
        head::{self, MAX_HEAD, Response},
    },
};

/// Parses replies, however they are split. Keeps an incomplete head, but never a body.
#[derive(Debug, Default)]
pub(super) struct Replies {
    state: State,
    head: Vec<u8>,
    /// The number of successive interim replies.
    interim: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body {
        body: Body,
        keep_alive: bool,
    },
    /// Later bytes of this connection are ignored.
    Over,
    /// The received bytes are invalid, and so is everything after them.
    Failed,
}

/// The meaning of the next bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// More bytes are needed.
    More,
    /// A final reply has begun.
    Begin,
    /// A piece of a body: its position in the input.
    Content(Range<usize>),
    /// The reply is complete; `keep_alive` is whether the connection can be used again.
    End { keep_alive: bool },
}

/// The limit of interim replies before a final one.
const MAX_INTERIM: u32 = 16;

impl Replies {
    /// The next event, and the number of bytes of `input` that belong to it. Call it until it returns [`Event::More`].
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, Event)> {
        self.take(input).inspect_err(|_| self.state = State::Failed)
    }

    /// The connection has ended. Returns whether that completed a reply; in the middle of one it is an error.
    pub(super) fn finish(&mut self) -> Result<bool> {
        let state = std::mem::take(&mut self.state);
        let head_begun = !self.head.is_empty();
        *self = Self::default();
        match state {
            State::Body { body: Body::UntilClose, .. } => Ok(true),
            State::Body { .. } | State::Failed => Err(Error::Closed),
            State::Head if head_begun => Err(Error::Closed),
            State::Head | State::Over => Ok(false),
        }
    }

    /// The number of missing bytes of the body, if the reply gave its length.
    pub(super) fn missing(&self) -> u32 {
        match self.state {
            State::Body { body: Body::Length(missing), .. } => u32::try_from(missing).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<(usize, Event)> {
        match &mut self.state {
            State::Head => self.take_head(input),
            State::Body { body, keep_alive } => {
                let (consumed, content) = if body.is_complete() { (0, 0..0) } else { body.next(input)? };
                if !content.is_empty() {
                    return Ok((consumed, Event::Content(content)));
                }
                if !body.is_complete() {
                    return Ok((consumed, Event::More));
                }
                let keep_alive = *keep_alive;
                self.state = if keep_alive { State::Head } else { State::Over };
                Ok((consumed, Event::End { keep_alive }))
            }
            State::Over => Ok((input.len(), Event::More)),
            State::Failed => Err(Error::Closed),
        }
    }

    fn take_head(&mut self, input: &[u8]) -> Result<(usize, Event)> {
        let mut skipped = 0;
        if self.head.is_empty() {
            skipped = head::empty_lines(input);
        }
        let fresh = &input[skipped..];
        let before = self.head.len();
        let room = MAX_HEAD - before;
        self.head.extend_from_slice(&fresh[..fresh.len().min(room)]);
        let Some(len) = head::len(&self.head, before) else {
            if self.head.len() == MAX_HEAD {
                return Err(Error::TooLarge("head of an HTTP reply"));
            }
            return Ok((input.len(), Event::More));
        };
        self.head.truncate(len);
        let consumed = skipped + len - before;
        let state = parse(&self.head)?;
        self.head.clear();
        match state {
            Some(state) => {
                self.interim = 0;
                self.state = state;
                Ok((consumed, Event::Begin))
            }
            None if self.interim == MAX_INTERIM => {
                Err(Error::malformed("HTTP reply", "too many interim replies"))
            }
            None => {
                self.interim += 1;
                let (more, event) = self.take_head(&input[consumed..])?;
                Ok((consumed + more, event))
            }
        }
    }
}

/// The meaning of a reply's head for its body; `None` for an interim reply.
fn parse(head: &[u8]) -> Result<Option<State>> {
    let Ok(Some((Response { status, reason, headers }, _))) = Response::parse(head, MAX_HEADERS) else {
        return Err(Error::malformed("HTTP reply", "its head cannot be read"));
    };
    match status {
        200 => {}
        100 | 102..=199 => return Ok(None),
        _ => {
            return Err(Error::Refused(Refusal {
                method: "a tunnelling request".to_owned(),
                code: format!("HTTP {status}"),
                description: reason.to_owned(),
                ..Refusal::default()
            }));
        }
    }
    let mut keep_alive = headers.keep_alive();
    let mut encodings = headers.values("Transfer-Encoding").peekable();
    let body = if encodings.peek().is_some() {
        if !encodings.all(|value| value.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
            return Err(Error::Unsupported("the transfer encoding of an HTTP reply"));
        }
        Body::CHUNKED
    } else if let Some(length) = content_length(&headers)? {
        Body::Length(length.into())
    } else {
        keep_alive = false;
        Body::UntilClose
    };
    Ok(Some(State::Body { body, keep_alive }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies of complete replies, and whether each leaves the connection usable. The input arrives in steps of `step` bytes.
    fn replies(input: &[u8], step: usize) -> Result<Vec<(Vec<u8>, bool)>> {
        let mut replies = Replies::default();
        let mut complete = Vec::new();
        let mut body = Vec::new();
        for piece in input.chunks(step) {
            let mut rest = piece;
            loop {
                let (consumed, event) = replies.next(rest)?;
                match event {
                    Event::More => {
                        assert_eq!(consumed, rest.len(), "a decoder that wants more has used what it got");
                        break;
                    }
                    Event::Begin => assert!(body.is_empty()),
                    Event::Content(range) => body.extend_from_slice(&rest[range]),
                    Event::End { keep_alive } => complete.push((std::mem::take(&mut body), keep_alive)),
                }
                rest = &rest[consumed..];
            }
        }
        if replies.finish()? {
            complete.push((body, false));
        }
        Ok(complete)
    }

    #[test]
    fn replies_are_the_same_wherever_they_are_split() {
        type Case = (&'static str, &'static [(&'static str, bool)]);
        let cases: &[Case] = &[
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", &[("abc", true)]),
            ("HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", &[("abc", true)]),
            ("HTTP/1.1 200 OK\r\nCONTENT-LENGTH   :  \t3  \r\n\r\nabc", &[("abc", true)]),
            ("HTTP/1.1 200\r\nContent-Type: x\r\nContent-length: 3\r\n\r\nabc", &[("abc", true)]),
            ("HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", &[("abc", true)]),
            ("\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\r\n", &[("abc", true)]),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 3\r\n\r\nabcd", &[("abc", false)]),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", &[("abc", false)]),
            (
                "HTTP/1.0 200 OK\r\nconnection: foo , Keep-Alive\r\nContent-Length: 3\r\n\r\nabc",
                &[("abc", true)],
            ),
            ("HTTP/1.1 200 OK\r\n\r\nabc", &[("abc", false)]),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                &[("abc", true)],
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nbc",
                &[("a", true), ("", true), ("bc", true)],
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n002;x=y\r\nde\r\n0\r\nT: x\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nf",
                &[("abcde", true), ("f", true)],
            ),
        ];
        for (input, expected) in cases {
            for step in 1..=input.len() {
                let seen = replies(input.as_bytes(), step).unwrap();
                let seen: Vec<_> =
                    seen.iter().map(|(body, keep)| (std::str::from_utf8(body).unwrap(), *keep)).collect();
                assert_eq!(seen, *expected, "{input:?} by {step}");
            }
        }
    }

    #[test]
    fn invalid_replies_are_errors() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100_000);
        let trailer =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "a: b\r\n".repeat(9000));
        let cases = [
            "ICY 200 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "\x03\0\0\0\0\0\0\n\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            &long,
            &many,
            &interim,
            &trailer,
        ];
        for input in cases {
            for step in [1, 7, 4096, input.len()] {
                let shown = &input[..input.len().min(80)];
                assert!(replies(input.as_bytes(), step).is_err(), "{shown:?} by {step}");
            }
        }
    }

    #[test]
    fn nothing_counts_after_an_error() {
        let mut replies = Replies::default();
        assert!(replies.next(b"HTTP/1.1 404 Gone\r\n\r\n").is_err());
        assert!(replies.next(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(replies.finish().is_err());
    }

    #[test]
    fn refusing_status_is_reported_in_its_own_words() {
        let Err(error) = replies(b"HTTP/1.1 404 Session gone\r\n\r\n", 99) else { panic!("not an error") };
        assert_eq!(error.to_string(), "HTTP 404: Session gone (in answer to a tunnelling request)");
    }

    #[test]
    fn a_connection_that_ends_in_a_reply_is_closed() {
        for input in ["HTTP/1.", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"] {
            assert!(matches!(replies(input.as_bytes(), 5), Err(Error::Closed)), "{input:?}");
        }
        assert_eq!(replies(b"", 1).unwrap(), []);
    }

    #[test]
    fn damaged_replies_never_panic() {
        let good = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
                     HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for at in 0..good.len() {
            for value in [0, b'\n', b'\r', b' ', b'-', b'9', b':', 0x80, 0xFF] {
                let mut bad = good.to_vec();
                bad[at] = value;
                let _ = replies(&bad, 3);
                let _ = replies(&bad[..at], 1000);
            }
        }
    }
}
