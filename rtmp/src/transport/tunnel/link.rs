//! An HTTP connection on the server's side of a tunnel.

use std::{
    fmt,
    net::{Shutdown, TcpStream},
};

use rustix::fd::AsFd;

use crate::{
    error::Result,
    transport::{
        deadline::Deadline,
        tcp,
        wait::{Endless, Until},
    },
};

/// An HTTP connection, for the thread that serves it and for those that end it.
pub trait Link: fmt::Debug + Send + Sync + 'static {
    /// Waits for bytes, at most until `deadline`, and puts them into `buffer`; 0 when the peer will send no more.
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize>;

    /// Sends all pieces.
    fn send(&self, pieces: &[&[u8]]) -> Result<()>;

    /// Ends the connection, and the waits of its thread.
    fn shut_down(&self);
}

impl Link for TcpStream {
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        tcp::receive(self.as_fd(), buffer, &Until::new(&Endless, deadline))
    }

    fn send(&self, pieces: &[&[u8]]) -> Result<()> {
        tcp::send_all(self.as_fd(), pieces.iter().copied(), &mut Vec::new(), &Endless)
    }

    fn shut_down(&self) {
        // One whose peer has gone is shut down already.
        let _ = self.shutdown(Shutdown::Both);
    }
}
