//! The chunk stream: messages cut into chunks and put together again (RTMP 1.0, section 5.3).
//!
//! Knows headers, timestamps and chunk sizes. Does not know what a message means: the code that understands a Set Chunk
//! Size or Abort message tells the [`Decoder`].
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
//! // In: chunk by chunk; what was not used is offered again, with more after it.
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
pub use encoder::TINY;
pub use encoder::{Chunks, Encoder, Outgoing};
pub use loan::Loan;
pub use ready::Ready;

/// The payload of a chunk until a Set Chunk Size message says otherwise (RTMP 1.0, section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The same, as a length: it deserves copies of known length.
const USUAL: usize = DEFAULT_CHUNK_SIZE as usize;

/// The longest header of a chunk: basic header 3, message header 11, extended timestamp 4.
pub const MAX_HEADER_LEN: usize = 18;

/// The longest message that a 24-bit length can announce.
pub const MAX_MESSAGE_LEN: u32 = 0xFF_FFFF;

/// The largest chunk stream id (RTMP 1.0, section 5.3.1.1).
pub const MAX_CHUNK_STREAM: u32 = 65_599;

/// A timestamp field with this value is followed by 32 bits that hold the real one.
const EXTENDED: u32 = 0xFF_FFFF;

/// Bytes of that one.
const EXTENDED_LEN: usize = 4;

/// Message header bytes by header format (RTMP 1.0, section 5.3.1.2).
const MESSAGE_HEADER_LEN: [usize; 4] = [11, 7, 3, 0];

/// What has passed a [`Decoder`] or an [`Encoder`].
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

/// A usable chunk size: the specification wants 1 to 2^31 - 1, and no message is longer than [`MAX_MESSAGE_LEN`].
pub fn valid_chunk_size(size: u32) -> Option<u32> {
    (1..=0x7FFF_FFFF).contains(&size).then(|| size.min(MAX_MESSAGE_LEN))
}

/// Header bytes in a fixed place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header {
    /// Behind `len` there may be anything.
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl Header {
    /// The first `len` bytes of `input`, if they are there.
    #[inline]
    fn at_start_of(input: &[u8], len: usize) -> Option<Self> {
        debug_assert!(len <= MAX_HEADER_LEN);
        match input.first_chunk() {
            // A copy of known length needs no call.
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

    #[inline]
    fn push_basic(&mut self, format: u8, chunk_stream: u32) {
        let top = format << 6;
        match chunk_stream {
            0..=63 => {
                self.bytes[0] = top | chunk_stream as u8;
                self.len = 1;
            }
            64..=319 => self.push(&[top, (chunk_stream - 64) as u8]),
            _ => {
                let [low, high, ..] = (chunk_stream - 64).to_le_bytes();
                self.push(&[top | 1, low, high]);
            }
        }
    }

    /// Pushes the first `len` of these bytes; behind a basic header there is room for all of them. A copy of known length
    /// needs no call.
    fn push_part(&mut self, bytes: [u8; MESSAGE_HEADER_LEN[0]], len: usize) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(&bytes);
        self.len += len as u8;
    }

    /// Writes the header to the start of `out`, and returns the rest of it.
    #[inline]
    fn write_to<'o>(&self, out: &'o mut [u8]) -> &'o mut [u8] {
        let len = usize::from(self.len);
        match out.first_chunk_mut() {
            // A copy of known length needs no call. What is behind the header is overwritten later.
            Some(front) => *front = self.bytes,
            None => out[..len].copy_from_slice(self.as_bytes()),
        }
        &mut out[len..]
    }

    /// The bytes as they travel.
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
