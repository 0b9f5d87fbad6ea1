//! The connection to the server: TCP, perhaps through a proxy, with TLS over it if the URL says so.

use std::{
    iter,
    net::Shutdown,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use socket2::Socket;

use super::settings::Settings;
use crate::{
    error::{Error, Result},
    transport::{
        deadline::Deadline,
        route::Route,
        tcp,
        tls::{Session, Trust},
        tunnel::{Carrier, Ending},
        wait::{self, Patience, Until},
    },
};

/// A connection that can be made anew, for tunnels and for servers that want publishers to log in.
pub(super) struct Wire {
    settings: Arc<Settings>,
    link: Mutex<Option<Arc<Link>>>,
    abort: Arc<Abort>,
    /// When all waits end, besides each of them in its own time.
    limit: Mutex<Deadline>,
}

/// A socket and what is over it.
struct Link {
    socket: Socket,
    tls: Option<Session>,
}

/// Which connections end when a program wants them to.
#[derive(Default)]
pub(super) struct Abort {
    wanted: AtomicBool,
    links: Mutex<Vec<Weak<Link>>>,
}

impl Abort {
    /// Ends the waits of all connections, now and from now on.
    pub(super) fn abort(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        for link in self.links.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(link) = link.upgrade() {
                link.shut_down(Shutdown::Both);
            }
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Adds a connection. Those that are gone make room.
    fn watch(&self, link: &Arc<Link>) -> Result<()> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(link));
        // Behind the lock: whoever aborts either finds the connection in the list, or was seen here.
        if self.is_wanted() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

impl Patience for Abort {
    fn is_over(&self) -> bool {
        self.is_wanted()
    }
}

impl Link {
    fn shut_down(&self, how: Shutdown) {
        // A socket whose peer has gone is shut down already.
        let _ = self.socket.shutdown(how);
    }
}

impl Wire {
    /// No connection yet.
    pub(super) fn new(settings: Arc<Settings>, abort: Arc<Abort>) -> Self {
        Self { settings, link: Mutex::new(None), abort, limit: Mutex::new(Deadline::NEVER) }
    }

    /// Says when waits end, besides each of them in its own time.
    pub(super) fn set_limit(&self, limit: Deadline) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    /// When waits end, besides each of them in its own time.
    pub(super) fn limit(&self) -> Deadline {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the server by `deadline`, in place of an earlier connection.
    pub(super) fn dial(&self, deadline: Deadline) -> Result<()> {
        if self.abort.is_wanted() {
            return Err(Error::Interrupted);
        }
        let patience = &Until::new(&*self.abort, deadline);
        let settings = &self.settings;
        let timeout = Some(settings.timeout);
        let route = Route {
            host: &settings.host,
            port: settings.port(),
            proxy: settings.proxy.as_ref(),
            local: &settings.local,
        };
        let socket = route.connect(timeout, patience)?;
        tcp::configure(socket.as_fd(), timeout);
        let tls = if settings.protocol.is_tls() { Some(self.tls()?) } else { None };
        let link = Arc::new(Link { socket, tls });
        self.abort.watch(&link)?;
        if let Some(tls) = &link.tls {
            tls.handshake(link.socket.as_fd(), timeout, patience).map_err(|error| self.verdict(error))?;
        }
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        Ok(())
    }

    /// Sends all pieces by `deadline`.
    pub(super) fn send_all<'p>(
        &self,
        pieces: impl Iterator<Item = &'p [u8]>,
        scratch: &mut Vec<u8>,
        deadline: Deadline,
    ) -> Result<()> {
        let link = self.link()?;
        let (fd, patience) = (link.socket.as_fd(), &Until::new(&*self.abort, deadline));
        match &link.tls {
            Some(tls) => tls.send_all(fd, pieces, scratch, patience),
            None => tcp::send_all(fd, pieces, scratch, patience),
        }
        .map_err(|error| self.verdict(error))
    }

    /// Lets waits for the peer's bytes last as long as the connection: another thread decides when to end it. Tunnels
    /// have waits of their own.
    pub(super) fn wait_for_ever(&self) -> Result<()> {
        Ok(self.link()?.socket.set_read_timeout(None)?)
    }

    /// Says goodbye in TLS, as far as that goes without waiting, and sends nothing from then on.
    pub(super) fn end_sending(&self) {
        if let Ok(link) = self.link() {
            if let Some(tls) = &link.tls {
                tls.close(link.socket.as_fd());
            }
            link.shut_down(Shutdown::Write);
        }
    }

    /// Ends the connection, and the waits of every thread that uses it.
    pub(super) fn shut_down(&self) {
        if let Ok(link) = self.link() {
            link.shut_down(Shutdown::Both);
        }
    }

    /// Whether receiving would not wait.
    pub(super) fn has_more(&self) -> bool {
        self.link().is_ok_and(|link| wait::has_more(link.socket.as_fd(), 0))
    }

    /// What an error is called when the program itself has ended the connection.
    pub(super) fn verdict(&self, error: Error) -> Error {
        if self.abort.is_wanted() { Error::Interrupted } else { error }
    }

    /// Whether the program wants all connections to end.
    pub(super) fn is_aborted(&self) -> bool {
        self.abort.is_wanted()
    }

    fn link(&self) -> Result<Arc<Link>> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        link.ok_or(Error::NotConnected)
    }

    fn tls(&self) -> Result<Session> {
        let (host, trust) = (self.settings.host_name(), self.settings.trust());
        if trust == Trust::Anyone {
            log::warn!("TLS: nobody checks that the server is {host}");
        }
        Session::client(&host, &trust)
    }
}

impl Carrier for Wire {
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        let link = self.link()?;
        let (fd, patience) = (link.socket.as_fd(), &Until::new(&*self.abort, deadline));
        match &link.tls {
            Some(tls) => tls.receive(fd, buffer, patience),
            None => tcp::receive(fd, buffer, patience),
        }
        .map_err(|error| self.verdict(error))
    }

    fn send(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        self.send_all(iter::once(bytes), &mut Vec::new(), deadline)
    }

    fn reconnect(&self, ending: Ending, deadline: Deadline) -> Result<()> {
        // A connection that this side has shut down takes nothing, not even nothing.
        if ending == Ending::Silent {
            tcp::send_now(self.link()?.socket.as_fd(), &[]).map_err(|_| Error::Interrupted)?;
        }
        self.dial(deadline)
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.settings.timeout)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout()).or_sooner(self.limit())
    }

    fn interrupted(&self) -> bool {
        self.abort.is_wanted()
    }
}
