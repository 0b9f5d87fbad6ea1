//! TLS without a socket: turns records into plain bytes, and plain bytes into records.

use std::io::{self, BufRead, IoSlice, Read, Write};

use rustls::{
    ClientConnection, Connection, InvalidMessage, ServerConnection,
    pki_types::{IpAddr, Ipv4Addr, ServerName},
};

use super::{ServerContext, Trust, config, refusal};
use crate::error::{Error, Result};

/// The protocol, which waits for nothing.
pub(crate) struct Machine {
    connection: Connection,
    /// The peer has said goodbye; later bytes are ignored.
    closed: bool,
    /// The peer's violation of the protocol; nothing after it can be decrypted.
    failure: Option<rustls::Error>,
    /// Bytes received during the handshake.
    handshake_len: usize,
    /// The name of the peer, for the log.
    peer: String,
}

/// Records that the socket has not accepted at once.
#[derive(Default)]
pub(crate) struct Outgoing {
    records: Vec<u8>,
    /// The number of bytes of `records` that the socket has accepted.
    sent: usize,
}

/// The bytes that can be read without waiting.
pub(crate) enum Available {
    Bytes(usize),
    /// The peer has said goodbye.
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
            // An address is never sent to the server, and without verification this one is not used.
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
        Self { connection, closed: false, failure: None, handshake_len: 0, peer }
    }

    /// The name of the peer, for the log.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// Fails if the handshake has failed after so many more bytes; none mean that the connection has ended. There may be an
    /// alert to send then.
    pub(crate) fn check_handshake(&mut self, count: usize) -> Result<()> {
        if let Some(error) = &self.failure {
            return Err(refusal::explain(&self.peer, error));
        }
        if count == 0 || (self.closed && self.connection.is_handshaking()) {
            let words = format!("{} closed the connection during the TLS handshake", self.peer);
            return Err(Error::Tls(words.into()));
        }
        self.handshake_len += count;
        if self.handshake_len > MAX_HANDSHAKE {
            let words = format!("{} does not finish the TLS handshake", self.peer);
            return Err(Error::Tls(words.into()));
        }
        Ok(())
    }

    /// Encrypts the first bytes of `pieces`; returns how many, which is not much more than a batch. [`Self::write_to`] sends them.
    pub(crate) fn encrypt(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        if let Some(error) = &self.failure {
            return Err(refusal::explain(&self.peer, error));
        }
        let (mut count, mut len) = (0, 0);
        while len < BATCH_LEN {
            let Some(piece) = pieces.get(count) else { break };
            (count, len) = (count + 1, len + piece.len());
        }
        Ok(self.connection.writer().write_vectored(&pieces[..count])?)
    }

    /// Passes records that are ready to `socket`, without a copy; returns how many bytes it has accepted. `None` if no record is
    /// ready.
    pub(crate) fn write_to(&mut self, socket: &mut dyn Write) -> Option<io::Result<usize>> {
        self.connection.wants_write().then(|| self.connection.write_tls(socket))
    }

    /// Prepares the goodbye for sending.
    pub(crate) fn close(&mut self, outgoing: &mut Outgoing) {
        self.connection.send_close_notify();
        self.produce(outgoing);
    }

    /// Whether there is more to read: bytes that were already received, the end, or a failure.
    pub(crate) fn holds_more(&mut self) -> bool {
        let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.failure.is_some() || !self.connection.reader().fill_buf().is_err_and(nothing)
    }

    /// Moves the records that are ready to `outgoing`; true while the handshake is running.
    pub(crate) fn produce(&mut self, outgoing: &mut Outgoing) -> bool {
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            if !matches!(self.connection.write_tls(&mut outgoing.records), Ok(1..)) {
                break;
            }
        }
        self.connection.is_handshaking()
    }

    /// Takes bytes of records from `socket`, in one call, and decrypts the records that are complete; returns how many bytes it
    /// has taken. 0 means that the connection has ended, or has failed. An error that is not that of `socket` means that decrypted
    /// bytes have to be read first.
    pub(crate) fn accept(&mut self, socket: &mut dyn Read) -> io::Result<usize> {
        match self.connection.read_tls(socket) {
            Ok(0) => Ok(0),
            Ok(count) => {
                match self.connection.process_new_packets() {
                    Ok(state) => self.closed = state.peer_has_closed(),
                    Err(error) => self.failure = Some(error),
                }
                Ok(count)
            }
            // A handshake message that needs more bytes of records than the connection keeps.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.failure = Some(InvalidMessage::HandshakePayloadTooLarge.into());
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing more can be decrypted.
    pub(crate) fn has_ended(&self) -> bool {
        self.closed || self.failure.is_some()
    }

    /// Reads decrypted bytes. Those before a failure are still delivered.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Available> {
        self.try_read(buffer).map_err(|error| refusal::explain(&self.peer, &error))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<Available, rustls::Error> {
        match self.connection.reader().read(buffer) {
            Ok(0) => Ok(Available::End),
            Ok(count) => Ok(Available::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.failure.clone().map_or(Ok(Available::Nothing), Err)
            }
            Err(_) => self.failure.clone().map_or(Ok(Available::Torn), Err),
        }
    }
}

impl Outgoing {
    /// The bytes that the socket has not accepted.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.records[self.sent..]
    }

    /// The socket has accepted `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.records.len() {
            self.records.clear();
            self.sent = 0;
        } else if self.sent >= BATCH_LEN {
            // Otherwise the sent part would grow as long as the socket never accepts everything.
            self.records.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// The size of a receive: the longest record.
pub(crate) const BLOCK_LEN: usize = RECORD_LEN + 2048 + 5;

/// The largest content of a record.
pub(crate) const RECORD_LEN: usize = 16 * 1024;

/// The limit of a peer's handshake: certificates and the names of their issuers, for each of which the TLS implementation
/// accepts up to 64 KiB, and everything else.
const MAX_HANDSHAKE: usize = 256 << 10;

/// The number of bytes that are encrypted before the socket receives them.
pub(crate) const BATCH_LEN: usize = 4 * RECORD_LEN;
