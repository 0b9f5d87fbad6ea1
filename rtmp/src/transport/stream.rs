//! A connection as something that bytes go in and out of, whatever lies below it.
//!
//! For exchanges that own their connection. Sessions have sockets that callers see, and use [`tcp`] itself.

use std::time::Duration;

use rustix::fd::AsFd;
use socket2::Socket;

use super::{
    connect::connect,
    deadline::Deadline,
    local::Local,
    resolve::resolve,
    tcp,
    tls::{Session, Trust},
    wait::{Patience, Until},
};
use crate::error::Result;

/// Bytes both ways; every wait has an end.
pub trait Stream {
    /// Waits at most `wait` for bytes and puts them into `buffer`; 0 means that the peer will send no more.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize>;

    /// Sends all of `bytes` within `wait`.
    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()>;
}

/// A TCP connection of our own.
pub struct TcpStream<'a> {
    socket: Socket,
    patience: &'a dyn Patience,
}

impl<'a> TcpStream<'a> {
    /// Looks the host up and connects to the first of its addresses that answers within `wait`.
    pub fn connect(host: &str, port: u16, wait: Duration, patience: &'a dyn Patience) -> Result<Self> {
        let deadline = Deadline::after(Some(wait)).or_sooner(patience.deadline());
        let local = Local::default();
        let addresses = resolve(host.as_bytes(), port, local.family, deadline, patience)?;
        let socket = connect(&addresses, &local, deadline, patience)?;
        tcp::configure(socket.as_fd(), Some(wait));
        Ok(Self { socket, patience })
    }

    /// Waits end `wait` from now on.
    fn within(&self, wait: Duration) -> Until<'a> {
        Until::new(self.patience, Deadline::after(Some(wait)))
    }
}

/// TLS over a TCP connection of our own.
pub struct TlsStream<'a> {
    tcp: TcpStream<'a>,
    session: Session,
    scratch: Vec<u8>,
}

impl<'a> TlsStream<'a> {
    /// Shakes hands with `host` within `wait`.
    pub fn connect(tcp: TcpStream<'a>, host: &str, trust: &Trust, wait: Duration) -> Result<Self> {
        let session = Session::client(host, trust)?;
        session.handshake(tcp.socket.as_fd(), Some(wait), tcp.patience)?;
        Ok(Self { tcp, session, scratch: Vec::new() })
    }
}

impl Stream for TlsStream<'_> {
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
        self.session.receive(self.tcp.socket.as_fd(), buffer, &self.tcp.within(wait))
    }

    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()> {
        let Self { tcp, session, scratch } = self;
        session.send_all(tcp.socket.as_fd(), std::iter::once(bytes), scratch, &tcp.within(wait))
    }
}

impl Stream for TcpStream<'_> {
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
        tcp::receive(self.socket.as_fd(), buffer, &self.within(wait))
    }

    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()> {
        let pieces = std::iter::once(bytes);
        tcp::send_all(self.socket.as_fd(), pieces, &mut Vec::new(), &self.within(wait))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Write, net::TcpListener, thread, time::Instant};

    use super::*;
    use crate::error::Error;
    use crate::transport::wait::Endless;

    const WAIT: Duration = Duration::from_secs(20);

    fn pair(host: &str) -> (TcpStream<'static>, std::net::TcpStream) {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = TcpStream::connect(host, port, WAIT, &Endless).unwrap();
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
            match TcpStream::connect("127.0.0.1", port, Duration::from_millis(200), &Endless) {
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
