//! Values that C programs have built, for safe code. The function that the program called guarantees everything inside them
//! once.

use std::{ops::Deref, slice};

use rtmp_core::error::Result;

use super::{list::properties, types::*};
use crate::ptr::{aval_bytes, required};

/// A valid property: its name and its text are readable for their lengths, and its members are valid, too.
#[derive(Clone, Copy)]
pub(super) struct Property<'a>(&'a AMFObjectProperty);

impl<'a> Property<'a> {
    /// # Safety
    /// `prop` is null or points to an initialised property, which nobody writes or frees while the result is used.
    #[inline]
    pub(super) unsafe fn from_raw(prop: *const AMFObjectProperty) -> Result<Self> {
        // SAFETY: null, or a property that stays as it is, by the Safety section.
        unsafe { required(prop, "prop") }.map(Self)
    }

    #[inline]
    pub(super) fn name(self) -> Text<'a> {
        Text(&self.0.p_name)
    }

    /// The members, if this is an object or an array.
    #[inline]
    pub(super) fn members(self) -> Option<Object<'a>> {
        self.0.members().map(Object)
    }

    /// The text, if this is a string; empty otherwise.
    #[inline]
    pub(super) fn text(self) -> Text<'a> {
        match self.0.p_type {
            // SAFETY: with this type the union holds a string, and any bits are a valid one.
            AMF_STRING => Text(unsafe { &self.0.p_vu.p_aval }),
            _ => Text(&NOTHING.0),
        }
    }
}

impl Deref for Property<'_> {
    type Target = AMFObjectProperty;

    #[inline]
    fn deref(&self) -> &AMFObjectProperty {
        self.0
    }
}

/// An object that has as many properties as its count says.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(&'a AMFObject);

impl<'a> Object<'a> {
    /// # Safety
    /// `obj` is null or points to an initialised object, which nobody writes or frees while the result is used.
    #[inline]
    pub(super) unsafe fn from_raw(obj: *const AMFObject) -> Result<Self> {
        // SAFETY: null, or an object that stays as it is, by the Safety section.
        unsafe { required(obj, "obj") }.map(Self)
    }

    /// Its properties; none if its count is not positive or its array is null.
    #[inline]
    pub(super) fn properties(self) -> Properties<'a> {
        // SAFETY: the array of an initialised object has as many properties as its count says, and stays valid: see `from_raw`.
        Properties(unsafe { properties(self.0) }.iter())
    }
}

impl Deref for Object<'_> {
    type Target = AMFObject;

    #[inline]
    fn deref(&self) -> &AMFObject {
        self.0
    }
}

/// The properties of an object, one after the other.
#[derive(Clone, Default)]
pub(super) struct Properties<'a>(slice::Iter<'a, AMFObjectProperty>);

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Property<'a>> {
        self.0.next().map(Property)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Properties<'_> {}

/// A string that is readable for its length.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(&'a AVal);

impl<'a> Text<'a> {
    /// # Safety
    /// `string` is null or points to an `AVal`, whose bytes are readable for its length; nobody writes or frees either while
    /// the result is used.
    #[inline]
    pub(super) unsafe fn from_raw(string: *const AVal, name: &'static str) -> Result<Self> {
        // SAFETY: null, or a string that stays as it is, by the Safety section.
        unsafe { required(string, name) }.map(Self)
    }

    /// Its bytes: none when the pointer is null or the length is not positive.
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        // SAFETY: the string is readable for its length, and stays valid: see `from_raw`.
        unsafe { aval_bytes(self.0) }
    }

    /// Its bytes, to be written; `None` if its length is negative or it has no bytes.
    #[inline]
    pub(super) fn written(self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.0.av_len).ok()?;
        if len > 0 && self.0.av_val.is_null() { None } else { Some(self.bytes()) }
    }
}

/// Strings are the same if they have the same length and the same bytes.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.av_len == other.0.av_len && self.bytes() == other.bytes()
    }
}

/// No string.
struct Nothing(AVal);

// SAFETY: the pointer is null, and nothing writes to it.
unsafe impl Sync for Nothing {}

static NOTHING: Nothing = Nothing(AVal::EMPTY);
