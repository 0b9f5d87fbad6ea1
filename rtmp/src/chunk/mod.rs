//! The chunk stream: splits messages into chunks and assembles them again (RTMP 1.0, section 5.3).
//!
//! Knows headers, timestamps and chunk sizes. Does not know what a message means: the code that handles a Set Chunk Size or
//! Abort message informs the [`Decoder`].
//!
//! ```
//! use rtmp::{chunk, message::MessageType};
//!
//! // Out: the pieces of one message, to be sent in this order.
//! let message = chunk::Outgoing {
//!     chunk_stream: 6,
//!     format: 0,
//!     kind: MessageType::VIDEO,
//!     timestamp: 40,
//!     stream_id: 1,
//!     body: &[7; 300],
//! };
//! let mut encoder = chunk::Encoder::new();
//! let wire: Vec<u8> = encoder.encode(&message, chunk::DEFAULT_CHUNK_SIZE)?.pieces().flatten().copied().collect();
//!
//! // In: chunk by chunk; unused bytes are offered again, with more after them.
//! let mut decoder = chunk::Decoder::<Vec<u8>>::new();
//! let mut input = &wire[..];
//! let received = loop {
//!     let decoded = decoder.decode(input, chunk::DEFAULT_CHUNK_SIZE)?;
//!     input = &input[decoded.consumed..];
//!     let chunk = decoded.chunk.expect("all of the message is there");
//!     if let Some(message) = chunk.message {
//!         break message;
//!     }
//! };
//! assert_eq!((received.timestamp, received.body.len()), (40, 300));
//! # Ok::<(), rtmp::Error>(())
//! ```

mod decoder;
mod encoder;
mod loan;
mod place;
mod ready;
mod scout;
mod spare;
mod streams;

pub use decoder::{Chunk, Decoded, Decoder, MAX_UNFINISHED};
pub use encoder::{Chunks, Encoder, Outgoing};
pub use loan::Loan;
pub use ready::Ready;

/// The payload size of a chunk until a Set Chunk Size message changes it (RTMP 1.0, section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The same, as a length. It is common enough for copies of this constant length.
const USUAL: usize = DEFAULT_CHUNK_SIZE as usize;

/// The longest header of a chunk: basic header 3, message header 11, extended timestamp 4.
pub const MAX_HEADER_LEN: usize = 18;

/// The longest message that a 24-bit length can announce.
pub const MAX_MESSAGE_LEN: u32 = 0xFF_FFFF;

/// The largest chunk stream id (RTMP 1.0, section 5.3.1.1).
pub const MAX_CHUNK_STREAM: u32 = 65_599;

/// A timestamp field with this value is followed by 32 bits with the actual timestamp.
const EXTENDED: u32 = 0xFF_FFFF;

/// The length of these 32 bits, in bytes.
const EXTENDED_LEN: usize = 4;

/// Message header bytes by header format (RTMP 1.0, section 5.3.1.2).
const MESSAGE_HEADER_LEN: [usize; 4] = [11, 7, 3, 0];

/// The totals of a [`Decoder`] or an [`Encoder`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of chunks, headers included.
    pub bytes: u64,
    /// Complete messages.
    pub messages: u64,
}

impl Totals {
    #[inline(always)]
    fn add(&mut self, bytes: usize, messages: u64) {
        self.bytes += bytes as u64;
        self.messages += messages;
    }
}

/// A usable chunk size: the specification allows 1 to 2^31 - 1, and no message is longer than [`MAX_MESSAGE_LEN`].
pub fn valid_chunk_size(size: u32) -> Option<u32> {
    (1..=0x7FFF_FFFF).contains(&size).then(|| size.min(MAX_MESSAGE_LEN))
}

/// The bytes of a header, stored without allocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header {
    /// The bytes after `len` have no meaning.
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl Header {
    /// The first `len` bytes of `input`, if it has that many.
    #[inline]
    fn at_start_of(input: &[u8], len: usize) -> Option<Self> {
        debug_assert!(len <= MAX_HEADER_LEN);
        match input.first_chunk() {
            // The compiler inlines a copy of a known length.
            Some(bytes) => Some(Self { bytes: *bytes, len: len as u8 }),
            None => {
                let mut header = Self::default();
                header.push(input.get(..len)?);
                Some(header)
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    /// The header of a message's first chunk with this format and this timestamp field.
    #[inline(always)]
    fn first(format: u8, field: u32, message: &Outgoing<'_>) -> Self {
        let mut header = Self::basic(format, message.chunk_stream);
        let start = usize::from(header.len);
        // All formats have the same order of fields, and the shorter ones end earlier. Whole words take fewer instructions than
        // single bytes.
        if let Some(room) = header.bytes[start..].first_chunk_mut::<{ MESSAGE_HEADER_LEN[0] }>() {
            let len = message.body.len() as u32;
            let times = field.min(EXTENDED) << 8 | len >> 16 & 0xFF;
            room[..4].copy_from_slice(&times.to_be_bytes());
            room[4..8].copy_from_slice(&(len << 16 | u32::from(message.kind.0) << 8).to_be_bytes());
            room[7..].copy_from_slice(&message.stream_id.to_le_bytes());
        }
        header.len += MESSAGE_HEADER_LEN[usize::from(format & 3)] as u8;
        if field >= EXTENDED {
            header.push(&field.to_be_bytes());
        }
        header
    }

    /// The header of a further chunk, with a timestamp if that has the extended form.
    #[inline]
    fn next(chunk_stream: u32, extended: Option<u32>) -> Self {
        let mut header = Self::basic(3, chunk_stream);
        if let Some(timestamp) = extended {
            header.push(&timestamp.to_be_bytes());
        }
        header
    }

    #[inline(always)]
    fn basic(format: u8, chunk_stream: u32) -> Self {
        let mut bytes = [0; MAX_HEADER_LEN];
        let top = format << 6;
        let [low, high, ..] = chunk_stream.wrapping_sub(64).to_le_bytes();
        let len = match chunk_stream {
            0..=63 => {
                bytes[0] = top | chunk_stream as u8;
                1
            }
            64..=319 => {
                bytes[..2].copy_from_slice(&[top, low]);
                2
            }
            _ => {
                bytes[..3].copy_from_slice(&[top | 1, low, high]);
                3
            }
        };
        Self { bytes, len }
    }

    /// Writes the header to the start of `out`, and returns the rest of it.
    #[inline]
    fn write_to<'o>(&self, out: &'o mut [u8]) -> &'o mut [u8] {
        let len = usize::from(self.len);
        match out.first_chunk_mut() {
            // The compiler inlines a copy of a known length. What is behind the header is overwritten later.
            Some(front) => *front = self.bytes,
            None => out[..len].copy_from_slice(self.as_bytes()),
        }
        &mut out[len..]
    }

    /// The bytes as they are sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Header {}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod timestamps;
