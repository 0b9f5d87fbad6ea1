//! Responses to our request: the contents of their head.

use super::head::{self, MAX_HEAD};
use crate::error::{Error, Result};

/// The relevant contents of a response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The length of the body, if it is given.
    pub content_length: Option<u64>,
    /// The date of the resource, in the server's words.
    pub last_modified: Option<Vec<u8>>,
}

/// The result of decoding a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The head is not complete; its status may already be known.
    Incomplete {
        /// The status code.
        status: Option<u16>,
    },
    /// The head, and its length in bytes.
    Complete {
        /// The beginning of the body.
        consumed: usize,
        /// The contents of the head.
        head: Head,
    },
}

/// Reads the head of a response from all received bytes. Lines may end in LF alone, and lines that are not headers are skipped.
pub fn decode(input: &[u8]) -> Result<Progress> {
    if !input.iter().zip(SIGNATURE).all(|(byte, expected)| byte == expected) {
        return Err(NOT_HTTP);
    }
    let input = input.get(..MAX_HEAD).unwrap_or(input);
    match head::Response::parse(input, MAX_HEADERS) {
        Ok(Some((response, consumed))) => {
            // If a header is repeated, librtmp uses the last one.
            let last = |name| response.headers.values(name).next_back();
            Ok(Progress::Complete {
                consumed,
                head: Head {
                    status: response.status,
                    content_length: last("Content-Length").and_then(length),
                    last_modified: last("Last-Modified").map(<[u8]>::to_vec),
                },
            })
        }
        Ok(None) if input.len() == MAX_HEAD => {
            Err(Error::malformed("HTTP response", "its head is longer than 16 KiB"))
        }
        Ok(None) => Ok(Progress::Incomplete { status: head::Response::status(input) }),
        Err(_) => Err(NOT_HTTP),
    }
}

/// The number at the start of a text, if there is one.
fn length(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |value: Option<u64>, digit| {
        Some(value.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// As many as fit into a head: librtmp does not count them.
const MAX_HEADERS: usize = MAX_HEAD;

/// The first bytes of every response of the supported versions.
const SIGNATURE: &[u8] = b"HTTP/1";

const NOT_HTTP: Error = Error::malformed("HTTP response", "it is not one of HTTP/1");

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] =
        b"HTTP/1.0 200 OK\r\nDate: x\r\ncontent-LENGTH: 5\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n";

    fn head(input: &[u8]) -> Head {
        match decode(input) {
            Ok(Progress::Complete { head, .. }) => head,
            other => panic!("{}: {other:?}", input.escape_ascii()),
        }
    }

    fn status(input: &[u8]) -> Option<u16> {
        match decode(input) {
            Ok(Progress::Incomplete { status }) => status,
            other => panic!("{}: {other:?}", input.escape_ascii()),
        }
    }

    #[test]
    fn a_head_has_status_length_and_date() {
        let expected = Head {
            status: 200,
            content_length: Some(5),
            last_modified: Some(b"Mon, 01 Jan 2024 00:00:00 GMT".to_vec()),
        };
        assert_eq!(
            decode(&[OK, b"hello"].concat()).unwrap(),
            Progress::Complete { consumed: OK.len(), head: expected }
        );
    }

    #[test]
    fn every_cut_of_a_head_is_incomplete_and_the_status_is_known_early() {
        for end in 0..OK.len() {
            let known = if end >= 12 { Some(200) } else { None };
            assert_eq!(status(&OK[..end]), known, "{end}");
        }
    }

    #[test]
    fn lines_may_end_in_lf_alone() {
        let expected = Head { status: 200, content_length: Some(2), last_modified: None };
        assert_eq!(head(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n"), expected);
        assert_eq!(head(b"HTTP/1.1 200\nContent-Length: 2\r\n\n"), expected);
    }

    #[test]
    fn lines_that_are_not_headers_are_skipped() {
        let read =
            head(b"HTTP/1.1 200 OK\r\nno colon\r\n: x\r\nA B: c\r\nContent-Length: 7\r\n folded\r\n\r\n");
        assert_eq!(read.content_length, Some(7));
    }

    #[test]
    fn lengths_are_the_number_they_begin_with() {
        let length =
            |text: &str| head(format!("HTTP/1.0 200 OK\r\n{text}\r\n\r\n").as_bytes()).content_length;
        assert_eq!(length("Content-Length: 12abc"), Some(12));
        assert_eq!(length("Content-Length:12"), Some(12));
        assert_eq!(length("Content-Length: -12"), None);
        assert_eq!(length("Content-Length: abc"), None);
        assert_eq!(length("Content-Length: "), None);
        assert_eq!(length("Content-Length: 2\r\nContent-Length: 4"), Some(4));
        assert_eq!(length("Content-Length: 99999999999999999999999"), Some(u64::MAX));
    }

    #[test]
    fn other_protocols_are_refused_at_the_first_byte_that_differs() {
        for input in [&b"G"[..], b"HTTP/2", b"HTTP/2 200 OK\r\n\r\n", b"SSH-2.0", b"HTTP/1.1 abc\r\n\r\n"] {
            assert!(decode(input).is_err(), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn a_head_of_more_than_16_kib_is_refused() {
        let head = |size: usize| {
            let mut head = b"HTTP/1.0 200 OK\r\nX: ".to_vec();
            head.resize(size - 4, b'x');
            [&head[..], b"\r\n\r\nbody"].concat()
        };
        assert!(matches!(decode(&head(MAX_HEAD)), Ok(Progress::Complete { consumed: MAX_HEAD, .. })));
        assert!(decode(&head(MAX_HEAD + 1)).is_err());
        let many = [b"HTTP/1.0 200 OK\r\n".as_slice(), &b"a:\n".repeat(4000), b"\r\n"].concat();
        assert!(matches!(decode(&many), Ok(Progress::Complete { .. })));
    }

    #[test]
    fn no_changed_byte_panics() {
        for index in 0..OK.len() {
            for byte in 0..=u8::MAX {
                let mut changed = OK.to_vec();
                changed[index] = byte;
                let _ = decode(&changed);
                let _ = decode(&changed[..=index]);
            }
        }
    }
}
