//! `enhanced.h`: Enhanced RTMP, over the core's `media` and `session`.

pub mod media;
pub mod types;

pub use types::*;
