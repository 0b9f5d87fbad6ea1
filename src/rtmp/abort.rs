//! Ending calls from another thread.

use libc::c_int;

use crate::{FALSE, TRUE, state, valid::Rtmp};

/// Ends every call that waits in this session, and shuts down its socket. The calls fail within a tenth of a second
/// with `RTMP_ERR_ABORTED`; `RTMP_Read` first returns what it has.
///
/// Returns TRUE, or FALSE if `r` is NULL.
///
/// The abort stays in effect until `RTMP_Close`: every call that would have to wait fails, also `RTMP_Connect` if there
/// was no socket yet. After `RTMP_Close` the session can connect again.
///
/// A session that never waits (`RTMP_SetNonBlocking`) fails in its next step. While it connects, the thread that aborts has to wake
/// the loop itself.
///
/// Any thread may call it while others are in calls with the same session, including `RTMP_Connect` and `RTMP_Close`,
/// and so may a signal handler. Do not call it while `RTMP_Init` runs, or when another thread may already have freed
/// the session. An abort during `RTMP_Close` ends that call, and may or may not affect the next connection.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Abort(r: Option<Rtmp<'_>>) -> c_int {
    // No panic can happen here, and the boundary may log, which a signal handler must not.
    let Some(r) = r else { return FALSE };
    state::abort(r);
    TRUE
}

#[cfg(test)]
mod tests {

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
        assert_eq!(unsafe { RTMP_Abort(None) }, FALSE);
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
            let session = Rtmp::new(r);
            RTMP_SetupURL(session, first);
            (*r).Link.timeout = 60;
            assert_eq!(RTMP_Abort(session), TRUE);
            // Repeated attempts make no request to a server.
            for _ in 0..3 {
                assert_eq!(RTMP_Connect(session, None), FALSE);
            }
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "nobody connected");
            RTMP_Close(session);
            RTMP_SetupURL(session, second);
            (*r).Link.timeout = 1;
            // The connection is made, but nobody answers the handshake.
            assert_eq!(RTMP_Connect(session, None), FALSE);
            assert!(listener.accept().is_ok(), "somebody connected");
            RTMP_Close(session);
            RTMP_Free(r);
            drop((std::ffi::CString::from_raw(first), std::ffi::CString::from_raw(second)));
        }
    }
}
