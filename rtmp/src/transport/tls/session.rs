//! One TLS connection: bytes in the clear on one side, records on a socket on the other.

use std::{
    io::{self, BufRead, Read, Write},
    mem,
    net::Shutdown,
    os::fd::BorrowedFd,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use log::debug;
use rustls::{
    ClientConnection, Connection, InvalidMessage, ServerConnection,
    pki_types::{IpAddr, Ipv4Addr, ServerName},
};
use socket2::SockRef;

use super::{ServerContext, Trust, config, refusal};
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
    /// Whom the peer claims to be, for the log.
    peer: String,
}

/// The protocol, which waits for nothing.
struct Machine {
    connection: Connection,
    /// Received, but too much to be decrypted before what is decrypted already has been read: less than a block.
    backlog: Vec<u8>,
    /// The peer said goodbye; nothing that follows counts.
    closed: bool,
    /// What the peer did against the protocol; nothing that follows can be decrypted.
    failure: Option<rustls::Error>,
}

/// Records on their way to the socket.
#[derive(Default)]
struct Outgoing {
    records: Vec<u8>,
    /// How much of `records` the socket has taken.
    sent: usize,
}

/// What there is to read without waiting.
enum Available {
    Bytes(usize),
    /// The peer said goodbye.
    End,
    /// The connection ended without a goodbye.
    Torn,
    Nothing,
}

impl Session {
    /// A client's session with `host`, a name or an address. Nothing is sent yet.
    pub fn client(host: &str, trust: &Trust) -> Result<Self> {
        let config = config::client(trust)?;
        let name = match ServerName::try_from(host) {
            Ok(name) => name.to_owned(),
            // An address is never sent to the server, and nobody looks at this one.
            Err(_) if matches!(trust, Trust::Anyone) => {
                ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])))
            }
            Err(_) => {
                let words = format!("'{host}' is not a name that a certificate can be checked for");
                return Err(Error::Tls(words.into()));
            }
        };
        let connection =
            ClientConnection::new(config, name).map_err(|error| refusal::explain(host, &error))?;
        Ok(Self::new(connection.into(), host.to_owned()))
    }

    /// A server's session.
    pub fn server(context: &ServerContext) -> Result<Self> {
        let connection = ServerConnection::new(context.config())
            .map_err(|error| refusal::explain("the server", &error))?;
        Ok(Self::new(connection.into(), "the client".to_owned()))
    }

    fn new(connection: Connection, peer: String) -> Self {
        Self {
            machine: Mutex::new(Machine { connection, backlog: Vec::new(), closed: false, failure: None }),
            receiving: Mutex::default(),
            sending: Mutex::default(),
            peer,
        }
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
        let mut received = 0;
        loop {
            let handshaking = {
                let mut outgoing = lock(&self.sending);
                let handshaking = self.machine().produce(&mut outgoing);
                outgoing.flush(fd, &mut Wait::for_room(patience))?;
                handshaking
            };
            if !handshaking {
                return Ok(());
            }
            let count = tcp::receive(fd, &mut block, patience)?;
            let (failure, closed) = {
                let mut machine = self.machine();
                machine.accept(&block[..count]);
                (machine.failure.clone(), machine.closed && machine.connection.is_handshaking())
            };
            if let Some(error) = failure {
                // The peer is told why, if that needs no waiting.
                self.send_rest(fd);
                return Err(refusal::explain(&self.peer, &error));
            }
            if count == 0 || closed {
                let words = format!("{} closed the connection during the TLS handshake", self.peer);
                return Err(Error::Tls(words.into()));
            }
            received += count;
            if received > MAX_HANDSHAKE {
                let words = format!("{} does not finish the TLS handshake", self.peer);
                return Err(Error::Tls(words.into()));
            }
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
            match available.map_err(|error| refusal::explain(&self.peer, &error))? {
                Available::Bytes(count) => return Ok(count),
                Available::End => return Ok(0),
                Available::Torn => {
                    debug!("{} ended the connection without closing TLS", self.peer);
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
        let mut machine = self.machine();
        let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !machine.backlog.is_empty() || !machine.connection.reader().fill_buf().is_err_and(nothing)
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
        outgoing.flush(fd, wait)?;
        scratch.clear();
        for mut piece in pieces {
            while !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(BATCH_LEN - scratch.len()));
                scratch.extend_from_slice(now);
                piece = later;
                if scratch.len() == BATCH_LEN {
                    self.encrypt(scratch, &mut outgoing)?;
                    scratch.clear();
                    outgoing.flush(fd, wait)?;
                }
            }
        }
        self.encrypt(scratch, &mut outgoing)?;
        outgoing.flush(fd, wait)
    }

    /// Sends the beginning of `bytes`, at most a record, and returns how much that was. Bytes that were encrypted
    /// count as sent: if the socket does not take them in time, the next call sends the rest before anything else.
    pub fn send_some(&self, fd: BorrowedFd<'_>, bytes: &[u8], patience: &dyn Patience) -> Result<usize> {
        let mut outgoing = lock(&self.sending);
        let wait = &mut Wait::for_room(patience);
        outgoing.flush(fd, wait)?;
        let record = &bytes[..bytes.len().min(RECORD_LEN)];
        self.encrypt(record, &mut outgoing)?;
        match outgoing.flush(fd, wait) {
            Ok(()) | Err(Error::TimedOut | Error::Interrupted) => Ok(record.len()),
            Err(error) => Err(error),
        }
    }

    /// Says goodbye, unless that would have to wait.
    pub fn close(&self, fd: BorrowedFd<'_>) {
        self.machine().connection.send_close_notify();
        self.send_rest(fd);
    }

    /// Sends what the protocol has to say, as far as that goes without waiting.
    fn send_rest(&self, fd: BorrowedFd<'_>) {
        let mut outgoing = match self.sending.try_lock() {
            Ok(outgoing) => outgoing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody waits for the socket to take a record; nothing can come before its end.
            Err(TryLockError::WouldBlock) => return,
        };
        self.machine().produce(&mut outgoing);
        if let Ok(count) = tcp::send_now(fd, outgoing.unsent()) {
            outgoing.sent += count;
        }
    }

    /// Makes records of `bytes`.
    fn encrypt(&self, bytes: &[u8], outgoing: &mut Outgoing) -> Result<()> {
        let mut machine = self.machine();
        if let Some(error) = &machine.failure {
            return Err(refusal::explain(&self.peer, error));
        }
        for record in bytes.chunks(RECORD_LEN) {
            machine.connection.writer().write_all(record)?;
            machine.produce(outgoing);
        }
        Ok(())
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

impl Machine {
    /// Moves the records that are ready to `outgoing`; true while the handshake goes on.
    fn produce(&mut self, outgoing: &mut Outgoing) -> bool {
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            if !matches!(self.connection.write_tls(&mut outgoing.records), Ok(1..)) {
                break;
            }
        }
        self.connection.is_handshaking()
    }

    /// Takes what came from the socket; nothing means that the connection ended. The backlog is empty: nothing is
    /// received before that is used up.
    fn accept(&mut self, received: &[u8]) {
        if received.is_empty() {
            // Tells the connection, which takes no bytes after that.
            let _ = self.connection.read_tls(&mut io::empty());
            return;
        }
        if self.backlog.is_empty() {
            let taken = self.decrypt(received);
            self.backlog.extend_from_slice(&received[taken..]);
        } else {
            self.failure = Some(rustls::Error::General("more records than were asked for".to_owned()));
        }
    }

    /// Decrypts as much as the connection takes before what is decrypted already has been read; returns how much of
    /// `received` is done with.
    fn decrypt(&mut self, received: &[u8]) -> usize {
        let mut rest = received;
        while !rest.is_empty() && self.failure.is_none() && !self.closed {
            match self.connection.read_tls(&mut rest) {
                Ok(1..) => match self.connection.process_new_packets() {
                    Ok(state) => self.closed = state.peer_has_closed(),
                    Err(error) => self.failure = Some(error),
                },
                Ok(0) => break,
                // A handshake message in more bytes of records than the connection keeps.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.failure = Some(InvalidMessage::HandshakePayloadTooLarge.into());
                }
                // What is decrypted has to be read first.
                Err(_) => break,
            }
        }
        if self.closed { received.len() } else { received.len() - rest.len() }
    }

    /// What there is to read. What came before a failure is still delivered.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Available, rustls::Error> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(0) => return Ok(Available::End),
                Ok(count) => return Ok(Available::Bytes(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.failure.clone().map_or(Ok(Available::Torn), Err),
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
            if self.backlog.is_empty() {
                return Ok(Available::Nothing);
            }
            let backlog = mem::take(&mut self.backlog);
            let taken = self.decrypt(&backlog);
            if taken == 0 && self.failure.is_none() {
                self.failure = Some(rustls::Error::General("a record that cannot be read".to_owned()));
            }
            self.backlog.extend_from_slice(&backlog[taken..]);
        }
    }
}

impl Outgoing {
    fn unsent(&self) -> &[u8] {
        &self.records[self.sent..]
    }

    /// Sends everything. If that fails, the rest stays for the next time.
    fn flush(&mut self, fd: BorrowedFd<'_>, wait: &mut Wait<'_>) -> Result<()> {
        while self.sent < self.records.len() {
            match tcp::send_within(fd, self.unsent(), wait)? {
                0 => return Err(Error::Closed),
                count => self.sent += count,
            }
        }
        self.records.clear();
        self.sent = 0;
        Ok(())
    }
}

/// A thread that panicked leaves nothing half done that another would trip over: at worst the session is unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much is received at a time: a record at its longest.
const BLOCK_LEN: usize = RECORD_LEN + 2048 + 5;

/// The most that a record can hold.
const RECORD_LEN: usize = 16 * 1024;

/// The most that a peer sends in a handshake: certificates and the names of their issuers, each of which the protocol's
/// implementation takes up to 64 KiB of, and all else.
const MAX_HANDSHAKE: usize = 256 << 10;

/// How much is encrypted before the socket gets it.
const BATCH_LEN: usize = 4 * RECORD_LEN;
