//! Sessions whose calls never wait: the work that they have begun and not finished.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::{Fact, Handle, Settings};
use crate::{progress::Progress, rtmp::RTMP, valid::Rtmp};

impl Handle {
    /// Whether calls never wait.
    pub(crate) fn never_waits(&self) -> bool {
        self.has(Fact::NeverWaits)
    }

    /// Sets whether calls wait.
    pub(crate) fn set_never_waits(&self, never: bool) {
        let before = self.note(Fact::NeverWaits, never);
        match (before, never) {
            (false, true) => drop(NEVER_WAITING.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(NEVER_WAITING.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if !never {
            self.core().progress = None;
            self.private.facts.forget(&[Fact::Opening, Fact::Noted]);
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
        self.note(Fact::Opening, progress.is_opening());
        self.note(Fact::Noted, is_noted);
        result
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
