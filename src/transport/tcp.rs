//! Receiving and sending on TCP sockets that are connected.

use std::{
    io::{self, IoSlice, Read},
    net::Shutdown,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use log::debug;
use socket2::{MaybeUninitSlice, SockRef, Socket};

use crate::error::{Error, Result};

/// How many pieces go to the system in one call without being copied together first.
pub const MAX_SLICES: usize = 64;

/// Messages up to this length are put together: that costs less than to hand over pieces.
pub const SHORT: usize = 2048;

/// Tells whether a wait that a signal interrupted should end instead of going on.
pub type Interrupted = fn() -> bool;

/// Sets what every connection of ours has: no delay, and time-outs for receiving and sending.
pub fn configure(fd: BorrowedFd<'_>, timeout: Option<Duration>) {
    let socket = SockRef::from(&fd);
    let results =
        [socket.set_tcp_nodelay(true), socket.set_read_timeout(timeout), socket.set_write_timeout(timeout)];
    for error in results.into_iter().filter_map(io::Result::err) {
        debug!("cannot set a socket option: {error}");
    }
}

/// Gives a socket that somebody else made the time-outs that it does not have; tells whether it had none for receiving.
pub fn add_missing_timeouts(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> bool {
    let socket = SockRef::from(&fd);
    if matches!(socket.write_timeout(), Ok(None)) {
        let _ = socket.set_write_timeout(timeout);
    }
    let waits_for_ever = matches!(socket.read_timeout(), Ok(None));
    if waits_for_ever {
        let _ = socket.set_read_timeout(timeout);
    }
    waits_for_ever
}

/// Takes the time-out for receiving away again.
pub fn wait_for_ever(fd: BorrowedFd<'_>) {
    let _ = SockRef::from(&fd).set_read_timeout(None);
}

/// Waits for bytes and puts them into `buffer`; 0 means that the peer will send no more.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], interrupted: Interrupted) -> Result<usize> {
    let socket = SockRef::from(&fd);
    loop {
        match (&*socket).read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupted() => {}
            result => return Ok(result?),
        }
    }
}

/// As `receive`, into several places one after the other.
pub fn receive_vectored(
    fd: BorrowedFd<'_>,
    slices: &mut [MaybeUninitSlice<'_>],
    interrupted: Interrupted,
) -> Result<usize> {
    let socket = SockRef::from(&fd);
    loop {
        match socket.recv_vectored(slices) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupted() => {}
            result => return Ok(result?.0),
        }
    }
}

/// Sends what the system takes of one buffer.
pub fn send_some(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    Ok(SockRef::from(&fd).send_with_flags(bytes, NO_SIGNAL)?)
}

/// Sends what the system takes of one buffer at once.
pub fn send_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    Ok(SockRef::from(&fd).send_with_flags(bytes, NO_SIGNAL | libc::MSG_DONTWAIT)?)
}

/// Sends all pieces, in as few system calls as can be. `scratch` is used when there are too many of them for one
/// call; it keeps its memory for the next time.
pub fn send_all<'p>(
    fd: BorrowedFd<'_>,
    pieces: impl Iterator<Item = &'p [u8]>,
    scratch: &mut Vec<u8>,
    interrupted: Interrupted,
) -> Result<()> {
    let socket = SockRef::from(&fd);
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut used = 0;
    let mut pieces = pieces.peekable();
    while used < MAX_SLICES
        && let Some(piece) = pieces.next()
    {
        slices[used] = IoSlice::new(piece);
        used += 1;
    }
    // One piece is as good as put together, and what is rarely sent need not be kept room for.
    let short = used > 1 && slices[..used].iter().map(|slice| slice.len()).sum::<usize>() <= SHORT;
    if pieces.peek().is_none() && !short {
        return send_slices(&socket, &mut slices[..used], interrupted);
    }
    scratch.clear();
    slices.iter().for_each(|slice| scratch.extend_from_slice(slice));
    pieces.for_each(|piece| scratch.extend_from_slice(piece));
    send_slices(&socket, &mut [IoSlice::new(scratch)], interrupted)
}

/// Sends all of one buffer.
pub fn send_whole(fd: BorrowedFd<'_>, bytes: &[u8], interrupted: Interrupted) -> Result<()> {
    send_slices(&SockRef::from(&fd), &mut [IoSlice::new(bytes)], interrupted)
}

fn send_slices(socket: &Socket, mut slices: &mut [IoSlice<'_>], interrupted: Interrupted) -> Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        // The system has less to do for one piece.
        let result = match &*slices {
            [slice] => socket.send_with_flags(slice, NO_SIGNAL),
            slices => socket.send_vectored_with_flags(slices, NO_SIGNAL),
        };
        match result {
            Ok(0) => return Err(Error::Closed),
            Ok(sent) => IoSlice::advance_slices(&mut slices, sent),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupted() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A peer that is gone is an error of the call, not a signal to the process.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
pub(super) const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
/// There are no such flags for a call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
pub(super) const NO_SIGNAL: i32 = 0;

/// Ends the sending side and throws away what still comes until the peer has ended its own, at most for `limit`.
///
/// Closing a socket while received bytes are unread, or still arrive, makes the system drop what it has not sent yet.
pub fn linger(fd: BorrowedFd<'_>, limit: Duration, interrupted: Interrupted) {
    let socket = SockRef::from(&fd);
    let deadline = Instant::now() + limit;
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut unwanted = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match (&*socket).read(&mut unwanted) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupted() => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::fd::AsFd,
        thread,
    };

    use super::*;

    fn never() -> bool {
        false
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn pieces_arrive_in_order_whether_or_not_they_fit_into_one_call() {
        for count in [1, MAX_SLICES, MAX_SLICES + 1, 5000] {
            let (near, mut far) = pair();
            let pieces: Vec<Vec<u8>> = (0..count).map(|index| vec![index as u8; 1 + index % 300]).collect();
            let expected = pieces.concat();
            let sender = thread::spawn(move || {
                let slices = pieces.iter().map(Vec::as_slice);
                send_all(near.as_fd(), slices, &mut Vec::new(), never).unwrap();
            });
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            sender.join().unwrap();
            assert!(received == expected, "{count} pieces");
        }
    }

    #[test]
    fn silence_is_a_timeout_and_a_closed_peer_is_the_end() {
        let (near, mut far) = pair();
        configure(near.as_fd(), Some(Duration::from_millis(20)));
        let mut buffer = [0; 8];
        assert!(matches!(receive(near.as_fd(), &mut buffer, never), Err(Error::TimedOut)));
        far.write_all(b"abc").unwrap();
        assert_eq!(receive(near.as_fd(), &mut buffer, never).unwrap(), 3);
        drop(far);
        assert_eq!(receive(near.as_fd(), &mut buffer, never).unwrap(), 0);
    }

    #[test]
    fn what_was_sent_arrives_although_the_peer_said_something_nobody_read() {
        let (near, mut far) = pair();
        let block = vec![7; 4 << 20];
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            // An answer on its way when the sender closes.
            for _ in 0..64 {
                let mut piece = [0; 4096];
                far.read_exact(&mut piece).unwrap();
                received.extend(piece);
                far.write_all(b"acknowledged").unwrap();
            }
            far.read_to_end(&mut received).unwrap();
            received.len()
        });
        send_all(near.as_fd(), std::iter::once(&block[..]), &mut Vec::new(), never).unwrap();
        linger(near.as_fd(), Duration::from_secs(20), never);
        drop(near);
        assert_eq!(reader.join().unwrap(), 4 << 20);
    }

    #[test]
    fn lingering_ends_in_time() {
        let (near, _far) = pair();
        linger(near.as_fd(), Duration::from_millis(30), never);
    }

    #[test]
    fn a_peer_that_does_not_read_is_a_timeout() {
        let (near, _far) = pair();
        configure(near.as_fd(), Some(Duration::from_millis(50)));
        let block = vec![0; 1 << 20];
        let result = send_all(near.as_fd(), std::iter::repeat_n(&block[..], 64), &mut Vec::new(), never);
        assert!(matches!(result, Err(Error::TimedOut)));
    }
}
