//! Making an `RTMP`, its defaults, and the functions that only read or write one field.

use std::mem::size_of;

use libc::{c_double, c_int};

use super::{RTMP, RTMP_FEATURE_WRITE};
use crate::{FALSE, boundary, globals, reason, shared, tls};

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
    // SAFETY: the caller's contract above; null is allowed.
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
    boundary((), || {
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
        // SAFETY: the caller's contract above; all-zero bytes are a valid `RTMP`, so the fields may be used afterwards.
        unsafe {
            r.write_bytes(0, 1);
            initialise_zeroed(r);
            (*r).Link.swfAge = 30;
        }
        Ok(())
    })
}

/// Gives a session of zeros its defaults. Programs that allocate one with zeros and forget `RTMP_Init` would have
/// descriptor 0 for a connection, and waits without an end. What they have set is kept.
///
/// # Safety
/// `r` points to an `RTMP`, initialised or all zeros but for its settings.
pub(crate) unsafe fn initialise_zeroed(r: *mut RTMP) {
    // SAFETY: the caller's contract.
    unsafe {
        // No session that was initialised or has a connection lacks all of them. The size of what is sent is a setting.
        let sent = shared::read(&raw const (*r).m_outChunkSize);
        if shared::read(&raw const (*r).m_sb.sb_socket) != 0
            || shared::read(&raw const (*r).m_inChunkSize) != 0
            || (sent != 0 && shared::read(&raw const (*r).m_nClientBW2) != 0)
        {
            return;
        }
        (*r).m_sb.sb_socket = NO_SOCKET;
        (*r).m_inChunkSize = DEFAULT_CHUNK_SIZE;
        let defaults: [(&mut c_int, c_int); 5] = [
            (&mut (*r).m_outChunkSize, DEFAULT_CHUNK_SIZE),
            (&mut (*r).m_nBufferMS, 30_000),
            (&mut (*r).m_nServerBW, DEFAULT_WINDOW),
            (&mut (*r).m_nClientBW, DEFAULT_WINDOW),
            (&mut (*r).Link.timeout, 30),
        ];
        for (field, default) in defaults {
            if *field == 0 {
                *field = default;
            }
        }
        (*r).m_nClientBW2 = DYNAMIC_LIMIT;
        (*r).m_fAudioCodecs = AUDIO_CODECS;
        (*r).m_fVideoCodecs = VIDEO_CODECS;
    }
}

/// Makes the session publish instead of play. Call it after `RTMP_SetupURL` or `RTMP_SetupStream`, which reset this,
/// and before `RTMP_Connect`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EnableWrite(r: *mut RTMP) {
    if !r.is_null() {
        // SAFETY: the caller's contract above.
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
    // SAFETY: the caller's contract above.
    unsafe { shared::read(&raw const (*r).m_fDuration) }
}

/// Returns TRUE while there is a socket, FALSE when the session was never connected or was closed, also by an error.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_IsConnected(r: *mut RTMP) -> c_int {
    // SAFETY: the caller's contract above.
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
    // SAFETY: the caller's contract above.
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
    // SAFETY: the caller's contract above.
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
        // SAFETY: the caller's contract above.
        unsafe { shared::write(&raw mut (*r).m_nBufferMS, size) };
    }
}

const NO_SOCKET: c_int = -1;
/// RTMP 1.0, 5.4.1.
pub(super) const DEFAULT_CHUNK_SIZE: c_int = 128;
/// Acknowledgement window and peer bandwidth, in bytes.
const DEFAULT_WINDOW: c_int = 2_500_000;
/// RTMP 1.0, 5.4.5: the limit type "dynamic".
const DYNAMIC_LIMIT: u8 = 2;
/// What Flash players put into connect: every audio codec but one, and every video codec from Sorenson H.263 on.
const AUDIO_CODECS: c_double = 3191.0;
const VIDEO_CODECS: c_double = 252.0;
