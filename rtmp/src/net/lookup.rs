//! Name lookup: the addresses of a host, in the order in which they should be tried.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use super::{
    job::Job,
    step::{Interest, Step, is_past},
};
use crate::{
    error::{Cause, Error, Result},
    text::Text,
    transport::local::Family,
};

/// A lookup that is running.
///
/// The system's resolver has no deadline, so it runs in its own thread. After a timeout, or when the lookup is dropped, that
/// thread continues; it ends, without any effect, when the resolver returns. An address needs no lookup and no thread.
pub(crate) struct Lookup {
    /// For errors; empty if it is an address.
    host: String,
    family: Family,
    stage: Stage,
    deadline: Option<Instant>,
}

enum Stage {
    Known(SocketAddr),
    Asking(Job<Answer>),
}

/// The addresses of a host, in the order in which they should be tried.
#[derive(Debug, PartialEq)]
pub(crate) struct Addresses {
    pub(crate) first: SocketAddr,
    pub(crate) others: Vec<SocketAddr>,
}

/// The addresses, or the error and the value of `errno` that the C library left.
type Answer = Result<Vec<SocketAddr>, (io::Error, io::Error)>;

impl Lookup {
    /// Begins to look a host up.
    pub(crate) fn begin(host: &[u8], port: u16, family: Family, deadline: Option<Instant>) -> Result<Self> {
        if let Some(address) = literal(host) {
            let stage = Stage::Known(SocketAddr::new(address, port));
            return Ok(Self { host: String::new(), family, stage, deadline });
        }
        let host = readable(host)?;
        let name = host.clone();
        Self::ask(host, family, deadline, move || {
            // The value of errno that the C library leaves shows whether there was an answer.
            (name.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect)
                .map_err(|error| (error, io::Error::last_os_error()))
        })
    }

    fn ask(
        host: String,
        family: Family,
        deadline: Option<Instant>,
        resolver: impl FnOnce() -> Answer + Send + 'static,
    ) -> Result<Self> {
        let started = Place::take(&LOOKUPS).and_then(|place| {
            Job::start("rtmp-resolver", move || {
                let answer = resolver();
                drop(place);
                answer
            })
        });
        match started {
            Ok(job) => Ok(Self { host, family, stage: Stage::Asking(job), deadline }),
            Err(error) => Err(unresolved(&host, &error, error.errno())),
        }
    }

    /// The host has no address of the requested family.
    fn unusable(&self, host: &dyn fmt::Display) -> Error {
        Error::Unresolved(format!("{host} (it has no {} address)", self.family.name()).into())
    }
}

/// IPv6 and IPv4 alternate, beginning with the one that the system prefers (RFC 8305, 4).
impl Step for Lookup {
    type Output = Addresses;

    fn step(&mut self, now: Instant) -> Result<Option<Addresses>> {
        let answer = match &self.stage {
            Stage::Known(first) if self.family.admits(first.ip()) => {
                return Ok(Some(Addresses { first: *first, others: Vec::new() }));
            }
            Stage::Known(address) => return Err(self.unusable(&address.ip())),
            Stage::Asking(job) => job.result(),
        };
        match answer {
            Ok(Some(Ok(found))) => {
                let mut others = in_turns(found, self.family);
                if others.is_empty() {
                    return Err(self.unusable(&self.host));
                }
                Ok(Some(Addresses { first: others.remove(0), others }))
            }
            Ok(Some(Err((error, left)))) => {
                let no_answer = left.kind() == io::ErrorKind::WouldBlock;
                let text = error.to_string();
                // Rust's prefix repeats our own text before the system's.
                let why = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
                Err(unresolved(&self.host, &why, no_answer.then_some(libc::EAGAIN)))
            }
            Ok(None) if is_past(self.deadline, now) => {
                Err(unresolved(&self.host, &"the lookup took too long", Error::TimedOut.errno()))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(unresolved(&self.host, &error, error.errno())),
        }
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        if let Stage::Asking(job) = &self.stage {
            out.push(job.interest());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// The address that a host is.
fn literal(host: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(host).ok()?.parse().ok()
}

/// The host in the resolver's form. A URL contains the zone of an IPv6 address as `%25eth0`.
fn readable(host: &[u8]) -> Result<String> {
    match std::str::from_utf8(host) {
        Ok(text) if text.contains(':') => Ok(text.replace("%25", "%")),
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err(Error::Unresolved(format!("{} (this is no name)", Text(host)).into())),
    }
}

fn unresolved(host: &str, why: &dyn fmt::Display, code: Option<i32>) -> Error {
    Error::Unresolved(Cause::new(format!("{host} ({why})"), code))
}

/// Addresses of the family without duplicates, alternating between IPv6 and IPv4; the first one stays first.
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

/// A lookup's share of the limit of running lookups, including those whose caller has gone.
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

/// The limit of running lookups in a process. A program that retries often, while its resolver takes longer than its timeout,
/// leaves a thread behind each time.
const MAX_LOOKUPS: usize = 64;

/// The limit of addresses of a host that are tried; a host's owner may publish any number.
const MAX_ADDRESSES: usize = 32;

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use crate::net::wait;

    fn run(mut lookup: Lookup) -> Result<Vec<SocketAddr>> {
        let mut interests = Vec::new();
        loop {
            if let Some(Addresses { first, mut others }) = lookup.step(Instant::now())? {
                others.insert(0, first);
                return Ok(others);
            }
            interests.clear();
            lookup.interests(&mut interests);
            wait(&interests, lookup.deadline()).unwrap();
        }
    }

    fn resolve(host: &[u8], family: Family) -> Result<Vec<SocketAddr>> {
        run(Lookup::begin(host, 9, family, Some(Instant::now() + Duration::from_secs(20)))?)
    }

    fn asking(deadline: Option<Instant>, resolver: impl FnOnce() -> Answer + Send + 'static) -> Lookup {
        Lookup::ask("name".to_owned(), Family::Any, deadline, resolver).unwrap()
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
    fn abandoned_lookups_are_limited() {
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
            let mut lookup = Lookup::begin(host.as_bytes(), 9, Family::Any, None).unwrap();
            let addresses = Addresses { first: address.parse().unwrap(), others: Vec::new() };
            assert_eq!(lookup.step(Instant::now()).unwrap(), Some(addresses));
        }
        let error = resolve(b"127.0.0.1", Family::V6).unwrap_err();
        assert_eq!(error.to_string(), "no address for host 127.0.0.1 (it has no IPv6 address)");
    }

    #[test]
    fn old_forms_of_addresses_are_understood() {
        assert_eq!(resolve(b"127.1", Family::V4).unwrap(), ["127.0.0.1:9".parse().unwrap()]);
    }

    #[test]
    fn localhost_is_looked_up() {
        let found = resolve(b"localhost", Family::Any).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn invalid_names_are_refused_without_a_lookup() {
        for host in [&b""[..], b"a\nb", b"a\0b", b"\xff"] {
            assert!(matches!(Lookup::begin(host, 9, Family::Any, None), Err(Error::Unresolved(_))));
        }
    }

    #[test]
    fn blocking_resolver_is_abandoned_at_the_deadline() {
        let (release, blocked) = mpsc::channel::<()>();
        let start = Instant::now();
        let error = run(asking(Some(start + Duration::from_millis(50)), move || {
            let _ = blocked.recv();
            Ok(Vec::new())
        }))
        .unwrap_err();
        assert_eq!(error.to_string(), "no address for host name (the lookup took too long)");
        assert_eq!(error.errno(), Some(libc::EAGAIN));
        assert!(start.elapsed() < Duration::from_secs(10));
        drop(release);
    }

    #[test]
    fn an_answer_wakes_a_wait_that_has_no_deadline() {
        let (release, blocked) = mpsc::channel::<()>();
        let mut lookup = asking(None, move || {
            let _ = blocked.recv();
            Ok(addresses("::1"))
        });
        assert_eq!(lookup.step(Instant::now()).unwrap(), None);
        drop(release);
        assert_eq!(run(lookup).unwrap(), addresses("::1"));
    }

    #[test]
    fn a_resolver_that_panics_is_an_error() {
        let error = run(asking(None, || panic!("a test of panics"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no address for host name (invalid argument: a thread of the library has ended)"
        );
    }
}
