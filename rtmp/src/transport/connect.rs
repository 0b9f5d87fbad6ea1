//! Connecting to the first of several addresses that answers (RFC 8305, "happy eyeballs").

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use log::debug;
use rustix::{
    event::{PollFd, PollFlags},
    io::{Errno, ioctl_fionbio},
};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    deadline::Deadline,
    local::Local,
    wait::{Patience, poll_slice},
};
use crate::error::{Cause, Error, Result};

/// Connects to whichever of the addresses answers first. They are tried in order, each a quarter of a second after the
/// one before, or at once when that one has failed; those that come too late are closed. The socket is in blocking mode.
///
/// The error tells what was most likely wrong: a refusal rather than silence, silence rather than a missing route.
pub fn connect(
    addresses: &[SocketAddr],
    local: &Local,
    deadline: Deadline,
    patience: &dyn Patience,
) -> Result<Socket> {
    let start = Instant::now();
    let mut race = Race { local, attempts: Vec::new(), next_start: start, worst: None };
    let mut waiting = addresses.iter();
    loop {
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        let Ok(left) = deadline.left() else { return Err(race.out_of_time(start.elapsed())) };
        let pause = race.next_start.saturating_duration_since(Instant::now());
        if (race.attempts.is_empty() || pause.is_zero())
            && let Some(address) = waiting.next()
        {
            if let Some(socket) = race.enter(*address) {
                return finish(socket);
            }
            continue;
        }
        if race.attempts.is_empty() {
            return Err(race.verdict());
        }
        let pause = (waiting.len() > 0).then_some(pause);
        let wait = match (left, pause) {
            (Some(left), Some(pause)) => Some(left.min(pause)),
            (left, pause) => left.or(pause),
        };
        if let Some(socket) = race.wait(wait)? {
            return finish(socket);
        }
    }
}

/// Attempts that run side by side, in the order in which they started.
struct Race<'a> {
    local: &'a Local,
    attempts: Vec<Attempt>,
    /// When the next one should start, unless there is none running.
    next_start: Instant,
    /// The most telling failure so far.
    worst: Option<Failure>,
}

struct Attempt {
    socket: Socket,
    address: SocketAddr,
}

struct Failure {
    weight: u8,
    error: Error,
}

impl Race<'_> {
    /// Starts an attempt; a socket if it succeeded at once.
    fn enter(&mut self, address: SocketAddr) -> Option<Socket> {
        debug!("connecting to {address}");
        let socket = match self.begin(address) {
            Ok(socket) => socket,
            Err(error) => {
                self.fail(1, error);
                return None;
            }
        };
        match socket.connect(&address.into()) {
            Ok(()) => return Some(socket),
            Err(error) if is_pending(&error) => {
                self.attempts.push(Attempt { socket, address });
                self.next_start = Instant::now() + STAGGER;
            }
            Err(error) => self.refuse(address, &error),
        }
        None
    }

    fn begin(&self, address: SocketAddr) -> Result<Socket> {
        let socket = non_blocking(Domain::for_address(address))?;
        self.local.apply(&socket)?;
        Ok(socket)
    }

    /// Waits until attempts are decided, or `time` or a slice of waiting is over; the first that succeeded.
    fn wait(&mut self, time: Option<Duration>) -> Result<Option<Socket>> {
        let mut polled: Vec<_> =
            self.attempts.iter().map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)).collect();
        if !poll_slice(&mut polled, time)? {
            return Ok(None);
        }
        let events: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        let mut index = 0;
        for event in events {
            if event.is_empty() {
                index += 1;
                continue;
            }
            let Attempt { socket, address } = self.attempts.remove(index);
            if event == PollFlags::OUT && SAYS_ERRORS {
                return Ok(Some(socket));
            }
            match socket.take_error() {
                Ok(None) => return Ok(Some(socket)),
                Ok(Some(error)) | Err(error) => self.refuse(address, &error),
            }
        }
        Ok(None)
    }

    fn refuse(&mut self, address: SocketAddr, error: &io::Error) {
        let (weight, text) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (3, format!("connection refused by {address}")),
            io::ErrorKind::TimedOut => (2, format!("{address} does not answer")),
            _ => (1, format!("cannot reach {address}: {error}")),
        };
        debug!("{text}");
        self.next_start = Instant::now();
        self.fail(weight, Error::Unreachable(Cause::new(text, error.raw_os_error())));
    }

    fn fail(&mut self, weight: u8, error: Error) {
        if self.worst.as_ref().is_none_or(|worst| worst.weight < weight) {
            self.worst = Some(Failure { weight, error });
        }
    }

    fn out_of_time(mut self, spent: Duration) -> Error {
        if let Some(attempt) = self.attempts.first() {
            let text =
                format!("{} does not answer, timed out after {} s", attempt.address, in_seconds(spent));
            self.fail(2, Error::Unreachable(Cause::new(text, Some(libc::ETIMEDOUT))));
        }
        self.worst.map_or(Error::TimedOut, |worst| worst.error)
    }

    fn verdict(self) -> Error {
        self.worst.map_or(Error::Invalid("no address to connect to"), |worst| worst.error)
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
        ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

/// Whether a wait tells an attempt that has failed from one that has not. Other systems may, too.
const SAYS_ERRORS: bool = cfg!(any(target_os = "linux", target_os = "android"));

fn finish(socket: Socket) -> Result<Socket> {
    ioctl_fionbio(&socket, false).map_err(io::Error::from)?;
    Ok(socket)
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

/// Whole seconds, with a tenth where there is one.
pub(super) fn in_seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// RFC 8305, 5: "Connection Attempt Delay".
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    use super::*;
    use crate::transport::{local::Bind, wait::Endless};

    fn within(seconds: u64) -> Deadline {
        Deadline::after(Some(Duration::from_secs(seconds)))
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that nobody listens on.
    fn refused() -> SocketAddr {
        listener().1
    }

    /// An address that does not answer: its queue of connections is full. It does while the values are kept.
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
        connect(addresses, &Local::default(), deadline, &Endless)
    }

    #[test]
    fn the_next_address_is_tried_at_once_when_one_refuses() {
        let (_listener, address) = listener();
        let start = Instant::now();
        let socket = race(&[refused(), refused(), address], within(20)).unwrap();
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(address));
        assert!(!socket.nonblocking().unwrap(), "callers expect a socket that blocks");
        assert!(start.elapsed() < STAGGER, "nothing is waited for");
    }

    #[test]
    fn an_address_that_does_not_answer_holds_the_next_one_up_for_a_moment_only() {
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
    fn a_refusal_tells_more_than_silence() {
        let (_kept, silent) = silent();
        let refused = refused();
        let error = race(&[silent, refused], Deadline::after(Some(Duration::from_millis(600)))).unwrap_err();
        assert_eq!(error.to_string(), format!("connection refused by {refused}"));
    }

    #[test]
    fn without_an_address_or_time_there_is_no_connection() {
        assert!(matches!(race(&[], within(20)), Err(Error::Invalid(_))));
        assert!(matches!(race(&[refused()], within(0)), Err(Error::TimedOut)));
    }

    #[test]
    fn a_connection_leaves_from_the_address_it_is_bound_to() {
        let (_listener, address) = listener();
        let bound = IpAddr::from(Ipv4Addr::new(127, 0, 0, 7));
        let mut local = Local { bind: Some(Bind::Address(bound)), ..Local::default() };
        let socket = connect(&[address], &local, within(20), &Endless).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap().ip(), bound);
        local.bind = Some(Bind::Address(Ipv4Addr::new(203, 0, 113, 1).into()));
        let error = connect(&[address], &local, within(20), &Endless).unwrap_err().to_string();
        assert!(error.starts_with("cannot use local address 203.0.113.1: "), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connection_leaves_by_the_interface_it_is_bound_to() {
        let (_listener, address) = listener();
        let mut local = Local { bind: Some(Bind::Interface("lo".to_owned())), ..Local::default() };
        let socket = connect(&[address], &local, within(20), &Endless).unwrap();
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
        local.bind = Some(Bind::Interface("no-such-card".to_owned()));
        let error = connect(&[address], &local, within(20), &Endless).unwrap_err().to_string();
        assert!(error.starts_with("cannot use network interface no-such-card: "), "{error}");
    }
}
