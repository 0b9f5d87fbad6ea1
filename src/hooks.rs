//! Functions of the program that a session calls.
//!
//! They are called in the thread whose call uses the session, while none of the session's locks is held. `loop.h` says what
//! they may do; calls that change the same session are refused, as in a log callback.

use std::{ffi::CStr, sync::OnceLock};

use libc::{c_int, c_void};
use rtmp_core::error::{Error, Result};

use super::{
    event_loop::{RTMP_EventCallback, RTMP_SendCallback, RTMP_SessionLogCallback, RTMPEvent},
    gate::Gate,
    reason::{self, Report},
    valid::Rtmp,
};

/// The functions that a program has set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) event: Option<Hook<RTMP_EventCallback>>,
    pub(crate) send: Option<Hook<RTMP_SendCallback>>,
    pub(crate) log: Option<Hook<RTMP_SessionLogCallback>>,
}

/// A function and its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hook<F> {
    function: F,
    argument: *mut c_void,
}

// SAFETY: two addresses. The program is responsible for its function in the threads that use the session.
unsafe impl<F> Send for Hook<F> {}
// SAFETY: two addresses, which are only copied.
unsafe impl<F> Sync for Hook<F> {}

impl<F> Hook<F> {
    /// A function that receives `argument`. The program has passed both to an exported function, and promises there that the
    /// function has its type and stays callable.
    pub(crate) fn new(function: F, argument: *mut c_void) -> Self {
        Self { function, argument }
    }
}

impl Hooks {
    /// Bits for the hooks that are set, so that most calls only have to read them.
    pub(crate) fn bits(&self) -> u8 {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        bit(self.event.is_some(), EVENT) | bit(self.send.is_some(), SEND) | bit(self.log.is_some(), LOG)
    }
}

/// Bits of [`Hooks::bits`].
pub(crate) const EVENT: u8 = 1;
pub(crate) const SEND: u8 = 2;
const LOG: u8 = 4;

/// Finds the log of a session.
type Find = fn(Rtmp<'_>) -> Option<Hook<RTMP_SessionLogCallback>>;

/// Set when a session has its own log for the first time.
static FIND_LOG: OnceLock<Find> = OnceLock::new();

/// Sets how the log of a session is found. Until then there is none.
pub(crate) fn find_logs_with(find: Find) {
    // The function is always the same.
    let _ = FIND_LOG.set(find);
}

/// Passes a line to the log of the session that this thread's call uses; false if it has none.
pub(crate) fn log_of_session(level: c_int, line: &CStr) -> bool {
    let (Some(find), Some(r)) = (FIND_LOG.get(), reason::session()) else { return false };
    let Some(Hook { function, argument }) = find(r) else { return false };
    let _report = Report::about(r.as_ptr());
    // SAFETY: `RTMP_SetSessionLog` requires a function of this type that stays callable.
    unsafe { function(r.as_ptr(), level, line.as_ptr(), argument) };
    true
}

impl Hook<RTMP_EventCallback> {
    /// Reports an event to the program. If the program gives up, that has the effect of `RTMP_Abort`.
    pub(crate) fn raise(self, r: Rtmp<'_>, event: &RTMPEvent) -> Result<()> {
        let goes_on = {
            let _report = Report::about(r.as_ptr());
            // SAFETY: `RTMP_SetEventCallback` requires a function of this type that stays callable.
            unsafe { (self.function)(r.as_ptr(), event, self.argument) != 0 }
        };
        if goes_on {
            return Ok(());
        }
        Gate::of(r).abort();
        Err(Error::Interrupted)
    }
}

impl Hook<RTMP_SendCallback> {
    /// Passes all bytes to the program.
    pub(crate) fn send(self, r: Rtmp<'_>, mut bytes: &[u8]) -> Result<()> {
        let _report = Report::about(r.as_ptr());
        while !bytes.is_empty() {
            let size = c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);
            // SAFETY: `RTMP_SetSendCallback` requires a function of this type that stays callable; the bytes stay valid until
            // it returns.
            let taken = unsafe { (self.function)(r.as_ptr(), bytes.as_ptr().cast(), size, self.argument) };
            let taken = usize::try_from(taken).ok().filter(|taken| *taken > 0);
            match taken.and_then(|taken| bytes.get(taken..)) {
                Some(rest) => bytes = rest,
                None if Gate::of(r).is_aborted() => return Err(Error::Interrupted),
                None => return Err(Error::Io(std::io::Error::last_os_error())),
            }
        }
        Ok(())
    }
}
