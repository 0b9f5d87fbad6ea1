//! The bytes that a session has to send, and the rule which thread sends them.
//!
//! Any thread may queue bytes while it holds the queue's lock. One thread at a time has the turn to send, and keeps it while it
//! waits for the peer, so messages stay whole. A thread that finds another one sending may leave its bytes to it, because a
//! thread gives up its turn only while it holds the queue's lock and the queue is empty.
//!
//! Knows neither sockets nor RTMP. `model.rs` checks this file under many schedules.

use super::sync::{Mutex, MutexGuard, PoisonError, TryLockError, is_poisoned};

/// A queue and the turn to send from it.
#[derive(Default)]
pub(crate) struct Outbox<Q> {
    /// Held for short steps only, never while waiting.
    queue: Mutex<Q>,
    /// Held by the thread that sends: memory to assemble pieces.
    turn: Mutex<Vec<u8>>,
}

/// Bytes that wait to be sent.
pub(crate) trait Queue {
    fn has_unsent(&self) -> bool;

    /// Moves bytes from the queue to `into`, in place of what is there: `all` of them, or those that go together.
    fn take_unsent(&mut self, all: bool, into: &mut Vec<u8>);
}

/// Keeps other threads from sending. It ends with [`drain`](Self::drain).
#[must_use]
pub(crate) struct Turn<'a, Q> {
    outbox: &'a Outbox<Q>,
    scratch: MutexGuard<'a, Vec<u8>>,
}

/// The turn to send bytes that bypass an empty queue, for as long as the system takes them without a wait.
///
/// The turn ends first: one that ends without a look at the queue has to end under the queue's lock.
pub(crate) struct Passage<'a, Q> {
    turn: Turn<'a, Q>,
    queue: MutexGuard<'a, Q>,
}

impl<'a, Q> Passage<'a, Q> {
    /// Memory for putting pieces together.
    #[inline]
    pub(crate) fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.turn.scratch
    }

    /// The queue.
    #[inline]
    pub(crate) fn queue(&mut self) -> &mut Q {
        &mut self.queue
    }

    /// Unlocks the queue, so that other threads can queue bytes while this one waits.
    pub(crate) fn unlock(self) -> Turn<'a, Q> {
        drop(self.queue);
        self.turn
    }
}

impl<Q: Queue> Outbox<Q> {
    /// The queue and its state, for the length of a step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Q> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::lock`], unless another thread uses the queue, or a panic left it in an inconsistent state.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Q>> {
        self.queue.try_lock().ok()
    }

    /// Waits until no other thread is sending, and takes the turn.
    pub(crate) fn take_turn(&self) -> Turn<'_, Q> {
        Turn { outbox: self, scratch: self.turn.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// As `take_turn`, unless another thread is sending. That thread then sends the bytes that this one has queued before.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_, Q>> {
        let scratch = match self.turn.try_lock() {
            Ok(scratch) => scratch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Turn { outbox: self, scratch })
    }

    /// Takes the turn for bytes that bypass the queue, which stays locked. `None` if another thread uses the session,
    /// something is queued, or `begin` returns `None`.
    #[inline(always)]
    pub(crate) fn try_past<T>(&self, begin: impl FnOnce(&mut Q) -> Option<T>) -> Option<(T, Passage<'_, Q>)> {
        let queue = self.try_lock()?;
        if queue.has_unsent() {
            return None;
        }
        let mut passage = Passage { turn: self.try_turn()?, queue };
        let begun = begin(&mut passage.queue)?;
        Some((begun, passage))
    }

    /// Whether a panic left the queue in an inconsistent state.
    pub(crate) fn is_poisoned(&self) -> bool {
        is_poisoned(&self.queue)
    }

    /// The queue, without locking.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut Q {
        self.queue.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Queue> Turn<'_, Q> {
    /// Memory to assemble pieces.
    #[inline]
    pub(crate) fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }

    /// Sends the queue, and what other threads add meanwhile, all of it `together` or message by message, and gives up the
    /// turn. After an error, also one in `sent`, the rest is dropped, because a part of a message may have been sent.
    #[inline]
    pub(crate) fn drain<E>(
        self,
        sent: Result<(), E>,
        together: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { outbox, mut scratch } = self;
        let (mut result, mut most) = (sent, 0);
        loop {
            {
                let mut queue = outbox.lock();
                if !queue.has_unsent() {
                    // Connections that only listen keep as much as their last answer took.
                    let capacity = scratch.capacity();
                    if most > 0 && (capacity > KEPT || capacity / 4 > most) {
                        *scratch = Vec::new();
                    }
                    // Under the lock: a thread that queues bytes either finds the turn free, or its holder sends them.
                    drop(scratch);
                    return result;
                }
                queue.take_unsent(together || result.is_err(), &mut scratch);
            }
            most = most.max(scratch.len());
            if result.is_ok() {
                result = send(&scratch);
            }
        }
    }
}

/// The memory for putting pieces together that a turn may leave to the next one.
const KEPT: usize = 256 << 10;
