//! The target of a link.

use std::{net::SocketAddr, time::Duration};

use crate::transport::{local::Local, proxy::Proxy, tls::Trust};

/// A server, and the way to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address of the server, without brackets.
    pub host: Vec<u8>,
    /// Its port.
    pub port: u16,
    /// The first address to connect to.
    pub entry: Entry,
    /// The proxy to go through, if there is one.
    pub proxy: Option<Proxy>,
    /// The trusted certificates for an `https` proxy.
    pub proxy_trust: Trust,
    /// The local end of the connection.
    pub local: Local,
    /// For TLS: the name in the server's certificate, and the trusted certificates.
    pub tls: Option<(String, Trust)>,
    /// Whether bytes go through an HTTP tunnel (RTMPT).
    pub tunnelled: bool,
    /// The limit of each phase: reaching the server (look-up, connection and proxy together), the TLS handshake, and opening
    /// the tunnel. `None` sets no limit.
    pub timeout: Option<Duration>,
}

/// The target of the first socket of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entry {
    /// The host, or the proxy if there is one, whose name is looked up.
    #[default]
    Name,
    /// This address of the host or of the proxy.
    Address(SocketAddr),
    /// Nothing: there is one connection, which was made elsewhere, and it cannot be replaced.
    None,
}

impl Target {
    /// A server that is reached directly and without TLS, without a time limit.
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
