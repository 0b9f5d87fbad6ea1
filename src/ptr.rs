//! Pointers from C, turned into references where the C contract allows it.

use std::{ffi::CStr, marker::PhantomData, mem::MaybeUninit, ptr::NonNull, slice};

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

/// The places of an array to fill, which may be null if there are none. They need not be initialised.
///
/// # Safety
/// `array` is null or writable for `count` items, and nothing else uses them while the result is used.
#[inline(always)]
pub(crate) unsafe fn room<'a, T>(array: *mut T, count: usize) -> Option<&'a mut [MaybeUninit<T>]> {
    match count {
        0 => Some(&mut []),
        _ if array.is_null() => None,
        // SAFETY: the array is not null, so it is writable for `count` items that nothing else uses, by the Safety section.
        count => Some(unsafe { slice::from_raw_parts_mut(array.cast(), count) }),
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
    given(u32::try_from(len).ok().and_then(|len| unsafe { items(data.cast(), len) }), name)
}

/// A pointer that must not be null, as a shared reference.
///
/// # Safety
/// `pointer` is null or points to a valid `T` that nobody writes while the result is used.
pub(crate) unsafe fn required<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T> {
    // SAFETY: null, or a valid `T` that nobody writes meanwhile, by the Safety section.
    given(unsafe { pointer.as_ref() }, name)
}

/// A pointer that must not be null, as an exclusive reference.
///
/// # Safety
/// `pointer` is null or points to a valid `T` that nothing else uses while the result is used.
pub(crate) unsafe fn required_mut<'a, T>(pointer: *mut T, name: &'static str) -> Result<&'a mut T> {
    // SAFETY: null, or a valid `T` that is this call's alone, by the Safety section.
    given(unsafe { pointer.as_mut() }, name)
}

/// An argument that must not be null; `name` is its name, or the error's words.
#[inline]
pub(crate) fn given<T>(argument: Option<T>, name: &'static str) -> Result<T> {
    // Not `ok_or`: most calls are short, and creating an error would cost as much as the call.
    match argument {
        Some(argument) => Ok(argument),
        None => Err(Error::Invalid(name)),
    }
}

/// A parameter of an exported function that is a pointer in C. It is an `Option`, because each of these pointers may be null.
pub trait Parameter: Sized {
    /// The type of the target.
    type Target;

    /// The parameter for a pointer, as C passes it.
    ///
    /// # Safety
    /// The pointer is null, or what the type says.
    unsafe fn from_c(pointer: *mut Self::Target) -> Option<Self>;
}

/// As [`Parameter::from_c`], for the parameter that is expected: for tests, which call exported functions as C programs do.
///
/// # Safety
/// As for [`Parameter::from_c`].
pub unsafe fn from_c<P: Parameter>(pointer: *mut P::Target) -> Option<P> {
    // SAFETY: the pointer is null, or what the type says, by the Safety section.
    unsafe { P::from_c(pointer) }
}

/// A string that ends with a NUL. Nobody writes to it for `'a`. C passes it as a pointer.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct NulText<'a> {
    start: NonNull<c_char>,
    stays: PhantomData<&'a c_char>,
}

impl Parameter for NulText<'_> {
    type Target = c_char;

    unsafe fn from_c(start: *mut c_char) -> Option<Self> {
        NonNull::new(start).map(|start| Self { start, stays: PhantomData })
    }
}

impl<'a> NulText<'a> {
    pub(crate) fn as_ptr(self) -> *mut c_char {
        self.start.as_ptr()
    }

    /// The bytes without the NUL.
    pub(crate) fn bytes(self) -> &'a [u8] {
        // SAFETY: the string ends with a NUL, and stays.
        unsafe { CStr::from_ptr(self.as_ptr()) }.to_bytes()
    }
}

/// A place for a result, which is writable during the call. Its old contents are neither read nor dropped, so it need not be
/// initialised. C passes it as a pointer.
#[derive(Debug)]
#[repr(transparent)]
pub struct Out<T>(NonNull<T>);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T: Copy> Parameter for Out<T> {
    type Target = T;

    #[inline]
    unsafe fn from_c(place: *mut T) -> Option<Self> {
        NonNull::new(place).map(Self)
    }
}

impl<T: Copy> Out<T> {
    pub(crate) fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn write(&self, value: T) {
        // SAFETY: the place is writable.
        unsafe { self.0.write(value) }
    }
}
