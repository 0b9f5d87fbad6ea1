//! A session on the server: bytes between one end of a local socket pair and the requests that carry them.
//!
//! The other end of the pair belongs to whoever serves the stream, who reads, writes and waits on it as on any socket.

use std::{
    collections::VecDeque,
    io::{self, Read},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use log::debug;
use socket2::SockRef;

use super::Command;
use crate::{error::Result, transport::tcp};

/// The bytes of one session on their way.
#[derive(Debug)]
pub(super) struct Mailbox {
    stream: UnixStream,
    mail: Mutex<Mail>,
    changed: Condvar,
    limits: Limits,
}

/// How long a session is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A session without requests for this long is over.
    pub(super) idle: Duration,
}

#[derive(Debug)]
struct Mail {
    /// Bytes for the client.
    outbound: Vec<u8>,
    /// Whoever serves the stream has closed it.
    closed: bool,
    /// The session is over for both sides.
    over: bool,
    /// A request is being answered; others wait.
    busy: bool,
    waiting: u32,
    /// A request's body waits for whoever serves the stream to read.
    feeding: bool,
    connections: u32,
    last_request: Instant,
    /// The last ones answered, oldest first.
    answered: VecDeque<Answered>,
    empty_replies: usize,
}

/// A request that was answered. A client whose connection broke before the reply arrived asks again.
#[derive(Debug)]
struct Answered {
    connection: u64,
    command: Command,
    sequence: u32,
    content: Vec<u8>,
}

/// A request for a session.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) connection: u64,
    pub(super) command: Command,
    pub(super) sequence: Option<u32>,
    pub(super) body: &'a [u8],
}

/// The most bytes that wait for the client before whoever serves the stream has to wait.
const MAX_OUTBOUND: usize = 1 << 20;

/// The most bytes that wait for the client while its own bytes wait, too. Whoever serves the stream may write before it
/// reads on, and the client gets nothing before its request is answered.
const MAX_OUTBOUND_FEEDING: usize = 32 << 20;

/// The longest content of a reply.
const MAX_REPLY: usize = 256 << 10;

/// How many requests may be asked again; clients send about as many ahead of their replies.
const MAX_REMEMBERED: usize = 32;

/// How long an `idle` request waits for bytes to come.
const HOLD: Duration = Duration::from_millis(50);

/// How long a request waits for an earlier one that is on its way on another connection.
const REORDERING: Duration = Duration::from_secs(1);

/// How often waits look whether they should end.
const TICK: Duration = Duration::from_millis(500);

/// What the server tells the client about the next poll: later and later while nothing comes.
const POLLING: [u8; 6] = [0x01, 0x03, 0x05, 0x09, 0x11, 0x21];

impl Mailbox {
    /// A session, and the stream for whoever serves it.
    pub(super) fn new(limits: Limits) -> Result<(Self, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        near.set_read_timeout(Some(TICK.min(limits.idle)))?;
        near.set_write_timeout(Some(TICK.min(limits.idle)))?;
        let mail = Mail {
            outbound: Vec::new(),
            closed: false,
            over: false,
            busy: false,
            waiting: 0,
            feeding: false,
            connections: 0,
            last_request: Instant::now(),
            answered: VecDeque::new(),
            empty_replies: 0,
        };
        Ok((Self { stream: near, mail: Mutex::new(mail), changed: Condvar::new(), limits }, far))
    }

    /// Moves bytes from the stream to where requests find them, until the session is over. Needs a thread.
    pub(super) fn run(&self) {
        let mut buffer = [0; 16 << 10];
        loop {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    if !self.deliver(&buffer[..len]) {
                        break;
                    }
                }
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    debug!("a tunnelled session ends: {error}");
                    break;
                }
            }
            let mail = self.lock();
            if mail.over || self.expired(&mail) {
                break;
            }
        }
        // What was written before the end still goes to the client.
        let mut mail = self.lock();
        mail.closed = true;
        self.changed.notify_all();
        while !mail.over && !mail.outbound.is_empty() && !self.expired(&mail) {
            mail = self.wait(mail, TICK);
        }
        drop(mail);
        self.end();
        self.discard(&mut buffer);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Answers a request: the content of the reply, or `None` if the session is over.
    pub(super) fn exchange(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut mail = self.lock();
        mail.waiting += 1;
        self.changed.notify_all();
        let arrived = Instant::now();
        while mail.busy || mail.expects_earlier(request, arrived) {
            mail = self.wait(mail, TICK);
        }
        mail.waiting -= 1;
        mail.last_request = Instant::now();
        if let Some(answered) = mail.answered(request) {
            return Some(answered.content.clone());
        }
        if mail.is_belated(request) {
            debug!("request {:?} of a tunnelled session comes after later ones", request.sequence);
            return None;
        }
        if mail.over || (mail.closed && mail.outbound.is_empty()) {
            return None;
        }
        mail.busy = true;
        drop(mail);
        match request.command {
            Command::Send => self.feed(request.body),
            Command::Close => self.end(),
            Command::Open | Command::Idle => {}
        }
        let mut mail = self.lock();
        if request.command == Command::Idle {
            let deadline = Instant::now() + HOLD;
            while mail.outbound.is_empty() && !mail.closed && !mail.over && mail.waiting == 0 {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                mail = self.wait(mail, left);
            }
        }
        let content = mail.next_content();
        if let Some(sequence) = request.sequence {
            let (connection, command) = (request.connection, request.command);
            mail.remember(Answered { connection, command, sequence, content: content.clone() });
        }
        mail.busy = false;
        self.changed.notify_all();
        Some(content)
    }

    /// Ends the session. Whoever serves the stream reads what has arrived and then its end, as on a TCP connection that
    /// the client has closed.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Takes what is still written to a session that is over. Whoever serves the stream may have something to say to what
    /// it has not read yet, such as acknowledgements, and must not fail with that before it comes to the end.
    fn discard(&self, buffer: &mut [u8]) {
        let end = Instant::now() + self.limits.idle;
        while Instant::now() < end {
            match (&self.stream).read(buffer) {
                Ok(0) => break,
                Err(error) if !is_timeout(&error) && error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
    }

    /// A connection begins or ceases to carry requests of this session.
    pub(super) fn count_connection(&self, begins: bool) {
        let mut mail = self.lock();
        mail.connections = if begins { mail.connections + 1 } else { mail.connections.saturating_sub(1) };
    }

    /// Gives bytes of the stream to the client's next request; waits for it if there are many. False when the session
    /// is over.
    fn deliver(&self, bytes: &[u8]) -> bool {
        let mut mail = self.lock();
        loop {
            let limit = if mail.feeding { MAX_OUTBOUND_FEEDING } else { MAX_OUTBOUND };
            if mail.over || self.expired(&mail) {
                return false;
            }
            if mail.outbound.len() < limit {
                mail.outbound.extend_from_slice(bytes);
                self.changed.notify_all();
                return true;
            }
            mail = self.wait(mail, TICK);
        }
    }

    /// Gives a request's body to whoever serves the stream.
    fn feed(&self, mut body: &[u8]) {
        let mut last_progress = Instant::now();
        while !body.is_empty() {
            // Not `write`: a server that closes its end must not raise a signal in the process.
            match SockRef::from(&self.stream).send_with_flags(body, tcp::NO_SIGNAL) {
                Ok(written) => {
                    body = &body[written..];
                    last_progress = Instant::now();
                }
                Err(error) if is_timeout(&error) && last_progress.elapsed() < self.limits.idle => {
                    let mut mail = self.lock();
                    mail.feeding = true;
                    self.changed.notify_all();
                    if mail.over {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    debug!("nobody reads what a tunnel brings: {error}");
                    if is_timeout(&error) {
                        self.end();
                        let _ = self.stream.shutdown(Shutdown::Both);
                    }
                    break;
                }
            }
        }
        self.lock().feeding = false;
    }

    fn expired(&self, mail: &Mail) -> bool {
        !mail.busy && mail.last_request.elapsed() > self.limits.idle
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'m>(&self, mail: MutexGuard<'m, Mail>, time: Duration) -> MutexGuard<'m, Mail> {
        self.changed.wait_timeout(mail, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Mail {
    /// Whether a request with a smaller number is on its way on another connection.
    fn expects_earlier(&self, request: &Request<'_>, arrived: Instant) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        // Clients that count in their own way have one connection, where order is not in doubt.
        let ahead = sequence.wrapping_sub(last.sequence);
        self.connections > 1 && !self.over && (2..64).contains(&ahead) && arrived.elapsed() < REORDERING
    }

    /// The reply to the same request, if it came before on a connection that is gone.
    fn answered(&self, request: &Request<'_>) -> Option<&Answered> {
        self.answered.iter().find(|answered| {
            request.sequence == Some(answered.sequence)
                && request.command == answered.command
                && request.connection != answered.connection
        })
    }

    /// Whether a request comes after later ones that came on another connection. It was sent again there, or nobody waited
    /// for it any more; its bytes have no place in the stream.
    fn is_belated(&self, request: &Request<'_>) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        let behind = last.sequence.wrapping_sub(sequence);
        request.connection != last.connection && (1..1 << 31).contains(&behind)
    }

    fn remember(&mut self, answered: Answered) {
        self.answered.push_back(answered);
        let mut bytes: usize = self.answered.iter().map(|answered| answered.content.len()).sum();
        while self.answered.len() > 1 && (self.answered.len() > MAX_REMEMBERED || bytes > MAX_REPLY) {
            bytes -= self.answered.pop_front().map_or(0, |answered| answered.content.len());
        }
    }

    /// The polling byte, and bytes for the client.
    fn next_content(&mut self) -> Vec<u8> {
        let len = self.outbound.len().min(MAX_REPLY);
        self.empty_replies = if len > 0 { 0 } else { self.empty_replies + 1 };
        let polling = POLLING[self.empty_replies.min(POLLING.len() - 1)];
        let mut content = Vec::with_capacity(1 + len);
        content.push(polling);
        content.extend(self.outbound.drain(..len));
        content
    }
}

/// A socket's time-out.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
