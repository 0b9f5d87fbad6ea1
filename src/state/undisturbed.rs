//! The session in short steps of a program that uses it with one thread at a time, as most do.

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    thread,
};

use super::{Core, Private, slot::slot};
use crate::{
    gate::{Gate, Keeper},
    hooks,
    rtmp::RTMP,
};

/// A session for a step that waits for nothing, at the least cost. What makes short steps expensive is to let others know
/// of them, so this does so once: it holds the gate, and there is no other call, which would have a lock.
pub(crate) struct Undisturbed<'a> {
    private: &'a mut Private,
    _keeper: Keeper<'a>,
}

impl Undisturbed<'_> {
    /// Protocol state.
    #[inline]
    pub(crate) fn core(&mut self) -> &mut Core {
        self.private.outbox.get_mut().0
    }

    /// Protocol state and memory to put a message together in, if messages leave as they are, to the socket or into TLS.
    #[inline]
    pub(crate) fn core_and_scratch(&mut self) -> Option<(&mut Core, &mut Vec<u8>)> {
        let Private { outbox, carried, hooked, .. } = &mut *self.private;
        if *hooked.get_mut() & hooks::SEND != 0 {
            return None;
        }
        let (core, scratch) = outbox.get_mut();
        (core.leaves_as_it_is() && !*carried.get_mut()).then_some((core, scratch))
    }

    /// Whether bytes had to be waited for last time.
    #[inline]
    pub(crate) fn expects_wait(&mut self) -> bool {
        *self.private.expects_wait.get_mut()
    }

    /// Says that the peer is ahead of this side, so that bytes need not be waited for.
    pub(crate) fn expect_bytes(&mut self) {
        *self.private.expects_wait.get_mut() = false;
    }

    /// Whether bytes come as they are, from the socket or from TLS.
    #[inline]
    pub(crate) fn is_plain(&mut self) -> bool {
        !self.core().session.is_encrypted() && !*self.private.carried.get_mut()
    }
}

impl Drop for Undisturbed<'_> {
    #[inline]
    fn drop(&mut self) {
        if thread::panicking() {
            *self.private.broken.get_mut() = true;
        }
    }
}

/// The session of an `RTMP`, undisturbed: `None` unless it is there, in its place, in order and in nobody's hands, and
/// nobody waits for the socket to tell of bytes that are here already.
///
/// # Safety
/// `r` points to an initialised `RTMP`, and this thread begins no other call about it while the result lives.
#[inline]
pub(crate) unsafe fn undisturbed<'a>(r: *mut RTMP) -> Option<Undisturbed<'a>> {
    // SAFETY: `r` points to an initialised `RTMP`, and this thread begins no other call about it while the result
    // lives, by the Safety section; while the gate is held, what is on the slot stays, and no call gets a reference to
    // it. If there is none but the slot's own, what is there is this call's alone.
    let (private, keeper) = unsafe {
        let keeper = Gate::of(r).hold();
        let slot = slot(r, &keeper)?;
        let owner = ManuallyDrop::new(Arc::from_raw(slot));
        if Arc::strong_count(&owner) != 1 {
            return None;
        }
        // What other calls did with it is over.
        fence(Ordering::Acquire);
        (&mut *slot.cast_mut(), keeper)
    };
    let in_place =
        *private.home.get_mut() == r && !*private.watched.get_mut() && !*private.never_waits.get_mut();
    if !in_place || *private.broken.get_mut() || private.outbox.is_poisoned() {
        return None;
    }
    Some(Undisturbed { private, _keeper: keeper })
}
