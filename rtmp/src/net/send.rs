//! Sends without waiting.

use std::io::{self, IoSlice};

use rustix::fd::AsFd;
use socket2::Socket;

use crate::{error::Result, transport::tcp};

/// Sends as many bytes as the system accepts at once; 0 if it has no room.
pub(super) fn send_now(socket: &Socket, pieces: &[IoSlice<'_>]) -> Result<usize> {
    let pieces = &pieces[..pieces.len().min(MAX_PIECES)];
    loop {
        return match tcp::send_slices_now(socket.as_fd(), pieces) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        };
    }
}

/// The limit of pieces that a system accepts in one call (`IOV_MAX`).
const MAX_PIECES: usize = 1024;
