//! Making an `RTMP`, its defaults, and the functions that only read or write one field.

use std::mem::size_of;

use libc::{c_double, c_int};

use super::{
    RTMP, RTMP_FEATURE_WRITE,
    defaults::{NO_SOCKET, initialise_zeroed},
};
use crate::{
    FALSE,
    boundary::{Kind, boundary},
    globals, reason, shared, tls,
};

/// Returns memory for a session, filled with zeroes, or NULL. `RTMP_Init` makes it usable; `RTMP_Free` or `free` gives
/// it back.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_Alloc() -> *mut RTMP {
    // SAFETY: calloc accepts any size.
    unsafe { libc::calloc(1, size_of::<RTMP>()) }.cast()
}

/// Gives back what `RTMP_Alloc` returned, and nothing else: call `RTMP_Close` first. NULL is allowed. In the log callback of
/// a call with this session it does nothing.
///
/// # Safety
/// `r` is null or came from `RTMP_Alloc` or `malloc`, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Free(r: *mut RTMP) {
    if reason::is_told(|told| told == r) {
        // The call whose log callback this is goes on to use it.
        return;
    }
    // SAFETY: `r` is null or came from `RTMP_Alloc` or `malloc`, and nobody uses it any more, by the Safety section;
    // null is allowed.
    unsafe { libc::free(r.cast()) }
}

/// Gives every field of a session its default, whatever the memory held before.
///
/// A session that was used before has to be closed first: what it owns is forgotten here.
///
/// # Safety
/// `r` is null or points to writable memory of the size of an `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Init(r: *mut RTMP) {
    boundary(Kind::Session, (), |_| {
        if globals::tls_context().is_null() {
            tls::RTMP_TLS_Init();
        }
        if r.is_null() {
            return Ok(());
        }
        if reason::is_told(|told| told == r) {
            // SAFETY: a session of a call that runs is initialised.
            unsafe { reason::about(r) }?;
        }
        // SAFETY: `r` is null or points to writable memory of the size of an `RTMP`, by the Safety section; all-zero
        // bytes are a valid `RTMP`, so the fields may be used afterwards.
        unsafe {
            r.write_bytes(0, 1);
            initialise_zeroed(r);
            (*r).Link.swfAge = 30;
        }
        Ok(())
    })
}

/// Makes the session publish instead of play. Call it after `RTMP_SetupURL` or `RTMP_SetupStream`, which reset this,
/// and before `RTMP_Connect`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EnableWrite(r: *mut RTMP) {
    if !r.is_null() {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe { (*r).Link.protocol |= RTMP_FEATURE_WRITE };
    }
}

/// Returns the stream's duration in seconds, or 0.0 while it is unknown.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetDuration(r: *mut RTMP) -> c_double {
    if r.is_null() {
        return 0.0;
    }
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { shared::read(&raw const (*r).m_fDuration) }
}

/// Returns TRUE while there is a socket, FALSE when the session was never connected or was closed, also by an error.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_IsConnected(r: *mut RTMP) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    c_int::from(unsafe { RTMP_Socket(r) } != NO_SOCKET)
}

/// Returns the socket, which stays the library's, or -1.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Socket(r: *mut RTMP) -> c_int {
    if r.is_null() {
        return NO_SOCKET;
    }
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe {
        initialise_zeroed(r);
        shared::read(&raw const (*r).m_sb.sb_socket)
    }
}

/// Returns TRUE if the last read gave up because nothing arrived in time.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_IsTimedout(r: *mut RTMP) -> c_int {
    if r.is_null() {
        return FALSE;
    }
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { shared::read(&raw const (*r).m_sb.sb_timedout) }
}

/// Sets how many milliseconds of media the server should keep buffered on our side. Sends nothing, see
/// `RTMP_UpdateBufferMS`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetBufferMS(r: *mut RTMP, size: c_int) {
    if !r.is_null() {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe { shared::write(&raw mut (*r).m_nBufferMS, size) };
    }
}
