//! `log.h`: levels, destinations and the printf-style functions of librtmp, and where the core's log goes.
//!
//! `variadic` takes printf arguments, `writer` formats lines and owns the destination, `sink` turns records of the
//! `log` crate into `RTMP_Log` calls and holds them back while a session is busy. The functions here are the exports.
//!
//! Everything is process-wide and may be used by any thread at any time. No lock is held while the application's
//! callback runs, and nothing on the way of `RTMP_LogPrintf` allocates or waits for its own thread: programs call it
//! in signal handlers.

mod sink;
mod variadic;
mod writer;

use std::{arch::naked_asm, ffi::CStr, slice};

use libc::{FILE, c_char, c_int, c_uint, c_ulong};

pub(crate) use sink::{Deferred, enter};
use variadic::{jump, rtmp_variadic_log, rtmp_variadic_print, rtmp_variadic_status};

use crate::{
    capi::{boundary, globals},
    error::{Error, Result},
};

/// How much is logged: a message is dropped when its level is above `RTMP_debuglevel`.
pub type RTMP_LogLevel = c_uint;
/// The program cannot go on.
pub const RTMP_LOGCRIT: RTMP_LogLevel = 0;
/// Something failed; the level a program starts with.
pub const RTMP_LOGERROR: RTMP_LogLevel = 1;
/// Something is odd, and the session goes on.
pub const RTMP_LOGWARNING: RTMP_LogLevel = 2;
/// What a user may want to know, metadata of the stream among it.
pub const RTMP_LOGINFO: RTMP_LogLevel = 3;
/// The commands of a session.
pub const RTMP_LOGDEBUG: RTMP_LogLevel = 4;
/// The bytes of a session.
pub const RTMP_LOGDEBUG2: RTMP_LogLevel = 5;
/// Everything, unnamed AMF properties included.
pub const RTMP_LOGALL: RTMP_LogLevel = 6;

/// `void (int level, const char *fmt, va_list args)`. Opaque, because only C can name its last argument.
#[repr(C)]
pub struct RTMP_LogCallback {
    _opaque: [u8; 0],
}

/// Sends the messages of `RTMP_Log`, and so everything the library logs, to `cb` instead of the output stream.
///
/// `cb` gets messages up to `RTMP_debuglevel`, as format and arguments without level name or newline; both are valid
/// during the call only. It may be called by any thread that uses the library, see `RTMP_LogCallback`.
/// NULL brings the output stream back.
///
/// # Safety
/// `cb` is null or a function of the type above that stays callable while the library is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogSetCallback(cb: *mut RTMP_LogCallback) {
    writer::set_callback(cb);
}

/// Makes `file` the output stream; NULL means `stderr`, as at the start.
///
/// The stream stays the caller's, who may close it after setting another one.
///
/// # Safety
/// `file` is null or an open stream that stays open until another one is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogSetOutput(file: *mut FILE) {
    writer::set_output(file);
}

/// Prints to the output stream without level or newline, unless `RTMP_debuglevel` is `RTMP_LOGCRIT`.
///
/// A newline comes first when `RTMP_LogStatus` printed last. The stream is flushed when the text ends a line.
///
/// # Safety
/// `format` is a printf format and the arguments are what it asks for.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogPrintf(format: *const c_char) {
    naked_asm!(jump!(), sym rtmp_variadic_print)
}

/// Prints a status line, usually ending in a carriage return, to the output stream and flushes it, unless
/// `RTMP_debuglevel` is `RTMP_LOGCRIT`. Whatever is printed next by another function starts on a new line.
///
/// # Safety
/// `format` is a printf format and the arguments are what it asks for.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogStatus(format: *const c_char) {
    naked_asm!(jump!(), sym rtmp_variadic_status)
}

/// Logs one line, unless `level` is above `RTMP_debuglevel`.
///
/// # Safety
/// `format` is a printf format and the arguments are what it asks for.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Log(level: c_int, format: *const c_char) {
    naked_asm!(jump!(), sym rtmp_variadic_log)
}

/// Logs `len` bytes of `data` in hexadecimal, 16 in a line.
///
/// # Safety
/// `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogHex(level: c_int, data: *const u8, len: c_ulong) {
    boundary((), || {
        if !globals::logs(level) || data.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's contract above.
        for row in unsafe { dumped(data, len) }?.chunks(ROW) {
            log_line(level, &hex_row(row));
        }
        Ok(())
    })
}

/// Logs `len` bytes of `data` in hexadecimal and as characters, 16 in a line of 78 columns; without bytes an empty
/// line, without `data` nothing.
///
/// # Safety
/// `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogHexString(level: c_int, data: *const u8, len: c_ulong) {
    boundary((), || {
        if !globals::logs(level) || data.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's contract above.
        let data = unsafe { dumped(data, len) }?;
        if data.is_empty() {
            log_line(level, &[0]);
        }
        for (row, offset) in data.chunks(ROW).zip((0..).step_by(ROW)) {
            log_line(level, &hex_string_row(offset, row));
        }
        Ok(())
    })
}

/// Sets `RTMP_debuglevel`, the highest level that is logged.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_LogSetLevel(lvl: RTMP_LogLevel) {
    globals::set_debug_level(lvl);
}

/// Returns `RTMP_debuglevel`.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_LogGetLevel() -> RTMP_LogLevel {
    globals::debug_level()
}

/// Bytes in a line of a dump.
const ROW: usize = 16;

/// What a dump reads.
///
/// # Safety
/// `data` is readable for `len` bytes for as long as the result is used.
unsafe fn dumped<'a>(data: *const u8, len: c_ulong) -> Result<&'a [u8]> {
    let len = isize::try_from(len).map_err(|_| Error::TooLarge("the length of a dump"))?;
    // SAFETY: the caller's contract above, and the length is in the range of slices, as just checked.
    Ok(unsafe { slice::from_raw_parts(data, len.unsigned_abs()) })
}

/// Makes one `RTMP_Log` call of the text in front of the first NUL; callbacks see the format `%s`.
fn log_line(level: c_int, line: &[u8]) {
    let line = CStr::from_bytes_until_nul(line).unwrap_or_default();
    variadic::report(level, line);
}

/// A line of `RTMP_LogHex`: only a full one ends without a space.
fn hex_row(bytes: &[u8]) -> [u8; 3 * ROW + 1] {
    let mut line = [0; 3 * ROW + 1];
    for (cell, byte) in line.chunks_exact_mut(3).zip(bytes) {
        cell.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15), b' ']);
    }
    line[3 * ROW - 1] = 0;
    line
}

/// A line of `RTMP_LogHexString`.
fn hex_string_row(offset: usize, bytes: &[u8]) -> [u8; LINE + 1] {
    let mut line = [b' '; LINE + 1];
    // The modulus is librtmp's own; dumps of more than 65,535 bytes compare equal this way.
    let label = offset % 65_535;
    for (place, shift) in (2..6).zip([12, 8, 4, 0]) {
        line[place] = hex_digit((label >> shift & 15) as u8);
    }
    line[6] = b':';
    for (n, &byte) in bytes.iter().enumerate().take(ROW) {
        let place = 9 + 3 * n + usize::from(n >= ROW / 2);
        line[place] = hex_digit(byte >> 4);
        line[place + 1] = hex_digit(byte & 15);
        // SAFETY: `isprint` is defined for every value of an unsigned char.
        let printable = unsafe { libc::isprint(c_int::from(byte)) } != 0;
        line[60 + n] = if printable { byte } else { b'.' };
    }
    line[LINE] = 0;
    line
}

/// Columns of a line of `RTMP_LogHexString`.
const LINE: usize = 78;

/// The character of a number below 16.
fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &[u8]) -> &str {
        CStr::from_bytes_until_nul(line).unwrap().to_str().unwrap()
    }

    #[test]
    fn only_a_full_hex_line_ends_without_a_space() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(text(&hex_row(&bytes[..1])), "00 ");
        assert_eq!(text(&hex_row(&bytes)), "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f");
    }

    #[test]
    fn a_hex_string_line_always_has_78_columns() {
        let bytes: Vec<u8> = (0x10..0x30).collect();
        assert_eq!(
            text(&hex_string_row(0x20, &bytes[16..])),
            "  0020:  20 21 22 23 24 25 26 27  28 29 2a 2b 2c 2d 2e 2f    !\"#$%&'()*+,-./  "
        );
        assert_eq!(
            text(&hex_string_row(0x10, &bytes[..4])),
            "  0010:  10 11 12 13                                        ....              "
        );
    }

    #[test]
    fn the_offset_of_a_hex_string_line_wraps_at_65535() {
        assert_eq!(&text(&hex_string_row(65_536, b"x"))[..7], "  0001:");
    }
}
