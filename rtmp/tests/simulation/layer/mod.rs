//! What lies between a session and the network.

mod http;
mod tls;

use std::io::IoSlice;

use rtmp::Result;

use super::{
    dice::Dice,
    network::{Pipe, Time},
    plan::{CLIENT, Protocol},
};

/// Carries the bytes of a session.
pub struct Layer {
    kind: Kind,
    /// Bytes for the network.
    wire: Vec<u8>,
    /// Bytes for the session, which does not take them yet.
    held: Vec<u8>,
}

enum Kind {
    Plain,
    Tls(Box<tls::Tls>),
    HttpClient(Box<http::Client>),
    HttpServer(Box<http::Server>),
}

/// Less than this is waiting when a layer takes more.
const MOST_HELD: usize = 64 << 10;

impl Layer {
    pub fn new(side: usize, protocol: Protocol, dice: &mut Dice) -> Self {
        let kind = match (protocol, side) {
            (Protocol::Tls, _) => Kind::Tls(Box::new(tls::Tls::new(side))),
            (Protocol::Tunnelled, CLIENT) => Kind::HttpClient(Box::default()),
            (Protocol::Tunnelled, _) => Kind::HttpServer(Box::new(http::Server::new(dice))),
            _ => Kind::Plain,
        };
        Self { kind, wire: Vec::new(), held: Vec::new() }
    }

    /// Sends the beginning of these bytes of a session, and returns how much.
    pub fn send(
        &mut self,
        slices: &[IoSlice<'_>],
        pipe: &mut Pipe,
        now: Time,
        dice: &mut Dice,
    ) -> Result<usize> {
        let mut sent = 0;
        for slice in slices {
            let count = match &mut self.kind {
                Kind::Plain => pipe.write(slice, now, dice),
                _ if self.wire.len() >= MOST_HELD => 0,
                Kind::Tls(tls) => tls.take(slice),
                Kind::HttpClient(client) => client.take(slice, &mut self.wire)?,
                Kind::HttpServer(server) => server.take(slice, now),
            };
            sent += count;
            if count < slice.len() {
                break;
            }
        }
        self.flush(pipe, now, dice)?;
        Ok(sent)
    }

    /// Moves bytes to the network. What a session sends goes before a request that only asks for bytes.
    fn flush(&mut self, pipe: &mut Pipe, now: Time, dice: &mut Dice) -> Result<()> {
        match &mut self.kind {
            Kind::Plain => return Ok(()),
            Kind::Tls(tls) => tls.write(&mut self.wire),
            Kind::HttpClient(client) => client.poll(&mut self.wire, now)?,
            Kind::HttpServer(server) => server.exchange(&mut self.held, &mut self.wire, now, dice),
        }
        let count = pipe.write(&self.wire, now, dice);
        self.wire.drain(..count);
        Ok(())
    }

    /// Whether there is something to be sent, if the session has something or not.
    pub fn wants_to_write(&self, session_does: bool, now: Time) -> bool {
        let room = self.wire.len() < MOST_HELD;
        let more = match &self.kind {
            Kind::Plain => session_does,
            Kind::Tls(tls) => tls.wants_to_write() || session_does && room && tls.is_open(),
            Kind::HttpClient(client) => {
                client.next_poll(now) == Some(now) || session_does && room && client.has_room()
            }
            Kind::HttpServer(server) => {
                server.next_time().is_some_and(|time| time <= now)
                    || session_does && room && server.has_room()
            }
        };
        more || !self.wire.is_empty()
    }

    /// Whether bytes are used that come from the network.
    pub fn wants_to_read(&self, session_does: bool) -> bool {
        match self.kind {
            Kind::Plain => session_does,
            _ => self.held.len() < MOST_HELD,
        }
    }

    /// Whether all that was sent has been taken by the network, or by the server of a tunnel.
    pub fn is_flushed(&self) -> bool {
        let waits = match &self.kind {
            Kind::Tls(tls) => tls.wants_to_write(),
            Kind::HttpServer(server) => server.holds_bytes(),
            Kind::HttpClient(client) => client.waits_for_replies(),
            Kind::Plain => false,
        };
        !waits && self.wire.is_empty()
    }

    /// Takes bytes from the network.
    pub fn receive(&mut self, bytes: Vec<u8>, now: Time, dice: &mut Dice) -> Result<()> {
        match &mut self.kind {
            Kind::Plain => self.held.extend(bytes),
            Kind::Tls(tls) => tls.receive(&bytes, &mut self.held)?,
            Kind::HttpClient(client) => client.receive(bytes, now, &mut self.held)?,
            Kind::HttpServer(server) => {
                server.receive(&bytes, &mut self.held, &mut self.wire, now, dice)?;
            }
        }
        Ok(())
    }

    /// Whether something has arrived for the session.
    pub fn holds_bytes(&self) -> bool {
        !self.held.is_empty()
    }

    /// What has arrived for the session.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// When there is something to do although nothing has arrived.
    pub fn next_time(&self, now: Time) -> Option<Time> {
        match &self.kind {
            Kind::HttpClient(client) => client.next_poll(now),
            Kind::HttpServer(server) => server.next_time(),
            _ => None,
        }
    }

    /// Whether the server of a tunnel has closed the connection, so that another one is needed.
    pub fn wants_connection(&self) -> bool {
        matches!(&self.kind, Kind::HttpClient(client) if client.wants_connection())
    }

    /// Whether the end of the connection is that of the session.
    pub fn ends_with_connection(&mut self, now: Time) -> bool {
        match &mut self.kind {
            Kind::HttpClient(client) => client.end_connection(now).is_err(),
            Kind::HttpServer(_) => false,
            _ => true,
        }
    }

    /// There is a new connection.
    pub fn reconnect(&mut self, now: Time) {
        self.wire.clear();
        match &mut self.kind {
            Kind::HttpClient(client) => client.reconnect(&mut self.wire),
            Kind::HttpServer(server) => server.reconnect(now),
            Kind::Plain | Kind::Tls(_) => {}
        }
    }
}
