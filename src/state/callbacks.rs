//! Functions of the program that a session calls.

use std::sync::atomic::Ordering;

use rtmp_core::{error::Result, net::SendHook, session::Notice};
use rustix::fd::BorrowedFd;

use super::{Handle, Private};
use crate::{
    carrier::Carrier,
    event_loop::{RTMP_EVENT_SOCKET, RTMP_SendCallback, RTMP_SessionLogCallback, RTMPEvent},
    hooks::{self, Hook, Hooks},
    reason,
    rtmp::RTMP,
    socket,
};

impl Handle {
    /// Changes the functions of the program that the session calls.
    pub(crate) fn change_hooks(&self, change: impl FnOnce(&mut Hooks)) {
        /// # Safety
        /// As for `existing`.
        unsafe fn find(r: *mut RTMP) -> Option<Hook<RTMP_SessionLogCallback>> {
            // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
            unsafe { Handle::existing(r) }?.private.settings().hooks.log
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

    /// Has a carrier hand its bytes to the program, if that wants them.
    pub(crate) fn send_through_hook(&self, carrier: &Carrier) {
        let hook = self.send_hook().map(|hook| {
            SendHook::new(move |bytes| {
                let r = reason::session();
                // SAFETY: a link is used in calls about its session, which is initialised until the call of this
                // thread returns (`reason::about`).
                unsafe { hook.send(r, bytes) }.map(|()| bytes.len())
            })
        });
        carrier.lock().send_through(hook);
    }

    /// Keeps what the peer has said for the end of the step.
    pub(crate) fn keep_notices(&self, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.notices.borrow_mut().extend(notices);
        }
    }

    /// What was kept.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Whether the program wants to know of events.
    pub(crate) fn wants_events(&self) -> bool {
        self.private.hooked.load(Ordering::Relaxed) & hooks::EVENT != 0
    }

    /// What replaces `send`, if the program has set that.
    pub(crate) fn send_hook(&self) -> Option<Hook<RTMP_SendCallback>> {
        if self.private.hooked.load(Ordering::Relaxed) & hooks::SEND == 0 {
            return None;
        }
        self.settings().hooks.send
    }

    /// Tells the program of an event; an error if it gives up.
    pub(crate) fn raise(&self, event: &RTMPEvent) -> Result<()> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { self.private.raise(self.raw(), event) }
    }
}

impl Private {
    /// Tells the program of an event; an error if it gives up.
    ///
    /// # Safety
    /// `r` points to an initialised `RTMP`, whose private state this is.
    pub(super) unsafe fn raise(&self, r: *mut RTMP, event: &RTMPEvent) -> Result<()> {
        if self.hooked.load(Ordering::Relaxed) & hooks::EVENT == 0 {
            return Ok(());
        }
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        self.settings().hooks.event.map_or(Ok(()), |hook| unsafe { hook.raise(r, event) })
    }
}

/// Tells the program of a socket, in the thread that connects.
pub(super) fn raise_socket(socket: BorrowedFd<'_>) -> Result<()> {
    let event = RTMPEvent { e_socket: socket::number_of(socket), ..RTMPEvent::of(RTMP_EVENT_SOCKET) };
    // SAFETY: the session of the call that this thread is in is initialised until the call returns (`reason::about`).
    let handle = unsafe { Handle::existing(reason::session()) };
    handle.map_or(Ok(()), |handle| handle.raise(&event))
}
