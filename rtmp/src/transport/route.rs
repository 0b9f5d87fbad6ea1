//! The way to a server: directly, or through a proxy, and from where on this machine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::Socket;

use super::{
    deadline::Deadline,
    local::Local,
    proxy::Proxy,
    wait::{Patience, run_to_socket},
};
use crate::{
    error::Result,
    net::{Dial, ProxyDialog},
    stats::Phases,
};

/// How a server is reached.
///
/// ```no_run
/// use std::time::Duration;
/// use rtmp::transport::{local::Local, route::Route, wait::Endless};
///
/// let route = Route { host: b"localhost", port: 1935, proxy: None, local: &Local::default() };
/// let (socket, _) = route.connect(Some(Duration::from_secs(10)), &Endless)?;
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
    /// have no bound yet. Also returns how long its making took.
    pub fn connect(&self, timeout: Option<Duration>, patience: &dyn Patience) -> Result<(Socket, Phases)> {
        let deadline = Deadline::after(timeout).or_sooner(patience.deadline());
        let (deadline, now) = (deadline.moment(), Instant::now());
        let mut dial = Dial::begin(self.host, self.port, self.proxy, self.local, deadline, now)?;
        let socket = run_to_socket(&mut dial, patience)?;
        Ok((socket, dial.phases()))
    }
}

impl Proxy {
    /// Has the proxy at the other end of `socket` connect us to a server. The socket is in blocking mode afterwards.
    pub fn open(
        &self,
        socket: Socket,
        host: &[u8],
        port: u16,
        deadline: Deadline,
        patience: &dyn Patience,
    ) -> Result<Socket> {
        let deadline = deadline.or_sooner(patience.deadline()).moment();
        let (proxy, socket, host) = (self.clone(), Arc::new(socket), host.to_vec());
        run_to_socket(ProxyDialog::begin(proxy, socket, host, port, deadline, Instant::now())?, patience)
    }
}
