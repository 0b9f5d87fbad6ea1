//! The client's side of an HTTP tunnel over connections that can be replaced.

use std::{
    collections::VecDeque,
    io::IoSlice,
    sync::Arc,
    time::{Duration, Instant},
};

use log::debug;

use super::{
    step::{Interest, Received, Wanted, is_past, sooner},
    target::Target,
    wire::{Wire, after},
};
use crate::{
    error::{Error, Result},
    transport::{
        tcp::LINGER,
        tunnel::{Client, Command, NEXT_REPLY, Poll, Status},
    },
};

/// A session in an HTTP tunnel, and the connection that carries it now.
pub(super) struct Tunnel {
    client: Client,
    wire: Wire,
    /// The target of the next connection.
    target: Box<Target>,
    carrier: Carrier,
    /// Requests that the connection has not accepted yet.
    requests: VecDeque<Arc<Vec<u8>>>,
    /// The number of bytes of the first one that it has accepted.
    sent: usize,
    /// Bytes of the stream that arrived before the user asked for them.
    early: VecDeque<u8>,
    /// The time to call `receive` again, for a user who waits for bytes: to ask the server for some, or to get early ones.
    next_poll: Option<Instant>,
    /// The length of the request that was not accepted completely.
    needed: usize,
    /// The start of the clock of `client`.
    began: Instant,
    phase: Phase,
}

/// The state of the connection that carries requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// The first connection, or a new one, is being made. Unanswered requests are sent once it is open.
    Fresh,
    Up,
    /// Sending failed. There may be replies to read before the end.
    Failing(Ending),
    /// It is replaced before anything is sent.
    Down(Ending),
}

/// The way in which a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The server announced it.
    Announced,
    /// The server reset it.
    Reset,
    /// Without an announcement. A connection that this side has shut down, to end a wait, also ends in this way, and is not
    /// replaced.
    Silent,
}

/// The phase of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The session has no name yet. The time limit for it begins with the connection.
    Opening(Option<Instant>),
    Open,
    /// The server will be told that the session has ended, as soon as it accepts another request.
    Leaving {
        until: Instant,
    },
    /// This many requests were not answered; the last of them is the goodbye.
    Parting {
        missing: usize,
        next: Instant,
        until: Instant,
    },
    /// The connection is being closed.
    Gone,
}

impl Tunnel {
    /// A session that begins on `wire`, which is connected to `target`.
    pub(super) fn new(target: &Target, wire: Wire, now: Instant) -> Result<Self> {
        let host = String::from_utf8_lossy(&target.host);
        let mut client = Client::new(&host, target.port)?;
        client.request(Command::Open, &[])?;
        Ok(Self {
            client,
            wire,
            target: Box::new(target.clone()),
            carrier: Carrier::Fresh,
            requests: VecDeque::new(),
            sent: 0,
            early: VecDeque::new(),
            next_poll: None,
            needed: 0,
            began: now,
            phase: Phase::Opening(None),
        })
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// The state of the client.
    pub(super) fn status(&self) -> Status {
        self.client.status()
    }

    /// Whether there are received bytes of the stream that the user has not asked for.
    pub(super) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether bytes of the stream can go both ways.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Does what is possible without waiting.
    pub(super) fn step(&mut self, now: Instant) -> Result<()> {
        self.advance(now)?;
        if let Phase::Opening(deadline) = self.phase {
            // No bytes of the stream come before the session exists; those that come with its answer are kept.
            self.read_early(now)?;
            if self.client.is_open() {
                self.phase = Phase::Open;
            } else if is_past(deadline, now) {
                return Err(Error::TimedOut);
            }
        }
        match self.phase {
            Phase::Opening(_) => Ok(()),
            Phase::Open => {
                if is_past(self.next_poll, now) {
                    self.keep_polling(now)?;
                }
                // A server whose sending is blocked reads no requests, and one that reset the connection may have sent more
                // before.
                if matches!(self.carrier, Carrier::Failing(_)) || !self.requests.is_empty() {
                    self.read_early(now)?;
                }
                Ok(())
            }
            Phase::Leaving { .. } | Phase::Parting { .. } => {
                self.part(now);
                Ok(())
            }
            Phase::Gone => Ok(()),
        }
    }

    /// Copies bytes of the stream to the front of `buffer`; the rest of `buffer` is scratch space. Asks the server for some if
    /// it is time.
    pub(super) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        match self.phase {
            Phase::Open if !buffer.is_empty() => {}
            Phase::Open | Phase::Opening(_) => return Ok(Received::Nothing),
            Phase::Leaving { .. } | Phase::Parting { .. } | Phase::Gone => return Ok(Received::End),
        }
        self.next_poll = None;
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.len());
            for (to, byte) in buffer.iter_mut().zip(self.early.drain(..count)) {
                *to = byte;
            }
            return Ok(Received::Bytes(count));
        }
        loop {
            self.client.check()?;
            match self.client.next_poll(self.clock(now), self.longest_pause()) {
                Poll::Receive => {}
                Poll::Pause(left) => {
                    self.next_poll = after(now, Some(Duration::from_millis(left)));
                    return Ok(Received::Nothing);
                }
                Poll::Idle => self.post(Command::Idle, &[], now)?,
            }
            if let Some(count) = self.read(buffer, now)? {
                return Ok(Received::Bytes(count));
            }
            if self.client.unanswered().0 > 0 {
                return Ok(Received::Nothing);
            }
            // An empty reply: the next poll comes after a pause.
        }
    }

    /// Takes the first bytes of `pieces` as the body of one request; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>], now: Instant) -> Result<usize> {
        match self.phase {
            Phase::Open => {}
            Phase::Opening(_) => return Ok(0),
            Phase::Leaving { .. } | Phase::Parting { .. } | Phase::Gone => return Err(Error::NotConnected),
        }
        self.needed = 0;
        if self.room() == 0 {
            self.make_room(now)?;
        }
        let room = self.room();
        let mut body = Vec::new();
        let mut len = 0;
        for piece in pieces {
            let piece = &piece[..piece.len().min(room - len)];
            body.push(piece);
            len += piece.len();
            if len == room {
                break;
            }
        }
        if len > 0 {
            self.post(Command::Send, &body, now)?;
        }
        Ok(len)
    }

    /// Takes all of `bytes` as the body of one request, or nothing; returns how many.
    pub(super) fn send_whole(&mut self, bytes: &[u8], now: Instant) -> Result<usize> {
        self.needed = 0;
        match self.phase {
            Phase::Open => {}
            Phase::Opening(_) => return Ok(0),
            Phase::Leaving { .. } | Phase::Parting { .. } | Phase::Gone => return Err(Error::NotConnected),
        }
        if !self.client.has_room(bytes.len()) {
            self.make_room(now)?;
        }
        if !self.client.has_room(bytes.len()) {
            self.needed = bytes.len();
            return Ok(0);
        }
        self.post(Command::Send, &[bytes], now).map(|()| bytes.len())
    }

    /// Reads replies, after which there is room for requests. If the last connection has ended, a new one has to be made first:
    /// a caller that only sends waits for its socket, and does nothing else when that is ready.
    fn make_room(&mut self, now: Instant) -> Result<()> {
        self.advance(now)?;
        self.read_early(now)
    }

    /// Asks the server for bytes unless a reply is due, or bytes are available already.
    pub(super) fn keep_polling(&mut self, now: Instant) -> Result<()> {
        self.next_poll = None;
        if !self.is_open() || !self.early.is_empty() || self.client.unanswered().0 > 0 {
            return Ok(());
        }
        self.post(Command::Idle, &[], now)
    }

    /// Bytes of requests that the system has not accepted yet.
    pub(super) fn unsent(&self) -> usize {
        match self.carrier {
            // They are sent again on the next connection.
            Carrier::Fresh | Carrier::Failing(_) | Carrier::Down(_) => self.client.unanswered().1,
            Carrier::Up => {
                let requests: usize = self.requests.iter().map(|request| request.len()).sum();
                requests - self.sent + self.wire.unsent()
            }
        }
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        let is_stuck = !self.requests.is_empty() || matches!(self.carrier, Carrier::Failing(_));
        let wants_replies = match self.phase {
            Phase::Open => wanted.read || ((wanted.write || is_stuck) && self.early.len() < MAX_EARLY),
            Phase::Opening(_) | Phase::Leaving { .. } | Phase::Parting { .. } => true,
            Phase::Gone => false,
        };
        let read = wants_replies && self.client.unanswered().0 > 0;
        let has_room = self.is_open() && wanted.write && self.room() > 0;
        self.wire.interests(Wanted { read, write: has_room || !self.requests.is_empty() }, out);
    }

    /// The time at which a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Opening(deadline) => deadline,
            Phase::Open => self.next_poll,
            Phase::Leaving { until } => Some(until),
            Phase::Parting { next, until, .. } => Some(next.min(until)),
            Phase::Gone => None,
        };
        sooner(own, self.wire.deadline())
    }

    /// Informs the server that the session has ended, and waits for its last replies: closing a connection before them would
    /// lose requests that are still on their way. Requests with bytes of the stream have [`NEXT_REPLY`] each; the goodbye's own
    /// reply is worth no more than [`LINGER`].
    pub(super) fn finish(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening(_) => self.leave(now),
            Phase::Open => {
                let longest = self.target.timeout.unwrap_or(LONGEST_GOODBYE);
                self.phase = Phase::Leaving { until: now + longest.min(LONGEST_GOODBYE) };
                self.part(now);
            }
            Phase::Leaving { .. } | Phase::Parting { .. } | Phase::Gone => {}
        }
    }

    /// The session has ended.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Gone;
        self.requests.clear();
        self.wire.give_up();
    }

    fn part(&mut self, now: Instant) {
        if let Err(error) = self.try_to_part(now) {
            debug!("the tunnel's server closed the connection before our close message: {error}");
            self.leave(now);
        }
    }

    fn try_to_part(&mut self, now: Instant) -> Result<()> {
        // The user has no use for what arrives now.
        self.early.clear();
        // A server that has sent an invalid answer may still accept a goodbye.
        let read = self.read_early(now);
        self.early.clear();
        if let Phase::Leaving { until } = self.phase {
            if self.client.has_room(1) {
                self.post(Command::Close, &[], now)?;
                let missing = self.client.unanswered().0;
                self.phase = Phase::Parting { missing, next: now + Self::patience(missing), until };
            } else if now >= until {
                return Err(Error::TimedOut);
            }
        }
        read?;
        if let Phase::Parting { missing, next, until } = self.phase {
            let left = self.client.unanswered().0;
            if left == 0 || (left == 1 && self.carrier != Carrier::Up) {
                self.leave(now);
            } else if left < missing {
                self.phase = Phase::Parting { missing: left, next: now + Self::patience(left), until };
            } else if now >= next.min(until) {
                return Err(Error::TimedOut);
            }
        }
        Ok(())
    }

    /// The time limit for the next of `missing` replies.
    fn patience(missing: usize) -> Duration {
        if missing > 1 { NEXT_REPLY } else { LINGER }
    }

    /// Closes the connection.
    fn leave(&mut self, now: Instant) {
        self.phase = Phase::Gone;
        self.requests.clear();
        self.wire.finish(now);
    }

    /// Maintains the connection and sends the requests that wait for it.
    fn advance(&mut self, now: Instant) -> Result<()> {
        match self.carrier {
            Carrier::Down(ending) if self.client.unanswered().0 > 0 && self.phase != Phase::Gone => {
                self.reconnect(ending, now)?;
            }
            _ => {}
        }
        if self.carrier != Carrier::Fresh {
            self.wire.note_error();
        }
        match self.wire.step(now) {
            Err(error) if self.carrier != Carrier::Fresh => self.fail(error)?,
            result => result?,
        }
        if self.carrier == Carrier::Fresh && self.wire.is_open() {
            self.carrier = Carrier::Up;
            self.requests = self.client.reconnected().into();
            self.sent = 0;
            if self.phase == Phase::Opening(None) {
                self.phase = Phase::Opening(after(now, self.target.timeout));
            }
        }
        self.flush()
    }

    /// Replaces the connection. Unanswered requests are sent again on the next one.
    fn reconnect(&mut self, ending: Ending, now: Instant) -> Result<()> {
        // Programs end a wait by shutting the socket down.
        if ending == Ending::Silent && self.wire.is_shut_down_here() {
            return Err(Error::Interrupted);
        }
        debug!("connecting the tunnel again, because a connection ended: {ending:?}");
        let (keeps_readable, hook) = (self.wire.keeps_readable(), self.wire.hook());
        self.wire = Wire::connect(&self.target, after(now, self.target.timeout), now)?;
        self.wire.keep_readable(keeps_readable);
        self.wire.send_through(hook);
        self.carrier = Carrier::Fresh;
        Ok(())
    }

    /// Sends a request. If the connection does not accept it, because it has ended, it is sent again on the next one.
    fn post(&mut self, command: Command, body: &[&[u8]], now: Instant) -> Result<()> {
        if self.early.is_empty() {
            self.next_poll = None;
        }
        let request = self.client.request(command, body)?;
        if self.carrier == Carrier::Up {
            self.requests.push_back(request);
        }
        self.advance(now)
    }

    /// Passes requests to the connection as far as it accepts them.
    fn flush(&mut self) -> Result<()> {
        while self.carrier == Carrier::Up && !self.requests.is_empty() {
            let mut pieces = [IoSlice::new(&[]); MAX_REQUESTS];
            let count = self.requests.len().min(MAX_REQUESTS);
            for (piece, request) in pieces.iter_mut().zip(&self.requests) {
                *piece = IoSlice::new(request);
            }
            if let Some(first) = self.requests.front() {
                pieces[0] = IoSlice::new(&first[self.sent..]);
            }
            match self.wire.send(&pieces[..count]) {
                Ok(0) => break,
                Ok(count) => self.taken(count),
                Err(error) => self.fail(error)?,
            }
        }
        Ok(())
    }

    /// The connection has accepted `count` more bytes of the requests.
    fn taken(&mut self, count: usize) {
        self.sent += count;
        while let Some(first) = self.requests.front().filter(|first| self.sent >= first.len()) {
            self.sent -= first.len();
            self.requests.pop_front();
        }
    }

    /// Sending failed. If the connection has ended, it is replaced after the remaining bytes were read.
    fn fail(&mut self, error: Error) -> Result<()> {
        let Some(ending) = ending(&error) else { return Err(error) };
        debug!("sending through the tunnel failed: {error}");
        self.carrier = Carrier::Failing(ending);
        self.requests.clear();
        self.sent = 0;
        Ok(())
    }

    /// Receives until there are bytes of the stream in `buffer`; returns how many, or `None` if nothing more is possible now.
    fn read(&mut self, buffer: &mut [u8], now: Instant) -> Result<Option<usize>> {
        for _ in 0..MAX_REPLIES {
            if matches!(self.carrier, Carrier::Down(_)) {
                self.advance(now)?;
            }
            if !matches!(self.carrier, Carrier::Up | Carrier::Failing(_)) {
                return Ok(None);
            }
            let received = self.wire.receive(buffer, now);
            let (count, ending) = match received {
                Ok(Received::Nothing) => return Ok(None),
                Ok(Received::End) => (0, Some(Ending::Silent)),
                Ok(Received::Bytes(len)) => {
                    let decoded = self.client.decode(&mut buffer[..len], self.clock(now))?;
                    (decoded.payload, decoded.connection_over.then_some(Ending::Announced))
                }
                Err(error) => match ending(&error) {
                    Some(ending) => (0, Some(ending)),
                    None => return Err(error),
                },
            };
            if let Some(ending) = ending {
                self.end_connection(ending, now)?;
            }
            if count > 0 {
                return Ok(Some(count));
            }
            if ending.is_some() {
                self.advance(now)?;
                return Ok(None);
            }
            if self.client.unanswered().0 == 0 {
                return Ok(None);
            }
        }
        self.next_poll = Some(now);
        Ok(None)
    }

    fn end_connection(&mut self, ending: Ending, now: Instant) -> Result<()> {
        let announced = self.client.connection_ended(self.clock(now))?;
        self.requests.clear();
        self.sent = 0;
        self.carrier = Carrier::Down(match self.carrier {
            Carrier::Failing(Ending::Reset) => Ending::Reset,
            _ if announced => Ending::Announced,
            _ => ending,
        });
        Ok(())
    }

    /// Receives replies although the user has not asked for bytes of the stream, which are kept for later.
    fn read_early(&mut self, now: Instant) -> Result<()> {
        let mut buffer = [0; EARLY_BLOCK];
        while self.early.len() < MAX_EARLY && self.client.unanswered().0 > 0 {
            self.client.check()?;
            match self.read(&mut buffer, now)? {
                Some(count) => {
                    self.early.extend(&buffer[..count]);
                    // A pump that waits for these bytes does not wait for the socket that had them.
                    self.next_poll = Some(now);
                }
                None => break,
            }
        }
        Ok(())
    }

    /// The number of bytes that the next request may carry.
    fn room(&self) -> usize {
        if !self.client.has_room(self.needed) {
            return 0;
        }
        match self.client.room(MAX_BODY) {
            ..MIN_BODY => 0,
            room => room,
        }
    }

    /// The limit of a pause between polls in milliseconds, so that several polls fit into the timeout.
    fn longest_pause(&self) -> u64 {
        let timeout = self.target.timeout;
        timeout.map_or(u64::MAX, |timeout| u64::try_from((timeout / 4).as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds of the tunnel's own clock.
    fn clock(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// How the connection ended, if an error means that it has.
fn ending(error: &Error) -> Option<Ending> {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
    match error {
        Error::Io(error) if matches!(error.kind(), ConnectionReset | ConnectionAborted) => {
            Some(Ending::Reset)
        }
        _ => error.is_end_of_connection().then_some(Ending::Silent),
    }
}

/// The limit of bytes of the stream that are kept, while a program sends and does not receive. Further bytes stay with the
/// server.
const MAX_EARLY: usize = 1 << 20;

/// The size of a receive when the user has passed no buffer.
const EARLY_BLOCK: usize = 16 << 10;

/// The limit of one request's body, which is stored until it is answered.
const MAX_BODY: usize = 1 << 20;

/// With less room than this, nothing is sent: the head would be longer than the body.
const MIN_BODY: usize = 512;

/// The limit of requests that go to the connection in one call.
const MAX_REQUESTS: usize = 16;

/// The limit of receives of one call that bring no bytes of the stream.
const MAX_REPLIES: u32 = 16;

/// The limit of a goodbye.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);
