//! RTMPTS with an HTTP server whose replies are longer than the library's buffer: the rest of the decrypted bytes belongs to
//! the tunnel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::pumps::End;
use crate::support::certs::{Authority, Valid};
use crate::support::wire::Message;
use crate::support::{Library, Program, Server, library};
use rtmp_core::error::Error;
use rtmp_core::transport::tls::ServerContext;

const LIMIT: Duration = Duration::from_secs(60);

/// The server's end of a TLS connection.
struct Client {
    end: End,
    input: Vec<u8>,
}

impl Client {
    fn accept(listener: &TcpListener, context: &ServerContext) -> Result<Self, Error> {
        let (socket, _) = listener.accept()?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_nodelay(true)?;
        Ok(Self { end: End::server(socket, context, LIMIT)?, input: Vec::new() })
    }

    /// The path and body of the next request; `None` when there are no more.
    fn request(&mut self) -> Result<Option<(String, Vec<u8>)>, Error> {
        loop {
            if let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.input[..end]).to_ascii_lowercase();
                let length =
                    head.split("content-length:").nth(1).and_then(|rest| rest.split_whitespace().next());
                let length: usize = length.and_then(|digits| digits.parse().ok()).unwrap_or(0);
                if self.input.len() >= end + 4 + length {
                    let body = self.input[end + 4..end + 4 + length].to_vec();
                    self.input.drain(..end + 4 + length);
                    return Ok(Some((head.split(' ').nth(1).unwrap_or_default().to_owned(), body)));
                }
            }
            let mut part = [0; 4096];
            match self.end.receive(&mut part)? {
                0 => return Ok(None),
                count => self.input.extend(&part[..count]),
            }
        }
    }

    fn reply(&mut self, content: &[u8]) -> Result<(), Error> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
        self.end.send_pieces(&[head.as_bytes(), content])
    }
}

/// Passes the tunnel's stream to a server of plain RTMP. Each reply contains everything that the server sends within a short
/// time.
fn tunnel(mut client: Client, rtmp_port: u16) -> Result<(), Error> {
    let mut server = TcpStream::connect(("127.0.0.1", rtmp_port))?;
    while let Some((path, body)) = client.request()? {
        if path.starts_with("/open") {
            client.reply(b"session\n")?;
            continue;
        }
        if path.starts_with("/send") {
            server.write_all(&body)?;
        }
        let mut content = vec![1];
        server.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut part = [0; 65_536];
        while content.len() < 4 << 20 {
            let Ok(count @ 1..) = server.read(&mut part) else { break };
            content.extend(&part[..count]);
        }
        client.reply(&content)?;
    }
    Ok(())
}

#[test]
fn replies_of_any_length_arrive_whole() {
    if library::ours_is_original() {
        return;
    }
    let authority = need!(Authority::new());
    let certificate = authority.issue("tunnel", "IP:127.0.0.1", Valid::Now);
    let program = need!(Program::test("session_driver"));
    const SIZES: [usize; 9] = [1, 16_000, 16_250, 16_384, 17_000, 18_000, 33_000, 100_000, 1_000_000];
    let server = Server::once(|peer| {
        peer.accept_play();
        for (time, size) in (0..).zip(SIZES) {
            peer.send(&Message::new(6, time, 9, 1, &vec![0x17; size]));
            // Waits, so that each has its own reply.
            thread::sleep(Duration::from_millis(120));
        }
        peer.drain(LIMIT);
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let rtmp_port = server.port;
    let front = thread::spawn(move || {
        let context = ServerContext::from_files(&certificate.chain, &certificate.key)?;
        tunnel(Client::accept(&listener, &context)?, rtmp_port)
    });
    let steps = format!(
        "setup rtmpts://127.0.0.1:{port}/app/stream tlsVerify=0\nset timeout 10\nconnect\nstream 0\n{}close\n",
        "media\n".repeat(SIZES.len())
    );
    let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
    assert_eq!(run.code, Some(0), "{run:?}");
    let media: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("media")).collect();
    for (time, (line, size)) in media.iter().zip(SIZES).enumerate() {
        let expected = format!("media: type 9 time {time} size {size} -> 1 |");
        assert!(line.starts_with(&expected), "{}\n{}", run.stdout, run.stderr);
    }
    assert_eq!(media.len(), SIZES.len());
    // The client may close before it has read the last reply.
    let _ = front.join().expect("the front does not panic");
    server.join();
}
