//! A socket and TLS over it in one, for code that reads and writes.

use std::{
    io::{self, Read, Write},
    iter,
    os::fd::AsFd,
    sync::Arc,
};

use socket2::Socket;

use super::Session;
use crate::{error::Error, transport::tcp::Interrupted};

/// A socket of our own with a TLS session over it.
pub struct TlsSocket {
    socket: Socket,
    session: Arc<Session>,
    interrupted: Interrupted,
    scratch: Vec<u8>,
}

impl TlsSocket {
    /// Puts together what belongs together; the handshake is over.
    pub fn new(socket: Socket, session: Arc<Session>, interrupted: Interrupted) -> Self {
        Self { socket, session, interrupted, scratch: Vec::new() }
    }
}

impl Read for TlsSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.receive(self.socket.as_fd(), buffer, self.interrupted).map_err(into_io)
    }
}

impl Write for TlsSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { socket, session, interrupted, scratch } = self;
        session.send_all(socket.as_fd(), iter::once(bytes), scratch, *interrupted).map_err(into_io)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        self.session.close(self.socket.as_fd());
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::TimedOut => io::ErrorKind::WouldBlock.into(),
        Error::Interrupted => io::ErrorKind::Interrupted.into(),
        error => io::Error::other(error),
    }
}
