//! `rtmp.h`: the session object and everything that is done with it.

pub mod misc;
pub mod setup;
pub mod types;

pub use types::*;
