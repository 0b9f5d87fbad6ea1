//! The operating system's statistics of a TCP connection.

use std::time::Duration;

use rustix::fd::BorrowedFd;

/// Statistics of a socket; zeros if the system does not report them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// Bytes that the peer's system has not confirmed.
    pub(crate) unsent: u64,
    pub(crate) round_trip: Duration,
    /// Packets that were sent again.
    pub(crate) retransmissions: u64,
}

impl TcpInfo {
    /// The statistics of a socket, as far as the system reports them.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn of(socket: BorrowedFd<'_>) -> Self {
        use std::os::fd::AsRawFd;

        /// The positions of `tcpi_rtt` and `tcpi_total_retrans` in `struct tcp_info` (linux/tcp.h), which only ever grows.
        const ROUND_TRIP: usize = 17;
        const RETRANSMISSIONS: usize = 25;

        let unsent = unsent(socket).unwrap_or(0) as u64;
        let mut info = [0_u32; 26];
        let mut len = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the descriptor is open, and both pointers are valid for the bytes that are written.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut len,
            )
        };
        if result != 0 || (len as usize) < size_of_val(&info) {
            return Self { unsent, ..Self::default() };
        }
        Self {
            unsent,
            round_trip: Duration::from_micros(info[ROUND_TRIP].into()),
            retransmissions: info[RETRANSMISSIONS].into(),
        }
    }

    /// Not implemented on other systems.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn of(_: BorrowedFd<'_>) -> Self {
        Self::default()
    }
}

/// The number of bytes that the peer's system has not accepted yet.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn unsent(fd: BorrowedFd<'_>) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the system writes one number.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result == 0 { usize::try_from(count).ok() } else { None }
}

/// The number of bytes that the peer's system has not accepted yet.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn unsent(_: BorrowedFd<'_>) -> Option<usize> {
    None
}
