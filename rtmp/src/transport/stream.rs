//! A connection as a stream of bytes in both directions, for exchanges that wait.

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use log::error;

use super::{
    deadline::Deadline,
    tls::Trust,
    wait::{Patience, SLICE},
};
use crate::{
    error::{Error, Result},
    net::{Link, LinkPhase, Received, Target, Wanted, wait},
};

/// Bytes both ways; every wait has a limit.
pub trait Stream {
    /// Waits at most `wait` for bytes and copies them into `buffer`; 0 means that the peer has ended its side.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize>;

    /// Sends all of `bytes` within `wait`.
    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()>;
}

/// A link of our own, and the conditions that end its waits.
pub struct LinkStream<'a> {
    link: Link,
    patience: &'a dyn Patience,
}

impl<'a> LinkStream<'a> {
    /// Looks the host up, connects to the first of its addresses that answers, and does the TLS handshake if `trust` is given.
    /// Each takes at most `wait`.
    pub fn connect(
        host: &str,
        port: u16,
        tls: Option<&Trust>,
        wait: Duration,
        patience: &'a dyn Patience,
    ) -> Result<Self> {
        let target = Target {
            tls: tls.map(|trust| (host.to_owned(), trust.clone())),
            timeout: Some(wait),
            ..Target::new(host.as_bytes(), port)
        };
        let mut stream = Self { link: Link::connect(&target, Instant::now())?, patience };
        let deadline = patience.deadline();
        while !stream.link.is_open() {
            let phase = stream.link.phase();
            stream.step().inspect_err(|error| {
                // One step may connect and then fail in the handshake.
                if phase == LinkPhase::Tls || matches!(error, Error::Tls(_)) {
                    error!("{error}");
                }
            })?;
            if !stream.link.is_open() {
                stream.wait(Wanted::default(), deadline)?;
            }
        }
        Ok(stream)
    }

    fn step(&mut self) -> Result<()> {
        let result = self.link.step(Instant::now());
        // The thread that ends a wait may also shut the socket down.
        if self.patience.is_over() { Err(Error::Interrupted) } else { result }
    }

    fn deadline(&self, wait: Duration) -> Deadline {
        Deadline::after(Some(wait)).or_sooner(self.patience.deadline())
    }

    fn wait(&self, wanted: Wanted, deadline: Deadline) -> Result<()> {
        if self.patience.is_over() {
            return Err(Error::Interrupted);
        }
        deadline.left()?;
        let mut interests = Vec::new();
        self.link.interests(wanted, &mut interests);
        let slice = Instant::now() + SLICE;
        let ends = [self.link.deadline(), deadline.moment()];
        wait(&interests, ends.into_iter().flatten().chain([slice]).min())?;
        Ok(())
    }
}

impl Stream for LinkStream<'_> {
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
        let deadline = self.deadline(wait);
        loop {
            match self.link.receive(buffer, Instant::now())? {
                Received::Bytes(count) => return Ok(count),
                Received::End if self.patience.is_over() => return Err(Error::Interrupted),
                Received::End => return Ok(0),
                Received::Nothing => self.wait(Wanted { read: true, write: false }, deadline)?,
            }
            self.step()?;
        }
    }

    fn send(&mut self, bytes: &[u8], wait: Duration) -> Result<()> {
        let deadline = self.deadline(wait);
        let mut rest = bytes;
        while !rest.is_empty() || self.link.unsent() > 0 {
            let sent = self.link.send(&[IoSlice::new(rest)], Instant::now())?;
            rest = &rest[sent..];
            if sent == 0 {
                self.wait(Wanted { read: false, write: true }, deadline)?;
                self.step()?;
            }
        }
        Ok(())
    }
}

impl Drop for LinkStream<'_> {
    fn drop(&mut self) {
        self.link.finish(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Write, net::TcpListener, thread, time::Instant};

    use super::*;
    use crate::error::Error;
    use crate::transport::wait::Endless;

    const WAIT: Duration = Duration::from_secs(20);

    fn pair(host: &str) -> (LinkStream<'static>, std::net::TcpStream) {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = LinkStream::connect(host, port, None, WAIT, &Endless).unwrap();
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
    fn unanswered_connection_ends_the_wait() {
        use std::net::SocketAddr;

        use socket2::{Domain, Socket, Type};

        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(1).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        // When the queue is full, the system no longer answers.
        let mut queue = Vec::new();
        let error = loop {
            match LinkStream::connect("127.0.0.1", port, None, Duration::from_millis(200), &Endless) {
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
