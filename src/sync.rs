//! The locks of the outbox, from the standard library. `model.rs` compiles the outbox with others.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Whether a panic left what the lock protects half changed.
pub(crate) fn is_poisoned<T>(mutex: &Mutex<T>) -> bool {
    mutex.is_poisoned()
}
