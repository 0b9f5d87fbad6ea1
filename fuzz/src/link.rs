//! A link on loopback sockets, driven in any order, with a peer that sends what it likes: every wait has a deadline and ends with it,
//! and what arrives is what was sent.
//!
//! The machines of TCP, proxies, TLS and HTTP tunnels are reached through [`Link`], of which they are parts. Time is a number here.

#![forbid(unsafe_code)]

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::OnceLock,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Result,
    net::{Entry, Link, LinkPhase, Received, Target, Tunnels, Wanted},
    transport::{
        proxy::Proxy,
        tls::{ServerContext, Trust},
    },
};
use socket2::Socket;

use super::input;

/// How long a phase may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No link has more deadlines in a row than this: several phases, several attempts, and a goodbye.
const MAX_DEADLINES: usize = 64;

/// What lies between the link and its peer, in the order of the first choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    HttpProxy,
    HttpsProxy,
    Socks4,
    Socks5,
    Tls,
    Tunnel,
    TunnelInTls,
    /// The link is the server's.
    Accepted,
    AcceptedInTls,
}

const WAYS: [Way; 10] = [
    Way::Direct,
    Way::HttpProxy,
    Way::HttpsProxy,
    Way::Socks4,
    Way::Socks5,
    Way::Tls,
    Way::Tunnel,
    Way::TunnelInTls,
    Way::Accepted,
    Way::AcceptedInTls,
];

/// What a peer that keeps to a protocol says.
const REPLIES: [&[u8]; 8] = [
    b"HTTP/1.1 200 Connection established\r\n\r\n",
    b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\nContent-Length: 4\r\n\r\nabc\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\nContent-Length: 6\r\n\r\n\x01bytes",
    b"\x00\x5A\x00\x00\x00\x00\x00\x00",
    b"\x05\x00",
    b"\x05\x00\x00\x01\x7F\x00\x00\x01\x00\x50",
    b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0",
];

pub fn run(data: &[u8]) {
    let Some(([way], _, mut steps)) = input::choices(data) else { return };
    let Ok(mut scene) = Scene::new(WAYS[usize::from(way) % WAYS.len()]) else { return };
    while let Some((step, rest)) = steps.split_first() {
        steps = scene.perform(*step, rest);
    }
    scene.end();
}

/// A link, its peer, and what went from one to the other.
struct Scene {
    link: Link,
    /// Why the link has ended, or that it was told to.
    ended: bool,
    peer: Peer,
    now: Instant,
    /// What the peer sent over a connection that carries bytes as they are, and how many of these have arrived.
    sent: Vec<u8>,
    arrived: usize,
    carries_as_is: bool,
}

/// The other end, on any number of connections.
struct Peer {
    listener: TcpListener,
    connections: Vec<TcpStream>,
    /// The newest connection once it speaks TLS.
    secured: Option<Link>,
}

impl Scene {
    fn new(way: Way) -> io::Result<Self> {
        let now = Instant::now();
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let mut peer = Peer { listener, connections: Vec::new(), secured: None };
        let address = peer.listener.local_addr()?;
        let is_accepted = matches!(way, Way::Accepted | Way::AcceptedInTls);
        let link = if is_accepted {
            let socket = peer.connect(address)?;
            let context = (way == Way::AcceptedInTls).then(context);
            Link::accept(socket, context, &Tunnels::new(4, TIMEOUT), Some(TIMEOUT), now)
        } else {
            Link::connect(&target(way, address), now)
        };
        let link = link.map_err(io::Error::other)?;
        let carries_as_is = way == Way::Direct;
        Ok(Self { link, ended: false, peer, now, sent: Vec::new(), arrived: 0, carries_as_is })
    }

    /// Does one thing; returns the rest of the bytes that choose.
    fn perform<'s>(&mut self, step: u8, rest: &'s [u8]) -> &'s [u8] {
        let (kind, size) = (step & 0xF, usize::from(step >> 4));
        match kind {
            0..=2 => self.step(),
            3 => self.receive(1 << size),
            4 => self.send(1 << size),
            5 => {
                self.now += Duration::from_millis(1 << size);
                self.step();
            }
            6 | 7 => {
                let (bytes, rest) = rest.split_at(rest.len().min(1 << size));
                self.peer_sends(bytes);
                return rest;
            }
            8 => self.peer_sends(REPLIES[size % REPLIES.len()]),
            9 => self.peer.accept(),
            10 => self.peer.secure(self.now),
            11 => self.peer.receive(self.now),
            12 => self.peer.end(size),
            13 => self.link.keep_readable(size & 1 == 1),
            14 => self.link.release_byte(),
            _ => match size {
                0 => self.finish(),
                1 => {
                    self.link.abort();
                    self.ended = true;
                }
                2 => self.check(|link, now| link.keep_polling(now)),
                _ => self.check(|link, now| link.send_whole(&[7; 100], now).map(drop)),
            },
        }
        rest
    }

    fn check(&mut self, act: impl FnOnce(&mut Link, Instant) -> Result<()>) {
        self.ended |= act(&mut self.link, self.now).is_err();
        let waits = !self.ended && !self.link.is_open() && !self.link.is_finished();
        assert!(!waits || self.link.deadline().is_some(), "a wait without a deadline");
        assert!(!self.link.is_open() || self.link.phase() == LinkPhase::Open);
        let _ = (self.link.unsent(), self.link.holds_more(), self.link.tunnel_status(), self.link.phases());
    }

    fn step(&mut self) {
        self.peer.accept();
        self.check(Link::step);
        let mut interests = Vec::new();
        self.link.interests(Wanted { read: true, write: true }, &mut interests);
        let waits = !self.ended && !self.link.is_open() && !self.link.is_finished();
        assert!(!waits || !interests.is_empty(), "a wait for nothing but its deadline");
        self.peer.step(self.now);
    }

    fn receive(&mut self, most: usize) {
        let mut block = vec![0; most];
        let mut count = 0;
        self.check(|link, now| {
            if let Received::Bytes(received) = link.receive(&mut block, now)? {
                assert!((1..=most).contains(&received));
                count = received;
            }
            Ok(())
        });
        if self.carries_as_is {
            let expected = self.sent.get(self.arrived..self.arrived + count);
            assert!(expected == Some(&block[..count]), "bytes that nobody sent, or in another order");
        }
        self.arrived += count;
    }

    fn send(&mut self, size: usize) {
        let bytes = vec![7; size];
        let pieces = [IoSlice::new(&bytes[..size / 2]), IoSlice::new(&bytes[size / 2..])];
        self.check(|link, now| {
            assert!(link.send(&pieces, now)? <= size);
            Ok(())
        });
    }

    fn peer_sends(&mut self, bytes: &[u8]) {
        self.peer.accept();
        let count = self.peer.send(bytes, self.now);
        self.sent.extend_from_slice(&bytes[..count]);
    }

    fn finish(&mut self) {
        self.link.finish(self.now);
        self.ended = true;
    }

    /// Nothing more comes from the peer. What was begun ends at its deadlines, and so does a goodbye.
    fn end(mut self) {
        self.wait_out(|link| link.is_open());
        self.finish();
        self.ended = false;
        self.wait_out(Link::is_finished);
        self.peer.end(0);
    }

    /// Goes from deadline to deadline until the link has failed, is finished, or is where it should be.
    fn wait_out(&mut self, is_there: impl Fn(&Link) -> bool) {
        for _ in 0..MAX_DEADLINES {
            self.step();
            if self.ended || self.link.is_finished() || is_there(&self.link) {
                return;
            }
            self.now = self.now.max(self.link.deadline().expect("a wait has a deadline"));
        }
        panic!("a wait that does not end");
    }
}

impl Peer {
    /// Connects to itself; the other end is the result.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Socket> {
        self.add(TcpStream::connect(address)?)?;
        Ok(self.listener.accept()?.0.into())
    }

    fn add(&mut self, connection: TcpStream) -> io::Result<()> {
        connection.set_nonblocking(true)?;
        self.connections.push(connection);
        self.secured = None;
        Ok(())
    }

    fn accept(&mut self) {
        if let Ok((connection, _)) = self.listener.accept() {
            let _ = self.add(connection);
        }
    }

    /// Has the newest connection speak TLS, as a server.
    fn secure(&mut self, now: Instant) {
        let Some(connection) = self.connections.last() else { return };
        if let Ok(connection) = connection.try_clone() {
            self.secured = Link::accept_tls(Socket::from(connection), context(), Some(TIMEOUT), now).ok();
        }
    }

    fn step(&mut self, now: Instant) {
        if self.secured.as_mut().is_some_and(|secured| secured.step(now).is_err()) {
            self.secured = None;
        }
    }

    /// Sends bytes on the newest connection; returns how many went.
    fn send(&mut self, bytes: &[u8], now: Instant) -> usize {
        if let Some(secured) = &mut self.secured {
            return secured.send(&[IoSlice::new(bytes)], now).unwrap_or(0);
        }
        self.connections.last_mut().and_then(|connection| connection.write(bytes).ok()).unwrap_or(0)
    }

    fn receive(&mut self, now: Instant) {
        let mut block = [0; 4096];
        if let Some(secured) = &mut self.secured {
            let _ = secured.receive(&mut block, now);
        } else if let Some(connection) = self.connections.last_mut() {
            let _ = connection.read(&mut block);
        }
    }

    /// Ends connections, at once: they leave nothing behind on the machine.
    fn end(&mut self, how: usize) {
        match how {
            1 => self.connections.last().into_iter().for_each(|last| _ = last.shutdown(Shutdown::Write)),
            2 => self.connections.last().into_iter().for_each(|last| _ = last.shutdown(Shutdown::Read)),
            _ => {
                self.secured = None;
                for connection in self.connections.drain(..) {
                    let _ = Socket::from(connection).set_linger(Some(Duration::ZERO));
                }
            }
        }
    }
}

fn target(way: Way, address: SocketAddr) -> Target {
    let mut target = Target::new(b"127.0.0.1", address.port());
    target.timeout = Some(TIMEOUT);
    let scheme = match way {
        Way::HttpProxy => "http",
        Way::HttpsProxy => "https",
        Way::Socks4 => "socks4",
        Way::Socks5 => "socks5",
        _ => "",
    };
    if scheme.is_empty() {
        target.entry = Entry::Address(address);
    } else {
        target.proxy = Proxy::parse(format!("{scheme}://user:word@{address}").as_bytes()).ok();
        target.proxy_trust = Trust::Anyone;
    }
    target.tunnelled = matches!(way, Way::Tunnel | Way::TunnelInTls);
    target.tls = matches!(way, Way::Tls | Way::TunnelInTls).then(|| ("peer".to_owned(), Trust::Anyone));
    target
}

/// A certificate that nobody issued.
fn context() -> &'static ServerContext {
    static CONTEXT: OnceLock<ServerContext> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let paths = ["fuzz/src/peer.pem", "src/peer.pem"].map(|path| root.join(path));
        let path = paths.iter().find(|path| path.exists()).expect("it is committed");
        ServerContext::from_files(path, path).expect("it is a certificate with its key")
    })
}
