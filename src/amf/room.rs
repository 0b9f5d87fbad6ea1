//! A caller's buffer that is being filled.

use std::{marker::PhantomData, ptr, slice};

use libc::c_char;

use rtmp_core::error::{Error, Result};

/// A buffer, and how many of its bytes are written. Every write checks that it fits. The rest need not be initialised.
pub(crate) struct Room<'a> {
    place: *mut u8,
    written: usize,
    capacity: usize,
    lives: PhantomData<&'a mut u8>,
}

impl<'a> Room<'a> {
    /// The room between two pointers. Fails if the first is null, and without a log line if the second is before the first.
    ///
    /// # Safety
    /// The bytes from `output` up to `outend` are writable for `'a`.
    #[inline]
    pub(crate) unsafe fn new(output: *mut c_char, outend: *mut c_char) -> Result<Self> {
        if output.is_null() {
            return Err(Error::Invalid("output"));
        }
        let Some(capacity) = (outend as usize).checked_sub(output as usize) else {
            return Err(
                Error::TooLarge("what is written, for a buffer that ends before its start").reported()
            );
        };
        Ok(Self { place: output.cast(), written: 0, capacity, lives: PhantomData })
    }

    /// A buffer of this library.
    pub(super) fn of(buffer: &'a mut [u8]) -> Self {
        Self { place: buffer.as_mut_ptr(), written: 0, capacity: buffer.len(), lives: PhantomData }
    }

    /// The position after the written bytes, as C sees it.
    #[inline]
    pub(crate) fn position(&self) -> *mut c_char {
        self.place.wrapping_add(self.written).cast()
    }

    /// The number of written bytes.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// The number of free bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.capacity - self.written
    }

    /// Forgets the written bytes after the first `written` ones.
    #[inline]
    pub(super) fn truncate(&mut self, written: usize) {
        self.written = self.written.min(written);
    }

    /// Writes the bytes, or nothing if they do not fit.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() > self.len() {
            return None;
        }
        // SAFETY: the bytes fit, as just checked, into memory that is writable (`new`, `of`). Programs may encode text that
        // lies in the same buffer, so the two may overlap.
        unsafe { ptr::copy(bytes.as_ptr(), self.place.add(self.written), bytes.len()) };
        self.written += bytes.len();
        Some(())
    }

    /// The next `len` bytes, which become zero; `None` if there are fewer. They count as written.
    pub(crate) fn zeroed(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > self.len() {
            return None;
        }
        // SAFETY: the bytes fit, as just checked, into memory that is writable (`new`, `of`), and are initialised here.
        let bytes = unsafe {
            let place = self.place.add(self.written);
            place.write_bytes(0, len);
            slice::from_raw_parts_mut(place, len)
        };
        self.written += len;
        Some(bytes)
    }
}
