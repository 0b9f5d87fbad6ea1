//! `RTMP_SetEventCallback`, `RTMP_SetSendCallback` and `RTMP_SetSessionLog`.

use libc::c_void;

use super::{RTMP_EventCallback, RTMP_SendCallback, RTMP_SessionLogCallback};
use crate::{
    boundary::{Kind, boundary},
    hooks::{Hook, Hooks},
    reason,
    state::Handle,
    valid::Rtmp,
};

/// Sets the function that receives the events of a session; NULL removes it.
///
/// `arg` is passed to the function and still belongs to the caller. Both are used until another function is set or
/// `RTMP_Close` returns, also for a connection that a new login makes. Set the function while no call about the
/// session is running.
///
/// Each event is reported once. The call that processes a message reports its status, data or command: `RTMP_ConnectStream`,
/// `RTMP_Read`, `RTMP_GetNextMediaPacket` or `RTMP_ClientPacket`. A message that a program reads with `RTMP_ReadPacket` and
/// does not pass to `RTMP_ClientPacket` is not reported.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetEventCallback(
    r: Option<Rtmp<'_>>,
    callback: Option<RTMP_EventCallback>,
    arg: *mut c_void,
) {
    set(r, |hooks| hooks.event = callback.map(|callback| Hook::new(callback, arg)));
}

/// Sets a function that is called instead of `send` for all bytes of the session; NULL removes it.
///
/// It is not called for TLS connections. `arg` is passed to the function and still belongs to the caller; both are
/// used as long as those of `RTMP_SetEventCallback`. The function may limit the rate, or send the bytes in another
/// way. `Link.timeout` does not limit the time that it takes.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetSendCallback(
    r: Option<Rtmp<'_>>,
    callback: Option<RTMP_SendCallback>,
    arg: *mut c_void,
) {
    set(r, |hooks| hooks.send = callback.map(|callback| Hook::new(callback, arg)));
}

/// Sets a function that receives the log lines of calls about this session, instead of the log of the process; NULL removes it.
///
/// `RTMP_debuglevel` limits the level of the lines. `arg` is passed to the function and still belongs to the caller;
/// both are used as long as those of `RTMP_SetEventCallback`, including the lines that `RTMP_Close` logs. Lines of
/// helper threads, of `RTMP_Log` and of functions without a session go to the log of the process.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `callback` is null or a function of the type above that stays callable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetSessionLog(
    r: Option<Rtmp<'_>>,
    callback: Option<RTMP_SessionLogCallback>,
    arg: *mut c_void,
) {
    set(r, |hooks| hooks.log = callback.map(|callback| Hook::new(callback, arg)));
}

fn set(r: Option<Rtmp<'_>>, change: impl FnOnce(&mut Hooks)) {
    boundary(Kind::Session, (), |_| {
        Handle::made_for(reason::use_session(r)?)?.change_hooks(change);
        Ok(())
    })
}
