//! Connecting to the first of several addresses that answers (RFC 8305, "happy eyeballs").

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
    vec,
};

use log::debug;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::step::{Interest, Step, is_past, sooner};
use crate::{
    error::{Cause, Error, Result},
    transport::local::Local,
};

/// Attempts to connect, which run side by side. Addresses are tried in order, each a quarter of a second after the one
/// before, or at once when that one has failed. The first that succeeds wins; the others are closed with the race.
///
/// The error tells what was most likely wrong: a refusal rather than silence, silence rather than a missing route.
pub(crate) struct Race {
    local: Local,
    waiting: vec::IntoIter<SocketAddr>,
    /// In the order in which they started.
    attempts: Vec<Attempt>,
    /// When the next one should start, unless there is none running.
    next_start: Instant,
    began: Instant,
    deadline: Option<Instant>,
    /// The most telling failure so far.
    worst: Option<Failure>,
}

struct Attempt {
    socket: Arc<Socket>,
    address: SocketAddr,
}

struct Failure {
    weight: u8,
    error: Error,
}

impl Race {
    /// A race in which nobody has started.
    pub(crate) fn new(
        addresses: Vec<SocketAddr>,
        local: Local,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Self {
        Self {
            local,
            waiting: addresses.into_iter(),
            attempts: Vec::new(),
            next_start: now,
            began: now,
            deadline,
            worst: None,
        }
    }

    /// The first attempt that has succeeded. Those that have failed are taken out.
    fn winner(&mut self, now: Instant) -> Option<Arc<Socket>> {
        let mut index = 0;
        while let Some(Attempt { socket, address }) = self.attempts.get(index) {
            // A socket that is still connecting has no peer, and one that failed has an error.
            if socket.peer_addr().is_ok() {
                return Some(socket.clone());
            }
            match socket.take_error() {
                Ok(None) => index += 1,
                Ok(Some(error)) | Err(error) => {
                    let address = *address;
                    self.attempts.remove(index);
                    self.refuse(address, &error, now);
                }
            }
        }
        None
    }

    /// Starts an attempt; a socket if it succeeded at once.
    fn enter(&mut self, address: SocketAddr, now: Instant) -> Option<Arc<Socket>> {
        debug!("connecting to {address}");
        let socket = match self.begin(address) {
            Ok(socket) => socket,
            Err(error @ Error::Interrupted) => {
                // The program has given up. Nobody else starts.
                self.waiting = Vec::new().into_iter();
                self.attempts.clear();
                self.fail(u8::MAX, error);
                return None;
            }
            Err(error) => {
                self.fail(1, error);
                return None;
            }
        };
        match socket.connect(&address.into()) {
            Ok(()) => return Some(Arc::new(socket)),
            Err(error) if is_pending(&error) => {
                self.attempts.push(Attempt { socket: Arc::new(socket), address });
                self.next_start = now + STAGGER;
            }
            Err(error) => self.refuse(address, &error, now),
        }
        None
    }

    fn begin(&self, address: SocketAddr) -> Result<Socket> {
        let socket = non_blocking(Domain::for_address(address))?;
        self.local.prepare(&socket)?;
        Ok(socket)
    }

    fn refuse(&mut self, address: SocketAddr, error: &io::Error, now: Instant) {
        let (weight, text) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (3, format!("connection refused by {address}")),
            io::ErrorKind::TimedOut => (2, format!("{address} does not answer")),
            _ => (1, format!("cannot reach {address}: {error}")),
        };
        debug!("{text}");
        self.next_start = now;
        self.fail(weight, Error::Unreachable(Cause::new(text, error.raw_os_error())));
    }

    fn fail(&mut self, weight: u8, error: Error) {
        if self.worst.as_ref().is_none_or(|worst| worst.weight < weight) {
            self.worst = Some(Failure { weight, error });
        }
    }

    fn out_of_time(&mut self, now: Instant) -> Error {
        if let Some(attempt) = self.attempts.first() {
            let spent = in_seconds(now.saturating_duration_since(self.began));
            let text = format!("{} does not answer, timed out after {spent} s", attempt.address);
            self.fail(2, Error::Unreachable(Cause::new(text, Some(libc::ETIMEDOUT))));
        }
        self.worst.take().map_or(Error::TimedOut, |worst| worst.error)
    }
}

/// The winner's socket does not block.
impl Step for Race {
    type Output = Arc<Socket>;

    fn step(&mut self, now: Instant) -> Result<Option<Arc<Socket>>> {
        if let Some(winner) = self.winner(now) {
            return Ok(Some(winner));
        }
        loop {
            if is_past(self.deadline, now) {
                return Err(self.out_of_time(now));
            }
            if !self.attempts.is_empty() && now < self.next_start {
                return Ok(None);
            }
            let Some(address) = self.waiting.next() else { break };
            if let Some(winner) = self.enter(address, now) {
                return Ok(Some(winner));
            }
        }
        if self.attempts.is_empty() {
            let worst = self.worst.take().map(|worst| worst.error);
            return Err(worst.unwrap_or(Error::Invalid("no address to connect to")));
        }
        Ok(None)
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        let sockets = self.attempts.iter().map(|attempt| attempt.socket.clone());
        out.extend(sockets.map(|socket| Interest { socket, read: false, write: true }));
    }

    fn deadline(&self) -> Option<Instant> {
        let next = (self.waiting.len() > 0).then_some(self.next_start);
        sooner(next, self.deadline)
    }
}

/// A socket that does not wait.
fn non_blocking(domain: Domain) -> io::Result<Socket> {
    let protocol = Some(Protocol::TCP);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Socket::new(domain, Type::STREAM.nonblocking(), protocol);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let socket = Socket::new(domain, Type::STREAM, protocol)?;
        // One system call, where the flags of a descriptor take two.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

/// Whole seconds, with a tenth where there is one.
fn in_seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// RFC 8305, 5: "Connection Attempt Delay".
const STAGGER: Duration = Duration::from_millis(250);
