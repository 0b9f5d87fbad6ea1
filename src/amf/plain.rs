//! Reads single fields from a pointer. These functions have no length argument: the caller guarantees the bytes.

use std::{convert::Infallible, ptr};

use libc::{c_char, c_double, c_int, c_uint, c_ushort};
use rtmp_core::{
    amf::amf3::{self, StringHeader},
    error::{Error, Result},
};

use super::{types::*, view::Bytes};
use crate::{
    boundary::{Kind, boundary},
    ptr::{Out, given},
};

/// Returns the unsigned 16-bit number at `data`, most significant byte first.
///
/// # Safety
/// `data` is null or readable for 2 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeInt16(data: Option<Bytes<'_, 2>>) -> c_ushort {
    boundary(Kind::Plain, 0, |_| Ok(u16::from_be_bytes(*given(data, DATA)?)))
}

/// Returns the unsigned 24-bit number at `data`, most significant byte first.
///
/// # Safety
/// `data` is null or readable for 3 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeInt24(data: Option<Bytes<'_, 3>>) -> c_uint {
    boundary(Kind::Plain, 0, |_| {
        let [high, middle, low] = *given(data, DATA)?;
        Ok(u32::from_be_bytes([0, high, middle, low]))
    })
}

/// Returns the unsigned 32-bit number at `data`, most significant byte first.
///
/// # Safety
/// `data` is null or readable for 4 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeInt32(data: Option<Bytes<'_, 4>>) -> c_uint {
    boundary(Kind::Plain, 0, |_| Ok(u32::from_be_bytes(*given(data, DATA)?)))
}

/// Reads the string at `data`, which starts with a 16-bit length, and stores it in `*str`. The text is not copied: it
/// is valid as long as `data` is. An empty string has a NULL pointer.
///
/// # Safety
/// `data` is null or readable for the length and the text; `str` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeString(data: Option<Bytes<'_, 2>>, str: Option<Out<AVal>>) {
    store(data, |bytes| u16::from_be_bytes(bytes).into(), str);
}

/// Reads the string at `data`, which starts with a 32-bit length, and stores it in `*str`. The text is not copied: it
/// is valid as long as `data` is. An empty string, or one of 2 GiB or more, has a NULL pointer.
///
/// # Safety
/// `data` is null or readable for the length and the text; `str` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeLongString(data: Option<Bytes<'_, 4>>, str: Option<Out<AVal>>) {
    store(data, c_int::from_be_bytes, str);
}

/// Returns 1 if the byte at `data` is not 0, else 0.
///
/// # Safety
/// `data` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeBoolean(data: Option<Bytes<'_, 1>>) -> c_int {
    boundary(Kind::Plain, 0, |_| Ok(c_int::from(given(data, DATA)?[0] != 0)))
}

/// Returns the floating-point number at `data`, most significant byte first.
///
/// # Safety
/// `data` is null or readable for 8 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_DecodeNumber(data: Option<Bytes<'_, 8>>) -> c_double {
    boundary(Kind::Plain, 0.0, |_| Ok(f64::from_be_bytes(*given(data, DATA)?)))
}

/// Reads the AMF3 integer at `data` and stores it in `*valp`.
///
/// Returns the number of bytes it takes, 1 to 4, or 0 if a pointer is NULL.
///
/// # Safety
/// `data` is null or readable up to the end of the integer; `valp` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3ReadInteger(data: *const c_char, valp: Option<Out<i32>>) -> c_int {
    boundary(Kind::Plain, 0, |_| {
        // SAFETY: `data` is null or readable up to the end of the integer, by the Safety section.
        let (value, used) = unsafe { integer(data) }?;
        given(valp, "valp")?.write(value);
        Ok(used)
    })
}

/// Reads the AMF3 string at `data` and stores it in `*str`. The text is not copied: it is valid as long as `data` is.
/// References to earlier strings are not supported and read as empty, and so do negative lengths.
///
/// Returns the number of bytes it takes, or 0 if a pointer is NULL.
///
/// # Safety
/// `data` is null or readable up to the end of the string's length; `str` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF3ReadString(data: *const c_char, str: Option<Out<AVal>>) -> c_int {
    boundary(Kind::Plain, 0, |_| {
        let str = given(str, "str")?;
        // SAFETY: `data` is null or readable up to the end of the length, by the Safety section.
        let (header, used) = unsafe { integer(data) }?;
        let (string, len) = match StringHeader::from_integer(header) {
            StringHeader::Inline(len) if len >= 0 => {
                // The text follows the length. C has no pointer to constant text in an `AVal`.
                let av_val = data.wrapping_offset(used as isize).cast_mut();
                (AVal { av_val, av_len: len }, len)
            }
            StringHeader::Inline(_) => (AVal::EMPTY, 0),
            StringHeader::Reference(index) => {
                ::log::debug!("AMF3ReadString, string reference, index: {index}, not supported, ignoring!");
                (AVal::EMPTY, 0)
            }
        };
        str.write(string);
        Ok(used + len)
    })
}

/// The integer at `data` and its length in bytes.
///
/// # Safety
/// `data` is null or readable up to the end of the integer.
unsafe fn integer(data: *const c_char) -> Result<(i32, c_int)> {
    if data.is_null() {
        return Err(Error::Invalid(DATA));
    }
    let mut next = data.cast::<u8>();
    let Ok((value, used)) = amf3::integer(|| {
        // SAFETY: `data` is readable up to the end of the integer, by the Safety section; `amf3::integer` asks for no
        // byte behind the end of the integer.
        let byte = unsafe { next.read() };
        next = next.wrapping_add(1);
        Ok::<_, Infallible>(byte)
    });
    Ok((value, c_int::from(used)))
}

/// Stores the string that follows a length of `N` bytes.
fn store<const N: usize>(
    data: Option<Bytes<'_, N>>,
    length: impl FnOnce([u8; N]) -> c_int,
    str: Option<Out<AVal>>,
) {
    boundary(Kind::Plain, (), |_| {
        let (data, str) = (given(data, DATA)?, given(str, "str")?);
        let av_len = length(*data);
        // The text follows the length.
        let av_val = if av_len > 0 { data.address().wrapping_add(1).cast() } else { ptr::null_mut() };
        str.write(AVal { av_val, av_len });
        Ok(())
    })
}

/// The argument of these functions, as the log names it.
const DATA: &str = "data";
