//! Moves bytes between a link and a session. It never waits: the three pumps that wait are thin layers above.

use std::{io::IoSlice, time::Instant};

use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    net::{Interest, Link, Received, Wanted},
    session::{Application, Event, Session},
    stats::{Backlog, Stats},
};

/// A session and the link that carries it.
pub(super) struct Pump {
    link: Link,
    session: Session,
    input: Input,
    /// The total of received bytes, so that callers can detect new ones.
    received: u64,
    /// Whether the peer no longer accepts bytes. Bytes that it has sent can still be read.
    is_deaf: bool,
    /// Whether the peer has ended its side while we say goodbye.
    has_ended: bool,
    backlog: Backlog,
}

/// The result of a step.
pub(super) enum Progress {
    /// An event. There may be more.
    Event(Event),
    /// Nothing can be done before a socket is ready or a deadline has passed.
    Idle,
    /// The peer sends without a pause. There is more to do, with a new time.
    Busy,
}

/// The state of a goodbye.
pub(super) enum Farewell {
    /// Both sides have ended.
    Over,
    /// Nothing can be done before a socket is ready.
    Idle,
    /// The peer sends without a pause. There is more to do, with a new time.
    Busy,
}

/// Received bytes that the session has not used.
#[derive(Default)]
struct Input {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

/// The limit of receives of a step.
const MAX_RECEIVES: u32 = 64;

/// The size of the first receives.
const FIRST_BLOCK: usize = 8 << 10;

/// The size of receives from a peer that sends faster than this side reads.
const LARGE_BLOCK: usize = 64 << 10;

impl Pump {
    pub(super) fn new(link: Link, session: Session) -> Self {
        let (input, backlog) = (Input::default(), Backlog::default());
        Self { link, session, input, received: 0, is_deaf: false, has_ended: false, backlog }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The total of received bytes.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Moves bytes both ways until there is an event or nothing more can be done. Errors end the connection, except
    /// [`Error::TimedOut`] of the session's phase.
    pub(super) fn step(&mut self, application: &mut dyn Application, now: Instant) -> Result<Progress> {
        self.link.step(now)?;
        for _ in 0..MAX_RECEIVES {
            let taken = self.session.receive(application, self.input.unread(), now);
            // Also before an error is reported: a peer that sends invalid bytes still gets the answers to earlier ones.
            self.flush(now)?;
            let taken = taken?;
            self.input.start += taken.used;
            if let Some(event) = taken.event {
                return Ok(Progress::Event(event));
            }
            if !self.session.wants_input() {
                return self.idle(now);
            }
            match self.link.receive(self.input.room(), now)? {
                Received::Bytes(count) => {
                    self.received += count as u64;
                    self.session.decrypt(self.input.add(count));
                }
                Received::Nothing => return self.idle(now),
                Received::End => return Err(Error::Closed),
            }
        }
        // The session's phase ends in time, however many bytes arrive.
        self.session.check(now).map(|()| Progress::Busy)
    }

    fn idle(&self, now: Instant) -> Result<Progress> {
        self.session.check(now).map(|()| Progress::Idle)
    }

    /// Writes the session's queue, as far as there is room now. A peer that has gone may have sent more before: that is not
    /// lost.
    pub(super) fn flush(&mut self, now: Instant) -> Result<()> {
        let result = self.write(now);
        self.backlog.watch(self.sent_until(), !self.session.unsent().is_empty(), now);
        result
    }

    fn write(&mut self, now: Instant) -> Result<()> {
        while !self.is_deaf && !self.session.unsent().is_empty() {
            match self.link.send(&[IoSlice::new(self.session.unsent())], now) {
                Ok(0) => return Ok(()),
                Ok(count) => self.session.sent(count),
                Err(error) if error.is_end_of_connection() => {
                    log::debug!("the peer does not accept answers any more: {error}");
                    self.is_deaf = true;
                }
                Err(error) => return Err(error),
            }
        }
        if self.is_deaf {
            self.session.sent(self.session.queued());
        }
        Ok(())
    }

    /// Sends a message, as far as there is room now; the rest waits in the session's queue.
    pub(super) fn send(&mut self, message: &Outgoing<'_>, now: Instant) -> Result<()> {
        if self.is_deaf {
            return Err(Error::Closed);
        }
        let Self { link, session, .. } = self;
        let result = session.send(message, |slices| link.send(slices, now)).map(drop);
        self.backlog.watch(self.sent_until(), !self.session.unsent().is_empty(), now);
        result
    }

    /// The statistics of the connection.
    pub(super) fn stats(&self, now: Option<Instant>) -> Stats {
        let mut stats = self.session.stats();
        stats.queued += self.link.unsent() as u64;
        stats.phases = self.link.phases().with_session(stats.phases);
        self.backlog.fill_in(&mut stats, now);
        self.link.measure(&mut stats);
        stats
    }

    /// The end of the session's queue, counted from the beginning of the session.
    pub(super) fn queued_until(&self) -> u64 {
        self.session.queued_until()
    }

    /// After the session was closed: sends the queue, ends the sending side, and waits for the peer to end its own.
    pub(super) fn leave(&mut self, now: Instant) -> Result<Farewell> {
        self.link.step(now)?;
        self.flush(now)?;
        if !self.session.unsent().is_empty() {
            // A peer that waits until we read its data does not read ours.
            if self.throw_away(now)? {
                return Ok(Farewell::Busy);
            }
            self.flush(now)?;
        }
        if self.session.unsent().is_empty() {
            self.link.finish(now);
            // The owner limits the total time.
            self.link.linger_on(now);
            self.link.step(now)?;
        }
        Ok(if self.link.is_finished() { Farewell::Over } else { Farewell::Idle })
    }

    /// Receives bytes and drops them. Returns whether there may be more.
    fn throw_away(&mut self, now: Instant) -> Result<bool> {
        self.input = Input::default();
        for _ in 0..MAX_RECEIVES {
            if self.has_ended {
                return Ok(false);
            }
            match self.link.receive(self.input.room(), now)? {
                Received::Bytes(_) => {}
                Received::Nothing => return Ok(false),
                Received::End => self.has_ended = true,
            }
        }
        Ok(true)
    }

    /// The number of these bytes that the link has accepted.
    pub(super) fn sent_until(&self) -> u64 {
        self.session.queued_until() - self.session.queued() as u64
    }

    /// Whether messages can be sent and received.
    pub(super) fn is_open(&self) -> bool {
        self.session.is_open()
    }

    /// Whether a request of the client waits for an answer.
    pub(super) fn has_request(&self) -> bool {
        self.session.has_request()
    }

    /// Whether the peer probably accepts bytes.
    pub(super) fn takes_bytes(&self) -> bool {
        !self.is_deaf
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, out: &mut Vec<Interest>) {
        let write = !self.session.unsent().is_empty();
        self.link.interests(Wanted { read: self.wants_input(), write }, out);
    }

    /// Whether received bytes would be used.
    pub(super) fn wants_input(&self) -> bool {
        !self.has_ended && self.session.wants_input()
    }

    /// The number of bytes that wait for the peer, here and in the link.
    pub(super) fn unsent(&self) -> usize {
        self.session.queued() + self.link.unsent()
    }

    /// The time at which a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.link.deadline(), self.session.deadline()].into_iter().flatten().min()
    }
}

impl Input {
    fn unread(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }

    /// The room for more bytes, after the unread ones.
    fn room(&mut self) -> &mut [u8] {
        let was_filled = self.end == self.block.len();
        self.block.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match self.block.len() {
            0 => self.block.resize(FIRST_BLOCK, 0),
            FIRST_BLOCK if was_filled => self.block.resize(LARGE_BLOCK, 0),
            _ => {}
        }
        &mut self.block[self.end..]
    }

    /// Adds the `count` bytes that were received into the room; returns them.
    fn add(&mut self, count: usize) -> &mut [u8] {
        let start = self.end;
        self.end += count;
        &mut self.block[start..self.end]
    }
}
