//! Printf-style functions: the interface between Rust and `variadic.c`.
//!
//! Rust cannot define a C-variadic function, so C does. A Rust shared library does not export the symbols of a C archive, so
//! each exported symbol is one jump to a function of C, which receives the arguments unchanged. For compilers and architectures
//! without naked functions (`build.rs`), C exports the symbols in another way, which needs GNU ld. In the other direction, C
//! gets one table of functions from here.

use std::{ffi::CStr, panic::catch_unwind};

use libc::{c_char, c_int};

use super::{types::RTMP_LogCallback, writer};
use crate::ptr::NulText;

#[cfg(rtmp_naked)]
mod exports {
    use std::arch::naked_asm;

    use super::{rtmp_variadic_log, rtmp_variadic_print, rtmp_variadic_status};

    macro_rules! export {
        ($($name:ident: $target:ident;)*) => { $(
            #[doc = concat!("A jump to `", stringify!($target), "`, which says what is to be kept.")]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name() {
                // The instruction comes from `build.rs`.
                naked_asm!(env!("RTMP_JUMP"), sym $target)
            }
        )* };
    }
    export! {
        RTMP_Log: rtmp_variadic_log;
        RTMP_LogPrintf: rtmp_variadic_print;
        RTMP_LogStatus: rtmp_variadic_status;
    }
}

unsafe extern "C-unwind" {
    /// `RTMP_Log`: filtered by level, then the callback or the built-in writer.
    pub(super) fn rtmp_variadic_log(level: c_int, format: *const c_char, ...);
}

#[cfg(rtmp_naked)]
unsafe extern "C" {
    /// `RTMP_LogPrintf`.
    fn rtmp_variadic_print(format: *const c_char, ...);
    /// `RTMP_LogStatus`.
    fn rtmp_variadic_status(format: *const c_char, ...);
}

/// Makes one `RTMP_Log` call; callbacks see the format `%s`. A C++ exception that leaves the callback ends the process here,
/// because it must not unwind the frames outside.
pub(super) fn report(level: c_int, text: &CStr) {
    // SAFETY: one `%s`, one string.
    let call = || unsafe { rtmp_variadic_log(level, c"%s".as_ptr(), text.as_ptr()) };
    // It aborts for anything that is not a panic.
    let _ = catch_unwind(call);
}

/// `struct writer` of `variadic.c`.
#[repr(C)]
struct Writer {
    wanted: extern "C" fn(c_int) -> c_int,
    callback: extern "C" fn() -> *const RTMP_LogCallback,
    log: extern "C" fn(c_int, NulText<'_>),
    print: extern "C" fn(NulText<'_>),
    status: extern "C" fn(NulText<'_>),
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
