//! The digest that marks C1 and S1 as Flash's, and the positions of digest and public key in them.

use hmac::{Hmac, KeyInit, Mac};
use log::warn;
use sha2::Sha256;

use super::{BLOCK_LEN, Block, dh};
use crate::error::{Error, Result};

/// Length of digests and signatures.
pub const HASH_LEN: usize = 32;

/// A digest or a signature.
pub type Hash = [u8; HASH_LEN];

/// Positions of digest and key: each is in one half of the block, at an offset that four bytes of that half determine. Flash
/// Player introduced the first scheme, RTMPE the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The digest in the first half, the key in the second.
    One,
    /// The key in the first half, the digest in the second.
    Two,
}

/// One end's keys. They are public.
pub struct End {
    /// The key for digests. A second key, made of it and [`SUFFIX`], is for signatures.
    name: &'static [u8],
    is_client: bool,
}

/// The end that sends C1 and C2.
pub const CLIENT: End = End { name: b"Genuine Adobe Flash Player 001", is_client: true };
/// The end that sends S1 and S2.
pub const SERVER: End = End { name: b"Genuine Adobe Flash Media Server 001", is_client: false };

const SUFFIX: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, 0x6E,
    0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

/// The number of possible positions of a digest in its half.
const DIGEST_PLACES: usize = 728;
/// The number of possible positions of a public key in its half.
const KEY_PLACES: usize = 632;

impl Scheme {
    /// The other scheme.
    pub const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// The offset of a block's digest, which ends before byte 1536.
    pub fn digest_offset(self, block: &Block) -> usize {
        match self {
            Self::One => sum(block, 8) % DIGEST_PLACES + 12,
            Self::Two => sum(block, 772) % DIGEST_PLACES + 776,
        }
    }

    /// The offset of a block's public key, which ends before byte 1533.
    pub fn key_offset(self, block: &Block) -> usize {
        match self {
            Self::One => sum(block, 1532) % KEY_PLACES + 772,
            Self::Two => sum(block, 768) % KEY_PLACES + 8,
        }
    }

    /// The public key in a block.
    pub fn key(self, block: &Block) -> dh::PublicKey {
        let mut key = [0; dh::KEY_LEN];
        let offset = self.key_offset(block);
        key.copy_from_slice(&block[offset..offset + dh::KEY_LEN]);
        key
    }

    /// Writes a public key into a block, whose digest has to be written afterwards.
    pub fn write_key(self, block: &mut Block, key: &dh::PublicKey) {
        let offset = self.key_offset(block);
        block[offset..offset + dh::KEY_LEN].copy_from_slice(key);
    }
}

/// The sum of the four bytes at `offset`.
fn sum(block: &Block, offset: usize) -> usize {
    block[offset..offset + 4].iter().map(|byte| usize::from(*byte)).sum()
}

impl End {
    /// The digest of this end's C1 or S1, over all other bytes of the block.
    pub fn digest(&self, scheme: Scheme, block: &Block) -> Hash {
        finish(self.digest_state(scheme, block))
    }

    /// Writes the digest of this end's C1 or S1, and returns it.
    pub fn write_digest(&self, scheme: Scheme, block: &mut Block) -> Hash {
        let digest = self.digest(scheme, block);
        let offset = scheme.digest_offset(block);
        block[offset..offset + HASH_LEN].copy_from_slice(&digest);
        digest
    }

    /// The digest in this end's C1 or S1, if it is correct.
    pub fn verified_digest(&self, scheme: Scheme, block: &Block) -> Option<Hash> {
        let offset = scheme.digest_offset(block);
        let digest = &block[offset..offset + HASH_LEN];
        self.digest_state(scheme, block).verify_slice(digest).ok()?;
        digest.try_into().ok()
    }

    /// The digest in this end's C1 or S1, and its scheme. `own` is the likely scheme.
    pub fn find_digest(&self, own: Scheme, block: &Block) -> Result<(Scheme, Hash)> {
        if let Some(digest) = self.verified_digest(own, block) {
            return Ok((own, digest));
        }
        warn!("Trying different position for {} digest!", if self.is_client { "client" } else { "server" });
        let digest = self.verified_digest(own.other(), block).ok_or(Error::Handshake(if self.is_client {
            "Couldn't verify the client digest"
        } else {
            "Couldn't verify the server digest"
        }))?;
        Ok((own.other(), digest))
    }

    /// The key with which this end signs C2 or S2 in answer to a digest of the other end.
    pub fn signature_key(&self, peer_digest: &Hash) -> Hash {
        hmac(&[self.name, &SUFFIX].concat(), &[peer_digest])
    }

    /// The name in the log.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_client { "Client" } else { "Server" }
    }

    /// Adobe's name for it.
    pub(super) fn product(&self) -> &'static str {
        if self.is_client { "Player" } else { "Media Server" }
    }

    /// The function of librtmp that looked at this end's blocks, and what it called this end.
    pub(super) fn names_in_log(&self) -> (&'static str, &'static str) {
        if self.is_client { ("SHandShake", "Client") } else { ("HandShake", "Server") }
    }

    fn digest_state(&self, scheme: Scheme, block: &Block) -> Hmac<Sha256> {
        let offset = scheme.digest_offset(block);
        keyed(self.name).chain_update(&block[..offset]).chain_update(&block[offset + HASH_LEN..BLOCK_LEN])
    }
}

/// HMAC-SHA256 of the concatenated `parts`.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    finish(parts.iter().fold(keyed(key), |state, part| state.chain_update(part)))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn finish(state: Hmac<Sha256>) -> Hash {
    state.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_and_key_stay_within_their_halves() {
        for value in 0..=255 {
            let mut block = [value; BLOCK_LEN];
            for scheme in [Scheme::One, Scheme::Two] {
                let half = |offset| offset >= 772;
                let (digest, key) = (scheme.digest_offset(&block), scheme.key_offset(&block));
                assert_eq!(half(digest), half(digest + HASH_LEN - 2));
                assert_ne!(half(digest), half(key));
                scheme.write_key(&mut block, &[value; dh::KEY_LEN]);
                let digest = CLIENT.write_digest(scheme, &mut block);
                assert_eq!(CLIENT.verified_digest(scheme, &block), Some(digest));
                assert_eq!(SERVER.verified_digest(scheme, &block), None);
            }
        }
    }

    #[test]
    fn every_byte_of_a_block_is_covered_by_its_digest() {
        let mut block = [3; BLOCK_LEN];
        SERVER.write_digest(Scheme::Two, &mut block);
        for index in 0..BLOCK_LEN {
            block[index] ^= 1;
            assert_eq!(SERVER.verified_digest(Scheme::Two, &block), None, "{index}");
            block[index] ^= 1;
        }
    }
}
