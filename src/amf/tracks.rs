//! Metadata of single tracks, as declared in `enhanced.h`.

use std::ptr;

use libc::{c_char, c_int};
use rtmp_core::{
    amf::Value,
    media::{Codec, FourCc, Kind as Medium},
    message::MessageType,
};

use super::{
    encode::{END_OF_LIST, list, name},
    room::{Edge, Room, fill_silently},
    types::*,
    view::{In, Object, Property, Text},
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    ptr::Out,
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
    metadata: Option<Object<'_>>,
    kind: u8,
    id: u8,
    name: Option<Text<'_>>,
) -> *mut AMFObjectProperty {
    boundary(Kind::Plain, ptr::null_mut(), |_| {
        let (Some(metadata), Some(name), Some(kind)) = (metadata, name, Medium::of(MessageType(kind))) else {
            return Ok(ptr::null_mut());
        };
        Ok(property(metadata, kind, id, name.bytes()).map_or(ptr::null_mut(), Property::address))
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
    metadata: Option<Object<'_>>,
    kind: u8,
    id: u8,
    fourcc: Option<Out<u32>>,
    codec: Option<Out<u8>>,
) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        let (Some(metadata), Some(fourcc), Some(codec), Some(kind)) =
            (metadata, fourcc, codec, Medium::of(MessageType(kind)))
        else {
            return Ok(FALSE);
        };
        let Some(found) = property(metadata, kind, id, kind.names().codec) else { return Ok(FALSE) };
        let value = match (found.p_type, found.text()) {
            (AMF_NUMBER, _) => Value::Number(found.number()),
            (_, Some(text)) => Value::String(text.bytes()),
            _ => return Ok(FALSE),
        };
        let (code, id) = match Codec::from_metadata(&value) {
            Some(Codec::FourCc(FourCc(code))) => (code, 0),
            Some(Codec::Legacy { id, .. }) => (0, id),
            _ => return Ok(FALSE),
        };
        fourcc.write(code);
        codec.write(id);
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
    p: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
    kind: u8,
    ids: *const u8,
    infos: *mut AMFObject,
    count: c_int,
) -> *mut c_char {
    fill_silently(p, end, |room| {
        let map = Medium::of(MessageType(kind))?.names().map;
        let count = u32::try_from(count).ok()?;
        // SAFETY: both arrays are null or readable for `count` items, by the Safety section.
        let (ids, infos) = unsafe { (In::items(ids, count)?, In::items(infos, count)?) };
        track_map(room, map, ids.zip(infos))
    })
}

/// Writes the numbers of tracks and their members.
fn track_map<'a>(
    room: &mut Room<'_>,
    map: &[u8],
    tracks: impl Iterator<Item = (In<'a, u8>, Object<'a>)>,
) -> Option<()> {
    name(room, map)?;
    room.put(&[AMF_OBJECT as u8])?;
    for (id, info) in tracks {
        name(room, id.to_string().as_bytes())?;
        list(room, AMF_OBJECT, info)?;
    }
    room.put(&END_OF_LIST)
}

/// A property of a track.
fn property<'a>(metadata: Object<'a>, kind: Medium, id: u8, name: &[u8]) -> Option<Property<'a>> {
    let top = metadata.properties().find_map(Property::members)?;
    let member =
        |of: Object<'a>, name: &[u8]| of.properties().find(|property| property.name().bytes() == name);
    let own = (id != 0).then(|| {
        let map = member(top, kind.names().map)?.members()?;
        member(member(map, id.to_string().as_bytes())?.members()?, name)
    });
    own.flatten().or_else(|| member(top, name))
}
