//! `log.h`: levels, destinations and the printf-style functions of librtmp, and the destination of the core's log.
//!
//! `variadic` is the Rust side of the printf-style exports in `variadic.c`, `writer` formats lines and owns the destination,
//! and `sink` turns records of the `log` crate into `RTMP_Log` calls and delays them while a session is locked. The functions
//! here are the other exports.
//!
//! Everything is process-wide and may be used by any thread at any time. No lock is held while the application's
//! callback runs, and `RTMP_LogPrintf` neither allocates nor waits for its own thread: programs call it in signal
//! handlers.

pub(crate) mod sink;
pub mod types;
mod variadic;
mod writer;

use std::{ffi::CString, slice};

use libc::{FILE, c_int, c_ulong};
use rtmp_core::{
    error::Error,
    text::{self, ROW},
};

pub(crate) use sink::Deferred;
pub use types::*;

use crate::{
    boundary::{Kind, boundary},
    globals,
};

/// Sends the messages of `RTMP_Log`, and so everything that the library logs, to `cb` instead of the output stream.
/// NULL restores the output stream.
///
/// `cb` receives messages up to `RTMP_debuglevel`, as a format and its arguments, without level name or newline. Both
/// are valid only during the call. Any thread that uses the library may call it; see `RTMP_LogCallback`.
///
/// # Safety
/// `cb` is null or a function of the type above that stays callable while the library is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogSetCallback(cb: *mut RTMP_LogCallback) {
    writer::set_callback(cb);
}

/// Makes `file` the output stream of the log. NULL means `stderr`, the default.
///
/// The stream still belongs to the caller, who may close it after setting another one.
///
/// # Safety
/// `file` is null or an open stream that stays open until another one is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogSetOutput(file: *mut FILE) {
    writer::set_output(file);
}

/// Logs `len` bytes of `data` in hexadecimal, 16 per line.
///
/// # Safety
/// `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogHex(level: c_int, data: *const u8, len: c_ulong) {
    // SAFETY: `data` is null or readable for `len` bytes, by the Safety section.
    unsafe {
        dump(level, data, len, |data| {
            text::hex_rows(data).for_each(|row| log_line(level, row.into_bytes()));
        });
    }
}

/// Logs `len` bytes of `data` in hexadecimal and as characters, 16 per line of 78 columns. Without bytes it logs an
/// empty line, and without `data` nothing.
///
/// # Safety
/// `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_LogHexString(level: c_int, data: *const u8, len: c_ulong) {
    let rows = |data: &[u8]| {
        if data.is_empty() {
            log_line(level, Vec::new());
        }
        for (row, offset) in data.chunks(ROW).zip((0..).step_by(ROW)) {
            log_line(level, text::dump_row(offset, row, is_printable));
        }
    };
    // SAFETY: `data` is null or readable for `len` bytes, by the Safety section.
    unsafe { dump(level, data, len, rows) }
}

/// Sets `RTMP_debuglevel`, the highest level that is logged.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_LogSetLevel(lvl: RTMP_LogLevel) {
    globals::set_debug_level(lvl);
}

/// Returns `RTMP_debuglevel`, the highest level that is logged.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_LogGetLevel() -> RTMP_LogLevel {
    globals::debug_level()
}

/// Shows bytes with `show`, if this level is logged and there are any.
///
/// # Safety
/// `data` is null or readable for `len` bytes.
unsafe fn dump(level: c_int, data: *const u8, len: c_ulong, show: impl FnOnce(&[u8])) {
    boundary(Kind::Session, (), |_| {
        if !globals::logs(level) || data.is_null() {
            return Ok(());
        }
        let len = isize::try_from(len).map_err(|_| Error::TooLarge("the length of a dump"))?;
        // SAFETY: `data` is readable for `len` bytes, by the Safety section; the length is in the range of slices, as just
        // checked.
        show(unsafe { slice::from_raw_parts(data, len.unsigned_abs()) });
        Ok(())
    })
}

/// Makes one `RTMP_Log` call; callbacks see the format `%s`.
fn log_line(level: c_int, line: Vec<u8>) {
    // A dump has no NUL.
    variadic::report(level, &CString::new(line).unwrap_or_default());
}

/// Whether a character is printable in the program's locale.
fn is_printable(byte: u8) -> bool {
    // SAFETY: `isprint` is defined for every value of an unsigned char.
    unsafe { libc::isprint(c_int::from(byte)) != 0 }
}
