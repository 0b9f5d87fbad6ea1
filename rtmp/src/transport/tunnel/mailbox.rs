//! A session on the server: bytes between one end of a local socket pair and the requests that carry them.
//!
//! The other end of the pair belongs to the program that serves the stream and uses it like any socket.

use std::{
    collections::VecDeque,
    io::{self, Read},
    mem,
    net::Shutdown,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use log::debug;
use socket2::SockRef;

use super::{Command, link::Link};
use crate::{
    error::{Error, Result},
    system::{self, LocalStream},
    transport::{deadline::Deadline, tcp},
};

/// The bytes of one session on their way.
#[derive(Debug)]
pub(super) struct Mailbox {
    stream: LocalStream,
    mail: Mutex<Mail>,
    changed: Condvar,
    limits: Limits,
}

/// What bounds a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A session without requests for this long is over.
    pub(super) idle: Duration,
    /// What sessions share.
    pub(super) reserve: &'static Reserve,
}

/// Memory that the sessions of a process share, for those that need more than their own.
#[derive(Debug)]
pub(super) struct Reserve(AtomicUsize);

#[derive(Debug)]
struct Mail {
    outbound: Outbound,
    /// How much of the reserve this session has.
    reserved: usize,
    /// The serving program has closed it.
    closed: bool,
    /// The session is over for both sides.
    over: bool,
    /// A request is being answered; others wait.
    busy: bool,
    waiting: u32,
    /// A request's body waits for the server program to read.
    feeding: bool,
    /// Connections that carry requests of the session, the one used last at the end.
    carriers: VecDeque<Carrier>,
    last_request: Instant,
    /// The last ones answered, oldest first.
    answered: VecDeque<Answered>,
    /// A request whose connection ended in its body.
    broken: Option<Broken>,
    empty_replies: usize,
}

/// A connection that carries requests of a session.
#[derive(Debug)]
struct Carrier {
    connection: u64,
    link: Arc<dyn Link>,
}

/// Bytes for the client, in blocks that are full but for the last.
#[derive(Debug, Default)]
struct Outbound {
    blocks: VecDeque<Vec<u8>>,
    len: usize,
}

/// A request that was answered. A client whose connection broke before the reply arrived asks again.
#[derive(Debug)]
struct Answered {
    connection: u64,
    command: Command,
    sequence: u32,
    content: Content,
}

/// A request of whose body the stream has got the beginning. The client sends it again, from its first byte on.
#[derive(Debug, Clone, Copy)]
struct Broken {
    sequence: Option<u32>,
    fed: usize,
}

/// The content of a reply, which may be on its way to the client more than once.
pub(super) type Content = Arc<Vec<u8>>;

/// A request for a session.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) connection: u64,
    pub(super) command: Command,
    pub(super) sequence: Option<u32>,
    /// When waits for others end.
    pub(super) limit: Deadline,
}

/// The body of a request on its way in.
pub(super) trait Body {
    /// Waits for the next bytes; none at the end.
    fn next(&mut self) -> Result<&[u8]>;

    /// Lets the rest go by, or fails if that is too much for something that nobody wants.
    fn skip(&mut self) -> Result<()>;
}

/// What comes of a request.
pub(super) enum Reply {
    /// The content of the reply; all of the request's body is used up.
    Content(Content),
    /// The session is over, or the request comes too late.
    Nothing,
}

/// The most bytes that wait for the client before the serving program has to wait.
const MAX_OUTBOUND: usize = 1 << 20;

/// The most bytes that wait for the client while its own bytes wait, too. The serving program may write before it
/// reads on, and the client gets nothing before its request is answered.
const MAX_OUTBOUND_FEEDING: usize = 32 << 20;

/// The most bytes that wait in this way in a process, besides those that each session may have anyway.
const MAX_RESERVE: usize = 64 << 20;

/// How many connections carry a session at a time. Clients use one or two, and proxies a few; the one that was used longest
/// ago makes room for another.
const MAX_CARRIERS: usize = 8;

/// How long connections stay after their session, for the last replies.
const GRACE: Duration = Duration::from_secs(2);

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
    /// A session, and the stream for the program that serves it.
    pub(super) fn new(limits: Limits) -> Result<(Self, LocalStream)> {
        let (near, far) = system::stream_pair()?;
        near.set_read_timeout(Some(TICK.min(limits.idle)))?;
        near.set_write_timeout(Some(TICK.min(limits.idle)))?;
        let mail = Mail {
            outbound: Outbound::default(),
            reserved: 0,
            closed: false,
            over: false,
            busy: false,
            waiting: 0,
            feeding: false,
            carriers: VecDeque::new(),
            last_request: Instant::now(),
            answered: VecDeque::new(),
            broken: None,
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
        while !mail.over && mail.outbound.len > 0 && !self.expired(&mail) {
            mail = self.wait(mail, TICK);
        }
        drop(mail);
        self.end();
        let grace = Instant::now() + GRACE;
        self.forget(grace);
        self.discard(&mut buffer, grace);
        let _ = self.stream.shutdown(Shutdown::Both);
        let mut mail = self.lock();
        while !mail.carriers.is_empty() && Instant::now() < grace {
            mail = self.wait(mail, grace.saturating_duration_since(Instant::now()));
        }
        mail.end_carriers();
    }

    /// Answers a request, whose body goes to the stream as it comes. An error is one of the body; what came of that before
    /// stays.
    pub(super) fn exchange(&self, request: &Request, body: &mut dyn Body) -> Result<Reply> {
        if request.command != Command::Send {
            pass_over(body)?;
        }
        let mut mail = self.lock();
        mail.waiting += 1;
        self.changed.notify_all();
        let arrived = Instant::now();
        while mail.is_carried_by(request.connection)
            && request.limit.left().is_ok()
            && (mail.busy || mail.expects_earlier(request, arrived))
        {
            mail = self.wait(mail, TICK);
        }
        mail.waiting -= 1;
        if !mail.over && mail.busy {
            // Time is up, or another connection has taken this one's place.
            return Err(Error::TimedOut);
        }
        mail.last_request = Instant::now();
        if let Some(answered) = mail.answered(request) {
            let content = answered.content.clone();
            drop(mail);
            pass_over(body)?;
            return Ok(Reply::Content(content));
        }
        if mail.is_belated(request) {
            debug!("request {:?} of a tunnelled session comes after later ones", request.sequence);
            return Ok(Reply::Nothing);
        }
        if mail.over || (mail.closed && mail.outbound.len == 0) {
            return Ok(Reply::Nothing);
        }
        mail.busy = true;
        let broken = if request.command == Command::Send { mail.broken.take() } else { None };
        drop(mail);
        let fed = match request.command {
            Command::Send => self.feed(request, broken, body),
            Command::Close => {
                self.end();
                Ok(())
            }
            Command::Open | Command::Idle => Ok(()),
        };
        let mut mail = self.lock();
        if let Err(error) = fed {
            mail.busy = false;
            mail.feeding = false;
            self.changed.notify_all();
            return Err(error);
        }
        if request.command == Command::Idle {
            let deadline = Instant::now() + HOLD;
            while mail.outbound.len == 0 && !mail.closed && !mail.over && mail.waiting == 0 {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                mail = self.wait(mail, left);
            }
        }
        let content = Arc::new(mail.next_content());
        self.limits.reserve.adjust(&mut mail);
        if let Some(sequence) = request.sequence {
            let (connection, command) = (request.connection, request.command);
            mail.remember(Answered { connection, command, sequence, content: content.clone() });
        }
        mail.busy = false;
        self.changed.notify_all();
        Ok(Reply::Content(content))
    }

    /// Ends the session. The serving program reads what has arrived and then its end, as on a TCP connection that
    /// the client has closed.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Lets go of what no request will get any more. One that is being answered gets it, unless its body takes too long.
    fn forget(&self, grace: Instant) {
        let mut mail = self.lock();
        while mail.busy && Instant::now() < grace {
            mail = self.wait(mail, TICK);
        }
        mail.outbound = Outbound::default();
        self.limits.reserve.adjust(&mut mail);
    }

    /// Takes what is still written to a session that has ended. The serving program may have something to say to what
    /// it has not read yet, such as acknowledgements, and must not fail with that before it comes to the end.
    fn discard(&self, buffer: &mut [u8], grace: Instant) {
        let end = Instant::now() + self.limits.idle;
        while Instant::now() < end {
            if Instant::now() >= grace {
                self.lock().end_carriers();
            }
            match (&self.stream).read(buffer) {
                Ok(0) => break,
                Err(error) if !is_timeout(&error) && error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
    }

    /// A connection carries a request of this session.
    pub(super) fn carry(&self, connection: u64, link: &Arc<dyn Link>) {
        let mut mail = self.lock();
        mail.carriers.retain(|carrier| carrier.connection != connection);
        mail.carriers.push_back(Carrier { connection, link: link.clone() });
        let too_many = mail.carriers.len() > MAX_CARRIERS;
        if let Some(carrier) = too_many.then(|| mail.carriers.pop_front()).flatten() {
            debug!("a tunnelled session has too many connections");
            carrier.link.shut_down();
        }
    }

    /// A connection carries requests of this session no more.
    pub(super) fn drop_carrier(&self, connection: u64) {
        self.lock().carriers.retain(|carrier| carrier.connection != connection);
        self.changed.notify_all();
    }

    /// Gives bytes of the stream to the client's next request; waits for it if there are many. False when the session
    /// is over.
    fn deliver(&self, bytes: &[u8]) -> bool {
        let mut mail = self.lock();
        loop {
            if mail.over || self.expired(&mail) {
                return false;
            }
            let len = mail.outbound.len;
            let more = mail.feeding && len < MAX_OUTBOUND_FEEDING && self.limits.reserve.has(bytes.len());
            if len < MAX_OUTBOUND || more {
                mail.outbound.push(bytes);
                self.limits.reserve.adjust(&mut mail);
                self.changed.notify_all();
                return true;
            }
            mail = self.wait(mail, TICK);
        }
    }

    /// Gives a request's body to the server program. What it got of the same request before, on a connection that broke, is
    /// left out.
    fn feed(&self, request: &Request, broken: Option<Broken>, body: &mut dyn Body) -> Result<()> {
        let mut known = match broken {
            Some(Broken { sequence: Some(sequence), fed }) if request.sequence == Some(sequence) => fed,
            Some(_) => {
                debug!("a part of a tunnelled stream is missing");
                self.end();
                return body.skip();
            }
            None => 0,
        };
        let mut fed = known;
        let result = self.feed_from(body, &mut known, &mut fed, request.limit);
        if result.is_err() && fed > 0 {
            self.lock().broken = Some(Broken { sequence: request.sequence, fed });
        }
        result
    }

    /// Feeds the pieces of a body behind its first `known` bytes, and counts them in `fed`.
    fn feed_from(
        &self,
        body: &mut dyn Body,
        known: &mut usize,
        fed: &mut usize,
        limit: Deadline,
    ) -> Result<()> {
        loop {
            let piece = body.next()?;
            if piece.is_empty() {
                return Ok(());
            }
            let skipped = (*known).min(piece.len());
            *known -= skipped;
            if !self.feed_piece(&piece[skipped..], fed, limit)? {
                return body.skip();
            }
        }
    }

    /// Gives bytes to the server program and counts them; false if it will not read them.
    fn feed_piece(&self, mut piece: &[u8], fed: &mut usize, limit: Deadline) -> Result<bool> {
        let mut last_progress = Instant::now();
        while !piece.is_empty() {
            // Not `write`: a server that closes its end must not raise a signal in the process.
            match SockRef::from(&self.stream).send_with_flags(piece, tcp::NO_SIGNAL) {
                Ok(written) => {
                    piece = &piece[written..];
                    *fed += written;
                    last_progress = Instant::now();
                }
                Err(error) if is_timeout(&error) && last_progress.elapsed() < self.limits.idle => {
                    let mut mail = self.lock();
                    mail.feeding = true;
                    self.changed.notify_all();
                    if mail.over {
                        return Ok(false);
                    }
                    drop(mail);
                    limit.left()?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    debug!("nobody reads what a tunnel brings: {error}");
                    if is_timeout(&error) {
                        self.end();
                        let _ = self.stream.shutdown(Shutdown::Both);
                    }
                    return Ok(false);
                }
            }
        }
        self.lock().feeding = false;
        Ok(true)
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
    fn expects_earlier(&self, request: &Request, arrived: Instant) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        // Clients that count in their own way have one connection, where order is not in doubt.
        let ahead = sequence.wrapping_sub(last.sequence);
        self.carriers.len() > 1 && !self.over && (2..64).contains(&ahead) && arrived.elapsed() < REORDERING
    }

    /// The reply to the same request, if it came before on a connection that is gone.
    fn answered(&self, request: &Request) -> Option<&Answered> {
        self.answered.iter().find(|answered| {
            request.sequence == Some(answered.sequence)
                && request.command == answered.command
                && request.connection != answered.connection
        })
    }

    /// Whether a request comes after later ones that came on another connection. It was sent again there, or nobody waited
    /// for it any more; its bytes have no place in the stream.
    fn is_belated(&self, request: &Request) -> bool {
        let (Some(last), Some(sequence)) = (self.answered.back(), request.sequence) else { return false };
        let behind = last.sequence.wrapping_sub(sequence);
        request.connection != last.connection && (1..1 << 31).contains(&behind)
    }

    /// Whether a connection still belongs to a session that goes on.
    fn is_carried_by(&self, connection: u64) -> bool {
        !self.over && self.carriers.iter().any(|carrier| carrier.connection == connection)
    }

    fn end_carriers(&self) {
        self.carriers.iter().for_each(|carrier| carrier.link.shut_down());
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
        let len = self.outbound.len.min(MAX_REPLY - 1);
        self.empty_replies = if len > 0 { 0 } else { self.empty_replies + 1 };
        let polling = POLLING[self.empty_replies.min(POLLING.len() - 1)];
        let mut content = Vec::with_capacity(1 + len);
        content.push(polling);
        self.outbound.take(len, &mut content);
        content
    }
}

impl Outbound {
    fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|last| last.len() == last.capacity()) {
                self.blocks.push_back(Vec::with_capacity(BLOCK_LEN));
            }
            let Some(last) = self.blocks.back_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(last.capacity() - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Moves `len` bytes, which are there, to the end of `to`.
    fn take(&mut self, mut len: usize, to: &mut Vec<u8>) {
        self.len -= len;
        while len > 0 {
            let Some(first) = self.blocks.front_mut() else { break };
            if first.len() <= len {
                len -= first.len();
                to.append(first);
                self.blocks.pop_front();
            } else {
                to.extend(first.drain(..len));
                len = 0;
            }
        }
    }
}

impl Reserve {
    /// All of it.
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(MAX_RESERVE))
    }

    /// Whether there is so much left. Sessions that ask at the same moment may get a block more each.
    fn has(&self, len: usize) -> bool {
        self.0.load(Ordering::Relaxed) >= len
    }

    /// Takes as much as a session has beyond its own, and gives back what it has no more.
    fn adjust(&self, mail: &mut Mail) {
        let needed = mail.outbound.len.saturating_sub(MAX_OUTBOUND);
        let before = mem::replace(&mut mail.reserved, needed);
        if needed > before {
            let more = needed - before;
            let take = |left: usize| Some(left.saturating_sub(more));
            let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
            mail.reserved = before + more.min(left);
        } else {
            self.0.fetch_add(before - needed, Ordering::Relaxed);
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mail = self.mail.get_mut().unwrap_or_else(PoisonError::into_inner);
        mail.outbound = Outbound::default();
        self.limits.reserve.adjust(mail);
    }
}

/// Lets a body go by that is known already, or that has no meaning.
fn pass_over(body: &mut dyn Body) -> Result<()> {
    while !body.next()?.is_empty() {}
    Ok(())
}

/// How much memory is taken at a time for bytes that wait for the client.
const BLOCK_LEN: usize = 16 << 10;

/// A socket's time-out.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_a_client_are_taken_in_order_and_in_the_length_that_is_asked_for() {
        for (step, most) in [(1, 7), (1000, 40_000), (16 << 10, 1), (40_000, 16 << 10), (40_001, 39_999)] {
            let bytes: Vec<u8> = (0..120_000_u32).map(|index| ((index * 7) >> 3) as u8).collect();
            let mut outbound = Outbound::default();
            bytes.chunks(step).for_each(|piece| outbound.push(piece));
            assert!(outbound.blocks.len() <= bytes.len() / BLOCK_LEN + 1);
            let mut taken = Vec::new();
            while outbound.len > 0 {
                let (before, len) = (taken.len(), outbound.len.min(most));
                outbound.take(len, &mut taken);
                assert_eq!(taken.len(), before + len);
            }
            assert!(taken == bytes && outbound.blocks.is_empty(), "{step}, {most}");
        }
    }

    #[test]
    fn sessions_share_a_reserve_and_give_it_back() {
        static RESERVE: Reserve = Reserve::new();
        let limits = Limits { idle: Duration::from_secs(1), reserve: &RESERVE };
        let mut sessions: Vec<Mailbox> = (0..3).map(|_| Mailbox::new(limits).unwrap().0).collect();
        let block = vec![0; 1 << 20];
        for session in &sessions {
            let mut mail = session.lock();
            mail.feeding = true;
            for _ in 0..31 {
                mail.outbound.push(&block);
            }
            RESERVE.adjust(&mut mail);
        }
        // The third would have needed more than there is.
        assert_eq!(RESERVE.0.load(Ordering::Relaxed), 0);
        assert!(!RESERVE.has(1));
        sessions.pop();
        assert_eq!(RESERVE.0.load(Ordering::Relaxed), 4 << 20);
        sessions[0].lock().outbound.take(25 << 20, &mut Vec::new());
        RESERVE.adjust(&mut sessions[0].lock());
        assert_eq!(RESERVE.0.load(Ordering::Relaxed), 29 << 20);
        sessions.clear();
        assert_eq!(RESERVE.0.load(Ordering::Relaxed), MAX_RESERVE);
    }
}
