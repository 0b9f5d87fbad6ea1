//! The server's side of a tunnel without sockets: one session, and the HTTP connections that carry its requests.
//!
//! The requests of a session may come on any number of connections, one after the other or at the same time. Each connection
//! has a number that its owner chooses. Bytes received on it go to [`Server::receive`], and [`Server::output`] returns replies;
//! the bytes of the stream go through [`Server::read`] and [`Server::write`]. The caller supplies the time.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use log::debug;

use super::{
    Command, SessionId,
    connection::{Connection, MAX_UNWANTED},
    outbound::Outbound,
    request::{Head, Target},
};

/// A session on the server.
#[derive(Debug)]
pub struct Server {
    id: SessionId,
    /// A session without requests for this long ends.
    idle: Duration,
    /// In the order of their last use.
    carriers: Vec<Carrier>,
    /// The connection whose request is being answered. Others wait.
    current: Option<u64>,
    outbound: Outbound,
    /// This session's share of the reserve.
    reserved: usize,
    /// Bytes of requests that were accepted before the user reads them, so that a user who only sends does not block.
    early: VecDeque<u8>,
    /// The last answered requests, oldest first.
    answered: VecDeque<Answered>,
    /// A request whose connection ended within its body.
    broken: Option<Broken>,
    empty_replies: usize,
    last_request: Instant,
    /// The user has finished writing.
    closed: bool,
    /// The client has gone, or has said goodbye.
    over: bool,
}

/// A connection that carries requests of the session.
#[derive(Debug)]
struct Carrier {
    number: u64,
    connection: Connection,
    task: Task,
}

/// The state of a connection.
#[derive(Debug)]
enum Task {
    /// The next request has not arrived.
    Idle,
    /// The next request is for another session.
    Foreign(SessionId),
    /// The body of a refused request.
    Unwanted,
    /// The body of a request that was already answered.
    Repeated(Arc<Vec<u8>>),
    /// A request that waits for its turn.
    Waiting { request: Request, since: Instant },
    /// The body is for the stream; `known` bytes of it arrived before, on a connection that broke.
    Feeding { request: Request, known: usize, fed: usize },
    /// The reply is delayed until then, to wait for bytes.
    Holding { request: Request, until: Instant },
}

#[derive(Debug, Clone, Copy)]
struct Request {
    command: Command,
    sequence: Option<u32>,
}

/// An answered request. If the connection broke before the reply arrived, the client sends it again.
#[derive(Debug)]
struct Answered {
    connection: u64,
    command: Command,
    sequence: u32,
    content: Arc<Vec<u8>>,
}

/// A request of which the stream has received the beginning. The client sends it again, from its first byte on.
#[derive(Debug, Clone, Copy)]
struct Broken {
    sequence: Option<u32>,
    fed: usize,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// This many bytes of the stream, at least one.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The client has ended its side.
    End,
}

/// The limit of bytes that wait for the client; then the user has to wait.
pub(crate) const MAX_OUTBOUND: usize = 1 << 20;

/// The limit of bytes that wait for the client while its own bytes also wait. The user may write before it continues to read,
/// and the client gets nothing before its request is answered.
const MAX_OUTBOUND_FEEDING: usize = 32 << 20;

/// The limit of bytes that wait in this way in a process, besides those that each session may always have.
const MAX_RESERVE: usize = 64 << 20;

/// The limit of bytes that are accepted from requests while the user only sends.
const MAX_EARLY: usize = 1 << 20;

/// The limit of connections of a session at a time. Clients use one or two, and proxies a few; a further one replaces the least
/// recently used.
pub(crate) const MAX_CARRIERS: usize = 8;

/// The longest content of a reply.
const MAX_REPLY: usize = 256 << 10;

/// The limit of requests that can be repeated; clients send about as many ahead of their replies.
const MAX_REMEMBERED: usize = 32;

/// The time for which an `idle` request waits for bytes.
const HOLD: Duration = Duration::from_millis(50);

/// The time for which a request waits for an earlier one that is in transit on another connection.
const REORDERING: Duration = Duration::from_secs(1);

/// The polling bytes of successive empty replies: the pauses grow.
const POLLING: [u8; 6] = [0x01, 0x03, 0x05, 0x09, 0x11, 0x21];

impl Server {
    /// A session without connections, which ends when no request arrives for the time `idle`.
    pub fn new(id: SessionId, idle: Duration, now: Instant) -> Self {
        Self {
            id,
            idle,
            carriers: Vec::new(),
            current: None,
            outbound: Outbound::default(),
            reserved: 0,
            early: VecDeque::new(),
            answered: VecDeque::new(),
            broken: None,
            empty_replies: 0,
            last_request: now,
            closed: false,
            over: false,
        }
    }

    /// The session's name.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Adds a connection. If there are too many, returns the number of the one that has to be closed.
    pub(crate) fn connect(&mut self, number: u64, connection: Connection, now: Instant) -> Option<u64> {
        let oldest = (self.carriers.len() >= MAX_CARRIERS).then(|| self.carriers[0].number);
        if let Some(oldest) = oldest {
            debug!("a tunnelled session has too many connections");
            self.disconnect(oldest);
        }
        self.carriers.push(Carrier { number, connection, task: Task::Idle });
        self.step(now);
        oldest
    }

    /// Adds a connection on which `input` was already received; [`Self::connections`] returns the remaining ones.
    pub fn accept(&mut self, number: u64, input: &[u8], now: Instant) {
        self.connect(number, Connection::new(input.to_vec()), now);
    }

    /// Processes bytes received on a connection.
    pub fn receive(&mut self, number: u64, bytes: &[u8], now: Instant) {
        if let Some(connection) = self.connection(number) {
            connection.receive(bytes, now);
        }
    }

    /// The peer of a connection has ended its side. Complete requests still count.
    pub fn end(&mut self, number: u64) {
        if let Some(connection) = self.connection(number) {
            connection.end();
        }
    }

    /// A connection has ended. An incomplete request may come again on another.
    pub fn disconnect(&mut self, number: u64) {
        let Some(index) = self.carriers.iter().position(|carrier| carrier.number == number) else { return };
        let carrier = self.carriers.remove(index);
        if self.current == Some(number) {
            self.current = None;
        }
        if let Task::Feeding { request, fed: fed @ 1.., .. } = carrier.task {
            self.broken = Some(Broken { sequence: request.sequence, fed });
        }
    }

    /// The numbers of the connections.
    pub fn connections(&self) -> impl Iterator<Item = u64> + '_ {
        self.carriers.iter().map(|carrier| carrier.number)
    }

    /// Whether more bytes of a connection are accepted.
    pub fn wants_input(&self, number: u64) -> bool {
        self.find(number).is_some_and(|carrier| carrier.connection.wants_input())
    }

    /// The output of a connection, in pieces.
    pub fn output(&self, number: u64) -> impl Iterator<Item = &[u8]> {
        self.find(number).into_iter().flat_map(|carrier| carrier.connection.output())
    }

    /// The first `count` bytes of [`Self::output`] were sent.
    pub fn advance(&mut self, number: u64, count: usize) {
        if let Some(connection) = self.connection(number) {
            connection.advance(count);
        }
    }

    /// A connection, for its owner to send its output.
    pub(crate) fn connection(&mut self, number: u64) -> Option<&mut Connection> {
        self.carrier(number).map(|carrier| &mut carrier.connection)
    }

    /// The number of unsent bytes of replies.
    pub fn unsent(&self) -> usize {
        self.carriers.iter().map(|carrier| carrier.connection.unsent()).sum()
    }

    /// Whether a connection has no output and will bring no request: its owner closes it and calls [`Self::disconnect`].
    pub fn is_finished(&self, number: u64) -> bool {
        self.find(number).is_none_or(|carrier| carrier.connection.is_over())
    }

    /// The session of a connection's next request, if that is another session. [`Self::release`] returns the connection for it,
    /// and [`Self::deny`] answers that there is no such session.
    pub fn foreign(&self, number: u64) -> Option<&SessionId> {
        match &self.find(number)?.task {
            Task::Foreign(id) => Some(id),
            _ => None,
        }
    }

    /// Removes a connection, and returns the bytes received on it.
    pub fn release(&mut self, number: u64) -> Option<Vec<u8>> {
        let index = self.carriers.iter().position(|carrier| carrier.number == number)?;
        Some(self.carriers.remove(index).connection.into_input())
    }

    /// Answers that the session of a request does not exist.
    pub fn deny(&mut self, number: u64, now: Instant) {
        let Some(carrier) = self.carrier(number) else { return };
        if let Some((head, len)) = carrier.connection.head() {
            carrier.task = refuse(&mut carrier.connection, &head, len, now);
        }
    }

    /// Does what is possible now: answers requests, and drops those that take too long.
    pub fn step(&mut self, now: Instant) {
        if !self.over && self.expires(now) {
            debug!("a tunnelled session has had no request for {:?}", self.idle);
            self.over = true;
        }
        while self.progress(now) {}
        for carrier in &mut self.carriers {
            carrier.connection.begin_waiting(now);
            if carrier.connection.limit().is_some_and(|limit| limit <= now) {
                debug!("a request of a tunnelled session takes too long");
                carrier.connection.end();
            }
        }
    }

    /// The time at which there is something to do although nothing has arrived.
    pub fn deadline(&self) -> Option<Instant> {
        let tasks = self.carriers.iter().filter_map(|carrier| match carrier.task {
            Task::Holding { until, .. } => Some(until),
            Task::Waiting { since, .. } if self.current.is_none() => since.checked_add(REORDERING),
            _ => None,
        });
        let limits = self.carriers.iter().filter_map(|carrier| carrier.connection.limit());
        let expiry = if self.over || self.current.is_some() { None } else { self.expiry() };
        tasks.chain(limits).chain(expiry).min()
    }

    /// Copies bytes of the stream into `buffer`.
    pub fn read(&mut self, buffer: &mut [u8], now: Instant) -> Arrived {
        if buffer.is_empty() {
            return Arrived::Nothing;
        }
        self.step(now);
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.len());
            for (to, byte) in buffer.iter_mut().zip(self.early.drain(..count)) {
                *to = byte;
            }
            return Arrived::Bytes(count);
        }
        let count = self.feed(|bytes| {
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            count
        });
        if count > 0 {
            self.step(now);
            return Arrived::Bytes(count);
        }
        if self.over { Arrived::End } else { Arrived::Nothing }
    }

    /// Takes the first bytes of `bytes` for the client; returns how many. 0 means that the client has to send a request first.
    pub fn write(&mut self, bytes: &[u8], now: Instant) -> usize {
        if self.over || self.closed {
            // As on a connection whose peer has gone: the bytes are lost.
            return bytes.len();
        }
        while self.room() == 0 && self.make_room(now) {}
        let count = bytes.len().min(self.room());
        self.outbound.push(&bytes[..count]);
        self.adjust_reserve();
        self.step(now);
        count
    }

    /// Accepts the received part of the current request, as far as there is memory for it: the request may then end, and its
    /// reply take bytes. False if nothing was accepted.
    pub(crate) fn make_room(&mut self, now: Instant) -> bool {
        let mut early = std::mem::take(&mut self.early);
        let taken = self.feed(|bytes| {
            let count = bytes.len().min(MAX_EARLY.saturating_sub(early.len()));
            early.extend(&bytes[..count]);
            count
        });
        self.early = early;
        self.step(now);
        taken > 0
    }

    /// The number of bytes that [`Self::write`] accepts.
    pub fn room(&self) -> usize {
        let len = self.outbound.len();
        match len {
            _ if self.over || self.closed => usize::MAX,
            ..MAX_OUTBOUND => MAX_OUTBOUND - len,
            _ if self.early.len() >= MAX_EARLY && self.is_feeding() => {
                RESERVE.load(Ordering::Relaxed).min(MAX_OUTBOUND_FEEDING.saturating_sub(len))
            }
            _ => 0,
        }
    }

    /// Whether bytes that were accepted early wait for [`Self::read`].
    pub fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// The user has finished reading and writing. Earlier bytes still go to the client.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        self.early.clear();
        self.step(now);
    }

    /// Whether all written bytes were put into replies.
    pub fn is_drained(&self) -> bool {
        self.over || self.outbound.len() == 0
    }

    /// Whether the client has gone or has said goodbye.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The time of the last request.
    pub fn last_request(&self) -> Instant {
        self.last_request
    }

    /// Ends the session for both sides at once, and each connection after its output.
    pub fn end_session(&mut self, now: Instant) {
        self.over = true;
        self.step(now);
        self.carriers.iter_mut().for_each(|carrier| carrier.connection.finish());
    }

    /// Whether bytes of the current request wait for the user.
    fn is_feeding(&self) -> bool {
        let carrier = self.current.and_then(|number| self.find(number));
        carrier.is_some_and(|carrier| {
            matches!(carrier.task, Task::Feeding { .. }) && !carrier.connection.body().is_empty()
        })
    }

    /// Takes from the reserve what the session has beyond its own share, and returns what it no longer needs.
    fn adjust_reserve(&mut self) {
        let needed = self.outbound.len().saturating_sub(MAX_OUTBOUND);
        let before = std::mem::replace(&mut self.reserved, needed);
        if needed > before {
            let more = needed - before;
            let take = |left: usize| Some(left.saturating_sub(more));
            let left = RESERVE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
            // Sessions that do this at the same time may get a block more each.
            self.reserved = before + more.min(left);
        } else if needed < before {
            RESERVE.fetch_add(before - needed, Ordering::Relaxed);
        }
    }

    /// Passes bytes of the current request to `take`, which returns how many it has used; returns the total.
    fn feed(&mut self, take: impl FnOnce(&[u8]) -> usize) -> usize {
        let Some(number) = self.current else { return 0 };
        let Some(carrier) = self.carrier(number) else { return 0 };
        let Task::Feeding { known, fed, .. } = &mut carrier.task else { return 0 };
        let skipped = (*known).min(carrier.connection.body().len());
        carrier.connection.use_body(skipped);
        *known -= skipped;
        if carrier.connection.body().is_empty() {
            return 0;
        }
        let count = take(carrier.connection.body());
        *fed += count;
        carrier.connection.use_body(count);
        count
    }

    /// Does one thing for one connection; false if there is nothing to do.
    fn progress(&mut self, now: Instant) -> bool {
        for index in 0..self.carriers.len() {
            if self.progress_with(index, now) {
                return true;
            }
        }
        self.choose(now)
    }

    fn progress_with(&mut self, index: usize, now: Instant) -> bool {
        let is_gone = self.is_gone();
        let has_others = self.carriers.iter().any(|carrier| matches!(carrier.task, Task::Waiting { .. }));
        let carrier = &mut self.carriers[index];
        let connection = &mut carrier.connection;
        match &carrier.task {
            Task::Idle => {
                let Some((head, len)) = connection.head() else { return false };
                carrier.task = match &head.target {
                    Target::Session { command, id, sequence } if *id == self.id => {
                        self.last_request = now;
                        match connection.begin(&head, len, now) {
                            Err(_) => return true,
                            Ok(()) if is_gone => Task::Unwanted,
                            Ok(()) => {
                                let request = Request { command: *command, sequence: *sequence };
                                Task::Waiting { request, since: now }
                            }
                        }
                    }
                    Target::Session { id, .. } => Task::Foreign(id.clone()),
                    Target::Open => {
                        // There is no server for a session that starts here.
                        connection.refuse("503 Service Unavailable");
                        return true;
                    }
                    Target::Other => refuse(connection, &head, len, now),
                };
                // The last used one is at the end.
                self.carriers[index..].rotate_left(1);
                true
            }
            Task::Foreign(_) => false,
            Task::Unwanted if connection.left() > MAX_UNWANTED as usize => {
                connection.refuse("404 Not Found");
                carrier.task = Task::Idle;
                true
            }
            Task::Unwanted if connection.skip_body() => {
                connection.reply("404 Not Found", None);
                if self.closed {
                    // The client has been informed that the session has ended.
                    connection.finish();
                }
                carrier.task = Task::Idle;
                true
            }
            Task::Repeated(content) if connection.skip_body() => {
                let content = content.clone();
                connection.reply("200 OK", Some(content));
                carrier.task = Task::Idle;
                true
            }
            Task::Unwanted | Task::Repeated(_) => false,
            Task::Waiting { request, .. } => {
                if request.command != Command::Send {
                    connection.skip_body();
                }
                if is_gone {
                    carrier.task = Task::Unwanted;
                }
                is_gone
            }
            Task::Feeding { request, .. } => {
                let request = *request;
                if self.over || self.closed {
                    // The bytes are not needed.
                    connection.skip_body();
                }
                let is_complete = connection.is_complete();
                if is_complete {
                    self.answer(index, request);
                }
                is_complete
            }
            Task::Holding { request, until } => {
                let request = *request;
                let is_due =
                    self.outbound.len() > 0 || self.closed || self.over || has_others || *until <= now;
                if is_due {
                    self.answer(index, request);
                }
                is_due
            }
        }
    }

    /// Begins with the next request in order; false if there is none.
    fn choose(&mut self, now: Instant) -> bool {
        if self.current.is_some() {
            return false;
        }
        let mut first: Option<(usize, Instant)> = None;
        for (index, carrier) in self.carriers.iter().enumerate() {
            let Task::Waiting { request, since } = &carrier.task else { continue };
            let is_ready = request.command == Command::Send || carrier.connection.is_complete();
            if is_ready
                && !self.expects_earlier(request, *since, now)
                && first.is_none_or(|(_, other)| *since < other)
            {
                first = Some((index, *since));
            }
        }
        let Some((index, _)) = first else { return false };
        let Task::Waiting { request, .. } = self.carriers[index].task else { return false };
        let number = self.carriers[index].number;
        self.carriers[index].task = if let Some(answered) = self.repeated(number, &request) {
            Task::Repeated(answered)
        } else if self.is_belated(number, &request) {
            debug!("request {:?} of a tunnelled session arrived after later ones", request.sequence);
            Task::Unwanted
        } else {
            self.current = Some(number);
            match request.command {
                Command::Send => match self.broken.take() {
                    None => Task::Feeding { request, known: 0, fed: 0 },
                    Some(Broken { sequence: Some(sequence), fed }) if request.sequence == Some(sequence) => {
                        Task::Feeding { request, known: fed, fed }
                    }
                    Some(_) => {
                        debug!("a part of a tunnelled stream is missing");
                        self.over = true;
                        self.current = None;
                        Task::Unwanted
                    }
                },
                Command::Close => {
                    self.over = true;
                    Task::Holding { request, until: now }
                }
                Command::Open | Command::Idle => Task::Holding { request, until: now + HOLD },
            }
        };
        true
    }

    fn answer(&mut self, index: usize, request: Request) {
        let content = Arc::new(self.next_content());
        let carrier = &mut self.carriers[index];
        carrier.connection.reply("200 OK", Some(content.clone()));
        carrier.task = Task::Idle;
        let connection = carrier.number;
        self.current = None;
        if let Some(sequence) = request.sequence {
            self.remember(Answered { connection, command: request.command, sequence, content });
        }
    }

    /// Whether later requests are refused.
    fn is_gone(&self) -> bool {
        // The goodbye itself is answered.
        self.over && self.current.is_none()
            || self.closed && self.outbound.len() == 0 && self.current.is_none()
    }

    fn expires(&self, now: Instant) -> bool {
        self.current.is_none() && self.expiry().is_some_and(|expiry| expiry <= now)
    }

    fn expiry(&self) -> Option<Instant> {
        self.last_request.checked_add(self.idle)
    }

    /// Whether a request with a smaller number is in transit on another connection.
    fn expects_earlier(&self, request: &Request, since: Instant, now: Instant) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        // Clients with their own numbering use one connection, where the order is known.
        let ahead = sequence.wrapping_sub(last.sequence);
        self.carriers.len() > 1
            && !self.over
            && (2..64).contains(&ahead)
            && now.saturating_duration_since(since) < REORDERING
    }

    /// The reply to the same request, if it came before on a connection that has ended.
    fn repeated(&self, connection: u64, request: &Request) -> Option<Arc<Vec<u8>>> {
        let answered = self.answered.iter().find(|answered| {
            request.sequence == Some(answered.sequence)
                && request.command == answered.command
                && connection != answered.connection
        })?;
        Some(answered.content.clone())
    }

    /// Whether a request arrives after later ones from another connection. It was sent again there, or the wait for it has
    /// ended; its bytes have no place in the stream.
    fn is_belated(&self, connection: u64, request: &Request) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        let behind = last.sequence.wrapping_sub(sequence);
        connection != last.connection && (1..1 << 31).contains(&behind)
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
        let len = self.outbound.len().min(MAX_REPLY - 1);
        self.empty_replies = if len > 0 { 0 } else { self.empty_replies + 1 };
        let polling = POLLING[self.empty_replies.min(POLLING.len() - 1)];
        let mut content = Vec::with_capacity(1 + len);
        content.push(polling);
        self.outbound.take(len, &mut content);
        self.adjust_reserve();
        content
    }

    fn find(&self, number: u64) -> Option<&Carrier> {
        self.carriers.iter().find(|carrier| carrier.number == number)
    }

    fn carrier(&mut self, number: u64) -> Option<&mut Carrier> {
        self.carriers.iter_mut().find(|carrier| carrier.number == number)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        RESERVE.fetch_add(self.reserved, Ordering::Relaxed);
    }
}

/// The rest of the memory that the sessions of a process share, for those that need more than their own.
static RESERVE: AtomicUsize = AtomicUsize::new(MAX_RESERVE);

/// Begins to refuse a request.
fn refuse(connection: &mut Connection, head: &Head, len: usize, now: Instant) -> Task {
    if head.length > MAX_UNWANTED || connection.begin(head, len, now).is_err() {
        connection.refuse("404 Not Found");
        return Task::Idle;
    }
    Task::Unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(command: &str, sequence: u32, body: &[u8]) -> Vec<u8> {
        let head = format!("POST /{command}/s/{sequence} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    fn server(now: Instant) -> Server {
        let mut server = Server::new(SessionId::new(b"s").unwrap(), Duration::from_secs(30), now);
        server.accept(0, &[], now);
        server
    }

    /// Takes the output of a connection.
    fn replies(server: &mut Server, number: u64, now: Instant) -> String {
        let mut replies = Vec::new();
        loop {
            let output: Vec<u8> = server.output(number).flatten().copied().collect();
            if output.is_empty() {
                return String::from_utf8_lossy(&replies).into_owned();
            }
            server.advance(number, output.len());
            replies.extend(output);
            server.step(now);
        }
    }

    #[test]
    fn an_idle_request_is_held_for_bytes_and_answered_when_they_come_or_time_is_up() {
        let now = Instant::now();
        let mut server = server(now);
        server.receive(0, &request("idle", 0, b"\0"), now);
        server.step(now);
        assert_eq!(replies(&mut server, 0, now), "");
        assert_eq!(server.write(b"news", now), 4);
        assert!(replies(&mut server, 0, now).ends_with("\r\n\r\n\x01news"));
        server.receive(0, &request("idle", 1, b"\0"), now);
        server.step(now);
        let due = server.deadline().unwrap();
        assert_eq!(due, now + HOLD);
        server.step(due);
        assert!(replies(&mut server, 0, due).ends_with("\r\n\r\n\x03"));
    }

    #[test]
    fn user_who_only_writes_makes_progress_within_the_shared_reserve() {
        let now = Instant::now();
        let block = vec![0; 1 << 20];
        let write = |server: &mut Server| {
            let mut written = 0;
            loop {
                match server.write(&block, now) {
                    0 => return written,
                    count => written += count,
                }
            }
        };
        let mut quiet = server(now);
        assert_eq!(write(&mut quiet), MAX_OUTBOUND);
        // The client's body is longer than the limit of early bytes.
        let fill = |server: &mut Server| {
            let head = b"POST /send/s/0 HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n";
            server.receive(0, head, now);
            for _ in 0..3 {
                server.receive(0, &block, now);
            }
            write(server)
        };
        let (mut one, mut other, mut third) = (server(now), server(now), server(now));
        assert_eq!(fill(&mut one), MAX_OUTBOUND_FEEDING);
        assert_eq!(fill(&mut other), MAX_OUTBOUND_FEEDING);
        // The rest of the reserve, in whole blocks or not.
        let rest = MAX_RESERVE - 2 * (MAX_OUTBOUND_FEEDING - MAX_OUTBOUND);
        assert!(fill(&mut third) <= MAX_OUTBOUND + rest + block.len());
        drop((one, other, third));
        assert_eq!(RESERVE.load(Ordering::Relaxed), MAX_RESERVE);
    }

    #[test]
    fn a_session_without_requests_ends() {
        let now = Instant::now();
        let mut server = server(now);
        let due = server.deadline().unwrap();
        assert_eq!(due, now + Duration::from_secs(30));
        assert_eq!(server.read(&mut [0; 9], due - Duration::from_millis(1)), Arrived::Nothing);
        assert_eq!(server.read(&mut [0; 9], due), Arrived::End);
    }

    #[test]
    fn bytes_written_before_the_end_reach_the_client_before_the_end() {
        let now = Instant::now();
        let mut server = server(now);
        server.write(b"last words", now);
        server.close(now);
        assert!(!server.is_drained());
        server.receive(0, &request("idle", 0, b"\0"), now);
        server.step(now);
        assert!(replies(&mut server, 0, now).ends_with("\x01last words"));
        assert!(server.is_drained());
        server.receive(0, &request("idle", 1, b"\0"), now);
        server.step(now);
        let reply = replies(&mut server, 0, now);
        assert!(reply.starts_with("HTTP/1.1 404 Not Found\r\n"), "{reply}");
        assert!(server.is_finished(0));
    }
}
