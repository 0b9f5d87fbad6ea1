//! `RTMP_GetLastError` and `RTMP_GetErrorString`.

use std::cell::UnsafeCell;

use libc::{c_char, c_int};

use super::RTMP;
use crate::{
    Errno,
    reason::{self, TEXT_LEN, Text},
};

/// Returns why the last call that failed did so, one of the `RTMP_ERR_*` values. `RTMP_ERR_NONE` says that none did.
///
/// The functions that get this `RTMP` leave their reason here. What succeeds leaves it as it is, as with `errno`, and so
/// does `RTMP_Close`: look at it when a call has failed. `RTMP_Connect`, `RTMP_Connect0`, `RTMP_Connect1`,
/// `RTMP_TLS_Accept` and `RTMP_Serve` begin without one, and so does what `RTMP_Init` has made. A call that finds no
/// connection does not replace the reason why that was lost. The end of a stream is a reason too: `RTMP_ERR_ENDED` tells
/// a 0 of `RTMP_Read` because there is no more from one because of a time-out or a failure. For NULL the reason is
/// `RTMP_ERR_ARGUMENT`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetLastError(r: *mut RTMP) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { reason::last_code(r) as c_int }
}

/// Returns the reason that `RTMP_GetLastError` tells, as one line of text. It is never NULL, has no newline, and is ""
/// if there is no reason.
///
/// It says what failed, then how: `publish: NetStream.Publish.BadName: already publishing` has the status code and the
/// description that the server sent. In front can be `URL`, `option`, `name lookup`, `connect`, `proxy`, `TLS`, `HTTP
/// tunnel`, `handshake`, `connect command`, `createStream`, `play`, `publish`, `reading`, `sending` and `FLV`. The
/// words may change, the codes do not. What the peer said is UTF-8 without control characters; what is too long ends
/// in dots.
///
/// The string belongs to the calling thread: it stays as it is until this thread calls this function again, for any
/// `RTMP`, or ends. Other threads, `RTMP_Close` and `RTMP_Free` do not touch it; do not free it. The texts
/// of the last 256 failures in the process are kept; for older ones the string says what their code means.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetErrorString(r: *mut RTMP) -> *const c_char {
    thread_local! {
        static LINE: UnsafeCell<Text> = const { UnsafeCell::new([0; TEXT_LEN]) };
    }
    // Another thread may have to be waited for.
    let _errno = Errno::keep();
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    let text = unsafe { reason::last_text(r) };
    LINE.with(|line| {
        // SAFETY: no reference to what is inside exists: callers have pointers, and know that this changes it.
        unsafe { *line.get() = text };
        line.get().cast_const().cast()
    })
}
