//! Valid pointers to structs of C programs. An exported function has one as a parameter, as `Option<Rtmp<'_>>` for a pointer that
//! may be null, or turns a pointer into one; the code that then uses the struct is safe, field by field.
//!
//! No reference to a whole struct is made: other threads, and callbacks, use its fields meanwhile.

use std::{fmt, marker::PhantomData, ptr::NonNull};

use super::{ptr::Parameter, rtmp::RTMP, shared::Shareable};

/// A valid `RTMP`.
pub type Rtmp<'a> = Valid<'a, RTMP>;

/// The address of an initialised `T`, or of a field of one, which outlives `'a`. C passes it as a pointer.
#[repr(transparent)]
pub struct Valid<'a, T> {
    place: NonNull<T>,
    lives: PhantomData<&'a T>,
}

impl<T> Parameter for Valid<'_, T> {
    type Target = T;

    #[inline]
    unsafe fn from_c(place: *mut T) -> Option<Self> {
        // SAFETY: null, or as the type says, by the Safety section.
        unsafe { Self::new(place) }
    }
}

impl<T> Clone for Valid<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Valid<'_, T> {}

impl<T> fmt::Debug for Valid<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl<'a, T> Valid<'a, T> {
    /// The target of `place`; `None` if that is null.
    ///
    /// # Safety
    /// `place` is null or points to an initialised `T` that stays there for `'a`. While this lives, Rust code uses the fields
    /// that other threads use through [`get`](Self::get) and [`set`](Self::set), and the others in one thread at a time.
    #[inline(always)]
    pub(crate) unsafe fn new(place: *mut T) -> Option<Self> {
        NonNull::new(place).map(|place| Self { place, lives: PhantomData })
    }

    /// As [`Self::new`], for a pointer that is not null.
    ///
    /// # Safety
    /// As for [`Self::new`].
    #[inline(always)]
    pub(crate) const unsafe fn from_non_null(place: NonNull<T>) -> Self {
        Self { place, lives: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn as_non_null(self) -> NonNull<T> {
        self.place
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut T {
        self.place.as_ptr()
    }

    /// A field, for [`field!`].
    ///
    /// # Safety
    /// `find` returns the address of a field of the struct whose address it is given.
    #[inline(always)]
    pub(crate) unsafe fn part<U>(self, find: impl FnOnce(*mut T) -> *mut U) -> Valid<'a, U> {
        // SAFETY: a field of a struct that exists is not null, and lives as long, by the Safety section.
        unsafe { Valid::from_non_null(NonNull::new_unchecked(find(self.as_ptr()))) }
    }
}

impl<'a, T: Shareable> Valid<'a, T> {
    /// A number or a pointer that other threads use, too.
    #[inline(always)]
    pub(crate) fn atomic(self) -> &'a T::Atomic {
        // SAFETY: it is initialised, and Rust code uses it only in this form (`new`), which has its layout (`Shareable`).
        unsafe { self.place.cast().as_ref() }
    }

    /// Reads a number or a pointer, which other threads may be writing.
    #[inline(always)]
    pub(crate) fn get(self) -> T {
        T::load(self.atomic())
    }

    /// Writes a number or a pointer, which other threads may be reading.
    #[inline(always)]
    pub(crate) fn set(self, value: T) {
        T::store(self.atomic(), value);
    }

    /// Replaces the value by one that depends on it. Other threads may write it between the two.
    #[inline(always)]
    pub(crate) fn change(self, change: impl FnOnce(T) -> T) {
        self.set(change(self.get()));
    }
}

impl<T: Copy> Valid<'_, T> {
    /// Reads a larger value, which one thread at a time uses. It need not be aligned.
    #[inline(always)]
    pub(crate) fn copy(self) -> T {
        // SAFETY: it is initialised, and no other thread writes it (`new`).
        unsafe { self.as_ptr().read_unaligned() }
    }

    /// Writes a larger value, which one thread at a time uses. It need not be aligned.
    #[inline(always)]
    pub(crate) fn put(self, value: T) {
        // SAFETY: it is writable, and no other thread uses it (`new`).
        unsafe { self.as_ptr().write_unaligned(value) }
    }
}

/// A field of a struct behind a [`Valid`]: `field!(session, m_sb.sb_size)`.
macro_rules! field {
    ($valid:expr, $($name:ident).+) => {
        match $valid {
            valid => {
                #[allow(unused_unsafe, reason = "the macro may be used in an unsafe block")]
                // SAFETY: the closure returns the address of that field.
                let part = unsafe { $crate::valid::Valid::part(valid, |whole| &raw mut (*whole).$($name).+) };
                part
            }
        }
    };
}
pub(crate) use field;
