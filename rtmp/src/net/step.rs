//! The common interface of all machines below RTMP: steps, and what they wait for in between.

use std::{sync::Arc, time::Instant};

use socket2::Socket;

use crate::error::Result;

/// A socket that a machine waits for, and the events.
///
/// It owns a share of the socket, so a pump can wait without a lock on the machine, and the descriptor cannot be closed and
/// reused meanwhile. With neither `read` nor `write`, it waits only for the end of the connection.
#[derive(Debug, Clone)]
pub struct Interest {
    /// The socket.
    pub socket: Arc<Socket>,
    /// Wait until it has bytes, or the peer has ended its side.
    pub read: bool,
    /// Wait until it has room for bytes.
    pub write: bool,
}

/// The events that the user of a [`Link`](super::Link) waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes from the peer.
    pub read: bool,
    /// Room for bytes to the peer.
    pub write: bool,
}

/// The result of a receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer has ended its side.
    End,
}

/// A function that takes the bytes of a connection without TLS in place of its socket.
#[derive(Clone)]
pub struct SendHook(Arc<SendFn>);

type SendFn = dyn Fn(&[u8]) -> Result<usize> + Send + Sync;

impl SendHook {
    /// The function takes the first bytes of a slice, at least one, and returns how many, in the thread that sends.
    pub fn new(hook: impl Fn(&[u8]) -> Result<usize> + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<usize> {
        (self.0)(bytes)
    }
}

/// A machine that produces one result and never waits.
pub(crate) trait Step {
    /// The result.
    type Output;

    /// Does what is possible now; returns the result when it exists. Must not be called after that or after an error.
    fn step(&mut self, now: Instant) -> Result<Option<Self::Output>>;

    /// Appends the sockets that must be ready before a step can do anything.
    fn interests(&self, out: &mut Vec<Interest>);

    /// The time at which a step has something to do although no socket is ready.
    fn deadline(&self) -> Option<Instant>;
}

impl<S: Step> Step for &mut S {
    type Output = S::Output;

    fn step(&mut self, now: Instant) -> Result<Option<S::Output>> {
        (**self).step(now)
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        (**self).interests(out);
    }

    fn deadline(&self) -> Option<Instant> {
        (**self).deadline()
    }
}

/// Whether a deadline has passed.
pub(super) fn is_past(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// The earlier of two times; `None` means never.
pub(super) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
