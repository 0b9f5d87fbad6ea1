//! An RTMP client and server library: a memory-safe replacement for rtmpdump's `librtmp`.
//!
//! Three types are enough to play and publish: [`Client`] holds a URL and options, [`Player`] is a stream that plays, and
//! [`Publisher`] a stream that is published. [`Server`] serves clients.
//!
//! ```no_run
//! use std::{fs::File, io};
//!
//! // Records a stream as an FLV file.
//! let mut player = rtmp::Client::new("rtmp://localhost/live/stream")?.live(true).play()?;
//! io::copy(&mut player, &mut File::create("stream.flv")?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Their calls block. Two other interfaces use the same code: the calls of a [`Stepper`] never wait, so an event loop can
//! serve any number of connections, and the module `tokio`, with the Cargo feature of that name, has futures. [`Server`]
//! supports all three.
//!
//! The protocol is in layers below them that have no sockets, each of which calls the one below: [`flv`] (a byte stream of
//! FLV tags), [`session`] (commands and stream control), [`chunk`] (messages in chunks) and [`amf`] (values). [`net`]
//! moves bytes and knows no RTMP. [`client`] connects both. The C library for programs written for librtmp 2.4 is a
//! separate package on top of this one.
//!
//! The library logs through the [`log`] crate.

#![forbid(unsafe_code)]

pub mod amf;
pub mod chunk;
pub mod client;
pub mod environment;
pub mod error;
pub mod features;
pub mod flv;
pub mod handshake;
pub mod http;
pub mod media;
pub mod message;
pub mod net;
pub mod options;
pub mod random;
pub mod session;
pub mod stats;
pub mod swf;
pub mod system;
pub mod text;
pub mod transport;
pub mod url;

#[cfg(all(feature = "tokio", unix))]
pub use client::tokio;
pub use client::{
    AbortHandle, Client, Event, Player, Publisher, Sent, Server, ServerEvent, ServerSession, Stepper,
    StepperEvent,
};
pub use error::{Cause, Error, Refusal, Result};
pub use session::{Capabilities, Notice, Reconnect, Request, Status, StreamStage};
pub use stats::Stats;
