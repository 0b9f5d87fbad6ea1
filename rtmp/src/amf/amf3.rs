//! The AMF3 decoder, as far as RTMP servers need it: objects with members of simple types.
//!
//! It keeps no reference tables: a reference to an earlier string, object or class reads as empty, as in librtmp.
//! Arrays and byte arrays are refused.

use log::{debug, error};

use super::{
    Fault, List, Parse, Value,
    level::{self, Pause, Shape},
    reader::Reader,
};
use crate::error::Result;

/// The name of an externalizable object's only member.
pub const DEFAULT_ATTRIBUTE: &[u8] = b"DEFAULT_ATTRIBUTE";

/// Decodes one object and returns how many bytes it took. With `marked` the object's type marker is in front. On
/// failure the members before the offending one stay in `list`.
pub fn decode_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], marked: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    let result = Members::open(&mut reader, marked)
        .and_then(|members| level::read(list, &mut reader, Shape::Amf3(members)));
    match result {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Decodes one value and with `named` a name in front of it, and returns how many bytes they took. After an empty name
/// comes no value, and nothing is appended to `list`.
pub fn decode_property_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], named: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    match level::read(list, &mut reader, Shape::Amf3(Members::One { named })) {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Which members of an object are still to be read.
#[derive(Debug)]
pub(super) enum Members<'a> {
    /// None.
    Done,
    /// One value, with a name in front or none.
    One { named: bool },
    /// The one value of an externalizable object.
    Externalizable,
    /// Values whose names stand in the class definition, then perhaps dynamic members.
    Sealed { names: Reader<'a>, left: usize, dynamic: bool },
    /// Named values up to an empty name.
    Dynamic,
}

impl<'a> Members<'a> {
    /// Reads what stands in front of an object's members.
    pub(super) fn open(reader: &mut Reader<'a>, marked: bool) -> Parse<Self> {
        if marked && reader.u8()? != OBJECT {
            error!("AMF3 Object encapsulated in AMF stream does not start with AMF3_OBJECT!");
        }
        let header = reader.integer()?;
        if header & INLINE_OBJECT == 0 {
            debug!("Object reference, index: {}", header >> 1);
            return Ok(Self::Done);
        }
        if header & INLINE_CLASS == 0 {
            debug!("Class reference: {}", header >> 2);
            return Ok(Self::Done);
        }
        // A count with all its bits in use is negative and stands for no members, as librtmp has it.
        let left = usize::try_from(header >> 4).unwrap_or(0);
        let (externalizable, dynamic) = (header & EXTERNALIZABLE != 0, header & DYNAMIC != 0);
        let Some((class, names)) = class_definition(reader, left) else {
            give_up(reader);
            return Ok(Self::Done);
        };
        debug!(
            "Class name: {}, externalizable: {}, dynamic: {}, classMembers: {left}",
            class.escape_ascii(),
            u8::from(externalizable),
            u8::from(dynamic),
        );
        Ok(if externalizable { Self::Externalizable } else { Self::Sealed { names, left, dynamic } })
    }
}

/// Reads members of an AMF3 object up to one with members of its own, or to the end of the object. Data that ends
/// between two members ends the object, at every level, as in librtmp.
pub(super) fn read_scalars<'a, L: List<'a>>(
    list: &mut L,
    members: &mut Members<'a>,
    reader: &mut Reader<'a>,
) -> Parse<Pause<'a>> {
    loop {
        let name = match members {
            Members::Done => return Ok(Pause::End),
            Members::Sealed { left: 0, dynamic, .. } => {
                *members = if *dynamic { Members::Dynamic } else { Members::Done };
                continue;
            }
            Members::Sealed { .. } | Members::Dynamic if reader.is_empty() => {
                give_up(reader);
                return Ok(Pause::End);
            }
            Members::Sealed { names, left, .. } => {
                *left -= 1;
                names.text()?
            }
            Members::One { named: true } | Members::Dynamic => match reader.text()? {
                // An empty name has no value and ends the object.
                [] => return Ok(Pause::End),
                name => name,
            },
            Members::One { named: false } => &[],
            Members::Externalizable => DEFAULT_ATTRIBUTE,
        };
        reader.count_value()?;
        if matches!(members, Members::One { .. } | Members::Externalizable) {
            *members = Members::Done;
        }
        let value = match reader.u8()? {
            UNDEFINED | NULL => Value::Null,
            FALSE => Value::Boolean(false),
            TRUE => Value::Boolean(true),
            INTEGER => Value::Number(f64::from(reader.integer()?)),
            DOUBLE => Value::Number(reader.f64()?),
            STRING | XML_DOCUMENT | XML => Value::String(reader.text()?),
            DATE => match reader.integer()? {
                header if header & 1 == 0 => {
                    debug!("AMF3_DATE reference: {}, not supported!", header >> 1);
                    Value::Invalid
                }
                _ => Value::Number(reader.f64()?),
            },
            OBJECT => {
                // librtmp reads nested objects only if their marker is sent twice. As an object header the second one
                // would be a reference, which is not supported anyway.
                if let [OBJECT, rest @ ..] = reader.rest {
                    reader.rest = rest;
                }
                return Ok(Pause::Nested(name, Shape::Amf3(Members::open(reader, false)?)));
            }
            _ => return Err(Fault::Malformed("unknown or unsupported type marker")),
        };
        list.push(name, value)?;
    }
}

/// Reads the class name and the names of its members and returns the first and a reader for the others, or `None` if
/// the data ends before them. Nothing is stored: the names are read again beside their values.
fn class_definition<'a>(reader: &mut Reader<'a>, count: usize) -> Option<(&'a [u8], Reader<'a>)> {
    let class = reader.text().ok()?;
    let names = reader.clone();
    for _ in 0..count {
        reader.text().ok()?;
    }
    Some((class, names))
}

/// Skips the rest of the data, which belongs to an object that was cut off; what was read of it is kept.
#[cold]
fn give_up(reader: &mut Reader<'_>) {
    debug!("AMF3_Decode, invalid class encoding!");
    reader.rest = &[];
}

/// An integer of up to 29 bits and how many bytes it took; `next` gives the bytes one by one.
pub fn integer<E>(mut next: impl FnMut() -> std::result::Result<u8, E>) -> std::result::Result<(i32, u8), E> {
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
pub enum StringHeader {
    /// The string was sent before; its place in the order of strings.
    Reference(i32),
    /// That many bytes follow; negative lengths come from broken senders.
    Inline(i32),
}

impl StringHeader {
    /// Splits the header into its flag and its number.
    pub fn from_integer(header: i32) -> Self {
        match header & 1 {
            0 => Self::Reference(header >> 1),
            _ => Self::Inline(header >> 1),
        }
    }
}

impl<'a> Reader<'a> {
    fn integer(&mut self) -> Parse<i32> {
        integer(|| self.u8()).map(|(value, _)| value)
    }

    fn text(&mut self) -> Parse<&'a [u8]> {
        match StringHeader::from_integer(self.integer()?) {
            StringHeader::Reference(index) => {
                debug!("AMF3ReadString, string reference, index: {index}, not supported, ignoring!");
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
