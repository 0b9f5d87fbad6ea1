//! The signature at the end of C2 and S2, which two versions of RTMPE encrypt.

#[cfg(feature = "rtmpe")]
use blowfish::{
    BlowfishLE,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use hmac::{Hmac, digest::CtOutput};
use sha2::Sha256;

#[cfg(feature = "rtmpe")]
use super::cipher_keys;
use super::{
    BLOCK_LEN, Block,
    digest::{HASH_LEN, Hash, hmac},
};

/// The version byte whose signatures are encrypted with XTEA.
pub const XTEA: u8 = 8;
/// The version byte whose signatures are encrypted with Blowfish.
pub const BLOWFISH: u8 = 9;

/// The offset of the signature.
const OFFSET: usize = BLOCK_LEN - HASH_LEN;
/// A byte of the signature's key, modulo this, selects the key that encrypts a block of the signature.
const USED_KEYS: u8 = 15;

/// The signature of C2 or S2 with S0 = `version`.
pub fn signature(version: u8, key: &Hash, block: &Block) -> Hash {
    let mut signature = hmac(key, &[&block[..OFFSET]]);
    for (cipher_block, selector) in signature.chunks_exact_mut(8).zip(key.iter().step_by(8)) {
        let cipher_block = cipher_block.try_into().expect("chunks have their length");
        encrypt(version, usize::from(selector % USED_KEYS), cipher_block);
    }
    signature
}

/// Writes the signature of C2 or S2.
pub fn sign(version: u8, key: &Hash, block: &mut Block) {
    let signature = signature(version, key, block);
    block[OFFSET..].copy_from_slice(&signature);
}

/// The signature in a block.
pub fn of(block: &Block) -> &Hash {
    block.last_chunk().expect("a block is longer than a signature")
}

/// Whether C2 or S2 ends with its signature.
pub fn verify(version: u8, key: &Hash, block: &Block) -> bool {
    let mut found = [0; HASH_LEN];
    found.copy_from_slice(&block[OFFSET..]);
    // Compared in constant time.
    let comparable = |hash: Hash| CtOutput::<Hmac<Sha256>>::new(hash.into());
    comparable(found) == comparable(signature(version, key, block))
}

/// Encrypts eight bytes with the cipher of a version; most have none. `index` is below 16.
#[cfg(feature = "rtmpe")]
pub fn encrypt(version: u8, index: usize, block: &mut [u8; 8]) {
    match version {
        XTEA => *block = xtea(&cipher_keys::XTEA[index], *block),
        BLOWFISH => {
            let key = cipher_keys::BLOWFISH[index].map(u64::to_be_bytes);
            let cipher =
                BlowfishLE::new_from_slice(key.as_flattened()).expect("Blowfish takes keys of 24 bytes");
            cipher.encrypt_block(block.into());
        }
        _ => {}
    }
}

/// Only RTMPE has versions with a cipher.
#[cfg(not(feature = "rtmpe"))]
fn encrypt(_version: u8, _index: usize, _block: &mut [u8; 8]) {}

/// XTEA with 32 rounds, little-endian. Only the encryption of eight public bytes is needed.
#[cfg(feature = "rtmpe")]
fn xtea(key: &[u32; 4], block: [u8; 8]) -> [u8; 8] {
    const DELTA: u32 = 0x9E37_79B9;
    let word = |value: u32, sum: u32, key: u32| {
        (value << 4 ^ value >> 5).wrapping_add(value) ^ sum.wrapping_add(key)
    };
    let block = u64::from_le_bytes(block);
    let (mut left, mut right) = (block as u32, (block >> 32) as u32);
    let mut sum = 0_u32;
    for _ in 0..32 {
        left = left.wrapping_add(word(right, sum, key[(sum & 3) as usize]));
        sum = sum.wrapping_add(DELTA);
        right = right.wrapping_add(word(left, sum, key[(sum >> 11 & 3) as usize]));
    }
    (u64::from(left) | u64::from(right) << 32).to_le_bytes()
}
