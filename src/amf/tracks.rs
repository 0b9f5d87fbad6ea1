//! Metadata of single tracks, as declared in `enhanced.h`.

use std::ptr;

use libc::{c_char, c_int};
use rtmp_core::{
    amf::Value,
    media::{Codec, FourCc, Kind as Medium},
    message::MessageType,
};

use super::{encode::AMF_Encode, list::properties, room::Room, types::*};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    ptr::{aval_bytes, required, required_mut},
};

/// Finds a property of a track in metadata.
///
/// `metadata` is a decoded `onMetaData` message, whose object describes track 0. A track without the property
/// inherits that of track 0.
///
/// Returns the property, which belongs to `metadata`, or NULL if there is none of that name.
///
/// # Safety
/// `metadata` is null or an initialised object, `name` null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TrackProperty(
    metadata: *mut AMFObject,
    kind: u8,
    id: u8,
    name: *const AVal,
) -> *mut AMFObjectProperty {
    boundary(Kind::Plain, ptr::null_mut(), |_| {
        // SAFETY: `metadata` is null or an initialised object, `name` null or a valid string, by the Safety section.
        let found = unsafe {
            required(name, "name").ok().and_then(|name| property(metadata, kind, id, aval_bytes(name)))
        };
        Ok(found.map_or(ptr::null_mut(), |found| ptr::from_ref(found).cast_mut()))
    })
}

/// Reads the codec of a track from metadata.
///
/// `metadata` is a decoded `onMetaData` message. Either `*fourcc` becomes one of `RTMP_FOURCC_*` or another code and
/// `*codec` 0, or `*fourcc` becomes 0 and `*codec` a legacy codec.
///
/// Returns TRUE, or FALSE if the metadata does not name the codec; nothing is stored then.
///
/// # Safety
/// `metadata` is null or an initialised object, `fourcc` and `codec` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TrackCodec(
    metadata: *mut AMFObject,
    kind: u8,
    id: u8,
    fourcc: *mut u32,
    codec: *mut u8,
) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        let Some(medium) = Medium::of(MessageType(kind)) else { return Ok(FALSE) };
        // SAFETY: `metadata` is null or an initialised object, by the Safety section.
        let Some(found) = (unsafe { property(metadata, kind, id, medium.names().codec) }) else {
            return Ok(FALSE);
        };
        let value = match found.p_type {
            AMF_NUMBER => Value::Number(found.number()),
            // SAFETY: with this type the union holds a string, which is readable for its length.
            AMF_STRING => Value::String(unsafe { aval_bytes(&found.p_vu.p_aval) }),
            _ => return Ok(FALSE),
        };
        let (code, id) = match Codec::from_metadata(&value) {
            Some(Codec::FourCc(FourCc(code))) => (code, 0),
            Some(Codec::Legacy { id, .. }) => (0, id),
            _ => return Ok(FALSE),
        };
        // SAFETY: `fourcc` and `codec` are null or writable, by the Safety section.
        let (Ok(to_fourcc), Ok(to_codec)) =
            (unsafe { (required_mut(fourcc, "fourcc"), required_mut(codec, "codec")) })
        else {
            return Ok(FALSE);
        };
        (*to_fourcc, *to_codec) = (code, id);
        Ok(TRUE)
    })
}

/// Writes the member of `onMetaData` that describes tracks other than 0.
///
/// There are `count` tracks, with the numbers `ids` and the members of `infos`. The map belongs between the start and
/// the end of the metadata's object.
///
/// Returns the position after the map, or NULL if it does not fit.
///
/// # Safety
/// The bytes from `p` to `end` are writable; `ids` and `infos` are null or readable for `count` numbers and initialised
/// objects.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EncodeTrackMap(
    p: *mut c_char,
    end: *mut c_char,
    kind: u8,
    ids: *const u8,
    infos: *mut AMFObject,
    count: c_int,
) -> *mut c_char {
    boundary(Kind::Plain, ptr::null_mut(), |_| {
        let Some(medium) = Medium::of(MessageType(kind)) else { return Ok(ptr::null_mut()) };
        // SAFETY: by the Safety section.
        let written = unsafe { map(p, end, medium.names().map, ids, infos, count) };
        Ok(written.unwrap_or(ptr::null_mut()))
    })
}

/// # Safety
/// As for `RTMP_EncodeTrackMap`.
unsafe fn map(
    p: *mut c_char,
    end: *mut c_char,
    name: &[u8],
    ids: *const u8,
    infos: *mut AMFObject,
    count: c_int,
) -> Option<*mut c_char> {
    let count = usize::try_from(count).ok()?;
    if count > 0 && (ids.is_null() || infos.is_null()) {
        return None;
    }
    // SAFETY: the bytes from `p` to `end` are writable, by the Safety section.
    let mut room = unsafe { Room::new(p, end) }.ok()?;
    put_name(&mut room, name)?;
    room.put(&[AMF_OBJECT as u8])?;
    for index in 0..count {
        // SAFETY: both are readable for `count` items, by the Safety section.
        let (id, info) = unsafe { (*ids.add(index), infos.add(index)) };
        put_name(&mut room, id.to_string().as_bytes())?;
        // SAFETY: the room is writable up to `end`, and the object is initialised, by the Safety section.
        room = unsafe { Room::new(AMF_Encode(info, room.position(), end), end) }.ok()?;
    }
    room.put(&[0, 0, AMF_OBJECT_END as u8])?;
    Some(room.position())
}

fn put_name(room: &mut Room, name: &[u8]) -> Option<()> {
    room.put(&u16::try_from(name.len()).ok()?.to_be_bytes())?;
    room.put(name)
}

/// A property of a track.
///
/// # Safety
/// `metadata` is null or an initialised object that nobody changes while the result is used.
unsafe fn property<'a>(
    metadata: *const AMFObject,
    kind: u8,
    id: u8,
    name: &[u8],
) -> Option<&'a AMFObjectProperty> {
    let medium = Medium::of(MessageType(kind))?;
    // SAFETY: null or an initialised object, by the Safety section.
    let values = unsafe { properties(required(metadata, "metadata").ok()?) };
    let top = values.iter().find_map(AMFObjectProperty::members)?;
    // SAFETY: the members of an initialised object are initialised.
    let member = |of: &AMFObject, name: &[u8]| unsafe {
        properties(of).iter().find(|property| aval_bytes(&property.p_name) == name)
    };
    let own = (id != 0).then(|| {
        let map = member(top, medium.names().map)?.members()?;
        member(member(map, id.to_string().as_bytes())?.members()?, name)
    });
    own.flatten().or_else(|| member(top, name))
}
