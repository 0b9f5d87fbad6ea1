//! What the bytes of a connection go through at its end: the socket, and TLS over it.

use std::{net::Shutdown, sync::Arc};

use rustix::fd::OwnedFd;
use socket2::SockRef;

use super::carrier::Carrier;

/// What bytes of a connection go through.
#[derive(Default)]
pub(crate) struct Pipe {
    /// TLS over the socket. Gone before the socket is closed.
    pub(crate) carrier: Option<Arc<Carrier>>,
    pub(crate) socket: Option<OwnedFd>,
}

impl Pipe {
    /// Tells the peer in TLS that nothing more will come, unless that would have to wait.
    pub(crate) fn say_goodbye(&self) {
        if let Some(carrier) = &self.carrier {
            carrier.say_goodbye();
        }
    }

    /// Ends the waits of everybody who uses it.
    pub(crate) fn shut_down(&self) {
        if let Some(socket) = &self.socket {
            // A socket whose peer has gone is shut down already.
            let _ = SockRef::from(socket).shutdown(Shutdown::Both);
        }
    }
}
