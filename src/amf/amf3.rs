//! The AMF3 decoder, as far as RTMP servers need it: objects with members of simple types.
//!
//! It keeps no reference tables: a reference to an earlier string, object or class reads as empty, as in librtmp.
//! Arrays and byte arrays are refused.

#![forbid(unsafe_code)]

use log::{debug, error};

use super::{Fault, List, MAX_DEPTH, Parse, Value, reader::Reader};
use crate::error::Result;

/// The name of an externalizable object's only member.
pub const DEFAULT_ATTRIBUTE: &[u8] = b"DEFAULT_ATTRIBUTE";

/// Decodes one object and returns how many bytes it took. With `marked` the object's type marker is in front. On
/// failure the members before the offending one stay in `list`.
pub fn decode_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], marked: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    match object(list, &mut reader, marked, MAX_DEPTH) {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Decodes one value and its name, which is empty without `named`. Also returns how many bytes they took. After an
/// empty name comes no value; then the value is [`Value::Invalid`].
pub fn decode_property<'a, L: List<'a>>(
    input: &'a [u8],
    named: bool,
) -> Result<(&'a [u8], Value<'a, L>, usize)> {
    let mut reader = Reader::new(input);
    let decoded = match named {
        true => member(&mut reader, MAX_DEPTH),
        false => value(&mut reader, MAX_DEPTH).map(|value| Some((&[][..], value))),
    };
    let consumed = input.len() - reader.len();
    match decoded {
        Ok(Some((name, value))) => Ok((name, value, consumed)),
        Ok(None) => Ok((&[], Value::Invalid, consumed)),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// An integer of up to 29 bits and how many bytes it took; `next` gives the bytes one by one.
pub(crate) fn integer<E>(
    mut next: impl FnMut() -> std::result::Result<u8, E>,
) -> std::result::Result<(i32, usize), E> {
    let mut value = 0;
    for used in 1..4 {
        let byte = next()?;
        value = value << 7 | i32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok((value, used));
        }
    }
    value = value << 8 | i32::from(next()?);
    if value > LARGEST_INTEGER {
        value -= 1 << 29;
    }
    Ok((value, 4))
}

/// What a string's header says about it.
pub(crate) enum StringHeader {
    /// The string was sent before.
    Reference,
    /// That many bytes follow; negative lengths come from broken senders.
    Inline(i32),
}

impl StringHeader {
    pub(crate) fn from_integer(header: i32) -> Self {
        match header & 1 {
            0 => Self::Reference,
            _ => Self::Inline(header >> 1),
        }
    }
}

/// An object's members; the object may hold others `depth` levels deep.
///
/// Data that ends between two members ends the object, at every level, as in librtmp.
pub(super) fn object<'a, L: List<'a>>(
    list: &mut L,
    reader: &mut Reader<'a>,
    marked: bool,
    depth: usize,
) -> Parse<()> {
    if marked && reader.u8()? != OBJECT {
        error!("AMF3 Object encapsulated in AMF stream does not start with AMF3_OBJECT!");
    }
    let header = reader.header()?;
    if header & INLINE_OBJECT == 0 {
        debug!("AMF3 object reference, index {}, not supported", header >> 1);
        return Ok(());
    }
    if header & INLINE_CLASS == 0 {
        debug!("AMF3 class reference, index {}, not supported", header >> 2);
        return Ok(());
    }
    let Some((mut names, count)) = class_definition(reader, header) else {
        return cut_off(reader);
    };
    if header & EXTERNALIZABLE != 0 {
        return Ok(list.push(DEFAULT_ATTRIBUTE, value(reader, depth)?)?);
    }
    for _ in 0..count {
        if reader.is_empty() {
            return cut_off(reader);
        }
        let name = names.text()?;
        list.push(name, value(reader, depth)?)?;
    }
    if header & DYNAMIC == 0 {
        return Ok(());
    }
    while !reader.is_empty() {
        match member(reader, depth)? {
            Some((name, value)) => list.push(name, value)?,
            None => return Ok(()),
        }
    }
    cut_off(reader)
}

/// Reads the class name and the names of its members. Returns a reader for those names and how many there are, or
/// `None` if the data ends before them. Nothing is stored: the names are read again beside their values.
#[inline(never)]
fn class_definition<'a>(reader: &mut Reader<'a>, header: i32) -> Option<(Reader<'a>, i32)> {
    let name = reader.text().ok()?;
    let count = header >> 4 & MEMBER_COUNT;
    debug!("AMF3 class {}, {count} members", name.escape_ascii());
    let names = reader.clone();
    for _ in 0..count {
        reader.text().ok()?;
    }
    Some((names, count))
}

/// The rest of the data belongs to an object that was cut off; what was read of it is kept.
#[cold]
fn cut_off(reader: &mut Reader<'_>) -> Parse<()> {
    debug!("AMF3_Decode, invalid class encoding!");
    reader.rest = &[];
    Ok(())
}

/// A member of a dynamic object; `None` is the empty name that ends it.
fn member<'a, L: List<'a>>(reader: &mut Reader<'a>, depth: usize) -> Parse<Option<(&'a [u8], Value<'a, L>)>> {
    match reader.text()? {
        [] => Ok(None),
        name => Ok(Some((name, value(reader, depth)?))),
    }
}

fn value<'a, L: List<'a>>(reader: &mut Reader<'a>, depth: usize) -> Parse<Value<'a, L>> {
    let marker = reader.u8()?;
    if marker != OBJECT {
        return scalar(marker, reader);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Fault::Malformed("objects are nested too deeply"));
    };
    // librtmp reads nested objects only if their marker is sent twice. As an object header the second one would be a
    // reference, which is not supported anyway.
    if let [OBJECT, rest @ ..] = reader.rest {
        reader.rest = rest;
    }
    let mut list = L::default();
    object(&mut list, reader, false, depth)?;
    Ok(Value::Object(list))
}

/// A value without members. Kept apart so that the recursive functions need little stack.
#[inline(never)]
fn scalar<'a, L>(marker: u8, reader: &mut Reader<'a>) -> Parse<Value<'a, L>> {
    Ok(match marker {
        UNDEFINED | NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        INTEGER => Value::Number(f64::from(reader.header()?)),
        DOUBLE => Value::Number(reader.f64()?),
        STRING | XML_DOCUMENT | XML => Value::String(reader.text()?),
        DATE => match reader.header()? & 1 {
            0 => Value::Invalid,
            _ => Value::Number(reader.f64()?),
        },
        _ => return Err(Fault::Malformed("unknown or unsupported type marker")),
    })
}

impl<'a> Reader<'a> {
    fn header(&mut self) -> Parse<i32> {
        integer(|| self.u8()).map(|(value, _)| value)
    }

    fn text(&mut self) -> Parse<&'a [u8]> {
        match StringHeader::from_integer(self.header()?) {
            StringHeader::Reference => {
                debug!("AMF3 string reference, not supported");
                Ok(&[])
            }
            StringHeader::Inline(len) => {
                self.bytes(usize::try_from(len).map_err(|_| Fault::Malformed("a negative length"))?)
            }
        }
    }
}

const FORMAT: &str = "AMF3";

const LARGEST_INTEGER: i32 = (1 << 28) - 1;

// Bits of an object's header (AMF 3 specification, 3.12).
const INLINE_OBJECT: i32 = 1;
const INLINE_CLASS: i32 = 2;
const EXTERNALIZABLE: i32 = 4;
const DYNAMIC: i32 = 8;
/// The 25 bits of a 29-bit header that are left for the number of members.
const MEMBER_COUNT: i32 = (1 << 25) - 1;

// Type markers (AMF 3 specification, 3.1).
const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const OBJECT: u8 = 0x0A;
const XML: u8 = 0x0B;
