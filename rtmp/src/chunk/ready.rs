//! Messages that are completely in the input, so that no wait is needed.
//!
//! Most messages of a stream are short, and many arrive at once. Finding such a message does not change the decoder, so a
//! caller that cannot use it leaves it to [`Decoder::decode`]. Its bytes are copied only once, to their destination. Unusual
//! messages are not found.

use super::{
    Decoder, EXTENDED, MESSAGE_HEADER_LEN, USUAL,
    decoder::{SHORT_HEADER, basic_header, slot, u24},
    spare::Spare,
};
use crate::message::{Body, MessageType};

/// A message that is completely in the input.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'i> {
    /// The chunk stream it came on.
    pub chunk_stream: u32,
    /// Header format of its first chunk, 0 to 3.
    pub format: u8,
    /// The kind of message.
    pub kind: MessageType,
    /// Milliseconds, absolute, modulo 2^32.
    pub timestamp: u32,
    /// The message stream it belongs to.
    pub stream_id: u32,
    /// The bytes of the input that it takes, headers included.
    pub consumed: usize,
    field: u32,
    length: u32,
    chunk_size: usize,
    /// The payload of the first chunk.
    first: &'i [u8],
    /// The other chunks, each with a header of one byte.
    rest: &'i [u8],
}

impl<B: Body> Decoder<B> {
    /// The message at the start of `input`, if it is complete.
    #[inline(always)]
    pub fn ready<'i>(&self, input: &'i [u8], chunk_size: u32) -> Option<Ready<'i>> {
        let (format, chunk_stream, basic_len) = basic_header(input)?;
        if self.current.is_some() {
            return None;
        }
        let start = basic_len + MESSAGE_HEADER_LEN[usize::from(format)];
        let (header, payloads) = input.split_at_checked(start)?;
        let header = &header[basic_len..];
        let (time, mut field, mut length, mut kind, mut stream_id) = match self.stream(chunk_stream) {
            Some(stream) if stream.received == 0 => {
                (stream.time, stream.field, stream.length, stream.kind, stream.stream_id)
            }
            None if format == 0 => (0, 0, 0, MessageType(0), 0),
            _ => return None,
        };
        if let [a, b, c, more @ ..] = header {
            field = u24([*a, *b, *c]);
            if let [a, b, c, type_id, more @ ..] = more {
                length = u24([*a, *b, *c]);
                kind = MessageType(*type_id);
                if let Some(id) = more.first_chunk() {
                    stream_id = u32::from_le_bytes(*id);
                }
            }
        }
        if field == EXTENDED {
            return None;
        }
        let chunk_size = chunk_size.max(1) as usize;
        let first_len = chunk_size.min(length as usize);
        let (first, behind) = payloads.split_at_checked(first_len)?;
        let missing = length as usize - first_len;
        let rest = if missing == 0 { &[] } else { chunks(behind, chunk_stream, missing, chunk_size)? };
        Some(Ready {
            chunk_stream,
            format,
            kind,
            timestamp: if format == 0 { field } else { time.wrapping_add(field) },
            stream_id,
            consumed: start + first.len() + rest.len(),
            field,
            length,
            chunk_size,
            first,
            rest,
        })
    }

    /// Marks a message that was found as used. The decoder continues with the input after it.
    #[inline(always)]
    pub fn take_ready(&mut self, ready: &Ready<'_>) {
        let stream = slot(&mut self.streams, ready.chunk_stream);
        stream.format = ready.format;
        stream.kind = ready.kind;
        stream.stream_id = ready.stream_id;
        stream.length = ready.length;
        stream.field = ready.field;
        stream.sent_timestamp = ready.field;
        stream.step = ready.timestamp.wrapping_sub(stream.time);
        stream.time = ready.timestamp;
        stream.clock = ready.timestamp;
        self.totals.add(ready.consumed, 1);
        if self.spare.is_some() {
            Spare::pass(&mut self.spare);
        }
    }
}

impl<'i> Ready<'i> {
    /// Length of the message.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The message, if it is in one chunk.
    pub fn as_one(&self) -> Option<&'i [u8]> {
        self.rest.is_empty().then_some(self.first)
    }

    /// Appends the message to a body that has room for it.
    #[inline]
    pub fn append_to<B: Body>(&self, body: &mut B) {
        body.append(self.first);
        if !self.rest.is_empty() {
            body.append_behind_headers(self.rest, SHORT_HEADER, self.chunk_size);
        }
    }

    /// Copies the message to the start of `out`, up to its length.
    #[inline]
    pub fn copy_to(&self, out: &mut [u8]) {
        let mut left = copy_front(out, self.first);
        let mut chunks = self.rest;
        if self.chunk_size == USUAL {
            // The compiler inlines copies of a known length.
            let usual = chunks.chunks_exact(SHORT_HEADER + USUAL);
            let (count, last) = (usual.len(), usual.remainder());
            for (to, chunk) in left.chunks_exact_mut(USUAL).zip(usual) {
                to.copy_from_slice(&chunk[SHORT_HEADER..]);
            }
            if left.len() >= count * USUAL {
                left = &mut left[count * USUAL..];
                chunks = last;
            }
        }
        for chunk in chunks.chunks(self.chunk_size + SHORT_HEADER) {
            left = copy_front(left, chunk.get(SHORT_HEADER..).unwrap_or_default());
        }
    }
}

/// The further chunks of a message, with `missing` bytes of it, if `input` begins with them and each has the one-byte header.
fn chunks(input: &[u8], chunk_stream: u32, missing: usize, chunk_size: usize) -> Option<&[u8]> {
    let follows = 0xC0 | u8::try_from(chunk_stream).ok().filter(|id| *id < 64)?;
    let chunks = input.get(..missing + missing.div_ceil(chunk_size) * SHORT_HEADER)?;
    let foretold = if chunk_size == USUAL {
        let mut usual = chunks.chunks_exact(SHORT_HEADER + USUAL);
        let last = usual.remainder();
        usual.all(|chunk| chunk[0] == follows) && last.first().is_none_or(|header| *header == follows)
    } else {
        chunks.iter().step_by(chunk_size + SHORT_HEADER).all(|header| *header == follows)
    };
    foretold.then_some(chunks)
}

/// Copies `bytes` to the start of `out`, up to its length, and returns the rest of it.
fn copy_front<'o>(out: &'o mut [u8], bytes: &[u8]) -> &'o mut [u8] {
    let (front, left) = out.split_at_mut(out.len().min(bytes.len()));
    front.copy_from_slice(&bytes[..front.len()]);
    left
}
