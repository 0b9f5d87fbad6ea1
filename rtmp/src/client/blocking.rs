//! The blocking pump: steps a connection, and waits between steps without holding its lock.

use std::{
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    connection::{Connection, Happening},
    settings::Settings,
    system::{self, AtomicBool, Mutex, MutexGuard, wait},
};
use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    session::{Application, Session},
};

/// A connection that several threads share. The lock is held only for steps, never while waiting.
pub(super) struct Shared {
    connection: Mutex<Connection>,
    abort: Arc<Abort>,
}

/// The connections that a program can abort together.
#[derive(Default)]
pub(super) struct Abort {
    wanted: AtomicBool,
    connections: Mutex<Vec<Weak<Shared>>>,
    /// Wakes the tasks that wait.
    #[cfg(feature = "tokio")]
    wakes: ::tokio::sync::Notify,
}

/// The time after which a wait checks whether it should end. Ending the connection wakes most waits before that.
const SLICE: Duration = Duration::from_millis(50);

impl Abort {
    /// Aborts all present and future waits of the connections.
    pub(super) fn abort(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        #[cfg(feature = "tokio")]
        self.wakes.notify_waiters();
        let connections = lock(&self.connections).clone();
        connections.iter().filter_map(Weak::upgrade).for_each(|shared| shared.lock().end());
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Ready after the next call of [`Self::abort`].
    #[cfg(feature = "tokio")]
    pub(super) fn notified(&self) -> ::tokio::sync::futures::Notified<'_> {
        self.wakes.notified()
    }

    /// Adds a connection, and removes connections that no longer exist.
    fn watch(&self, shared: &Arc<Shared>) {
        let mut connections = lock(&self.connections);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(shared));
    }
}

impl Shared {
    /// Connects, and waits until the stream plays or may be published.
    pub(super) fn connect(settings: &Arc<Settings>, abort: &Arc<Abort>, publish: bool) -> Result<Arc<Self>> {
        if abort.is_wanted() {
            return Err(Error::Interrupted);
        }
        let swf = settings.swf();
        let shared = Self::new(Connection::begin(settings, publish, swf, system::now())?, abort);
        loop {
            // Each phase has its own deadline.
            match shared.next(None)? {
                Happening::Streaming => return Ok(shared),
                Happening::Ended | Happening::Left => return Err(Error::Closed),
                _ => {}
            }
        }
    }

    /// A connection whose waits `abort` ends.
    pub(super) fn new(connection: Connection, abort: &Arc<Abort>) -> Arc<Self> {
        let shared = Arc::new(Self { connection: Mutex::new(connection), abort: abort.clone() });
        abort.watch(&shared);
        shared
    }

    /// Waits for the next event. `patience` limits each wait for the peer's bytes. A peer that never stops sending, but sends
    /// nothing that counts, has the same time in total.
    pub(super) fn next(&self, patience: Option<Duration>) -> Result<Happening> {
        let after = |now: Instant| patience.and_then(|patience| now.checked_add(patience));
        let (mut interests, mut received) = (Vec::new(), 0);
        let mut now = system::now();
        let mut deadline = after(now);
        loop {
            let (is_idle, next_step) = {
                let mut connection = self.lock();
                let is_idle = match connection.step(now) {
                    Ok(Happening::Busy) => false,
                    Ok(Happening::Idle) => true,
                    Err(Error::TimedOut) => {
                        // The next call has the full time of a phase again.
                        connection.begin_phase(now);
                        return Err(self.verdict(Error::TimedOut));
                    }
                    result => return result.map_err(|error| self.verdict(error)),
                };
                if is_idle && received != connection.received() {
                    received = connection.received();
                    deadline = after(now);
                }
                interests.clear();
                connection.interests(&mut interests);
                (is_idle, connection.deadline())
            };
            if self.abort.is_wanted() {
                return Err(Error::Interrupted);
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(Error::TimedOut);
            }
            if is_idle {
                let until = [next_step, deadline].into_iter().flatten().fold(now + SLICE, Instant::min);
                wait(&interests, Some(until))?;
            }
            now = system::now();
        }
    }

    /// Sends a message, and waits until the connection has accepted all of it. Other threads may receive and send meanwhile:
    /// messages stay whole.
    pub(super) fn send(&self, message: &Outgoing<'_>) -> Result<()> {
        self.send_with(|connection, now| connection.send(message, now))
    }

    /// Makes the session send something, and waits until the connection has accepted it.
    pub(super) fn say(
        &self,
        say: impl FnOnce(&mut Session, &mut dyn Application) -> Result<()>,
    ) -> Result<()> {
        self.send_with(|connection, now| connection.say(now, say))
    }

    /// Changes the largest chunk payload to the peer.
    pub(super) fn set_chunk_size(&self, bytes: u32) -> Result<()> {
        self.send_with(|connection, now| connection.set_chunk_size(now, bytes))
    }

    /// Lets `send` add to the queue, and waits until the connection has accepted that part. Each byte that it accepts restarts
    /// the time of a wait.
    fn send_with(&self, send: impl FnOnce(&mut Connection, Instant) -> Result<()>) -> Result<()> {
        let mut now = system::now();
        let mut connection = self.lock();
        send(&mut connection, now).map_err(|error| self.verdict(error))?;
        let end = connection.queued_until();
        if connection.sent_until() >= end {
            return Ok(());
        }
        let after = |now: Instant, connection: &Connection| {
            connection.timeout().and_then(|timeout| now.checked_add(timeout))
        };
        let (mut interests, mut sent, mut deadline) = (Vec::new(), 0, after(now, &connection));
        loop {
            connection.flush(now).map_err(|error| self.verdict(error))?;
            if !connection.takes_bytes() {
                return Err(self.verdict(connection.explain(Error::Closed)));
            }
            let sent_now = connection.sent_until();
            if sent_now >= end {
                return Ok(());
            }
            if sent_now > sent {
                (sent, deadline) = (sent_now, after(now, &connection));
            }
            interests.clear();
            connection.interests(&mut interests);
            drop(connection);
            if self.abort.is_wanted() {
                return Err(Error::Interrupted);
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(Error::TimedOut);
            }
            // The reading thread waits for bytes to receive.
            interests.iter_mut().for_each(|interest| interest.read &= !interest.write);
            wait(&interests, Some(deadline.map_or(now + SLICE, |deadline| deadline.min(now + SLICE))))?;
            now = system::now();
            connection = self.lock();
        }
    }

    /// Fails with the reason if nothing can be sent.
    pub(super) fn check_open(&self) -> Result<()> {
        let connection = self.lock();
        if connection.is_open() { Ok(()) } else { Err(self.verdict(connection.explain(Error::Closed))) }
    }

    /// Ends the stream in an orderly way, without waiting.
    pub(super) fn leave_at_once(&self) {
        let mut connection = self.lock();
        connection.say_goodbye(system::now());
        connection.end();
    }

    /// The connection, for a step.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    /// The error to report when the program itself has ended the connection.
    fn verdict(&self, error: Error) -> Error {
        if self.abort.is_wanted() { Error::Interrupted } else { error }
    }
}

/// A thread that panicked may leave a connection in an inconsistent state: at worst it is unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
