//! Messages between the two ends, before they are split into chunks (RTMP 1.0, section 4).

use crate::error::Result;

/// Type of a message (RTMP 1.0, sections 5.4, 6.2 and 7.1). Any byte is allowed; the known ones have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageType(pub u8);

impl MessageType {
    /// Set Chunk Size: the largest chunk payload of the sender from now on.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// Abort: forget the unfinished message of a chunk stream.
    pub const ABORT: Self = Self(2);
    /// Acknowledgement: the number of bytes that have arrived.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// User control: stream begin, ping, buffer length and others.
    pub const USER_CONTROL: Self = Self(4);
    /// Window Acknowledgement Size.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: Self = Self(5);
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// Audio data, an FLV audio tag's body.
    pub const AUDIO: Self = Self(8);
    /// Video data, an FLV video tag's body.
    pub const VIDEO: Self = Self(9);
    /// Data message in AMF3.
    pub const DATA_AMF3: Self = Self(0x0F);
    /// Shared object in AMF3.
    pub const SHARED_OBJECT_AMF3: Self = Self(0x10);
    /// Command in AMF3: one format byte, then usually AMF0 values.
    pub const COMMAND_AMF3: Self = Self(0x11);
    /// Data message in AMF0, metadata among them.
    pub const DATA: Self = Self(0x12);
    /// Shared object in AMF0.
    pub const SHARED_OBJECT: Self = Self(0x13);
    /// Command in AMF0.
    pub const COMMAND: Self = Self(0x14);
    /// Aggregate: several FLV tags in one message.
    pub const AGGREGATE: Self = Self(0x16);
}

/// Memory for the bytes of a message. The C library decodes into `malloc` blocks that its callers free, all others into a
/// `Vec<u8>`.
pub trait Body: Default + AsRef<[u8]> + AsMut<[u8]> {
    /// Reserves memory for `capacity` bytes in total. A failure loses no bytes.
    fn reserve_total(&mut self, capacity: usize) -> Result<()>;

    /// Number of bytes that fit without another `reserve_total`.
    fn capacity(&self) -> usize;

    /// Appends `bytes`, for which memory was reserved.
    fn append(&mut self, bytes: &[u8]);

    /// Clears the bytes, and keeps the memory if it can be reused.
    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Moves the body to its own memory, if it is in shared memory.
    fn keep(&mut self) -> Result<()> {
        Ok(())
    }

    /// Appends at most `payload` bytes after every `header` bytes of `chunks`. Memory was reserved before.
    fn append_behind_headers(&mut self, chunks: &[u8], header: usize, payload: usize) {
        for chunk in chunks.chunks(header + payload) {
            self.append(chunk.get(header..).unwrap_or_default());
        }
    }
}

impl Body for Vec<u8> {
    fn reserve_total(&mut self, capacity: usize) -> Result<()> {
        self.try_reserve_exact(capacity.saturating_sub(self.len())).map_err(|_| crate::Error::OutOfMemory)
    }

    fn capacity(&self) -> usize {
        Vec::capacity(self)
    }

    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }
}

/// A complete message as it arrived.
///
/// ```no_run
/// use rtmp::{Client, message::MessageType};
///
/// // Counts the bytes of sound in a stream.
/// let mut player = Client::new("rtmp://localhost/live/stream")?.play()?;
/// let mut bytes = 0;
/// for message in player.messages() {
///     let message = message?;
///     if message.kind == MessageType::AUDIO {
///         bytes += message.body.len();
///     }
/// }
/// println!("{bytes} bytes of sound");
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Message<B = Vec<u8>> {
    /// Chunk stream id.
    pub chunk_stream: u32,
    /// Header format of its first chunk, 0 to 3; 0 means that the timestamp was sent as an absolute value.
    pub format: u8,
    /// Message type.
    pub kind: MessageType,
    /// Milliseconds, absolute, modulo 2^32.
    pub timestamp: u32,
    /// Message stream id; 0 is the connection itself.
    pub stream_id: u32,
    /// Body.
    pub body: B,
}
