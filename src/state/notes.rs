//! Facts about a connection: who made it, how its bytes are carried, and how it ended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Core, Fact, Handle, patience::Blocked};
use crate::carrier::Carrier;

impl Handle {
    /// Whether a fact is noted.
    #[inline]
    pub(crate) fn has(&self, fact: Fact) -> bool {
        self.private.facts.has(fact)
    }

    /// Notes whether something is a fact; returns whether it was one before.
    pub(crate) fn note(&self, fact: Fact, is_so: bool) -> bool {
        self.private.facts.note(fact, is_so)
    }

    /// Notes that this library made the socket.
    pub(crate) fn mark_opened(&self) {
        self.note(Fact::Opened, true);
        let mut core = self.core();
        (core.blocked, core.limits) = (Blocked::default(), None);
        drop(core);
        self.note(Fact::HungUp, false);
    }

    /// Whether a byte that was received is still on the socket.
    pub(crate) fn left_byte(&self) -> &AtomicBool {
        &self.private.left
    }

    /// Notes that only the descriptor of the connection remains.
    pub(crate) fn mark_hung_up(&self) {
        self.forget_connection();
        self.note(Fact::HungUp, true);
    }

    /// Resets the facts about a connection.
    pub(crate) fn forget_connection(&self) {
        self.private.facts.forget(&[
            Fact::Bare,
            Fact::Watched,
            Fact::Broken,
            Fact::Refilled,
            Fact::Dialled,
            Fact::Opened,
            Fact::KeepsDescriptor,
            Fact::HungUp,
        ]);
        self.private.left.store(false, Ordering::Relaxed);
    }

    /// Notes whether `carrier`, which has just sent, only passes bytes to the socket.
    pub(crate) fn note_bare(&self, core: &Core, carrier: &Arc<Carrier>) {
        if core.carrier.as_ref().is_some_and(|current| Arc::ptr_eq(current, carrier)) {
            self.note(Fact::Bare, carrier.lock().is_bare());
        }
    }

    /// The carrier, unless bytes pass only through the socket and its TLS.
    pub(crate) fn carrier(&self) -> Option<Arc<Carrier>> {
        if !self.has(Fact::Carried) {
            return None;
        }
        self.core().carrier.clone()
    }

    /// From now on sends everything through a carrier, or directly again.
    pub(crate) fn set_carrier(&self, carrier: Option<Arc<Carrier>>) {
        self.put_carrier(&mut self.core(), carrier);
    }

    /// As [`Self::set_carrier`], for a caller that has locked the core.
    pub(crate) fn put_carrier(&self, core: &mut Core, carrier: Option<Arc<Carrier>>) {
        self.note(Fact::Carried, carrier.is_some());
        self.note(Fact::Bare, false);
        core.carrier = carrier;
    }
}
