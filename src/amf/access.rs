//! Reading, changing and freeing objects and properties.
//!
//! Lookups that find nothing return one shared property of type `AMF_INVALID`. Programs hand it back to other
//! functions; those read it like any other and do not write to it.

use libc::{c_double, c_int};
use rtmp_core::error::{Error, Result};

use super::{
    list::{append, properties, release},
    types::*,
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    ptr::{aval_bytes, required, required_mut},
};

/// A constant that C gets pointers to.
struct Shared<T>(T);

// SAFETY: the two values below are never written, and the pointers in them are null.
unsafe impl<T> Sync for Shared<T> {}

static INVALID_PROPERTY: Shared<AMFObjectProperty> = Shared(AMFObjectProperty::INVALID);
static EMPTY_NAME: Shared<AVal> = Shared(AVal::EMPTY);

/// What a lookup that found nothing returns. C's type for it is not const, but it must not be written.
fn invalid_property() -> *mut AMFObjectProperty {
    (&raw const INVALID_PROPERTY.0).cast_mut()
}

/// A property that may be written: not null and not the shared one.
pub(super) fn writable(prop: *mut AMFObjectProperty) -> Result<*mut AMFObjectProperty> {
    match prop {
        prop if prop.is_null() => Err(Error::Invalid("prop")),
        prop if prop == invalid_property() => {
            Err(Error::Invalid("the shared invalid property cannot be changed"))
        }
        prop => Ok(prop),
    }
}

/// Frees the properties of an object and of all objects inside it, and leaves it empty. Names and text are not freed.
///
/// # Safety
/// `obj` is null or points to an initialised object whose arrays came from this library or from `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Reset(obj: *mut AMFObject) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above.
        let object = std::mem::replace(unsafe { required_mut(obj, "obj") }?, AMFObject::EMPTY);
        // SAFETY: the caller's contract above.
        unsafe { release(object) };
        Ok(())
    })
}

/// Appends a copy of `*prop` to `obj`, which from then on owns the members that the property may have. The array of
/// properties moves; pointers into it are not valid afterwards. Without memory nothing is appended.
///
/// # Safety
/// `obj` is null or points to an initialised object whose array came from this library, or from `malloc` with room up
/// to the next multiple of 16; `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_AddProp(obj: *mut AMFObject, prop: *const AMFObjectProperty) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above. Copied before the array moves, because it may lie in it.
        let property = *unsafe { required(prop, "prop") }?;
        // SAFETY: the caller's contract above.
        let object = unsafe { required_mut(obj, "obj") }?;
        // SAFETY: the caller's contract above.
        Ok(unsafe { append(&mut object.o_props, &mut object.o_num, property) }?)
    })
}

/// Returns how many properties `obj` has, nested ones not counted.
///
/// # Safety
/// `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_CountProp(obj: *mut AMFObject) -> c_int {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, 0, |_| Ok(unsafe { required(obj, "obj") }?.o_num))
}

/// Returns the property at `nIndex`, or if that is negative the first one of that name. Never returns null: if there is
/// none, the result has the type `AMF_INVALID` and must not be written. The pointer is valid until a property is added.
///
/// # Safety
/// `obj` is null or points to an initialised object; `name` is null or a valid string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_GetProp(
    obj: *mut AMFObject,
    name: *const AVal,
    nIndex: c_int,
) -> *mut AMFObjectProperty {
    boundary(Kind::Plain, invalid_property(), |_| {
        // SAFETY: the caller's contract above.
        let object = unsafe { required(obj, "obj") }?;
        // SAFETY: the caller's contract above.
        let properties = unsafe { properties(object) };
        let index = match usize::try_from(nIndex) {
            Ok(index) => Some(index).filter(|&index| index < properties.len()),
            Err(_) => {
                // SAFETY: the caller's contract above.
                let name = unsafe { required(name, "name") }?;
                // SAFETY: the caller's contract above.
                properties.iter().position(|property| unsafe { same(&property.p_name, name) })
            }
        };
        Ok(match index {
            // The pointer comes from the array itself, so that C may write through it.
            Some(index) => object.o_props.wrapping_add(index),
            None => invalid_property(),
        })
    })
}

/// Returns the type of a property.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetType(prop: *mut AMFObjectProperty) -> AMFDataType {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, AMF_INVALID, |_| Ok(unsafe { required(prop, "prop") }?.p_type))
}

/// Makes a property a number. What it held is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetNumber(prop: *mut AMFObjectProperty, dval: c_double) {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, (), |_| Ok(unsafe { set(prop, AMF_NUMBER, AMFPropertyValue { p_number: dval }) }?))
}

/// Makes a property true if `bflag` is not 0, else false. What it held is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetBoolean(prop: *mut AMFObjectProperty, bflag: c_int) {
    let p_number = if bflag == 0 { 0.0 } else { 1.0 };
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, (), |_| Ok(unsafe { set(prop, AMF_BOOLEAN, AMFPropertyValue { p_number }) }?))
}

/// Makes a property a string. The text is borrowed; it must outlive the property. What the property held is forgotten,
/// not freed.
///
/// # Safety
/// `prop` is null or writable; `str` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetString(prop: *mut AMFObjectProperty, str: *mut AVal) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above.
        let p_aval = *unsafe { required(str, "str") }?;
        // SAFETY: the caller's contract above.
        Ok(unsafe { set(prop, AMF_STRING, AMFPropertyValue { p_aval }) }?)
    })
}

/// Makes a property an object. It then owns the properties of `obj`, which must not be reset any more. What the
/// property held is forgotten, not freed.
///
/// # Safety
/// `prop` is null or writable; `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetObject(prop: *mut AMFObjectProperty, obj: *mut AMFObject) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above.
        let p_object = *unsafe { required(obj, "obj") }?;
        // SAFETY: the caller's contract above.
        Ok(unsafe { set(prop, AMF_OBJECT, AMFPropertyValue { p_object }) }?)
    })
}

/// Stores the name of a property in `*name`; the text is borrowed. Without a property the name is empty.
///
/// # Safety
/// `prop` is null or points to an initialised property; `name` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetName(prop: *mut AMFObjectProperty, name: *mut AVal) {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, (), |_| Ok(unsafe { read(prop, name, AVal::EMPTY, |property| property.p_name) }?))
}

/// Gives a property a name. The text is borrowed; it must outlive the property.
///
/// # Safety
/// `prop` is null or writable; `name` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_SetName(prop: *mut AMFObjectProperty, name: *mut AVal) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above.
        let name = *unsafe { required(name, "name") }?;
        let prop = writable(prop)?;
        // SAFETY: the caller's contract above.
        unsafe { (*prop).p_name = name };
        Ok(())
    })
}

/// Returns the value of a number, 0.0 or 1.0 for a boolean, milliseconds since 1970 for a date, and 0.0 for everything
/// else.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetNumber(prop: *mut AMFObjectProperty) -> c_double {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, 0.0, |_| Ok(unsafe { required(prop, "prop") }?.number()))
}

/// Returns 1 if `AMFProp_GetNumber` is not 0.0, else 0.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetBoolean(prop: *mut AMFObjectProperty) -> c_int {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, FALSE, |_| Ok(c_int::from(unsafe { required(prop, "prop") }?.number() != 0.0)))
}

/// Stores the text of a string property in `*str`; it is borrowed. Other types give an empty string with a null
/// pointer.
///
/// # Safety
/// `prop` is null or points to an initialised property; `str` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetString(prop: *mut AMFObjectProperty, str: *mut AVal) {
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, (), |_| Ok(unsafe { read(prop, str, AVal::EMPTY, AMFObjectProperty::string) }?))
}

/// Stores the members of an object property in `*obj`; they still belong to the property, so `*obj` must not be reset.
/// Other types, arrays among them, give an empty object.
///
/// # Safety
/// `prop` is null or points to an initialised property; `obj` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_GetObject(prop: *mut AMFObjectProperty, obj: *mut AMFObject) {
    let object = |property: &AMFObjectProperty| match property.members() {
        Some(members) if property.p_type == AMF_OBJECT => *members,
        _ => AMFObject::EMPTY,
    };
    // SAFETY: the caller's contract above.
    boundary(Kind::Plain, (), |_| Ok(unsafe { read(prop, obj, AMFObject::EMPTY, object) }?))
}

/// Returns TRUE if the type of the property is not `AMF_INVALID`.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_IsValid(prop: *mut AMFObjectProperty) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        // SAFETY: the caller's contract above.
        let property = unsafe { required(prop, "prop") }?;
        Ok(if property.p_type == AMF_INVALID { FALSE } else { TRUE })
    })
}

/// Frees the members of a property, if it has any, and makes it `AMF_INVALID`. It keeps its name.
///
/// # Safety
/// `prop` is null or points to an initialised property whose members are owned by it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Reset(prop: *mut AMFObjectProperty) {
    boundary(Kind::Plain, (), |_| {
        if prop == invalid_property() {
            return Ok(());
        }
        // SAFETY: the caller's contract above.
        let property = unsafe { required_mut(prop, "prop") }?;
        if let Some(members) = property.members() {
            // SAFETY: the caller's contract above; the property forgets the members below.
            unsafe { release(*members) };
        }
        property.p_vu = AMFPropertyValue { p_aval: AVal::EMPTY };
        property.p_type = AMF_INVALID;
        Ok(())
    })
}

/// Appends a member's name to a class definition. The text is borrowed; the array of names moves. Without memory
/// nothing is appended.
///
/// # Safety
/// `cd` is null or points to an initialised definition whose array came from this function, or from `malloc` with room
/// up to the next multiple of 16; `prop` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3CD_AddProp(cd: *mut AMF3ClassDef, prop: *mut AVal) {
    boundary(Kind::Plain, (), |_| {
        // SAFETY: the caller's contract above. Copied before the array moves, because it may lie in it.
        let name = *unsafe { required(prop, "prop") }?;
        // SAFETY: the caller's contract above.
        let definition = unsafe { required_mut(cd, "cd") }?;
        // SAFETY: the caller's contract above.
        Ok(unsafe { append(&mut definition.cd_props, &mut definition.cd_num, name) }?)
    })
}

/// Returns a member's name in a class definition. Never returns null: if there is no such member, the name is empty and
/// must not be written.
///
/// # Safety
/// `cd` is null or points to an initialised definition.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3CD_GetProp(cd: *mut AMF3ClassDef, idx: c_int) -> *mut AVal {
    let empty = (&raw const EMPTY_NAME.0).cast_mut();
    boundary(Kind::Plain, empty, |_| {
        // SAFETY: the caller's contract above.
        let definition = unsafe { required(cd, "cd") }?;
        Ok(match usize::try_from(idx) {
            Ok(index) if idx < definition.cd_num && !definition.cd_props.is_null() => {
                definition.cd_props.wrapping_add(index)
            }
            _ => empty,
        })
    })
}

/// Whether two strings have the same length and the same bytes.
///
/// # Safety
/// Both are valid strings.
unsafe fn same(left: &AVal, right: &AVal) -> bool {
    // SAFETY: the caller's contract above.
    left.av_len == right.av_len && unsafe { aval_bytes(left) == aval_bytes(right) }
}

/// Gives a property a type and a value; its name stays.
///
/// # Safety
/// `prop` is null or writable.
unsafe fn set(prop: *mut AMFObjectProperty, p_type: AMFDataType, p_vu: AMFPropertyValue) -> Result<()> {
    let prop = writable(prop)?;
    // SAFETY: the caller's contract above.
    unsafe {
        (*prop).p_type = p_type;
        (*prop).p_vu = p_vu;
    }
    Ok(())
}

/// Stores what `field` finds in a property in `*out`, or `absent` if there is no property.
///
/// # Safety
/// `prop` is null or points to an initialised property; `out` is null or writable.
unsafe fn read<T>(
    prop: *const AMFObjectProperty,
    out: *mut T,
    absent: T,
    field: impl FnOnce(&AMFObjectProperty) -> T,
) -> Result<()> {
    if out.is_null() {
        return Err(Error::Invalid("no place for the result"));
    }
    // SAFETY: the caller's contract above.
    let value = unsafe { prop.as_ref() }.map_or(absent, field);
    // SAFETY: the caller's contract above.
    unsafe { out.write(value) };
    Ok(())
}
