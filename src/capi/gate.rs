//! The gate of an `RTMP`: a word in the struct that says whether the program wants its calls to end, and that keeps two
//! threads from taking hold of what hangs on the struct, or of its socket, at the same time.
//!
//! It is the field `m_channelsAllocatedOut`, which is 0 after `RTMP_Init`. A program may say that calls should end at any
//! time, also in a signal handler, so saying it takes no memory and waits for nobody.

use std::{
    hint,
    mem::ManuallyDrop,
    sync::atomic::{AtomicI32, Ordering},
    thread,
};

use super::rtmp::RTMP;

/// The gate of one `RTMP`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a>(&'a AtomicI32);

/// Keeps others out of the gate while it exists.
pub(crate) struct Keeper<'a> {
    gate: Gate<'a>,
    found_sound: bool,
}

/// Somebody holds the gate, for a few instructions, or to receive what is there.
const HELD: i32 = 1;
/// The program wants calls to end, until it closes the session.
const ABORTED: i32 = 2;
/// What a word with flags looks like otherwise. Anything else was not written here, and counts as 0.
const MARK: i32 = 0x5254_4D00;

impl<'a> Gate<'a> {
    /// The gate of `r`.
    ///
    /// # Safety
    /// `r` points to an initialised `RTMP`, which outlives the result.
    pub(crate) unsafe fn of(r: *mut RTMP) -> Self {
        // SAFETY: the caller's contract; nobody uses the field but through this.
        Self(unsafe { AtomicI32::from_ptr(&raw mut (*r).m_channelsAllocatedOut) })
    }

    /// Whether the program wants calls to end.
    pub(crate) fn is_aborted(self) -> bool {
        flags(self.0.load(Ordering::Relaxed)) & ABORTED != 0
    }

    /// Wants calls to end.
    pub(crate) fn abort(self) {
        let _ = self.change(|flags| Some(flags | ABORTED));
    }

    /// Wants calls to work again.
    pub(crate) fn pardon(self) {
        let _ = self.change(|flags| Some(flags & !ABORTED));
    }

    /// Waits for whoever holds the gate, which does not take long.
    pub(crate) fn hold(self) -> Keeper<'a> {
        let mut tries = 0_u32;
        loop {
            if let Some(keeper) = self.try_hold() {
                return keeper;
            }
            tries += 1;
            if tries.is_multiple_of(64) {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
    }

    /// Holds the gate unless somebody does.
    pub(crate) fn try_hold(self) -> Option<Keeper<'a>> {
        let word = self.change(|flags| (flags & HELD == 0).then_some(flags | HELD)).ok()?;
        Some(Keeper { gate: self, found_sound: word == word_of(flags(word)) })
    }

    /// Lets others in again; tells whether the program wants calls to end.
    #[inline]
    fn leave(self) -> bool {
        self.change(|flags| Some(flags & !HELD)).is_ok_and(|word| flags(word) & ABORTED != 0)
    }

    /// Tells what the word was before.
    #[inline]
    fn change(self, mut change: impl FnMut(i32) -> Option<i32>) -> Result<i32, i32> {
        let change = |word| change(flags(word)).map(word_of);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
    }
}

impl Keeper<'_> {
    /// Whether the word made sense: if not, then neither does what seems to hang on the struct.
    pub(crate) fn found_sound(&self) -> bool {
        self.found_sound
    }

    /// Lets others in; tells whether the program wants calls to end.
    #[inline]
    pub(crate) fn release(self) -> bool {
        ManuallyDrop::new(self).gate.leave()
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

fn flags(word: i32) -> i32 {
    if word & !(HELD | ABORTED) == MARK { word & (HELD | ABORTED) } else { 0 }
}

fn word_of(flags: i32) -> i32 {
    if flags == 0 { 0 } else { MARK | flags }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_abort_is_seen_until_it_is_pardoned_whoever_holds_the_gate() {
        let word = AtomicI32::new(0);
        let gate = Gate(&word);
        assert!(!gate.is_aborted());
        let keeper = gate.hold();
        gate.abort();
        assert!(gate.is_aborted() && gate.try_hold().is_none());
        assert!(keeper.release(), "whoever held the gate learns of it");
        assert!(gate.is_aborted() && gate.try_hold().is_some());
        gate.pardon();
        assert_eq!(word.into_inner(), 0);
    }

    #[test]
    fn a_word_that_nobody_wrote_counts_for_nothing() {
        for strange in [1, 2, 3, -1, 16, MARK, MARK | 4] {
            let word = AtomicI32::new(strange);
            let gate = Gate(&word);
            assert!(!gate.is_aborted(), "{strange:x}");
            drop(gate.hold());
            assert_eq!(word.into_inner(), 0);
        }
    }

    #[test]
    fn one_thread_at_a_time_holds_the_gate() {
        struct Counter(Cell<u32>);
        // SAFETY: only used while the gate is held.
        unsafe impl Sync for Counter {}
        let (word, counter) = (AtomicI32::new(0), Counter(Cell::new(0)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (gate, counter) = (Gate(&word), &counter);
                    for _ in 0..2000 {
                        let _keeper = gate.hold();
                        counter.0.set(counter.0.get() + 1);
                        gate.abort();
                    }
                });
            }
        });
        assert_eq!(counter.0.get(), 8000);
    }
}
