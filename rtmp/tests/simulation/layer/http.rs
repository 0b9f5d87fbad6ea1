//! An HTTP tunnel: the library's client and its server.

use std::time::{Duration, Instant};

use rtmp::{
    Result,
    transport::tunnel::{self, Arrived, Command, Poll, SessionId, Target, parse_head},
};

use super::super::{
    dice::Dice,
    network::{MILLISECOND, Time},
};

pub struct Client {
    client: tunnel::Client,
    /// The server has ended the connection, and the client needs another.
    unconnected: bool,
}

/// The longest body of a request.
const MOST_SENT: usize = 8000;

impl Default for Client {
    fn default() -> Self {
        Self { client: tunnel::Client::new("host", 80).expect("it is a name"), unconnected: false }
    }
}

impl Client {
    /// Takes the beginning of `plain` as one request, and returns how much.
    pub fn take(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize> {
        let count = plain.len().min(MOST_SENT);
        if count == 0 || !self.has_room() {
            return Ok(0);
        }
        wire.extend_from_slice(&self.client.request(Command::Send, &[&plain[..count]])?);
        Ok(count)
    }

    pub fn has_room(&self) -> bool {
        !self.unconnected && self.client.is_open() && self.client.has_room(MOST_SENT)
    }

    /// When the server is asked for a session or for bytes.
    pub fn next_poll(&self, now: Time) -> Option<Time> {
        if self.unconnected {
            return None;
        }
        match self.client.next_poll(now / MILLISECOND, 500) {
            Poll::Receive => None,
            Poll::Pause(left) => Some((now / MILLISECOND + left) * MILLISECOND),
            Poll::Idle => Some(now),
        }
    }

    pub fn poll(&mut self, wire: &mut Vec<u8>, now: Time) -> Result<()> {
        if self.next_poll(now) == Some(now) {
            let command = if self.client.is_open() { Command::Idle } else { Command::Open };
            wire.extend_from_slice(&self.client.request(command, &[])?);
        }
        Ok(())
    }

    pub fn receive(&mut self, mut bytes: Vec<u8>, now: Time, plain: &mut Vec<u8>) -> Result<()> {
        let decoded = self.client.decode(&mut bytes, now / MILLISECOND)?;
        plain.extend_from_slice(&bytes[..decoded.payload]);
        self.client.check()?;
        if decoded.connection_over {
            self.end_connection(now)?;
        }
        Ok(())
    }

    /// The server has closed the connection.
    pub fn end_connection(&mut self, now: Time) -> Result<()> {
        if !self.unconnected {
            self.client.connection_ended(now / MILLISECOND)?;
            self.unconnected = true;
        }
        Ok(())
    }

    /// Whether there are requests that the server may not have seen.
    pub fn waits_for_replies(&self) -> bool {
        self.client.status().unanswered > 0
    }

    pub fn wants_connection(&self) -> bool {
        self.unconnected
    }

    pub fn reconnect(&mut self, wire: &mut Vec<u8>) {
        self.unconnected = false;
        self.client.reconnected().iter().for_each(|request| wire.extend_from_slice(request));
    }
}

/// The library's server with one session, behind something that closes connections.
pub struct Server {
    server: tunnel::Server,
    /// When the simulation began.
    epoch: Instant,
    /// The number of the connection.
    connection: u64,
    /// The session has been asked for.
    begun: bool,
    /// Bytes of the first request, which no session takes.
    input: Vec<u8>,
    /// The connection is closed after one reply of so many; 0 if it never is.
    closes: u64,
    closed: bool,
}

/// The name of the session.
const NAME: &str = "name";

impl Server {
    pub fn new(dice: &mut Dice) -> Self {
        let epoch = Instant::now();
        let id = SessionId::new(NAME.as_bytes()).expect("it can be a name");
        let mut server = tunnel::Server::new(id, Duration::from_secs(24 * 3600), epoch);
        server.accept(0, &[], epoch);
        let closes = dice.pick(&[0, 0, 1, 5, 30]);
        Self { server, epoch, connection: 0, begun: false, input: Vec::new(), closes, closed: false }
    }

    fn clock(&self, now: Time) -> Instant {
        self.epoch + Duration::from_micros(now)
    }

    pub fn take(&mut self, plain: &[u8], now: Time) -> usize {
        let clock = self.clock(now);
        self.server.write(plain, clock)
    }

    pub fn has_room(&self) -> bool {
        self.server.room() > 0
    }

    pub fn holds_bytes(&self) -> bool {
        !self.server.is_drained()
    }

    /// When a reply that waits for bytes is sent without.
    pub fn next_time(&self) -> Option<Time> {
        let deadline = self.server.deadline()?;
        Some(deadline.saturating_duration_since(self.epoch).as_micros() as Time)
    }

    /// Moves bytes of the stream to `plain` and replies to the network, as long as that leads to something.
    pub fn exchange(&mut self, plain: &mut Vec<u8>, wire: &mut Vec<u8>, now: Time, dice: &mut Dice) {
        let clock = self.clock(now);
        let mut block = vec![0; dice.up_to(4096)];
        loop {
            let before = (plain.len(), wire.len());
            while let Arrived::Bytes(count) = self.server.read(&mut block, clock) {
                plain.extend_from_slice(&block[..count]);
            }
            self.flush(wire, now, dice);
            if (plain.len(), wire.len()) == before {
                break;
            }
        }
    }

    fn flush(&mut self, wire: &mut Vec<u8>, now: Time, dice: &mut Dice) {
        let clock = self.clock(now);
        self.server.step(clock);
        while !self.closed {
            // The head of a reply, or the content that follows.
            let Some(piece) = self.server.output(self.connection).next() else { return };
            let mut piece = piece.to_vec();
            self.server.advance(self.connection, piece.len());
            let is_head = piece.starts_with(b"HTTP/1.1 200 OK");
            if is_head && self.closes > 0 && dice.once_in(self.closes) {
                let head = String::from_utf8(piece).expect("heads are text");
                piece = head.replace("Connection: Keep-Alive", "Connection: close").into_bytes();
                piece.extend(self.server.output(self.connection).next().expect("replies have content"));
                self.closed = true;
            }
            wire.extend(piece);
            self.server.step(clock);
        }
    }

    pub fn reconnect(&mut self, now: Time) {
        let clock = self.clock(now);
        self.server.disconnect(self.connection);
        self.connection += 1;
        self.server.accept(self.connection, &[], clock);
        self.input.clear();
        self.closed = false;
    }

    /// Takes requests, and answers what can be answered.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
        now: Time,
        dice: &mut Dice,
    ) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let clock = self.clock(now);
        if self.begun {
            self.server.receive(self.connection, bytes, clock);
        } else {
            self.input.extend_from_slice(bytes);
            let Some((head, len)) = parse_head(&self.input, 0)? else { return Ok(()) };
            let end = len + head.length as usize;
            if self.input.len() < end {
                return Ok(());
            }
            assert_eq!(head.target, Target::Open);
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: Keep-Alive\r\n\r\n{NAME}\n",
                NAME.len() + 1
            );
            wire.extend(reply.into_bytes());
            self.begun = true;
            self.server.receive(self.connection, &self.input[end..], clock);
            self.input.clear();
        }
        self.exchange(plain, wire, now, dice);
        Ok(())
    }
}
