//! `rtmp.h`: the session object and all functions that use it.

pub mod abort;
pub mod close;
pub mod connect;
pub(crate) mod defaults;
pub(crate) mod direct;
pub mod error;
mod extras;
mod fast_read;
mod fast_receive;
mod fast_write;
pub mod io;
pub mod lifecycle;
pub mod misc;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod origin;
pub(crate) mod outgoing;
pub mod packet;
pub(crate) mod read_state;
pub(crate) mod receive_buffer;
pub mod serve;
pub mod set_option;
pub mod setup;
pub mod sockbuf;
pub mod stream;
pub mod streams;
pub mod swf;
pub mod types;
pub mod url;
pub(crate) mod view;

pub use types::*;
