//! `enhanced.h`: Enhanced RTMP, over the core's `media` and `session`.

pub mod capabilities;
pub mod media;
pub mod reconnect;
pub(crate) mod requested;
pub mod types;

pub use types::*;
