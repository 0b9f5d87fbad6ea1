//! Logging values for people.

use std::fmt::Write as _;

use libc::{c_char, c_int};
use log::{Level, debug, log_enabled};

use super::{
    types::*,
    walk::{Step, Walk},
};
use crate::capi::{
    boundary,
    ptr::{aval_bytes, required},
};

/// Logs the properties of an object and everything inside it at level DEBUG.
///
/// # Safety
/// `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Dump(obj: *mut AMFObject) {
    boundary((), || {
        // SAFETY: the caller's contract above.
        let object = unsafe { required(obj, "obj") }?;
        // SAFETY: the caller's contract above.
        unsafe { dump(object) };
        Ok(())
    })
}

/// Logs a property and everything inside it at level DEBUG.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Dump(prop: *mut AMFObjectProperty) {
    boundary((), || {
        // SAFETY: the caller's contract above.
        let property = unsafe { required(prop, "prop") }?;
        if log_enabled!(Level::Debug) {
            // SAFETY: the caller's contract above.
            debug!("{}", unsafe { line(property) });
        }
        if let Some(members) = property.members() {
            // SAFETY: the caller's contract above.
            unsafe { dump(members) };
        }
        Ok(())
    })
}

/// Logs the properties of an object and everything inside it.
///
/// # Safety
/// `object` is initialised.
unsafe fn dump(object: &AMFObject) {
    if !log_enabled!(Level::Debug) {
        return;
    }
    debug!("(object begin)");
    // SAFETY: the caller's contract above.
    let mut walk = unsafe { Walk::new(object) };
    while let Some(step) = walk.next() {
        match step {
            Step::End => debug!("(object end)"),
            Step::Property(property) => {
                // SAFETY: the caller's contract above covers nested properties.
                debug!("{}", unsafe { line(property) });
                if let Some(members) = property.members() {
                    debug!("(object begin)");
                    walk.enter(members);
                }
            }
        }
    }
}

/// One line about a property, without its members.
///
/// # Safety
/// `property` is initialised.
#[inline(never)]
unsafe fn line(property: &AMFObjectProperty) -> String {
    let mut value = match property.p_type {
        AMF_INVALID => return "Property: INVALID".to_owned(),
        AMF_NULL => return "Property: NULL".to_owned(),
        AMF_OBJECT => b"OBJECT".to_vec(),
        AMF_ECMA_ARRAY => b"ECMA_ARRAY".to_vec(),
        AMF_STRICT_ARRAY => b"STRICT_ARRAY".to_vec(),
        AMF_NUMBER => format!("NUMBER:\t{}", two_decimals(property.number())).into_bytes(),
        AMF_BOOLEAN if property.number() != 0.0 => b"BOOLEAN:\tTRUE".to_vec(),
        AMF_BOOLEAN => b"BOOLEAN:\tFALSE".to_vec(),
        // SAFETY: the caller's contract above.
        AMF_STRING => [b"STRING:\t", until_nul(unsafe { aval_bytes(&property.string()) })].concat(),
        AMF_DATE => {
            let millis = two_decimals(property.number());
            format!("DATE:\ttimestamp: {millis}, UTC offset: {}", property.p_UTCoffset).into_bytes()
        }
        other => format!("INVALID TYPE 0x{other:02x}").into_bytes(),
    };
    value.truncate(LONGEST_VALUE);
    // SAFETY: the caller's contract above.
    let name = match unsafe { aval_bytes(&property.p_name) } {
        [] => b"no-name.",
        name => until_nul(name.get(..NAME_WIDTH).unwrap_or(name)),
    };
    let mut line = String::from("Property: <Name: ");
    line.extend(std::iter::repeat_n(' ', NAME_WIDTH - name.len()));
    // Writing to a string cannot fail.
    let _ = write!(line, "{}, {}>", String::from_utf8_lossy(name), String::from_utf8_lossy(&value));
    line
}

/// C's `%.2f`, which differs from Rust's formatting for NaN and follows the program's locale.
fn two_decimals(number: f64) -> String {
    let mut buffer = [0_u8; LONGEST_NUMBER];
    // SAFETY: the buffer has the size that is stated, and the format takes one double.
    let len: c_int = unsafe {
        libc::snprintf(buffer.as_mut_ptr().cast::<c_char>(), buffer.len(), c"%.2f".as_ptr(), number)
    };
    let len = usize::try_from(len).unwrap_or(0).min(buffer.len() - 1);
    String::from_utf8_lossy(buffer.get(..len).unwrap_or(&[])).into_owned()
}

/// Text as C's formatting shows it: nothing behind a NUL.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

/// Columns of a name, in bytes.
const NAME_WIDTH: usize = 18;
/// What is shown of a value, in bytes.
const LONGEST_VALUE: usize = 254;
/// Enough for the largest number, which has 309 digits before the point.
const LONGEST_NUMBER: usize = 320;
