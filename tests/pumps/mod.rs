//! Links for tests that wait: one end of a TLS connection as a blocking stream, and what turns the server's side of a link into a
//! socket.
#![allow(dead_code)] // every test binary uses a part of this module

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::{Error, Result},
    net::{Link, Received, Target, Tunnels, Wanted, bridge, wait},
    transport::tls::{ServerContext, Trust},
};
use socket2::Socket;

/// How long a wait lasts before it looks what other threads have done to the link.
const SLICE: Duration = Duration::from_millis(10);

/// A link that blocks, for several threads. The timeouts of `socket` hold for each wait.
pub struct End {
    link: Mutex<Link>,
    pub socket: TcpStream,
}

impl End {
    /// Shakes hands in TLS as a client.
    pub fn client(socket: TcpStream, host: &str, trust: &Trust, timeout: Duration) -> Result<Self> {
        let shared = Socket::from(socket.try_clone()?);
        let target = Target {
            tls: Some((host.to_owned(), trust.clone())),
            timeout: Some(timeout),
            ..Target::new(host.as_bytes(), 0)
        };
        Self::open(socket, Link::over(shared, &target, Instant::now())?)
    }

    /// Shakes hands in TLS as a server.
    pub fn server(socket: TcpStream, context: &ServerContext, timeout: Duration) -> Result<Self> {
        let shared = Socket::from(socket.try_clone()?);
        let link = Link::accept_tls(shared, context, Some(timeout), Instant::now())?;
        Self::open(socket, link)
    }

    /// Waits until the link on `socket` is open.
    pub fn open(socket: TcpStream, link: Link) -> Result<Self> {
        let end = Self { link: Mutex::new(link), socket };
        loop {
            end.lock().step(Instant::now())?;
            if end.lock().is_open() {
                return Ok(end);
            }
            end.wait(Wanted::default(), None)?;
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for bytes; 0 at the end.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        let until = self.socket.read_timeout()?.map(|timeout| Instant::now() + timeout);
        loop {
            let received = {
                let mut link = self.lock();
                let now = Instant::now();
                let stepped = link.step(now);
                match link.receive(buffer, now)? {
                    Received::Nothing => stepped.map(|()| Received::Nothing)?,
                    received => received,
                }
            };
            match received {
                Received::Bytes(count) => return Ok(count),
                Received::End => return Ok(0),
                Received::Nothing => self.wait(Wanted { read: true, write: false }, until)?,
            }
        }
    }

    pub fn receive_exact(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.receive(&mut bytes[filled..]).unwrap() {
                0 => panic!("the end after {filled} of {count} bytes"),
                more => filled += more,
            }
        }
        bytes
    }

    /// Sends everything.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.send_pieces(&[bytes])
    }

    pub fn send_pieces(&self, pieces: &[&[u8]]) -> Result<()> {
        let until = self.socket.write_timeout()?.map(|timeout| Instant::now() + timeout);
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut slices = &mut slices[..];
        IoSlice::advance_slices(&mut slices, 0);
        loop {
            {
                let mut link = self.lock();
                let now = Instant::now();
                link.step(now)?;
                if !slices.is_empty() {
                    let sent = link.send(slices, now)?;
                    IoSlice::advance_slices(&mut slices, sent);
                }
                if slices.is_empty() && link.unsent() == 0 {
                    return Ok(());
                }
            }
            self.wait(Wanted { read: false, write: true }, until)?;
        }
    }

    /// Says goodbye, for which everything that was sent has gone out.
    pub fn close(&self) {
        self.lock().finish(Instant::now());
    }

    fn wait(&self, wanted: Wanted, until: Option<Instant>) -> Result<()> {
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(Error::TimedOut);
        }
        let mut interests = Vec::new();
        let deadline = {
            let link = self.lock();
            link.interests(wanted, &mut interests);
            link.deadline()
        };
        let slice = Instant::now() + SLICE;
        wait(&interests, [deadline, until].into_iter().flatten().chain([slice]).min())?;
        Ok(())
    }
}

impl Read for &End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer).map_err(io::Error::other)
    }
}

impl Write for &End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Accepts clients forever, in TLS if there is a context, and in tunnels: `handle` gets the stream of each session, in a thread of
/// its own. Returns the port.
pub fn serve(
    tunnels: &Tunnels,
    context: Option<ServerContext>,
    timeout: Duration,
    handle: impl Fn(&UnixStream) + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let (handle, tunnels, context) = (Arc::new(handle), tunnels.clone(), context.map(Arc::new));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let (handle, tunnels, context) = (handle.clone(), tunnels.clone(), context.clone());
            thread::spawn(move || {
                let socket = Socket::from(stream);
                let now = Instant::now();
                let accepted = Link::accept(socket, context.as_deref(), &tunnels, Some(timeout), now);
                let mut link = accepted.expect("sockets can be set up");
                match until(&mut link, Link::is_open) {
                    Ok(()) => {
                        let link = link.take_served().expect("there are no other clients");
                        let stream =
                            UnixStream::from(OwnedFd::from(bridge(link).expect("there are descriptors")));
                        handle(&stream);
                    }
                    Err(_) if link.has_joined() => {}
                    Err(error) => println!("not accepted: {error}"),
                }
            });
        }
    });
    port
}

/// Steps the link until `done`.
pub fn until(link: &mut Link, done: impl Fn(&Link) -> bool) -> Result<()> {
    loop {
        link.step(Instant::now())?;
        if done(link) {
            return Ok(());
        }
        let mut interests = Vec::new();
        link.interests(Wanted::default(), &mut interests);
        wait(&interests, link.deadline())?;
    }
}

/// A proxy that is spoken to in TLS and connects anywhere on this machine, for clients that send `login` as it stands in
/// `Proxy-Authorization`, if there is one. Returns its port.
pub fn https_proxy(context: ServerContext, login: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let context = Arc::new(context);
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let context = context.clone();
            thread::spawn(move || {
                // Clients that do not like the certificate go away.
                let Ok(client) = End::server(client, &context, Duration::from_secs(30)) else { return };
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if client.receive(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).expect("heads are text");
                let allowed =
                    login.is_none_or(|login| head.contains(&format!("\r\nProxy-Authorization: {login}\r\n")));
                if !allowed {
                    let _ = client
                        .send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
                    client.close();
                    return;
                }
                let place = head.strip_prefix("CONNECT ").expect("nothing else is asked for");
                let place = place.split(' ').next().expect("a request has words");
                let server = TcpStream::connect(place).expect("the server listens");
                client.send(b"HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n").expect("the client listens");
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let _ = io::copy(&mut &client, &mut &server);
                        let _ = server.shutdown(Shutdown::Write);
                    });
                    let _ = io::copy(&mut &server, &mut &client);
                    client.close();
                    // Closing with bytes of the client unread would reset the connection.
                    let _ = client.socket.set_read_timeout(Some(Duration::from_secs(30)));
                    let _ = io::copy(&mut &client.socket, &mut io::sink());
                });
            });
        }
    });
    port
}
