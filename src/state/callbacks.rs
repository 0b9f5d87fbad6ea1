//! Functions of the program that a session calls.

use std::sync::atomic::Ordering;

use rtmp_core::{
    error::{Error, Result},
    net::SendHook,
    session::Notice,
};
use rustix::fd::BorrowedFd;

use super::{Handle, Private};
use crate::{
    carrier::Carrier,
    event_loop::{RTMP_EVENT_SOCKET, RTMP_SendCallback, RTMP_SessionLogCallback, RTMPEvent},
    hooks::{self, Hook, Hooks},
    reason, socket,
    valid::Rtmp,
};

impl Handle {
    /// Changes the functions of the program that the session calls.
    pub(crate) fn change_hooks(&self, change: impl FnOnce(&mut Hooks)) {
        fn find(r: Rtmp<'_>) -> Option<Hook<RTMP_SessionLogCallback>> {
            Handle::of(r)?.with_settings(|settings| settings.hooks.log)
        }
        let has_log = self.change_settings(|settings| {
            change(&mut settings.hooks);
            settings.hooks.log.is_some()
        });
        if has_log {
            hooks::find_logs_with(find);
        }
        if let Some(carrier) = self.carrier() {
            self.send_through_hook(&carrier);
        }
    }

    /// Lets a carrier pass its bytes to the program's send function, if there is one.
    pub(crate) fn send_through_hook(&self, carrier: &Carrier) {
        let hook = self.send_hook().map(|hook| {
            SendHook::new(move |bytes| {
                // A link is used only in calls with its session.
                let r = reason::session().ok_or(Error::NotConnected)?;
                hook.send(r, bytes).map(|()| bytes.len())
            })
        });
        carrier.lock().send_through(hook);
    }

    /// Keeps the peer's notices until the end of the step.
    pub(crate) fn keep_notices(&self, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.notices.borrow_mut().extend(notices);
        }
    }

    /// The kept notices.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Whether the program receives events.
    pub(crate) fn wants_events(&self) -> bool {
        self.private.hooked.load(Ordering::Relaxed) & hooks::EVENT != 0
    }

    /// The program's replacement for `send`, if it has set one.
    pub(crate) fn send_hook(&self) -> Option<Hook<RTMP_SendCallback>> {
        if self.private.hooked.load(Ordering::Relaxed) & hooks::SEND == 0 {
            return None;
        }
        self.with_settings(|settings| settings.hooks.send)
    }

    /// Reports an event to the program; an error if the program gives up.
    pub(crate) fn raise(&self, event: &RTMPEvent) -> Result<()> {
        self.private.raise(self.rtmp(), event)
    }
}

impl Private {
    /// Reports an event to the program; an error if the program gives up. This is the private state of `r`.
    pub(super) fn raise(&self, r: Rtmp<'_>, event: &RTMPEvent) -> Result<()> {
        if self.hooked.load(Ordering::Relaxed) & hooks::EVENT == 0 {
            return Ok(());
        }
        let hook = self.core().settings.as_ref().and_then(|settings| settings.hooks.event);
        hook.map_or(Ok(()), |hook| hook.raise(r, event))
    }
}

/// Reports a socket to the program, in the thread that connects.
pub(super) fn raise_socket(socket: BorrowedFd<'_>) -> Result<()> {
    let event = RTMPEvent { e_socket: socket::number_of(socket), ..RTMPEvent::of(RTMP_EVENT_SOCKET) };
    reason::session().and_then(Handle::of).map_or(Ok(()), |handle| handle.raise(&event))
}
