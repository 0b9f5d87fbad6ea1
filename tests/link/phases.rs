//! Proxies of every kind: split, silent, trickling, refusing and closing.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Error,
    net::{Link, Target, Wanted},
    transport::proxy::Proxy,
};

use super::{
    peers::{read, read_head, serve, to},
    pump::{exchange, open, pattern, pause, receive_all},
};

/// A kind of proxy, its reply to each message of the link, and the beginning of that reply.
struct Kind {
    scheme: &'static str,
    replies: &'static [&'static [u8]],
}

const KINDS: [Kind; 4] = [
    Kind { scheme: "socks4", replies: &[b"\0\x5a\0\0\0\0\0\0"] },
    Kind { scheme: "socks4a", replies: &[b"\0\x5a\0\0\0\0\0\0"] },
    Kind { scheme: "socks5", replies: &[b"\x05\0", b"\x05\0\0\x01\0\0\0\0\0\0"] },
    Kind { scheme: "http", replies: &[b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 Fine\r\nVia: x\r\n\r\n"] },
];

fn through(kind: &Kind, port: u16, host: &str) -> Target {
    let proxy = Proxy::parse(format!("{}://127.0.0.1:{port}", kind.scheme).as_bytes()).unwrap();
    Target { host: host.as_bytes().to_vec(), proxy: Some(proxy), ..to(1935) }
}

/// Reads the next message of the link to a proxy of this kind.
fn hear(kind: &Kind, index: usize, client: &mut TcpStream) {
    match (kind.scheme, index) {
        ("http", _) => assert!(read_head(client).unwrap().starts_with("CONNECT ")),
        ("socks5", 0) => assert_eq!(read(client, 3), b"\x05\x01\0"),
        ("socks5", _) => {
            let head = read(client, 5);
            let rest = if head[3] == 3 { usize::from(head[4]) } else { 3 };
            read(client, rest + 2);
        }
        _ => {
            let request = read(client, 8);
            read_text(client);
            if request[4..7] == [0, 0, 0] {
                read_text(client);
            }
        }
    }
}

fn read_text(client: &mut TcpStream) {
    while read(client, 1) != [0] {}
}

#[test]
fn every_proxy_connects_to_addresses_and_names_however_its_replies_are_split() {
    let (up, down) = (pattern(300_000, 1), pattern(300_000, 2));
    for kind in &KINDS {
        // A label that is too long is left to the proxy by every kind.
        for (host, piece) in
            [("192.0.2.7", 1), ("192.0.2.7", 3), ("localhost", 1000), (&"a".repeat(64)[..], 1000)]
        {
            let (expected, said) = (up.clone(), down.clone());
            let (port, peer) = serve(move |mut client| {
                for (index, reply) in kind.replies.iter().enumerate() {
                    hear(kind, index, &mut client);
                    for part in reply.chunks(piece) {
                        client.write_all(part).unwrap();
                    }
                }
                // The server's bytes come in one piece with the end of the reply, or directly after it.
                client.write_all(&said).unwrap();
                assert!(read(&mut client, expected.len()) == expected);
            });
            let mut link = Link::connect(&through(kind, port, host), Instant::now()).unwrap();
            open(&mut link).unwrap();
            assert!(exchange(&mut link, &up, down.len()).unwrap() == down, "{} {host}", kind.scheme);
            peer.join().unwrap();
        }
    }
}

#[test]
fn bytes_after_the_last_reply_are_not_lost() {
    for kind in &KINDS {
        let (port, peer) = serve(move |mut client| {
            let (last, others) = kind.replies.split_last().unwrap();
            for (index, reply) in others.iter().enumerate() {
                hear(kind, index, &mut client);
                client.write_all(reply).unwrap();
            }
            hear(kind, others.len(), &mut client);
            client.write_all(&[last, &b"from the server"[..]].concat()).unwrap();
        });
        let mut link = Link::connect(&through(kind, port, "192.0.2.7"), Instant::now()).unwrap();
        assert_eq!(receive_all(&mut link).unwrap(), b"from the server", "{}", kind.scheme);
        peer.join().unwrap();
    }
}

/// A proxy that sends `reply` first and then runs `then`; returns its link, which waits for more.
fn halfway<T: Send + 'static>(
    kind: &'static Kind,
    reply: &'static [u8],
    then: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Link, JoinHandle<T>) {
    let (port, peer) = serve(move |mut client| {
        hear(kind, 0, &mut client);
        client.write_all(reply).unwrap();
        then(client)
    });
    (Link::connect(&through(kind, port, "192.0.2.7"), Instant::now()).unwrap(), peer)
}

#[test]
fn a_proxy_that_stops_halfway_is_given_up_at_the_deadline() {
    for kind in &KINDS {
        let first = kind.replies[0];
        for len in [0, 1, first.len() - 1] {
            let (written, is_written) = mpsc::channel();
            let begun = Instant::now();
            let (mut link, peer) = halfway(kind, &first[..len], move |mut client| {
                written.send(()).unwrap();
                client.read_to_end(&mut Vec::new())
            });
            while is_written.try_recv().is_err() {
                link.step(Instant::now()).unwrap();
                pause(&link, Wanted::default(), Instant::now() + Duration::from_millis(20));
            }
            link.step(begun + Duration::from_secs(29)).unwrap();
            let error = link.step(Instant::now() + Duration::from_secs(30)).unwrap_err();
            assert!(matches!(error, Error::Proxy(_)), "{error:?}");
            assert!(error.to_string().ends_with("no answer in time"), "{} {len}: {error}", kind.scheme);
            assert!(link.is_finished());
            drop(link);
            // Unread bytes of the link, or none.
            let _ = peer.join().unwrap();
        }
    }
}

#[test]
fn a_reply_that_trickles_does_not_move_the_deadline() {
    let (next, each) = mpsc::channel();
    let (mut link, peer) = halfway(&KINDS[3], b"HTTP/1.1 200 Fine\r\nX: ", move |mut client| {
        for () in each {
            client.write_all(b"x").unwrap();
        }
    });
    let deadline = link.deadline().unwrap();
    let mut clock = deadline - Duration::from_secs(30);
    let error = loop {
        match link.step(clock) {
            Ok(()) => {
                // The received bytes are read in the next step, a second later.
                next.send(()).unwrap();
                pause(&link, Wanted::default(), Instant::now() + Duration::from_secs(20));
                clock += Duration::from_secs(1);
            }
            Err(error) => break error,
        }
    };
    drop(next);
    assert!(error.to_string().ends_with("no answer in time"), "{error}");
    assert_eq!(clock, deadline);
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_proxy_that_hangs_up_is_an_error_wherever_it_does() {
    for kind in &KINDS {
        let first = kind.replies[0];
        for len in 0..first.len() {
            let (mut link, peer) = halfway(kind, &first[..len], |mut client| {
                client.shutdown(Shutdown::Write).unwrap();
                client.read_to_end(&mut Vec::new())
            });
            let error = open(&mut link).unwrap_err().to_string();
            assert!(error.ends_with("the proxy closed the connection"), "{} {len}: {error}", kind.scheme);
            drop(link);
            let _ = peer.join().unwrap();
        }
    }
}

#[test]
fn refusal_of_a_proxy_has_its_reason() {
    let refusals: [(usize, &[u8], &str); 3] = [
        (0, b"\0\x5b\0\0\0\0\0\0", "SOCKS returned error code 91, request rejected or failed"),
        (2, b"\x05\xff", "the proxy wants a user name and password"),
        (3, b"HTTP/1.1 403 No way\r\n\r\n", "the proxy refuses: 403 No way"),
    ];
    for (kind, reply, words) in refusals {
        let (mut link, peer) = halfway(&KINDS[kind], reply, drop);
        let error = open(&mut link).unwrap_err();
        assert!(matches!(error, Error::Proxy(_)) && error.to_string().ends_with(words), "{error}");
        peer.join().unwrap();
    }
}

#[test]
fn a_reply_without_an_end_is_given_up() {
    let (mut link, peer) =
        halfway(&KINDS[3], b"HTTP/1.1 200 Fine\r\nX: ", |mut client| while client.write_all(b"x").is_ok() {});
    let error = open(&mut link).unwrap_err().to_string();
    assert!(error.ends_with("the reply is too large"), "{error}");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_proxy_that_is_not_there_is_named_in_the_error() {
    let (port, peer) = serve(drop);
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    peer.join().unwrap();
    let mut link = Link::connect(&through(&KINDS[0], port, "192.0.2.7"), Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert_eq!(error.to_string(), format!("proxy: connection refused by 127.0.0.1:{port}"));
}
