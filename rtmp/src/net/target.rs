//! Where a link leads to.

use std::{net::SocketAddr, time::Duration};

use crate::transport::{local::Local, proxy::Proxy, tls::Trust};

/// A server, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address of the server, without brackets.
    pub host: Vec<u8>,
    /// Its port.
    pub port: u16,
    /// What to connect to in order to get there.
    pub entry: Entry,
    /// The proxy to go through, if there is one.
    pub proxy: Option<Proxy>,
    /// Whom to trust about the certificate of an `https` proxy.
    pub proxy_trust: Trust,
    /// Our end of the connection.
    pub local: Local,
    /// For TLS: the name in the server's certificate, and whom to trust.
    pub tls: Option<(String, Trust)>,
    /// Whether bytes go through an HTTP tunnel (RTMPT).
    pub tunnelled: bool,
    /// How long each phase may take: reaching the server (look-up, connection and proxy together), the TLS handshake,
    /// and opening the tunnel. `None` sets no bound.
    pub timeout: Option<Duration>,
}

/// What the first socket of a connection leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entry {
    /// The host, or the proxy if there is one, whose name is looked up.
    #[default]
    Name,
    /// This address of the host or of the proxy.
    Address(SocketAddr),
    /// Nothing: there is one connection, which was made elsewhere, and no other can replace it.
    None,
}

impl Target {
    /// A server that is reached directly and without TLS, with no bound to the time that takes.
    pub fn new(host: &[u8], port: u16) -> Self {
        Self {
            host: host.to_vec(),
            port,
            entry: Entry::Name,
            proxy: None,
            proxy_trust: Trust::Platform,
            local: Local::default(),
            tls: None,
            tunnelled: false,
            timeout: None,
        }
    }
}
