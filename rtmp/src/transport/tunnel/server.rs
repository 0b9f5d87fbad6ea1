//! The server's side of tunnels: HTTP connections, and the sessions whose requests they carry.
//!
//! The requests of a session may come on any number of connections, one after the other or at once. So each connection
//! has a thread that answers its requests, and a session is found by its name. Whoever serves a session sees none of
//! this but a socket that carries the plain stream.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use log::debug;
use rustix::fd::OwnedFd;

use super::{
    SessionId,
    link::Link,
    mailbox::{Body, Limits, Mailbox, Reply, Request, Reserve},
    request::{Head, Target, parse_head},
};
use crate::{
    error::{Error, Result},
    system::LocalStream,
    transport::deadline::Deadline,
};

/// What became of a connection.
#[derive(Debug)]
pub enum Accepted {
    /// It started a session, whose stream is read from and written to this socket. Closing it ends the session.
    Session(OwnedFd),
    /// It carries requests of a session that was started before; those are answered without further ado.
    Joined,
}

/// Sessions by name. There is one for the process, [`SESSIONS`].
#[derive(Debug)]
pub struct Registry {
    sessions: Mutex<BTreeMap<SessionId, Arc<Mailbox>>>,
    /// Connections that have a thread.
    connections: AtomicU64,
    /// For telling connections apart.
    accepted: AtomicU64,
    limits: Limits,
    max_sessions: usize,
    max_connections: u64,
}

/// The sessions of this process.
pub static SESSIONS: Registry = Registry::new(IDLE, MAX_SESSIONS, MAX_CONNECTIONS);

/// An HTTP connection from its first request on.
struct Connection {
    link: Arc<dyn Link>,
    number: u64,
    /// Received and not used yet.
    input: Vec<u8>,
    /// The session whose requests came last.
    session: Option<Arc<Mailbox>>,
    /// When it has to be known whose the connection is.
    limit: Deadline,
}

/// What a request led to.
enum Outcome {
    /// A session was started.
    Started(LocalStream),
    /// A session's request was answered.
    Answered,
    /// There was nothing to be had.
    Refused,
}

/// A thread's place among those that serve connections.
struct Place(&'static Registry);

/// How long a session goes on without requests.
const IDLE: Duration = Duration::from_secs(30);

/// How many sessions a process has.
const MAX_SESSIONS: usize = 4096;

/// How many HTTP connections a process serves, each with a thread.
const MAX_CONNECTIONS: u64 = 4096;

/// The longest body of a request: a message as large as chunks can carry, cut as small as they can be cut.
const MAX_BODY: u32 = 40 << 20;

/// How long a request may take from its first byte on, and a body besides a second for each [`BODY_RATE`] bytes that have
/// come.
const REQUEST_TIME: Duration = Duration::from_secs(30);
const BODY_RATE: usize = 4096;

/// How long a body may take, however long it is.
const BODY_TIME: Duration = Duration::from_secs(300);

/// Bodies up to this length are read even if nobody wants them, so that the connection can be kept.
const MAX_UNWANTED: u32 = 64 << 10;

/// Requests for things that a tunnel does not have, before a connection is given up.
const MAX_REFUSALS: u32 = 16;

/// Serves the HTTP connection `link` until it is known whose it is, and from then on in the background.
/// `already_read` is what was received from it before. `random` makes the name of a session that no one can guess.
///
/// The time-outs of the socket bound how long a connection may be silent; they are the caller's to set. With a byte now and
/// then it is given up at `limit`, or later when a request takes too long. It ends with its session at the latest.
pub fn accept(
    link: Arc<dyn Link>,
    already_read: &[u8],
    random: [u8; 16],
    limit: Deadline,
) -> Result<Accepted> {
    SESSIONS.accept(link, already_read, random, limit)
}

impl Registry {
    /// No sessions yet; one without requests for as long as `idle` is over.
    pub const fn new(idle: Duration, max_sessions: usize, max_connections: u64) -> Self {
        Self {
            sessions: Mutex::new(BTreeMap::new()),
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            limits: Limits { idle, reserve: &RESERVE },
            max_sessions,
            max_connections,
        }
    }

    /// As the function [`accept`].
    pub fn accept(
        &'static self,
        link: Arc<dyn Link>,
        already_read: &[u8],
        random: [u8; 16],
        limit: Deadline,
    ) -> Result<Accepted> {
        let place = self.place()?;
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let mut connection = Connection { link, number, input: already_read.to_vec(), session: None, limit };
        for _ in 0..MAX_REFUSALS {
            let Some(head) = connection.read_head()? else { return Err(Error::Closed) };
            let keep_alive = head.keep_alive;
            let accepted = match self.answer(&mut connection, head, Some(random))? {
                Outcome::Started(stream) => Accepted::Session(stream.into()),
                Outcome::Answered => Accepted::Joined,
                Outcome::Refused if keep_alive => continue,
                Outcome::Refused => return Err(Error::Closed),
            };
            if keep_alive {
                connection.limit = Deadline::NEVER;
                spawn("rtmpt connection", move || {
                    let _place = place;
                    if let Err(error) = self.serve(connection) {
                        debug!("an HTTP connection ends: {error}");
                    }
                })?;
            }
            return Ok(accepted);
        }
        Err(Error::malformed("HTTP request", "nothing that a tunnel has"))
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many HTTP connections there are.
    pub fn connection_count(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Answers requests until the connection ends.
    fn serve(&'static self, mut connection: Connection) -> Result<()> {
        while let Some(head) = connection.read_head()? {
            let keep_alive = head.keep_alive;
            self.answer(&mut connection, head, None)?;
            if !keep_alive {
                break;
            }
        }
        Ok(())
    }

    /// Answers one request. Sessions are started only if there are random bytes for a name.
    fn answer(
        &'static self,
        connection: &mut Connection,
        head: Head,
        random: Option<[u8; 16]>,
    ) -> Result<Outcome> {
        let keep_alive = head.keep_alive;
        match (&head.target, random) {
            (Target::Open, Some(random)) => {
                connection.body(&head)?.pass_over()?;
                let Some((id, mailbox, stream)) = self.start(random)? else {
                    connection.refuse("503 Service Unavailable")?;
                    return Err(Error::TooLarge("number of tunnelled sessions"));
                };
                connection.carry(&mailbox);
                connection.reply("200 OK", keep_alive, format!("{}\n", id.as_str()).as_bytes())?;
                Ok(Outcome::Started(stream))
            }
            (Target::Open, None) => {
                // Nobody is there to serve a session that starts here.
                connection.refuse("503 Service Unavailable")?;
                Err(Error::Unsupported("a second session on an HTTP connection"))
            }
            (Target::Session { command, id, sequence }, _) => {
                let Some(mailbox) = self.find(id) else {
                    debug!("a request for session {id:?}, which is not there");
                    return connection.refuse_politely(&head);
                };
                connection.carry(&mailbox);
                let (number, limit) = (connection.number, connection.limit);
                let request = Request { connection: number, command: *command, sequence: *sequence, limit };
                let mut body = connection.body(&head)?;
                let reply = mailbox.exchange(&request, &mut body)?;
                body.skip()?;
                drop(body);
                match reply {
                    Reply::Content(content) => connection.reply("200 OK", keep_alive, &content)?,
                    Reply::Nothing => connection.reply("404 Not Found", keep_alive, b"")?,
                }
                Ok(Outcome::Answered)
            }
            (Target::Other, _) => connection.refuse_politely(&head),
        }
    }

    /// Starts a session; `None` if there are too many.
    fn start(&'static self, random: [u8; 16]) -> Result<Option<(SessionId, Arc<Mailbox>, LocalStream)>> {
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = SessionId::new(name.as_bytes())?;
        let (mailbox, stream) = Mailbox::new(self.limits)?;
        let mailbox = Arc::new(mailbox);
        {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            if sessions.len() >= self.max_sessions || sessions.contains_key(&id) {
                return Ok(None);
            }
            sessions.insert(id.clone(), mailbox.clone());
        }
        let (name, runner) = (id.clone(), mailbox.clone());
        let spawned = spawn("rtmpt session", move || {
            runner.run();
            self.forget(&name);
        });
        if let Err(error) = spawned {
            self.forget(&id);
            return Err(error);
        }
        Ok(Some((id, mailbox, stream)))
    }

    fn find(&self, id: &SessionId) -> Option<Arc<Mailbox>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn forget(&self, id: &SessionId) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn place(&'static self) -> Result<Place> {
        let place = Place(self);
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.max_connections {
            return Err(Error::TooLarge("number of HTTP connections"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// The next request; `None` when the client has closed the connection after the last one.
    fn read_head(&mut self) -> Result<Option<Head>> {
        let (mut seen, mut limit) = (0, self.limit);
        loop {
            match parse_head(&self.input, seen) {
                Ok(Some((head, len))) => {
                    self.input.drain(..len);
                    return Ok(Some(head));
                }
                Ok(None) => {}
                Err(error) => {
                    self.refuse("400 Bad Request")?;
                    return Err(error);
                }
            }
            if seen == 0 && !self.input.is_empty() {
                limit = self.in_time(REQUEST_TIME);
            }
            seen = self.input.len();
            if self.receive(limit)? == 0 {
                return if self.input.is_empty() { Ok(None) } else { Err(Error::Closed) };
            }
        }
    }

    /// The body that follows a head.
    fn body(&mut self, head: &Head) -> Result<RequestBody<'_>> {
        let left = head.length as usize;
        if head.length > MAX_BODY {
            self.refuse("413 Content Too Large")?;
            return Err(Error::TooLarge("body of an HTTP request"));
        }
        if head.expects_continue && self.input.len() < left {
            self.link.send(&[b"HTTP/1.1 100 Continue\r\n\r\n"])?;
        }
        Ok(RequestBody { connection: self, left, handed: 0, received: 0, began: Instant::now() })
    }

    /// The end of `time`, or of the time for the connection.
    fn in_time(&self, time: Duration) -> Deadline {
        Deadline::after(Some(time)).or_sooner(self.limit)
    }

    fn receive(&mut self, limit: Deadline) -> Result<usize> {
        let mut buffer = [0; BLOCK_LEN];
        let received = self.link.receive(&mut buffer, limit)?;
        self.input.extend_from_slice(buffer.get(..received).unwrap_or_default());
        Ok(received)
    }

    /// Requests of this session come on this connection now.
    fn carry(&mut self, mailbox: &Arc<Mailbox>) {
        mailbox.carry(self.number, &self.link);
        let before = self.session.replace(mailbox.clone());
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, mailbox)) {
            before.drop_carrier(self.number);
        }
    }

    fn reply(&mut self, status: &str, keep_alive: bool, content: &[u8]) -> Result<()> {
        // librtmp takes the first header that begins with `Content-` for the length, and one space after its colon.
        let head = format!(
            "HTTP/1.1 {status}\r\n\
             Content-Length: {}\r\n\
             Content-Type: application/x-fcs\r\n\
             Connection: {}\r\n\
             Cache-Control: no-cache\r\n\
             \r\n",
            content.len(),
            if keep_alive { "Keep-Alive" } else { "close" }
        );
        self.link.send(&[head.as_bytes(), content])
    }

    /// There is nothing to be had, but other requests are welcome.
    fn refuse_politely(&mut self, head: &Head) -> Result<Outcome> {
        if head.length > MAX_UNWANTED {
            self.refuse("404 Not Found")?;
            return Err(Error::malformed("HTTP request", "nothing that a tunnel has"));
        }
        self.body(head)?.pass_over()?;
        self.reply("404 Not Found", head.keep_alive, b"")?;
        Ok(Outcome::Refused)
    }

    /// The connection ends with this reply.
    fn refuse(&mut self, status: &str) -> Result<()> {
        self.reply(status, false, b"")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.drop_carrier(self.number);
        }
    }
}

/// The body of a request, which is handed on as it comes.
struct RequestBody<'c> {
    connection: &'c mut Connection,
    /// Bytes that were not handed on, of which some may have been received.
    left: usize,
    /// Bytes at the front of what was received that were handed on.
    handed: usize,
    received: usize,
    began: Instant,
}

/// How long a body may take of which so many bytes have come. One that trickles has the first part only.
fn body_time(received: usize) -> Duration {
    let earned = Duration::from_secs((received / BODY_RATE) as u64);
    (REQUEST_TIME + earned).min(BODY_TIME)
}

impl RequestBody<'_> {
    fn pass_over(&mut self) -> Result<()> {
        while !self.next()?.is_empty() {}
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let left = body_time(self.received).saturating_sub(self.began.elapsed());
        match self.connection.receive(self.connection.in_time(left))? {
            0 => Err(Error::Closed),
            count => {
                self.received += count;
                Ok(())
            }
        }
    }
}

impl Body for RequestBody<'_> {
    fn next(&mut self) -> Result<&[u8]> {
        self.connection.input.drain(..mem::take(&mut self.handed));
        if self.left > 0 && self.connection.input.is_empty() {
            self.receive()?;
        }
        let count = self.connection.input.len().min(self.left);
        self.left -= count;
        self.handed = count;
        Ok(&self.connection.input[..count])
    }

    fn skip(&mut self) -> Result<()> {
        if self.left > MAX_UNWANTED as usize {
            return Err(Error::Closed);
        }
        self.pass_over()
    }
}

impl Drop for RequestBody<'_> {
    fn drop(&mut self) {
        self.connection.input.drain(..self.handed);
    }
}

/// What the sessions of the process share.
static RESERVE: Reserve = Reserve::new();

/// How much is received at a time.
const BLOCK_LEN: usize = 16 << 10;

/// The stack of a thread: enough for what is called here, and for a program's own log function.
const STACK_LEN: usize = 256 << 10;

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_LEN).spawn(run)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_more_time_the_more_of_it_has_come_but_not_for_ever() {
        for (received, seconds) in [(0, 30), (4095, 30), (4096, 31), (1 << 20, 286), (2 << 20, 300)] {
            assert_eq!(body_time(received), Duration::from_secs(seconds), "{received}");
        }
    }
}
