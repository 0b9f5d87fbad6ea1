//! Allocates an `RTMP`, sets its defaults, and has the functions that only read or write one field.

use std::mem::size_of;

use libc::{c_double, c_int};

use super::{
    RTMP, RTMP_FEATURE_WRITE,
    defaults::{NO_SOCKET, initialise_zeroed},
};
use crate::{
    FALSE,
    boundary::{Kind, boundary},
    globals, reason, state, tls,
    valid::{Rtmp, field},
};

/// Allocates memory for a session and fills it with zeroes. Call `RTMP_Init` before any other function.
///
/// Returns the session, or NULL if memory is short. Free it with `RTMP_Free` or `free`.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_Alloc() -> *mut RTMP {
    // SAFETY: calloc accepts any size.
    unsafe { libc::calloc(1, size_of::<RTMP>()) }.cast()
}

/// Frees a session that `RTMP_Alloc` returned. It frees only that memory, so call `RTMP_Close` first. NULL is allowed.
/// Inside a log callback of a call with this session, it does nothing.
///
/// # Safety
/// `r` is null or came from `RTMP_Alloc` or `malloc`, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Free(r: *mut RTMP) {
    if reason::is_told(|told| told == r) {
        // The call whose log callback this is still uses it.
        return;
    }
    // SAFETY: `r` is null or came from `RTMP_Alloc` or `malloc`, and nobody uses it any more, by the Safety section;
    // null is allowed.
    unsafe {
        state::forget_progress(r);
        libc::free(r.cast());
    }
}

/// Gives every field of a session its default value, whatever the memory held before.
///
/// Close a session before you initialise it again: this function forgets what the session owns and does not free it.
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
            // SAFETY: a session with a running call is initialised.
            reason::use_session(unsafe { Rtmp::new(r) })?;
        }
        // SAFETY: `r` points to writable memory of the size of an `RTMP`, by the Safety section; all-zero bytes are a valid
        // `RTMP`, so the fields may be used afterwards.
        let r = unsafe {
            r.write_bytes(0, 1);
            Rtmp::new(r)
        };
        if let Some(r) = r {
            initialise_zeroed(r);
            field!(r, Link.swfAge).set(30);
        }
        Ok(())
    })
}

/// Makes the session publish instead of play. Call it after `RTMP_SetupURL` or `RTMP_SetupStream`, which reset it, and
/// before `RTMP_Connect`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EnableWrite(r: Option<Rtmp<'_>>) {
    if let Some(r) = r {
        field!(r, Link.protocol).change(|protocol| protocol | RTMP_FEATURE_WRITE);
    }
}

/// Returns the duration of the stream in seconds, or 0.0 while it is unknown. It comes from the stream's metadata.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetDuration(r: Option<Rtmp<'_>>) -> c_double {
    r.map_or(0.0, |r| field!(r, m_fDuration).get())
}

/// Returns TRUE while the session has a socket, and FALSE if it never connected or was closed. An error can close it,
/// too.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_IsConnected(r: Option<Rtmp<'_>>) -> c_int {
    c_int::from(r.map_or(NO_SOCKET, socket) != NO_SOCKET)
}

/// Returns the socket of the session, or -1 if there is none. The socket belongs to the library: do not close it.
///
/// Its timeouts (`SO_RCVTIMEO`, `SO_SNDTIMEO`) and its blocking mode hold for waits, and the program may change them between two
/// calls. A call that waits for bytes may find a change 50 ms late.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Socket(r: Option<Rtmp<'_>>) -> c_int {
    r.map_or(NO_SOCKET, socket)
}

/// Returns TRUE if the last read ended because nothing arrived in time, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_IsTimedout(r: Option<Rtmp<'_>>) -> c_int {
    r.map_or(FALSE, |r| field!(r, m_sb.sb_timedout).get())
}

/// Sets how many milliseconds of media the server should send ahead. It sends nothing: `RTMP_UpdateBufferMS` tells a
/// server that is already connected.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetBufferMS(r: Option<Rtmp<'_>>, size: c_int) {
    if let Some(r) = r {
        field!(r, m_nBufferMS).set(size);
    }
}

/// The socket of a session, which may consist of zeros.
fn socket(r: Rtmp<'_>) -> c_int {
    initialise_zeroed(r);
    field!(r, m_sb.sb_socket).get()
}
