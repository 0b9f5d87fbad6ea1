//! Connecting as a blocking call.

use std::{net::SocketAddr, time::Instant};

use socket2::Socket;

use super::{
    deadline::Deadline,
    local::Local,
    wait::{Patience, run_to_socket},
};
use crate::{error::Result, net::Race};

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
    let race = Race::new(addresses.to_vec(), local.clone(), deadline.moment(), Instant::now());
    run_to_socket(race, patience)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr, TcpListener},
        time::Duration,
    };

    use socket2::{Domain, Type};

    use super::*;
    use crate::{
        error::Error,
        transport::{local::Bind, wait::Endless},
    };

    /// How long the next address waits for the one before.
    const STAGGER: Duration = Duration::from_millis(250);

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
