//! Where random bytes come from: protocol code is handed a source and asks nobody else.

use crate::error::{Error, Result};

/// Fills a slice with random bytes that nobody can predict.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<()>;

/// The operating system's random bytes.
pub fn system(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::Unsupported("a source of random bytes"))
}
