//! TLS without a socket: records in, bytes in the clear out, and the other way round.

use std::{
    io::{self, BufRead, IoSlice, Read, Write},
    mem,
};

use rustls::{
    ClientConnection, Connection, InvalidMessage, ServerConnection,
    pki_types::{IpAddr, Ipv4Addr, ServerName},
};

use super::{ServerContext, Trust, config, refusal};
use crate::error::{Error, Result};

/// The protocol, which waits for nothing.
pub(crate) struct Machine {
    connection: Connection,
    /// Received, but too much to be decrypted before what is decrypted already has been read: less than a block.
    backlog: Vec<u8>,
    /// The peer said goodbye; nothing that follows counts.
    closed: bool,
    /// What the peer did against the protocol; nothing that follows can be decrypted.
    failure: Option<rustls::Error>,
    /// Bytes received during the handshake.
    handshake_len: usize,
    /// Whom the peer claims to be, for the log.
    peer: String,
}

/// Records on their way to the socket.
#[derive(Default)]
pub(crate) struct Outgoing {
    records: Vec<u8>,
    /// How much of `records` the socket has taken.
    sent: usize,
}

/// What there is to read without waiting.
pub(crate) enum Available {
    Bytes(usize),
    /// The peer said goodbye.
    End,
    /// The connection ended without a goodbye.
    Torn,
    Nothing,
}

impl Machine {
    /// A client's side of a connection with `host`, a name or an address.
    pub(crate) fn client(host: &str, trust: &Trust) -> Result<Self> {
        let config = config::client(trust)?;
        let name = match ServerName::try_from(host) {
            Ok(name) => name.to_owned(),
            // An address is never sent to the server, and nobody looks at this one.
            Err(_) if matches!(trust.whom(), Trust::Anyone) => {
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

    /// A server's side of a connection.
    pub(crate) fn server(context: &ServerContext) -> Result<Self> {
        let connection = ServerConnection::new(context.config())
            .map_err(|error| refusal::explain("the server", &error))?;
        Ok(Self::new(connection.into(), "the client".to_owned()))
    }

    fn new(connection: Connection, peer: String) -> Self {
        Self { connection, backlog: Vec::new(), closed: false, failure: None, handshake_len: 0, peer }
    }

    /// Whom the peer claims to be, for the log.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// Takes what came from the socket during the handshake; nothing means that the connection ended. After an error there
    /// may be an alert to send.
    pub(crate) fn accept_handshake(&mut self, received: &[u8]) -> Result<()> {
        self.accept(received);
        if let Some(error) = &self.failure {
            return Err(refusal::explain(&self.peer, error));
        }
        if received.is_empty() || (self.closed && self.connection.is_handshaking()) {
            let words = format!("{} closed the connection during the TLS handshake", self.peer);
            return Err(Error::Tls(words.into()));
        }
        self.handshake_len += received.len();
        if self.handshake_len > MAX_HANDSHAKE {
            let words = format!("{} does not finish the TLS handshake", self.peer);
            return Err(Error::Tls(words.into()));
        }
        Ok(())
    }

    /// Makes records of the beginning of `pieces`; returns how much was encrypted, which is not much more than a batch.
    pub(crate) fn encrypt(&mut self, pieces: &[IoSlice<'_>], outgoing: &mut Outgoing) -> Result<usize> {
        if let Some(error) = &self.failure {
            return Err(refusal::explain(&self.peer, error));
        }
        let (mut count, mut len) = (0, 0);
        while len < BATCH_LEN {
            let Some(piece) = pieces.get(count) else { break };
            (count, len) = (count + 1, len + piece.len());
        }
        let taken = self.connection.writer().write_vectored(&pieces[..count])?;
        self.produce(outgoing);
        Ok(taken)
    }

    /// Has the goodbye ready to be sent.
    pub(crate) fn close(&mut self, outgoing: &mut Outgoing) {
        self.connection.send_close_notify();
        self.produce(outgoing);
    }

    /// Whether there is more than was read so far: bytes that were received already, or the end.
    pub(crate) fn holds_more(&mut self) -> bool {
        let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !self.backlog.is_empty() || !self.connection.reader().fill_buf().is_err_and(nothing)
    }

    /// Moves the records that are ready to `outgoing`; true while the handshake goes on.
    pub(crate) fn produce(&mut self, outgoing: &mut Outgoing) -> bool {
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
    pub(crate) fn accept(&mut self, received: &[u8]) {
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
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Available> {
        self.try_read(buffer).map_err(|error| refusal::explain(&self.peer, &error))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<Available, rustls::Error> {
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
    /// What the socket has not taken.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.records[self.sent..]
    }

    /// The socket has taken `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.records.len() {
            self.records.clear();
            self.sent = 0;
        } else if self.sent >= BATCH_LEN {
            // The memory in front would grow for as long as the socket never takes everything.
            self.records.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// How much is received at a time: a record at its longest.
pub(crate) const BLOCK_LEN: usize = RECORD_LEN + 2048 + 5;

/// The most that a record can hold.
pub(crate) const RECORD_LEN: usize = 16 * 1024;

/// The most that a peer sends in a handshake: certificates and the names of their issuers, each of which the protocol's
/// implementation takes up to 64 KiB of, and all else.
const MAX_HANDSHAKE: usize = 256 << 10;

/// How much is encrypted before the socket gets it.
pub(crate) const BATCH_LEN: usize = 4 * RECORD_LEN;
