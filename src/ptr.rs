//! Pointers from C, turned into references where the C contract allows it.

use std::{ffi::CStr, ptr::NonNull, slice};

use libc::{c_char, c_int};
use rtmp_core::error::{Error, Result};

use crate::amf::AVal;

/// The items of an array, which may be null if there are none.
///
/// # Safety
/// `array` is null or points to `count` valid items that nobody writes while the result is used.
#[inline]
pub(crate) unsafe fn items<'a, T>(array: *const T, count: u32) -> Option<&'a [T]> {
    match count {
        0 => Some(&[]),
        _ if array.is_null() => None,
        // SAFETY: the array is not null, so it has `count` items that nobody writes meanwhile, by the Safety section.
        count => Some(unsafe { slice::from_raw_parts(array, count as usize) }),
    }
}

/// The bytes of an `AVal`: empty when the pointer is null or the length is not positive.
///
/// # Safety
/// `value.av_val` is null or readable for `av_len` bytes for as long as the result is used.
#[inline]
pub(crate) unsafe fn aval_bytes<'a>(value: &AVal) -> &'a [u8] {
    // SAFETY: `av_val` is null or readable for `av_len` bytes, by the Safety section.
    unsafe { items(value.av_val.cast(), u32::try_from(value.av_len).unwrap_or(0)) }.unwrap_or_default()
}

/// The bytes at a pointer, with a C length.
///
/// # Safety
/// `data` is null or readable for `len` bytes for as long as the result is used.
pub(crate) unsafe fn bytes<'a>(data: *const c_char, len: c_int, name: &'static str) -> Result<&'a [u8]> {
    // SAFETY: `data` is null or readable for `len` bytes, by the Safety section.
    match u32::try_from(len).ok().and_then(|len| unsafe { items(data.cast(), len) }) {
        Some(bytes) => Ok(bytes),
        // Built only when needed: most calls are short, and creating an error would cost as much as the call.
        None => Err(Error::Invalid(name)),
    }
}

/// The bytes of a C string, without its NUL.
///
/// # Safety
/// `text` is null or NUL-terminated, and nobody writes to it while the result is used.
pub(crate) unsafe fn c_string<'a>(text: *const c_char, name: &'static str) -> Result<&'a [u8]> {
    if text.is_null() {
        return Err(Error::Invalid(name));
    }
    // SAFETY: `text` is NUL-terminated, and nobody writes to it while the result is used, by the Safety section.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A pointer that must not be null, as a shared reference.
///
/// # Safety
/// `pointer` is null or points to a valid `T` that nobody writes while the result is used.
pub(crate) unsafe fn required<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T> {
    // SAFETY: null, or a valid `T` that nobody writes meanwhile, by the Safety section.
    match unsafe { pointer.as_ref() } {
        Some(reference) => Ok(reference),
        // Built only when needed: most calls are short, and creating an error would cost as much as the call.
        None => Err(Error::Invalid(name)),
    }
}

/// A pointer that must not be null, as an exclusive reference.
///
/// # Safety
/// `pointer` is null or points to a valid `T` that nothing else uses while the result is used.
pub(crate) unsafe fn required_mut<'a, T>(pointer: *mut T, name: &'static str) -> Result<&'a mut T> {
    // SAFETY: null, or a valid `T` that is this call's alone, by the Safety section.
    match unsafe { pointer.as_mut() } {
        Some(reference) => Ok(reference),
        // Built only when needed: most calls are short, and creating an error would cost as much as the call.
        None => Err(Error::Invalid(name)),
    }
}

/// A place for a result. Its old contents are neither read nor dropped, so it need not be initialised.
#[derive(Debug)]
pub(crate) struct Out<T>(NonNull<T>);

impl<T: Copy> Out<T> {
    /// # Safety
    /// `place` is null or writable until the result was used.
    #[inline]
    pub(crate) unsafe fn new(place: *mut T, name: &'static str) -> Result<Self> {
        let Some(place) = NonNull::new(place) else { return Err(Error::Invalid(name)) };
        Ok(Self(place))
    }

    #[inline]
    pub(crate) fn write(&self, value: T) {
        // SAFETY: the place is writable: see `new`.
        unsafe { self.0.write(value) }
    }
}
