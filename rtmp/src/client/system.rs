//! What the blocking pump has from the system: locks, the clock, and waiting for sockets. The model in `model.rs` compiles the
//! pump with others.

pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};
use std::time::Instant;

pub(super) use crate::net::wait;

pub(super) fn now() -> Instant {
    Instant::now()
}
