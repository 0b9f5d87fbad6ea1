//! An RTMP client and server library: a memory-safe replacement for rtmpdump's `librtmp`.
//!
//! Three types are enough to play and to publish: [`Client`] is a server and options, [`Player`] a stream that comes,
//! [`Publisher`] one that goes. [`Server`] is the other side.
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
//! Their calls wait. There are two more ways to do the same, over the same code: a [`Stepper`] never waits, so that an event
//! loop can own as many connections as it likes, and the module `tokio`, with the cargo feature of that name, has
//! futures. [`Server`] serves in all three ways.
//!
//! Below them the protocol lives in layers that know nothing of sockets, each calling the one below: [`flv`] (a byte
//! stream of FLV tags), [`session`] (commands and stream control), [`chunk`] (messages cut into chunks), [`amf`]
//! (values). [`net`] moves bytes and knows no RTMP. [`client`] puts both together, with a thin pump between them. The C
//! library that programs written for librtmp 2.4 link is a package of its own over this one.
//!
//! What happens is reported through the [`log`] crate.

#![forbid(unsafe_code)]

pub mod amf;
pub mod chunk;
pub mod client;
pub mod environment;
pub mod error;
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
pub mod text;
pub mod transport;
pub mod url;

#[cfg(feature = "tokio")]
pub use client::tokio;
pub use client::{
    AbortHandle, Client, Event, Player, Publisher, Sent, Server, ServerEvent, ServerSession, Stepper,
    StepperEvent,
};
pub use error::{Cause, Error, Refusal, Result};
pub use session::{Capabilities, Notice, Reconnect, Request, Status, StreamStage};
pub use stats::Stats;
