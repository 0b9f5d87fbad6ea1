//! A session whose gate is held, for the fast paths of sending and of steps.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Core, Fact, Handle, Private,
    slot::{attached, slot},
};
use crate::{
    gate::{Gate, Keeper},
    globals, hooks,
    outbox::Outbox,
    reason,
    rtmp::sockbuf::SockBuf,
    valid::{Rtmp, field},
};

/// A session whose gate is held. Meanwhile no other call begins, and none closes the connection, so a step that does not wait
/// needs no [`Handle`].
pub(crate) struct Held<'a> {
    rtmp: Rtmp<'a>,
    private: &'a Private,
    keeper: Keeper<'a>,
    never_waits: bool,
}

impl<'a> Held<'a> {
    /// The session of an `RTMP` whose bytes go to the socket as they are, or, if its calls wait, through TLS. `None` if there is
    /// none, if its struct has moved, and if another thread holds the gate.
    #[inline]
    pub(crate) fn of(rtmp: Rtmp<'a>) -> Option<Self> {
        let keeper = Gate::of(rtmp).try_hold()?;
        let slot = slot(rtmp, &keeper)?;
        // SAFETY: what is on the slot holds a reference of its own, which nobody takes while the gate is held.
        let private = unsafe { &*slot };
        let never_waits = private.facts.has(Fact::NeverWaits);
        let held = Self { rtmp, private, keeper, never_waits };
        let in_place = private.home.load(Ordering::Relaxed) == rtmp.as_ptr();
        // 0 may be what a program left there that forgot RTMP_Init.
        let is_plain = field!(rtmp, m_sb.sb_socket).get() > 0
            && held.has_plain_path()
            && private.hooked.load(Ordering::Relaxed) & hooks::SEND == 0;
        (in_place && is_plain).then_some(held)
    }

    /// As [`Self::of`], for a session that never waits, if nothing observes its steps: neither the log nor the program's functions.
    #[inline(always)]
    pub(crate) fn unobserved(rtmp: Rtmp<'a>) -> Option<Self> {
        if globals::logs_debug() || reason::is_reporting() || reason::has_followers() {
            return None;
        }
        let held = Self::of(rtmp)?;
        (held.never_waits && held.private.hooked.load(Ordering::Relaxed) == 0).then_some(held)
    }

    /// Whether bytes go to the socket, alone or through TLS. In a session that does not wait, they go there alone, and the general
    /// path continues what was begun, reports what a step has stored, and updates the descriptor that stands for the session.
    #[inline(always)]
    fn has_plain_path(&self) -> bool {
        if self.never_waits {
            self.private.facts.has(Fact::Bare)
                && !self.private.facts.has_any(&[Fact::Noted, Fact::Watched])
                && !Gate::of(self.rtmp).is_aborted()
        } else {
            !self.private.facts.has(Fact::Carried)
        }
    }

    /// Whether the session's calls never wait.
    #[inline(always)]
    pub(crate) fn never_waits(&self) -> bool {
        self.never_waits
    }

    /// As [`Handle::timeout`].
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.private.timeout(self.rtmp)
    }

    /// The socket and what belongs to it.
    #[inline(always)]
    pub(crate) fn sb(&self) -> SockBuf<'a> {
        field!(self.rtmp, m_sb)
    }

    /// Protocol state with the bytes it has to send, and the turn to send them.
    ///
    /// # Safety
    /// When this value ends, nothing that was borrowed here is used any more, or [`handle`](Self::handle) was called and the
    /// result outlives it.
    #[inline(always)]
    pub(crate) unsafe fn outbox(&self) -> &'a Outbox<Core> {
        &self.private.outbox
    }

    /// A handle, for a call that has to wait.
    pub(crate) fn handle(&self) -> Option<Handle> {
        attached(self.rtmp, &self.keeper).map(|private| Handle::new(self.rtmp.as_non_null(), private))
    }
}
