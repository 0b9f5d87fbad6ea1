//! `loop.h`: numbers of sessions, and what programs with an event loop of their own need.

pub mod events;
pub(crate) mod notices;
pub mod stats;
pub mod steps;
pub mod types;

pub use types::*;
