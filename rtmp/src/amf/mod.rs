//! AMF, the encoding of commands and metadata: values, a decoder for AMF0 and AMF3, and an AMF0 encoder.
//!
//! This module knows bytes and values. It does not know what a command means, and it owns no text: names and strings are
//! borrowed from the input. The caller chooses where decoded values are stored ([`List`]), because the C library stores them in
//! C's memory.

pub mod amf0;
pub mod amf3;
pub mod dump;
mod encoder;
mod level;
mod properties;
mod reader;
mod short;
pub mod stack;

pub use encoder::Encoder;
pub use properties::{Properties, Property};
pub use short::ShortBytes;

use crate::error::{Error, Result};

/// The limit of nested objects and arrays. Real data needs fewer than ten levels; the limit keeps hostile data from exhausting
/// the stack.
pub const MAX_DEPTH: usize = 64;

/// The limit of values of one decoding, including members of members. Each value takes up to 64 times the memory of its
/// shortest form, and a message may have 16 MiB of such forms. The index of key frames of a long film has some 100,000.
pub const MAX_VALUES: usize = 1 << 20;

/// A decoded value; `L` stores the members of objects and arrays.
///
/// ```
/// use rtmp::amf::{Encoder, Value, decode};
///
/// let mut body = Encoder::new();
/// body.string(b"onMetaData").begin_ecma_array(1).named_number(b"width", 640.0).end_object();
/// let body = body.finish();
/// let values = decode(&body)?;
/// assert_eq!(values.get(0).map(|name| &name.value), Some(&Value::String(b"onMetaData")));
/// assert_eq!(values.find_deep(b"width").and_then(Value::as_number), Some(640.0));
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a, L = Properties<'a>> {
    /// A number; all of AMF0's numbers are floating point.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text, by custom UTF-8.
    String(&'a [u8]),
    /// Named members.
    Object(L),
    /// Nothing; also what `undefined` and `unsupported` decode to.
    Null,
    /// Named members of what the sender calls an array; metadata has this form.
    EcmaArray(L),
    /// Members without names.
    StrictArray(L),
    /// A point in time.
    Date {
        /// Milliseconds since 1970.
        millis: f64,
        /// The time zone in minutes as it was sent; senders leave it at 0.
        utc_offset: i16,
    },
    /// XML text.
    XmlDocument(&'a [u8]),
    /// A value that this decoder cannot resolve: a reference to an earlier one, or bytes of unknown meaning.
    Invalid,
}

impl<'a, L> Value<'a, L> {
    /// The number, if the value is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if the value is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The text, if the value is a string.
    pub fn as_string(&self) -> Option<&'a [u8]> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The same value with its members, if it has any, in the form that `convert` gives them.
    pub fn convert_members<M>(&self, convert: impl FnOnce(&L) -> Result<M>) -> Result<Value<'a, M>> {
        Ok(match self {
            Self::Object(members) => Value::Object(convert(members)?),
            Self::EcmaArray(members) => Value::EcmaArray(convert(members)?),
            Self::StrictArray(members) => Value::StrictArray(convert(members)?),
            Self::Number(number) => Value::Number(*number),
            Self::Boolean(boolean) => Value::Boolean(*boolean),
            Self::String(text) => Value::String(text),
            Self::Null => Value::Null,
            Self::Date { millis, utc_offset } => Value::Date { millis: *millis, utc_offset: *utc_offset },
            Self::XmlDocument(text) => Value::XmlDocument(text),
            Self::Invalid => Value::Invalid,
        })
    }

    /// The members, if the value is an object; not those of arrays.
    pub fn as_object(&self) -> Option<&L> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }
}

/// The destination of decoded values: [`Properties`] for Rust, a C array for C.
pub trait List<'a>: Default {
    /// Appends a property; values without a name have an empty one.
    fn push(&mut self, name: &'a [u8], value: Value<'a, Self>) -> Result<()>;
}

/// Decodes AMF0 values without names up to the end of the input, for example the body of a command. [`Value`] has an
/// example.
///
/// Senders write values in different ways, so each value may also be an AMF3 value after a marker for it, and an object may
/// have a class. References to earlier objects are [`Value::Invalid`].
pub fn decode(input: &[u8]) -> Result<Properties<'_>> {
    let mut list = Properties::default();
    amf0::decode_generously(&mut list, input)?;
    Ok(list)
}

/// Why decoding stopped. It is smaller than [`Error`], for which every level of nesting would otherwise need room.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Malformed(&'static str),
    OutOfMemory,
}

type Parse<T> = std::result::Result<T, Fault>;

impl Fault {
    fn into_error(self, format: &'static str) -> Error {
        match self {
            Self::Malformed(detail) => Error::malformed(format, detail),
            Self::OutOfMemory => Error::OutOfMemory,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed { detail, .. } => Self::Malformed(detail),
            _ => Self::OutOfMemory,
        }
    }
}

#[cfg(test)]
mod tests;
