//! Printf-style functions: what Rust and `variadic.c` know of each other.
//!
//! Rust cannot define a C-variadic function, so `RTMP_Log`, `RTMP_LogPrintf` and `RTMP_LogStatus` are defined and exported by
//! `variadic.c`. C gets one table of functions from here.

use std::{ffi::CStr, panic::catch_unwind};

use libc::{c_char, c_int};

use super::{types::RTMP_LogCallback, writer};

unsafe extern "C-unwind" {
    /// `RTMP_Log`: filtered by level, then the callback or the built-in writer.
    pub(super) fn rtmp_variadic_log(level: c_int, format: *const c_char, ...);
}

/// Makes one `RTMP_Log` call; callbacks see the format `%s`. A C++ exception that leaves the callback ends the process here:
/// what is further out must not be unwound by it.
pub(super) fn report(level: c_int, text: &CStr) {
    // SAFETY: one `%s`, one string.
    let call = || unsafe { rtmp_variadic_log(level, c"%s".as_ptr(), text.as_ptr()) };
    // This aborts for what is no panic.
    let _ = catch_unwind(call);
}

/// `struct writer` of `variadic.c`.
#[repr(C)]
struct Writer {
    wanted: extern "C" fn(c_int) -> c_int,
    callback: extern "C" fn() -> *const RTMP_LogCallback,
    log: unsafe extern "C" fn(c_int, *const c_char),
    print: unsafe extern "C" fn(*const c_char),
    status: unsafe extern "C" fn(*const c_char),
}

/// Where C gets the table. `variadic.c` declares the symbol hidden, and the linker of ELF systems then keeps it out of the
/// exports of the shared library.
#[unsafe(no_mangle)]
extern "C" fn rtmp_variadic_writer() -> *const Writer {
    static TABLE: Writer = Writer {
        wanted: writer::wanted,
        callback: writer::callback,
        log: writer::log,
        print: writer::print,
        status: writer::status,
    };
    &raw const TABLE
}
