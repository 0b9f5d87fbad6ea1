//! Exclusive use of a session for the fast path of reading.

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    thread,
    time::Duration,
};

use super::{
    Core, Fact, Handle, Private,
    slot::{attached, slot},
};
use crate::{
    gate::{Gate, Keeper},
    rtmp::sockbuf::Inbox,
    valid::{Rtmp, field},
};

/// A session that no other call uses, for a step without waiting. A call in this situation needs no lock except the gate.
pub(crate) struct Exclusive<'a> {
    rtmp: Rtmp<'a>,
    private: &'a mut Private,
    keeper: Keeper<'a>,
}

impl Exclusive<'_> {
    /// A handle, for a call that has to wait: then other calls use the session, too.
    pub(crate) fn into_handle(self) -> Option<Handle> {
        attached(self.rtmp, &self.keeper).map(|private| Handle::new(self.rtmp.as_non_null(), private))
    }

    /// Protocol state, and the received bytes.
    #[inline]
    pub(crate) fn core_and_inbox(&mut self) -> (&mut Core, Inbox<'_>) {
        // SAFETY: no other call uses the session, and a call uses one of these at a time.
        let inbox = unsafe { Inbox::of(field!(self.rtmp, m_sb)) };
        (self.private.outbox.get_mut(), inbox)
    }

    /// Whether the session's calls never wait.
    #[inline]
    pub(crate) fn never_waits(&mut self) -> bool {
        self.private.facts.has(Fact::NeverWaits)
    }

    /// As [`Handle::timeout`].
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.private.timeout(self.rtmp)
    }

    /// Whether the last call had to wait for bytes.
    #[inline]
    pub(crate) fn expects_wait(&mut self) -> bool {
        self.private.facts.has(Fact::ExpectsWait)
    }

    /// Whether bytes come directly from the socket or from TLS.
    #[inline]
    pub(crate) fn is_plain(&mut self) -> bool {
        !self.private.outbox.get_mut().session.is_encrypted() && !self.private.facts.has(Fact::Carried)
    }
}

impl Drop for Exclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        if thread::panicking() {
            self.private.facts.note(Fact::Broken, true);
        }
    }
}

/// The session of an `RTMP`, if no other call uses it. `None` also if there is none, if its struct has moved, if a panic left
/// it unusable, if the program waits for the socket itself, and if calls that never wait have something to continue.
#[inline]
pub(crate) fn exclusive(r: Rtmp<'_>) -> Option<Exclusive<'_>> {
    let keeper = Gate::of(r).hold();
    let slot = slot(r, &keeper)?;
    // SAFETY: the pointer in the slot holds a reference of its own, and `ManuallyDrop` leaves it there.
    let owner = ManuallyDrop::new(unsafe { Arc::from_raw(slot) });
    if Arc::strong_count(&owner) != 1 {
        return None;
    }
    // Synchronises with the end of other calls.
    fence(Ordering::Acquire);
    // SAFETY: the slot's reference is the only one, and no call gets another while the gate is held. This call has no other
    // handle of the session.
    let private = unsafe { &mut *slot.cast_mut() };
    let in_place = *private.home.get_mut() == r.as_ptr();
    let is_ordinary = !private.facts.has_any(&[Fact::Watched, Fact::Broken]) && !private.outbox.is_poisoned();
    // The general path continues what was begun, and reports what a step has stored.
    let continues =
        private.facts.has(Fact::NeverWaits) && (private.facts.has(Fact::Noted) || Gate::of(r).is_aborted());
    if !in_place || !is_ordinary || continues {
        return None;
    }
    Some(Exclusive { rtmp: r, private, keeper })
}
