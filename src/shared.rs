//! Fields of the public structs that several threads use: each is read and written as a whole, independently of the others.
//! Fields that must be consistent with each other are protected elsewhere.

#[cfg(target_pointer_width = "64")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicI8, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, Ordering::Relaxed};

/// The types that a shared field may have.
///
/// # Safety
/// `Atomic` has the size of the type, no stricter alignment, and accepts any bits.
pub unsafe trait Shareable: Copy {
    /// The form in which Rust code reads and writes the field.
    type Atomic;

    fn load(field: &Self::Atomic) -> Self;
    fn store(field: &Self::Atomic, value: Self);
}

macro_rules! shareable {
    ($($type:ty: $atomic:ty;)*) => { $(
        // SAFETY: the standard library gives an atomic number the size and bits of the number; their alignment is compared below.
        unsafe impl Shareable for $type {
            type Atomic = $atomic;

            #[inline(always)]
            fn load(field: &$atomic) -> Self {
                field.load(Relaxed)
            }

            #[inline(always)]
            fn store(field: &$atomic, value: Self) {
                field.store(value, Relaxed);
            }
        }
        const _: () = assert!(align_of::<$type>() == align_of::<$atomic>());
    )* };
}

shareable! {
    i8: AtomicI8;
    u8: AtomicU8;
    u16: AtomicU16;
    i32: AtomicI32;
    u32: AtomicU32;
}

// SAFETY: the standard library gives both the same size, bits and alignment.
unsafe impl<T> Shareable for *mut T {
    type Atomic = AtomicPtr<T>;

    #[inline(always)]
    fn load(field: &AtomicPtr<T>) -> Self {
        field.load(Relaxed)
    }

    #[inline(always)]
    fn store(field: &AtomicPtr<T>, value: Self) {
        field.store(value, Relaxed);
    }
}

/// Some processors with 32 bits have no larger atomics, and on x86 a double in a struct is aligned to 4 bytes. C programs
/// read doubles in two parts there as well.
#[cfg(target_pointer_width = "64")]
type Double = AtomicU64;
#[cfg(target_pointer_width = "32")]
type Double = [AtomicU32; 2];

const _: () = assert!(size_of::<f64>() == size_of::<Double>() && align_of::<f64>() >= align_of::<Double>());

// SAFETY: any bits are integers; the sizes and alignments are compared above.
unsafe impl Shareable for f64 {
    type Atomic = Double;

    #[cfg(target_pointer_width = "64")]
    fn load(field: &Double) -> Self {
        Self::from_bits(field.load(Relaxed))
    }

    #[cfg(target_pointer_width = "64")]
    fn store(field: &Double, value: Self) {
        field.store(value.to_bits(), Relaxed);
    }

    #[cfg(target_pointer_width = "32")]
    fn load(field: &Double) -> Self {
        let [first, second] = field.each_ref().map(|word| u64::from(word.load(Relaxed)));
        Self::from_bits(if cfg!(target_endian = "big") { first << 32 | second } else { second << 32 | first })
    }

    #[cfg(target_pointer_width = "32")]
    fn store(field: &Double, value: Self) {
        let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
        for (word, bytes) in field.iter().zip([[a, b, c, d], [e, f, g, h]]) {
            word.store(u32::from_ne_bytes(bytes), Relaxed);
        }
    }
}
