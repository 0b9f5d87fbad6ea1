//! The AMF0 decoder: which bytes make which value, and what is refused.
//!
//! It is as lenient as librtmp: lists may end with the data instead of an end marker, at every level.

#![forbid(unsafe_code)]

use log::{debug, error};

use super::{Fault, List, MAX_DEPTH, Parse, Value, amf3, reader::Reader};
use crate::error::Result;

/// Decodes values up to an end marker or the end of the input and returns how many bytes they took. With `named` each
/// value has a name in front. On failure the values before the offending one stay in `list`.
pub fn decode_into<'a, L: List<'a>>(list: &mut L, input: &'a [u8], named: bool) -> Result<usize> {
    let mut reader = Reader::new(input);
    match members(list, &mut reader, named, MAX_DEPTH) {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Decodes exactly `count` values and returns how many bytes they took; an end marker is not looked for. On failure
/// the values before the offending one stay in `list`.
pub fn decode_array_into<'a, L: List<'a>>(
    list: &mut L,
    input: &'a [u8],
    count: usize,
    named: bool,
) -> Result<usize> {
    let mut reader = Reader::new(input);
    match elements(list, &mut reader, count, named, MAX_DEPTH) {
        Ok(()) => Ok(input.len() - reader.len()),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

/// Decodes one value and its name, which is empty without `named`. Also returns how many bytes they took.
pub fn decode_property<'a, L: List<'a>>(
    input: &'a [u8],
    named: bool,
) -> Result<(&'a [u8], Value<'a, L>, usize)> {
    let mut reader = Reader::new(input);
    let decoded = name(&mut reader, named).and_then(|name| Ok((name, value(&mut reader, MAX_DEPTH)?)));
    match decoded {
        Ok((name, value)) => Ok((name, value, input.len() - reader.len())),
        Err(fault) => Err(fault.into_error(FORMAT)),
    }
}

fn members<'a, L: List<'a>>(list: &mut L, reader: &mut Reader<'a>, named: bool, depth: usize) -> Parse<()> {
    while !reader.is_empty() {
        // The marker counts even without names, where a number could begin with the same bytes: librtmp does so.
        if let Some(rest) = reader.rest.strip_prefix(&END_OF_LIST) {
            reader.rest = rest;
            break;
        }
        let name = name(reader, named)?;
        list.push(name, value(reader, depth)?)?;
    }
    Ok(())
}

fn elements<'a, L: List<'a>>(
    list: &mut L,
    reader: &mut Reader<'a>,
    count: usize,
    named: bool,
    depth: usize,
) -> Parse<()> {
    for _ in 0..count {
        let name = name(reader, named)?;
        list.push(name, value(reader, depth)?)?;
    }
    Ok(())
}

#[inline]
fn name<'a>(reader: &mut Reader<'a>, named: bool) -> Parse<&'a [u8]> {
    if !named {
        return Ok(&[]);
    }
    if reader.len() < SHORTEST_NAMED {
        return Err(Fault::Malformed("not enough data for a name and a value"));
    }
    reader.string()
}

/// A value; containers may lie `depth` levels deep.
fn value<'a, L: List<'a>>(reader: &mut Reader<'a>, depth: usize) -> Parse<Value<'a, L>> {
    let marker = reader.u8()?;
    if !matches!(marker, OBJECT | ECMA_ARRAY | STRICT_ARRAY | AVMPLUS) {
        return scalar(marker, reader);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Fault::Malformed("objects are nested too deeply"));
    };
    let mut list = L::default();
    match marker {
        ECMA_ARRAY => {
            // The count is only a hint; senders get it wrong.
            reader.u32()?;
            members(&mut list, reader, true, depth)?;
            Ok(Value::EcmaArray(list))
        }
        STRICT_ARRAY => {
            // A count beyond what C's int holds stands for no elements, as librtmp has it.
            let count = i32::from_be_bytes(reader.array()?);
            elements(&mut list, reader, usize::try_from(count).unwrap_or(0), false, depth)?;
            Ok(Value::StrictArray(list))
        }
        AVMPLUS => {
            amf3::object(&mut list, reader, true, depth)?;
            Ok(Value::Object(list))
        }
        _ => {
            members(&mut list, reader, true, depth)?;
            Ok(Value::Object(list))
        }
    }
}

/// A value without members. Kept apart so that the recursive functions need little stack.
#[inline(never)]
fn scalar<'a, L>(marker: u8, reader: &mut Reader<'a>) -> Parse<Value<'a, L>> {
    Ok(match marker {
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
        _ => return Err(refused(marker)),
    })
}

#[cold]
fn refused(marker: u8) -> Fault {
    match marker {
        MOVIECLIP => error!("AMF_MOVIECLIP reserved!"),
        REFERENCE => error!("AMF_REFERENCE not supported!"),
        RECORDSET => error!("AMF_RECORDSET reserved!"),
        TYPED_OBJECT => error!("AMF_TYPED_OBJECT not supported!"),
        _ => {}
    }
    Fault::Malformed("unknown or unsupported type marker")
}

const FORMAT: &str = "AMF0";

/// An empty name and the object-end marker.
pub(super) const END_OF_LIST: [u8; 3] = [0, 0, 9];
/// The fewest bytes in which librtmp looks for a name and a value.
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
const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
pub(super) const LONG_STRING: u8 = 0x0C;
const UNSUPPORTED: u8 = 0x0D;
const RECORDSET: u8 = 0x0E;
const XML_DOCUMENT: u8 = 0x0F;
const TYPED_OBJECT: u8 = 0x10;
const AVMPLUS: u8 = 0x11;
