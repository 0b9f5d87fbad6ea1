//! `amf.h`: AMF values as C programs see them.

use libc::{c_char, c_int};

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
    pub const EMPTY: Self = Self { av_val: std::ptr::null_mut(), av_len: 0 };
}

/// A list of properties.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AMFObject {
    /// How many properties there are.
    pub o_num: c_int,
    /// The properties, grown by 16 at a time with `realloc`.
    pub o_props: *mut AMFObjectProperty,
}

/// One property; opaque here until the module is written.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AMFObjectProperty {
    pub p_name: AVal,
}
