//! Facts about a connection: who made it, and how it ended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Core, Handle, Private, patience::Blocked};
use crate::carrier::Carrier;

impl Handle {
    /// Notes that bytes were added to the buffer after the last step that read it.
    pub(crate) fn mark_refilled(&self) {
        self.private.refilled.store(true, Ordering::Relaxed);
    }

    /// Notes that the peer sends faster than this side reads, so that the next call need not wait for bytes.
    pub(crate) fn expect_bytes(&self) {
        self.private.expects_wait.store(false, Ordering::Relaxed);
    }

    /// Whether that was noted since the last call of this function.
    pub(crate) fn take_refilled(&self) -> bool {
        self.private.refilled.swap(false, Ordering::Relaxed)
    }

    /// Whether this library made the connection.
    pub(crate) fn is_dialled(&self) -> bool {
        self.private.dialled.load(Ordering::Relaxed)
    }

    /// Sets who made the connection.
    pub(crate) fn set_dialled(&self, dialled: bool) {
        self.private.dialled.store(dialled, Ordering::Relaxed);
    }

    /// Notes that this library made the socket.
    pub(crate) fn mark_opened(&self) {
        self.private.opened.store(true, Ordering::Relaxed);
        self.core().blocked = Blocked::default();
        self.private.hung_up.store(false, Ordering::Relaxed);
    }

    /// Whether this library made the socket.
    pub(crate) fn is_opened(&self) -> bool {
        self.private.opened.load(Ordering::Relaxed)
    }

    /// Sets whether the socket existed before this library received it.
    pub(crate) fn set_watched(&self, watched: bool) {
        self.private.watched.store(watched, Ordering::Relaxed);
    }

    /// Whether the socket has to stay readable while there is something to read.
    pub(crate) fn is_watched(&self) -> bool {
        self.private.watched.load(Ordering::Relaxed)
    }

    /// Whether a byte that was received is still on the socket.
    pub(crate) fn left_byte(&self) -> &AtomicBool {
        &self.private.left
    }

    /// Sets whether the end of the connection keeps the descriptor.
    pub(crate) fn keep_descriptor(&self, keep: bool) {
        self.private.keeps_descriptor.store(keep, Ordering::Relaxed);
    }

    /// Whether the end of the connection keeps the descriptor.
    pub(crate) fn keeps_descriptor(&self) -> bool {
        self.private.keeps_descriptor.load(Ordering::Relaxed)
    }

    /// Notes that only the descriptor of the connection remains.
    pub(crate) fn mark_hung_up(&self) {
        self.forget_connection();
        self.private.hung_up.store(true, Ordering::Relaxed);
    }

    /// Whether only the descriptor of the connection remains.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.private.hung_up.load(Ordering::Relaxed)
    }

    /// Resets the facts about a connection.
    pub(crate) fn forget_connection(&self) {
        let Private {
            refilled, bare, dialled, opened, watched, left, broken, keeps_descriptor, hung_up, ..
        } = &**self.private;
        for flag in [refilled, bare, dialled, opened, watched, left, broken, keeps_descriptor, hung_up] {
            flag.store(false, Ordering::Relaxed);
        }
    }

    /// Whether bytes pass through a carrier, and not only through the socket and its TLS.
    pub(crate) fn is_carried(&self) -> bool {
        self.private.carried.load(Ordering::Acquire)
    }

    /// Notes whether `carrier`, which has just sent, only passes bytes to the socket.
    pub(crate) fn note_bare(&self, core: &Core, carrier: &Arc<Carrier>) {
        if core.carrier.as_ref().is_some_and(|current| Arc::ptr_eq(current, carrier)) {
            self.private.bare.store(carrier.lock().is_bare(), Ordering::Relaxed);
        }
    }

    /// Whether the carrier only passes bytes to the socket: it has neither deadlines nor bytes of its own.
    pub(crate) fn is_bare(&self) -> bool {
        self.private.bare.load(Ordering::Relaxed)
    }

    /// The carrier, unless bytes pass only through the socket and its TLS.
    pub(crate) fn carrier(&self) -> Option<Arc<Carrier>> {
        if !self.is_carried() {
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
        self.private.carried.store(carrier.is_some(), Ordering::Release);
        self.private.bare.store(false, Ordering::Relaxed);
        core.carrier = carrier;
    }
}
