//! The exported variables, and how the library reads them.
//!
//! A program that uses one of these gets its own copy when it is linked, and the dynamic linker makes the library use that copy
//! too. So sizes are part of the contract, and every access has to go through the symbol: the compiler must not replace the
//! read of a constant by the value that it sees.

use std::{
    ffi::CStr,
    hint, ptr,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering},
};

use libc::{c_char, c_int, c_void};
use rtmp_core::transport::wait::Patience;

use crate::{
    amf::AVal,
    log::types::{RTMP_LOGDEBUG, RTMP_LOGDEBUG2, RTMP_LOGERROR, RTMP_LogLevel},
};

/// The highest level that is logged. Programs may assign to it at any time.
#[unsafe(no_mangle)]
pub static RTMP_debuglevel: AtomicU32 = AtomicU32::new(RTMP_LOGERROR);

/// Not 0 when the user asked to stop: calls that wait then end, within a tenth of a second. `RTMP_UserInterrupt` sets it,
/// nothing resets it; programs may assign to it at any time.
#[unsafe(no_mangle)]
pub static RTMP_ctrlC: AtomicI32 = AtomicI32::new(0);

/// Not null once TLS is ready for use; what it points to is the library's own.
#[unsafe(no_mangle)]
pub static RTMP_TLS_ctx: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The Flash version that a client claims to be unless it is told otherwise.
#[unsafe(no_mangle)]
pub static RTMP_DefaultFlashVer: AVal =
    AVal { av_val: FLASH_VERSION.as_ptr().cast_mut(), av_len: FLASH_VERSION.count_bytes() as c_int };

const FLASH_VERSION: &CStr = c"LNX 10,0,32,18";

// SAFETY: an `AVal` is a pointer and a length; code that reads or writes the bytes has its own reason why it may.
unsafe impl Sync for AVal {}

/// The names of the protocols in upper case, by `RTMP_LNK.protocol` without its flags from `RTMP_FEATURE_WRITE` up.
#[unsafe(no_mangle)]
pub static RTMPProtocolStrings: [[c_char; 7]; 9] =
    names([b"RTMP", b"RTMPT", b"RTMPE", b"RTMPTE", b"RTMPS", b"RTMPTS", b"", b"", b"RTMFP"]);

/// The names of the protocols in lower case, as in URLs.
#[unsafe(no_mangle)]
pub static RTMPProtocolStringsLower: [[c_char; 7]; 9] =
    names([b"rtmp", b"rtmpt", b"rtmpe", b"rtmpte", b"rtmps", b"rtmpts", b"", b"", b"rtmfp"]);

/// The current value of `RTMP_debuglevel`.
pub(crate) fn debug_level() -> RTMP_LogLevel {
    RTMP_debuglevel.load(Ordering::Relaxed)
}

/// Assigns to `RTMP_debuglevel`, without a range check.
pub(crate) fn set_debug_level(level: RTMP_LogLevel) {
    RTMP_debuglevel.store(level, Ordering::Relaxed);
}

/// Whether messages of this level are logged now. Negative levels count as very large.
pub(crate) fn logs(level: c_int) -> bool {
    level as u32 <= debug_level()
}

/// Whether commands are logged.
pub(crate) fn logs_debug() -> bool {
    debug_level() >= RTMP_LOGDEBUG
}

/// Whether the bytes of chunks are logged; functions that process several messages at once do not log them.
#[inline(always)]
pub(crate) fn dumps() -> bool {
    debug_level() >= RTMP_LOGDEBUG2
}

/// Whether the user asked to stop: then nothing waits.
pub(crate) fn interrupted() -> bool {
    RTMP_ctrlC.load(Ordering::Relaxed) != 0
}

/// Waits until the user asks to stop.
pub(crate) static USER: User = User;

/// The user of the process.
#[derive(Debug)]
pub(crate) struct User;

impl Patience for User {
    fn is_over(&self) -> bool {
        interrupted()
    }
}

/// Asks all waits to stop.
pub(crate) fn interrupt() {
    RTMP_ctrlC.store(1, Ordering::Relaxed);
}

/// The current value of `RTMP_TLS_ctx`.
pub(crate) fn tls_context() -> *mut c_void {
    RTMP_TLS_ctx.load(Ordering::Acquire)
}

/// Sets `RTMP_TLS_ctx` if it is still null.
pub(crate) fn set_tls_context(context: *mut c_void) {
    // If this loses the race, another thread did the same.
    let _ = RTMP_TLS_ctx.compare_exchange(ptr::null_mut(), context, Ordering::AcqRel, Ordering::Acquire);
}

/// `RTMP_DefaultFlashVer`; its string is never freed.
pub(crate) fn default_flash_version() -> AVal {
    // SAFETY: a static of this type; volatile, because the value has to come from the program's copy.
    unsafe { ptr::read_volatile(&raw const RTMP_DefaultFlashVer) }
}

/// The name of a protocol for the log, with the flags from bit 3 up left out.
pub(crate) fn protocol_name(protocol: c_int) -> &'static CStr {
    row(&RTMPProtocolStrings, protocol & 7)
}

/// The scheme of a protocol for a URL; empty for numbers that name none.
pub(crate) fn protocol_scheme(protocol: c_int) -> &'static CStr {
    row(&RTMPProtocolStringsLower, protocol)
}

fn row(table: &'static [[c_char; 7]; 9], index: c_int) -> &'static CStr {
    let rows = hint::black_box(table);
    let Some(row) = usize::try_from(index).ok().and_then(|index| rows.get(index)) else { return c"" };
    // SAFETY: a row has 7 bytes, the last of which is a NUL, and it is never written.
    unsafe { CStr::from_ptr(row.as_ptr()) }
}

/// A table of NUL-terminated names.
const fn names<const N: usize>(names: [&[u8]; N]) -> [[c_char; 7]; N] {
    let mut table = [[0; 7]; N];
    let mut row = 0;
    while row < N {
        assert!(names[row].len() < 7);
        let mut column = 0;
        while column < names[row].len() {
            table[row][column] = names[row][column] as c_char;
            column += 1;
        }
        row += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_names_follow_the_feature_bits() {
        assert_eq!(protocol_name(0), c"RTMP");
        assert_eq!(protocol_name(3), c"RTMPTE");
        assert_eq!(protocol_name(0x10 | 4), c"RTMPS");
        assert_eq!(protocol_scheme(5), c"rtmpts");
        assert_eq!(protocol_scheme(8), c"rtmfp");
    }

    #[test]
    fn a_scheme_outside_the_table_is_empty() {
        for protocol in [6, 9, 0x10, -1, c_int::MAX, c_int::MIN] {
            assert_eq!(protocol_scheme(protocol), c"");
        }
    }

    #[test]
    fn the_default_flash_version_is_librtmps() {
        let version = default_flash_version();
        // SAFETY: the string is a literal.
        assert_eq!(unsafe { CStr::from_ptr(version.av_val) }, c"LNX 10,0,32,18");
        assert_eq!(version.av_len, 14);
    }

    #[test]
    fn negative_levels_count_as_huge() {
        assert!(logs(0));
        assert!(!logs(-1));
    }
}
