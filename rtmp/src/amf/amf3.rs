//! The AMF3 decoder, as far as RTMP servers need it: objects with members of simple types.
//!
//! C programs get the same as from librtmp: a reference to an earlier string, object or class reads as empty, and arrays and
//! byte arrays are refused. Values for the session itself may refer to strings and classes of the same value, and may be of any
//! kind.

use log::{debug, error};

use super::{
    Fault, List, Parse, Value,
    level::{self, Members, Pause, Shape},
    reader::{Class, Reader, Tables},
};
use crate::error::Result;

/// The name of an externalizable object's only member.
pub const DEFAULT_ATTRIBUTE: &[u8] = b"DEFAULT_ATTRIBUTE";

/// Decodes one object and returns how many bytes it took. With `marked`, the object's type marker comes first. On failure the
/// members before the invalid one stay in `list`.
pub fn decode_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], marked: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    let result = Members::open(&mut reader, marked)
        .and_then(|members| level::read(list, &mut reader, Shape::Amf3(members), step));
    match result {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Decodes one value, with `named` after a name, and returns how many bytes they took. After an empty name there is no value,
/// and nothing is appended to `list`.
pub fn decode_property_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], named: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    match level::read(list, &mut reader, Shape::Amf3(Members::One { named }), step) {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Continues to read a list that is entirely AMF3.
fn step<'a, L: List<'a>>(list: &mut L, shape: &mut Shape<'a>, reader: &mut Reader<'a>) -> Parse<Pause<'a>> {
    match shape {
        Shape::Amf3(members) => read_scalars(list, members, reader),
        // AMF3 does not have these shapes.
        Shape::Members { .. } | Shape::Elements { .. } => Ok(Pause::End),
    }
}

/// A complete value, or the start of one with members.
pub(super) enum Found<'a, L> {
    Value(Value<'a, L>),
    Nested(Shape<'a>),
}

impl<'a> Members<'a> {
    /// Reads the header before an object's members.
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
            return Ok(match &reader.tables {
                Some(tables) => Self::of_class(tables, (header >> 2) as usize),
                None => Self::Done,
            });
        }
        // A count with all its bits set is negative and means no members, as in librtmp.
        let left = usize::try_from(header >> 4).unwrap_or(0);
        let (externalizable, dynamic) = (header & EXTERNALIZABLE != 0, header & DYNAMIC != 0);
        let Some((class, names)) = class_definition(reader, left)? else {
            give_up(reader);
            return Ok(Self::Done);
        };
        debug!(
            "Class name: {}, externalizable: {}, dynamic: {}, classMembers: {left}",
            class.escape_ascii(),
            u8::from(externalizable),
            u8::from(dynamic),
        );
        if let Some(tables) = &mut reader.tables {
            let ClassNames::All(names) = names else { return Ok(Self::Done) };
            tables.classes.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
            tables.classes.push(Class { names, externalizable, dynamic });
            return Ok(Self::of_class(tables, tables.classes.len() - 1));
        }
        Ok(match names {
            _ if externalizable => Self::Externalizable,
            ClassNames::First(names) => Self::Sealed { names, left, dynamic },
            ClassNames::All(_) => Self::Done,
        })
    }

    /// The members of an object whose class is in the table.
    fn of_class(tables: &Tables<'a>, class: usize) -> Self {
        match tables.classes.get(class) {
            Some(found) if found.externalizable => Self::Externalizable,
            Some(_) => Self::OfClass { class, next: 0 },
            None => Self::Done,
        }
    }

    /// Goes to the next member and returns its name; `None` after the last one.
    fn next(&mut self, reader: &mut Reader<'a>) -> Parse<Option<&'a [u8]>> {
        loop {
            match self {
                Self::Done | Self::Items { left: 0, .. } => return Ok(None),
                Self::Sealed { left: 0, dynamic, .. } => {
                    *self = if *dynamic { Self::Dynamic } else { Self::Done };
                }
                // Data that ends between two members ends the object, at every level, as in librtmp.
                Self::Sealed { .. } | Self::OfClass { .. } | Self::Dynamic if reader.is_empty() => {
                    give_up(reader);
                    return Ok(None);
                }
                Self::Sealed { names, left, .. } => {
                    *left -= 1;
                    return names.text().map(Some);
                }
                Self::OfClass { class, next } => {
                    let class = reader.tables.as_ref().and_then(|tables| tables.classes.get(*class));
                    if let Some(name) = class.and_then(|class| class.names.get(*next)) {
                        *next += 1;
                        return Ok(Some(name));
                    }
                    *self = if class.is_some_and(|class| class.dynamic) { Self::Dynamic } else { Self::Done };
                }
                Self::Keyed { left, any } => match reader.text()? {
                    [] => *self = Self::Items { left: *left, keyed: *any },
                    name => {
                        *any = true;
                        return Ok(Some(name));
                    }
                },
                Self::Items { left, .. } => {
                    *left -= 1;
                    return Ok(Some(&[]));
                }
                // An empty name has no value and ends the object.
                Self::One { named: true } | Self::Dynamic => {
                    let name = reader.text()?;
                    return Ok(Some(name).filter(|name| !name.is_empty()));
                }
                Self::One { named: false } => return Ok(Some(&[])),
                Self::Externalizable => return Ok(Some(DEFAULT_ATTRIBUTE)),
            }
        }
    }
}

/// Reads members of an AMF3 object up to one with members of its own, or to the end of the object.
pub(super) fn read_scalars<'a, L: List<'a>>(
    list: &mut L,
    members: &mut Members<'a>,
    reader: &mut Reader<'a>,
) -> Parse<Pause<'a>> {
    while let Some(name) = members.next(reader)? {
        reader.count_value()?;
        if matches!(members, Members::One { .. } | Members::Externalizable) {
            *members = Members::Done;
        }
        match value(reader)? {
            Found::Value(value) => list.push(name, value)?,
            Found::Nested(shape) => return Ok(Pause::Nested(name, shape)),
        }
    }
    Ok(Pause::End)
}

/// Reads a value among AMF0 values.
pub(super) fn first_value<'a, L>(reader: &mut Reader<'a>) -> Parse<Found<'a, L>> {
    if let Some(tables) = &mut reader.tables {
        *tables = Tables::default();
    }
    match reader.rest {
        [OBJECT, ..] => Ok(Found::Nested(Shape::Amf3(Members::open(reader, true)?))),
        [UNDEFINED..=DATE | XML, ..] => value(reader),
        _ if reader.tables.is_some() => value(reader),
        _ => Ok(Found::Nested(Shape::Amf3(Members::open(reader, true)?))),
    }
}

fn value<'a, L>(reader: &mut Reader<'a>) -> Parse<Found<'a, L>> {
    Ok(Found::Value(match reader.u8()? {
        UNDEFINED | NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        INTEGER => Value::Number(f64::from(reader.integer()?)),
        DOUBLE => Value::Number(reader.f64()?),
        STRING => Value::String(reader.text()?),
        XML_DOCUMENT | XML if reader.tables.is_none() => Value::String(reader.text()?),
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
            if let ([OBJECT, rest @ ..], None) = (reader.rest, &reader.tables) {
                reader.rest = rest;
            }
            return Ok(Found::Nested(Shape::Amf3(Members::open(reader, false)?)));
        }
        marker if reader.tables.is_some() => return sized(marker, reader),
        _ => return Err(UNKNOWN_MARKER),
    }))
}

/// Reads a value whose header is a length, or a reference to an earlier object.
fn sized<'a, L>(marker: u8, reader: &mut Reader<'a>) -> Parse<Found<'a, L>> {
    if !(XML_DOCUMENT..=DICTIONARY).contains(&marker) {
        return Err(UNKNOWN_MARKER);
    }
    let header = reader.integer()?;
    let left = usize::try_from(header >> 1).map_err(|_| NEGATIVE_LENGTH)?;
    let items = |left| Ok(Found::Nested(Shape::Amf3(Members::Items { left, keyed: false })));
    let bytes = |reader: &mut Reader<'a>, size: usize| {
        // Whether the array may grow.
        reader.u8()?;
        reader.bytes(left.saturating_mul(size))?;
        Ok(Found::Value(Value::Invalid))
    };
    match marker {
        _ if header & INLINE_OBJECT == 0 => Ok(Found::Value(Value::Invalid)),
        ARRAY => Ok(Found::Nested(Shape::Amf3(Members::Keyed { left, any: false }))),
        VECTOR_INT | VECTOR_UINT => bytes(reader, 4),
        VECTOR_DOUBLE => bytes(reader, 8),
        VECTOR_OBJECT => {
            reader.u8()?;
            // The name of the class of the elements.
            reader.text()?;
            items(left)
        }
        DICTIONARY => {
            reader.u8()?;
            items(left.saturating_mul(2))
        }
        BYTE_ARRAY => {
            reader.bytes(left)?;
            Ok(Found::Value(Value::Invalid))
        }
        _ => Ok(Found::Value(Value::String(reader.bytes(left)?))),
    }
}

/// The names of a class's members.
enum ClassNames<'a> {
    /// A reader at the first name; the names are read again next to the values.
    First(Reader<'a>),
    /// All of them, which may be references.
    All(Vec<&'a [u8]>),
}

/// Reads the class name and the names of its members; `None` if the data ends before them.
fn class_definition<'a>(reader: &mut Reader<'a>, count: usize) -> Parse<Option<(&'a [u8], ClassNames<'a>)>> {
    let Ok(class) = reader.text() else { return Ok(None) };
    if reader.tables.is_some() {
        let mut names = Vec::new();
        for _ in 0..count {
            let Ok(name) = reader.text() else { return Ok(None) };
            reader.count_value()?;
            names.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
            names.push(name);
        }
        return Ok(Some((class, ClassNames::All(names))));
    }
    // Nothing is stored: the names are read again next to their values.
    let names = reader.clone();
    for _ in 0..count {
        if reader.text().is_err() {
            return Ok(None);
        }
    }
    Ok(Some((class, ClassNames::First(names))))
}

/// Skips the rest of the data, which belongs to an object that was cut off; what was read of it is kept.
#[cold]
fn give_up(reader: &mut Reader<'_>) {
    debug!("AMF3_Decode, invalid class encoding!");
    reader.rest = &[];
}

/// An integer of up to 29 bits and its length in bytes; `next` returns the bytes one by one.
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

/// The meaning of a string's header.
pub enum StringHeader {
    /// The string was sent before; this is its position in the order of strings.
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
        match (StringHeader::from_integer(self.integer()?), &self.tables) {
            (StringHeader::Reference(index), Some(tables)) => {
                let found = usize::try_from(index).ok().and_then(|index| tables.strings.get(index));
                Ok(found.copied().unwrap_or_default())
            }
            (StringHeader::Reference(index), None) => {
                debug!("AMF3ReadString, string reference, index: {index}, not supported, ignoring!");
                Ok(&[])
            }
            (StringHeader::Inline(len), _) => {
                let text = self.bytes(usize::try_from(len).map_err(|_| NEGATIVE_LENGTH)?)?;
                if !text.is_empty() && self.tables.is_some() {
                    // Counted as a value, so that the table is bounded.
                    self.count_value()?;
                    let strings = self.tables.as_mut().map(|tables| &mut tables.strings);
                    if let Some(strings) = strings {
                        strings.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
                        strings.push(text);
                    }
                }
                Ok(text)
            }
        }
    }
}

const FORMAT: &str = "AMF3";
const UNKNOWN_MARKER: Fault = Fault::Malformed("unknown or unsupported type marker");
const NEGATIVE_LENGTH: Fault = Fault::Malformed("a negative length");

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
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0A;
const XML: u8 = 0x0B;
const BYTE_ARRAY: u8 = 0x0C;
const VECTOR_INT: u8 = 0x0D;
const VECTOR_UINT: u8 = 0x0E;
const VECTOR_DOUBLE: u8 = 0x0F;
const VECTOR_OBJECT: u8 = 0x10;
const DICTIONARY: u8 = 0x11;
