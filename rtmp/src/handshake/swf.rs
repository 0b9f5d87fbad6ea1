//! SWF verification: the proof that a client sends about the SWF file that it claims to run.

use super::{
    BLOCK_LEN, Block,
    digest::{HASH_LEN, Hash, hmac},
};

/// Length of [`Response`].
pub const RESPONSE_LEN: usize = 42;

/// The answer to a server that asks for verification; it belongs to one connection.
pub type Response = [u8; RESPONSE_LEN];

/// Size and hash of a SWF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swf {
    /// Length of the uncompressed file in bytes.
    pub size: u32,
    /// HMAC-SHA256 of the uncompressed file under the name of Flash Player.
    pub hash: Hash,
}

impl Swf {
    /// The answer for the session that this S1 began.
    pub fn response(&self, s1: &Block) -> Response {
        let mut response = [1; RESPONSE_LEN];
        response[2..6].copy_from_slice(&self.size.to_be_bytes());
        response[6..10].copy_from_slice(&self.size.to_be_bytes());
        response[10..].copy_from_slice(&hmac(&s1[BLOCK_LEN - HASH_LEN..], &[&self.hash]));
        response
    }
}
