//! `rtmp.h`: the session object and everything that is done with it.

pub mod close;
pub mod connect;
pub mod io;
pub mod misc;
pub mod packet;
pub mod setup;
pub mod sockbuf;
pub mod stream;
pub mod types;

pub use types::*;
