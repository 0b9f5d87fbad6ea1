//! A connection as something that bytes go in and out of, whatever lies below it.
//!
//! For exchanges that own their connection. Sessions have sockets that callers see, and use [`tcp`] itself.

#![forbid(unsafe_code)]

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use socket2::Socket;

use super::{
    connect::connect,
    deadline::Deadline,
    local::Local,
    resolve::resolve,
    tcp::{self, Interrupted},
    tls::{Session, Trust},
};
use crate::error::{Error, Result};

/// Bytes both ways; every wait has an end.
pub trait Stream {
    /// Waits at most `wait` for bytes and puts them into `buffer`; 0 means that the peer will send no more.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize>;

    /// Sends all of `bytes` within `wait`.
    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()>;
}

/// A TCP connection of our own.
#[derive(Debug)]
pub struct TcpStream {
    socket: Socket,
    interrupted: Interrupted,
}

impl TcpStream {
    /// Looks the host up and connects to the first of its addresses that answers within `wait`.
    pub fn connect(host: &str, port: u16, wait: Duration, interrupted: Interrupted) -> Result<Self> {
        let deadline = Deadline::after(Some(wait));
        let local = Local::default();
        let addresses = resolve(host.as_bytes(), port, local.family, deadline)?;
        let socket = connect(&addresses, &local, deadline, interrupted)?;
        tcp::configure(socket.as_fd(), Some(wait));
        Ok(Self { socket, interrupted })
    }

    /// Repeats a call that signals may interrupt until it is done or the time is over.
    fn within<T>(&self, wait: Duration, mut call: impl FnMut(&Socket, Duration) -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TimedOut);
            }
            match call(&self.socket, left) {
                Err(Error::Interrupted) if !(self.interrupted)() => {}
                result => return result,
            }
        }
    }
}

/// TLS over a TCP connection of our own.
pub struct TlsStream {
    tcp: TcpStream,
    session: Session,
    scratch: Vec<u8>,
}

impl TlsStream {
    /// Shakes hands with `host` within `wait`.
    pub fn connect(tcp: TcpStream, host: &str, trust: &Trust, wait: Duration) -> Result<Self> {
        let session = Session::client(host, trust)?;
        session.handshake(tcp.socket.as_fd(), Some(wait), tcp.interrupted)?;
        Ok(Self { tcp, session, scratch: Vec::new() })
    }
}

impl Stream for TlsStream {
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
        let Self { tcp, session, .. } = self;
        tcp.within(wait, |socket, left| {
            socket.set_read_timeout(Some(left))?;
            session.receive(socket.as_fd(), buffer, || true)
        })
    }

    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()> {
        let Self { tcp, session, scratch } = self;
        tcp.socket.set_write_timeout(Some(wait))?;
        session.send_all(tcp.socket.as_fd(), std::iter::once(bytes), scratch, tcp.interrupted)
    }
}

impl Stream for TcpStream {
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
        self.within(wait, |socket, left| {
            socket.set_read_timeout(Some(left))?;
            // Going on after a signal is decided above, where the rest of the time is known.
            tcp::receive(socket.as_fd(), buffer, || true)
        })
    }

    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()> {
        let mut rest = bytes;
        self.within(wait, |socket, left| {
            let deadline = Instant::now() + left;
            while !rest.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::TimedOut);
                }
                socket.set_write_timeout(Some(left))?;
                let sent = tcp::send_some(socket.as_fd(), rest)?;
                rest = rest.get(sent..).unwrap_or_default();
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Write, net::TcpListener, thread};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    fn never() -> bool {
        false
    }

    fn pair(host: &str) -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = TcpStream::connect(host, port, WAIT, never).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_go_both_ways() {
        let (mut near, mut far) = pair("127.0.0.1");
        near.send(b"question", WAIT).unwrap();
        let mut buffer = [0; 8];
        far.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"question");
        far.write_all(b"answer").unwrap();
        assert_eq!(near.receive(&mut buffer, WAIT).unwrap(), 6);
        drop(far);
        assert_eq!(near.receive(&mut buffer, WAIT).unwrap(), 0);
    }

    #[test]
    fn silence_ends_the_wait() {
        let (mut near, _far) = pair("127.0.0.1");
        let start = Instant::now();
        assert!(matches!(near.receive(&mut [0; 8], Duration::from_millis(30)), Err(Error::TimedOut)));
        assert!(start.elapsed() >= Duration::from_millis(25));
    }

    #[test]
    fn a_peer_that_does_not_read_ends_the_wait() {
        let (mut near, _far) = pair("127.0.0.1");
        let block = vec![0; 64 << 20];
        assert!(matches!(near.send(&block, Duration::from_millis(100)), Err(Error::TimedOut)));
    }

    #[test]
    fn a_connection_that_nobody_answers_ends_the_wait() {
        use std::net::SocketAddr;

        use socket2::{Domain, Type};

        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(1).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        // Once the queue is full, the system does not answer either.
        let mut queue = Vec::new();
        let error = loop {
            match TcpStream::connect("127.0.0.1", port, Duration::from_millis(200), never) {
                Ok(stream) => queue.push(stream),
                Err(error) => break error,
            }
            assert!(queue.len() < 100);
        };
        assert!(error.to_string().contains("timed out"), "{error}");
    }

    #[test]
    fn more_than_the_buffers_hold_arrives_complete() {
        let (mut near, mut far) = pair("127.0.0.1");
        let block: Vec<u8> = (0..8 << 20).map(|index: u32| index as u8).collect();
        let expected = block.clone();
        let sender = thread::spawn(move || near.send(&block, WAIT).unwrap());
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == expected);
    }
}
