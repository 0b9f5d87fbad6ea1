//! The HTTP server of an RTMPT session, under a script.
//!
//! A reply is written when the script waits for the client again. So the script determines the contents of a
//! reply, and the number of requests: nothing depends on which side is faster.

use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::support::peer::{Carriage, PATIENCE};

/// The only session.
const SESSION: &str = "4711aBcD";

/// What is written down of a client that asks forever.
const MAX_LOG: usize = 1 << 20;

/// The stream inside the requests and replies of a connection.
pub struct Tunnel {
    carriage: Box<dyn Carriage>,
    input: Vec<u8>,
    /// The bytes that the client sent and the script has not read.
    unread: Vec<u8>,
    /// The contents of the next reply.
    outgoing: Vec<u8>,
    /// A request was read and has no answer yet.
    owed: bool,
    /// The script has finished.
    over: bool,
    log: String,
}

impl Tunnel {
    pub fn over(carriage: Box<dyn Carriage>) -> Self {
        Self {
            carriage,
            input: Vec::new(),
            unread: Vec::new(),
            outgoing: Vec::new(),
            owed: false,
            over: false,
            log: String::new(),
        }
    }

    /// Answers a request with everything that is available.
    fn answer(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.owed) {
            return Ok(());
        }
        if self.over && self.outgoing.is_empty() {
            return self.carriage.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
        let stream = std::mem::take(&mut self.outgoing);
        // The polling byte goes first.
        self.reply(&[&[1], &stream[..]].concat())
    }

    fn reply(&mut self, content: &[u8]) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/x-fcs\r\n\
             Connection: Keep-Alive\r\n\r\n",
            content.len()
        );
        self.carriage.send(&[head.as_bytes(), content].concat())
    }

    /// Reads a request, and answers it if it belongs to the session; false if there are no more.
    fn request(&mut self, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        let (head, end) = loop {
            let end = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
            let head = String::from_utf8_lossy(&self.input[..end.unwrap_or(0)]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-length: "));
            let length = length.map_or(0, |digits| digits.parse().expect("Content-length is a number"));
            if let Some(end) = end.map(|end| end + length).filter(|end| *end <= self.input.len()) {
                break (head, end);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut part = [0; 65536];
            match self.carriage.receive(&mut part, left)? {
                0 if self.input.is_empty() => return Ok(false),
                0 => panic!("the client closes inside a request: {head:?} and {} bytes", self.input.len()),
                count => self.input.extend(&part[..count]),
            }
        };
        let body: Vec<u8> = self.input.drain(..end).skip(head.len()).collect();
        if self.log.len() < MAX_LOG {
            self.log += &format!("{}\n", head.trim_end().replace("\r\n", " | "));
        }
        if head.starts_with("POST /open/1 ") {
            assert_eq!(body, [0]);
            self.reply(format!("{SESSION}\n").as_bytes())?;
            return Ok(true);
        }
        self.owed = true;
        if head.starts_with(&format!("POST /send/{SESSION}/")) {
            self.unread.extend(body);
            return Ok(true);
        }
        let others = ["idle", "close"].map(|command| format!("POST /{command}/{SESSION}/"));
        assert!(others.iter().any(|other| head.starts_with(other)), "{head}");
        assert_eq!(body, [0]);
        Ok(true)
    }
}

impl Carriage for Tunnel {
    fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + limit;
        while self.unread.is_empty() {
            // A client that has closed may have sent more requests before.
            let _ = self.answer();
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.request(left)? {
                return Ok(0);
            }
        }
        let count = self.unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outgoing.extend(bytes);
        Ok(())
    }

    /// The session has ended; the connection is not.
    fn end(&mut self, _: Shutdown) {
        self.over = true;
    }

    /// Puts the following bytes into the reply to the client's next request.
    fn part(&mut self) {
        let asked = self.answer().and_then(|()| self.request(PATIENCE));
        assert!(asked.is_ok_and(|asked| asked), "the client asks for no more:\n{}", self.log);
    }

    fn transcript(&self) -> String {
        self.log.clone()
    }
}
