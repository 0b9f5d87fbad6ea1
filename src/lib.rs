//! The C library `librtmp.so.1`: the symbols, structs and return conventions of librtmp 2.4 over the safe core, which is the
//! package `librtmp`.
//!
//! All code here translates and decides nothing. This is the only crate with unsafe code; [`ptr`], [`memory`] and `state` have
//! the conversions of values from C. `amf`, `log`, `http`, `rtmp` and `event_loop` mirror the public headers.
//!
//! Rust programs use the package `librtmp`. Rust code links this crate only in its tests and fuzz targets.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]

pub mod amf;
mod boundary;
mod calls;
mod cancel;
mod carrier;
mod connection;
pub mod enhanced;
mod errno;
pub mod event_loop;
mod fields;
mod gate;
pub mod globals;
mod hooks;
pub mod http;
mod layout;
pub mod log;
pub mod memory;
// The crate that schedules the threads of a model is not for every system.
#[cfg(all(test, not(any(target_arch = "mips64", target_abi = "eabi", all(windows, target_arch = "x86")))))]
mod model;
#[cfg(test)]
mod nulls;
mod outbox;
mod pipe;
mod privilege;
mod progress;
pub mod ptr;
mod pump;
mod reason;
pub mod rtmp;
mod scratch;
mod shared;
mod single_thread;
mod socket;
mod state;
mod sync;
mod tcp_info;
pub mod tls;
pub mod valid;

pub(crate) use self::errno::Errno;

/// C's value for true.
pub const TRUE: libc::c_int = 1;
/// C's value for false.
pub const FALSE: libc::c_int = 0;
