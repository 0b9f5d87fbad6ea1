//! The handshake: three blocks each way before the first chunk (RTMP 1.0, section 5.2).
//!
//! Knows the blocks and nothing of sockets: bytes arrive as slices, the time and the randomness from the caller.

#![forbid(unsafe_code)]

mod simple;

pub use simple::{Client, Server};

/// Length of C1, C2, S1 and S2.
pub const BLOCK_LEN: usize = 1536;

/// C1, C2, S1 or S2.
pub type Block = [u8; BLOCK_LEN];

/// The version byte (C0, S0) of plain RTMP.
const VERSION: u8 = 3;

/// What a step of a handshake made of its input.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that were used; the rest has to be offered again, with more behind it.
    pub consumed: usize,
    /// Bytes to send now, before anything else is read.
    pub output: Vec<u8>,
    /// Whether chunks may follow.
    pub done: bool,
}

impl Progress {
    /// Nothing can be done before more input arrives.
    const fn needs_more() -> Self {
        Self { consumed: 0, output: Vec::new(), done: false }
    }
}
