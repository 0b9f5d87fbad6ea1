//! Proxies that connect us to a server: SOCKS4, SOCKS4a, SOCKS5, and HTTP CONNECT, in TLS or not.
//!
//! [`Proxy`] is a proxy with its login; [`Negotiation`] is the dialog with it, without a socket. Bytes that the server sends
//! after the proxy's reply stay on the socket.

mod http;
mod negotiation;
mod socks4;
mod socks5;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use log::error;

use crate::{
    error::{Cause, Error, Result},
    options::number,
    text::Text,
    url::{UserInfo, authority},
};

pub use negotiation::{Negotiation, Next};

/// A proxy, and its login.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    /// Name or address, without brackets.
    host: Vec<u8>,
    port: u16,
    /// Empty if there is none.
    user: Vec<u8>,
    password: Vec<u8>,
}

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SOCKS4. Names are looked up here; a name that is not found is left to the proxy, as in SOCKS4a.
    Socks4,
    /// SOCKS4 with names that the proxy looks up.
    Socks4a,
    /// SOCKS5 (RFC 1928); the proxy looks names up.
    Socks5,
    /// HTTP CONNECT (RFC 9110, 9.3.6); the proxy looks names up.
    Http,
    /// The same in TLS with the proxy.
    Https,
}

/// The target for which the proxy makes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An address.
    Address(SocketAddr),
    /// A name of at most 255 visible characters, and a port.
    Name(&'a [u8], u16),
}

/// The text of a proxy in two parts, as programs see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Everything except the port: `host`, or `scheme://user:password@host`.
    pub host: &'a [u8],
    /// The text after the colon, if there is one.
    pub port: Option<&'a [u8]>,
    /// Whether there is a scheme.
    pub is_url: bool,
}

/// Splits `[scheme://[user[:password]@]]host[:port]`. An IPv6 address is in brackets, which stay.
pub fn split(text: &[u8]) -> Parts<'_> {
    let is_url = scheme(text).is_some();
    let text = if is_url { text.strip_suffix(b"/").unwrap_or(text) } else { text };
    let (_, host) = divide(text);
    let start = text.len() - host.len();
    // A colon in brackets belongs to the address.
    let address = match host.iter().position(|&byte| byte == b']') {
        Some(end) if host.starts_with(b"[") => end,
        _ => 0,
    };
    let colon = host[address..].iter().position(|&byte| byte == b':').map(|colon| start + address + colon);
    match colon {
        Some(colon) => Parts { host: &text[..colon], port: Some(&text[colon + 1..]), is_url },
        None => Parts { host: text, port: None, is_url },
    }
}

/// The port of a proxy whose text has none.
pub fn default_port(text: &[u8]) -> u16 {
    match scheme(text) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => 80,
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => 443,
        _ => 1080,
    }
}

impl Proxy {
    /// The proxy for `text`, which has no port: see [`split`]. Text without a scheme is a SOCKS4 proxy. User and password may
    /// have `%` escapes.
    pub fn new(text: &[u8], port: u16) -> Result<Self> {
        let kind = match scheme(text) {
            None => Kind::Socks4,
            Some(scheme) => Kind::from_scheme(scheme)?,
        };
        let (userinfo, host) = divide(text);
        let inside = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
        let proxy = Self {
            kind,
            host: inside.unwrap_or(host).to_vec(),
            port,
            user: userinfo.map(|info| info.decoded_user()).unwrap_or_default(),
            password: userinfo.map(|info| info.decoded_password()).unwrap_or_default(),
        };
        if proxy.host.is_empty() {
            return Err(Error::Invalid("the proxy has no host name"));
        }
        // A port that `split` could not remove, or an address that a program stored without brackets.
        let is_address = |host| std::str::from_utf8(host).is_ok_and(|host| host.parse::<IpAddr>().is_ok());
        if port == 0 || proxy.host.contains(&b':') && !is_address(&proxy.host) {
            return Err(Error::Invalid("the port of the proxy is no port"));
        }
        Ok(proxy)
    }

    /// The proxy for `text`, with or without a port.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let parts = split(text);
        let port = match parts.port {
            None => default_port(text),
            Some(port) => u16::try_from(number::decimal(port)).unwrap_or(0),
        };
        Self::new(parts.host, port)
    }

    /// Name or address of the proxy, without brackets.
    pub(crate) fn host(&self) -> &[u8] {
        &self.host
    }

    /// The port of the proxy.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The name that the certificate of an `https` proxy must have.
    pub(crate) fn name(&self) -> String {
        Text(&self.host).to_string()
    }

    /// Whether all bytes go to the proxy in TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.kind == Kind::Https
    }

    /// The protocol of the proxy, for the log.
    pub(crate) fn kind_name(&self) -> &'static str {
        self.kind.name()
    }

    /// The dialog with the proxy.
    pub fn negotiation(&self, target: Target<'_>) -> Result<Box<dyn Negotiation>> {
        Ok(match self.kind {
            Kind::Socks4 | Kind::Socks4a => {
                Box::new(socks4::Socks4::new(target, &self.user, &self.password)?)
            }
            Kind::Socks5 => Box::new(socks5::Socks5::new(target, &self.user, &self.password)?),
            Kind::Http | Kind::Https => Box::new(http::Http::new(target, &self.user, &self.password)?),
        })
    }

    /// Whether the address of `host` has to be looked up for the proxy. If it is not found, the proxy may still find it.
    pub(crate) fn needs_address(&self, host: &[u8]) -> bool {
        self.kind == Kind::Socks4 && address(host).is_none()
    }

    /// The target for the proxy: an address, or otherwise a name.
    pub(crate) fn target<'a>(&self, host: &'a [u8], port: u16) -> Result<Target<'a>> {
        if let Some(address) = address(host) {
            return Ok(Target::Address(SocketAddr::new(address, port)));
        }
        if host.is_empty() || host.len() > MAX_NAME || !host.iter().all(u8::is_ascii_graphic) {
            return Err(Error::Unresolved(format!("{} (this is no name)", Text(host)).into()));
        }
        Ok(Target::Name(host, port))
    }

    /// Adds the proxy to an error.
    pub(crate) fn failed(&self, error: Error) -> Error {
        let code = error.errno();
        let reason = match error {
            Error::Interrupted => return error,
            Error::TimedOut => "no answer in time".to_owned(),
            Error::Closed => "the proxy closed the connection".to_owned(),
            Error::Proxy(reason) if !matches!(self.kind, Kind::Http | Kind::Https) => {
                error!("SocksNegotiate, {reason}");
                reason.to_string()
            }
            error => error.to_string(),
        };
        let words = format!("{} negotiation failed. {}: {reason}", self.kind.name(), self.authority());
        Error::Proxy(Cause::new(words, code))
    }

    fn authority(&self) -> String {
        Text(&authority(&self.host, self.port)).to_string()
    }
}

/// Kind and address; never the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} proxy: {}", self.kind.name(), self.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Kind {
    fn from_scheme(scheme: &[u8]) -> Result<Self> {
        let found = SCHEMES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(scheme));
        found.map(|&(_, kind)| kind).ok_or(Error::Unsupported("the scheme of the proxy"))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Socks4 => "SOCKS",
            Self::Socks4a => "SOCKS4a",
            Self::Socks5 => "SOCKS5",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

fn address(host: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(host).ok()?.parse().ok()
}

fn scheme(text: &[u8]) -> Option<&[u8]> {
    let end = text.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
    Some(&text[..end])
}

/// The user information and the host, possibly with a port. Only text with a scheme has user information.
fn divide(text: &[u8]) -> (Option<UserInfo<'_>>, &[u8]) {
    match scheme(text) {
        Some(scheme) => UserInfo::split(&text[scheme.len() + SEPARATOR.len()..]),
        None => (None, text),
    }
}

const SCHEMES: [(&str, Kind); 6] = [
    ("socks4", Kind::Socks4),
    ("socks4a", Kind::Socks4a),
    ("socks5", Kind::Socks5),
    // The name that other programs use for a SOCKS5 proxy that looks names up.
    ("socks5h", Kind::Socks5),
    ("http", Kind::Http),
    ("https", Kind::Https),
];
const SEPARATOR: &[u8] = b"://";
/// The limit of SOCKS5, longer than any name.
const MAX_NAME: usize = 255;
