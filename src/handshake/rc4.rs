//! The cipher of RTMPE, one key for each direction.

use std::fmt;

use rc4::{KeyInit, Rc4, StreamCipher};

use super::{
    BLOCK_LEN,
    dh::{PublicKey, Secret},
    digest::hmac,
};

/// Length of a key.
pub const KEY_LEN: usize = 16;

/// One direction of an encrypted connection. Encrypting and decrypting are the same, byte for byte in order.
pub struct Cipher(Box<Rc4>);

/// Both directions of an encrypted connection.
#[derive(Debug)]
pub struct Keys {
    /// Decrypts what arrives, from the first byte after the handshake.
    pub receive: Cipher,
    /// Encrypts what is sent, from the first byte after the handshake.
    pub send: Cipher,
}

impl Cipher {
    /// A cipher past the start of its key stream, which both ends leave out.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let cipher = Rc4::new_from_slice(key).expect("RC4 takes keys of 16 bytes");
        let mut cipher = Self(Box::new(cipher));
        cipher.apply(&mut [0; BLOCK_LEN]);
        cipher
    }

    /// Encrypts or decrypts the next bytes of the stream in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

impl Keys {
    /// The ciphers of the end whose public key is `own`.
    pub fn new(secret: &Secret, own: &PublicKey, peer: &PublicKey) -> Self {
        Self { receive: Cipher::new(&key(secret, own)), send: Cipher::new(&key(secret, peer)) }
    }
}

/// The key for what is sent to the owner of a public key.
pub fn key(secret: &Secret, receiver: &PublicKey) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    key.copy_from_slice(&hmac(secret.as_bytes(), &[receiver])[..KEY_LEN]);
    key
}

impl fmt::Debug for Cipher {
    /// Says nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}
