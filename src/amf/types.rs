//! The structs of `amf.h`, its constants and the layouts that compiled programs rely on.

use std::ptr;

use libc::{c_char, c_int, c_uint};

use rtmp_core::error::{Error, Result};

use crate::layout::assert_layout;

/// The type of a property, one of the `AMF_` constants, of which the header has more. Programs may store any number in it.
pub type AMFDataType = c_uint;
/// AMF0: a number.
pub const AMF_NUMBER: AMFDataType = 0;
/// AMF0: true or false.
pub const AMF_BOOLEAN: AMFDataType = 1;
/// AMF0: text.
pub const AMF_STRING: AMFDataType = 2;
/// AMF0: named members.
pub const AMF_OBJECT: AMFDataType = 3;
/// AMF0: nothing.
pub const AMF_NULL: AMFDataType = 5;
/// AMF0: named members of an array.
pub const AMF_ECMA_ARRAY: AMFDataType = 8;
/// AMF0: the end of named members.
pub const AMF_OBJECT_END: AMFDataType = 9;
/// AMF0: members without names.
pub const AMF_STRICT_ARRAY: AMFDataType = 10;
/// AMF0: a point in time.
pub const AMF_DATE: AMFDataType = 11;
/// AMF0: text of more than 65,535 bytes; decoded as `AMF_STRING`.
pub const AMF_LONG_STRING: AMFDataType = 12;
/// AMF0: XML text.
pub const AMF_XML_DOC: AMFDataType = 15;
/// Not a value: what a lookup that found nothing returns.
pub const AMF_INVALID: AMFDataType = 0xFF;

/// A string that is not NUL-terminated: a pointer and a length.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AVal {
    /// First byte; null when there is no string.
    pub av_val: *mut c_char,
    /// Bytes.
    pub av_len: c_int,
}

impl AVal {
    /// No string.
    pub const EMPTY: Self = Self { av_val: ptr::null_mut(), av_len: 0 };

    /// Whether it has bytes.
    pub(crate) fn is_given(self) -> bool {
        self.av_len > 0 && !self.av_val.is_null()
    }

    /// Text in C's form: a null pointer if there is none, as programs expect. It is borrowed.
    #[inline]
    pub(crate) fn of(text: &[u8]) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::EMPTY);
        }
        let av_len = c_int::try_from(text.len()).map_err(|_| Error::TooLarge("AMF string"))?;
        Ok(Self { av_val: text.as_ptr().cast_mut().cast(), av_len })
    }
}

/// A list of properties. Owns the array, which `AMF_Reset` frees, but no name and no text.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AMFObject {
    /// Number of properties.
    pub o_num: c_int,
    /// The properties, from `malloc`, with room up to the next multiple of 16; null when there are none.
    pub o_props: *mut AMFObjectProperty,
}

impl AMFObject {
    /// No properties.
    pub const EMPTY: Self = Self { o_num: 0, o_props: ptr::null_mut() };
}

/// The value of a property; `p_type` selects one of the three.
#[repr(C)]
#[derive(Clone, Copy)]
pub union AMFPropertyValue {
    /// `AMF_NUMBER`, `AMF_BOOLEAN` (0.0 or 1.0) and `AMF_DATE` (milliseconds since 1970).
    pub p_number: f64,
    /// `AMF_STRING` and `AMF_XML_DOC`: borrowed text.
    pub p_aval: AVal,
    /// `AMF_OBJECT`, `AMF_ECMA_ARRAY` and `AMF_STRICT_ARRAY`: an owned list.
    pub p_object: AMFObject,
}

/// A value and its name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AMFObjectProperty {
    /// The name, borrowed; empty where there is none.
    pub p_name: AVal,
    /// The type of the value.
    pub p_type: AMFDataType,
    /// The value, one of three by `p_type`.
    pub p_vu: AMFPropertyValue,
    /// `AMF_DATE`: the time zone in minutes as it was sent.
    pub p_UTCoffset: i16,
}

impl AMFObjectProperty {
    /// No value and no name.
    pub const INVALID: Self = Self {
        p_name: AVal::EMPTY,
        p_type: AMF_INVALID,
        p_vu: AMFPropertyValue { p_aval: AVal::EMPTY },
        p_UTCoffset: 0,
    };

    /// The contents of the union.
    #[inline]
    fn value(&self) -> Held<'_> {
        // SAFETY: `p_type` says which member the union holds, and any bits are a valid number, string or object.
        unsafe {
            match self.p_type {
                AMF_NUMBER | AMF_BOOLEAN | AMF_DATE => Held::Number(self.p_vu.p_number),
                AMF_STRING => Held::Text(&self.p_vu.p_aval),
                AMF_OBJECT | AMF_ECMA_ARRAY | AMF_STRICT_ARRAY => Held::Members(&self.p_vu.p_object),
                _ => Held::Nothing,
            }
        }
    }

    /// The number, if this type is kept as one; 0.0 otherwise.
    #[inline]
    pub(super) fn number(&self) -> f64 {
        if let Held::Number(number) = self.value() { number } else { 0.0 }
    }

    /// The text, if this is a string.
    #[inline]
    pub(super) fn text(&self) -> Option<&AVal> {
        if let Held::Text(text) = self.value() { Some(text) } else { None }
    }

    /// The members, if this is an object or an array.
    #[inline]
    pub(super) fn members(&self) -> Option<&AMFObject> {
        if let Held::Members(members) = self.value() { Some(members) } else { None }
    }
}

/// The value of a property.
enum Held<'a> {
    Number(f64),
    Text(&'a AVal),
    Members(&'a AMFObject),
    /// None, or one that this library does not read.
    Nothing,
}

/// The definition of an AMF3 class.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AMF3ClassDef {
    /// The class's name, borrowed.
    pub cd_name: AVal,
    /// Not 0 if objects of the class write themselves.
    pub cd_externalizable: c_char,
    /// Not 0 if objects of the class may have further members.
    pub cd_dynamic: c_char,
    /// Number of names in `cd_props`.
    pub cd_num: c_int,
    /// The names of the members, from `malloc`, with room up to the next multiple of 16.
    pub cd_props: *mut AVal,
}

assert_layout! {
    AVal: 16 { av_val @ 0, av_len @ 8 }

    AMFObject: 16 { o_num @ 0, o_props @ 8 }

    AMFObjectProperty: 48 { p_name @ 0, p_type @ 16, p_vu @ 24, p_UTCoffset @ 40 }

    AMF3ClassDef: 32 { cd_name @ 0, cd_externalizable @ 16, cd_dynamic @ 17, cd_num @ 20, cd_props @ 24 }
}
const _: () = assert!(size_of::<AMFDataType>() == 4);
