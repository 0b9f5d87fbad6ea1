//! Bodies of HTTP/1 messages: their end, and the content in them.

use std::ops::Range;

use super::head::MAX_HEAD;
use crate::error::{Error, Result};

/// The missing part of a body.
#[derive(Debug)]
pub(crate) enum Body {
    /// This many bytes.
    Length(u64),
    /// All bytes of the connection.
    UntilClose,
    /// Chunks (RFC 9112, 7.1), up to one without content.
    Chunked(Chunked),
}

/// The decoder's position in a body of chunks.
#[derive(Debug)]
pub(crate) enum Chunked {
    Size { size: u32, digits: u32 },
    Extension { size: u32, len: usize },
    Data(u32),
    DataEnd,
    Trailer { line: usize, len: usize },
    Done,
}

impl Body {
    /// A body of chunks of which nothing has arrived.
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunked::Size { size: 0, digits: 0 });

    /// The number of bytes of `input` that belong to the body, up to the end of a piece of content, and the position of the
    /// content. If there is none, the body is complete or all of `input` belongs to it.
    pub(crate) fn next(&mut self, input: &[u8]) -> Result<(usize, Range<usize>)> {
        match self {
            Self::Length(missing) => {
                let len = usize::try_from(*missing).map_or(input.len(), |missing| missing.min(input.len()));
                *missing -= len as u64;
                Ok((len, 0..len))
            }
            Self::UntilClose => Ok((input.len(), 0..input.len())),
            Self::Chunked(chunked) => chunked.next(input),
        }
    }

    /// Whether the body has ended.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Done))
    }
}

impl Chunked {
    fn next(&mut self, input: &[u8]) -> Result<(usize, Range<usize>)> {
        let malformed = |detail| Err(Error::malformed("chunked HTTP reply", detail));
        for (at, &byte) in input.iter().enumerate() {
            *self = match *self {
                Self::Data(left) => {
                    let len = (input.len() - at).min(left as usize);
                    let left = left - len as u32;
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok((at + len, at..at + len));
                }
                Self::Size { size, digits } => match char::from(byte).to_digit(16) {
                    // Seven digits fit into an `int`; leading zeros do not count.
                    Some(_) if digits >= 7 => return Err(Error::TooLarge("chunk of an HTTP reply")),
                    Some(digit) => {
                        let size = size << 4 | digit;
                        Self::Size { size, digits: digits + u32::from(size > 0 || digits == 0) }
                    }
                    None if digits == 0 => return malformed("a chunk has no size"),
                    None if byte == b'\n' => Self::after_size(size),
                    None => Self::Extension { size, len: 0 },
                },
                Self::Extension { size, .. } if byte == b'\n' => Self::after_size(size),
                Self::Extension { len: MAX_HEAD, .. } => return malformed("an extension without end"),
                Self::Extension { size, len } => Self::Extension { size, len: len + 1 },
                Self::DataEnd if byte == b'\n' => Self::Size { size: 0, digits: 0 },
                Self::DataEnd if byte == b'\r' => Self::DataEnd,
                Self::DataEnd => return malformed("a chunk is longer than its size"),
                Self::Trailer { len: MAX_HEAD, .. } => return malformed("a trailer without end"),
                Self::Trailer { line: 0, .. } if byte == b'\n' => {
                    *self = Self::Done;
                    return Ok((at + 1, 0..0));
                }
                Self::Trailer { len, .. } if byte == b'\n' => Self::Trailer { line: 0, len: len + 1 },
                Self::Trailer { line, len } => {
                    Self::Trailer { line: line + usize::from(byte != b'\r'), len: len + 1 }
                }
                Self::Done => return Ok((at, 0..0)),
            };
        }
        Ok((input.len(), 0..0))
    }

    fn after_size(size: u32) -> Self {
        if size == 0 { Self::Trailer { line: 0, len: 0 } } else { Self::Data(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body that arrives `step` bytes at a time, and how many bytes belong to it.
    fn content(mut body: Body, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool)> {
        let (mut content, mut used) = (Vec::new(), 0);
        for piece in input.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() && !body.is_complete() {
                let (len, range) = body.next(rest)?;
                content.extend_from_slice(&rest[range]);
                rest = &rest[len..];
                used += len;
            }
        }
        Ok((content, used, body.is_complete()))
    }

    #[test]
    fn content_is_the_same_wherever_it_is_split() {
        let chunks = b"3\r\nabc\r\n002;x=y\nde\n0\r\nT: x\r\n\r\nrest";
        for step in 1..=chunks.len() {
            let read = |body, input| content(body, input, step).unwrap();
            assert_eq!(read(Body::Length(3), b"abcde"), (b"abc".to_vec(), 3, true));
            assert_eq!(read(Body::Length(0), b"abcde"), (vec![], 0, true));
            assert_eq!(read(Body::Length(u64::MAX), b"abc"), (b"abc".to_vec(), 3, false));
            assert_eq!(read(Body::UntilClose, b"abc"), (b"abc".to_vec(), 3, false));
            assert_eq!(read(Body::CHUNKED, chunks), (b"abcde".to_vec(), chunks.len() - 4, true));
            assert_eq!(read(Body::CHUNKED, &chunks[..9]), (b"abc".to_vec(), 9, false));
        }
    }

    #[test]
    fn invalid_chunks_are_errors() {
        let long = "x".repeat(MAX_HEAD + 1);
        let (extension, trailer) = (format!("1;{long}"), format!("0\r\n{long}"));
        for input in ["x\r\n", "-1\r\n", "\r\n", "FFFFFFFF\r\n", "1\r\nab\r\n", &extension, &trailer] {
            for step in [1, 7, input.len()] {
                assert!(content(Body::CHUNKED, input.as_bytes(), step).is_err(), "{input:.20} by {step}");
            }
        }
    }
}
