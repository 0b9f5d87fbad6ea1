//! The part of a caller's buffer that is still free.

use std::ptr;

use libc::c_char;

use rtmp_core::error::{Error, Result};

/// A position in a buffer and the buffer's end. Every write checks that it fits.
#[derive(Clone, Copy)]
pub(super) struct Room {
    next: *mut u8,
    end: *mut u8,
}

impl Room {
    /// The room between two pointers; none if the second is before the first.
    ///
    /// # Safety
    /// The bytes from `output` up to `outend` are writable for as long as the room is used.
    #[inline]
    pub(super) unsafe fn new(output: *mut c_char, outend: *mut c_char) -> Result<Self> {
        if output.is_null() {
            return Err(Error::Invalid("output"));
        }
        let end = if outend < output { output } else { outend };
        Ok(Self { next: output.cast(), end: end.cast() })
    }

    /// The position of the next byte, as C sees it.
    #[inline]
    pub(super) fn position(&self) -> *mut c_char {
        self.next.cast()
    }

    /// The number of free bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // `end` is never below `next`.
        self.end as usize - self.next as usize
    }

    /// Writes the bytes, or nothing if they do not fit.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() > self.len() {
            return None;
        }
        // SAFETY: the bytes fit, as just checked, into memory that is writable: see `new`. Programs may encode text
        // that lies in the same buffer, so the two may overlap.
        unsafe {
            ptr::copy(bytes.as_ptr(), self.next, bytes.len());
            self.next = self.next.add(bytes.len());
        }
        Some(())
    }
}
