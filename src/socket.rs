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
/// `socket` is open, and nobody else closes it.
pub(crate) unsafe fn from_c(socket: c_int) -> OwnedFd {
    // SAFETY: it is open, and nobody else closes it, by the Safety section.
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

#[cfg(unix)]
fn raw(socket: c_int) -> RawFd {
    socket
}
// Sign-extended, as in programs that compare with INVALID_SOCKET.
#[cfg(windows)]
fn raw(socket: c_int) -> RawFd {
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
