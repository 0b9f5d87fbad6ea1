//! A socket and TLS over it in one, for HTTP connections.

use std::{fmt, net::Shutdown, sync::Arc};

use rustix::fd::AsFd;
use socket2::Socket;

use super::Session;
use crate::{
    error::Result,
    transport::{
        deadline::Deadline,
        tunnel::Link,
        wait::{Patience, Until},
    },
};

/// A socket of our own with a TLS session over it.
pub struct TlsSocket {
    socket: Socket,
    session: Arc<Session>,
    patience: &'static dyn Patience,
}

impl TlsSocket {
    /// Puts together what belongs together; the handshake is over.
    pub fn new(socket: Socket, session: Arc<Session>, patience: &'static dyn Patience) -> Self {
        Self { socket, session, patience }
    }
}

impl Link for TlsSocket {
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        self.session.receive(self.socket.as_fd(), buffer, &Until::new(self.patience, deadline))
    }

    fn send(&self, pieces: &[&[u8]]) -> Result<()> {
        self.session.send_all(self.socket.as_fd(), pieces.iter().copied(), &mut Vec::new(), self.patience)
    }

    fn shut_down(&self) {
        // One whose peer has gone is shut down already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl fmt::Debug for TlsSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        self.session.close(self.socket.as_fd());
    }
}
