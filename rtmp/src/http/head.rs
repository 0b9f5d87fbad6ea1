//! Heads of HTTP/1 messages: the first line and the headers.
//!
//! Finds the end of a head and interprets its headers for HTTP. The caller decides about statuses and paths, and names errors.

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use crate::error::{Error, Result};

/// The longest head that is read.
pub(crate) const MAX_HEAD: usize = 16 << 10;

/// The head of a request, which must follow the grammar.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The target as it was sent.
    pub(crate) path: &'a str,
    pub(crate) headers: Headers<'a>,
}

/// The head of a response. Lines that are not headers are skipped, folded ones are joined.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// The text after the status; may be empty.
    pub(crate) reason: &'a str,
    pub(crate) headers: Headers<'a>,
}

/// The headers of a message, and its version.
pub(crate) struct Headers<'a> {
    /// 0 for HTTP/1.0.
    minor_version: u8,
    list: Vec<Header<'a>>,
}

impl<'a> Request<'a> {
    /// The head at the start of `input` and its length; `None` if it is not complete.
    pub(crate) fn parse(
        input: &'a [u8],
        max_headers: usize,
    ) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut list = room(input, max_headers);
        let mut request = httparse::Request::new(&mut list);
        let Status::Complete(len) = request.parse(input)? else { return Ok(None) };
        let (Some(method), Some(path), Some(minor_version)) = (request.method, request.path, request.version)
        else {
            return Ok(None);
        };
        let count = request.headers.len();
        list.truncate(count);
        Ok(Some((Self { method, path, headers: Headers { minor_version, list } }, len)))
    }
}

impl<'a> Response<'a> {
    /// The head at the start of `input` and its length; `None` if it is not complete.
    pub(crate) fn parse(
        input: &'a [u8],
        max_headers: usize,
    ) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut list = room(input, max_headers);
        let mut response = httparse::Response::new(&mut list);
        let Status::Complete(len) = lenient().parse_response(&mut response, input)? else { return Ok(None) };
        let (Some(status), Some(minor_version)) = (response.code, response.version) else { return Ok(None) };
        let (reason, count) = (response.reason.unwrap_or_default(), response.headers.len());
        list.truncate(count);
        Ok(Some((Self { status, reason, headers: Headers { minor_version, list } }, len)))
    }

    /// The status in a head that may be incomplete.
    pub(crate) fn status(input: &[u8]) -> Option<u16> {
        let mut response = httparse::Response::new(&mut []);
        // It fails because there is no room for headers, but the status comes before them.
        let _ = lenient().parse_response(&mut response, input);
        response.code
    }
}

impl<'a> Headers<'a> {
    /// The values of a header in their order. Names match without regard to case.
    pub(crate) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.list
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// Whether a header, whose value is a list, contains `token`. Case does not matter.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        let tokens = self.values(name).flat_map(|value| value.split(|byte| *byte == b','));
        tokens.map(<[u8]>::trim_ascii).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the connection can be used for another message after this one, according to the head.
    pub(crate) fn keep_alive(&self) -> bool {
        match self.minor_version {
            0 => self.has_token("Connection", "keep-alive"),
            _ => !self.has_token("Connection", "close"),
        }
    }

    /// The length of the body: digits, or the same digits several times. A very large one is `u64::MAX`.
    pub(crate) fn content_length(&self) -> Result<Option<u64>> {
        let mut length = None;
        for part in self.values("Content-Length").flat_map(|value| value.split(|byte| *byte == b',')) {
            let part = part.trim_ascii();
            if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
                return Err(Error::malformed("HTTP head", "Content-Length is not a number"));
            }
            // There are only digits, so only the size can be wrong.
            let number =
                std::str::from_utf8(part).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
            if length.replace(number).is_some_and(|earlier| earlier != number) {
                return Err(Error::malformed("HTTP head", "Content-Length has two values"));
            }
        }
        Ok(length)
    }
}

/// The number of bytes of empty lines before a head; they do not belong to it (RFC 9112, 2.2).
pub(crate) fn empty_lines(input: &[u8]) -> usize {
    input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// The length of the head at the start of `input`, including the empty line, once it is complete. Lines may end with LF only.
/// Looks only at bytes after `seen`, because the end was not found before.
pub(crate) fn len(input: &[u8], seen: usize) -> Option<usize> {
    let start = seen.saturating_sub(3);
    let tail = input.get(start..)?;
    tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        let end = start + at + 1;
        let before = &input[..end - 1];
        (before.ends_with(b"\n\r") || before.ends_with(b"\n")).then_some(end)
    })
}

/// Room for the headers of a head, which has fewer headers than lines.
fn room(input: &[u8], max_headers: usize) -> Vec<Header<'_>> {
    let lines = input.iter().take(MAX_HEAD).filter(|&&byte| byte == b'\n').count();
    vec![EMPTY_HEADER; lines.min(max_headers)]
}

fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request<'_> {
        match Request::parse(text.as_bytes(), 8) {
            Ok(Some((request, len))) if len == text.len() => request,
            _ => panic!("{text:?}"),
        }
    }

    fn length(value: &str) -> Result<Option<u64>> {
        request(&format!("GET / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n")).headers.content_length()
    }

    #[test]
    fn lengths_are_numbers_of_any_spacing_and_nothing_else() {
        let huge = "99999999999999999999999999";
        for (value, expected) in
            [("0", 0), (" 17 ", 17), ("5, 5", 5), ("\t2147483647", 0x7FFF_FFFF), (huge, u64::MAX)]
        {
            assert_eq!(length(value).unwrap(), Some(expected), "{value:?}");
        }
        assert_eq!(length("5\r\ncontent-length: 5").unwrap(), Some(5));
        assert_eq!(request("GET / HTTP/1.1\r\n\r\n").headers.content_length().unwrap(), None);
        for value in
            ["", " ", "-1", "+1", "1 2", "0x10", "5, 6", "5,", "\u{0661}", "1e3", "1\r\nContent-Length: 2"]
        {
            assert!(matches!(length(value), Err(Error::Malformed { .. })), "{value:?}");
        }
    }

    #[test]
    fn connections_are_kept_according_to_version_and_headers() {
        let keeps =
            |version, line: &str| request(&format!("GET / {version}\r\n{line}\r\n\r\n")).headers.keep_alive();
        assert!(keeps("HTTP/1.1", "A: b"));
        assert!(!keeps("HTTP/1.1", "connection: foo , CLOSE"));
        assert!(keeps("HTTP/1.1", "Connection: closed"));
        assert!(!keeps("HTTP/1.0", "A: b"));
        assert!(keeps("HTTP/1.0", "Connection: x\r\nConnection: keep-alive"));
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_split() {
        for head in [&b"a\r\nb: c\r\n\r\n"[..], b"a\nb\n\n", b"a\nb\n\r\n"] {
            for seen in 0..head.len() {
                assert_eq!(len(&head[..seen], 0), None);
                assert_eq!(len(&[head, b"rest\n\n"].concat(), seen), Some(head.len()));
            }
        }
    }

    #[test]
    fn headers_are_counted_and_the_count_has_a_bound() {
        let text = "HTTP/1.1 200 OK\r\na: b\r\nno header\r\nc: d\r\n e\r\n\r\n";
        let Ok(Some((response, len))) = Response::parse(text.as_bytes(), 2) else { panic!("{text:?}") };
        assert_eq!((response.status, response.reason, len), (200, "OK", text.len()));
        assert_eq!(response.headers.list.len(), 2);
        assert!(response.headers.values("C").eq([b"d\r\n e"]));
        assert!(matches!(Response::parse(text.as_bytes(), 1), Err(httparse::Error::TooManyHeaders)));
        let text = "GET / HTTP/1.1\r\na: b\r\nc: d\r\n\r\n";
        assert!(matches!(Request::parse(text.as_bytes(), 1), Err(httparse::Error::TooManyHeaders)));
    }

    #[test]
    fn a_head_is_incomplete_at_every_cut_and_its_status_is_known_early() {
        let text = b"HTTP/1.1 404 Not found\r\na: b\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(Response::parse(&text[..end], 8), Ok(None)), "{end}");
            assert_eq!(Response::status(&text[..end]), (end >= 12).then_some(404), "{end}");
        }
    }
}
