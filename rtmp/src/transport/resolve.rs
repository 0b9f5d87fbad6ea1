//! Name lookup: the addresses of a host, in the order in which they should be tried.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
};

use super::{
    deadline::Deadline,
    local::Family,
    wait::{Patience, SLICE},
};
use crate::{
    error::{Cause, Error, Result},
    text::Text,
};

/// The addresses of a host: IPv6 and IPv4 take turns, beginning with what the system prefers (RFC 8305, 4).
///
/// The system's resolver knows no deadline, so it works in a thread of its own. When time is up, or the wait is to end, that thread is left
/// behind; it ends, without an effect, when the resolver does. An address needs no lookup and no thread.
pub fn resolve(
    host: &[u8],
    port: u16,
    family: Family,
    deadline: Deadline,
    patience: &dyn Patience,
) -> Result<Vec<SocketAddr>> {
    let host = readable(host)?;
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) if family.admits(address) => vec![SocketAddr::new(address, port)],
        Ok(_) => Vec::new(),
        Err(_) => in_turns(look_up(host.clone(), port, deadline, patience)?, family),
    };
    if addresses.is_empty() {
        return Err(Error::Unresolved(format!("{host} (it has no {} address)", family.name()).into()));
    }
    Ok(addresses)
}

/// The host as the resolver takes it. The zone of an IPv6 address is written `%25eth0` in a URL.
fn readable(host: &[u8]) -> Result<String> {
    match str::from_utf8(host) {
        Ok(text) if text.contains(':') => Ok(text.replace("%25", "%")),
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err(Error::Unresolved(format!("{} (this is no name)", Text(host)).into())),
    }
}

fn look_up(host: String, port: u16, deadline: Deadline, patience: &dyn Patience) -> Result<Vec<SocketAddr>> {
    let name = host.clone();
    let found = within(deadline, patience, move || {
        // What the C library leaves in errno says whether there was an answer.
        Ok((host.as_str(), port).to_socket_addrs().map_err(|error| (error, io::Error::last_os_error())))
    });
    let unresolved =
        |why: &dyn fmt::Display, code| Error::Unresolved(Cause::new(format!("{name} ({why})"), code));
    match found {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err((error, left))) => {
            let no_answer = left.kind() == io::ErrorKind::WouldBlock;
            let text = error.to_string();
            // Rust's own words, which repeat ours, in front of the system's.
            let why = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
            Err(unresolved(&why, no_answer.then_some(libc::EAGAIN)))
        }
        Err(error @ Error::Interrupted) => Err(error),
        Err(error @ Error::TimedOut) => Err(unresolved(&"the lookup took too long", error.errno())),
        Err(error) => Err(unresolved(&error, error.errno())),
    }
}

/// Runs a job that may block for longer than there is time.
fn within<T: Send + 'static>(
    deadline: Deadline,
    patience: &dyn Patience,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let place = Place::take(&LOOKUPS)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("rtmp-resolver".to_owned()).spawn(move || {
        let result = job();
        drop(place);
        // Nobody listens any more when time was up.
        let _ = sender.send(result);
    })?;
    loop {
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        let left = deadline.left()?;
        match receiver.recv_timeout(left.map_or(SLICE, |left| left.min(SLICE))) {
            Ok(result) => return Ok(result?),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Invalid("the resolver gave up")),
        }
    }
}

/// Addresses of the family, each once, IPv6 and IPv4 in turns; the first stays the first.
fn in_turns(found: Vec<SocketAddr>, family: Family) -> Vec<SocketAddr> {
    let mut admitted: Vec<SocketAddr> = Vec::new();
    for address in found {
        if admitted.len() < MAX_ADDRESSES && family.admits(address.ip()) && !admitted.contains(&address) {
            admitted.push(address);
        }
    }
    let starts_with_v6 = admitted.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        admitted.into_iter().partition(|address| address.is_ipv6() == starts_with_v6);
    let mut second = second.into_iter();
    let mut ordered = Vec::new();
    for address in first {
        ordered.push(address);
        ordered.extend(second.next());
    }
    ordered.extend(second);
    ordered
}

/// A lookup's place among those that are under way, left behind ones included.
struct Place(&'static AtomicUsize);

impl Place {
    fn take(lookups: &'static AtomicUsize) -> Result<Self> {
        let place = Self(lookups);
        if lookups.fetch_add(1, Ordering::Relaxed) >= MAX_LOOKUPS {
            return Err(Error::TooLarge("number of name lookups that are under way"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// How many lookups may be under way in a process. A program that tries again and again, while its resolver takes longer
/// than it waits, leaves a thread behind each time.
const MAX_LOOKUPS: usize = 64;

/// How many addresses of a host are tried; a host's owner may claim any number.
const MAX_ADDRESSES: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::wait::Endless;

    struct Over;

    impl Patience for Over {
        fn is_over(&self) -> bool {
            true
        }
    }

    fn soon() -> Deadline {
        Deadline::after(Some(Duration::from_secs(20)))
    }

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(|address| SocketAddr::new(address.parse().unwrap(), 1935)).collect()
    }

    #[test]
    fn families_take_turns_and_the_systems_first_choice_stays_first() {
        let cases = [
            ("::1 ::2 ::3 1.1.1.1 1.1.1.2", "::1 1.1.1.1 ::2 1.1.1.2 ::3"),
            ("1.1.1.1 ::1 ::2 ::3", "1.1.1.1 ::1 ::2 ::3"),
            ("1.1.1.1 1.1.1.2 1.1.1.1", "1.1.1.1 1.1.1.2"),
            ("", ""),
        ];
        for (found, ordered) in cases {
            assert_eq!(in_turns(addresses(found), Family::Any), addresses(ordered), "{found}");
        }
        assert_eq!(in_turns(addresses("::1 1.1.1.1 ::2"), Family::V4), addresses("1.1.1.1"));
        assert_eq!(in_turns(addresses("1.1.1.1 ::1 ::2"), Family::V6), addresses("::1 ::2"));
    }

    #[test]
    fn lookups_that_are_left_behind_have_a_bound() {
        static FEW: AtomicUsize = AtomicUsize::new(MAX_LOOKUPS - 1);
        let last = Place::take(&FEW).unwrap();
        assert!(matches!(Place::take(&FEW), Err(Error::TooLarge(_))));
        drop(last);
        assert!(Place::take(&FEW).is_ok());
    }

    #[test]
    fn a_host_with_a_great_many_addresses_has_its_first_ones() {
        let found: Vec<SocketAddr> = (0..1000).map(|n: u32| SocketAddr::from((n.to_be_bytes(), 9))).collect();
        assert_eq!(in_turns(found.clone(), Family::Any), found[..MAX_ADDRESSES]);
    }

    #[test]
    fn an_address_is_its_own_result() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:9"), ("::1", "[::1]:9")] {
            let found = resolve(host.as_bytes(), 9, Family::Any, soon(), &Endless).unwrap();
            assert_eq!(found, [address.parse().unwrap()]);
        }
        let error = resolve(b"127.0.0.1", 9, Family::V6, soon(), &Endless).unwrap_err();
        assert_eq!(error.to_string(), "no address for host 127.0.0.1 (it has no IPv6 address)");
    }

    #[test]
    fn old_forms_of_addresses_are_understood() {
        let found = resolve(b"127.1", 9, Family::V4, soon(), &Endless).unwrap();
        assert_eq!(found, ["127.0.0.1:9".parse().unwrap()]);
    }

    #[test]
    fn localhost_is_looked_up() {
        let found = resolve(b"localhost", 9, Family::Any, soon(), &Endless).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn what_is_no_name_is_refused_before_anybody_is_asked() {
        for host in [&b""[..], b"a\nb", b"a\0b", b"\xff"] {
            assert!(matches!(resolve(host, 9, Family::Any, soon(), &Endless), Err(Error::Unresolved(_))));
        }
    }

    #[test]
    fn a_job_that_blocks_is_left_behind_at_the_deadline() {
        let (release, blocked) = mpsc::channel::<()>();
        let start = Instant::now();
        let result = within(Deadline::after(Some(Duration::from_millis(50))), &Endless, move || {
            let _ = blocked.recv();
            Ok(())
        });
        assert!(matches!(result, Err(Error::TimedOut)));
        assert!(start.elapsed() < Duration::from_secs(10));
        let over = within(Deadline::NEVER, &Over, move || Ok(std::hint::black_box(7)));
        assert!(matches!(over, Err(Error::Interrupted)));
        drop(release);
        assert_eq!(within(Deadline::NEVER, &Endless, || Ok(7)).unwrap(), 7);
    }
}
