//! Printf-style functions: what Rust and `variadic.c` know of each other.
//!
//! Rust cannot define a C-variadic function, so C does, and each exported symbol is one jump to it: the arguments
//! arrive there untouched. (The symbols of a C archive are not exported from a Rust shared library, so C cannot
//! export them itself.) In the other direction C gets one table of functions; the symbol through which it asks for
//! the table is hidden, hence the assembly.

use std::{ffi::CStr, panic::catch_unwind};

use libc::{c_char, c_int};

use super::{types::RTMP_LogCallback, writer};

/// The instruction that goes to the first operand and leaves every argument where it is.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
macro_rules! jump {
    () => {
        "jmp {0}"
    };
}
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
macro_rules! jump {
    () => {
        "b {0}"
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! jump {
    () => {
        "tail {0}"
    };
}
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64"
)))]
compile_error!(
    "RTMP_Log and its siblings forward their variadic arguments with one jump instruction: \
     add the one of this architecture to `jump`"
);
pub(super) use jump;

/// Labels a symbol that C of this library sees and nobody outside.
#[cfg(not(any(target_vendor = "apple", windows)))]
macro_rules! hidden {
    ($name:literal) => {
        concat!(".globl ", $name, "\n.hidden ", $name, "\n.type ", $name, ", %function\n", $name, ":")
    };
}
#[cfg(target_vendor = "apple")]
macro_rules! hidden {
    ($name:literal) => {
        concat!(".globl _", $name, "\n.private_extern _", $name, "\n_", $name, ":")
    };
}
#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! hidden {
    ($name:literal) => {
        concat!(".globl ", $name, "\n", $name, ":")
    };
}
#[cfg(all(windows, target_arch = "x86"))]
macro_rules! hidden {
    ($name:literal) => {
        concat!(".globl _", $name, "\n_", $name, ":")
    };
}

std::arch::global_asm!(".text", ".p2align 2", hidden!("rtmp_variadic_writer"), jump!(), sym table);

unsafe extern "C-unwind" {
    /// `RTMP_Log`: filtered by level, then the callback or the built-in writer.
    pub(super) fn rtmp_variadic_log(level: c_int, format: *const c_char, ...);
}

unsafe extern "C" {
    /// `RTMP_LogPrintf`.
    pub(super) fn rtmp_variadic_print(format: *const c_char, ...);
    /// `RTMP_LogStatus`.
    pub(super) fn rtmp_variadic_status(format: *const c_char, ...);
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

extern "C" fn table() -> *const Writer {
    static TABLE: Writer = Writer {
        wanted: writer::wanted,
        callback: writer::callback,
        log: writer::log,
        print: writer::print,
        status: writer::status,
    };
    &raw const TABLE
}
