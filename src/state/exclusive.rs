//! Exclusive use of a session for the fast path of reading.

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
    rtmp::RTMP,
};

/// A session that no other call uses, for a step that waits for nothing. A call that finds it so needs no lock but the gate.
pub(crate) struct Exclusive<'a> {
    private: &'a mut Private,
    _keeper: Keeper<'a>,
}

impl Exclusive<'_> {
    /// Protocol state.
    #[inline]
    pub(crate) fn core(&mut self) -> &mut Core {
        self.private.outbox.get_mut()
    }

    /// Whether bytes had to be waited for last time.
    #[inline]
    pub(crate) fn expects_wait(&mut self) -> bool {
        *self.private.expects_wait.get_mut()
    }

    /// Whether bytes come as they are, from the socket or from TLS.
    #[inline]
    pub(crate) fn is_plain(&mut self) -> bool {
        !self.core().session.is_encrypted() && !*self.private.carried.get_mut()
    }
}

impl Drop for Exclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        if thread::panicking() {
            *self.private.broken.get_mut() = true;
        }
    }
}

/// The session of an `RTMP`, if no other call uses it. `None` also if there is none, if its struct has moved, if a panic left it
/// unusable, and if the program waits for the socket itself or does not wait at all.
///
/// # Safety
/// `r` points to an initialised `RTMP`, and this thread begins no other call about it while the result lives.
#[inline]
pub(crate) unsafe fn exclusive<'a>(r: *mut RTMP) -> Option<Exclusive<'a>> {
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
    Some(Exclusive { private, _keeper: keeper })
}
