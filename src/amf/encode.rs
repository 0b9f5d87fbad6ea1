//! Encodes into the caller's buffer.
//!
//! Some functions require more room than they write, as in librtmp: programs that find the size of their buffers by trial get
//! the same results.

use std::mem;

use libc::{c_char, c_double, c_int, c_short};
use rtmp_core::{
    amf::stack::Stack,
    error::{Error, Result},
};

use super::{
    room::{Edge, Room, fill},
    types::*,
    view::{Object, Properties, Property, Text},
};
use crate::ptr::given;

/// Writes a string. From 65,536 bytes on it becomes a long string.
///
/// Returns the position after it, or NULL if fewer than its length and 5 bytes are free before `outend`.
///
/// # Safety
/// The bytes from `output` to `outend` are writable; `str` is null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeString(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    str: Option<Text<'_>>,
) -> *mut c_char {
    fill(output, outend, |room| Ok(string(room, given(str, "str")?)))
}

/// Writes a number (9 bytes).
///
/// Returns the position after it, or NULL if it does not fit before `outend`.
///
/// # Safety
/// The bytes from `output` to `outend` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeNumber(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    dVal: c_double,
) -> *mut c_char {
    fill(output, outend, |room| Ok(number(room, dVal)))
}

/// Writes 16 bits, most significant byte first.
///
/// Returns the position after them, or NULL if they do not fit.
///
/// # Safety
/// The bytes from `output` to `outend` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeInt16(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    nVal: c_short,
) -> *mut c_char {
    fill(output, outend, |room| Ok(room.put(&nVal.to_be_bytes())))
}

/// Writes the lower 24 bits, most significant byte first.
///
/// Returns the position after them, or NULL if they do not fit.
///
/// # Safety
/// The bytes from `output` to `outend` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeInt24(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    nVal: c_int,
) -> *mut c_char {
    let [_, bytes @ ..] = nVal.to_be_bytes();
    fill(output, outend, |room| Ok(room.put(&bytes)))
}

/// Writes 32 bits, most significant byte first.
///
/// Returns the position after them, or NULL if they do not fit.
///
/// # Safety
/// The bytes from `output` to `outend` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeInt32(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    nVal: c_int,
) -> *mut c_char {
    fill(output, outend, |room| Ok(room.put(&nVal.to_be_bytes())))
}

/// Writes true if `bVal` is not 0, else false (2 bytes).
///
/// Returns the position after it, or NULL if it does not fit.
///
/// # Safety
/// The bytes from `output` to `outend` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeBoolean(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    bVal: c_int,
) -> *mut c_char {
    fill(output, outend, |room| Ok(boolean(room, bVal != 0)))
}

/// Writes a name and a string, a member of an object.
///
/// Returns the position after them, or NULL if one of them does not fit. The name may have been written then.
///
/// # Safety
/// The bytes from `output` to `outend` are writable; `name` and `value` are null or valid strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeNamedString(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    name: Option<Text<'_>>,
    value: Option<Text<'_>>,
) -> *mut c_char {
    fill(output, outend, |room| {
        // Nothing is written if one of them is null.
        let (name, value) = (given(name, "name")?, given(value, "value")?);
        Ok(name.written().and_then(|name| self::name(room, name)).and_then(|()| string(room, value)))
    })
}

/// Writes a name and a number, a member of an object.
///
/// Returns the position after them, or NULL if one of them does not fit. The name may have been written then.
///
/// # Safety
/// The bytes from `output` to `outend` are writable; `name` is null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeNamedNumber(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    name: Option<Text<'_>>,
    dVal: c_double,
) -> *mut c_char {
    fill_named(output, outend, name, |room| number(room, dVal))
}

/// Writes a name and a boolean, a member of an object.
///
/// Returns the position after them, or NULL if one of them does not fit. The name may have been written then.
///
/// # Safety
/// The bytes from `output` to `outend` are writable; `name` is null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeNamedBoolean(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    name: Option<Text<'_>>,
    bVal: c_int,
) -> *mut c_char {
    fill_named(output, outend, name, |room| boolean(room, bVal != 0))
}

/// Writes an object. A member that does not fit or cannot be encoded ends the object early, which is not a failure.
///
/// Returns the position after the object, or NULL if not even its frame fits. One more byte than is written must be
/// free.
///
/// # Safety
/// The bytes from `pBuffer` to `pBufEnd` are writable; `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Encode(
    obj: Option<Object<'_>>,
    pBuffer: Option<Edge<'_>>,
    pBufEnd: Option<Edge<'_>>,
) -> *mut c_char {
    fill(pBuffer, pBufEnd, |room| Ok(list(room, AMF_OBJECT, given(obj, "obj")?)))
}

/// Writes an object as an ECMA array. Otherwise it behaves like `AMF_Encode`.
///
/// Returns the position after the array, or NULL if not even its frame fits.
///
/// # Safety
/// The bytes from `pBuffer` to `pBufEnd` are writable; `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeEcmaArray(
    obj: Option<Object<'_>>,
    pBuffer: Option<Edge<'_>>,
    pBufEnd: Option<Edge<'_>>,
) -> *mut c_char {
    fill(pBuffer, pBufEnd, |room| Ok(list(room, AMF_ECMA_ARRAY, given(obj, "obj")?)))
}

/// Writes an object as a strict array, which has no end marker. Otherwise it behaves like `AMF_Encode`. If the array
/// ends early, it holds fewer elements than its count says.
///
/// Returns the position after the array, or NULL if not even its frame fits.
///
/// # Safety
/// The bytes from `pBuffer` to `pBufEnd` are writable; `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_EncodeArray(
    obj: Option<Object<'_>>,
    pBuffer: Option<Edge<'_>>,
    pBufEnd: Option<Edge<'_>>,
) -> *mut c_char {
    fill(pBuffer, pBufEnd, |room| Ok(list(room, AMF_STRICT_ARRAY, given(obj, "obj")?)))
}

/// Writes the name of a property, if it has one, and its value. The name of an `AMF_NULL` is not written.
///
/// Returns the position after them, or NULL if they do not fit or the type cannot be encoded. The name may have been
/// written then.
///
/// # Safety
/// The bytes from `pBuffer` to `pBufEnd` are writable; `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Encode(
    prop: Option<Property<'_>>,
    pBuffer: Option<Edge<'_>>,
    pBufEnd: Option<Edge<'_>>,
) -> *mut c_char {
    fill(pBuffer, pBufEnd, |room| Ok(property(room, given(prop, "prop")?)))
}

/// The properties of a list, as they follow the command object of `connect`. The encoder omits members that do not fit, so the
/// buffer grows until the result no longer changes.
pub(crate) fn encode_extras(list: Object<'_>) -> Result<Vec<u8>> {
    let properties = list.properties();
    if properties.len() == 0 {
        return Ok(Vec::new());
    }
    let mut previous = Vec::new();
    for capacity in (12..=24).map(|bits| 1_usize << bits) {
        let mut buffer = vec![0_u8; capacity];
        let mut room = Room::of(&mut buffer);
        let written = properties.clone().try_for_each(|property| self::property(&mut room, property));
        let len = written.map_or(0, |()| room.written());
        buffer.truncate(len);
        if len > 0 && buffer == previous {
            return Ok(buffer);
        }
        previous = buffer;
    }
    Err(Error::Invalid("the connection's extra values cannot be encoded"))
}

/// As [`fill`], with a member of an object: `write` adds the value after the name.
#[inline]
fn fill_named(
    output: Option<Edge<'_>>,
    outend: Option<Edge<'_>>,
    name: Option<Text<'_>>,
    write: impl FnOnce(&mut Room<'_>) -> Option<()>,
) -> *mut c_char {
    fill(output, outend, |room| {
        let name = given(name, "name")?.written();
        Ok(name.and_then(|name| self::name(room, name)).and_then(|()| write(room)))
    })
}

#[inline]
fn string(room: &mut Room<'_>, value: Text<'_>) -> Option<()> {
    let text = value.written()?;
    // The room for the longer header is required in both cases, as in librtmp.
    if room.len() < text.len() + LONG_STRING_HEADER {
        return None;
    }
    match u16::try_from(text.len()) {
        Ok(len) => {
            let [high, low] = len.to_be_bytes();
            room.put(&[AMF_STRING as u8, high, low])?;
        }
        Err(_) => {
            room.put(&[AMF_LONG_STRING as u8])?;
            room.put(&u32::try_from(text.len()).ok()?.to_be_bytes())?;
        }
    }
    room.put(text)
}

#[inline]
fn number(room: &mut Room<'_>, value: f64) -> Option<()> {
    let mut encoded = [AMF_NUMBER as u8; 9];
    encoded[1..].copy_from_slice(&value.to_be_bytes());
    room.put(&encoded)
}

#[inline]
fn boolean(room: &mut Room<'_>, value: bool) -> Option<()> {
    room.put(&[AMF_BOOLEAN as u8, u8::from(value)])
}

/// Writes a name; nothing if it does not fit.
#[inline]
pub(super) fn name(room: &mut Room<'_>, name: &[u8]) -> Option<()> {
    let len = u16::try_from(name.len()).ok()?;
    if room.len() < name.len() + size_of_val(&len) {
        return None;
    }
    room.put(&len.to_be_bytes())?;
    room.put(name)
}

/// The name of a property, if it has one and there is room for a small value after it.
#[inline]
fn property_name(room: &mut Room<'_>, property: Property<'_>) -> Option<()> {
    let name = property.name().written()?;
    if room.len() <= name.len() + 3 {
        return None;
    }
    if name.is_empty() { Some(()) } else { self::name(room, name) }
}

/// The name of a property, if it has one, and its value.
fn property(room: &mut Room<'_>, property: Property<'_>) -> Option<()> {
    match property.members() {
        Some(members) => property_name(room, property).and_then(|()| list(room, property.p_type, members)),
        None => scalar(room, property),
    }
}

/// A property without members.
#[inline]
fn scalar(room: &mut Room<'_>, property: Property<'_>) -> Option<()> {
    match property.p_type {
        AMF_INVALID => return None,
        AMF_NULL if room.len() < 2 => return None,
        AMF_NULL => return room.put(&[AMF_NULL as u8]),
        _ => {}
    }
    property_name(room, property)?;
    match property.p_type {
        AMF_NUMBER => number(room, property.number()),
        AMF_BOOLEAN => boolean(room, property.number() != 0.0),
        AMF_STRING => string(room, property.text()?),
        other => refused(other),
    }
}

#[cold]
fn refused(p_type: AMFDataType) -> Option<()> {
    ::log::error!("AMFProp_Encode, invalid type. {p_type}");
    None
}

/// A list that is being written.
struct Level<'a> {
    kind: AMFDataType,
    count: usize,
    members: Properties<'a>,
    /// The number of bytes that stay if the list cannot be ended.
    start: usize,
}

/// An object or array and everything inside it. Written without recursion: programs may build trees of any depth.
pub(super) fn list(room: &mut Room<'_>, kind: AMFDataType, object: Object<'_>) -> Option<()> {
    let mut current = begin(room, kind, object, room.written())?;
    let mut outer = Stack::new();
    loop {
        let mut before = room.written();
        let written = match current.members.next() {
            Some(property) => match property.members() {
                None => scalar(room, property),
                Some(members) => {
                    let begun = property_name(room, property)
                        .and_then(|()| begin(room, property.p_type, members, before));
                    if let Some(level) = begun {
                        outer.push(mem::replace(&mut current, level)).ok()?;
                        continue;
                    }
                    None
                }
            },
            None => {
                let ended = end(room, current.kind);
                before = current.start;
                let Some(parent) = outer.pop() else { return ended };
                current = parent;
                ended
            }
        };
        if written.is_none() {
            room.truncate(before);
            let index = current.count - current.members.len() - 1;
            ::log::error!("AMF_Encode - failed to encode property in index {index}");
            current.members = Properties::default();
        }
    }
}

/// The start of a list, which needs room for a marker and a count.
#[inline]
fn begin<'a>(room: &mut Room<'_>, kind: AMFDataType, object: Object<'a>, start: usize) -> Option<Level<'a>> {
    if room.len() < LIST_HEADER {
        return None;
    }
    room.put(&[kind as u8])?;
    let members = object.properties();
    if kind != AMF_OBJECT {
        room.put(&u32::try_from(members.len()).ok()?.to_be_bytes())?;
    }
    Some(Level { kind, count: members.len(), members, start })
}

/// The end of a list, which needs one byte more than it has. Strict arrays have none.
#[inline]
fn end(room: &mut Room<'_>, kind: AMFDataType) -> Option<()> {
    match kind {
        AMF_STRICT_ARRAY => Some(()),
        _ if room.len() <= END_OF_LIST.len() => None,
        _ => room.put(&END_OF_LIST),
    }
}

/// A type marker and a 32-bit length.
const LONG_STRING_HEADER: usize = 5;
/// A type marker and a 32-bit count; required even if the list has no count.
const LIST_HEADER: usize = 5;
/// An empty name and the object-end marker.
pub(super) const END_OF_LIST: [u8; 3] = [0, 0, AMF_OBJECT_END as u8];
