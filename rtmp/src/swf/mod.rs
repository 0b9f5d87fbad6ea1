//! Hashes of SWF files, which servers request to check that a client has the right player.
//!
//! [`hash`] computes them, [`cache`] and [`date`] know the text file that stores them, [`store`] reads and writes it, and
//! [`look_up()`] combines these with a download. The handshake uses the hash.

pub mod cache;
pub mod date;
#[cfg_attr(not(feature = "swf"), path = "absent_hash.rs")]
pub mod hash;
mod look_up;
pub mod store;

pub use look_up::{LookUp, look_up};

/// The values that servers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwfHash {
    /// Length of the uncompressed file, in bytes.
    pub size: u32,
    /// HMAC-SHA256 of the uncompressed file.
    pub hash: [u8; 32],
}
