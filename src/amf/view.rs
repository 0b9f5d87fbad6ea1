//! Values that C programs have built, for safe code. The function that the program called guarantees everything inside them
//! once.

use std::{ops::Deref, ptr, slice};

use rtmp_core::error::Result;

use super::{list::properties, types::*};
use crate::ptr::{aval_bytes, items, required};

/// A valid value of the program: text in it is readable for its length, arrays have as many entries as their counts say, and
/// so on for everything inside it. It stays as it is for `'a`.
#[derive(Debug)]
pub(crate) struct In<'a, T>(&'a T);

/// A string.
pub(crate) type Text<'a> = In<'a, AVal>;
/// A list of properties.
pub(super) type Object<'a> = In<'a, AMFObject>;
/// A value and its name.
pub(super) type Property<'a> = In<'a, AMFObjectProperty>;

impl<'a, T> In<'a, T> {
    /// # Safety
    /// `place` is null or points to a `T` that is valid as the type says. Nothing writes or frees any of it for `'a`.
    #[inline]
    pub(crate) unsafe fn new(place: *const T, name: &'static str) -> Result<Self> {
        // SAFETY: null, or a value that stays as it is, by the Safety section.
        unsafe { required(place, name) }.map(Self)
    }

    /// The items of an array; `None` if that is null but has items.
    ///
    /// # Safety
    /// As for [`Self::new`], for `count` values in a row.
    pub(crate) unsafe fn items(place: *const T, count: u32) -> Option<impl Iterator<Item = Self>> {
        // SAFETY: null, or `count` values that stay as they are, by the Safety section.
        Some(unsafe { items(place, count) }?.iter().map(Self))
    }
}

impl<T> Clone for In<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<'_, T> {}

impl<T> Deref for In<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0
    }
}

impl<'a> Text<'a> {
    /// Its bytes: none when the pointer is null or the length is not positive.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        // SAFETY: the text is readable for its length, and stays (`In::new`).
        unsafe { aval_bytes(self.0) }
    }

    /// Its bytes, to be written; `None` if its length is negative or it has no bytes.
    #[inline]
    pub(super) fn written(self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.0.av_len).ok()?;
        if len > 0 && self.0.av_val.is_null() { None } else { Some(self.bytes()) }
    }
}

impl<'a> Object<'a> {
    /// Its properties; none if its count is not positive or its array is null.
    #[inline]
    pub(super) fn properties(self) -> Properties<'a> {
        // SAFETY: the array has as many properties as its count says, and stays (`In::new`).
        Properties(unsafe { properties(self.0) }.iter())
    }
}

impl<'a> Property<'a> {
    #[inline]
    pub(super) fn name(self) -> Text<'a> {
        In(&self.0.p_name)
    }

    /// The address, for C.
    pub(super) fn address(self) -> *mut AMFObjectProperty {
        ptr::from_ref(self.0).cast_mut()
    }

    /// The members, if this is an object or an array.
    #[inline]
    pub(super) fn members(self) -> Option<Object<'a>> {
        self.0.members().map(In)
    }

    /// The text, if this is a string.
    #[inline]
    pub(super) fn text(self) -> Option<Text<'a>> {
        self.0.text().map(In)
    }
}

/// The properties of an object, one after the other.
#[derive(Clone, Default)]
pub(super) struct Properties<'a>(slice::Iter<'a, AMFObjectProperty>);

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Property<'a>> {
        self.0.next().map(In)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Properties<'_> {}
