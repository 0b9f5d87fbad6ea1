//! Sessions whose calls never wait: the work that they have begun and not finished.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::{Handle, Settings};
use crate::{progress::Progress, rtmp::RTMP, valid::Rtmp};

impl Handle {
    /// Whether calls never wait.
    pub(crate) fn never_waits(&self) -> bool {
        self.private.never_waits.load(Ordering::Relaxed)
    }

    /// Sets whether calls wait.
    pub(crate) fn set_never_waits(&self, never: bool) {
        let before = self.private.never_waits.swap(never, Ordering::Relaxed);
        match (before, never) {
            (false, true) => drop(NEVER_WAITING.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(NEVER_WAITING.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if !never {
            self.core().progress = None;
            self.private.opening.store(false, Ordering::Relaxed);
            self.private.noted.store(false, Ordering::Relaxed);
        }
    }

    /// The unfinished work of calls that do not wait.
    pub(crate) fn progress<R>(&self, look: impl FnOnce(&mut Progress) -> R) -> R {
        let mut core = self.core();
        let progress = core.progress.get_or_insert_default();
        let result = look(progress);
        let is_noted =
            progress.opening.is_some() || progress.send_error.is_some() || progress.has_descriptor();
        progress.quiet = progress.is_quiet();
        self.private.opening.store(progress.is_opening(), Ordering::Relaxed);
        self.private.noted.store(is_noted, Ordering::Relaxed);
        result
    }

    /// Whether a call has to continue something, to report an error of sending, or to update the session's descriptor. Most
    /// calls only read this, so that a server with many sessions touches less memory.
    pub(crate) fn has_noted(&self) -> bool {
        self.private.noted.load(Ordering::Relaxed)
    }

    /// As [`Self::progress`], if the session never waits.
    pub(crate) fn progress_if_any(&self, change: impl FnOnce(&mut Progress)) {
        if self.never_waits() {
            self.progress(change);
        }
    }

    /// The limit of bytes that may wait for the peer of a session that does not wait.
    pub(crate) fn queue_limit(&self) -> usize {
        match self.private.queue_limit.load(Ordering::Relaxed) {
            0 => MAX_QUEUE,
            limit => limit,
        }
    }

    /// Counts a receive of this call; returns the number of receives, and the time since the first.
    pub(crate) fn count_receive(&self, now: Instant) -> (u32, Duration) {
        let receives = self.receives.get() + 1;
        self.receives.set(receives);
        let since = self.receives_since.get().unwrap_or(now);
        self.receives_since.set(Some(since));
        (receives, now.saturating_duration_since(since))
    }
}

/// The limit of bytes that may wait for the peer of a session that does not wait, unless `sendQueue` sets another.
const MAX_QUEUE: usize = 4 << 20;
/// The number of sessions of this process that never wait.
static NEVER_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Drops the unfinished work and the options of a session that never waits, before its memory is freed.
///
/// # Safety
/// `r` is null, or points to memory that was an initialised `RTMP` if there are sessions that never wait, and nobody uses it any
/// more.
pub(crate) unsafe fn forget_progress(r: *mut RTMP) {
    if NEVER_WAITING.load(Ordering::Relaxed) == 0 {
        return;
    }
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    let r = unsafe { Rtmp::new(r) };
    if let Some(handle) = r.and_then(Handle::of).filter(Handle::never_waits) {
        handle.give_up();
        handle.set_never_waits(false);
        // Otherwise, the options would stay in the struct for the next connection.
        handle.change_settings(|settings| *settings = Settings::default());
    }
}
