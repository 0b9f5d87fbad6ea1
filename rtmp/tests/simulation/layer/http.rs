//! An HTTP tunnel: the library's client, and a server of few lines over the library's parser.

use std::collections::VecDeque;

use rtmp::{
    Error, Result,
    transport::tunnel::{self, Command, Poll, Target, parse_head},
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

/// A server with one session.
#[derive(Default)]
pub struct Server {
    /// Bytes of requests.
    input: Vec<u8>,
    /// How much of them was looked at for the end of a head.
    seen: usize,
    /// Bytes for the client.
    output: Vec<u8>,
    /// The number of the request that comes next, and the replies to the last ones: some get lost with their connection.
    next: u32,
    replies: VecDeque<Vec<u8>>,
    /// The connection is closed after one reply of so many; 0 if it never is.
    closes: u64,
    closed: bool,
}

/// The most bytes of a session that wait for a request.
const MOST_OUTPUT: usize = 64 << 10;

/// Clients do not have more requests than that without reply.
const MOST_REPLIES: usize = 20;

impl Server {
    pub fn new(dice: &mut Dice) -> Self {
        Self { closes: dice.pick(&[0, 0, 1, 5, 30]), ..Self::default() }
    }

    pub fn take(&mut self, plain: &[u8]) -> usize {
        let count = plain.len().min(MOST_OUTPUT - self.output.len());
        self.output.extend_from_slice(&plain[..count]);
        count
    }

    pub fn has_room(&self) -> bool {
        self.output.len() < MOST_OUTPUT
    }

    pub fn holds_bytes(&self) -> bool {
        !self.output.is_empty()
    }

    pub fn reconnect(&mut self) {
        self.input.clear();
        (self.seen, self.closed) = (0, false);
    }

    /// Answers the requests that have arrived.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
        dice: &mut Dice,
    ) -> Result<()> {
        self.input.extend_from_slice(bytes);
        while !self.closed {
            let Some((head, len)) = parse_head(&self.input, self.seen)? else {
                self.seen = self.input.len();
                break;
            };
            let end = len + head.length as usize;
            if self.input.len() < end {
                self.seen = 0;
                break;
            }
            let request: Vec<u8> = self.input.drain(..end).collect();
            self.seen = 0;
            self.closed = self.closes > 0 && dice.once_in(self.closes);
            let reply = match head.target {
                Target::Open => b"name\n".to_vec(),
                Target::Session { command, sequence: Some(sequence), .. } => {
                    self.answer(command, sequence, &request[len..], plain, dice)?
                }
                _ => return Err(Error::NotConnected),
            };
            let connection = if self.closed { "close" } else { "Keep-Alive" };
            let length = reply.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n");
            wire.extend_from_slice(head.as_bytes());
            wire.extend_from_slice(&reply);
        }
        Ok(())
    }

    fn answer(
        &mut self,
        command: Command,
        sequence: u32,
        body: &[u8],
        plain: &mut Vec<u8>,
        dice: &mut Dice,
    ) -> Result<Vec<u8>> {
        if sequence != self.next {
            // One that was answered, when the client did not hear it.
            let back = self.next.wrapping_sub(sequence) as usize;
            let index = self.replies.len().checked_sub(back).ok_or(Error::NotConnected)?;
            return Ok(self.replies[index].clone());
        }
        if command == Command::Send {
            plain.extend_from_slice(body);
        }
        let count = self.output.len().min(dice.up_to(MOST_OUTPUT));
        let reply = [0x01].into_iter().chain(self.output.drain(..count)).collect::<Vec<u8>>();
        self.next += 1;
        self.replies.push_back(reply.clone());
        if self.replies.len() > MOST_REPLIES {
            self.replies.pop_front();
        }
        Ok(reply)
    }
}
