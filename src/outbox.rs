//! The bytes that a session has to send, and the rule which thread sends them.
//!
//! Any thread may queue bytes while it holds the lock. One thread at a time has the turn to send, and keeps it while it waits for
//! the peer, without the lock, so messages stay whole. A thread that finds another one sending may leave its bytes to it, because
//! a thread gives up its turn only while it holds the lock and the queue is empty.
//!
//! Knows neither sockets nor RTMP. `model.rs` checks this file under many schedules.

use std::{
    mem,
    ops::{Deref, DerefMut},
};

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError, is_poisoned};

/// A queue and the turn to send from it, behind one lock.
#[derive(Default)]
pub(crate) struct Outbox<Q> {
    /// Held for short steps only, never while waiting.
    shared: Mutex<Shared<Q>>,
    /// Signals a thread that waits for the turn.
    free: Condvar,
}

/// Each message needs the first fields, so they are together in memory, in front of what it needs of the queue.
#[derive(Default)]
#[repr(C)]
struct Shared<Q> {
    /// Whether a thread has the turn.
    is_taken: bool,
    /// The number of threads that wait for the turn.
    waiting: u32,
    queue: Q,
    /// Memory for the bytes that leave the queue, while no thread has the turn.
    spare: Vec<u8>,
}

/// Bytes that wait to be sent.
pub(crate) trait Queue {
    fn has_unsent(&self) -> bool;

    /// Moves bytes from the queue to `into`, in place of what is there: `all` of them, or those that go together.
    fn take_unsent(&mut self, all: bool, into: &mut Vec<u8>);
}

/// The queue while it is locked.
pub(crate) struct Locked<'a, Q>(MutexGuard<'a, Shared<Q>>);

/// Keeps other threads from sending. It ends with [`drain`](Self::drain).
#[must_use]
pub(crate) struct Turn<'a, Q> {
    outbox: &'a Outbox<Q>,
    /// The bytes that have left the queue.
    taken: Vec<u8>,
}

/// A lock under which bytes bypass an empty queue, for as long as the system takes them without a wait.
pub(crate) struct Passage<'a, Q> {
    outbox: &'a Outbox<Q>,
    shared: MutexGuard<'a, Shared<Q>>,
}

impl<Q> Outbox<Q> {
    fn shared(&self) -> MutexGuard<'_, Shared<Q>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue and its state, for the length of a step.
    pub(crate) fn lock(&self) -> Locked<'_, Q> {
        Locked(self.shared())
    }

    /// As [`Self::lock`], unless another thread uses the queue, or a panic left it in an inconsistent state.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Locked<'_, Q>> {
        self.shared.try_lock().ok().map(Locked)
    }

    /// Waits until no other thread is sending, and takes the turn.
    pub(crate) fn take_turn(&self) -> Turn<'_, Q> {
        let mut shared = self.shared();
        while shared.is_taken {
            shared.waiting += 1;
            shared = self.free.wait(shared).unwrap_or_else(PoisonError::into_inner);
            shared.waiting -= 1;
        }
        self.take(shared)
    }

    /// As `take_turn`, unless another thread is sending. That thread then sends the bytes that this one has queued before.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_, Q>> {
        let shared = self.shared();
        (!shared.is_taken).then(|| self.take(shared))
    }

    fn take<'a>(&'a self, mut shared: MutexGuard<'a, Shared<Q>>) -> Turn<'a, Q> {
        shared.is_taken = true;
        Turn { outbox: self, taken: mem::take(&mut shared.spare) }
    }

    /// Whether a panic left the queue in an inconsistent state.
    pub(crate) fn is_poisoned(&self) -> bool {
        is_poisoned(&self.shared)
    }

    /// The queue, without locking.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut Q {
        &mut self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).queue
    }
}

impl<Q: Queue> Outbox<Q> {
    /// Locks the queue for bytes that bypass it. `None` if another thread uses the session, or something is queued.
    #[inline(always)]
    pub(crate) fn try_past(&self) -> Option<Passage<'_, Q>> {
        let shared = self.shared.try_lock().ok()?;
        (!shared.is_taken && !shared.queue.has_unsent()).then_some(Passage { outbox: self, shared })
    }
}

impl<Q> Deref for Locked<'_, Q> {
    type Target = Q;

    #[inline(always)]
    fn deref(&self) -> &Q {
        &self.0.queue
    }
}

impl<Q> DerefMut for Locked<'_, Q> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Q {
        &mut self.0.queue
    }
}

impl<'a, Q> Passage<'a, Q> {
    /// The queue.
    #[inline(always)]
    pub(crate) fn queue(&mut self) -> &mut Q {
        &mut self.shared.queue
    }

    /// Unlocks the queue, so that other threads can queue bytes while this one waits.
    pub(crate) fn unlock(self) -> Turn<'a, Q> {
        self.outbox.take(self.shared)
    }
}

impl<Q> Turn<'_, Q> {
    /// Gives up the turn.
    fn end(&mut self, shared: &mut Shared<Q>) {
        shared.is_taken = false;
        shared.spare = mem::take(&mut self.taken);
        // Signalling is a system call, even if no thread waits.
        if shared.waiting > 0 {
            self.outbox.free.notify_one();
        }
    }
}

impl<Q: Queue> Turn<'_, Q> {
    /// Sends the queue, and what other threads add meanwhile, all of it `together` or message by message, and gives up the
    /// turn. After an error, also one in `sent`, the rest is dropped, because a part of a message may have been sent.
    pub(crate) fn drain<E>(
        mut self,
        sent: Result<(), E>,
        together: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut result, mut most) = (sent, 0);
        loop {
            {
                let mut shared = self.outbox.shared();
                if !shared.queue.has_unsent() {
                    // Connections that only listen keep as much as their last answer took.
                    let capacity = self.taken.capacity();
                    if most > 0 && (capacity > KEPT || capacity / 4 > most) {
                        self.taken = Vec::new();
                    }
                    // Under the lock: a thread that queues bytes either finds the turn free, or its holder sends them.
                    self.end(&mut shared);
                    mem::forget(self);
                    return result;
                }
                shared.queue.take_unsent(together || result.is_err(), &mut self.taken);
            }
            most = most.max(self.taken.len());
            if result.is_ok() {
                result = send(&self.taken);
            }
        }
    }
}

impl<Q> Drop for Turn<'_, Q> {
    fn drop(&mut self) {
        let outbox = self.outbox;
        self.end(&mut outbox.shared());
    }
}

/// The memory that a turn may leave to the next one.
const KEPT: usize = 256 << 10;
