//! The differences between the sockets of Unix and of Windows.
//!
//! On Unix, a single call on a blocking socket can be told not to wait. On Windows only the socket itself can, so every socket
//! of this library is non-blocking there, and the flag is empty.

use std::{io, path::PathBuf};

use log::debug;
use rustix::{fd::BorrowedFd, io::ioctl_fionbio, net::RecvFlags};
use socket2::Socket;

/// Receives only available bytes.
#[cfg(not(windows))]
pub(crate) const RECEIVE_NOW: RecvFlags = RecvFlags::DONTWAIT;
#[cfg(windows)]
pub(crate) const RECEIVE_NOW: RecvFlags = RecvFlags::empty();

/// As [`RECEIVE_NOW`], for a vectored call, and for one that sends.
#[cfg(not(windows))]
pub(crate) const DONT_WAIT: i32 = libc::MSG_DONTWAIT;
#[cfg(windows)]
pub(crate) const DONT_WAIT: i32 = 0;

/// Prepares a socket that another program made for use by this library.
pub(crate) fn own(fd: BorrowedFd<'_>) {
    if cfg!(windows) {
        if let Err(error) = ioctl_fionbio(fd, true) {
            debug!("cannot make a socket non-blocking: {error}");
        }
    }
}

/// Two sockets that are connected to each other.
#[cfg(not(windows))]
pub(crate) fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None)
}

/// Two sockets that are connected to each other. Both ends check that the other one is theirs: any program of this machine can
/// connect to the listener.
#[cfg(windows)]
pub(crate) fn pair() -> io::Result<(Socket, Socket)> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    loop {
        let (far, from) = listener.accept()?;
        if from == near.local_addr()? {
            near.set_nonblocking(true)?;
            far.set_nonblocking(true)?;
            return Ok((near.into(), far.into()));
        }
    }
}

/// Whether a program has made a socket non-blocking, and so does not want to wait. Windows does not report this.
#[cfg(not(windows))]
pub fn is_non_blocking(socket: &Socket) -> io::Result<bool> {
    socket.nonblocking()
}
/// Whether a program has made a socket non-blocking. Windows does not report this.
#[cfg(windows)]
pub fn is_non_blocking(_: &Socket) -> io::Result<bool> {
    Ok(false)
}

/// Whether a program has ended receiving on a socket of this library with `shutdown`. `poll` reports that, except on Windows.
#[cfg(not(windows))]
pub(crate) fn is_shut_down(_: BorrowedFd<'_>) -> bool {
    false
}
/// Whether a program has ended receiving on a socket of this library with `shutdown`, which `WSAPoll` does not report.
#[cfg(windows)]
pub(crate) fn is_shut_down(fd: BorrowedFd<'_>) -> bool {
    matches!(rustix::net::recv(fd, &mut [0; 1], RecvFlags::PEEK), Err(rustix::io::Errno::SHUTDOWN))
}

/// A path from an option. Windows has paths in Unicode.
#[cfg(unix)]
pub fn path(bytes: &[u8]) -> PathBuf {
    <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).into()
}
/// A path from an option. Windows has paths in Unicode.
#[cfg(not(unix))]
pub fn path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}
