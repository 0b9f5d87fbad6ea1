//! A socket and TLS over it in one, for code that reads and writes.

use std::{
    io::{self, Read, Write},
    iter,
    os::fd::AsFd,
    sync::Arc,
};

use socket2::Socket;

use super::Session;
use crate::{error::Error, transport::wait::Patience};

/// A socket of our own with a TLS session over it.
pub struct TlsSocket {
    socket: Socket,
    session: Arc<Session>,
    patience: &'static dyn Patience,
    scratch: Vec<u8>,
}

impl TlsSocket {
    /// Puts together what belongs together; the handshake is over.
    pub fn new(socket: Socket, session: Arc<Session>, patience: &'static dyn Patience) -> Self {
        Self { socket, session, patience, scratch: Vec::new() }
    }
}

impl Read for TlsSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.receive(self.socket.as_fd(), buffer, self.patience).map_err(into_io)
    }
}

impl Write for TlsSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { socket, session, patience, scratch } = self;
        session.send_all(socket.as_fd(), iter::once(bytes), scratch, *patience).map_err(into_io)?;
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
