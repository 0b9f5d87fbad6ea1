//! One TLS connection: bytes in the clear on one side, records on a socket on the other.

use std::{
    io::IoSlice,
    net::Shutdown,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use log::debug;
use rustix::fd::BorrowedFd;
use socket2::SockRef;

use super::{
    ServerContext, Trust,
    machine::{Available, BATCH_LEN, BLOCK_LEN, Machine, Outgoing, RECORD_LEN},
};
use crate::{
    error::{Error, Result},
    transport::{
        deadline::Deadline,
        tcp,
        wait::{Patience, Until, Wait},
    },
};

/// A TLS session over a socket.
///
/// One thread may receive while another sends: what both need is locked for moments only, never while waiting for the
/// socket. A wait that times out leaves the session as it was.
pub struct Session {
    machine: Mutex<Machine>,
    /// Held by whoever receives.
    receiving: Mutex<Vec<u8>>,
    /// Held by whoever sends, so that records leave in the order in which they were made.
    sending: Mutex<Outgoing>,
}

impl Session {
    /// A client's session with `host`, a name or an address. Nothing is sent yet.
    pub fn client(host: &str, trust: &Trust) -> Result<Self> {
        Machine::client(host, trust).map(Self::new)
    }

    /// A server's session.
    pub fn server(context: &ServerContext) -> Result<Self> {
        Machine::server(context).map(Self::new)
    }

    fn new(machine: Machine) -> Self {
        Self { machine: Mutex::new(machine), receiving: Mutex::default(), sending: Mutex::default() }
    }

    /// Shakes hands. Every wait is bounded by the socket's own time-outs, and all of them together by `timeout`.
    pub fn handshake(
        &self,
        fd: BorrowedFd<'_>,
        timeout: Option<Duration>,
        patience: &dyn Patience,
    ) -> Result<()> {
        let patience = &Until::new(patience, Deadline::after(timeout));
        let mut block = lock(&self.receiving);
        block.resize(BLOCK_LEN, 0);
        loop {
            let handshaking = {
                let mut outgoing = lock(&self.sending);
                let handshaking = self.machine().produce(&mut outgoing);
                flush(&mut outgoing, fd, &mut Wait::for_room(patience))?;
                handshaking
            };
            if !handshaking {
                return Ok(());
            }
            let count = tcp::receive(fd, &mut block, patience)?;
            let accepted = self.machine().accept_handshake(&block[..count]);
            // The peer is told why, if that needs no waiting.
            accepted.inspect_err(|_| self.send_rest(fd))?;
        }
    }

    /// Waits for bytes and puts them into `buffer`; 0 means that the peer will send no more. A record that comes in pieces
    /// has to be complete in the time of one wait; if it is not, what came of it is kept.
    pub fn receive(&self, fd: BorrowedFd<'_>, buffer: &mut [u8], patience: &dyn Patience) -> Result<usize> {
        let mut wait = Wait::for_bytes(patience);
        self.receive_through(fd, buffer, patience, |block| tcp::receive_within(fd, block, &mut wait))
    }

    /// As `receive`, with `receive` to get bytes from the socket.
    pub fn receive_through(
        &self,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
        patience: &dyn Patience,
        mut receive: impl FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut block = lock(&self.receiving);
        block.resize(BLOCK_LEN, 0);
        let (mut wait, mut received) = (Wait::for_bytes(patience), false);
        loop {
            // A variable of its own: the lock has to be gone before the wait.
            let available = self.machine().read(buffer);
            match available? {
                Available::Bytes(count) => return Ok(count),
                Available::End => return Ok(0),
                Available::Torn => {
                    debug!("{} ended the connection without closing TLS", self.machine().peer());
                    return Ok(0);
                }
                Available::Nothing => {}
            }
            // Records without content, tickets and the like may come without end, and are no reason to go on.
            if received {
                wait.check(fd)?;
            }
            let count = receive(&mut block)?;
            received = true;
            self.machine().accept(&block[..count]);
        }
    }

    /// Puts bytes that were received and decrypted already into `buffer`, without waiting; 0 if there are none.
    ///
    /// When there will be no more either, the socket is made to say so: a goodbye that came with the last bytes leaves
    /// nothing on it that would wake a program which waits for it.
    pub fn receive_pending(&self, fd: BorrowedFd<'_>, buffer: &mut [u8]) -> usize {
        if buffer.is_empty() {
            return 0;
        }
        let available = self.machine().read(buffer);
        match available {
            Ok(Available::Bytes(count)) => count,
            Ok(Available::Nothing) => 0,
            // The next `receive` meets it too.
            Ok(Available::End | Available::Torn) | Err(_) => {
                let _ = SockRef::from(&fd).shutdown(Shutdown::Read);
                0
            }
        }
    }

    /// Whether there is more than was read so far: bytes that were received already, or the end.
    pub fn holds_more(&self) -> bool {
        self.machine().holds_more()
    }

    /// Sends all pieces. `scratch` is where they are put together; it keeps its memory for the next time.
    pub fn send_all<'p>(
        &self,
        fd: BorrowedFd<'_>,
        pieces: impl Iterator<Item = &'p [u8]>,
        scratch: &mut Vec<u8>,
        patience: &dyn Patience,
    ) -> Result<()> {
        let mut outgoing = lock(&self.sending);
        let wait = &mut Wait::for_room(patience);
        flush(&mut outgoing, fd, wait)?;
        scratch.clear();
        for mut piece in pieces {
            while !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(BATCH_LEN - scratch.len()));
                scratch.extend_from_slice(now);
                piece = later;
                if scratch.len() == BATCH_LEN {
                    self.encrypt(scratch, &mut outgoing)?;
                    scratch.clear();
                    flush(&mut outgoing, fd, wait)?;
                }
            }
        }
        self.encrypt(scratch, &mut outgoing)?;
        flush(&mut outgoing, fd, wait)
    }

    /// Sends the beginning of `bytes`, at most a record, and returns how much that was. Bytes that were encrypted
    /// count as sent: if the socket does not take them in time, the next call sends the rest before anything else.
    pub fn send_some(&self, fd: BorrowedFd<'_>, bytes: &[u8], patience: &dyn Patience) -> Result<usize> {
        let mut outgoing = lock(&self.sending);
        let wait = &mut Wait::for_room(patience);
        flush(&mut outgoing, fd, wait)?;
        let record = &bytes[..bytes.len().min(RECORD_LEN)];
        self.encrypt(record, &mut outgoing)?;
        match flush(&mut outgoing, fd, wait) {
            Ok(()) | Err(Error::TimedOut | Error::Interrupted) => Ok(record.len()),
            Err(error) => Err(error),
        }
    }

    /// Says goodbye, unless that would have to wait.
    pub fn close(&self, fd: BorrowedFd<'_>) {
        self.send_last(fd, Machine::close);
    }

    /// Sends what the protocol has to say, as far as that goes without waiting.
    fn send_rest(&self, fd: BorrowedFd<'_>) {
        self.send_last(fd, |machine, outgoing| {
            machine.produce(outgoing);
        });
    }

    /// Sends what `last` puts behind the records that are on their way, as far as that goes without waiting.
    fn send_last(&self, fd: BorrowedFd<'_>, last: impl FnOnce(&mut Machine, &mut Outgoing)) {
        let mut outgoing = match self.sending.try_lock() {
            Ok(outgoing) => outgoing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody waits for the socket to take a record; nothing can come before its end.
            Err(TryLockError::WouldBlock) => return,
        };
        last(&mut self.machine(), &mut outgoing);
        if let Ok(count) = tcp::send_now(fd, outgoing.unsent()) {
            outgoing.advance(count);
        }
    }

    /// Makes records of `bytes`.
    fn encrypt(&self, mut bytes: &[u8], outgoing: &mut Outgoing) -> Result<()> {
        let mut machine = self.machine();
        while !bytes.is_empty() {
            match machine.encrypt(&[IoSlice::new(bytes)], outgoing)? {
                0 => return Err(Error::Closed),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

/// Sends everything. If that fails, the rest stays for the next time.
fn flush(outgoing: &mut Outgoing, fd: BorrowedFd<'_>, wait: &mut Wait<'_>) -> Result<()> {
    while !outgoing.unsent().is_empty() {
        match tcp::send_within(fd, outgoing.unsent(), wait)? {
            0 => return Err(Error::Closed),
            count => outgoing.advance(count),
        }
    }
    Ok(())
}

/// A thread that panicked leaves nothing half done that another would trip over: at worst the session is unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
