//! HTTP tunnels, with and without TLS.

use std::{
    io::{IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Error,
    net::{Link, Received, Target, Tunnels, Wanted, wait},
};
use socket2::SockRef;

use crate::need;

use super::{
    peers::{prepare, read, read_request, reply, serve, serve_tunnel, to},
    pump::{exchange, finish, open, pattern, pause, receive, receive_all, until},
    support::process::wait_until,
    tls::{authority, secure},
};

const MUCH: usize = 4 << 20;

fn tunnel(port: u16) -> Target {
    Target { tunnelled: true, ..to(port) }
}

/// Sends and receives equal amounts, in turn.
fn talk(mut stream: &UnixStream, expected: &[u8], said: &[u8], writes_first: bool) {
    if writes_first {
        stream.write_all(said).unwrap();
    }
    assert!(read(&mut stream, expected.len()) == expected);
    if !writes_first {
        stream.write_all(said).unwrap();
    }
    // Open until the other side has received everything.
    let _ = stream.read(&mut [0]);
}

#[test]
fn large_transfers_go_both_ways_whichever_side_waits_for_the_other() {
    let (up, down) = (pattern(MUCH, 1), pattern(MUCH, 2));
    for writes_first in [true, false] {
        let (expected, said) = (up.clone(), down.clone());
        let port = serve_tunnel(None, move |stream| talk(stream, &expected, &said, writes_first));
        let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
        open(&mut link).unwrap();
        assert!(exchange(&mut link, &up, MUCH).unwrap() == down);
        finish(&mut link);
    }
}

#[test]
fn a_tunnel_in_tls_carries_large_transfers_both_ways() {
    let (authority, context) = need!(authority());
    let (up, down) = (pattern(MUCH, 3), pattern(MUCH, 4));
    let (expected, said) = (up.clone(), down.clone());
    let port = serve_tunnel(Some(context), move |stream| talk(stream, &expected, &said, true));
    let target = Target { tunnelled: true, ..secure(port, "localhost", &authority) };
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    assert!(exchange(&mut link, &up, MUCH).unwrap() == down);
    finish(&mut link);
}

#[test]
fn end_of_the_session_follows_its_last_bytes() {
    let port = serve_tunnel(None, |mut stream| stream.write_all(b"all there is").unwrap());
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 100];
    let error = loop {
        match receive(&mut link, &mut buffer) {
            Ok(Received::Bytes(count)) => all.extend_from_slice(&buffer[..count]),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(all, b"all there is");
    assert!(matches!(error, Error::Refused(_) | Error::Closed), "{error:?}");
    // The rest can still be sent.
    finish(&mut link);
    assert!(link.is_finished());
}

/// A server whose connections each answer `per_connection` requests, and then end with `ending`. It sends the
/// bytes of `send` requests back with the next reply; returns the requested paths.
fn restless(
    per_connection: usize,
    ending: impl Fn(TcpStream) + Send + 'static,
    announces: bool,
) -> (u16, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let paths = Arc::new(Mutex::new(Vec::new()));
    let connections = Arc::new(AtomicUsize::new(0));
    let (seen, count) = (paths.clone(), connections.clone());
    thread::spawn(move || {
        // By number, because requests without a reply are sent again.
        let mut answered: Vec<(String, Vec<u8>)> = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            prepare(&client);
            count.fetch_add(1, Ordering::SeqCst);
            for index in 1..=per_connection {
                let Some((path, body)) = read_request(&mut client) else { break };
                let content = match answered.iter().find(|(earlier, _)| *earlier == path) {
                    Some((_, content)) => content.clone(),
                    None if path.starts_with("/open/") => b"name\n".to_vec(),
                    None if path.starts_with("/send/") => [b"\x01", &body[..]].concat(),
                    None => b"\x01".to_vec(),
                };
                seen.lock().unwrap().push(path.clone());
                answered.push((path, content.clone()));
                let last = index == per_connection && announces;
                reply(&mut client, if last { "close" } else { "keep-alive" }, &content);
            }
            ending(client);
        }
    });
    (port, paths, connections)
}

#[test]
fn ended_connection_is_replaced_without_loss_or_duplication() {
    let reset = |client: TcpStream| {
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    };
    // Everything that has arrived is read first: a reset would lose replies.
    let close = |mut client: TcpStream| {
        client.shutdown(Shutdown::Write).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    };
    let said = pattern(60_000, 9);
    for (per_connection, announces) in [(1, true), (2, true), (3, false)] {
        let (port, _, connections) = restless(per_connection, close, announces);
        let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
        open(&mut link).unwrap();
        for part in said.chunks(5000) {
            assert!(exchange(&mut link, part, part.len()).unwrap() == part);
        }
        assert!(connections.load(Ordering::SeqCst) >= 12 / per_connection);
        link.abort();
    }
    let (port, _, connections) = restless(4, reset, false);
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    // One at a time, so that the reset finds no reply in transit.
    for part in said.chunks(5000) {
        assert!(exchange(&mut link, part, part.len()).unwrap() == part);
    }
    assert!(connections.load(Ordering::SeqCst) >= 3);
    link.abort();
}

#[test]
fn a_connection_that_the_server_closes_between_requests_is_replaced() {
    // The next request crosses the end, and the server's system answers it with a reset.
    let (port, paths, connections) = restless(2, drop, false);
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let said = pattern(20_000, 11);
    for part in said.chunks(1000) {
        assert!(exchange(&mut link, part, part.len()).unwrap() == part);
    }
    assert!(connections.load(Ordering::SeqCst) >= 10, "{:?}", paths.lock().unwrap());
    link.abort();
}

#[test]
fn server_that_always_closes_ends_the_session() {
    let (port, _, connections) = restless(0, drop, false);
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert!(link.is_finished());
}

#[test]
fn a_connection_that_was_shut_down_on_this_side_is_not_replaced() {
    for server_closes in [false, true] {
        let end: fn(TcpStream) = if server_closes { drop } else { std::mem::forget };
        let (port, _, connections) = restless(usize::MAX, end, false);
        let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
        open(&mut link).unwrap();
        let socket = link.socket().unwrap().clone();
        socket.shutdown(Shutdown::Both).unwrap();
        // Once both sides have closed, neither the socket's state nor its peer shows which was the first.
        assert!(!server_closes || wait_until(Duration::from_secs(30), || socket.peer_addr().is_err()));
        let error = receive(&mut link, &mut [0; 9]).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{server_closes}");
    }
}

#[test]
fn a_connection_that_the_server_has_broken_is_replaced_although_nothing_can_be_sent_on_it() {
    // Unread requests make the system reset the connection when the server closes.
    for reads_first in [false, true] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (close, closed) = mpsc::channel::<()>();
        let peer = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            prepare(&client);
            read_request(&mut client).unwrap();
            reply(&mut client, "keep-alive", b"name\n");
            if reads_first {
                read_request(&mut client).unwrap();
            }
            closed.recv().unwrap();
            drop(client);
            let (mut client, _) = listener.accept().unwrap();
            prepare(&client);
            while let Some((path, body)) = read_request(&mut client) {
                let content = if path.starts_with("/send") { &b"\x01heard"[..] } else { b"\x01" };
                assert!(!path.starts_with("/send") || body == b"said");
                reply(&mut client, "keep-alive", content);
            }
        });
        let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
        open(&mut link).unwrap();
        assert_eq!(link.send(&[IoSlice::new(b"said")], Instant::now()).unwrap(), 4);
        let socket = link.socket().unwrap().clone();
        close.send(()).unwrap();
        // The end of the server's side, or more than that.
        assert!(wait_until(Duration::from_secs(30), || {
            socket.peer_addr().is_err()
                || socket.peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok_and(|len| len == 0)
        }));
        let mut buffer = [0; 64];
        let mut heard = Vec::new();
        while heard.len() < 5 {
            match receive(&mut link, &mut buffer).unwrap() {
                Received::Bytes(count) => heard.extend_from_slice(&buffer[..count]),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard, b"heard");
        finish(&mut link);
        drop(link);
        peer.join().unwrap();
    }
}

#[test]
fn replies_may_be_split_at_every_byte() {
    let (port, peer) = serve(|mut client| {
        let mut replies =
            vec![b"name\n".to_vec(), b"\x01hello".to_vec(), b"\x01, world".to_vec()].into_iter();
        while let (Some(content), Some(_)) = (replies.next(), read_request(&mut client)) {
            let mut whole = Vec::new();
            reply(&mut whole, "keep-alive", &content);
            for byte in whole {
                client.write_all(&[byte]).unwrap();
            }
        }
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 64];
    while heard.len() < 12 {
        match receive(&mut link, &mut buffer).unwrap() {
            Received::Bytes(count) => heard.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, b"hello, world");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn idle_server_is_polled_less_often() {
    let (port, paths, _) = restless(usize::MAX, drop, false);
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    // A clock that jumps to the next event: twenty seconds of the session in an instant.
    let mut clock = Instant::now();
    let end = clock + Duration::from_secs(20);
    let mut pauses = 0;
    while clock < end {
        link.step(clock).unwrap();
        assert_eq!(link.receive(&mut [0; 64], clock).unwrap(), Received::Nothing);
        match link.deadline() {
            Some(next) => {
                let mut interests = Vec::new();
                link.interests(Wanted { read: true, write: false }, &mut interests);
                assert!(interests.is_empty(), "between polls nothing is expected of the server");
                pauses += 1;
                clock = next;
            }
            None => {
                pause(&link, Wanted { read: true, write: false }, Instant::now() + Duration::from_secs(20))
            }
        }
    }
    let polls = paths.lock().unwrap().iter().filter(|path| path.starts_with("/idle/")).count();
    assert!((30..120).contains(&polls) && pauses + 1 >= polls, "{polls} polls, {pauses} pauses");
}

#[test]
fn opening_ends_at_its_deadline_and_at_a_refusal() {
    let (port, peer) = serve(|mut client| {
        read_request(&mut client);
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nna").unwrap();
        client.read_to_end(&mut Vec::new())
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    until(&mut link, Wanted::default(), |link| link.unsent() == 0 && link.socket().is_some()).unwrap();
    let deadline = link.deadline().unwrap();
    link.step(deadline - Duration::from_millis(1)).unwrap();
    assert!(matches!(link.step(deadline), Err(Error::TimedOut)));
    assert!(link.is_finished());
    drop(link);
    let _ = peer.join().unwrap();

    let (port, peer) = serve(|mut client| {
        read_request(&mut client);
        client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.code == "HTTP 404"), "{error:?}");
    peer.join().unwrap();
}

#[test]
fn pending_requests_are_limited() {
    let (go, wait_for_it) = mpsc::channel::<()>();
    let (port, peer) = serve(move |mut client| {
        read_request(&mut client);
        reply(&mut client, "keep-alive", b"name\n");
        wait_for_it.recv().unwrap();
        let mut heard = 0;
        while let Some((path, body)) = read_request(&mut client) {
            if path.starts_with("/send/") {
                heard += body.len();
            }
            reply(&mut client, "keep-alive", b"\x01");
        }
        heard
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let block = pattern(3 << 20, 3);
    let mut sent = 0;
    // Many small requests, and then large ones.
    for len in std::iter::repeat_n(100, 40).chain(std::iter::repeat_n(block.len(), 40)) {
        let taken = link.send(&[IoSlice::new(&block[..len])], Instant::now()).unwrap();
        assert!(taken <= 1 << 20);
        sent += taken;
    }
    assert!(sent <= 200 << 10, "{sent} bytes are kept without a reply");
    assert_eq!(link.send(&[IoSlice::new(&block)], Instant::now()).unwrap(), 0);
    let mut interests = Vec::new();
    link.interests(Wanted { read: false, write: true }, &mut interests);
    assert!(interests[0].read, "a reply makes room");
    go.send(()).unwrap();
    exchange(&mut link, &block, 0).unwrap();
    finish(&mut link);
    assert_eq!(peer.join().unwrap(), sent + block.len());
}

#[test]
fn received_bytes_are_returned_before_the_next_request() {
    let (go, wait_for_it) = mpsc::channel::<()>();
    let (port, peer) = serve(move |mut client| {
        read_request(&mut client);
        reply(&mut client, "keep-alive", b"name\n");
        for index in 0..16 {
            read_request(&mut client);
            if index == 15 {
                wait_for_it.recv().unwrap();
                reply(&mut client, "keep-alive", b"\x01early");
            }
        }
        client.read_to_end(&mut Vec::new())
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut buffer = [0; 64];
    for _ in 0..16 {
        assert_eq!(link.send(&[IoSlice::new(b"x")], Instant::now()).unwrap(), 1);
    }
    assert_eq!(link.receive(&mut buffer, Instant::now()).unwrap(), Received::Nothing);
    assert_eq!(link.send(&[IoSlice::new(b"x")], Instant::now()).unwrap(), 0);
    assert_eq!(link.deadline(), None);
    go.send(()).unwrap();
    pause(&link, Wanted { read: true, write: true }, Instant::now() + Duration::from_secs(20));
    let now = Instant::now();
    assert_eq!(link.send(&[IoSlice::new(b"x")], now).unwrap(), 1);
    assert_eq!(link.deadline(), Some(now));
    assert_eq!(link.receive(&mut buffer, now).unwrap(), Received::Bytes(5));
    assert_eq!(&buffer[..5], b"early");
    assert_eq!(link.receive(&mut buffer, now).unwrap(), Received::Nothing);
    assert_eq!(link.deadline(), None);
    drop(link);
    let _ = peer.join().unwrap();
}

#[test]
fn close_waits_for_replies_to_earlier_requests() {
    let (port, peer) = serve(|mut client| {
        let mut paths = Vec::new();
        while let Some((path, _)) = read_request(&mut client) {
            paths.push(path.split('/').nth(1).unwrap().to_owned());
            let content: &[u8] = if paths.len() == 1 { b"name\n" } else { b"\x01" };
            reply(&mut client, "keep-alive", content);
        }
        paths
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    for _ in 0..3 {
        assert_eq!(link.send(&[IoSlice::new(b"last")], Instant::now()).unwrap(), 4);
    }
    finish(&mut link);
    assert_eq!(peer.join().unwrap(), ["open", "send", "send", "send", "close"]);
}

#[test]
fn unanswered_close_ends_at_its_deadline() {
    let (port, peer) = serve(|mut client| {
        read_request(&mut client);
        reply(&mut client, "keep-alive", b"name\n");
        client.read_to_end(&mut Vec::new())
    });
    let mut link = Link::connect(&tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut clock = Instant::now();
    let start = clock;
    link.finish(clock);
    assert_eq!(link.receive(&mut [0], clock).unwrap(), Received::End);
    while !link.is_finished() {
        clock = link.deadline().expect("a goodbye has an end");
        link.step(clock).unwrap();
    }
    // A second for the reply, and as much for the end, unless the peer's comes before.
    let spent = clock - start;
    assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&spent), "{spent:?}");
    drop(link);
    peer.join().unwrap().unwrap();
}

#[test]
fn socket_of_the_caller_opens_a_tunnel() {
    let port = serve_tunnel(None, |mut stream| {
        let heard = read(&mut stream, 4);
        stream.write_all(&heard).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut link = Link::over(socket2::Socket::from(socket), &tunnel(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    assert_eq!(exchange(&mut link, b"echo", 4).unwrap(), b"echo");
    finish(&mut link);
    assert!(receive_all(&mut link).unwrap().is_empty());
}

#[test]
fn a_refused_request_that_came_with_the_end_of_its_connection_leaves_nothing_to_wait_for() {
    let requests: [&[u8]; 4] = [
        b"POST /send/none/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
        b"POST /send/none/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\naPOST /idle/none/2 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0",
        b"POST /fcs/ident2 HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for request in requests {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let socket = socket2::Socket::from(listener.accept().unwrap().0);
        let tunnels = Tunnels::new(1, Duration::from_secs(30));
        let now = Instant::now();
        let mut link = Link::accept(socket, None, &tunnels, Some(Duration::from_secs(30)), now).unwrap();
        // The clock does not move: only the client can end this.
        let text = String::from_utf8_lossy(request);
        while link.step(now).is_ok() {
            let mut interests = Vec::new();
            link.interests(Wanted { read: true, write: false }, &mut interests);
            assert!(!interests.is_empty(), "a wait for nothing: {text}");
            wait(&interests, None).unwrap();
        }
        drop(link);
        let mut replies = String::new();
        client.read_to_string(&mut replies).unwrap();
        assert_eq!(replies.matches(" 404 Not Found").count(), text.matches(" HTTP/1.1").count(), "{text}");
    }
}
