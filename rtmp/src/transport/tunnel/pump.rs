//! The client's blocking side: asks for bytes whenever somebody waits for them.
//!
//! One thread may receive while another sends. Nothing is locked while a thread waits for bytes; whoever needs a reply
//! reads it, or waits for the thread that is reading already.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use log::debug;

use super::{Client, Command, Poll, Status};
use crate::{
    error::{Error, Result},
    transport::{deadline::Deadline, wait::SLICE},
};

/// A connection to the HTTP server that can be made anew.
pub trait Carrier {
    /// Waits for bytes; 0 when the peer will send no more.
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize>;

    /// Sends all bytes.
    fn send(&self, bytes: &[u8], deadline: Deadline) -> Result<()>;

    /// Replaces the connection by a new one to the same server. Nobody sends or receives meanwhile. An error ends the
    /// session.
    fn reconnect(&self, ending: Ending, deadline: Deadline) -> Result<()>;

    /// How long a wait may last; `None` for ever.
    fn timeout(&self) -> Option<Duration>;

    /// When a wait that begins now has to be over.
    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout())
    }

    /// Whether waiting should end instead of going on.
    fn interrupted(&self) -> bool {
        false
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The server said that it would.
    Announced,
    /// The server broke it.
    Reset,
    /// Without a word. A connection that was shut down on this side, to wake up who waits, ends in this way, too, and is
    /// not to be replaced.
    Silent,
}

/// A tunnel's client, shared by the threads that use it.
#[derive(Debug)]
pub struct Tunnel {
    shared: Mutex<Shared>,
    /// Signalled when a reply was read, and when a request was sent.
    changed: Condvar,
    /// Held while a request is sent, and while the connection is replaced. Taken before `shared`.
    writing: Mutex<()>,
    began: Instant,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    link: Link,
    /// Some thread is receiving, without the lock.
    reading: bool,
    /// Threads that have something to send, which goes before asking for more.
    senders: u32,
    /// Bytes of the stream that a sender received while it waited for room.
    early: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    /// Sending failed. There may be replies to read before the end.
    Failing(Ending),
    /// To be replaced before anything is sent.
    Down(Ending),
}

/// How long a server may take for the next reply to what was sent before the goodbye. Longer than for a TCP connection:
/// there the system goes on when the program has given up.
pub(crate) const NEXT_REPLY: Duration = Duration::from_secs(5);

/// Bytes of the stream that are kept for later, while a program sends and never receives.
const MAX_EARLY: usize = 16 << 20;

/// Ends the turn of the thread that reads.
struct Reading<'a>(&'a Tunnel);

/// A thread that has something to send.
struct Sending<'a>(&'a Tunnel);

impl<'a> Sending<'a> {
    fn new(tunnel: &'a Tunnel) -> Self {
        tunnel.lock().senders += 1;
        Self(tunnel)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.lock().reading = false;
        self.0.changed.notify_all();
    }
}

impl Tunnel {
    /// A tunnel to the server `host`, without a session yet.
    pub fn new(host: &str, port: u16) -> Result<Self> {
        let client = Client::new(host, port)?;
        Ok(Self {
            shared: Mutex::new(Shared {
                client,
                link: Link::Up,
                reading: false,
                senders: 0,
                early: Vec::new(),
            }),
            changed: Condvar::new(),
            writing: Mutex::new(()),
            began: Instant::now(),
        })
    }

    /// Asks the server for a session. To be called once, on a fresh connection, before anything else.
    pub fn open(&self, carrier: &impl Carrier) -> Result<()> {
        let deadline = carrier.deadline();
        self.post(carrier, Command::Open, &[], deadline)?;
        let mut buffer = [0; 4096];
        loop {
            let shared = self.lock();
            if shared.client.is_open() {
                return Ok(());
            }
            // Nothing of the stream comes before the session is there; what comes with it is kept.
            self.read_early(carrier, shared, &mut buffer, deadline)?;
        }
    }

    /// Waits for bytes of the stream and puts them to the front of `buffer`, whose rest is scratch space; returns how many.
    /// [`Error::TimedOut`] leaves the session open.
    pub fn fill(&self, carrier: &impl Carrier, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Err(Error::Invalid("no room for what a tunnel receives"));
        }
        let deadline = carrier.deadline();
        loop {
            let mut shared = self.lock();
            if !shared.early.is_empty() {
                let len = shared.early.len().min(buffer.len());
                buffer[..len].copy_from_slice(&shared.early[..len]);
                shared.early.drain(..len);
                return Ok(len);
            }
            if shared.reading {
                self.wait(carrier, shared, SLICE, deadline)?;
                continue;
            }
            shared.client.check()?;
            match shared.client.next_poll(self.now(), longest_pause(carrier)) {
                Poll::Receive => {
                    let (received, _) = self.read(carrier, shared, buffer, deadline)?;
                    if received > 0 {
                        return Ok(received);
                    }
                    check(carrier, deadline)?;
                }
                Poll::Pause(left) => {
                    self.wait(carrier, shared, SLICE.min(Duration::from_millis(left)), deadline)?;
                }
                Poll::Idle if shared.senders > 0 => self.wait(carrier, shared, SLICE, deadline)?,
                Poll::Idle => {
                    drop(shared);
                    self.post(carrier, Command::Idle, &[], deadline)?;
                }
            }
        }
    }

    /// Sends bytes of the stream in one request. Waits for replies first if too many are missing. Whoever calls this
    /// keeps other senders out.
    pub fn send(&self, carrier: &impl Carrier, pieces: &[&[u8]]) -> Result<()> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        if len == 0 {
            return Ok(());
        }
        let _sending = Sending::new(self);
        let deadline = carrier.deadline();
        self.read_until(carrier, deadline, |shared| shared.client.has_room(len))?;
        self.post(carrier, Command::Send, pieces, deadline)?;
        self.read_until(carrier, deadline, |shared| !matches!(shared.link, Link::Failing(_)))
    }

    /// Makes sure that something comes from the server although nobody waits for it in a call: sends a poll unless a reply is on
    /// its way or bytes of the stream are here already. For programs that watch the socket.
    pub fn keep_polling(&self, carrier: &impl Carrier) -> Result<()> {
        if self.has_early() {
            return Ok(());
        }
        self.post(carrier, Command::Idle, &[], carrier.deadline())
    }

    /// Whether bytes of the stream wait for [`Self::fill`].
    pub fn has_early(&self) -> bool {
        !self.lock().early.is_empty()
    }

    /// Tells the server that the session is over, and waits for its last replies: a connection that is closed before them
    /// takes requests with it that are still on their way. Those with bytes of the stream have `NEXT_REPLY` each; the
    /// goodbye's own reply is worth no more than `goodbye`. Does not wait for another thread that is sending.
    pub fn close(&self, carrier: &impl Carrier, goodbye: Duration) {
        let result = self.try_close(carrier, goodbye);
        if let Err(error) = result {
            debug!("the tunnel's server is gone before the goodbye: {error}");
        }
    }

    /// Where the client stands.
    pub fn status(&self) -> Status {
        self.lock().client.status()
    }

    fn try_close(&self, carrier: &impl Carrier, goodbye: Duration) -> Result<()> {
        let deadline = carrier.deadline();
        if carrier.interrupted() && !self.lock().client.has_room(1) {
            return Err(Error::Interrupted);
        }
        if self.writing.try_lock().is_err() {
            return Err(Error::Interrupted);
        }
        self.read_until(carrier, deadline, |shared| shared.client.has_room(1))?;
        self.post(carrier, Command::Close, &[], deadline)?;
        // What was sent and not answered may still be on its way, and is lost with the connection.
        let mut missing = self.lock().client.status().unanswered;
        while missing > 1 {
            let next = deadline.or_sooner(Deadline::after(Some(NEXT_REPLY)));
            self.read_until(carrier, next, |shared| shared.client.status().unanswered < missing)?;
            missing = self.lock().client.status().unanswered;
        }
        let deadline = deadline.or_sooner(Deadline::after(Some(goodbye)));
        self.read_until(carrier, deadline, |shared| {
            shared.client.status().unanswered == 0 || !matches!(shared.link, Link::Up)
        })
    }

    /// Sends a request. If that fails because the connection is gone, the request is sent again on the next one.
    fn post(
        &self,
        carrier: &impl Carrier,
        command: Command,
        pieces: &[&[u8]],
        deadline: Deadline,
    ) -> Result<()> {
        let _writing = self.writing();
        let (request, link) = {
            let mut shared = self.lock();
            if command == Command::Idle && shared.client.status().unanswered > 0 {
                // Another thread's request will be answered.
                return Ok(());
            }
            (shared.client.request(command, pieces)?, shared.link)
        };
        match link {
            Link::Up => carrier.send(&request, deadline).or_else(|error| self.fail(error))?,
            Link::Failing(_) => {}
            Link::Down(_) => self.replace(carrier, deadline)?,
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Receives once; returns how many bytes of the stream are in `buffer`, and the turn, to be kept until these bytes
    /// are where others find them.
    fn read(
        &self,
        carrier: &impl Carrier,
        mut shared: MutexGuard<'_, Shared>,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<(usize, Option<Reading<'_>>)> {
        if matches!(shared.link, Link::Down(_)) {
            drop(shared);
            let _writing = self.writing();
            return self.replace(carrier, deadline).map(|()| (0, None));
        }
        shared.reading = true;
        drop(shared);
        let turn = Reading(self);
        let received = carrier.receive(buffer, deadline);
        let now = self.now();
        let mut shared = self.lock();
        let (payload, ending) = match received {
            Ok(0) => (0, Some(Ending::Silent)),
            Ok(len) => {
                let received = buffer.get_mut(..len).ok_or(Error::Invalid("length of received bytes"))?;
                let decoded = shared.client.decode(received, now)?;
                (decoded.payload, decoded.connection_over.then_some(Ending::Announced))
            }
            Err(error) => match ending(&error) {
                Some(ending) => (0, Some(ending)),
                None => return Err(error),
            },
        };
        if let Some(ending) = ending {
            let announced = shared.client.connection_ended(now)?;
            shared.link = Link::Down(match shared.link {
                Link::Failing(Ending::Reset) => Ending::Reset,
                _ if announced => Ending::Announced,
                _ => ending,
            });
        }
        Ok((payload, Some(turn)))
    }

    /// Replaces the connection if that has to be, and sends again what was not answered. The caller holds `writing`;
    /// nobody is receiving, since a connection is given up by the thread that receives.
    fn replace(&self, carrier: &impl Carrier, deadline: Deadline) -> Result<()> {
        let Link::Down(ending) = self.lock().link else { return Ok(()) };
        debug!("a new connection for the tunnel, after one that ended: {ending:?}");
        carrier.reconnect(ending, deadline)?;
        let requests = {
            let mut shared = self.lock();
            shared.link = Link::Up;
            shared.client.reconnected()
        };
        for request in requests {
            if let Err(error) = carrier.send(&request, deadline) {
                return self.fail(error);
            }
        }
        Ok(())
    }

    /// Sending failed. If the connection is gone, there is another one after what can still be read.
    fn fail(&self, error: Error) -> Result<()> {
        let Some(ending) = ending(&error) else { return Err(error) };
        debug!("sending through the tunnel failed: {error}");
        self.lock().link = Link::Failing(ending);
        Ok(())
    }

    /// Reads replies, or waits until another thread has, until `done`.
    fn read_until(
        &self,
        carrier: &impl Carrier,
        deadline: Deadline,
        done: impl Fn(&Shared) -> bool,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        loop {
            let shared = self.lock();
            if done(&shared) {
                return Ok(());
            }
            buffer.resize(16 << 10, 0);
            self.read_early(carrier, shared, &mut buffer, deadline)?;
        }
    }

    /// Reads once, or waits for the thread that reads. Bytes of the stream are kept for [`Self::fill`].
    fn read_early(
        &self,
        carrier: &impl Carrier,
        mut shared: MutexGuard<'_, Shared>,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<()> {
        if shared.reading {
            return self.wait(carrier, shared, SLICE, deadline);
        }
        check(carrier, deadline)?;
        shared.client.check()?;
        if shared.early.len() > MAX_EARLY {
            return Err(Error::TooLarge("what arrived through the tunnel and was not read"));
        }
        let (received, turn) = self.read(carrier, shared, buffer, deadline)?;
        self.lock().early.extend_from_slice(&buffer[..received]);
        drop(turn);
        Ok(())
    }

    /// Waits until something has changed, or for `slice`.
    fn wait(
        &self,
        carrier: &impl Carrier,
        shared: MutexGuard<'_, Shared>,
        slice: Duration,
        deadline: Deadline,
    ) -> Result<()> {
        check(carrier, deadline)?;
        drop(self.changed.wait_timeout(shared, slice).unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds of the tunnel's own clock.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether a wait for bytes of the stream may go on. A server that answers and has nothing to say is silent, too.
fn check(carrier: &impl Carrier, deadline: Deadline) -> Result<()> {
    if carrier.interrupted() {
        return Err(Error::Interrupted);
    }
    deadline.left().map(drop)
}

/// Milliseconds that a pause between polls may last, so that there are some before time is up.
fn longest_pause(carrier: &impl Carrier) -> u64 {
    carrier.timeout().map_or(u64::MAX, |timeout| (timeout / 4).as_millis().try_into().unwrap_or(u64::MAX))
}

/// How the connection ended, if an error says that it has.
pub(crate) fn ending(error: &Error) -> Option<Ending> {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
    match error {
        Error::Io(error) if matches!(error.kind(), ConnectionReset | ConnectionAborted) => {
            Some(Ending::Reset)
        }
        _ => error.is_end_of_connection().then_some(Ending::Silent),
    }
}
