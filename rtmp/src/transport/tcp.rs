//! Receives and sends on connected TCP sockets.
//!
//! A call that has bytes, or room for them, makes only one system call. Otherwise it waits, see [`wait`](super::wait).

use std::{
    io::{self, IoSlice},
    net::Shutdown,
    time::Duration,
};

use log::debug;
use rustix::{
    fd::BorrowedFd,
    net::{RecvFlags, recv},
};
use socket2::{MaybeUninitSlice, SockRef};

use super::{
    deadline::Deadline,
    wait::{Patience, SLICE, Until, Wait},
};
use crate::{
    error::{Error, Result},
    system::{self, DONT_WAIT, RECEIVE_NOW},
};

/// The limit of pieces that go to the system in one call without being copied together first.
pub const MAX_SLICES: usize = 64;

/// Messages up to this length are copied into one piece, which costs less than passing several.
pub const SHORT: usize = 2048;

/// This many bytes are worth a system call of their own.
const MUCH: usize = 64 << 10;

/// The limit of bytes that are copied together for one call, so that long messages need no memory of their length.
pub const MOST_PUT_TOGETHER: usize = 256 << 10;

/// Sets the timeouts for receiving and sending of our connections, besides the options of [`Local`](super::local::Local).
pub fn configure(fd: BorrowedFd<'_>, timeout: Option<Duration>) {
    system::own(fd);
    let socket = SockRef::from(&fd);
    let results = [socket.set_read_timeout(timeout), socket.set_write_timeout(timeout)];
    for error in results.into_iter().filter_map(io::Result::err) {
        debug!("cannot set a socket option: {error}");
    }
}

/// Makes closing this socket reset the connection; unsent bytes are dropped.
pub fn reset_at_close(fd: BorrowedFd<'_>) {
    if let Err(error) = SockRef::from(&fd).set_linger(Some(Duration::ZERO)) {
        debug!("cannot set a socket option: {error}");
    }
}

/// Gives a socket that was made elsewhere the timeouts that it lacks; returns whether it had none for receiving.
pub fn add_missing_timeouts(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> bool {
    system::own(fd);
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

/// Removes the timeout for receiving again.
pub fn wait_for_ever(fd: BorrowedFd<'_>) {
    let _ = SockRef::from(&fd).set_read_timeout(None);
}

/// Waits for bytes and copies them into `buffer`; 0 means that the peer has ended its side.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], patience: &dyn Patience) -> Result<usize> {
    receive_within(fd, buffer, &mut Wait::for_bytes(patience))
}

/// As `receive`, as a part of a longer wait.
pub(super) fn receive_within(fd: BorrowedFd<'_>, buffer: &mut [u8], wait: &mut Wait<'_>) -> Result<usize> {
    let count = wait.receive(fd, |waits| {
        let flags = if waits { RecvFlags::empty() } else { RECEIVE_NOW };
        Ok(recv(fd, &mut *buffer, flags)?.1)
    })?;
    ended_by_peer(count, wait)
}

/// Lets the system wait for bytes, as a part of a longer wait, and copies them into `buffer`; 0 means that the peer has ended its
/// side. `None` if something else than the socket may end the wait.
pub fn receive_in_system(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    wait: &mut Wait<'_>,
) -> Result<Option<usize>> {
    wait.receive_in_system(fd, || Ok(recv(fd, &mut *buffer, RecvFlags::empty())?.1))
}

/// As `receive`, into several places one after the other.
pub fn receive_vectored(
    fd: BorrowedFd<'_>,
    slices: &mut [MaybeUninitSlice<'_>],
    patience: &dyn Patience,
) -> Result<usize> {
    let socket = SockRef::from(&fd);
    let mut wait = Wait::for_bytes(patience);
    let received =
        wait.receive(fd, |waits| socket.recv_vectored_with_flags(slices, if waits { 0 } else { DONT_WAIT }))?;
    ended_by_peer(received.0, &wait)
}

/// Copies available bytes into `buffer`; `None` if there are none yet.
pub fn receive_now(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>> {
    now(|| receive_at_once(fd, buffer))
}

/// Copies available bytes into `buffer`; fails if there are none yet, and for every other reason of the system.
pub fn receive_at_once(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(recv(fd, &mut *buffer, RECEIVE_NOW)?.1)
}

/// As `receive_now`, into several places one after the other.
pub fn receive_vectored_now(
    fd: BorrowedFd<'_>,
    slices: &mut [MaybeUninitSlice<'_>],
) -> Result<Option<usize>> {
    let socket = SockRef::from(&fd);
    now(|| Ok(socket.recv_vectored_with_flags(slices, DONT_WAIT)?.0))
}

/// The result of a call that does not wait. If it has to wait, or if the connection has ended, a later call reports that in
/// more detail.
fn now(receive: impl FnOnce() -> io::Result<usize>) -> Result<Option<usize>> {
    match receive() {
        Ok(count) => Ok((count > 0).then_some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// As `receive`, but leaves the bytes on the socket.
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8], patience: &dyn Patience) -> Result<usize> {
    let mut wait = Wait::for_bytes(patience);
    let count = wait.receive(fd, |waits| {
        let flags = if waits { RecvFlags::empty() } else { RECEIVE_NOW };
        Ok(recv(fd, &mut *buffer, flags | RecvFlags::PEEK)?.1)
    })?;
    ended_by_peer(count, &wait)
}

/// A connection that this side has shut down also ends without an error.
fn ended_by_peer(count: usize, wait: &Wait<'_>) -> Result<usize> {
    if count == 0 && wait.is_over() { Err(Error::Interrupted) } else { Ok(count) }
}

/// Waits until the system accepts a part of one buffer, and returns how many bytes that was.
pub fn send_some(fd: BorrowedFd<'_>, bytes: &[u8], patience: &dyn Patience) -> Result<usize> {
    send_within(fd, bytes, &mut Wait::for_room(patience))
}

/// As `send_some`, as a part of a longer wait.
pub(super) fn send_within(fd: BorrowedFd<'_>, bytes: &[u8], wait: &mut Wait<'_>) -> Result<usize> {
    let socket = SockRef::from(&fd);
    wait.attempt(fd, || socket.send_with_flags(bytes, NOW))
}

/// Sends what the system accepts of one buffer at once.
pub fn send_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    Ok(SockRef::from(&fd).send_with_flags(bytes, NOW)?)
}

/// Sends all pieces, in as few system calls as possible; the socket's timeout limits the whole call. `scratch` is used to
/// assemble short pieces; it keeps its memory for the next time.
pub fn send_all<'p>(
    fd: BorrowedFd<'_>,
    pieces: impl Iterator<Item = &'p [u8]>,
    scratch: &mut Vec<u8>,
    patience: &dyn Patience,
) -> Result<()> {
    let mut wait = Wait::for_room(patience);
    let mut pieces = pieces.peekable();
    loop {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (mut used, mut len) = (0, 0);
        while used < MAX_SLICES {
            let Some(piece) = pieces.next() else { break };
            slices[used] = IoSlice::new(piece);
            len += piece.len();
            used += 1;
        }
        // A single piece is already assembled, and rare messages need no permanent memory.
        let short = used > 1 && len <= SHORT;
        if len >= MUCH || (pieces.peek().is_none() && !short) {
            send_slices(fd, &mut slices[..used], len, &mut wait)?;
        } else {
            scratch.clear();
            slices.iter().for_each(|slice| scratch.extend_from_slice(slice));
            while scratch.len() < MOST_PUT_TOGETHER {
                let Some(piece) = pieces.next() else { break };
                scratch.extend_from_slice(piece);
            }
            send_slices(fd, &mut [IoSlice::new(scratch)], scratch.len(), &mut wait)?;
        }
        if pieces.peek().is_none() {
            return Ok(());
        }
    }
}

/// Sends slices of `len` bytes in all.
fn send_slices(
    fd: BorrowedFd<'_>,
    slices: &mut [IoSlice<'_>],
    len: usize,
    wait: &mut Wait<'_>,
) -> Result<()> {
    match send_slices_now(fd, slices) {
        Ok(sent) if sent == len => Ok(()),
        first => send_rest_within(fd, slices, first, wait),
    }
}

/// Sends what the system accepts of some pieces at once.
#[inline]
pub fn send_slices_now(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    match slices {
        // One piece costs the system less.
        [slice] => socket.send_with_flags(slice, NOW),
        slices => socket.send_vectored_with_flags(slices, NOW),
    }
}

/// Sends the rest of some pieces, where `first` is the result of the first attempt; the socket's timeout limits it.
#[cold]
pub fn send_rest(
    fd: BorrowedFd<'_>,
    slices: &mut [IoSlice<'_>],
    first: io::Result<usize>,
    patience: &dyn Patience,
) -> Result<()> {
    send_rest_within(fd, slices, first, &mut Wait::for_room(patience))
}

/// As `send_rest`, as a part of a longer wait.
fn send_rest_within(
    fd: BorrowedFd<'_>,
    mut slices: &mut [IoSlice<'_>],
    first: io::Result<usize>,
    wait: &mut Wait<'_>,
) -> Result<()> {
    let mut first = Some(first);
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let sent = wait.attempt(fd, || first.take().unwrap_or_else(|| send_slices_now(fd, slices)))?;
        if sent == 0 {
            return Err(Error::Closed);
        }
        IoSlice::advance_slices(&mut slices, sent);
        if !slices.is_empty() {
            // The system accepted what it had room for.
            wait.ready(fd)?;
        }
    }
    Ok(())
}

/// Writing to a closed connection is an error of the call, not a signal to the process.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
pub(super) const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
/// This system has no such flag for a call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
pub(super) const NO_SIGNAL: i32 = 0;

/// Flags of every call that sends.
const NOW: i32 = NO_SIGNAL | DONT_WAIT;

/// Ends the sending side and drops received bytes until the peer has ended its own side, or has accepted none of our bytes for
/// [`LINGER`].
///
/// Closing a socket while received bytes are unread, or still arrive, makes the system drop its unsent bytes. `unsent` returns
/// their number, if it is known.
pub fn linger(fd: BorrowedFd<'_>, unsent: impl Fn() -> Option<usize>, patience: &dyn Patience) {
    let socket = SockRef::from(&fd);
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut unwanted = [0; 4096];
    let mut rest = unsent();
    let mut quiet = Deadline::after(Some(LINGER));
    loop {
        let until = Until::new(patience, quiet);
        match receive(fd, &mut unwanted, &Until::new(&until, Deadline::after(Some(SLICE)))) {
            Ok(0) => return,
            Ok(_) | Err(Error::TimedOut) => {}
            Err(_) => return,
        }
        let before = std::mem::replace(&mut rest, unsent());
        if rest < before && patience.deadline().left().is_ok() {
            quiet = Deadline::after(Some(LINGER));
        } else if until.deadline().left().is_err() || patience.is_over() {
            return;
        }
    }
}

/// The time for which a peer may leave our last bytes unread.
pub const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        thread,
        time::Instant,
    };

    use rustix::fd::AsFd;

    use super::*;
    use crate::transport::wait::Endless;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        system::own(near.as_fd());
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn pieces_arrive_in_order_whether_or_not_they_fit_into_one_call() {
        for (count, longest) in [(1, 300), (MAX_SLICES, 300), (MAX_SLICES + 1, 300), (5000, 300), (200, 9000)]
        {
            let (near, mut far) = pair();
            let piece = |index| vec![index as u8; 1 + (index * 97) % longest];
            let pieces: Vec<Vec<u8>> = (0..count).map(piece).collect();
            let expected = pieces.concat();
            let sender = thread::spawn(move || {
                let slices = pieces.iter().map(Vec::as_slice);
                send_all(near.as_fd(), slices, &mut Vec::new(), &Endless).unwrap();
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
        assert!(matches!(receive(near.as_fd(), &mut buffer, &Endless), Err(Error::TimedOut)));
        far.write_all(b"abc").unwrap();
        assert_eq!(receive(near.as_fd(), &mut buffer, &Endless).unwrap(), 3);
        drop(far);
        assert_eq!(receive(near.as_fd(), &mut buffer, &Endless).unwrap(), 0);
    }

    #[test]
    fn sent_bytes_arrive_although_bytes_from_the_peer_are_unread() {
        let (near, mut far) = pair();
        let block = vec![7; 4 << 20];
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            // An answer that is in transit when the sender closes.
            for _ in 0..64 {
                let mut piece = [0; 4096];
                far.read_exact(&mut piece).unwrap();
                received.extend(piece);
                far.write_all(b"acknowledged").unwrap();
            }
            far.read_to_end(&mut received).unwrap();
            received.len()
        });
        send_all(near.as_fd(), std::iter::once(&block[..]), &mut Vec::new(), &Endless).unwrap();
        linger(near.as_fd(), || None, &Endless);
        drop(near);
        assert_eq!(reader.join().unwrap(), 4 << 20);
    }

    #[test]
    fn lingering_ends_in_time() {
        let (near, _far) = pair();
        linger(near.as_fd(), || None, &Endless);
        let (near, _far) = pair();
        let start = Instant::now();
        linger(near.as_fd(), || Some(1), &Until::new(&Endless, Deadline::after(Some(Duration::ZERO))));
        assert!(start.elapsed() < LINGER);
    }

    #[test]
    fn lingering_continues_while_the_peer_reads() {
        let (near, mut far) = pair();
        let left = std::cell::Cell::new(30);
        let start = Instant::now();
        linger(
            near.as_fd(),
            || {
                left.set(left.get() - 1);
                if left.get() == 0 {
                    // The peer ends its side.
                    far.shutdown(Shutdown::Write).unwrap();
                }
                Some(left.get().max(0) as usize)
            },
            &Endless,
        );
        assert!(start.elapsed() >= LINGER, "{:?}", start.elapsed());
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_peer_that_does_not_read_is_a_timeout() {
        let (near, _far) = pair();
        configure(near.as_fd(), Some(Duration::from_millis(50)));
        let block = vec![0; 1 << 20];
        let result = send_all(near.as_fd(), std::iter::repeat_n(&block[..], 64), &mut Vec::new(), &Endless);
        assert!(matches!(result, Err(Error::TimedOut)));
    }

    #[test]
    fn a_peer_that_reads_too_slowly_is_a_timeout_of_the_whole_message() {
        let (near, mut far) = pair();
        configure(near.as_fd(), Some(Duration::from_millis(400)));
        let reader = thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while far.read(&mut piece).is_ok_and(|count| count > 0) {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let block = vec![0; 1 << 20];
        let start = Instant::now();
        let result = send_all(near.as_fd(), std::iter::repeat_n(&block[..], 64), &mut Vec::new(), &Endless);
        assert!(matches!(result, Err(Error::TimedOut)));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        drop(near);
        reader.join().unwrap();
    }
}
