//! Hashes of SWF files, which servers ask for to see that a client has the right player.
//!
//! [`hash`] computes them, [`cache`] and [`date`] know the text file in which they are kept, [`store`] reads and
//! writes it, and [`look_up()`] joins these with a download. What the hash is used for is the handshake's business.

pub mod cache;
pub mod date;
#[cfg_attr(not(feature = "swf"), path = "absent_hash.rs")]
pub mod hash;
mod look_up;
pub mod store;

pub use look_up::{LookUp, look_up};

/// What servers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwfHash {
    /// Length of the uncompressed file, in bytes.
    pub size: u32,
    /// HMAC-SHA256 of the uncompressed file.
    pub hash: [u8; 32],
}
