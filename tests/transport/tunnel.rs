//! RTMPT over real sockets: our client and our server, unusual HTTP servers between them, and foreign programs.
#![forbid(unsafe_code)]

mod client;
pub mod front;
pub mod gateway;
mod player;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
    sync::{Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Server, clip, process, require, servers};
use client::Tunnel;
use front::Oddity;
use gateway::{gateway, serve, sessions_end, with_limits};
use rtmp_core::{
    error::Error,
    net::{Link, Tunnels},
    transport::tunnel::{self, Arrived, Client, SessionId},
};

const LIMIT: Duration = Duration::from_secs(30);
/// A client that has a session on `port`.
fn open(port: u16, timeout: Duration) -> Tunnel {
    Tunnel::open(port, timeout).unwrap()
}

/// Bytes that show a loss, a repetition and a change of order.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index.wrapping_mul(0x9E37_79B1) >> 13) as u8).collect()
}

fn receive_exactly(tunnel: &Tunnel, len: usize) -> Vec<u8> {
    let mut received = Vec::with_capacity(len);
    let mut buffer = [0; 16 << 10];
    while received.len() < len {
        let count = tunnel.fill(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..count]);
    }
    received
}

/// Sends `total` patterned bytes in pieces of `piece` while another thread receives them back.
fn echo_through(port: u16, total: usize, piece: usize) -> u32 {
    let tunnel = open(port, LIMIT);
    let sent = pattern(total);
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in sent.chunks(piece) {
                let (left, right) = piece.split_at(piece.len() / 3);
                tunnel.send(&[left, right]).unwrap();
            }
        });
        assert!(receive_exactly(&tunnel, total) == sent, "the bytes came back changed");
    });
    tunnel.close();
    tunnel.replacements()
}

fn echo(stream: &UnixStream) {
    let _ = std::io::copy(&mut &*stream, &mut &*stream);
    let _ = stream.shutdown(Shutdown::Both);
}

#[test]
fn client_and_server_understand_each_other_byte_by_byte() {
    let now = Instant::now();
    let id = SessionId::new(b"07070707").unwrap();
    let mut server = tunnel::Server::new(id, LIMIT, now);
    let mut client = Client::new("host", 80).unwrap();
    client.request(tunnel::Command::Open, &[]).unwrap();
    let mut name = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n07070707".to_vec();
    client.decode(&mut name, 0).unwrap();
    let mut received = Vec::new();
    for (number, command) in
        [tunnel::Command::Send, tunnel::Command::Idle, tunnel::Command::Close].into_iter().enumerate()
    {
        let number = number as u64;
        let request = client.request(command, &[b"hello ", b"server"]).unwrap();
        server.accept(number, &request[..7], now);
        let mut heard = Vec::new();
        for byte in &request[7..] {
            server.receive(number, &[*byte], now);
            let mut piece = [0; 100];
            if let Arrived::Bytes(count) = server.read(&mut piece, now) {
                heard.extend_from_slice(&piece[..count]);
            }
        }
        if command == tunnel::Command::Send {
            assert_eq!(heard, b"hello server");
            assert_eq!(server.write(b"hello client", now), 12);
        }
        let output: Vec<u8> = server.output(number).flatten().copied().collect();
        assert!(!output.is_empty(), "{command:?} is answered");
        server.advance(number, output.len());
        for byte in output {
            let mut piece = [byte];
            let payload = client.decode(&mut piece, 0).unwrap().payload;
            received.extend_from_slice(&piece[..payload]);
        }
        assert_eq!(client.status().unanswered, 0);
    }
    assert_eq!(received, b"hello client");
    assert_eq!(server.read(&mut [0; 9], now), Arrived::End, "the goodbye ends the stream");
}

#[test]
fn a_first_request_that_trickles_is_given_up_in_time() {
    let tunnels = with_limits(LIMIT, 8);
    for beginning in [
        "POST /open/1 HTTP/1.1\r\n",
        "POST /open/1 HTTP/1.1\r\nContent-Length: 40000000\r\n\r\n",
        "POST /send/none/1 HTTP/1.1\r\nContent-Length: 65536\r\n\r\n",
    ] {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let now = Instant::now();
        let timeout = Some(Duration::from_millis(50));
        let mut link = Link::accept(socket2::Socket::from(accepted), None, &tunnels, timeout, now).unwrap();
        client.write_all(beginning.as_bytes()).unwrap();
        let result = loop {
            if let Err(error) = step_after_a_moment(&mut link) {
                break error;
            }
            client.write_all(b"x").unwrap();
        };
        assert!(matches!(result, Error::TimedOut), "{beginning}: {result:?}");
    }
    sessions_end(&tunnels);
}

/// One step of a link, after a short time.
fn step_after_a_moment(link: &mut Link) -> Result<(), Error> {
    thread::sleep(Duration::from_millis(1));
    link.step(Instant::now())
}

#[test]
fn ten_megabytes_pass_in_both_directions_at_once() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, echo);
    assert_eq!(echo_through(port, 10 << 20, 60_000), 0, "one connection is enough");
    assert_eq!(echo_through(port, 300_000, 100), 0);
    sessions_end(&registry);
}

#[test]
fn one_thread_can_send_and_receive_in_turns() {
    let registry = with_limits(LIMIT, 8);
    let tunnel = open(serve(&registry, echo), LIMIT);
    for len in [1, 127, 1537, 70_000, 3 << 20] {
        let sent = pattern(len);
        tunnel.send(&[&sent]).unwrap();
        assert!(receive_exactly(&tunnel, len) == sent, "{len} bytes");
    }
    // A publisher that does not read for a while. The client keeps the bytes that arrive.
    let sent = pattern(700_000);
    sent.chunks(5000).for_each(|piece| tunnel.send(&[piece]).unwrap());
    assert!(receive_exactly(&tunnel, sent.len()) == sent);
    tunnel.close();
    sessions_end(&registry);
}

#[test]
fn odd_servers_work() {
    for oddity in Oddity::ALL {
        // A client may miss the goodbye of a server that closes without a reply; then silence ends the session.
        let registry = with_limits(Duration::from_secs(2), 8);
        let port = front::in_front_of(serve(&registry, echo), oddity);
        let begin = Instant::now();
        let replaced = echo_through(port, 200_000, 3000);
        assert_eq!(replaced > 0, oddity.closes(), "{oddity:?} made {replaced} new connections");
        sessions_end(&registry);
        println!("{oddity:?}: {:?}, {replaced} new connections", begin.elapsed());
    }
}

#[test]
fn silent_server_is_a_timeout_and_the_session_continues() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, |mut stream| {
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|len| len > 0) {
            if byte == *b"?" {
                stream.write_all(b"answer").unwrap();
            }
        }
    });
    let tunnel = open(port, Duration::from_millis(300));
    let begin = Instant::now();
    assert!(matches!(tunnel.fill(&mut [0; 100]), Err(Error::TimedOut)));
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    let polls = tunnel.status().sequence;
    assert!((2..40).contains(&polls), "{polls} polls in {waited:?}");
    tunnel.send(&[b"?"]).unwrap();
    assert_eq!(receive_exactly(&tunnel, 6), b"answer");
}

#[test]
fn unresponsive_server_ends_every_wait() {
    let server = Server::listen(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n").unwrap();
        // Reads everything and never answers.
        while stream.read(&mut request).is_ok_and(|len| len > 0) {}
    });
    let tunnel = open(server.port, Duration::from_millis(200));
    let begin = Instant::now();
    assert!(matches!(tunnel.fill(&mut [0; 100]), Err(Error::TimedOut)));
    let result = (0..1000).try_for_each(|_| tunnel.send(&[&[0; 1000]]));
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    tunnel.close();
    drop(tunnel);
    server.join();
}

#[test]
fn a_wait_ends_when_the_program_wants_it_to() {
    for shuts_down in [false, true] {
        let registry = with_limits(LIMIT, 8);
        let tunnel = open(serve(&registry, echo), LIMIT);
        let result = thread::scope(|scope| {
            let waiter = scope.spawn(|| tunnel.fill(&mut [0; 100]));
            assert!(process::wait_until(LIMIT, || tunnel.status().sequence > 3));
            if shuts_down {
                tunnel.socket().shutdown(Shutdown::Both).unwrap();
            } else {
                tunnel.interrupted.store(true, Ordering::Relaxed);
            }
            waiter.join().unwrap()
        });
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        assert_eq!(tunnel.replacements(), 0);
    }
}

#[test]
fn lost_server_is_an_error_without_a_wait() {
    for answers_first in [false, true] {
        let server = Server::listen(move |listener| {
            let (mut stream, _) = listener.accept().unwrap();
            if answers_first {
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n").unwrap();
            }
        });
        let opened = Tunnel::open(server.port, LIMIT);
        assert_eq!(opened.is_ok(), answers_first);
        server.join();
        let Ok(tunnel) = opened else { continue };
        let gone = tunnel.fill(&mut [0; 99]);
        assert!(
            matches!(gone, Err(Error::Closed | Error::Io(_) | Error::NotConnected | Error::Unreachable(_))),
            "{gone:?}"
        );
        assert!(tunnel.send(&[b"x"]).is_err());
        tunnel.close();
    }
}

#[test]
fn a_stream_that_the_server_ends_is_read_to_its_end() {
    let registry = with_limits(LIMIT, 8);
    let sent = pattern(700_000);
    let expected = sent.clone();
    let port = serve(&registry, move |mut stream| stream.write_all(&sent).unwrap());
    let tunnel = open(port, LIMIT);
    assert!(receive_exactly(&tunnel, expected.len()) == expected);
    let end = tunnel.fill(&mut [0; 100]);
    assert!(matches!(&end, Err(Error::Refused(refusal)) if refusal.code == "HTTP 404"), "{end:?}");
    sessions_end(&registry);
}

#[test]
fn closing_or_silent_client_ends_the_stream() {
    for says_goodbye in [true, false] {
        let registry = with_limits(Duration::from_millis(300), 8);
        let (sender, ended) = std::sync::mpsc::channel();
        let port = serve(&registry, move |mut stream| {
            let mut received = Vec::new();
            let result = stream.read_to_end(&mut received);
            sender.send((received, result.is_ok())).unwrap();
        });
        let tunnel = open(port, LIMIT);
        tunnel.send(&[b"last words"]).unwrap();
        if says_goodbye {
            tunnel.close();
        }
        assert_eq!(ended.recv_timeout(LIMIT).unwrap(), (b"last words".to_vec(), true));
        sessions_end(&registry);
    }
}

/// A server answers while it reads the bytes that were sent before the goodbye. An error of an answer must not end the reading.
#[test]
fn data_before_the_close_is_read_although_replies_fail() {
    let registry = with_limits(LIMIT, 8);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (sender, ended) = std::sync::mpsc::channel();
    let released = Mutex::new(released);
    let port = serve(&registry, move |mut stream| {
        let _ = released.lock().unwrap().recv();
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match stream.read(&mut piece).unwrap() {
                0 => break,
                len => received.extend_from_slice(&piece[..len]),
            }
            if let Err(error) = stream.write_all(&[0; 5000]) {
                println!("after {} bytes: {error}", received.len());
                break;
            }
        }
        sender.send(received).unwrap();
    });
    let tunnel = open(port, LIMIT);
    let sent = pattern(100_000);
    sent.chunks(9000).for_each(|piece| tunnel.send(&[piece]).unwrap());
    tunnel.close();
    assert_eq!(tunnel.status().unanswered, 0);
    release.send(()).unwrap();
    assert!(ended.recv_timeout(LIMIT).unwrap() == sent);
    sessions_end(&registry);
}

/// A client that sends and never waits for answers has many unanswered requests when it ends.
#[test]
fn last_bytes_arrive_through_slow_or_closing_servers() {
    for oddity in [
        Oddity::AnswersLate,
        Oddity::ThreeRepliesPerConnection,
        Oddity::SilentlyThreeReplies,
        Oddity::EndsWithTheConnection,
    ] {
        let registry = with_limits(Duration::from_secs(2), 8);
        let (sender, ended) = std::sync::mpsc::channel();
        let good = serve(&registry, move |mut stream| {
            let mut received = Vec::new();
            let _ = stream.read_to_end(&mut received);
            sender.send(received).unwrap();
        });
        let tunnel = open(front::in_front_of(good, oddity), LIMIT);
        let sent = pattern(10_000);
        sent.chunks(1000).for_each(|piece| tunnel.send(&[piece]).unwrap());
        tunnel.close();
        drop(tunnel);
        let received = ended.recv_timeout(LIMIT).unwrap();
        assert!(received == sent, "{oddity:?}: {} bytes of {}", received.len(), sent.len());
    }
}

/// A client that never reads, but writes without end, is not kept forever.
#[test]
fn writer_after_the_close_ends_without_reading() {
    let registry = with_limits(Duration::from_millis(500), 8);
    let port = serve(&registry, |mut stream| while stream.write_all(&[0; 5000]).is_ok() {});
    let tunnel = open(port, LIMIT);
    tunnel.send(&[b"never read"]).unwrap();
    tunnel.close();
    sessions_end(&registry);
}

#[test]
fn unread_stream_has_a_memory_limit() {
    let registry = with_limits(Duration::from_millis(500), 8);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let port = serve(&registry, move |stream| {
        let _ = released.lock().unwrap().recv();
        drop(stream.shutdown(Shutdown::Both));
    });
    // How long the client waits at the end, when the server no longer reads.
    let tunnel = open(port, Duration::from_secs(3));
    let sent = (0..1000).take_while(|_| tunnel.send(&[&[0; 100_000]]).is_ok()).count();
    assert!(sent < 100, "{sent} requests were taken");
    drop(release);
    sessions_end(&registry);
}

/// The answer of the server to raw bytes, up to the end of the connection.
fn raw(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // The server may have closed already.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn hostile_requests_are_refused() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, echo);
    let status = |request: &[u8]| raw(port, request).lines().next().unwrap_or_default().to_owned();
    assert_eq!(status(b"NO\0HTTP\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    assert_eq!(status(b"POST /open/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    assert_eq!(
        status(b"POST /open/1 HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n"),
        "HTTP/1.1 413 Content Too Large"
    );
    assert_eq!(status(b"POST /open/1 HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"), "");
    assert_eq!(status(b"POST /send/none/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\na"), "HTTP/1.1 404 Not Found");
    assert_eq!(
        status(b"POST /send/none/1 HTTP/1.1\r\nContent-Length: 999999999\r\n\r\na"),
        "HTTP/1.1 404 Not Found"
    );
    assert_eq!(status(b"POST /fcs/ident2 HTTP/1.1\r\nContent-Length: 1\r\n\r\na"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    let long = [b"POST /send/", &[b'x'; 10_000][..], b"/1 HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(status(&long), "HTTP/1.1 404 Not Found");
    assert_eq!(registry.session_count(), 0);
    // Flash asks for a better address first, on the same connection.
    let both = raw(
        port,
        b"POST /fcs/ident2 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0",
    );
    assert!(both.contains("404 Not Found") && both.contains("200 OK"), "{both}");
    let waits = raw(port, b"POST /open/1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    assert!(waits.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), "{waits}");
}

#[test]
fn sessions_are_limited() {
    let registry = with_limits(LIMIT, 2);
    let port = serve(&registry, echo);
    let _clients = [open(port, LIMIT), open(port, LIMIT)];
    let refused = Tunnel::open(port, LIMIT).map(drop);
    assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.code == "HTTP 503"), "{refused:?}");
}

/// Sends a request on its own connection; returns the content of the reply.
fn request(port: u16, path: &str, body: &str) -> String {
    let text =
        format!("POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let reply = raw(port, text.as_bytes());
    reply.split_once("\r\n\r\n").expect("a reply has a head").1.to_owned()
}

#[test]
fn requests_on_other_connections_keep_their_order_and_are_answered_once() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, echo);
    let id = request(port, "/open/1", "\0").trim().to_owned();
    assert_eq!(registry.session_count(), 1);
    let ask = |command: &str, sequence: u32, body: &str| {
        request(port, &format!("/{command}/{id}/{sequence}"), body)[1..].to_owned()
    };
    // The requests are repeated, because the replies were lost: the bytes count only once, and the replies are the same.
    let replies = [ask("send", 0, "a"), ask("idle", 1, "\0")];
    assert_eq!([ask("send", 0, "a"), ask("idle", 1, "\0")], replies);
    let mut stream = replies.concat();
    // Another persistent connection sends requests in the wrong order.
    let mut other = TcpStream::connect(("127.0.0.1", port)).unwrap();
    other.write_all(format!("POST /idle/{id}/2 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0").as_bytes()).unwrap();
    let mut seen = vec![0; 4096];
    let len = other.read(&mut seen).unwrap();
    let text = String::from_utf8_lossy(&seen[..len]).into_owned();
    stream += &text.split_once("\r\n\r\n").unwrap().1[1..];
    thread::scope(|scope| {
        let late = scope.spawn(|| ask("send", 4, "c"));
        // The request waits for the one before it. The length of this wait does not matter.
        thread::yield_now();
        stream += &ask("send", 3, "b");
        stream += &late.join().unwrap();
    });
    let mut sequence = 5;
    assert!(process::wait_until(LIMIT, || {
        stream += &ask("idle", sequence, "\0");
        sequence += 1;
        stream.len() >= 3
    }));
    assert_eq!(stream, "abc");
    ask("close", sequence, "\0");
    sessions_end(&registry);
}

/// Requests from a broken connection may arrive long after the client has sent them again on the next connection.
#[test]
fn late_requests_from_another_connection_are_ignored() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, echo);
    let id = request(port, "/open/1", "\0").trim().to_owned();
    let ask = |command: &str, sequence: u32, body: &str| {
        request(port, &format!("/{command}/{id}/{sequence}"), body).get(1..).unwrap_or_default().to_owned()
    };
    // More requests than the server remembers.
    let mut stream: String = (0..60_u32)
        .map(|sequence| ask("send", sequence, &char::from(b'0' + sequence as u8).to_string()))
        .collect();
    for late in [0, 1, 5, 20] {
        assert_eq!(ask("send", late, "late"), "");
    }
    let mut sequence = 60;
    stream += &ask("send", sequence, "end");
    assert!(process::wait_until(LIMIT, || {
        sequence += 1;
        stream += &ask("idle", sequence, "\0");
        stream.ends_with("end")
    }));
    let expected: String = (0..60_u8).map(|sequence| char::from(b'0' + sequence)).collect();
    assert_eq!(stream, expected + "end");
    ask("close", sequence + 1, "\0");
    sessions_end(&registry);
}

/// A connection on which the server has answered one `idle` request, with the number `sequence`.
fn join(port: u16, id: &str, sequence: u32) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let text = format!("POST /idle/{id}/{sequence} HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0");
    stream.write_all(text.as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    stream
}

/// Begins a `send` request of 100 bytes and sends these first bytes of its body.
fn begin_send(port: u16, id: &str, sequence: u32, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!("POST /send/{id}/{sequence} HTTP/1.1\r\nContent-Length: 100\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

/// A server that passes on the bytes that it reads, and an empty vector at the end.
fn listener(registry: &Tunnels) -> (u16, std::sync::mpsc::Receiver<Vec<u8>>) {
    let (sender, arrived) = std::sync::mpsc::channel();
    let port = serve(registry, move |mut stream| {
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut piece) {
            let _ = sender.send(piece[..len].to_vec());
        }
        let _ = sender.send(Vec::new());
    });
    (port, arrived)
}

/// Receives until that many bytes are there.
fn collect(arrived: &std::sync::mpsc::Receiver<Vec<u8>>, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend(arrived.recv_timeout(LIMIT).unwrap());
    }
    bytes
}

#[test]
fn body_is_delivered_as_it_arrives_and_once_if_repeated() {
    let registry = with_limits(LIMIT, 8);
    let (port, arrived) = listener(&registry);
    let id = request(port, "/open/1", "\0").trim().to_owned();
    let body = pattern(100);
    let broken = begin_send(port, &id, 0, &body[..60]);
    assert!(collect(&arrived, 60) == body[..60]);
    drop(broken);
    let mut again = begin_send(port, &id, 0, &body);
    assert!(again.read(&mut [0; 4096]).unwrap() > 0);
    assert!(collect(&arrived, 40) == body[60..]);
    // Another request in its place means that bytes of the stream are lost.
    let half = begin_send(port, &id, 1, &body[..10]);
    assert!(collect(&arrived, 10) == body[..10]);
    drop(half);
    let mut other = begin_send(port, &id, 2, &body);
    let _ = other.read(&mut [0; 4096]);
    assert_eq!(arrived.recv_timeout(LIMIT).unwrap(), b"", "the stream has ended");
    sessions_end(&registry);
}

#[test]
fn ninth_connection_replaces_the_least_recently_used() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, echo);
    let id = request(port, "/open/1", "\0").trim().to_owned();
    let mut joined: Vec<TcpStream> = (0..20).map(|sequence| join(port, &id, sequence)).collect();
    let gone = |stream: &mut TcpStream| stream.read(&mut [0]).is_ok_and(|len| len == 0);
    assert!(joined[..12].iter_mut().all(gone));
    // The session continues on the other connections, and ends with the last of them.
    let last = format!("POST /close/{id}/20 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0");
    joined[19].write_all(last.as_bytes()).unwrap();
    let mut reply = [0; 4096];
    let len = joined[19].read(&mut reply).unwrap();
    assert!(reply[..len].starts_with(b"HTTP/1.1 200 OK"));
    assert!(joined[12..].iter_mut().all(gone));
    sessions_end(&registry);
}

/// The server program ends the stream in the middle of a body whose rest never arrives.
#[test]
fn a_body_ends_with_the_stream() {
    let registry = with_limits(LIMIT, 8);
    let port = serve(&registry, |mut stream| {
        let _ = stream.read_exact(&mut [0; 50]);
        let _ = stream.shutdown(Shutdown::Both);
    });
    let id = request(port, "/open/1", "\0").trim().to_owned();
    let mut half = begin_send(port, &id, 0, &pattern(50));
    let begin = Instant::now();
    assert!(half.read(&mut [0; 4096]).is_ok());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    sessions_end(&registry);
}

/// The bytes of a body are dropped if its session has ended.
#[test]
fn a_body_is_dropped_when_its_session_ends() {
    let registry = with_limits(LIMIT, 8);
    let (port, arrived) = listener(&registry);
    let id = request(port, "/open/1", "\0").trim().to_owned();
    let mut half = begin_send(port, &id, 1, &pattern(50));
    assert_eq!(collect(&arrived, 50), pattern(50));
    let mut goodbye = TcpStream::connect(("127.0.0.1", port)).unwrap();
    goodbye.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!("POST /close/{id}/2 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0");
    goodbye.write_all(head.as_bytes()).unwrap();
    // It waits for the request before it, which waits for the rest of its body.
    drop(half.write_all(&pattern(50)));
    assert!(half.read(&mut [0; 4096]).unwrap() > 0 && goodbye.read(&mut [0; 4096]).unwrap() > 0);
    let mut late = begin_send(port, &id, 3, &pattern(50));
    let begin = Instant::now();
    assert!(late.read(&mut [0; 4096]).is_ok());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    sessions_end(&registry);
}

#[test]
fn ffmpeg_plays_and_publishes_through_the_server() {
    let (Some(clip), Some(nginx), Some(ffmpeg)) =
        (clip::flv(), servers::Nginx::start(), require::program("ffmpeg"))
    else {
        return;
    };
    let registry = with_limits(LIMIT, 8);
    let port = gateway(&registry, nginx.port);
    nginx.offer(&clip, "clip.flv");
    let directory = process::TempDir::new("rtmpt");
    let played = directory.join("played.flv");
    let url = format!("rtmpt://127.0.0.1:{port}/vod/clip.flv");
    let mut command = Command::new(&ffmpeg);
    command.args(["-v", "verbose", "-y", "-t", "2", "-i", &url, "-c", "copy"]).arg(&played);
    let mut player = process::Running::start(&mut command);
    let status = player.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", player.stderr());
    let streams = servers::probe(&played).unwrap();
    assert_eq!(streams.len(), servers::probe(&clip).unwrap().len(), "{streams:?}");
    let url = format!("rtmpt://127.0.0.1:{port}/record/published");
    let mut command = Command::new(&ffmpeg);
    command.args(["-v", "verbose", "-t", "2", "-i"]).arg(&clip).args(["-c", "copy", "-f", "flv", &url]);
    let mut publisher = process::Running::start(&mut command);
    let status = publisher.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", publisher.stderr());
    let recording = nginx.recording("published");
    assert!(process::wait_until(LIMIT, || {
        servers::probe(&recording).is_some_and(|found| found.len() == streams.len())
    }));
    sessions_end(&registry);
}

#[test]
fn rtmpdump_plays_through_the_server() {
    let (Some(clip), Some(nginx), Some(rtmpdump)) =
        (clip::flv(), servers::Nginx::start(), require::program("rtmpdump"))
    else {
        return;
    };
    let registry = with_limits(LIMIT, 8);
    let port = gateway(&registry, nginx.port);
    nginx.offer(&clip, "clip.flv");
    let directory = process::TempDir::new("rtmpt");
    let played = directory.join("played.flv");
    let url = format!("rtmpt://127.0.0.1:{port}/vod/clip.flv");
    let mut command = Command::new(&rtmpdump);
    command.args(["-r", &url, "-B", "1", "-o"]).arg(&played);
    let mut player = process::Running::start(&mut command);
    let status = player.wait(LIMIT);
    assert!(status.is_some(), "{}", player.stderr());
    let streams = servers::probe(&played).unwrap();
    assert_eq!(streams.len(), servers::probe(&clip).unwrap().len(), "{}", player.stderr());
    sessions_end(&registry);
}

#[test]
fn our_client_connects_to_a_foreign_server_through_the_tunnel() {
    let Some(nginx) = servers::Nginx::start() else { return };
    let registry = with_limits(LIMIT, 8);
    let port = gateway(&registry, nginx.port);
    let tunnel = open(port, LIMIT);
    assert!(player::connect(&tunnel, b"live").contains("NetConnection.Connect.Success"));
    tunnel.close();
    sessions_end(&registry);
}

/// A web server that opens a connection to the server for each request, and closes the client's connection after `requests`
/// requests.
fn web_server(good: u16, requests: u32) -> Option<(u16, process::Running, process::TempDir)> {
    let nginx = require::program("nginx")?;
    let directory = process::TempDir::new("rtmpt-nginx");
    std::fs::create_dir(directory.join("logs")).unwrap();
    let port = process::free_port();
    let root = directory.path().display();
    let configuration = format!(
        "daemon off; master_process off; worker_processes 1; pid {root}/pid; error_log stderr info;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; keepalive_requests {requests}; client_body_temp_path {root}/body;\n\
         proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{good}; }} }} }}\n"
    );
    std::fs::write(directory.join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
    let mut process = process::Running::start(&mut command);
    let ready = process::wait_until(LIMIT, || process::listens(port) || process.ended().is_some());
    assert!(ready && process.ended().is_none(), "nginx did not start: {}", process.stderr());
    Some((port, process, directory))
}

#[test]
fn web_server_may_be_in_between() {
    let registry = with_limits(LIMIT, 8);
    let Some((port, _nginx, _directory)) = web_server(serve(&registry, echo), 7) else { return };
    assert!(echo_through(port, 500_000, 5000) > 0, "the web server closes every seventh time");
}

#[test]
fn ffmpeg_plays_through_a_web_server_in_between() {
    let (Some(clip), Some(rtmp), Some(ffmpeg)) =
        (clip::flv(), servers::Nginx::start(), require::program("ffmpeg"))
    else {
        return;
    };
    let registry = with_limits(LIMIT, 8);
    // ffmpeg does not connect again when its connection is closed.
    let Some((port, _nginx, _directory)) = web_server(gateway(&registry, rtmp.port), 10_000) else { return };
    rtmp.offer(&clip, "clip.flv");
    let directory = process::TempDir::new("rtmpt");
    let played = directory.join("played.flv");
    let url = format!("rtmpt://127.0.0.1:{port}/vod/clip.flv");
    let mut command = Command::new(&ffmpeg);
    command.args(["-v", "verbose", "-y", "-t", "2", "-i", &url, "-c", "copy"]).arg(&played);
    let mut player = process::Running::start(&mut command);
    let status = player.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", player.stderr());
    assert_eq!(servers::probe(&played).unwrap(), servers::probe(&clip).unwrap());
    sessions_end(&registry);
}
