//! The C library `librtmp.so.1`: the symbols, structs and return conventions of librtmp 2.4 over the safe core, which is the
//! package `librtmp`.
//!
//! Everything here translates and decides nothing. This is the only crate with unsafe code; conversions from what C
//! hands over are concentrated in [`ptr`], [`memory`] and `state`. `amf`, `log`, `http` and `rtmp` mirror the four
//! public headers.
//!
//! Rust programs use the package `librtmp`. This crate can be linked from Rust for its tests and fuzz targets alone.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]

mod alone;
pub mod amf;
mod calls;
mod cancel;
mod connection;
mod errno;
mod fields;
mod gate;
pub mod globals;
pub mod http;
mod layout;
mod line;
pub mod log;
pub mod memory;
#[cfg(test)]
mod nulls;
mod pipe;
mod privilege;
pub mod ptr;
mod pump;
mod reason;
pub mod rtmp;
mod shared;
mod state;
pub mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use self::errno::Errno;
use self::{
    cancel::Shield,
    reason::{Code, Scope},
};
use rtmp_core::error::{Error, Result};

/// C's idea of truth.
pub const TRUE: libc::c_int = 1;
/// C's idea of falsehood.
pub const FALSE: libc::c_int = 0;

/// What is said of a call that panicked.
const GIVEN_UP: &str = "internal error, the call was given up";

/// What every call needs that the first one makes.
fn enter() {
    log::enter();
    privilege::ask();
}

/// Runs what an exported function can do in a hurry, which neither logs nor fails: `None` leaves the work to the long way.
/// That is also where a panic is found out, by what it left behind.
#[inline(always)]
pub(crate) fn attempt<T>(body: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok().flatten()
}

/// As [`attempt`], for what cannot be done once more: a panic is the end of the call.
#[inline(always)]
pub(crate) fn attempt_once<T>(failure: T, body: impl FnOnce() -> Option<T>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(_) => Some(boundary(failure, || Err(Error::Invalid(GIVEN_UP)))),
    }
}

/// As [`boundary`], for functions that are about no session, and so leave no reason behind.
#[inline(always)]
pub(crate) fn sessionless<T>(failure: T, body: impl FnOnce() -> Result<T>) -> T {
    enter();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => boundary(failure, || Err(error)),
        Err(_) => boundary(failure, || Err(Error::Invalid(GIVEN_UP))),
    }
}

/// As [`boundary`], for functions that may wait, which are cancellation points: they and those in between unwind, as
/// [`cancel::act`] asks for.
pub(crate) fn waiting<T: Copy>(failure: T, body: impl FnOnce() -> Result<T>) -> T {
    waiting_with_errno(failure, |_| body())
}

/// As [`waiting`] and [`boundary_with_errno`].
pub(crate) fn waiting_with_errno<T: Copy>(failure: T, body: impl FnOnce(&mut Errno) -> Result<T>) -> T {
    let result = boundary_with_errno(failure, body);
    cancel::act();
    result
}

/// Runs the body of an exported function: an error is logged, unless it was, becomes the reason that the session tells and
/// the value of `errno`, and `failure`. A panic ends here instead of crossing into C.
pub(crate) fn boundary<T>(failure: T, body: impl FnOnce() -> Result<T>) -> T {
    boundary_with_errno(failure, |_| body())
}

/// As [`boundary`], for functions that return as usual after a failure, or that leave `errno` alone after an error.
pub(crate) fn boundary_with_errno<T>(failure: T, body: impl FnOnce(&mut Errno) -> Result<T>) -> T {
    let _shield = Shield::begin();
    let mut errno = Errno::keep();
    enter();
    let _scope = Scope::begin();
    match catch_unwind(AssertUnwindSafe(|| body(&mut errno))) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            if !matches!(error, Error::Reported(_)) {
                reason::log(&error);
            }
            reason::keep(&error);
            errno.set_from(&error);
            failure
        }
        Err(_) => {
            ::log::error!("{GIVEN_UP}");
            reason::keep_as(Code::Internal, GIVEN_UP);
            failure
        }
    }
}
