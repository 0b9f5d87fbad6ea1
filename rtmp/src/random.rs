//! The source of random bytes: protocol code receives it from its caller and uses no other.

use crate::error::{Error, Result};

/// Fills a slice with unpredictable random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<()>;

/// The operating system's random bytes.
pub fn system(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::Unsupported("a source of random bytes"))
}
