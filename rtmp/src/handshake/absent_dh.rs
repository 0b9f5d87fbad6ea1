//! Replaces the key agreement in a build without the feature `rtmpe`. Making keys fails, so no value of these types exists.

use std::convert::Infallible;

use crate::{error::Result, features::RTMPE};

/// Length of public keys and of the secret.
pub const KEY_LEN: usize = 128;

/// Length of the private keys that this library makes.
pub const PRIVATE_LEN: usize = 32;

/// A public key, big-endian.
pub type PublicKey = [u8; KEY_LEN];

/// A private key and the public key that belongs to it.
pub struct KeyPair {
    never: Infallible,
}

/// The secret that both ends know and eavesdroppers do not.
pub struct Secret {
    never: Infallible,
}

impl KeyPair {
    /// Fails with [`Error::Unsupported`](crate::Error::Unsupported), because this build has no RTMPE.
    pub fn new(_private: &[u8]) -> Result<Self> {
        Err(RTMPE.error())
    }

    /// The key for the peer.
    pub fn public(&self) -> &PublicKey {
        match self.never {}
    }

    /// The secret shared with the owner of `peer`.
    pub fn agree(&self, _peer: &PublicKey) -> Result<Secret> {
        match self.never {}
    }
}

impl Secret {
    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        match self.never {}
    }
}
