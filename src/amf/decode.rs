//! Decodes into C's objects and properties.
//!
//! The safe replacement for decoders that read past the end: only bytes of the input are read, and no function returns more
//! than the input's length.

use libc::{c_char, c_int};
use rtmp_core::{
    amf::{amf0, amf3},
    error::Result,
};

use super::{access::writable, list::OwnedObject, types::*};
use crate::{
    boundary::{Kind, boundary},
    ptr::{Out, bytes},
};

/// Decodes the members of an object from `pBuffer` into `obj`. Decoding stops at an end marker or at the end of the
/// data. If `bDecodeName` is 0, the values have no names.
///
/// The previous contents of `obj` are overwritten, not freed. Names and text point into `pBuffer`. The list belongs to the caller,
/// who frees it with `AMF_Reset`.
///
/// Returns the number of bytes used, or -1 if they are malformed. After -1, `obj` holds the values before the malformed
/// one.
///
/// # Safety
/// `obj` is null or writable; `pBuffer` is null or readable for `nSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Decode(
    obj: Option<Out<AMFObject>>,
    pBuffer: *const c_char,
    nSize: c_int,
    bDecodeName: c_int,
) -> c_int {
    let read = |list: &mut _, input| amf0::decode_into(list, input, bDecodeName != 0);
    // SAFETY: the buffer is null or readable for its size, by the Safety section.
    unsafe { decode(obj, "obj", pBuffer, nSize.max(0), read) }
}

/// Decodes `nArrayLen` values from `pBuffer` into `obj`. Ownership is as with `AMF_Decode`.
///
/// Returns the number of bytes used, or -1 if they are malformed or too few.
///
/// # Safety
/// `obj` is null or writable; `pBuffer` is null or readable for `nSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeArray(
    obj: Option<Out<AMFObject>>,
    pBuffer: *const c_char,
    nSize: c_int,
    nArrayLen: c_int,
    bDecodeName: c_int,
) -> c_int {
    let count = usize::try_from(nArrayLen).unwrap_or(0);
    // Without elements the buffer is not read, so it may be null.
    let size = if count == 0 { 0 } else { nSize };
    let read = |list: &mut _, input| amf0::decode_array_into(list, input, count, bDecodeName != 0);
    // SAFETY: the buffer is null or readable for its size, by the Safety section.
    unsafe { decode(obj, "obj", pBuffer, size, read) }
}

/// Decodes one AMF3 object from `pBuffer` into `obj`. If `bDecodeName` is not 0, the object's type marker is in front.
/// Data that ends within the object is accepted up to there. Ownership is as with `AMF_Decode`.
///
/// Returns the number of bytes used, or -1 if they are malformed.
///
/// # Safety
/// `obj` is null or writable; `pBuffer` is null or readable for `nSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3_Decode(
    obj: Option<Out<AMFObject>>,
    pBuffer: *const c_char,
    nSize: c_int,
    bDecodeName: c_int,
) -> c_int {
    let read = |list: &mut _, input| amf3::decode_into(list, input, bDecodeName != 0);
    // SAFETY: the buffer is null or readable for its size, by the Safety section.
    unsafe { decode(obj, "obj", pBuffer, nSize, read) }
}

/// Decodes one AMF3 value from `pBuffer` into `prop`. If `bDecodeName` is not 0, a name is in front. No value follows
/// an empty name, and `prop` then becomes `AMF_INVALID`.
///
/// The previous contents of `prop` are overwritten, not freed. Name and text point into `pBuffer`. Members belong to the caller,
/// who frees them with `AMFProp_Reset`.
///
/// Returns the number of bytes used, or -1 if they are malformed.
///
/// # Safety
/// `prop` is null or writable; `pBuffer` is null or readable for `nSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3Prop_Decode(
    prop: Option<Out<AMFObjectProperty>>,
    pBuffer: *const c_char,
    nSize: c_int,
    bDecodeName: c_int,
) -> c_int {
    let read = |list: &mut _, input| amf3::decode_property_into(list, input, bDecodeName != 0);
    // SAFETY: the buffer is null or readable for its size, by the Safety section.
    unsafe { decode(prop, "prop", pBuffer, nSize, read) }
}

/// Decodes one value from `pBuffer` into `prop`. If `bDecodeName` is not 0, a name is in front.
///
/// The previous contents of `prop` are overwritten, not freed. Name and text point into `pBuffer`. Members belong to the caller,
/// who frees them with `AMFProp_Reset`.
///
/// Returns the number of bytes used, or -1 if they are malformed; `prop` is then `AMF_INVALID`.
///
/// # Safety
/// `prop` is null or writable; `pBuffer` is null or readable for `nSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Decode(
    prop: Option<Out<AMFObjectProperty>>,
    pBuffer: *const c_char,
    nSize: c_int,
    bDecodeName: c_int,
) -> c_int {
    let read = |list: &mut _, input| amf0::decode_array_into(list, input, 1, bDecodeName != 0);
    // SAFETY: the buffer is null or readable for its size, by the Safety section.
    unsafe { decode(prop, "prop", pBuffer, nSize, read) }
}

/// Stores what `read` finds in the buffer in `*place`, also the part before an error. Returns the number of bytes used.
///
/// # Safety
/// `data` is null or readable for `size` bytes. The text in `*place` lives as long as `data`,
/// which C answers for.
unsafe fn decode<'a, T: Copy + From<OwnedObject>>(
    place: Option<Out<T>>,
    name: &'static str,
    data: *const c_char,
    size: c_int,
    read: impl FnOnce(&mut OwnedObject, &'a [u8]) -> Result<usize>,
) -> c_int {
    boundary(Kind::Plain, MALFORMED, |_| {
        let place = writable(place, name)?;
        // SAFETY: `data` is null or readable for `size` bytes, by the Safety section.
        let input = unsafe { bytes(data, size, "pBuffer") };
        let mut list = OwnedObject::default();
        let result = input.and_then(|input| read(&mut list, input));
        place.write(list.into());
        Ok(match result {
            Ok(used) => c_int::try_from(used).unwrap_or(MALFORMED),
            // Malformed data comes from the peer, and is not an error of the call: the caller knows better what it means.
            Err(error) => {
                ::log::debug!("{error}");
                MALFORMED
            }
        })
    })
}

const MALFORMED: c_int = -1;
