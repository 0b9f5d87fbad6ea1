//! Reads, changes and frees objects and properties.
//!
//! Lookups that find nothing return one shared property of type `AMF_INVALID`. Programs pass it to other functions, which read
//! it like any other and do not write to it.

use libc::{c_double, c_int};
use rtmp_core::error::{Error, Result};

use super::{
    list::{append_item, release},
    types::*,
    view::{Object, Property, Text},
};
use crate::{
    FALSE,
    boundary::{Kind, boundary},
    ptr::{Out, given, required, required_mut},
    valid::{Valid, field},
};

/// A constant to which C gets pointers.
struct Shared(AMFObjectProperty);

// SAFETY: the value below is never written, and the pointers in it are null.
unsafe impl Sync for Shared {}

static INVALID_PROPERTY: Shared = Shared(AMFObjectProperty::INVALID);
static EMPTY_NAME: AVal = AVal::EMPTY;

/// The result of a lookup that found nothing. C's type for it is not const, but it must not be written.
fn invalid_property() -> *mut AMFObjectProperty {
    (&raw const INVALID_PROPERTY.0).cast_mut()
}

/// A place for a result, if it is not the shared property.
pub(super) fn writable<T: Copy>(place: Option<Out<T>>, name: &'static str) -> Result<Out<T>> {
    let place = given(place, name)?;
    if place.as_ptr().cast() == invalid_property() {
        return Err(Error::Invalid("the shared invalid property cannot be changed"));
    }
    Ok(place)
}

/// Gives a property a type and a value, unless that is an error; its name stays. The old value is not freed.
#[inline(always)]
fn set(prop: Option<Out<AMFObjectProperty>>, p_type: AMFDataType, value: Result<AMFPropertyValue>) {
    boundary(Kind::Plain, (), |_| {
        let p_vu = value?;
        let prop = writable(prop, "prop")?.as_ptr();
        // SAFETY: the place is writable (`Out`).
        unsafe {
            (*prop).p_type = p_type;
            (*prop).p_vu = p_vu;
        }
        Ok(())
    })
}

/// Frees the properties of an object and of all objects inside it, and leaves it empty. Names and text are not freed.
///
/// # Safety
/// `obj` is null or points to an initialised object whose arrays came from this library or from `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Reset(obj: *mut AMFObject) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: `obj` is null or an object whose arrays came from the C allocator, by the Safety section; it is empty
        // before they are freed.
        unsafe { release(std::mem::replace(required_mut(obj, "obj")?, AMFObject::EMPTY)) };
        Ok(())
    })
}

/// Appends a copy of `*prop` to `obj`, which then owns the members of the property. The array of properties may move,
/// so pointers into it become invalid. If memory is short, nothing is appended.
///
/// # Safety
/// `obj` is null or points to an initialised object whose array came from this library, or from `malloc` with room up
/// to the next multiple of 16; `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_AddProp(obj: *mut AMFObject, prop: *const AMFObjectProperty) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: both are null or initialised, and the array has room up to the next multiple of 16, by the Safety
        // section. The property is copied before the array moves, because it may lie in it.
        unsafe {
            let property = *required(prop, "prop")?;
            let object = required_mut(obj, "obj")?;
            append_item(&mut object.o_props, &mut object.o_num, property)?;
        }
        Ok(())
    })
}

/// Returns the number of properties of `obj`, without nested ones.
///
/// # Safety
/// `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_CountProp(obj: Option<Object<'_>>) -> c_int {
    boundary(Kind::Plain, 0, |_| Ok(given(obj, "obj")?.o_num))
}

/// Returns the property at `nIndex`, or the first one with the name `name` if `nIndex` is negative. The result is never
/// NULL: if there is no such property, its type is `AMF_INVALID`, and it must not be written to. The pointer is valid
/// until a property is added.
///
/// # Safety
/// `obj` is null or points to an initialised object; `name` is null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_GetProp(
    obj: Option<Object<'_>>,
    name: Option<Text<'_>>,
    nIndex: c_int,
) -> *mut AMFObjectProperty {
    boundary(Kind::Plain, invalid_property(), |_| {
        let object = given(obj, "obj")?;
        let mut properties = object.properties();
        let index = match usize::try_from(nIndex) {
            Ok(index) => Some(index).filter(|&index| index < properties.len()),
            Err(_) => {
                let name = given(name, "name")?;
                // A negative length is not the same as 0.
                let is_it = |found: Text<'_>| found.av_len == name.av_len && found.bytes() == name.bytes();
                properties.position(|property| is_it(property.name()))
            }
        };
        // The pointer comes from the array itself, so that C may write through it.
        Ok(index.map_or(invalid_property(), |index| object.o_props.wrapping_add(index)))
    })
}

/// Returns the type of a property.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetType(prop: Option<Property<'_>>) -> AMFDataType {
    boundary(Kind::Plain, AMF_INVALID, |_| Ok(given(prop, "prop")?.p_type))
}

/// Makes a property a number. Its earlier value is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetNumber(prop: Option<Out<AMFObjectProperty>>, dval: c_double) {
    set(prop, AMF_NUMBER, Ok(AMFPropertyValue { p_number: dval }));
}

/// Makes a property true if `bflag` is not 0, else false. Its earlier value is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetBoolean(prop: Option<Out<AMFObjectProperty>>, bflag: c_int) {
    let p_number = if bflag == 0 { 0.0 } else { 1.0 };
    set(prop, AMF_BOOLEAN, Ok(AMFPropertyValue { p_number }));
}

/// Makes a property a string. The text is borrowed; it must outlive the property. What the property held is forgotten,
/// not freed.
///
/// # Safety
/// `prop` is null or writable; `str` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetString(
    prop: Option<Out<AMFObjectProperty>>,
    str: Option<Valid<'_, AVal>>,
) {
    set(prop, AMF_STRING, given(str, "str").map(|text| AMFPropertyValue { p_aval: text.copy() }));
}

/// Makes a property an object. It then owns the properties of `obj`, which must not be reset any more. What the
/// property held is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable; `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetObject(
    prop: Option<Out<AMFObjectProperty>>,
    obj: Option<Valid<'_, AMFObject>>,
) {
    set(prop, AMF_OBJECT, given(obj, "obj").map(|object| AMFPropertyValue { p_object: object.copy() }));
}

/// Stores the name of a property in `*name`. The text is borrowed. Without a property the name is empty.
///
/// # Safety
/// `prop` is null or points to an initialised property; `name` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetName(prop: Option<Property<'_>>, name: Option<Out<AVal>>) {
    read(prop, name, AVal::EMPTY, |property| property.p_name);
}

/// Gives a property a name. The text is borrowed and must outlive the property.
///
/// # Safety
/// `prop` is null or writable; `name` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetName(
    prop: Option<Out<AMFObjectProperty>>,
    name: Option<Valid<'_, AVal>>,
) {
    boundary(Kind::Plain, (), |_| {
        let name = given(name, "name")?.copy();
        let prop = writable(prop, "prop")?.as_ptr();
        // SAFETY: the place is writable (`Out`).
        unsafe { (*prop).p_name = name };
        Ok(())
    })
}

/// Returns the value of a number, 0.0 or 1.0 for a boolean, milliseconds since 1970 for a date, and 0.0 for all other
/// types.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetNumber(prop: Option<Property<'_>>) -> c_double {
    boundary(Kind::Plain, 0.0, |_| Ok(given(prop, "prop")?.number()))
}

/// Returns 1 if `AMFProp_GetNumber` is not 0.0, else 0.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetBoolean(prop: Option<Property<'_>>) -> c_int {
    boundary(Kind::Plain, FALSE, |_| Ok(c_int::from(given(prop, "prop")?.number() != 0.0)))
}

/// Stores the text of a string property in `*str`. The text is borrowed. Other types give an empty string with a NULL
/// pointer.
///
/// # Safety
/// `prop` is null or points to an initialised property; `str` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetString(prop: Option<Property<'_>>, str: Option<Out<AVal>>) {
    read(prop, str, AVal::EMPTY, |property| property.text().map_or(AVal::EMPTY, |text| *text));
}

/// Stores the members of an object property in `*obj`. They still belong to the property, so do not reset `*obj`. Other
/// types, including arrays, give an empty object.
///
/// # Safety
/// `prop` is null or points to an initialised property; `obj` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetObject(prop: Option<Property<'_>>, obj: Option<Out<AMFObject>>) {
    read(prop, obj, AMFObject::EMPTY, |property| match property.members() {
        Some(members) if property.p_type == AMF_OBJECT => *members,
        _ => AMFObject::EMPTY,
    });
}

/// Returns TRUE if the type of the property is not `AMF_INVALID`, else FALSE.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_IsValid(prop: Option<Property<'_>>) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        let p_type = given(prop, "prop")?.p_type;
        Ok(c_int::from(p_type != AMF_INVALID))
    })
}

/// Frees the members of a property, if it has any, and makes it `AMF_INVALID`. Its name stays.
///
/// # Safety
/// `prop` is null or points to an initialised property whose members are owned by it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Reset(prop: *mut AMFObjectProperty) {
    boundary(Kind::Plain, (), |_| {
        if prop == invalid_property() {
            return Ok(());
        }
        // SAFETY: `prop` is null or an initialised property that owns its members, by the Safety section, and forgets them
        // below.
        let property = unsafe {
            let property = required_mut(prop, "prop")?;
            if let Some(members) = property.members() {
                release(*members);
            }
            property
        };
        property.p_vu = AMFPropertyValue { p_aval: AVal::EMPTY };
        property.p_type = AMF_INVALID;
        Ok(())
    })
}

/// Appends the name of a member to a class definition. The text is borrowed. The array of names may move. If memory is
/// short, nothing is appended.
///
/// # Safety
/// `cd` is null or points to an initialised definition whose array came from this function, or from `malloc` with room
/// up to the next multiple of 16; `prop` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3CD_AddProp(cd: *mut AMF3ClassDef, prop: *mut AVal) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: both are null or initialised, and the array has room up to the next multiple of 16, by the Safety
        // section. The name is copied before the array moves, because it may lie in it.
        unsafe {
            let name = *required(prop, "prop")?;
            let definition = required_mut(cd, "cd")?;
            append_item(&mut definition.cd_props, &mut definition.cd_num, name)?;
        }
        Ok(())
    })
}

/// Returns the name of member `idx` of a class definition. The result is never NULL: if there is no such member, the
/// name is empty and must not be written to.
///
/// # Safety
/// `cd` is null or points to an initialised definition.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3CD_GetProp(cd: Option<Valid<'_, AMF3ClassDef>>, idx: c_int) -> *mut AVal {
    let empty = (&raw const EMPTY_NAME).cast_mut();
    boundary(Kind::Plain, empty, |_| {
        let cd = given(cd, "cd")?;
        let (names, count) = (field!(cd, cd_props).get(), field!(cd, cd_num).get());
        Ok(match usize::try_from(idx) {
            Ok(index) if idx < count && !names.is_null() => names.wrapping_add(index),
            _ => empty,
        })
    })
}

/// Stores the result of `field` for a property in `*out`, or `absent` if there is no property.
fn read<'a, T: Copy>(
    prop: Option<Property<'a>>,
    out: Option<Out<T>>,
    absent: T,
    field: impl FnOnce(Property<'a>) -> T,
) {
    boundary(Kind::Plain, (), |_| {
        given(out, "no place for the result")?.write(prop.map_or(absent, field));
        Ok(())
    })
}
