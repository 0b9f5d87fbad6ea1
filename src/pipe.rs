//! The lower end of a connection: the socket, and TLS over it.

use std::{net::Shutdown, sync::Arc};

use rustix::fd::OwnedFd;
use socket2::SockRef;

use super::carrier::Carrier;

/// The socket and TLS of a connection.
#[derive(Default)]
pub(crate) struct Pipe {
    /// TLS over the socket. Dropped before the socket is closed.
    pub(crate) carrier: Option<Arc<Carrier>>,
    pub(crate) socket: Option<OwnedFd>,
}

impl Pipe {
    /// Informs the peer in TLS that nothing more follows, unless that would have to wait.
    pub(crate) fn say_goodbye(&self) {
        if let Some(carrier) = &self.carrier {
            carrier.say_goodbye();
        }
    }

    /// Ends the waits of all calls that use it.
    pub(crate) fn shut_down(&self) {
        if let Some(socket) = &self.socket {
            // If the peer has gone, the socket is shut down already.
            let _ = SockRef::from(socket).shutdown(Shutdown::Both);
        }
    }
}
