//! Carries the bytes of a session that does not use the socket alone: TLS, an HTTP tunnel, or both, and everything below a
//! session that does not wait.
//!
//! It is a [`Link`] that several threads use: it is locked only for short steps, never while a thread waits, which happens in
//! [`Wait`].

use std::{
    io::{self, IoSlice},
    mem::{self, ManuallyDrop},
    net::Shutdown,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

use rtmp_core::{
    error::{Error, Result},
    net::{Link, LinkPhase, Received, Wanted},
    transport::{
        tcp,
        wait::{Patience, Wait},
    },
};
use rustix::fd::{AsFd, IntoRawFd, OwnedFd};
use socket2::Socket;

/// A link that carries a session, with the socket that the program sees.
pub(crate) struct Carrier {
    link: Mutex<Link>,
    shown: Shown,
}

/// The socket with the descriptor in `sb_socket`. Code that takes the descriptor from there closes it; this does not.
pub(crate) struct Shown(ManuallyDrop<Arc<Socket>>);

impl Shown {
    /// Represents a socket that belongs to the program.
    pub(crate) fn new(socket: Socket) -> Self {
        Self(ManuallyDrop::new(Arc::new(socket)))
    }

    /// A reference for a link on this socket.
    pub(crate) fn share(&self) -> Arc<Socket> {
        Arc::clone(&self.0)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: the field is not used after this.
        match Arc::try_unwrap(unsafe { ManuallyDrop::take(&mut self.0) }) {
            Ok(socket) => drop(socket.into_raw_fd()),
            // A thread still polls it. The descriptor outlives that, because the last call closes a connection.
            Err(shared) => mem::forget(shared),
        }
    }
}

impl Carrier {
    /// A carrier for a session with the socket `shown`.
    pub(crate) fn new(link: Link, shown: Shown) -> Self {
        Self { link: Mutex::new(link), shown }
    }

    /// The link, for a step that does not wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the link do something that may replace its connection.
    fn act<R>(&self, act: impl FnOnce(&mut Link) -> Result<R>) -> Result<R> {
        let mut link = self.lock();
        let result = act(&mut link);
        self.show_replacement(&mut link)?;
        result
    }

    /// Performs the work that the link has to do without a request.
    pub(crate) fn step(&self, now: Instant) -> Result<()> {
        self.act(|link| link.step(now))
    }

    /// Waits until bytes can flow. An error contains the phase of the link.
    pub(crate) fn open(&self, patience: &dyn Patience) -> Result<(), (LinkPhase, Error)> {
        let mut waiting = Wait::for_link(patience);
        loop {
            let phase = self.lock().phase();
            let mut step = || {
                self.step(Instant::now()).map_err(|error| interrupted_or(error, patience))?;
                if self.lock().is_open() {
                    return Ok(true);
                }
                self.wait(Wanted::default(), &mut waiting).map(|()| false)
            };
            match step() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err((phase, error)),
            }
        }
    }

    /// Waits for bytes of the stream; 0 when the peer has ended it.
    pub(crate) fn receive(&self, buffer: &mut [u8], patience: &dyn Patience) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // Available bytes do not extend the deadline of several waits together.
        patience.deadline().left()?;
        let mut waiting = Wait::for_bytes(patience);
        // Asking for bytes that are not there yet would be useless.
        if patience.expects_wait()
            && !patience.never_waits()
            && !self.wait_in_system(&mut waiting)?
            && self.is_quiet()
        {
            self.wait_if_blocking(BYTES, &mut waiting)?;
        }
        loop {
            match self.receive_now(buffer).map_err(|error| interrupted_or(error, patience))? {
                Received::Bytes(count) => return Ok(count),
                // The thread that ends a wait may also shut the socket down.
                Received::End if patience.is_over() => return Err(Error::Interrupted),
                Received::End => return Ok(0),
                Received::Nothing => {
                    patience.begin_wait();
                    self.wait(BYTES, &mut waiting)?;
                }
            }
        }
    }

    /// Available bytes of the stream.
    pub(crate) fn receive_now(&self, buffer: &mut [u8]) -> Result<Received> {
        let now = Instant::now();
        let mut link = self.lock();
        let stepped = link.step(now);
        self.show_replacement(&mut link)?;
        // Bytes that the peer sent before it stopped reading can still be received.
        match link.receive(buffer, now) {
            Ok(Received::Nothing) => stepped.map(|()| Received::Nothing),
            result => result,
        }
    }

    /// Copies received and decrypted bytes into `buffer`, without waiting; 0 if there are none.
    ///
    /// If no more will come, the socket is shut down for reading: a TLS goodbye that arrived with the last bytes leaves no byte
    /// on the socket to wake a program that waits for it.
    pub(crate) fn receive_held(&self, buffer: &mut [u8]) -> usize {
        let mut link = self.lock();
        if buffer.is_empty() || !link.holds_more() {
            return 0;
        }
        match link.receive(buffer, Instant::now()) {
            Ok(Received::Bytes(count)) => count,
            Ok(Received::Nothing) => 0,
            // The next call has the same result.
            Ok(Received::End) | Err(_) => {
                // If the peer has gone, the socket is shut down already.
                let _ = self.shown.0.shutdown(Shutdown::Read);
                0
            }
        }
    }

    /// Sends all pieces, and waits until the system has accepted them.
    pub(crate) fn send_all<'p>(
        &self,
        pieces: impl Iterator<Item = &'p [u8]>,
        patience: &dyn Patience,
    ) -> Result<()> {
        self.send_rest(pieces, Ok(0), patience)
    }

    /// As [`Self::send_all`], without the bytes that were taken at `first`.
    pub(crate) fn send_rest<'p>(
        &self,
        pieces: impl Iterator<Item = &'p [u8]>,
        first: Result<usize>,
        patience: &dyn Patience,
    ) -> Result<()> {
        let mut taken = first.map_err(|error| interrupted_or(error, patience))?;
        let mut waiting = Wait::for_room(patience);
        let mut pieces = pieces.peekable();
        while pieces.peek().is_some() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces.by_ref()) {
                *slice = IoSlice::new(piece);
                count += 1;
                if count == MAX_SLICES {
                    break;
                }
            }
            let mut slices = &mut slices[..count];
            let before = slices.iter().map(|slice| slice.len()).sum::<usize>().min(taken);
            IoSlice::advance_slices(&mut slices, before);
            taken -= before;
            while !slices.is_empty() {
                match self.send_now(slices).map_err(|error| interrupted_or(error, patience))? {
                    0 => self.wait(ROOM, &mut waiting)?,
                    taken => IoSlice::advance_slices(&mut slices, taken),
                }
            }
        }
        self.flush(&mut waiting)
    }

    /// Sends bytes, in one request if there is a tunnel, and waits until the system has accepted them.
    pub(crate) fn send_whole(&self, mut bytes: &[u8], patience: &dyn Patience) -> Result<()> {
        let mut waiting = Wait::for_room(patience);
        while !bytes.is_empty() {
            let sent = self.act(|link| link.send_whole(bytes, Instant::now()));
            match sent.map_err(|error| interrupted_or(error, patience))? {
                0 => self.wait(ROOM, &mut waiting)?,
                taken => bytes = &bytes[taken..],
            }
        }
        self.flush(&mut waiting)
    }

    /// Takes the first bytes of `pieces` without waiting; returns how many.
    pub(crate) fn send_now(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.act(|link| link.send(pieces, Instant::now()))
    }

    /// As [`Self::send_now`]; also returns whether the system has accepted everything that was taken.
    pub(crate) fn send_at_once(&self, pieces: &[IoSlice<'_>]) -> Result<(usize, bool)> {
        self.act(|link| Ok((link.send(pieces, Instant::now())?, link.unsent() == 0)))
    }

    /// Waits until the first bytes of `bytes` are taken, at most one TLS record, and returns how many. Taken bytes count as
    /// sent: if the socket does not accept them in time, the next call sends the rest first.
    pub(crate) fn send_some(&self, bytes: &[u8], patience: &dyn Patience) -> Result<usize> {
        let record = &bytes[..bytes.len().min(RECORD)];
        let mut waiting = Wait::for_room(patience);
        self.flush(&mut waiting)?;
        loop {
            match self.send_now(&[IoSlice::new(record)])? {
                0 if !record.is_empty() => self.wait(ROOM, &mut waiting)?,
                taken => {
                    return match self.flush(&mut waiting) {
                        Ok(()) | Err(Error::TimedOut | Error::Interrupted | Error::Again) => Ok(taken),
                        Err(error) => Err(error),
                    };
                }
            }
        }
    }

    /// The number of bytes that were taken and that the system has not accepted yet; 0 while a thread uses the link: the caller
    /// may be the program's own send function, which the link calls.
    pub(crate) fn unsent_if_idle(&self) -> usize {
        match self.link.try_lock() {
            Ok(link) => link.unsent(),
            Err(TryLockError::Poisoned(broken)) => broken.into_inner().unsent(),
            Err(TryLockError::WouldBlock) => 0,
        }
    }

    /// Makes the server of a tunnel answer, for a program that watches the socket.
    pub(crate) fn keep_polling(&self) -> Result<()> {
        self.lock().keep_polling(Instant::now())
    }

    /// Says goodbye, as far as is possible without waiting.
    pub(crate) fn say_goodbye(&self) {
        self.lock().finish(Instant::now());
    }

    /// Says goodbye and waits until the peer has received it, within the limits of `patience`.
    pub(crate) fn part(&self, patience: &dyn Patience) -> Result<()> {
        self.say_goodbye();
        let mut waiting = Wait::for_link(patience);
        loop {
            self.step(Instant::now())?;
            if self.lock().is_finished() {
                return Ok(());
            }
            patience.deadline().left()?;
            self.wait(Wanted::default(), &mut waiting)?;
        }
    }

    /// Waits until the link has sent the bytes that it has taken.
    fn flush(&self, waiting: &mut Wait<'_>) -> Result<()> {
        loop {
            if self.lock().unsent() == 0 {
                return Ok(());
            }
            self.step(Instant::now()).map_err(|error| interrupted_or(error, waiting.patience()))?;
            if self.lock().unsent() == 0 {
                return Ok(());
            }
            self.wait(ROOM, waiting)?;
        }
    }

    /// Whether nothing can happen before bytes arrive: none are buffered, and no tunnel has to be asked for them.
    fn is_quiet(&self) -> bool {
        let mut link = self.lock();
        !link.holds_more() && !link.has_tunnel()
    }

    /// Waits, up to a slice. A program that made its socket non-blocking does not want to wait.
    fn wait(&self, wanted: Wanted, waiting: &mut Wait<'_>) -> Result<()> {
        if self.wait_if_blocking(wanted, waiting)? { Ok(()) } else { Err(Error::TimedOut) }
    }

    /// Lets the system wait for bytes of TLS, and receive them into memory of the link, which is not locked meanwhile. Returns
    /// false without a wait if something else than the socket may end it.
    fn wait_in_system(&self, waiting: &mut Wait<'_>) -> Result<bool> {
        if !waiting.patience().leaves_wait_to_system() {
            return Ok(false);
        }
        let Some(mut memory) = self.lock().lend() else { return Ok(false) };
        let received = if waiting.patience().is_over() {
            Err(Error::Interrupted)
        } else {
            tcp::receive_in_system(self.shown.0.as_fd(), &mut memory, waiting)
        };
        let count = if let Ok(Some(count)) = received { count } else { 0 };
        self.lock().give_back(memory, count);
        Ok(received?.is_some())
    }

    /// As [`Self::wait`]; returns false without a wait if the socket is non-blocking.
    fn wait_if_blocking(&self, wanted: Wanted, waiting: &mut Wait<'_>) -> Result<bool> {
        if waiting.patience().is_over() {
            return Err(Error::Interrupted);
        }
        if waiting.patience().never_waits() {
            return Err(Error::Again);
        }
        let mut interests = Vec::new();
        let deadline = {
            let link = self.lock();
            link.interests(wanted, &mut interests);
            link.deadline()
        };
        waiting.for_interests(&interests, deadline, Some(&self.shown.0))
    }

    /// Gives a connection with which the link has replaced another the descriptor that the program sees.
    fn show_replacement(&self, link: &mut Link) -> Result<()> {
        if let Some(fresh) = link.take_replacement() {
            replace_descriptor(&self.shown.0, &fresh)?;
        }
        match link.socket() {
            Some(fresh) if !Arc::ptr_eq(fresh, &self.shown.0) => {
                replace_descriptor(&self.shown.0, fresh)?;
                link.replace_socket(self.shown.share());
            }
            _ => {}
        }
        Ok(())
    }
}

/// A Windows handle cannot be redirected: a tunnel ends there with its connection.
#[cfg(not(unix))]
fn replace_descriptor(_: &Socket, _: &Socket) -> Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// Makes the descriptor of `shown` refer to the connection of `fresh`, with the same settings.
#[cfg(unix)]
fn replace_descriptor(shown: &Socket, fresh: &Socket) -> Result<()> {
    use std::os::fd::AsRawFd;

    fresh.set_nonblocking(shown.nonblocking()?)?;
    fresh.set_read_timeout(shown.read_timeout()?)?;
    fresh.set_write_timeout(shown.write_timeout()?)?;
    // SAFETY: both are open descriptors. The replaced one keeps its number, which callers may have stored; a duplicate would be
    // inherited by programs that this process starts, unless a flag prevents that.
    let replaced = unsafe {
        let replaced = libc::dup2(fresh.as_raw_fd(), shown.as_raw_fd());
        libc::fcntl(replaced, libc::F_SETFD, libc::FD_CLOEXEC);
        replaced
    };
    if replaced == -1 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
}

/// The thread that ends a wait may also shut the socket down.
fn interrupted_or(error: Error, patience: &dyn Patience) -> Error {
    if patience.is_over() { Error::Interrupted } else { error }
}

/// Steps a link that has no socket to show yet until it has reached its target.
pub(crate) fn reach(link: &mut Link, patience: &dyn Patience) -> Result<()> {
    let mut waiting = Wait::for_link(patience);
    let mut interests = Vec::new();
    // When connect() returns, a peer on the same machine has usually accepted already.
    let mut is_hopeful = !patience.never_waits();
    loop {
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        link.step(Instant::now()).map_err(|error| interrupted_or(error, patience))?;
        if link.is_open() {
            return Ok(());
        }
        if mem::take(&mut is_hopeful) {
            continue;
        }
        interests.clear();
        link.interests(Wanted::default(), &mut interests);
        waiting.for_interests(&interests, link.deadline(), None)?;
    }
}

/// The descriptor of a link that has reached its target, in blocking mode if requested. For TLS to a proxy, the link is
/// returned as well, to be used with that descriptor.
pub(crate) fn into_descriptor(link: Link, blocks: bool) -> Result<(OwnedFd, Option<Link>)> {
    let (socket, link) = if link.leads_through_proxy_in_tls() {
        (link.socket().ok_or(Error::NotConnected)?.try_clone()?, Some(link))
    } else {
        let socket = link.into_socket().ok_or(Error::NotConnected)?;
        // While another thread still waits for it, this is a duplicate.
        (Arc::try_unwrap(socket).or_else(|shared| shared.try_clone())?, None)
    };
    if blocks {
        rustix::io::ioctl_fionbio(socket.as_fd(), false).map_err(io::Error::from)?;
    }
    Ok((socket.into(), link))
}

/// Wait for bytes from the peer.
const BYTES: Wanted = Wanted { read: true, write: false };

/// Wait for room for bytes to the peer.
const ROOM: Wanted = Wanted { read: false, write: true };

/// The limit of pieces that go to the link in one call.
const MAX_SLICES: usize = 64;

/// The most that a record of TLS can hold.
const RECORD: usize = 16 << 10;
