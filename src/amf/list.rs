//! Property arrays in C's memory: how they grow, how the decoder fills them and how they are freed.

use std::{mem, ptr};

use libc::c_int;
use rtmp_core::{
    amf::{List, Value, amf0},
    error::{Error, Result},
};

use super::types::*;
use crate::{memory, ptr::items};

/// Arrays have room up to the next multiple of this, which programs that build arrays themselves rely on.
const GROWTH: usize = 16;

/// An object that only this library knows so far; its properties are freed with it unless C takes it over.
pub(super) struct OwnedObject(AMFObject);

impl OwnedObject {
    /// Passes the object to C, which frees it with `AMF_Reset`.
    pub(super) fn into_raw(self) -> AMFObject {
        let object = self.0;
        mem::forget(self);
        object
    }
}

impl From<OwnedObject> for AMFObject {
    fn from(list: OwnedObject) -> Self {
        list.into_raw()
    }
}

/// The only property of the list; one without a value if there is none.
impl From<OwnedObject> for AMFObjectProperty {
    fn from(mut list: OwnedObject) -> Self {
        // SAFETY: `push` has filled the list.
        let property = unsafe { properties(&list.0) }.first().copied();
        // The copy now owns the property's contents; only the array remains to be freed.
        list.0.o_num = 0;
        property.unwrap_or(Self::INVALID)
    }
}

/// A property for a program, with the text of `value` and objects of its own.
pub(crate) fn owned_property(name: &[u8], value: &Value<'_>) -> Result<AMFObjectProperty> {
    property(name, owned(value)?)
}

/// The values of AMF0 data, into which their text points. C frees them with `AMF_Reset`.
pub(crate) fn owned_list(data: &[u8]) -> Result<AMFObject> {
    let mut list = OwnedObject::default();
    amf0::decode_into(&mut list, data, false)?;
    Ok(list.into_raw())
}

/// The same value with its members in C's memory. The decoder limits its depth.
fn owned<'a>(value: &Value<'a>) -> Result<Value<'a, OwnedObject>> {
    value.convert_members(|members| {
        let mut list = OwnedObject::default();
        for member in members {
            list.push(member.name, owned(&member.value)?)?;
        }
        Ok(list)
    })
}

impl Default for OwnedObject {
    fn default() -> Self {
        Self(AMFObject::EMPTY)
    }
}

impl Drop for OwnedObject {
    fn drop(&mut self) {
        // SAFETY: only this value has the array.
        unsafe { release(self.0) }
    }
}

impl<'a> List<'a> for OwnedObject {
    #[inline]
    fn push(&mut self, name: &'a [u8], value: Value<'a, Self>) -> Result<()> {
        let property = property(name, value)?;
        // SAFETY: the array is null or came from here; without a place in it, only this function has the property.
        unsafe {
            append_item(&mut self.0.o_props, &mut self.0.o_num, property)
                .inspect_err(|_| property.members().into_iter().for_each(|members| release(*members)))
        }
    }
}

/// The property that C sees for a decoded value; it owns the value's members.
#[inline(always)]
fn property(name: &[u8], value: Value<'_, OwnedObject>) -> Result<AMFObjectProperty> {
    let number = |p_number| AMFPropertyValue { p_number };
    let object = |members: OwnedObject| AMFPropertyValue { p_object: members.into_raw() };
    let p_name = AVal::of(name)?;
    let mut p_UTCoffset = 0;
    let (p_type, p_vu) = match value {
        Value::Number(value) => (AMF_NUMBER, number(value)),
        Value::Boolean(value) => (AMF_BOOLEAN, number(f64::from(u8::from(value)))),
        Value::String(text) => (AMF_STRING, AMFPropertyValue { p_aval: AVal::of(text)? }),
        Value::Object(members) => (AMF_OBJECT, object(members)),
        Value::EcmaArray(members) => (AMF_ECMA_ARRAY, object(members)),
        Value::StrictArray(members) => (AMF_STRICT_ARRAY, object(members)),
        Value::Date { millis, utc_offset } => {
            p_UTCoffset = utc_offset;
            (AMF_DATE, number(millis))
        }
        Value::XmlDocument(text) => (AMF_XML_DOC, AMFPropertyValue { p_aval: AVal::of(text)? }),
        Value::Null => (AMF_NULL, AMFPropertyValue { p_aval: AVal::EMPTY }),
        Value::Invalid => (AMF_INVALID, AMFPropertyValue { p_aval: AVal::EMPTY }),
    };
    Ok(AMFObjectProperty { p_name, p_type, p_vu, p_UTCoffset })
}

/// The properties of an object; none if its count is not positive or its array is null.
///
/// # Safety
/// `o_props` is null or holds `o_num` properties for as long as the result is used.
pub(super) unsafe fn properties<'a>(object: &AMFObject) -> &'a [AMFObjectProperty] {
    // SAFETY: the array is null or holds `o_num` properties, by the Safety section.
    unsafe { items(object.o_props, u32::try_from(object.o_num).unwrap_or(0)) }.unwrap_or_default()
}

/// Appends an item to an array of C's, which grows whenever its count is a multiple of `GROWTH`.
///
/// # Safety
/// `*items` is null or an array from the C allocator with `*count` items and room up to the next multiple of
/// `GROWTH`.
#[inline]
pub(crate) unsafe fn append_item<T: Copy>(items: &mut *mut T, count: &mut c_int, item: T) -> Result<()> {
    let Ok(used) = usize::try_from(*count) else { return Err(Error::Invalid("a negative count")) };
    let Some(next) = count.checked_add(1) else { return Err(Error::OutOfMemory) };
    if used % GROWTH == 0 {
        // SAFETY: the array is null or from the C allocator, by the Safety section.
        *items = unsafe { memory::resize(*items, used + GROWTH) }?;
    } else if items.is_null() {
        return Err(Error::Invalid("a count without an array"));
    }
    // SAFETY: the array has room up to the next multiple of `GROWTH`, which is above `used`.
    unsafe { items.add(used).write(item) };
    *count = next;
    Ok(())
}

/// Frees the properties of an object and all lists inside it, at any depth.
///
/// # Safety
/// The arrays are null or from the C allocator, hold as many properties as their counts say, and nobody uses them any
/// more.
pub(super) unsafe fn release(object: AMFObject) {
    // Waiting arrays are linked through the name of their first property, which is no longer read: no recursion at any depth,
    // and no allocation that could fail.
    let mut waiting: *mut AMFObjectProperty = ptr::null_mut();
    let mut current = object;
    loop {
        // SAFETY: arrays hold as many properties as their counts say, by the Safety section.
        for property in unsafe { properties(&current) } {
            let Some(&AMFObject { o_num, o_props }) = property.members() else { continue };
            if o_num > 0 && !o_props.is_null() {
                // SAFETY: the array has at least one property and belongs to `current` alone.
                unsafe { (*o_props).p_name = AVal { av_val: waiting.cast(), av_len: o_num } };
                waiting = o_props;
            } else {
                // SAFETY: an array without properties, of `current` alone; null is allowed.
                unsafe { memory::release(o_props) };
            }
        }
        // SAFETY: the properties were processed, and the array is no longer used.
        unsafe { memory::release(current.o_props) };
        if waiting.is_null() {
            return;
        }
        // SAFETY: arrays in the chain have a first property, whose name was set above.
        let AVal { av_val, av_len } = unsafe { (*waiting).p_name };
        current = AMFObject { o_num: av_len, o_props: waiting };
        waiting = av_val.cast();
    }
}
