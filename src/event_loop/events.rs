//! `RTMP_SetEventCallback`, `RTMP_SetSendCallback` and `RTMP_SetSessionLog`.

use libc::c_void;

use super::{RTMP_EventCallback, RTMP_SendCallback, RTMP_SessionLogCallback};
use crate::{
    boundary::{Kind, boundary},
    hooks::{Hook, Hooks},
    reason,
    rtmp::RTMP,
    state::Handle,
};

/// Sets the function that is called with the events of a session; NULL ends that.
///
/// `arg` is handed to it and stays the caller's. Both are used until another function is set or `RTMP_Close` returns, which
/// forgets them, and for all connections until then, also those of a new login. Like an option it is set while no call about
/// the session runs.
///
/// Each event is raised once. A status, data or a command is an event of the call that processes the message:
/// `RTMP_ConnectStream`, `RTMP_Read`, `RTMP_GetNextMediaPacket` or `RTMP_ClientPacket`. What a program reads with
/// `RTMP_ReadPacket` and keeps to itself is none.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetEventCallback(
    r: *mut RTMP,
    callback: Option<RTMP_EventCallback>,
    arg: *mut c_void,
) {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { set(r, |hooks| hooks.event = callback.map(|callback| Hook::new(callback, arg))) }
}

/// Sets the function that is called in place of `send`, for all bytes that the session has for its socket; NULL ends that.
///
/// With TLS it is not called. `arg` and how long both are used are as for `RTMP_SetEventCallback`. The function may send the
/// bytes at a pace of its own, or by another way. Time that it spends is not bounded by `Link.timeout`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetSendCallback(
    r: *mut RTMP,
    callback: Option<RTMP_SendCallback>,
    arg: *mut c_void,
) {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { set(r, |hooks| hooks.send = callback.map(|callback| Hook::new(callback, arg))) }
}

/// Sets the function that gets the log lines of calls about this session, in place of the log of the process; NULL ends that.
///
/// `RTMP_debuglevel` says which lines there are. `arg` and how long both are used are as for `RTMP_SetEventCallback`. Lines
/// that `RTMP_Close` logs come before it forgets the function. What helper threads log, and lines of `RTMP_Log` and of functions
/// without a session, go where they went before.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetSessionLog(
    r: *mut RTMP,
    callback: Option<RTMP_SessionLogCallback>,
    arg: *mut c_void,
) {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { set(r, |hooks| hooks.log = callback.map(|callback| Hook::new(callback, arg))) }
}

/// # Safety
/// `r` is null or points to an initialised `RTMP`.
unsafe fn set(r: *mut RTMP, change: impl FnOnce(&mut Hooks)) {
    boundary(Kind::Session, (), |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe {
            reason::about(r)?;
            Handle::from_raw(r)?.change_hooks(change);
        }
        Ok(())
    })
}
