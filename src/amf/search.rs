//! Finding a property anywhere in a tree. `rtmp.h` declares the first of these; programs declare the other by hand.

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

/// Returns TRUE and copies the first property of that name to `*p`, or returns FALSE and leaves `*p` alone. Looks depth
/// first into objects and ECMA arrays, not into strict arrays. What the copy points to still belongs to `obj`.
///
/// # Safety
/// The pointers are null or valid, and `obj` is an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_FindFirstMatchingProperty(
    obj: *mut AMFObject,
    name: *const AVal,
    p: *mut AMFObjectProperty,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { find(obj, name, p, &[AMF_OBJECT, AMF_ECMA_ARRAY], |candidate, name| candidate == name) }
}

/// Returns TRUE and copies the first property whose name is longer than `name` and begins with it to `*p`, or returns
/// FALSE and leaves `*p` alone. Looks depth first into objects, not into arrays of either kind. What the copy points to
/// still belongs to `obj`.
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
    // SAFETY: the same contract.
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
            unsafe { (Object::from_raw(obj)?, Text::from_raw(name, "name")?, Out::new(p, "p")) };
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
