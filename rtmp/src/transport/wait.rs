//! Waits for a socket: within a limit, and in slices, so that a wait can be ended early.
//!
//! A signal alone does not end a wait. It reaches one thread of a process, which need not be the one that waits, and its
//! handler may be installed so that system calls continue after it.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    fd::BorrowedFd,
    io::ioctl_fionread,
};
use socket2::{SockRef, Socket};

use super::deadline::Deadline;
use crate::{
    error::{Error, Result},
    net::{Interest, poll_interests, poll_until},
    system,
};

/// The conditions that end a wait before the socket is ready.
pub trait Patience: Sync {
    /// Whether a wait should end now, with [`Error::Interrupted`]. Called before each slice of a wait, so it has to be fast.
    fn is_over(&self) -> bool;

    /// The deadline of several waits together, in addition to the socket's own timeouts.
    fn deadline(&self) -> Deadline {
        Deadline::NEVER
    }

    /// Whether the last call had to wait for bytes, so that receiving without waiting would probably fail.
    fn expects_wait(&self) -> bool {
        false
    }

    /// Whether waits fail at once with [`Error::Again`], instead of waiting.
    fn never_waits(&self) -> bool {
        false
    }

    /// Called when there are no bytes yet.
    fn begin_wait(&self) {}

    /// The limits of waits for bytes that were passed to [`Patience::remember`] last.
    fn remembered(&self) -> Option<Limits> {
        None
    }

    /// Remembers limits for the next waits: reading them from the system costs as much as a wait.
    fn remember(&self, _limits: Limits) {}

    /// Called when a wait for room begins, and repeatedly while it lasts.
    fn blocked(&self, _begun: Instant) {}

    /// Called when a wait for room that began then has ended, for any reason.
    fn unblocked(&self, _begun: Instant) {}

    /// Whether only the socket ends a wait of this thread, by its timeout or by being shut down, and signals, which only this
    /// thread can receive.
    fn leaves_wait_to_system(&self) -> bool {
        false
    }
}

/// The limits that a socket itself sets to waits for bytes. The program may change them at any time, so they hold for a slice, and while
/// nothing follows from them except to wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    timeout: Option<Duration>,
    is_non_blocking: bool,
    read: Instant,
}

/// No wait ends early.
#[derive(Debug, Clone, Copy)]
pub struct Endless;

impl Patience for Endless {
    fn is_over(&self) -> bool {
        false
    }
}

/// The same, with a deadline for several waits together.
#[derive(Clone, Copy)]
pub struct Until<'a> {
    patience: &'a dyn Patience,
    deadline: Deadline,
}

impl<'a> Until<'a> {
    /// Waits end for the same reasons as before, and at `deadline`.
    pub fn new(patience: &'a dyn Patience, deadline: Deadline) -> Self {
        Self { patience, deadline: deadline.or_sooner(patience.deadline()) }
    }
}

impl Patience for Until<'_> {
    fn is_over(&self) -> bool {
        self.patience.is_over()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn expects_wait(&self) -> bool {
        self.patience.expects_wait()
    }

    fn begin_wait(&self) {
        self.patience.begin_wait();
    }

    fn remembered(&self) -> Option<Limits> {
        self.patience.remembered()
    }

    fn remember(&self, limits: Limits) {
        self.patience.remember(limits);
    }

    fn blocked(&self, begun: Instant) {
        self.patience.blocked(begun);
    }

    fn unblocked(&self, begun: Instant) {
        self.patience.unblocked(begun);
    }
}

/// The event that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Bytes,
    Room,
    /// The work that a link does without a request.
    Link,
}

/// One wait, however many times a socket was ready in between without everything that the caller needs. Only this type waits
/// for sockets in calls.
pub struct Wait<'a> {
    patience: &'a dyn Patience,
    what: For,
    /// Known once there is something to wait for: most calls do not need it.
    begun: Option<Instant>,
    /// The time since when there has been no room.
    blocked_since: Option<Instant>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.blocked_since {
            self.patience.unblocked(begun);
        }
    }
}

impl<'a> Wait<'a> {
    /// A wait for bytes to receive, limited by the socket's timeout for receiving.
    pub fn for_bytes(patience: &'a dyn Patience) -> Self {
        Self::new(patience, For::Bytes)
    }

    /// A wait for room for bytes to send, limited by the socket's timeout for sending.
    pub fn for_room(patience: &'a dyn Patience) -> Self {
        Self::new(patience, For::Room)
    }

    /// A wait for a link, which has its own deadlines.
    pub fn for_link(patience: &'a dyn Patience) -> Self {
        Self::new(patience, For::Link)
    }

    fn new(patience: &'a dyn Patience, what: For) -> Self {
        Self { patience, what, begun: None, blocked_since: None }
    }

    /// The conditions that end the wait early.
    pub fn patience(&self) -> &'a dyn Patience {
        self.patience
    }

    /// Waits for the sockets of a link, until `moment` at the latest, and not longer than a slice: the caller checks its
    /// condition, and calls again. The timeouts and the mode of `shown`, the socket that the program sees, count, because the
    /// program may have set them. Returns false without a wait if the program has made that socket non-blocking.
    pub fn for_interests(
        &mut self,
        interests: &[Interest],
        moment: Option<Instant>,
        shown: Option<&Socket>,
    ) -> Result<bool> {
        if self.patience.is_over() {
            return Err(Error::Interrupted);
        }
        if self.patience.never_waits() {
            return Err(Error::Again);
        }
        let shown = shown.filter(|_| self.what != For::Link);
        let limits = shown.map(|shown| self.limits(shown)).transpose()?;
        let left = self.deadline(limits.and_then(|limits| limits.timeout)).left()?;
        // A program that made its socket non-blocking does not want to wait.
        if limits.is_some_and(|limits| limits.is_non_blocking) {
            return Ok(false);
        }
        let moment = moment.map(|moment| moment.saturating_duration_since(Instant::now()));
        let left = [left, moment].into_iter().flatten().min();
        self.slice(left, |slice| poll_interests(interests, slice)).map(|_| true)
    }

    /// Waits with `poll`, not longer than `left` or a slice; true if a socket is ready.
    fn slice(
        &mut self,
        left: Option<Duration>,
        poll: impl FnOnce(Duration) -> io::Result<bool>,
    ) -> Result<bool> {
        if self.what == For::Room {
            let begun = *self.blocked_since.get_or_insert_with(Instant::now);
            self.patience.blocked(begun);
        }
        if self.patience.is_over() {
            return Err(Error::Interrupted);
        }
        Ok(poll(left.map_or(SLICE, |left| left.min(SLICE)))?)
    }

    /// Receives with `call`, which waits in the system if it is told to. Available bytes do not extend the deadline of several
    /// waits together: otherwise a peer that never stops sending would never meet it.
    pub(super) fn receive<T>(
        &mut self,
        fd: BorrowedFd<'_>,
        mut call: impl FnMut(bool) -> io::Result<T>,
    ) -> Result<T> {
        self.patience.deadline().left()?;
        if self.patience.expects_wait() {
            if let Some(received) = self.receive_in_system(fd, || call(true))? {
                return Ok(received);
            }
            self.poll(fd)?;
        }
        let patience = self.patience;
        self.attempt(fd, || {
            call(false).inspect_err(|error| {
                if error.kind() == io::ErrorKind::WouldBlock {
                    patience.begin_wait();
                }
            })
        })
    }

    /// Lets the system wait in `call`, which takes one call where polling takes three. `None` if other conditions may end the wait.
    pub(super) fn receive_in_system<T>(
        &mut self,
        fd: BorrowedFd<'_>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<Option<T>> {
        if cfg!(windows) || self.begun.is_some() || !self.patience.leaves_wait_to_system() {
            return Ok(None);
        }
        // Without a timeout, the system continues after a signal if its handler is installed that way.
        let Some(timeout) = SockRef::from(&fd).read_timeout()? else { return Ok(None) };
        if self.patience.deadline().left()?.is_some_and(|left| left + SLACK < timeout) {
            return Ok(None);
        }
        // The waits after a signal, and after bytes that are not enough, are parts of this one.
        self.begun = Some(Instant::now());
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::TimedOut),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if self.is_over() {
                    Err(Error::Interrupted)
                } else {
                    Ok(None)
                }
            }
            // The thread that ends a wait may also shut the socket down.
            Err(_) if self.is_over() => Err(Error::Interrupted),
            result => Ok(Some(result?)),
        }
    }

    /// Repeats a call that does not wait, until it succeeds or the wait ends. Room for our own bytes is always used, since
    /// their number is limited.
    pub(super) fn attempt<T>(
        &mut self,
        fd: BorrowedFd<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Result<T> {
        loop {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready(fd)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The thread that ends a wait may also shut the socket down.
                Err(_) if self.is_over() => return Err(Error::Interrupted),
                result => return Ok(result?),
            }
        }
    }

    /// Whether the wait should end early.
    pub(super) fn is_over(&self) -> bool {
        self.patience.is_over()
    }

    /// The deadline of the wait, which begins when this is called for the first time. `own` is the timeout of the socket.
    fn deadline(&mut self, own: Option<Duration>) -> Deadline {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        Deadline::at(own.and_then(|own| begun.checked_add(own))).or_sooner(self.patience.deadline())
    }

    /// The limits that the socket has, or had a moment ago.
    fn limits(&mut self, socket: &Socket) -> Result<Limits> {
        let is_for_bytes = self.what == For::Bytes;
        let remembered = if is_for_bytes { self.patience.remembered() } else { None };
        if let Some(limits) = remembered {
            let is_fresh = limits.read.elapsed() < SLICE;
            if is_fresh && !limits.is_non_blocking && self.deadline(limits.timeout).left().is_ok() {
                return Ok(limits);
            }
        }
        let timeout = if is_for_bytes { socket.read_timeout()? } else { socket.write_timeout()? };
        let is_non_blocking = system::is_non_blocking(socket)?;
        let limits = Limits { timeout, is_non_blocking, read: Instant::now() };
        if is_for_bytes {
            self.patience.remember(limits);
        }
        Ok(limits)
    }

    /// Waits until the socket is ready, or has failed. A program that made its socket non-blocking does not want to wait.
    pub(super) fn ready(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        if self.poll(fd)? { Ok(()) } else { Err(Error::TimedOut) }
    }

    /// As `ready`; false if the program has made its socket non-blocking, so that there was no wait.
    fn poll(&mut self, fd: BorrowedFd<'_>) -> Result<bool> {
        let flags = if self.what == For::Bytes { PollFlags::IN } else { PollFlags::OUT };
        loop {
            let limits = self.limits(&SockRef::from(&fd))?;
            let left = self.deadline(limits.timeout).left()?;
            if limits.is_non_blocking {
                return Ok(false);
            }
            let is_ready =
                self.slice(left, |slice| poll_until(&mut [PollFd::new(&fd, flags)], Some(slice)))?;
            if is_ready || system::is_shut_down(fd) {
                return Ok(true);
            }
        }
    }
}

/// Whether there are more than `known` bytes to receive.
pub fn has_more(fd: BorrowedFd<'_>, known: usize) -> bool {
    ioctl_fionread(fd).is_ok_and(|count| count > known as u64)
}

/// Waits for `time`, or until the connection has ended in both directions.
pub fn pause(fd: BorrowedFd<'_>, time: Duration, patience: &dyn Patience) -> Result<()> {
    let deadline = Deadline::after(Some(time)).or_sooner(patience.deadline());
    while let Ok(left) = deadline.left() {
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        let has_ended = poll_until(&mut [PollFd::new(&fd, PollFlags::empty())], Some(slice))?;
        if has_ended || system::is_shut_down(fd) {
            return Err(if patience.is_over() { Error::Interrupted } else { Error::Closed });
        }
    }
    Ok(())
}

/// The time after which a wait checks whether it should end.
pub const SLICE: Duration = Duration::from_millis(50);

/// The time by which a wait that is left to the system may end after its deadline. It allows the first wait of a phase, whose limit
/// is the socket's own timeout.
const SLACK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use rustix::fd::AsFd;

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Patience for Flag {
        fn is_over(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        system::own(near.as_fd());
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn a_flag_ends_a_wait_that_has_no_time_out() {
        let (near, _far) = pair();
        let flag = Flag::default();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Wait::for_bytes(&flag).ready(near.as_fd()));
            thread::sleep(Duration::from_millis(20));
            flag.0.store(true, Ordering::Relaxed);
            assert!(matches!(waiting.join().unwrap(), Err(Error::Interrupted)));
        });
        let hour = Duration::from_secs(3600);
        assert!(matches!(pause(near.as_fd(), hour, &flag), Err(Error::Interrupted)));
    }

    #[test]
    fn shutting_the_socket_down_ends_a_wait() {
        let (near, _far) = pair();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Wait::for_bytes(&Endless).ready(near.as_fd()));
            thread::sleep(Duration::from_millis(20));
            near.shutdown(Shutdown::Both).unwrap();
            waiting.join().unwrap().unwrap();
        });
        assert!(matches!(pause(near.as_fd(), Duration::from_secs(3600), &Endless), Err(Error::Closed)));
    }

    #[test]
    fn a_wait_ends_with_the_sockets_time_out_or_the_deadline_whichever_is_sooner() {
        let (near, _far) = pair();
        let second = Some(Duration::from_secs(100));
        let short = Some(Duration::from_millis(30));
        for (own, all) in [(short, second), (second, short), (None, short), (short, None)] {
            near.set_read_timeout(own).unwrap();
            let start = Instant::now();
            let until = Until::new(&Endless, Deadline::after(all));
            let result = Wait::for_bytes(&until).ready(near.as_fd());
            assert!(matches!(result, Err(Error::TimedOut)));
            assert!((25..20_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        }
    }

    /// Remembers limits.
    #[derive(Default)]
    struct Remembering(Mutex<Option<Limits>>);

    impl Patience for Remembering {
        fn is_over(&self) -> bool {
            false
        }

        fn remembered(&self) -> Option<Limits> {
            *self.0.lock().unwrap()
        }

        fn remember(&self, limits: Limits) {
            *self.0.lock().unwrap() = Some(limits);
        }
    }

    #[test]
    fn limits_that_are_remembered_may_change_between_two_waits() {
        let (near, mut far) = pair();
        let patience = Remembering::default();
        let (long, short) = (Some(Duration::from_secs(100)), Some(Duration::from_millis(30)));
        let wait = || {
            let start = Instant::now();
            let result = Wait::for_bytes(&patience).ready(near.as_fd());
            (result.is_ok(), start.elapsed())
        };
        // They are remembered now.
        near.set_read_timeout(long).unwrap();
        far.write_all(b"1").unwrap();
        assert!(wait().0);
        let (mut byte, receive) = ([0], |byte: &mut [u8]| (&near).read_exact(byte).unwrap());
        receive(&mut byte);
        near.set_read_timeout(short).unwrap();
        let (is_ready, time) = wait();
        assert!(!is_ready && (25..20_000).contains(&time.as_millis()), "{time:?}");
        let mut wait_for_a_byte = || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(200));
                    far.write_all(b"2").unwrap();
                });
                wait().0
            })
        };
        near.set_read_timeout(long).unwrap();
        assert!(wait_for_a_byte(), "the short timeout is no longer true");
        receive(&mut byte);
        if !cfg!(windows) {
            near.set_nonblocking(true).unwrap();
            let (is_ready, time) = wait();
            assert!(!is_ready && time < Duration::from_secs(20), "{time:?}");
            near.set_nonblocking(false).unwrap();
            assert!(wait_for_a_byte(), "it waits again");
        }
    }

    #[test]
    fn bytes_that_are_there_do_not_extend_a_deadline() {
        let (near, mut far) = pair();
        far.write_all(b"more").unwrap();
        let late = Until::new(&Endless, Deadline::after(Some(Duration::ZERO)));
        assert!(matches!(Wait::for_bytes(&late).receive(near.as_fd(), |_| Ok(())), Err(Error::TimedOut)));
        assert!(Wait::for_room(&late).attempt(near.as_fd(), || Ok(())).is_ok());
    }

    /// Leaves waits to the system.
    struct Left(AtomicBool);

    impl Patience for Left {
        fn is_over(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }

        fn expects_wait(&self) -> bool {
            true
        }

        fn leaves_wait_to_system(&self) -> bool {
            true
        }
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows does not say whether a socket blocks")]
    fn a_wait_that_is_left_to_the_system_ends_like_any_other() {
        let (near, mut far) = pair();
        let (patience, mut buffer) = (Left(AtomicBool::new(false)), [0; 8]);
        let mut receive =
            |patience: &Left| crate::transport::tcp::receive(near.as_fd(), &mut buffer, patience);
        near.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let start = Instant::now();
        assert!(matches!(receive(&patience), Err(Error::TimedOut)));
        assert!((25..20_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        near.set_nonblocking(true).unwrap();
        near.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
        assert!(matches!(receive(&patience), Err(Error::TimedOut)));
        near.set_nonblocking(false).unwrap();
        far.write_all(b"more").unwrap();
        assert_eq!(receive(&patience).unwrap(), 4);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| receive(&patience));
            thread::sleep(Duration::from_millis(20));
            patience.0.store(true, Ordering::Relaxed);
            near.shutdown(Shutdown::Both).unwrap();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Interrupted)));
        });
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows does not say whether a socket blocks")]
    fn a_wait_after_bytes_that_are_not_enough_has_the_rest_of_the_time() {
        let (near, mut far) = pair();
        near.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let patience = Left(AtomicBool::new(false));
        let (mut wait, mut buffer, start) = (Wait::for_bytes(&patience), [0; 8], Instant::now());
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(1500));
                far.write_all(b"part").unwrap();
            });
            let received =
                crate::transport::tcp::receive_in_system(near.as_fd(), &mut buffer, &mut wait).unwrap();
            assert_eq!(received, Some(4));
        });
        assert!(matches!(wait.ready(near.as_fd()), Err(Error::TimedOut)));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }

    /// Expects to wait.
    struct Expecting;

    impl Patience for Expecting {
        fn is_over(&self) -> bool {
            false
        }

        fn expects_wait(&self) -> bool {
            true
        }
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows does not say whether a socket blocks")]
    fn available_bytes_of_a_non_blocking_socket_are_received_although_a_wait_was_expected() {
        let (near, mut far) = pair();
        near.set_nonblocking(true).unwrap();
        let receive = || crate::transport::tcp::receive(near.as_fd(), &mut [0; 8], &Expecting);
        assert!(matches!(receive(), Err(Error::TimedOut)));
        far.write_all(b"more").unwrap();
        assert_eq!(receive().unwrap(), 4);
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows does not say whether a socket blocks")]
    fn a_non_blocking_socket_is_not_waited_for() {
        let (near, _far) = pair();
        near.set_nonblocking(true).unwrap();
        assert!(matches!(Wait::for_bytes(&Endless).ready(near.as_fd()), Err(Error::TimedOut)));
    }
}
