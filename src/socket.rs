//! Sockets in C's form: in an `int`, on Windows as well, where librtmp's structs store a `SOCKET` in one. The handles of
//! Windows fit.

use libc::c_int;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Passes a socket to C.
pub(crate) fn into_c(socket: impl IntoRawFd) -> c_int {
    number(socket.into_raw_fd())
}

/// The number of a socket in C.
pub(crate) fn number_of(socket: BorrowedFd<'_>) -> c_int {
    number(socket.as_raw_fd())
}

/// A socket that C owns, for the time of a call.
///
/// # Safety
/// `socket` is open, and not closed while the result is used.
pub(crate) unsafe fn borrow<'a>(socket: c_int) -> BorrowedFd<'a> {
    // SAFETY: it is open, and so not -1, and not closed while the result is used, by the Safety section.
    unsafe { BorrowedFd::borrow_raw(raw(socket)) }
}

/// Takes a socket from C.
///
/// # Safety
/// `socket` is open, and nothing else closes it.
pub(crate) unsafe fn from_c(socket: c_int) -> OwnedFd {
    // SAFETY: it is open, and nothing else closes it, by the Safety section.
    unsafe { OwnedFd::from_raw_fd(raw(socket)) }
}

/// Closes a socket, and returns the result of C's `close`.
///
/// # Safety
/// `socket` is the caller's to close.
#[cfg(unix)]
pub(crate) unsafe fn close(socket: c_int) -> c_int {
    // SAFETY: any number may be tried, and an open one is the caller's, by the Safety section.
    unsafe { libc::close(socket) }
}
#[cfg(windows)]
pub(crate) unsafe fn close(socket: c_int) -> c_int {
    if socket == -1 {
        return -1;
    }
    // SAFETY: it is the caller's to close, by the Safety section.
    drop(unsafe { from_c(socket) });
    0
}

#[cfg(unix)]
fn number(socket: RawFd) -> c_int {
    socket
}
#[cfg(windows)]
fn number(socket: RawFd) -> c_int {
    socket as c_int
}

/// The number of a socket of C for the system.
#[cfg(unix)]
pub(crate) fn raw(socket: c_int) -> RawFd {
    socket
}
// Sign-extended, as in programs that compare with INVALID_SOCKET.
#[cfg(windows)]
pub(crate) fn raw(socket: c_int) -> RawFd {
    socket as RawFd
}

#[cfg(unix)]
pub(crate) use libc::{POLLIN, POLLOUT, pollfd};

/// The argument of `poll` in Winsock (`WSAPOLLFD`).
#[cfg(windows)]
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct pollfd {
    pub fd: RawFd,
    pub events: libc::c_short,
    pub revents: libc::c_short,
}
#[cfg(windows)]
pub(crate) const POLLIN: libc::c_short = 0x0300;
#[cfg(windows)]
pub(crate) const POLLOUT: libc::c_short = 0x0010;

/// Two sockets of a test that are connected with each other.
#[cfg(all(test, not(windows)))]
pub(crate) fn pair() -> (socket2::Socket, socket2::Socket) {
    socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("there are descriptors")
}
/// Two sockets of a test that are connected with each other. The first one is the library's, and so does not block.
#[cfg(all(test, windows))]
pub(crate) fn pair() -> (socket2::Socket, socket2::Socket) {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (far, _) = listener.accept().expect("a connection waits");
    near.set_nonblocking(true).expect("it is open");
    far.set_nodelay(true).expect("it is open");
    (near.into(), far.into())
}
