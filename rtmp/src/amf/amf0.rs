//! The AMF0 decoder: which bytes make which value, and which are refused.
//!
//! It is as lenient as librtmp: lists may end with the data instead of an end marker, at every level.

use log::{debug, error};

use super::{
    Fault, List, Parse, Value,
    amf3::{self, Found},
    level::{self, Pause, Shape},
    reader::Reader,
};
use crate::error::Result;

/// Decodes values up to an end marker or the end of the input and returns how many bytes they took. With `named`, each value
/// has a name before it. On failure the values before the invalid one stay in `list`.
pub fn decode_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], named: bool) -> Result<usize> {
    read(list, input, Shape::Members { named, ecma: false })
}

/// Decodes exactly `count` values and returns how many bytes they took, without looking for an end marker. On failure the
/// values before the invalid one stay in `list`.
pub fn decode_array_into<'a, L: List<'a>>(
    list: &mut L,
    input: &'a [u8],
    count: usize,
    named: bool,
) -> Result<usize> {
    read(list, input, Shape::Elements { named, left: count })
}

/// As [`decode_into`] without names, for data of any sender: typed objects and references do not end it, and an AMF3 value may
/// take the place of an AMF0 value.
pub(super) fn decode_generously<'a, L: List<'a>>(list: &mut L, input: &'a [u8]) -> Result<()> {
    let shape = Shape::Members { named: false, ecma: false };
    read_with(Reader::generous(input), list, shape).map(drop)
}

fn read<'a, L: List<'a>>(list: &mut L, input: &'a [u8], shape: Shape<'a>) -> Result<usize> {
    read_with(Reader::new(input), list, shape)
}

fn read_with<'a, L: List<'a>>(mut reader: Reader<'a>, list: &mut L, shape: Shape<'a>) -> Result<usize> {
    let len = reader.len();
    match level::read(list, &mut reader, shape, step) {
        Ok(()) => Ok(len - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Continues to read a list that may contain AMF3 values.
fn step<'a, L: List<'a>>(list: &mut L, shape: &mut Shape<'a>, reader: &mut Reader<'a>) -> Parse<Pause<'a>> {
    match shape {
        Shape::Amf3(members) => amf3::read_scalars(list, members, reader),
        shape => read_scalars(list, shape, reader),
    }
}

/// Reads properties of an AMF0 list up to one with members, or to the end of the list.
fn read_scalars<'a, L: List<'a>>(
    list: &mut L,
    shape: &mut Shape<'a>,
    reader: &mut Reader<'a>,
) -> Parse<Pause<'a>> {
    loop {
        let named = match shape {
            Shape::Members { .. } if reader.is_empty() => return Ok(Pause::End),
            Shape::Members { named, .. } => {
                // The marker counts even without names, although a number could begin with the same bytes: librtmp does so.
                if let Some(rest) = reader.rest.strip_prefix(&END_OF_LIST) {
                    reader.rest = rest;
                    return Ok(Pause::End);
                }
                *named
            }
            Shape::Elements { left: 0, .. } | Shape::Amf3(_) => return Ok(Pause::End),
            Shape::Elements { named, left } => {
                *left -= 1;
                *named
            }
        };
        reader.count_value()?;
        let name = name(reader, named)?;
        let value = match reader.u8()? {
            NUMBER => Value::Number(reader.f64()?),
            BOOLEAN => Value::Boolean(reader.u8()? != 0),
            STRING => Value::String(reader.string()?),
            NULL | UNDEFINED | UNSUPPORTED => Value::Null,
            DATE => {
                debug!("AMF_DATE");
                Value::Date { millis: reader.f64()?, utc_offset: i16::from_be_bytes(reader.array()?) }
            }
            LONG_STRING => Value::String(reader.long_string()?),
            XML_DOCUMENT => Value::XmlDocument(reader.long_string()?),
            REFERENCE if reader.tables.is_some() => {
                reader.u16()?;
                Value::Invalid
            }
            AVMPLUS => match amf3::first_value(reader)? {
                Found::Value(value) => value,
                Found::Nested(shape) => return Ok(Pause::Nested(name, shape)),
            },
            marker => return Ok(Pause::Nested(name, nested(marker, reader)?)),
        };
        list.push(name, value)?;
    }
}

/// The header after the marker of a value with members.
fn nested<'a>(marker: u8, reader: &mut Reader<'a>) -> Parse<Shape<'a>> {
    match marker {
        OBJECT => Ok(Shape::Members { named: true, ecma: false }),
        ECMA_ARRAY => {
            // The count is only a hint, because some senders get it wrong.
            reader.u32()?;
            Ok(Shape::Members { named: true, ecma: true })
        }
        STRICT_ARRAY => {
            // A count that C's `int` cannot hold means no elements, as in librtmp.
            let left = usize::try_from(i32::from_be_bytes(reader.array()?)).unwrap_or(0);
            Ok(Shape::Elements { named: false, left })
        }
        TYPED_OBJECT if reader.tables.is_some() => {
            // The name of its class.
            reader.string()?;
            Ok(Shape::Members { named: true, ecma: false })
        }
        _ => Err(refused(marker)),
    }
}

#[inline]
fn name<'a>(reader: &mut Reader<'a>, named: bool) -> Parse<&'a [u8]> {
    if !named {
        return Ok(&[]);
    }
    if reader.len() < SHORTEST_NAMED {
        debug!("AMFProp_Decode: Not enough data for decoding with name, less than {SHORTEST_NAMED} bytes!");
        return Err(Fault::Malformed("not enough data for a name and a value"));
    }
    reader.string()
}

#[cold]
fn refused(marker: u8) -> Fault {
    match marker {
        MOVIECLIP => error!("AMF_MOVIECLIP reserved!"),
        REFERENCE => error!("AMF_REFERENCE not supported!"),
        RECORDSET => error!("AMF_RECORDSET reserved!"),
        TYPED_OBJECT => error!("AMF_TYPED_OBJECT not supported!"),
        _ => debug!("AMFProp_Decode - unknown datatype 0x{marker:02x}"),
    }
    Fault::Malformed("unknown or unsupported type marker")
}

const FORMAT: &str = "AMF0";

/// An empty name and the object-end marker.
pub(super) const END_OF_LIST: [u8; 3] = [0, 0, 9];
/// librtmp looks for a name and a value in no fewer bytes than this.
const SHORTEST_NAMED: usize = 4;

// Type markers (AMF 0 specification, 2.1).
pub(super) const NUMBER: u8 = 0x00;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const STRING: u8 = 0x02;
pub(super) const OBJECT: u8 = 0x03;
const MOVIECLIP: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
pub(super) const ECMA_ARRAY: u8 = 0x08;
pub(super) const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
pub(super) const LONG_STRING: u8 = 0x0C;
const UNSUPPORTED: u8 = 0x0D;
const RECORDSET: u8 = 0x0E;
const XML_DOCUMENT: u8 = 0x0F;
const TYPED_OBJECT: u8 = 0x10;
const AVMPLUS: u8 = 0x11;
