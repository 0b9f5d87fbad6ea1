//! The tunnelled sessions that are served, by name: an HTTP connection finds the session for its requests here.

use std::{
    collections::BTreeMap,
    io::IoSlice,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use socket2::Socket;

use super::{receive::discard, send::send_now, step::Interest, wire::Wire};
use crate::{
    error::Result,
    random, system,
    transport::tunnel::{MAX_CARRIERS, SessionId},
};

/// The sessions in HTTP tunnels of one server.
///
/// The requests of a session may come on any number of connections. [`Link::accept`](super::Link::accept) determines the
/// session of an HTTP connection, and passes the connection to the link that serves it. So all connections to the same address
/// have to be accepted with the same value. Clones share the same sessions.
#[derive(Clone)]
pub struct Tunnels(Arc<Shared>);

/// An HTTP connection that is passed to a session: the connection, and the bytes received on it.
pub(super) struct Carried {
    pub(super) wire: Wire,
    pub(super) input: Vec<u8>,
}

struct Shared {
    sessions: Mutex<BTreeMap<SessionId, Arc<Inbox>>>,
    max_sessions: usize,
    idle: Duration,
}

/// Connections that are passed to the link that serves their session.
struct Inbox {
    connections: Mutex<Vec<Carried>>,
    /// The other end of the socket that the link waits for.
    bell: Socket,
}

/// A session's entry among the others, until it is dropped.
pub(super) struct Membership {
    id: SessionId,
    tunnels: Tunnels,
    inbox: Arc<Inbox>,
    /// Readable when a connection has been passed.
    wake: Arc<Socket>,
}

impl Tunnels {
    /// No sessions yet, and at most `max_sessions` at a time. A session ends after the time `idle` without a request.
    pub fn new(max_sessions: usize, idle: Duration) -> Self {
        Self(Arc::new(Shared { sessions: Mutex::default(), max_sessions, idle }))
    }

    /// The number of sessions.
    pub fn session_count(&self) -> usize {
        self.lock().len()
    }

    /// The time for which a session lasts without requests.
    pub(super) fn idle(&self) -> Duration {
        self.0.idle
    }

    /// An entry for a new session, with a name that cannot be guessed; `None` if there are too many.
    pub(super) fn join(&self) -> Result<Option<Membership>> {
        let mut name = [0_u8; 16];
        random::system(&mut name)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = SessionId::new(name.as_bytes())?;
        let (wake, bell) = system::pair()?;
        let inbox = Arc::new(Inbox { connections: Mutex::default(), bell });
        let mut sessions = self.lock();
        if sessions.len() >= self.0.max_sessions || sessions.contains_key(&id) {
            return Ok(None);
        }
        sessions.insert(id.clone(), inbox.clone());
        drop(sessions);
        Ok(Some(Membership { id, tunnels: self.clone(), inbox, wake: Arc::new(wake) }))
    }

    /// Passes a connection to the link that serves the session, or returns it if there is no such session.
    pub(super) fn hand_over(&self, id: &SessionId, connection: Carried) -> Option<Carried> {
        // The lock is held until the connection was passed: a session that ends meanwhile would lose it.
        let sessions = self.lock();
        let Some(inbox) = sessions.get(id) else { return Some(connection) };
        {
            let mut connections = lock(&inbox.connections);
            if connections.len() >= MAX_CARRIERS {
                connections.remove(0);
            }
            connections.push(connection);
        }
        // A full buffer wakes the link as well.
        let _ = send_now(&inbox.bell, &[IoSlice::new(&[1])]);
        None
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<Inbox>>> {
        lock(&self.0.sessions)
    }
}

impl Default for Tunnels {
    /// Up to 4096 sessions, which end after 30 seconds without requests.
    fn default() -> Self {
        Self::new(MAX_SESSIONS, IDLE)
    }
}

impl Membership {
    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    pub(super) fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// No more connections are passed to this session.
    pub(super) fn leave(&self) {
        self.tunnels.lock().remove(&self.id);
    }

    /// The connections that were passed since the last call.
    pub(super) fn arrivals(&self) -> Vec<Carried> {
        let _ = discard(&self.wake);
        mem::take(&mut *lock(&self.inbox.connections))
    }

    /// The socket to wait for. With `now`, it is ready at once.
    pub(super) fn interest(&self, now: bool) -> Interest {
        Interest { socket: self.wake.clone(), read: true, write: now }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time for which a session lasts without requests.
const IDLE: Duration = Duration::from_secs(30);

/// The limit of sessions at a time.
const MAX_SESSIONS: usize = 4096;
