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
    ptr::{Out, given},
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
    obj: Option<Object<'_>>,
    name: Option<Text<'_>>,
    p: Option<Out<AMFObjectProperty>>,
) -> c_int {
    find(obj, name, p, &[AMF_OBJECT, AMF_ECMA_ARRAY], |candidate, name| candidate == name)
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
    obj: Option<Object<'_>>,
    name: Option<Text<'_>>,
    p: Option<Out<AMFObjectProperty>>,
) -> c_int {
    let longer = |candidate: &[u8], name: &[u8]| candidate.len() > name.len() && candidate.starts_with(name);
    find(obj, name, p, &[AMF_OBJECT], longer)
}

/// Copies the first property with a matching name to `*p`, looking into values of the types `entered`.
fn find(
    obj: Option<Object<'_>>,
    name: Option<Text<'_>>,
    p: Option<Out<AMFObjectProperty>>,
    entered: &[AMFDataType],
    matches: fn(&[u8], &[u8]) -> bool,
) -> c_int {
    boundary(Kind::Plain, FALSE, |_| {
        let (object, name) = (given(obj, "obj")?, given(name, "name")?);
        let mut walk = Walk::new(object);
        while let Some(step) = walk.next() {
            let Step::Property(property) = step else { continue };
            if matches(property.name().bytes(), name.bytes()) {
                given(p, "p")?.write(*property);
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
