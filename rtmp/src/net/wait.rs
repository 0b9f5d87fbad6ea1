//! The only code that waits for sockets.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::step::Interest;
#[cfg(test)]
use {super::step::Step, socket2::Socket, std::sync::Arc};

/// Waits until a socket is ready or has failed, or until `deadline`. May return early, for example because of a signal: the
/// caller steps its machine and waits again.
pub fn wait(interests: &[Interest], deadline: Option<Instant>) -> io::Result<()> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    poll_all(interests, left).map(drop)
}

/// Waits at most `left` for one of several sockets; false if none is ready. A signal ends the wait early.
pub(crate) fn poll_interests(interests: &[Interest], left: Duration) -> io::Result<bool> {
    poll_all(interests, Some(left))
}

fn poll_all(interests: &[Interest], left: Option<Duration>) -> io::Result<bool> {
    match interests {
        // The usual case needs no allocation.
        [interest] => poll_until(&mut [entry(interest)], left),
        interests => poll_until(&mut interests.iter().map(entry).collect::<Vec<_>>(), left),
    }
}

/// The same for a list of sockets that the caller has built.
pub(crate) fn poll_until(sockets: &mut [PollFd<'_>], left: Option<Duration>) -> io::Result<bool> {
    // Windows refuses to wait for no socket.
    if let (true, true, Some(left)) = (cfg!(windows), sockets.is_empty(), left) {
        std::thread::sleep(left);
        return Ok(false);
    }
    // A time that the system cannot represent counts as no limit.
    let time = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(sockets, time.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Steps a machine until its result, however long it waits.
#[cfg(test)]
pub(crate) fn run<T>(mut machine: impl Step<Output = T>) -> crate::error::Result<T> {
    let mut interests = Vec::new();
    loop {
        if let Some(result) = machine.step(Instant::now())? {
            return Ok(result);
        }
        interests.clear();
        machine.interests(&mut interests);
        wait(&interests, machine.deadline())?;
    }
}

/// The same for a machine whose result is a socket, which is in blocking mode afterwards.
#[cfg(test)]
pub(crate) fn run_to_socket(machine: impl Step<Output = Arc<Socket>>) -> crate::error::Result<Socket> {
    blocking(run(machine)?)
}

#[cfg(test)]
pub(crate) fn blocking(socket: Arc<Socket>) -> crate::error::Result<Socket> {
    let socket = Arc::try_unwrap(socket).or_else(|shared| shared.try_clone())?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn entry(interest: &Interest) -> PollFd<'_> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.read);
    flags.set(PollFlags::OUT, interest.write);
    PollFd::new(&*interest.socket, flags)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pair() -> (Interest, Socket) {
        let (near, far) = crate::system::pair().unwrap();
        (Interest { socket: Arc::new(near), read: true, write: false }, far)
    }

    #[test]
    fn wait_ends_at_the_deadline_when_nothing_is_ready() {
        let (quiet, _far) = pair();
        for interests in [vec![], vec![quiet.clone()], vec![quiet.clone(), quiet]] {
            let start = Instant::now();
            wait(&interests, Some(start + Duration::from_millis(30))).unwrap();
            assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
            wait(&interests, Some(start)).unwrap();
        }
    }

    #[test]
    fn wait_ends_when_any_socket_is_ready() {
        let (quiet, _far) = pair();
        let (ready, mut far) = pair();
        far.write_all(b"x").unwrap();
        wait(&[quiet.clone(), ready.clone()], None).unwrap();
        wait(&[ready], None).unwrap();
        wait(&[quiet.clone(), Interest { write: true, ..quiet }], None).unwrap();
    }

    #[test]
    fn the_end_of_a_connection_is_noticed_without_a_wish_to_read_or_write() {
        let (interest, far) = pair();
        drop(far);
        wait(&[Interest { read: false, ..interest }], None).unwrap();
    }
}
