//! Replaces hashing in a build without the feature `swf`.

use super::SwfHash;
use crate::{error::Result, features::SWF};

/// The limit of a file's size, both as it arrives and uncompressed.
pub const MAX_SIZE: usize = 64 << 20;

/// A hash, which this build does not compute.
#[derive(Default)]
pub struct Hasher;

impl Hasher {
    /// A hasher that fails.
    pub fn new() -> Self {
        Self
    }

    /// Fails with [`Error::Unsupported`](crate::Error::Unsupported), because this build has no SWF verification.
    pub fn update(&mut self, _bytes: &[u8]) -> Result<()> {
        SWF.check()
    }

    /// Fails with [`Error::Unsupported`](crate::Error::Unsupported), because this build has no SWF verification.
    pub fn finish(self) -> Result<Option<SwfHash>> {
        SWF.check().map(|()| None)
    }
}
