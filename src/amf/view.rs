//! Values that C programs have built, for safe code. The function that the program called guarantees everything inside them
//! once.

use std::{marker::PhantomData, ops::Deref, ptr::NonNull, slice};

use rtmp_core::amf::Value;

use super::{list::properties, types::*};
use crate::{
    ptr::{Parameter, aval_bytes, items},
    valid::Valid,
};

/// A valid value of the program: text in it is readable for its length, arrays have as many entries as their counts say, and
/// so on for everything inside it. It stays as it is for `'a`. C passes it as a pointer.
///
/// It is not a reference: a function may store its result, at its end, in a place that overlaps an argument.
#[derive(Debug)]
#[repr(transparent)]
pub struct In<'a, T> {
    place: NonNull<T>,
    stays: PhantomData<&'a T>,
}

/// A string.
pub type Text<'a> = In<'a, AVal>;
/// A list of properties.
pub type Object<'a> = In<'a, AMFObject>;
/// `N` bytes.
pub type Bytes<'a, const N: usize> = In<'a, [u8; N]>;
/// A value and its name.
pub type Property<'a> = In<'a, AMFObjectProperty>;

impl<'a, T> In<'a, T> {
    /// A field of a struct.
    ///
    /// # Safety
    /// It is valid as the type says, and nothing writes or frees any of it for `'a`.
    pub(crate) unsafe fn of(valid: Valid<'a, T>) -> Self {
        Self { place: valid.as_non_null(), stays: PhantomData }
    }

    /// A value inside a valid one.
    #[inline]
    fn inside(value: &'a T) -> Self {
        Self { place: NonNull::from(value), stays: PhantomData }
    }

    /// The address, for C.
    pub(crate) fn address(self) -> *mut T {
        self.place.as_ptr()
    }

    #[inline]
    fn get(self) -> &'a T {
        // SAFETY: a valid value is initialised, and stays as it is.
        unsafe { self.place.as_ref() }
    }

    /// The items of an array; `None` if that is null but has items.
    ///
    /// # Safety
    /// `place` is null or points to `count` values that are valid as the type says, and stay so for `'a`.
    pub(crate) unsafe fn items(place: *const T, count: u32) -> Option<impl Iterator<Item = Self>> {
        // SAFETY: null, or `count` values that stay as they are, by the Safety section.
        Some(unsafe { items(place, count) }?.iter().map(Self::inside))
    }
}

impl<T> Parameter for In<'_, T> {
    type Target = T;

    #[inline]
    unsafe fn from_c(place: *mut T) -> Option<Self> {
        NonNull::new(place).map(|place| Self { place, stays: PhantomData })
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
        self.get()
    }
}

impl<'a> Text<'a> {
    /// Its bytes: none when the pointer is null or the length is not positive.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        // SAFETY: a valid string is readable for its length, and stays (`In`).
        unsafe { aval_bytes(self.get()) }
    }

    /// Its bytes, to be written; `None` if its length is negative or it has no bytes.
    #[inline]
    pub(super) fn written(self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.av_len).ok()?;
        if len > 0 && self.av_val.is_null() { None } else { Some(self.bytes()) }
    }
}

impl<'a> Object<'a> {
    /// Its properties; none if its count is not positive or its array is null.
    #[inline]
    pub(super) fn properties(self) -> Properties<'a> {
        // SAFETY: the array of a valid object has as many properties as its count says, and stays (`In`).
        Properties(unsafe { properties(self.get()) }.iter())
    }
}

impl<'a> Property<'a> {
    #[inline]
    pub(super) fn name(self) -> Text<'a> {
        In::inside(&self.get().p_name)
    }

    /// The members, if this is an object or an array.
    #[inline]
    pub(super) fn members(self) -> Option<Object<'a>> {
        self.get().members().map(In::inside)
    }

    /// The text, if this is a string.
    #[inline]
    pub(super) fn text(self) -> Option<Text<'a>> {
        self.get().text().map(In::inside)
    }

    /// The value as the core has it; `None` if this library does not read its type.
    pub(super) fn value(self) -> Option<Value<'a, Object<'a>>> {
        Some(match self.p_type {
            AMF_NUMBER => Value::Number(self.number()),
            AMF_BOOLEAN => Value::Boolean(self.number() != 0.0),
            AMF_STRING => Value::String(self.text()?.bytes()),
            AMF_OBJECT => Value::Object(self.members()?),
            AMF_ECMA_ARRAY => Value::EcmaArray(self.members()?),
            AMF_STRICT_ARRAY => Value::StrictArray(self.members()?),
            AMF_DATE => Value::Date { millis: self.number(), utc_offset: self.p_UTCoffset },
            AMF_NULL => Value::Null,
            AMF_INVALID => Value::Invalid,
            _ => return None,
        })
    }
}

/// The properties of an object, one after the other.
#[derive(Clone, Default)]
pub(super) struct Properties<'a>(slice::Iter<'a, AMFObjectProperty>);

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Property<'a>> {
        self.0.next().map(In::inside)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Properties<'_> {}
