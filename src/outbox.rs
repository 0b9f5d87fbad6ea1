//! What a session has to send, and who sends it.
//!
//! Any thread may queue bytes, for a moment with the queue's lock. One thread at a time has the turn to send, also while it
//! waits for the peer, so that messages stay whole. A thread that finds another sending may leave its bytes to it: whoever
//! has the turn gives it up with the queue locked and empty, and never in another way. So nothing is left behind.
//!
//! Knows neither sockets nor RTMP. `model.rs` tries the schedules of this file's threads.

use super::sync::{Mutex, MutexGuard, PoisonError, TryLockError, is_poisoned};

/// A queue and the turn to send from it.
#[derive(Default)]
pub(crate) struct Outbox<Q> {
    /// Held for short steps only, never while waiting.
    queue: Mutex<Q>,
    /// Held by the thread that sends: memory for putting pieces together.
    turn: Mutex<Vec<u8>>,
}

/// Bytes that wait to be sent.
pub(crate) trait Queue {
    fn has_unsent(&self) -> bool;

    /// Takes bytes off the queue: `all` of them, or those that go together.
    fn take_unsent(&mut self, all: bool) -> Vec<u8>;
}

/// Keeps other threads from sending. It ends with [`drain`](Self::drain).
#[must_use]
pub(crate) struct Turn<'a, Q> {
    outbox: &'a Outbox<Q>,
    scratch: MutexGuard<'a, Vec<u8>>,
}

impl<Q: Queue> Outbox<Q> {
    /// The queue and what belongs to it, for the length of a step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Q> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread is sending, and keeps them from it.
    pub(crate) fn take_turn(&self) -> Turn<'_, Q> {
        Turn { outbox: self, scratch: self.turn.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// As `take_turn`, unless another thread is sending. That thread then sends what this one has queued before.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_, Q>> {
        let scratch = match self.turn.try_lock() {
            Ok(scratch) => scratch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Turn { outbox: self, scratch })
    }

    /// Takes the turn for something that goes past the queue, if nobody uses the session, nothing is queued and `begin`
    /// has something.
    #[inline(always)]
    pub(crate) fn try_past<T>(&self, begin: impl FnOnce(&mut Q) -> Option<T>) -> Option<(T, Turn<'_, Q>)> {
        // The queue comes first, so that the turn is not seen by others unless it is used.
        let mut queue = self.queue.try_lock().ok()?;
        if queue.has_unsent() {
            return None;
        }
        let turn = self.try_turn()?;
        let Some(begun) = begin(&mut queue) else {
            drop(turn);
            return None;
        };
        Some((begun, turn))
    }

    /// Whether a panic left the queue half changed.
    pub(crate) fn is_poisoned(&self) -> bool {
        is_poisoned(&self.queue)
    }

    /// Both sides, of which nobody else knows.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> (&mut Q, &mut Vec<u8>) {
        let queue = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        (queue, self.turn.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<Q: Queue> Turn<'_, Q> {
    /// Memory for putting pieces together.
    #[inline]
    pub(crate) fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }

    /// Sends what is queued, and what other threads queue meanwhile, all of it `together` or one by one; then lets others
    /// send. After an error, `sent` if that is one, the rest is dropped: part of a message may have gone.
    #[inline]
    pub(crate) fn drain<E>(
        self,
        sent: Result<(), E>,
        together: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { outbox, scratch } = self;
        let mut result = sent;
        loop {
            let bytes = {
                let mut queue = outbox.lock();
                if !queue.has_unsent() {
                    // With the lock, so that whoever queues something finds either this thread sending or nobody.
                    drop(scratch);
                    return result;
                }
                queue.take_unsent(together || result.is_err())
            };
            if result.is_ok() {
                result = send(&bytes);
            }
        }
    }
}
