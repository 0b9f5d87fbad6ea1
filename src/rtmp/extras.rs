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
    ptr::given,
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
        let mut list = field!(link, extras);
        for _ in 0..depth {
            // A program may have emptied the list, or stored other values in it.
            list = given(last_object(list), NOT_OPEN)?;
        }
        // SAFETY: only this call uses the list; its array has room up to the next multiple of 16, a rule of `amf.h`.
        unsafe {
            let list = &mut *list.as_ptr();
            append_item(&mut list.o_props, &mut list.o_num, property)?;
        }
    }
    field!(link, edepth).set(new_depth);
    Ok(())
}

/// The object that is the last value of `Link.extras`, or of an object in it.
pub(super) fn last_object(list: Valid<'_, AMFObject>) -> Option<Valid<'_, AMFObject>> {
    let index = usize::try_from(field!(list, o_num).get()).ok()?.checked_sub(1)?;
    let array = Some(field!(list, o_props).get()).filter(|array| !array.is_null())?;
    // SAFETY: the array has as many properties as its count says, a rule of `amf.h`.
    let last = unsafe { Valid::new(array.add(index)) }?;
    (field!(last, p_type).get() == AMF_OBJECT).then(|| field!(last, p_vu.p_object))
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

const NOT_OPEN: &str = "the AMF data does not end with the object that the conn option left open";
