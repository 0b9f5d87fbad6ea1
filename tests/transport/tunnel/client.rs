//! The client's side of a tunnel, for tests that wait.

use std::{
    io::IoSlice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rtmp_core::{
    error::{Error, Result},
    net::{Link, Received, Target, Wanted, wait},
    transport::tunnel::Status,
};
use socket2::Socket;

/// A tunnel's client, shared by the threads that use it.
pub struct Tunnel {
    link: Mutex<(Link, Option<Arc<Socket>>)>,
    timeout: Duration,
    /// How often the connection was replaced.
    replaced: AtomicU32,
    pub interrupted: AtomicBool,
}

/// How long a wait lasts before it looks what the other thread has done.
const SLICE: Duration = Duration::from_millis(10);

impl Tunnel {
    /// Asks the server on `port` for a session.
    pub fn open(port: u16, timeout: Duration) -> Result<Self> {
        let target = Target { tunnelled: true, timeout: Some(timeout), ..Target::new(b"127.0.0.1", port) };
        let tunnel = Self {
            link: Mutex::new((Link::connect(&target, Instant::now())?, None)),
            timeout,
            replaced: AtomicU32::new(0),
            interrupted: AtomicBool::new(false),
        };
        loop {
            tunnel.with(|link, now| link.step(now))?;
            if tunnel.lock().0.is_open() {
                return Ok(tunnel);
            }
            tunnel.wait(Wanted::default(), None)?;
        }
    }

    /// Waits for bytes of the stream and puts them to the front of `buffer`; returns how many.
    pub fn fill(&self, buffer: &mut [u8]) -> Result<usize> {
        let until = Some(Instant::now() + self.timeout);
        loop {
            let received = self.with(|link, now| {
                let stepped = link.step(now);
                match link.receive(buffer, now) {
                    Ok(Received::Nothing) => stepped.map(|()| Received::Nothing),
                    received => received,
                }
            })?;
            match received {
                Received::Bytes(count) => return Ok(count),
                Received::End => return Err(Error::Closed),
                Received::Nothing => self.wait(Wanted { read: true, write: false }, until)?,
            }
        }
    }

    /// Sends bytes of the stream.
    pub fn send(&self, pieces: &[&[u8]]) -> Result<()> {
        let until = Some(Instant::now() + self.timeout);
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut slices = &mut slices[..];
        IoSlice::advance_slices(&mut slices, 0);
        loop {
            let unsent = self.with(|link, now| {
                link.step(now)?;
                if !slices.is_empty() {
                    let sent = link.send(slices, now)?;
                    IoSlice::advance_slices(&mut slices, sent);
                }
                Ok(link.unsent())
            })?;
            if slices.is_empty() && unsent == 0 {
                return Ok(());
            }
            self.wait(Wanted { read: false, write: true }, until)?;
        }
    }

    /// Says goodbye and waits for the last replies.
    pub fn close(&self) {
        self.lock().0.finish(Instant::now());
        while !self.lock().0.is_finished() {
            if self.with(|link, now| link.step(now)).is_err() || self.wait(Wanted::default(), None).is_err() {
                return;
            }
        }
    }

    /// Where the client stands.
    pub fn status(&self) -> Status {
        self.lock().0.tunnel_status().expect("it is a tunnel")
    }

    /// The socket that carries the tunnel now.
    pub fn socket(&self) -> Arc<Socket> {
        self.lock().0.socket().expect("there is a connection").clone()
    }

    pub fn replacements(&self) -> u32 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// A step, after which it is known whether the connection was replaced.
    fn with<T>(&self, step: impl FnOnce(&mut Link, Instant) -> Result<T>) -> Result<T> {
        let mut guard = self.lock();
        let (link, known) = &mut *guard;
        let result = step(link, Instant::now());
        if let Some(socket) = link.socket() {
            let is_new = known.as_ref().is_some_and(|known| !Arc::ptr_eq(known, socket));
            self.replaced.fetch_add(u32::from(is_new), Ordering::Relaxed);
            *known = Some(socket.clone());
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, (Link, Option<Arc<Socket>>)> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, wanted: Wanted, until: Option<Instant>) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(Error::TimedOut);
        }
        let mut interests = Vec::new();
        let deadline = {
            let guard = self.lock();
            guard.0.interests(wanted, &mut interests);
            guard.0.deadline()
        };
        let slice = Instant::now() + SLICE;
        wait(&interests, [deadline, until].into_iter().flatten().chain([slice]).min())?;
        Ok(())
    }
}
