//! Finds a property anywhere in a tree. `rtmp.h` declares the first of these functions; programs declare the other themselves.

use libc::c_int;

use super::{
    types::*,
    view::{Object, Text},
    walk::{Step, Walk},
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    ptr::Out,
};

/// Finds the first property with the name `name` and copies it to `*p`. It searches objects and ECMA arrays depth
/// first, but not strict arrays. What the copy points to still belongs to `obj`.
///
/// Returns TRUE, or FALSE if there is none; `*p` is then unchanged.
///
/// # Safety
/// The pointers are null or valid, and `obj` is an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_FindFirstMatchingProperty(
    obj: *mut AMFObject,
    name: *const AVal,
    p: *mut AMFObjectProperty,
) -> c_int {
    // SAFETY: the pointers are valid by the Safety section, which is the same for `find`.
    unsafe { find(obj, name, p, &[AMF_OBJECT, AMF_ECMA_ARRAY], |candidate, name| candidate == name) }
}

/// Finds the first property whose name starts with `name` and is longer, and copies it to `*p`. It searches objects
/// depth first, but no arrays. What the copy points to still belongs to `obj`.
///
/// Returns TRUE, or FALSE if there is none; `*p` is then unchanged.
///
/// # Safety
/// The pointers are null or valid, and `obj` is an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_FindPrefixProperty(
    obj: *mut AMFObject,
    name: *const AVal,
    p: *mut AMFObjectProperty,
) -> c_int {
    let longer = |candidate: &[u8], name: &[u8]| candidate.len() > name.len() && candidate.starts_with(name);
    // SAFETY: the pointers are valid by the Safety section, which is the same for `find`.
    unsafe { find(obj, name, p, &[AMF_OBJECT], longer) }
}

/// Copies the first property with a matching name to `*p`, looking into values of the types `entered`.
///
/// # Safety
/// The pointers are null or valid, and `obj` is an initialised object.
unsafe fn find(
    obj: *const AMFObject,
    name: *const AVal,
    p: *mut AMFObjectProperty,
    entered: &[AMFDataType],
    matches: fn(&[u8], &[u8]) -> bool,
) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        // SAFETY: each is null or points to what it should, by the Safety section, and nothing is written before the
        // end.
        let (object, name, found) =
            unsafe { (Object::new(obj, "obj")?, Text::new(name, "name")?, Out::new(p, "p")) };
        let mut walk = Walk::new(object);
        while let Some(step) = walk.next() {
            let Step::Property(property) = step else { continue };
            if matches(property.name().bytes(), name.bytes()) {
                found?.write(*property);
                return Ok(TRUE);
            }
            let members = property.members().filter(|_| entered.contains(&property.p_type));
            if let Some(members) = members {
                walk.enter(members)?;
            }
        }
        Ok(FALSE)
    })
}
