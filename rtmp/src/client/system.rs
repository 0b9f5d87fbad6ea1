//! The system's part of the blocking pump: locks, the clock, and waiting for sockets. The model in `model.rs` compiles the pump
//! with replacements.

pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};
use std::time::Instant;

pub(super) use crate::net::wait;

pub(super) fn now() -> Instant {
    Instant::now()
}
