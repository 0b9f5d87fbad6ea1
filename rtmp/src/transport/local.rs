//! Our end of a connection: the local addresses and interfaces to use, and the family of addresses.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use log::debug;
use rustix::fd::{AsFd, BorrowedFd};
use socket2::{Socket, TcpKeepalive};

use crate::{
    error::{Cause, Error, Result},
    text::Text,
};

/// The family of the addresses that connections may be made to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv6 and IPv4.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The local end of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A local address; only addresses of its family can be reached from it.
    Address(IpAddr),
    /// The name of a network interface, for example `eth0`.
    Interface(String),
}

/// A program's settings for the local end of its connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// The local address or interface; `None` lets the system choose.
    pub bind: Option<Bind>,
    /// The permitted family of addresses.
    pub family: Family,
    /// Whether the system may delay bytes to send more of them together: the option `nodelay`.
    pub delays: bool,
    /// The time of silence after which the system probes the peer: the option `keepalive`.
    pub keep_alive: Option<Duration>,
    /// Called for each socket before it is connected.
    pub hook: Option<SocketHook>,
}

/// A function of the program that receives each socket before it is connected. An error ends the whole attempt.
#[derive(Clone)]
pub struct SocketHook(Arc<dyn Fn(BorrowedFd<'_>) -> Result<()> + Send + Sync>);

impl SocketHook {
    /// A hook that calls this function, in the thread that connects.
    pub fn new(hook: impl Fn(BorrowedFd<'_>) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for SocketHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketHook")
    }
}

impl PartialEq for SocketHook {
    /// Whether it is the same function.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SocketHook {}

impl Family {
    /// The family of an IP version; 0 means any.
    pub fn from_version(version: i32) -> Result<Self> {
        match version {
            0 => Ok(Self::Any),
            4 => Ok(Self::V4),
            6 => Ok(Self::V6),
            _ => Err(Error::Invalid("the version of IP is neither 4 nor 6")),
        }
    }

    /// Whether an address belongs to this family.
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// The family in log lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

impl Bind {
    /// An address, or otherwise the name of an interface; empty text is `None`.
    pub fn parse(text: &[u8]) -> Result<Option<Self>> {
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(Error::Invalid("bind, the name of an interface is text"));
        };
        if text.is_empty() {
            return Ok(None);
        }
        let address = text.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = address.parse() {
            return Ok(Some(Self::Address(address)));
        }
        if text.len() > MAX_INTERFACE || text.contains(|c: char| c.is_whitespace() || c == '/' || c == '\0') {
            return Err(Error::Invalid("bind, this is neither an address nor the name of an interface"));
        }
        Ok(Some(Self::Interface(text.to_owned())))
    }
}

impl Local {
    /// Sets `keepalive`, in seconds.
    pub fn set_keep_alive(&mut self, seconds: i32) -> Result<()> {
        let seconds = u64::try_from(seconds).map_err(|_| Error::Invalid("keepalive is less than 0"))?;
        self.keep_alive = (seconds > 0).then(|| Duration::from_secs(seconds));
        Ok(())
    }

    /// The family of the addresses that can be connected to.
    pub fn reachable(&self) -> Result<Family> {
        match (&self.bind, self.family) {
            (Some(Bind::Address(IpAddr::V4(_))), Family::V6)
            | (Some(Bind::Address(IpAddr::V6(_))), Family::V4) => {
                Err(Error::Invalid("bind and ipv name different versions of IP"))
            }
            (Some(Bind::Address(IpAddr::V4(_))), _) => Ok(Family::V4),
            (Some(Bind::Address(IpAddr::V6(_))), _) => Ok(Family::V6),
            (_, family) => Ok(family),
        }
    }

    /// Prepares a new socket with the program's settings.
    pub(crate) fn prepare(&self, socket: &Socket) -> Result<()> {
        self.apply(socket)?;
        let probes = self.keep_alive.map_or(Ok(()), |time| {
            let probes = TcpKeepalive::new().with_time(time);
            #[cfg(not(any(target_os = "openbsd", target_os = "haiku", target_os = "redox")))]
            let probes = probes.with_interval(time);
            socket.set_tcp_keepalive(&probes)
        });
        for result in [socket.set_tcp_nodelay(!self.delays), probes] {
            if let Err(error) = result {
                debug!("cannot set a socket option: {error}");
            }
        }
        self.hook.as_ref().map_or(Ok(()), |hook| (hook.0)(socket.as_fd()))
    }

    /// Binds a new socket according to the program's settings.
    fn apply(&self, socket: &Socket) -> Result<()> {
        match &self.bind {
            None => Ok(()),
            Some(Bind::Address(address)) => socket
                .bind(&SocketAddr::new(*address, 0).into())
                .map_err(|error| unusable(format_args!("local address {address}"), &error)),
            Some(Bind::Interface(name)) => bind_to_interface(socket, name),
        }
    }
}

#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
fn bind_to_interface(socket: &Socket, name: &str) -> Result<()> {
    socket
        .bind_device(Some(name.as_bytes()))
        .map_err(|error| unusable(format_args!("network interface {}", Text(name.as_bytes())), &error))
}

#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
fn bind_to_interface(_: &Socket, name: &str) -> Result<()> {
    let name = Text(name.as_bytes());
    Err(Error::Unreachable(
        format!("this system takes no interface by its name ({name}), bind to its address").into(),
    ))
}

fn unusable(what: fmt::Arguments<'_>, error: &io::Error) -> Error {
    Error::Unreachable(Cause::new(format!("cannot use {what}: {error}"), error.raw_os_error()))
}

/// Names of interfaces are shorter than `IFNAMSIZ`, 16 bytes with a NUL.
const MAX_INTERFACE: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_address_names_an_interface() {
        let address = |text: &str| Some(Bind::Address(text.parse().unwrap()));
        assert_eq!(Bind::parse(b"127.0.0.1").unwrap(), address("127.0.0.1"));
        assert_eq!(Bind::parse(b"::1").unwrap(), address("::1"));
        assert_eq!(Bind::parse(b"[::1]").unwrap(), address("::1"));
        assert_eq!(Bind::parse(b"eth0").unwrap(), Some(Bind::Interface("eth0".to_owned())));
        assert_eq!(Bind::parse(b"").unwrap(), None);
        for wrong in [&b"a name of an interface"[..], b"sixteen.letters.", b"a b", b"a/b", b"\xff"] {
            assert!(Bind::parse(wrong).is_err(), "{}", Text(wrong));
        }
    }

    #[test]
    fn a_local_address_decides_which_addresses_can_be_reached() {
        let local = |bind: &str, family| Local {
            bind: Bind::parse(bind.as_bytes()).unwrap(),
            family,
            ..Local::default()
        };
        assert_eq!(local("127.0.0.1", Family::Any).reachable().unwrap(), Family::V4);
        assert_eq!(local("::1", Family::V6).reachable().unwrap(), Family::V6);
        assert_eq!(local("lo", Family::V6).reachable().unwrap(), Family::V6);
        assert!(local("::1", Family::V4).reachable().is_err());
        assert!(Family::from_version(5).is_err());
    }
}
