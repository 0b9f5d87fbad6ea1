//! Ending calls from another thread.

use libc::c_int;

use super::RTMP;
use crate::{FALSE, TRUE, state};

/// Ends every call that waits in this session, and shuts its socket down. Returns TRUE, or FALSE if `r` is NULL. The calls
/// fail within a tenth of a second; `RTMP_Read` returns what it has, or 0.
///
/// Also called before there is a socket it has this effect: `RTMP_Connect` fails. From then on every call that would have
/// to wait fails, until the program calls `RTMP_Close`; then the session can connect again.
///
/// May be called by any thread while others are in calls with the same session, `RTMP_Connect` and `RTMP_Close` included,
/// and in a signal handler. It must not be called while `RTMP_Init` runs, nor once the memory of the session may be gone:
/// whoever frees it first sees to it that nobody aborts any more. An abort that comes while `RTMP_Close` runs ends that,
/// and may or may not count for the connection after it.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Abort(r: *mut RTMP) -> c_int {
    // No panic can happen here, and the boundary may log, which a signal handler must not.
    if r.is_null() {
        return FALSE;
    }
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { state::abort(r) };
    TRUE
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::rtmp::{
        close::RTMP_Close,
        connect::RTMP_Connect,
        lifecycle::{RTMP_Alloc, RTMP_Free, RTMP_Init},
        setup::RTMP_SetupURL,
    };

    #[test]
    fn null_has_nothing_to_abort() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { RTMP_Abort(ptr::null_mut()) }, FALSE);
    }

    #[test]
    fn an_abort_holds_until_the_session_is_closed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = |name: &str| std::ffi::CString::new(format!("rtmp://127.0.0.1:{port}/{name}/s")).unwrap();
        let (first, second) = (url("first").into_raw(), url("second").into_raw());
        // SAFETY: the session is initialised, and freed only in the end; URLs live as long as it does.
        unsafe {
            let r = RTMP_Alloc();
            RTMP_Init(r);
            RTMP_SetupURL(r, first);
            (*r).Link.timeout = 60;
            assert_eq!(RTMP_Abort(r), TRUE);
            // As often as the program tries, nobody is asked for anything.
            for _ in 0..3 {
                assert_eq!(RTMP_Connect(r, ptr::null_mut()), FALSE);
            }
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "nobody connected");
            RTMP_Close(r);
            RTMP_SetupURL(r, second);
            (*r).Link.timeout = 1;
            // The connection is made, and nobody shakes hands.
            assert_eq!(RTMP_Connect(r, ptr::null_mut()), FALSE);
            assert!(listener.accept().is_ok(), "somebody connected");
            RTMP_Close(r);
            RTMP_Free(r);
            drop((std::ffi::CString::from_raw(first), std::ffi::CString::from_raw(second)));
        }
    }
}
