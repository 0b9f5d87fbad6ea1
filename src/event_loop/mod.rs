//! `loop.h`: statistics of sessions, and functions for programs with their own event loop.

mod bits;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod descriptor;
pub mod events;
mod fast_step;
pub(crate) mod notices;
pub mod stats;
pub mod steps;
pub mod types;

pub use types::*;
