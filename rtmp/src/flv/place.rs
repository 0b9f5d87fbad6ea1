//! The destination of a read call's bytes.

use std::mem::MaybeUninit;

/// A byte of the memory that a call writes to: an initialised one, or one that is still to be initialised.
pub trait Place: Sized {
    /// Copies `bytes` to the start of `to`, which has room for them.
    fn copy(to: &mut [Self], bytes: &[u8]);
}

impl Place for u8 {
    fn copy(to: &mut [Self], bytes: &[u8]) {
        to[..bytes.len()].copy_from_slice(bytes);
    }
}

impl Place for MaybeUninit<u8> {
    fn copy(to: &mut [Self], bytes: &[u8]) {
        for (to, byte) in to[..bytes.len()].iter_mut().zip(bytes) {
            to.write(*byte);
        }
    }
}
