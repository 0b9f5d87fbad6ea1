//! Key agreement of RTMPE: Diffie-Hellman in the second group of RFC 2409, generator 2.
//!
//! The client cannot verify the owner of the key. So this protects against eavesdroppers, but not against a man in the middle.

use crypto_bigint::{
    Odd, U1024, impl_modulus,
    modular::{ConstMontyForm, ConstMontyParams},
};
use log::{Level, log_enabled, warn};

use crate::error::{Error, Result};

/// Length of public keys and of the secret.
pub const KEY_LEN: usize = 128;

/// Length of a private key: twice the strength of the group, so that searching for the key is not the easier attack.
pub const PRIVATE_LEN: usize = 32;

/// A public key, big-endian.
pub type PublicKey = [u8; KEY_LEN];

impl_modulus!(
    Group,
    U1024,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
);

type Residue = ConstMontyForm<Group, { U1024::LIMBS }>;

const PRIME: Odd<U1024> = Group::MODULUS;
const GENERATOR: Residue = Residue::new(&U1024::from_u8(2));

/// A private key and the public key that belongs to it.
pub struct KeyPair {
    private: U1024,
    /// Length of the private key, which is no secret.
    private_bits: u32,
    public: PublicKey,
}

/// The secret that both ends know and eavesdroppers do not.
pub struct Secret(pub(super) [u8; KEY_LEN]);

impl KeyPair {
    /// The key pair of a private key, a big-endian number of at most [`KEY_LEN`] bytes. Weak keys, such as 0, are refused.
    pub fn new(private: &[u8]) -> Result<Self> {
        let (private, private_bits) = private_number(private)?;
        let public = GENERATOR.pow_bounded_exp(&private, private_bits).retrieve();
        in_range(&public)?;
        Ok(Self { private, private_bits, public: to_bytes(&public) })
    }

    /// The key to send to the peer.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The secret shared with the owner of `peer`. Keys that would make the secret predictable are refused.
    pub fn agree(&self, peer: &PublicKey) -> Result<Secret> {
        let peer = validate(peer)?;
        let secret = Residue::new(&peer).pow_bounded_exp(&self.private, self.private_bits).retrieve();
        Ok(Secret(to_bytes(&secret)))
    }
}

impl Secret {
    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Refuses the keys 0, 1, p-1 and anything larger. Keys outside the subgroup of order (p-1)/2 are accepted, since servers send
/// them; they reveal whether our private key is odd.
fn validate(key: &PublicKey) -> Result<U1024> {
    let key = U1024::from_be_slice(key);
    in_range(&key)?;
    // The check takes longer than the agreement and does not affect the result, so it runs only if the warning is logged.
    if log_enabled!(Level::Warn) && Residue::new(&key).pow(&PRIME.get().shr(1)).retrieve() != U1024::ONE {
        warn!("DH public key does not fulfill y^q mod p = 1");
    }
    Ok(key)
}

fn in_range(key: &U1024) -> Result<()> {
    if *key < U1024::from_u8(2) {
        return Err(Error::Handshake("DH public key must be at least 2"));
    }
    if *key >= PRIME.get().wrapping_sub(&U1024::ONE) {
        return Err(Error::Handshake("DH public key must be at most p-2"));
    }
    Ok(())
}

fn private_number(bytes: &[u8]) -> Result<(U1024, u32)> {
    let mut padded = [0; KEY_LEN];
    let start = KEY_LEN.checked_sub(bytes.len()).ok_or(Error::TooLarge("the private key"))?;
    padded[start..].copy_from_slice(bytes);
    Ok((U1024::from_be_slice(&padded), 8 * bytes.len() as u32))
}

fn to_bytes(number: &U1024) -> [u8; KEY_LEN] {
    let mut bytes = [0; KEY_LEN];
    bytes.copy_from_slice(number.to_be_bytes().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prime_plus(difference: i8) -> PublicKey {
        let step = U1024::from_u8(difference.unsigned_abs());
        let prime = PRIME.get();
        to_bytes(&if difference < 0 { prime.wrapping_sub(&step) } else { prime.wrapping_add(&step) })
    }

    fn small(value: u8) -> PublicKey {
        to_bytes(&U1024::from_u8(value))
    }

    #[test]
    fn keys_that_make_the_secret_known_are_refused() {
        for key in [small(0), small(1), prime_plus(-1), prime_plus(0), prime_plus(1), [0xFF; KEY_LEN]] {
            assert!(validate(&key).is_err());
        }
        for key in [small(2), small(3), prime_plus(-2), prime_plus(-3)] {
            assert!(validate(&key).is_ok());
        }
    }

    #[test]
    fn both_ends_get_the_same_secret() {
        let (ours, theirs) = (KeyPair::new(&[7; 32]).unwrap(), KeyPair::new(&[9; KEY_LEN]).unwrap());
        let secrets = [ours.agree(theirs.public()).unwrap(), theirs.agree(ours.public()).unwrap()];
        assert_eq!(secrets[0].as_bytes(), secrets[1].as_bytes());
    }

    #[test]
    fn invalid_private_keys_are_refused() {
        assert!(KeyPair::new(&[]).is_err());
        assert!(KeyPair::new(&[0; PRIVATE_LEN]).is_err());
        assert!(KeyPair::new(&[1; KEY_LEN + 1]).is_err());
    }
}
