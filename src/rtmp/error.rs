//! `RTMP_GetLastError` and `RTMP_GetErrorString`.

use std::cell::UnsafeCell;

use libc::{c_char, c_int};

use crate::{
    Errno,
    reason::{self, TEXT_LEN, Text},
    valid::Rtmp,
};

/// Returns the reason for the last failure, one of the `RTMP_ERR_*` values. `RTMP_ERR_NONE` means that no call has
/// failed.
///
/// Every function that takes an `RTMP` stores its reason here when it fails. A call that succeeds does not change it,
/// as with `errno`, and neither does `RTMP_Close`. So look at it only after a call has failed. `RTMP_Connect`,
/// `RTMP_Connect0`, `RTMP_Connect1`, `RTMP_TLS_Accept`, `RTMP_Serve` and `RTMP_Init` reset it to `RTMP_ERR_NONE`. A
/// call that finds no connection does not replace the reason why the connection was lost.
///
/// The end of a stream is a reason, too. When `RTMP_Read` returns 0, `RTMP_ERR_ENDED` means the end of the stream; any
/// other value means a timeout or a failure. For NULL the result is `RTMP_ERR_ARGUMENT`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetLastError(r: Option<Rtmp<'_>>) -> c_int {
    reason::last_code(r) as c_int
}

/// Returns the reason for the last failure as one line of text. It is never NULL, contains no newline, and is empty if
/// there is no reason.
///
/// The line names the step that failed, then the cause. For example, `publish: NetStream.Publish.BadName: already
/// publishing` contains the status code and the description that the server sent. The step is one of `URL`, `option`,
/// `name lookup`, `connect`, `proxy`, `TLS`, `HTTP tunnel`, `handshake`, `connect command`, `createStream`, `play`,
/// `publish`, `reading`, `sending` and `FLV`. The wording may change in later versions; the codes of
/// `RTMP_GetLastError` do not. Text from the peer is UTF-8 without control characters, and long text is cut and ends in
/// dots.
///
/// The string belongs to the calling thread and must not be freed. It stays valid until the same thread calls this
/// function again, for any session, or ends; other threads, `RTMP_Close` and `RTMP_Free` do not affect it. The library
/// keeps the texts of the last 256 failures of the process. For an older failure the string describes its code.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetErrorString(r: Option<Rtmp<'_>>) -> *const c_char {
    thread_local! {
        static LINE: UnsafeCell<Text> = const { UnsafeCell::new([0; TEXT_LEN]) };
    }
    // Another thread may have to be waited for.
    let _errno = Errno::keep();
    let text = reason::last_text(r);
    LINE.with(|line| {
        // SAFETY: no reference to what is inside exists: callers have pointers, and know that this changes it.
        unsafe { *line.get() = text };
        line.get().cast_const().cast()
    })
}
