//! Peers that were well until some byte, and then say nothing, say one byte now and then, or stop reading.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The behaviour of a peer after it has sent a certain number of its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Says nothing more, and continues reading.
    Silence,
    /// Sends a byte now and then, and continues reading.
    Trickle,
    /// Does nothing more, not even read.
    Freeze,
    /// Continues after that time.
    Hold(Duration),
}

/// A relay to a server that is well.
pub struct Stalling {
    pub port: u16,
    sent: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    frozen: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

/// What the threads of a relay share.
#[derive(Clone)]
struct Shared {
    after: u64,
    then: Then,
    /// Bytes of the server that the clients got.
    sent: Arc<AtomicUsize>,
    /// How many bytes of the clients are read, and how many were.
    takes: u64,
    taken: Arc<AtomicUsize>,
    frozen: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Stalling {
    /// Relays to a port of this machine until the value is dropped.
    pub fn in_front_of(behind: u16, after: u64, then: Then) -> Self {
        Self::start(behind, after, then, u64::MAX)
    }

    /// As `in_front_of`, and freezes after this number of bytes from the clients.
    pub fn deaf_after(behind: u16, takes: u64) -> Self {
        Self::start(behind, u64::MAX, Then::Freeze, takes)
    }

    fn start(behind: u16, after: u64, then: Then, takes: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Shared {
            after,
            then,
            sent: Arc::default(),
            takes,
            taken: Arc::default(),
            frozen: Arc::new(AtomicBool::new(after == 0 && then == Then::Freeze)),
            over: Arc::default(),
        };
        let (sent, taken) = (shared.sent.clone(), shared.taken.clone());
        let (frozen, over) = (shared.frozen.clone(), shared.over.clone());
        listener.set_nonblocking(true).expect("listening sockets can be polled");
        thread::spawn(move || {
            while !shared.is_over() {
                let Ok((client, _)) = listener.accept() else {
                    thread::sleep(TICK);
                    continue;
                };
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { continue };
                for side in [&client, &server] {
                    side.set_nonblocking(false).expect("sockets can block");
                    side.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
                    side.set_read_timeout(Some(TICK)).expect("a positive time-out");
                    // Nobody waits forever for a client that does not read.
                    side.set_write_timeout(Some(Duration::from_secs(30))).expect("a positive time-out");
                }
                shared.clone().forward(&client, &server, false);
                shared.clone().forward(&server, &client, true);
            }
        });
        Self { port, sent, taken, frozen, over }
    }

    /// Does nothing more from now on, not even read.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// How many bytes of the server have passed.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst) as u64
    }

    /// How many bytes of the clients have passed.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst) as u64
    }
}

impl Drop for Stalling {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn forward(self, from: &TcpStream, to: &TcpStream, from_server: bool) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("sockets can be shared");
        let (mut from, mut to) = (clone(from), clone(to));
        thread::spawn(move || {
            if self.run(&mut from, &mut to, from_server).is_err() {
                let _ = from.shutdown(Shutdown::Both);
            }
            let _ = to.shutdown(if from_server { Shutdown::Write } else { Shutdown::Both });
        });
    }

    fn run(&self, from: &mut TcpStream, to: &mut TcpStream, from_server: bool) -> std::io::Result<()> {
        let mut block = vec![0; 16384];
        while !self.is_over() {
            if self.frozen.load(Ordering::SeqCst) {
                thread::sleep(TICK);
                continue;
            }
            let count = match from.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error),
            };
            if from_server {
                self.pass(&block[..count], to)?;
                continue;
            }
            to.write_all(&block[..count])?;
            if (self.taken.fetch_add(count, Ordering::SeqCst) + count) as u64 > self.takes {
                self.frozen.store(true, Ordering::SeqCst);
            }
        }
        Err(ErrorKind::ConnectionAborted.into())
    }

    fn pass(&self, bytes: &[u8], to: &mut TcpStream) -> std::io::Result<()> {
        let before = self.sent.load(Ordering::SeqCst) as u64;
        let now = bytes.len().min(self.after.saturating_sub(before) as usize);
        to.write_all(&bytes[..now])?;
        self.sent.fetch_add(now, Ordering::SeqCst);
        let rest = &bytes[now..];
        if rest.is_empty() {
            return Ok(());
        }
        match self.then {
            Then::Silence => Ok(()),
            Then::Freeze => {
                self.frozen.store(true, Ordering::SeqCst);
                Ok(())
            }
            Then::Trickle => rest.iter().try_for_each(|byte| {
                self.sleep(Duration::from_millis(400));
                to.write_all(&[*byte])
            }),
            Then::Hold(time) => {
                if before <= self.after {
                    self.sleep(time);
                }
                self.sent.fetch_add(rest.len(), Ordering::SeqCst);
                to.write_all(rest)
            }
        }
    }

    fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.is_over() {
            thread::sleep(TICK.min(time));
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// How often threads look whether all has ended.
const TICK: Duration = Duration::from_millis(50);
