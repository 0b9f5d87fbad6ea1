//! The way to a server: directly, or through a proxy, and from where on this machine.

use std::time::Duration;

use socket2::Socket;

use super::{
    connect::connect, deadline::Deadline, local::Local, proxy::Proxy, resolve::resolve, wait::Patience,
};
use crate::error::Result;

/// How a server is reached.
///
/// ```no_run
/// use std::time::Duration;
/// use rtmp::transport::{local::Local, route::Route, wait::Endless};
///
/// let route = Route { host: b"localhost", port: 1935, proxy: None, local: &Local::default() };
/// let socket = route.connect(Some(Duration::from_secs(10)), &Endless)?;
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// Name or address of the server, without brackets.
    pub host: &'a [u8],
    /// Its port.
    pub port: u16,
    /// The proxy to go through, if there is one.
    pub proxy: Option<&'a Proxy>,
    /// Our end of the connection.
    pub local: &'a Local,
}

impl Route<'_> {
    /// A connection to the server, all of it within `timeout`, and at the latest when `patience` ends. Its later waits
    /// have no bound yet.
    pub fn connect(&self, timeout: Option<Duration>, patience: &dyn Patience) -> Result<Socket> {
        let deadline = Deadline::after(timeout).or_sooner(patience.deadline());
        match self.proxy {
            Some(proxy) => {
                let socket = proxy.connect(self.local, deadline, patience)?;
                proxy.open(socket, self.host, self.port, deadline, patience)
            }
            None => {
                let addresses = resolve(self.host, self.port, self.local.reachable()?, deadline, patience)?;
                connect(&addresses, self.local, deadline, patience)
            }
        }
    }
}
