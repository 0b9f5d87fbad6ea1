//! Where a link leads to.

use std::time::Duration;

use crate::transport::{local::Local, proxy::Proxy, tls::Trust};

/// A server, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address of the server, without brackets.
    pub host: Vec<u8>,
    /// Its port.
    pub port: u16,
    /// The proxy to go through, if there is one.
    pub proxy: Option<Proxy>,
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

impl Target {
    /// A server that is reached directly and without TLS, with no bound to the time that takes.
    pub fn new(host: &[u8], port: u16) -> Self {
        Self {
            host: host.to_vec(),
            port,
            proxy: None,
            local: Local::default(),
            tls: None,
            tunnelled: false,
            timeout: None,
        }
    }
}
