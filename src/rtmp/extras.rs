//! `Link.extras`: the AMF data that the option `conn` builds up piece by piece, with `Link.edepth` open objects.

use std::ptr;

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    options::conn::{Item, Scalar},
};

use super::RTMP_LNK;
use crate::{
    amf::{
        AMF_BOOLEAN, AMF_NULL, AMF_NUMBER, AMF_OBJECT, AMF_STRING, AMFDataType, AMFObject, AMFObjectProperty,
        AMFPropertyValue, AVal, append_item,
    },
    valid::{Valid, field},
};

/// Appends a value to the innermost open object. Its text is not copied, and outlives the list.
pub(super) fn append(link: Valid<'_, RTMP_LNK>, item: Item<'_>) -> Result<()> {
    let depth = field!(link, edepth).get().max(0);
    if item.name().is_some() && depth == 0 {
        return Err(Error::malformed("conn option", "a named value outside of any object"));
    }
    let (new_depth, property) = match item {
        Item::Close => ((depth - 1).max(0), None),
        Item::Open { name } => {
            let empty = AMFPropertyValue { p_object: AMFObject::EMPTY };
            (depth + 1, Some(property(name, AMF_OBJECT, empty)?))
        }
        Item::Scalar { name, value } => (depth, Some(scalar(name, value)?)),
    };
    if let Some(property) = property {
        // SAFETY: the arrays of an initialised list hold as many properties as their counts say, and have room up to the next
        // multiple of 16, rules of `amf.h`.
        unsafe {
            let list = innermost(field!(link, extras).as_ptr(), depth)?;
            append_item(&mut (*list).o_props, &mut (*list).o_num, property)?;
        }
    }
    field!(link, edepth).set(new_depth);
    Ok(())
}

/// The innermost open object: the last property of the last property, `depth` times. A program may have emptied the list, or
/// stored other values in it.
///
/// # Safety
/// `object` points to a list whose arrays hold as many properties as their counts say.
unsafe fn innermost(mut object: *mut AMFObject, depth: c_int) -> Result<*mut AMFObject> {
    for _ in 0..depth {
        // SAFETY: `object` points to a list whose arrays hold as many properties as their counts say, by the Safety
        // section; the index is that of the last property, if there is one.
        unsafe {
            let last = match usize::try_from((*object).o_num) {
                Ok(count) if count > 0 && !(*object).o_props.is_null() => (*object).o_props.add(count - 1),
                _ => return Err(NOT_OPEN),
            };
            if (*last).p_type != AMF_OBJECT {
                return Err(NOT_OPEN);
            }
            object = &raw mut (*last).p_vu.p_object;
        }
    }
    Ok(object)
}

fn scalar(name: Option<&[u8]>, value: Scalar<'_>) -> Result<AMFObjectProperty> {
    let number = |number| AMFPropertyValue { p_number: number };
    match value {
        Scalar::Number(value) => property(name, AMF_NUMBER, number(value)),
        Scalar::Boolean(value) => property(name, AMF_BOOLEAN, number(f64::from(value))),
        Scalar::String(text) => property(name, AMF_STRING, AMFPropertyValue { p_aval: borrowed(text)? }),
        Scalar::Null => property(name, AMF_NULL, number(0.0)),
    }
}

fn property(name: Option<&[u8]>, p_type: AMFDataType, value: AMFPropertyValue) -> Result<AMFObjectProperty> {
    let p_name = name.map_or(Ok(AVal::EMPTY), borrowed)?;
    Ok(AMFObjectProperty { p_name, p_type, p_vu: value, p_UTCoffset: 0 })
}

/// The string to which `text` points.
fn borrowed(text: &[u8]) -> Result<AVal> {
    let av_len = c_int::try_from(text.len()).map_err(|_| Error::TooLarge("the conn option"))?;
    Ok(AVal { av_val: ptr::from_ref(text).cast_mut().cast(), av_len })
}

const NOT_OPEN: Error =
    Error::Invalid("the AMF data does not end with the object that the conn option left open");
