//! Fields of the public structs that several threads use: each is read and written as a whole, independently of the others.
//! Fields that must be consistent with each other are protected elsewhere.

#[cfg(target_pointer_width = "64")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicI8, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, Ordering::Relaxed};

/// The types that a shared field may have.
pub(super) trait Shareable: Sized {
    /// Reads a field.
    ///
    /// # Safety
    /// `field` is the address of one, and Rust code writes it with `write`.
    unsafe fn read(field: *mut Self) -> Self;

    /// Writes a field.
    ///
    /// # Safety
    /// `field` is the address of one, and Rust code reads it with `read`.
    unsafe fn write(field: *mut Self, value: Self);
}

macro_rules! shareable {
    ($($type:ty: $atomic:ty;)*) => { $(impl Shareable for $type {
        unsafe fn read(field: *mut Self) -> Self {
            // SAFETY: `field` is the address of one, and Rust code reads it with `read`, by the Safety
            // section; fields of C structs are aligned.
            unsafe { <$atomic>::from_ptr(field) }.load(Relaxed)
        }

        unsafe fn write(field: *mut Self, value: Self) {
            // SAFETY: `field` is the address of one, and Rust code reads it with `read`, by the Safety
            // section; fields of C structs are aligned.
            unsafe { <$atomic>::from_ptr(field) }.store(value, Relaxed);
        }
    })* };
}

shareable! {
    i8: AtomicI8;
    u8: AtomicU8;
    u16: AtomicU16;
    i32: AtomicI32;
    u32: AtomicU32;
}

impl<T> Shareable for *mut T {
    unsafe fn read(field: *mut Self) -> Self {
        // SAFETY: `field` is the address of a field, which Rust writes only atomically, by the contract of the trait; fields of
        // C structs are aligned.
        unsafe { AtomicPtr::from_ptr(field) }.load(Relaxed)
    }

    unsafe fn write(field: *mut Self, value: Self) {
        // SAFETY: `field` is the address of a field, which Rust writes only atomically, by the contract of the trait; fields of
        // C structs are aligned.
        unsafe { AtomicPtr::from_ptr(field) }.store(value, Relaxed);
    }
}

#[cfg(target_pointer_width = "64")]
impl Shareable for f64 {
    unsafe fn read(field: *mut Self) -> Self {
        // SAFETY: `field` is the address of a field, by the contract of the trait; a double has the size and alignment of its
        // bits.
        Self::from_bits(unsafe { AtomicU64::from_ptr(field.cast()) }.load(Relaxed))
    }

    unsafe fn write(field: *mut Self, value: Self) {
        // SAFETY: `field` is the address of a field, by the contract of the trait; a double has the size and alignment of its
        // bits.
        unsafe { AtomicU64::from_ptr(field.cast()) }.store(value.to_bits(), Relaxed);
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(align_of::<f64>() == align_of::<AtomicU64>());

/// Some processors with 32 bits have no larger atomics, and on x86 a double in a struct is aligned to 4 bytes. C programs
/// read doubles in two parts there as well.
#[cfg(target_pointer_width = "32")]
impl Shareable for f64 {
    unsafe fn read(field: *mut Self) -> Self {
        // SAFETY: `field` is the address of a field, by the contract of the trait; a double has the size of two words and at
        // least their alignment.
        let words =
            unsafe { [0, 1].map(|index| AtomicU32::from_ptr(field.cast::<u32>().add(index)).load(Relaxed)) };
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&words[0].to_ne_bytes());
        bytes[4..].copy_from_slice(&words[1].to_ne_bytes());
        Self::from_ne_bytes(bytes)
    }

    unsafe fn write(field: *mut Self, value: Self) {
        let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
        for (index, word) in [[a, b, c, d], [e, f, g, h]].into_iter().enumerate() {
            // SAFETY: `field` is the address of a field, by the contract of the trait; a double has the size of two words and at
            // least their alignment.
            unsafe {
                AtomicU32::from_ptr(field.cast::<u32>().add(index)).store(u32::from_ne_bytes(word), Relaxed)
            };
        }
    }
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(align_of::<f64>() >= align_of::<AtomicU32>());

/// Reads a field.
///
/// # Safety
/// `field` is the address of one, and Rust code writes it with [`write`].
pub(super) unsafe fn read<T: Shareable>(field: *const T) -> T {
    // SAFETY: `field` is the address of one, and Rust code writes it with [`write`], by the Safety
    // section; nothing is written through the pointer.
    unsafe { T::read(field.cast_mut()) }
}

/// Writes a field.
///
/// # Safety
/// `field` is the address of one, and Rust code reads it with [`read`].
pub(super) unsafe fn write<T: Shareable>(field: *mut T, value: T) {
    // SAFETY: `field` is the address of one, and Rust code reads it with [`read`], by the Safety section.
    unsafe { T::write(field, value) }
}
