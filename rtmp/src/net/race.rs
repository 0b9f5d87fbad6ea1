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

use super::{
    lookup::Addresses,
    step::{Interest, Step, is_past, sooner},
};
use crate::{
    error::{Cause, Error, Result},
    transport::local::Local,
};

/// Attempts to connect, which run in parallel. Addresses are tried in order, each a quarter of a second after the one before,
/// or at once when that one has failed. The first that succeeds wins; the others are closed with the race.
///
/// The error has the most likely reason: a refusal rather than silence, silence rather than a missing route.
pub(crate) struct Race {
    local: Local,
    first: Option<SocketAddr>,
    others: vec::IntoIter<SocketAddr>,
    /// In the order of their start.
    attempts: Vec<Attempt>,
    /// The time at which the next attempt starts, unless none is running.
    next_start: Instant,
    began: Instant,
    deadline: Option<Instant>,
    /// The most useful failure so far.
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
    /// A race without any attempt yet.
    pub(crate) fn new(addresses: Addresses, local: Local, deadline: Option<Instant>, now: Instant) -> Self {
        Self {
            local,
            first: Some(addresses.first),
            others: addresses.others.into_iter(),
            attempts: Vec::new(),
            next_start: now,
            began: now,
            deadline,
            worst: None,
        }
    }

    /// The first attempt that has succeeded. Attempts that have failed are removed.
    fn winner(&mut self, now: Instant) -> Option<Arc<Socket>> {
        let mut index = 0;
        while let Some(Attempt { socket, address }) = self.attempts.get(index) {
            // A socket that is still connecting has no peer address, and one that failed has an error.
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
                // The program has given up. No other attempt starts.
                self.others = Vec::new().into_iter();
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

/// The resulting socket is non-blocking.
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
            let Some(address) = self.first.take().or_else(|| self.others.next()) else { break };
            if let Some(winner) = self.enter(address, now) {
                return Ok(Some(winner));
            }
        }
        if self.attempts.is_empty() {
            return Err(self.worst.take().map_or(Error::TimedOut, |worst| worst.error));
        }
        Ok(None)
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        let sockets = self.attempts.iter().map(|attempt| attempt.socket.clone());
        out.extend(sockets.map(|socket| Interest { socket, read: false, write: true }));
    }

    fn deadline(&self) -> Option<Instant> {
        let next = (self.first.is_some() || self.others.len() > 0).then_some(self.next_start);
        sooner(next, self.deadline)
    }
}

/// A non-blocking socket.
fn non_blocking(domain: Domain) -> io::Result<Socket> {
    let protocol = Some(Protocol::TCP);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Socket::new(domain, Type::STREAM.nonblocking(), protocol);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let socket = Socket::new(domain, Type::STREAM, protocol)?;
        // One system call, whereas the flags of a descriptor need two.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

/// Whole seconds, with a tenth if there is one.
fn in_seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// RFC 8305, 5: "Connection Attempt Delay".
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    use super::*;
    use crate::net::run_to_socket;
    use crate::transport::{deadline::Deadline, local::Bind};

    fn connect(addresses: &[SocketAddr], local: &Local, deadline: Deadline) -> Result<Socket> {
        let addresses = Addresses { first: addresses[0], others: addresses[1..].to_vec() };
        let race = Race::new(addresses, local.clone(), deadline.moment(), Instant::now());
        run_to_socket(race)
    }

    fn within(seconds: u64) -> Deadline {
        Deadline::after(Some(Duration::from_secs(seconds)))
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that refuses connections.
    fn refused() -> SocketAddr {
        listener().1
    }

    /// An address that does not answer, because its queue of connections is full. It stays so while the values are kept.
    fn silent() -> (Vec<Socket>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        let mut kept = vec![socket];
        loop {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if filler.connect_timeout(&address, Duration::from_millis(300)).is_err() {
                return (kept, address.as_socket().unwrap());
            }
            assert!(kept.len() < 100, "the queue of connections has no end");
            kept.push(filler);
        }
    }

    fn race(addresses: &[SocketAddr], deadline: Deadline) -> Result<Socket> {
        connect(addresses, &Local::default(), deadline)
    }

    #[test]
    fn the_next_address_is_tried_at_once_when_one_refuses() {
        let (_listener, address) = listener();
        let start = Instant::now();
        let socket = race(&[refused(), refused(), address], within(20)).unwrap();
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(address));
        assert!(start.elapsed() < STAGGER, "nothing is waited for");
    }

    #[test]
    fn silent_address_delays_the_next_one_only_briefly() {
        let (_kept, silent) = silent();
        let (_listener, address) = listener();
        let start = Instant::now();
        let socket = race(&[silent, address], within(20)).unwrap();
        let spent = start.elapsed();
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(address));
        assert!(spent >= STAGGER && spent < Duration::from_secs(5), "{spent:?}");
    }

    #[test]
    fn the_deadline_ends_all_attempts_together() {
        let (_kept, silent) = silent();
        let start = Instant::now();
        let error =
            race(&[silent, silent, silent], Deadline::after(Some(Duration::from_millis(600)))).unwrap_err();
        let spent = start.elapsed();
        assert!(spent >= Duration::from_millis(590) && spent < Duration::from_secs(5), "{spent:?}");
        assert!(
            error.to_string().starts_with(&format!("{silent} does not answer, timed out after ")),
            "{error}"
        );
    }

    #[test]
    fn refusal_is_reported_rather_than_silence() {
        let (_kept, silent) = silent();
        let refused = refused();
        let error = race(&[silent, refused], Deadline::after(Some(Duration::from_millis(600)))).unwrap_err();
        assert_eq!(error.to_string(), format!("connection refused by {refused}"));
    }

    #[test]
    fn without_time_there_is_no_connection() {
        assert!(matches!(race(&[refused()], within(0)), Err(Error::TimedOut)));
    }

    #[test]
    fn a_connection_leaves_from_the_address_it_is_bound_to() {
        let (_listener, address) = listener();
        let bound = IpAddr::from(Ipv4Addr::new(127, 0, 0, 7));
        let mut local = Local { bind: Some(Bind::Address(bound)), ..Local::default() };
        let socket = connect(&[address], &local, within(20)).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap().ip(), bound);
        local.bind = Some(Bind::Address(Ipv4Addr::new(203, 0, 113, 1).into()));
        let error = connect(&[address], &local, within(20)).unwrap_err().to_string();
        assert!(error.starts_with("cannot use local address 203.0.113.1: "), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connection_leaves_by_the_interface_it_is_bound_to() {
        let (_listener, address) = listener();
        let mut local = Local { bind: Some(Bind::Interface("lo".to_owned())), ..Local::default() };
        let socket = connect(&[address], &local, within(20)).unwrap();
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
        local.bind = Some(Bind::Interface("no-such-card".to_owned()));
        let error = connect(&[address], &local, within(20)).unwrap_err().to_string();
        assert!(error.starts_with("cannot use network interface no-such-card: "), "{error}");
    }
}
