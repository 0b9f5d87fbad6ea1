//! Sessions whose calls never wait: what they have begun and not finished.

use std::sync::{
    PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::Handle;
use crate::{progress::Progress, rtmp::RTMP};

impl Handle {
    /// Whether calls never wait.
    pub(crate) fn never_waits(&self) -> bool {
        self.private.never_waits.load(Ordering::Relaxed)
    }

    /// Says whether calls wait.
    pub(crate) fn set_never_waits(&self, never: bool) {
        let before = self.private.never_waits.swap(never, Ordering::Relaxed);
        match (before, never) {
            (false, true) => drop(NEVER_WAITING.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(NEVER_WAITING.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if !never {
            *self.private.progress.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.private.opening.store(false, Ordering::Relaxed);
        }
    }

    /// What calls that do not wait have begun.
    pub(crate) fn progress<R>(&self, look: impl FnOnce(&mut Progress) -> R) -> R {
        let mut progress = self.private.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = progress.get_or_insert_default();
        let result = look(progress);
        self.private.opening.store(progress.is_opening(), Ordering::Relaxed);
        result
    }

    /// As [`Self::progress`], if the session never waits.
    pub(crate) fn progress_if_any(&self, change: impl FnOnce(&mut Progress)) {
        if self.never_waits() {
            self.progress(change);
        }
    }

    /// Counts a receive of this call; returns how many there were.
    pub(crate) fn count_receive(&self) -> u32 {
        let receives = self.receives.get() + 1;
        self.receives.set(receives);
        receives
    }
}

/// How many sessions of this process never wait.
static NEVER_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Drops what a session that never waits has not finished, before its memory is freed.
///
/// # Safety
/// `r` points to memory that was an initialised `RTMP` if there are sessions that never wait, and nobody uses it any more.
pub(crate) unsafe fn forget_progress(r: *mut RTMP) {
    if NEVER_WAITING.load(Ordering::Relaxed) == 0 {
        return;
    }
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let handle = unsafe { Handle::existing(r) };
    if let Some(handle) = handle.filter(Handle::never_waits) {
        handle.give_up();
        handle.set_never_waits(false);
    }
}
