//! Everything below RTMP, as one machine that never waits.
//!
//! [`Link`] looks the server up, connects, passes a proxy, does the TLS handshake, opens an HTTP tunnel, and carries bytes both
//! ways. It reports the sockets that it waits for and a deadline; a pump waits for them, with [`wait()`] or an event loop, and
//! calls [`Link::step`]. This module does not know the meaning of the bytes.
//!
//! ```no_run
//! use std::{io::IoSlice, time::{Duration, Instant}};
//! use rtmp::net::{Link, Received, Target, Wanted, wait};
//!
//! let timeout = Some(Duration::from_secs(10));
//! let target = Target { timeout, ..Target::new(b"localhost", 1935) };
//! let mut link = Link::connect(&target, Instant::now())?;
//! let mut interests = Vec::new();
//! let mut buffer = [0; 4096];
//! let received = loop {
//!     let now = Instant::now();
//!     link.step(now)?;
//!     match link.receive(&mut buffer, now)? {
//!         Received::Bytes(count) => break count,
//!         Received::End => break 0,
//!         Received::Nothing => {}
//!     }
//!     interests.clear();
//!     link.interests(Wanted { read: true, write: false }, &mut interests);
//!     wait(&interests, link.deadline())?;
//! };
//! # Ok::<(), rtmp::Error>(())
//! ```

mod arrival;
mod bridge;
mod channel;
mod dial;
mod job;
mod layer;
mod link;
mod lookup;
mod proxy;
mod race;
mod receive;
mod send;
mod served;
#[cfg(target_os = "linux")]
mod sock_diag;
mod step;
mod target;
mod tunnel;
mod tunnels;
mod wait;
mod wire;

pub use bridge::bridge;
pub use job::Job;
pub use link::{Link, LinkPhase};
pub use step::{Interest, Received, SendHook, Wanted};
pub use target::{Entry, Target};
pub use tunnels::Tunnels;
pub use wait::wait;
#[cfg(test)]
pub(crate) use wait::{blocking, run, run_to_socket};
pub(crate) use wait::{poll_interests, poll_until};
#[cfg(test)]
pub(crate) use {channel::Channel, proxy::ProxyDialog};
