//! A caller's buffer that is being filled.

use std::{
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};

use libc::c_char;

use rtmp_core::error::{Error, Result};

use crate::{
    boundary::{Kind, boundary},
    ptr::{Parameter, given},
};

/// The start or the end of the bytes in which a function of C stores its result: those between the two that it gets are writable
/// during the call, and need not be initialised. C passes it as a pointer.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Edge<'a> {
    place: NonNull<c_char>,
    lives: PhantomData<&'a mut c_char>,
}

impl Parameter for Edge<'_> {
    type Target = c_char;

    #[inline]
    unsafe fn from_c(place: *mut c_char) -> Option<Self> {
        NonNull::new(place).map(|place| Self { place, lives: PhantomData })
    }
}

/// Runs `write` on the room between two parameters of an export, and returns the position after the written bytes; null if that
/// returns `None`.
#[inline]
pub(crate) fn fill(
    start: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
    write: impl FnOnce(&mut Room<'_>) -> Result<Option<()>>,
) -> *mut c_char {
    boundary(Kind::Plain, ptr::null_mut(), |_| {
        let mut room = Room::between(start, end)?;
        Ok(write(&mut room)?.map_or(ptr::null_mut(), |()| room.position()))
    })
}

/// As [`fill`], for functions that log nothing.
pub(crate) fn fill_silently(
    start: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
    write: impl FnOnce(&mut Room<'_>) -> Option<()>,
) -> *mut c_char {
    boundary(Kind::Plain, ptr::null_mut(), |_| {
        let Ok(mut room) = Room::between(start, end) else { return Ok(ptr::null_mut()) };
        Ok(write(&mut room).map_or(ptr::null_mut(), |()| room.position()))
    })
}

/// A buffer, and how many of its bytes are written. Every write checks that it fits. The rest need not be initialised.
pub(crate) struct Room<'a> {
    place: *mut u8,
    written: usize,
    capacity: usize,
    lives: PhantomData<&'a mut u8>,
}

impl<'a> Room<'a> {
    /// The room between two parameters of an export. Fails if the first is null, and without a log line if the second is before
    /// the first.
    #[inline]
    pub(crate) fn between(start: Option<Edge<'a>>, end: Option<Edge<'a>>) -> Result<Self> {
        let place = given(start, "output")?.place.as_ptr();
        let end = end.map_or(0, |end| end.place.addr().get());
        let Some(capacity) = end.checked_sub(place.addr()) else {
            return Err(
                Error::TooLarge("what is written, for a buffer that ends before its start").reported()
            );
        };
        Ok(Self { place: place.cast(), written: 0, capacity, lives: PhantomData })
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
        // SAFETY: the bytes fit, as just checked, into memory that is writable (`Edge`, `of`). Programs may encode text that
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
        // SAFETY: the bytes fit, as just checked, into memory that is writable (`Edge`, `of`), and are initialised here.
        let bytes = unsafe {
            let place = self.place.add(self.written);
            place.write_bytes(0, len);
            slice::from_raw_parts_mut(place, len)
        };
        self.written += len;
        Some(bytes)
    }
}
