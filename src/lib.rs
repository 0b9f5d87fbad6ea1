//! An RTMP client and server library: a memory-safe replacement for rtmpdump's `librtmp`.
//!
//! The protocol lives in layers that know nothing of sockets, each calling the one below: [`flv`] (a byte stream of
//! FLV tags), [`session`] (commands and stream control), [`chunk`] (messages cut into chunks). [`transport`] moves
//! bytes and knows no RTMP, [`driver`] joins a session to a transport, and [`capi`] is the C library that programs
//! written for librtmp 2.4 link.

pub mod amf;
#[allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
pub mod capi;
pub mod chunk;
pub mod driver;
pub mod error;
pub mod flv;
pub mod handshake;
pub mod http;
pub mod message;
pub mod options;
pub mod random;
pub mod session;
pub mod swf;
pub mod text;
pub mod transport;
pub mod url;

pub use error::{Error, Result};
