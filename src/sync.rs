//! The lock of the outbox, from the standard library. `model.rs` compiles the outbox with another lock.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whether a panic left the contents of the lock in an inconsistent state.
pub(crate) fn is_poisoned<T>(mutex: &Mutex<T>) -> bool {
    mutex.is_poisoned()
}
