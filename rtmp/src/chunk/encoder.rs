//! Messages in, chunks out.

use std::iter;

use super::{
    EXTENDED, EXTENDED_LEN, Header, MAX_CHUNK_STREAM, MAX_MESSAGE_LEN, MESSAGE_HEADER_LEN, Totals, USUAL,
    streams::Streams,
};
use crate::{
    error::{Error, Result},
    message::MessageType,
};

/// Splits messages into chunks and chooses the smallest header that a conforming receiver understands.
#[derive(Debug, Default)]
pub struct Encoder {
    streams: Streams<Sent>,
    totals: Totals,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The chunk stream to send it on.
    pub chunk_stream: u32,
    /// The requested header format, 0 to 3. The encoder uses a smaller header if it has the same meaning, and a larger one if
    /// it is needed.
    pub format: u8,
    /// The kind of message.
    pub kind: MessageType,
    /// Milliseconds, absolute, modulo 2^32.
    pub timestamp: u32,
    /// The message stream it belongs to; travels in headers of format 0 only.
    pub stream_id: u32,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Outgoing<'a> {
    /// The message as chunks, with the requested header and without knowledge of earlier messages.
    pub fn as_asked(&self, chunk_size: u32) -> Chunks<'a> {
        self.chunks(self.format & 3, self.timestamp, chunk_size)
    }

    /// The length of the first chunk of [`Self::as_asked`] in bytes.
    pub fn first_len(&self, chunk_size: u32) -> usize {
        let basic = match self.chunk_stream {
            0..=63 => 1,
            64..=319 => 2,
            _ => 3,
        };
        let extended = if self.timestamp >= EXTENDED { EXTENDED_LEN } else { 0 };
        let payload = self.body.len().min(chunk_size.max(1) as usize);
        basic + MESSAGE_HEADER_LEN[usize::from(self.format & 3)] + extended + payload
    }

    /// The message as chunks with a header of this format and this timestamp field.
    #[inline(always)]
    fn chunks(&self, format: u8, field: u32, chunk_size: u32) -> Chunks<'a> {
        let chunk_size = chunk_size.max(1) as usize;
        let first = Header::first(format, field, self);
        let mut len = usize::from(first.len) + self.body.len();
        let mut next = Header::default();
        if self.body.len() > chunk_size {
            next = Header::next(self.chunk_stream, (field >= EXTENDED).then_some(field));
            len += (self.body.len().div_ceil(chunk_size) - 1) * usize::from(next.len);
        }
        Chunks { format, first, next, body: self.body, chunk_size, len }
    }
}

/// A message as chunks, without a copy of its body.
#[derive(Debug, Clone, Copy)]
pub struct Chunks<'a> {
    /// Header format of the first chunk, 0 to 3.
    pub format: u8,
    first: Header,
    /// Empty if there is one chunk.
    next: Header,
    body: &'a [u8],
    chunk_size: usize,
    /// Bytes in all.
    len: usize,
}

/// The last message on a chunk stream. Before the first message, no kind of message has had a full header.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    kind: MessageType,
    length: u32,
    timestamp: u32,
    /// The timestamp field as it was sent. A receiver adds it when a header of format 3 starts a message.
    field: u32,
    /// One bit for each kind of message that has had a full header.
    kinds: u8,
}

impl Encoder {
    /// An encoder for a connection on which nothing has been sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the headers of a message and remembers it as the last of its chunk stream.
    pub fn encode<'a>(&mut self, message: &Outgoing<'a>, chunk_size: u32) -> Result<Chunks<'a>> {
        let (format, field) = self.choose(message)?;
        let chunks = message.chunks(format, field, chunk_size);
        self.totals.add(chunks.len(), 1);
        Ok(chunks)
    }

    /// The header format of a message and its timestamp field.
    #[inline(always)]
    fn choose(&mut self, message: &Outgoing<'_>) -> Result<(u8, u32)> {
        let Outgoing { chunk_stream, kind, timestamp, .. } = *message;
        if chunk_stream > MAX_CHUNK_STREAM {
            return Err(Error::TooLarge("chunk stream id"));
        }
        let length = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        if length > MAX_MESSAGE_LEN {
            return Err(Error::TooLarge("message"));
        }
        let sent = self.streams.slot(chunk_stream);
        let bit = kind_bit(kind);
        let format = sent.format_for(message, length, bit)?;
        let field = if format == 0 { timestamp } else { timestamp.wrapping_sub(sent.timestamp) };
        *sent = Sent { kind, length, timestamp, field, kinds: sent.kinds | bit };
        Ok((format, field))
    }

    /// The totals of encoded bytes and messages.
    pub fn totals(&self) -> Totals {
        self.totals
    }
}

impl Sent {
    /// The header format for the next message of this chunk stream; `bit` is that of its kind.
    ///
    /// The first message of each kind has a full header because strict servers expect one. A message whose timestamp steps back
    /// also has one, because a difference cannot be negative (RTMP 1.0, section 5.3.1.2.1). For another message stream than
    /// that of the last message, the caller has to request a full header, as with librtmp.
    fn format_for(&self, message: &Outgoing<'_>, length: u32, bit: u8) -> Result<u8> {
        let delta = message.timestamp.wrapping_sub(self.timestamp);
        let alike = self.kind == message.kind && self.length == length;
        let first_of_kind = self.kinds & bit == 0;
        let repeats = alike && delta == self.field;
        Ok(match message.format {
            0..=3 if first_of_kind || delta > i32::MAX as u32 => 0,
            0 => 0,
            3 if repeats => 3,
            1..=3 if !alike => 1,
            // A header of format 3 would also do for any repeated difference. Like librtmp, use it only for 0.
            1..=3 if delta == 0 && repeats => 3,
            1..=3 => 2,
            _ => return Err(Error::Invalid("header format")),
        })
    }
}

impl<'a> Chunks<'a> {
    /// The pieces in the order in which they are sent: header, payload, header, payload …
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (head, tail) = self.body.split_at(self.body.len().min(self.chunk_size));
        let rest = tail.chunks(self.chunk_size).flat_map(|payload| [self.next.as_bytes(), payload]);
        iter::once(self.first.as_bytes())
            .chain(iter::once(head))
            .chain(rest)
            .filter(|piece| !piece.is_empty())
    }

    /// The same headers with another body of the same length.
    pub fn with_body<'b>(&self, body: &'b [u8]) -> Chunks<'b> {
        Chunks { body, ..*self }
    }

    /// The length of the first chunk in bytes.
    pub fn first_len(&self) -> usize {
        self.first.as_bytes().len() + self.body.len().min(self.chunk_size)
    }

    /// The pieces of a message that fits into one chunk.
    #[inline]
    pub fn as_one(&self) -> Option<[&[u8]; 2]> {
        (self.body.len() <= self.chunk_size).then(|| [self.first.as_bytes(), self.body])
    }

    /// Appends the bytes of [`Self::pieces`].
    pub fn append_to(&self, out: &mut Vec<u8>) {
        if let Some(pieces) = self.as_one() {
            // This memory need not be cleared first.
            out.reserve(self.len());
            return pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        }
        let start = out.len();
        out.resize(start + self.len(), 0);
        self.write_to(&mut out[start..]);
    }

    /// Puts the bytes of [`Self::pieces`] at the start of `room`, which grows if it has to, and returns them.
    #[inline]
    pub fn assemble<'r>(&self, room: &'r mut Vec<u8>) -> &'r [u8] {
        // Memory of an earlier message need not be cleared first.
        if room.len() < self.len {
            room.resize(self.len, 0);
        }
        self.write_to(&mut room[..self.len]);
        &room[..self.len]
    }

    /// Writes the bytes of [`Self::pieces`] to `out`, which is [`len`](Self::len) bytes long.
    fn write_to(&self, out: &mut [u8]) {
        let (head, mut tail) = self.body.split_at(self.body.len().min(self.chunk_size));
        let next = self.next.as_bytes();
        let mut out = write(self.first.write_to(out), head);
        if let (&[next], USUAL) = (next, self.chunk_size) {
            // The compiler inlines copies of a known length.
            let payloads = tail.chunks_exact(USUAL);
            tail = payloads.remainder();
            let (chunks, rest) = out.split_at_mut(payloads.len() * (1 + USUAL));
            for (chunk, payload) in chunks.chunks_exact_mut(1 + USUAL).zip(payloads) {
                chunk[0] = next;
                chunk[1..].copy_from_slice(payload);
            }
            out = rest;
        }
        for payload in tail.chunks(self.chunk_size) {
            out = write(write(out, next), payload);
        }
    }

    /// The number of chunks; at least one, even for an empty message.
    pub fn count(&self) -> usize {
        // A division would take longer than everything else here.
        if self.body.len() <= self.chunk_size {
            return 1;
        }
        self.body.len().div_ceil(self.chunk_size).max(1)
    }

    /// The total length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: every message has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Writes `bytes` to the start of `out`, and returns the rest of it.
fn write<'o>(out: &'o mut [u8], bytes: &[u8]) -> &'o mut [u8] {
    let (front, rest) = out.split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    rest
}

/// The kind of a message, for the rule that the first message of each kind has a full header.
fn kind_bit(kind: MessageType) -> u8 {
    match kind {
        MessageType::AUDIO => 0x01,
        MessageType::VIDEO => 0x02,
        MessageType::DATA | MessageType::DATA_AMF3 => 0x04,
        MessageType::COMMAND | MessageType::COMMAND_AMF3 => 0x08,
        MessageType::SHARED_OBJECT | MessageType::SHARED_OBJECT_AMF3 => 0x10,
        MessageType::AGGREGATE => 0x20,
        MessageType(0..=7) => 0x40,
        _ => 0x80,
    }
}
