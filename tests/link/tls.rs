//! TLS, with a link on one side or on both.

use std::{
    io::{IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Error,
    net::{Link, Received, Target, Wanted},
    transport::tls::{ServerContext, Trust},
};

use crate::{need, pumps::End};

use super::{
    peers::{prepare, read, serve, to},
    pump::{exchange, exchange_between, finish, open, pattern, pause, receive, receive_all},
    support::certs::{Authority, Valid},
};

const MUCH: usize = 6 << 20;

/// An authority and a server's context.
pub fn authority() -> Option<(Authority, ServerContext)> {
    let authority = Authority::new()?;
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    Some((authority, context))
}

pub fn secure(port: u16, name: &str, authority: &Authority) -> Target {
    Target { tls: Some((name.to_owned(), Trust::File(authority.certificate()))), ..to(port) }
}

/// Does the handshake as a server.
fn shake_hands(client: TcpStream, context: &ServerContext) -> End {
    End::server(client, context, Duration::from_secs(30)).unwrap()
}

/// A relay to `port`, which forwards each byte from the server, and each byte from the link, separately.
pub fn byte_by_byte(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for stream in [&near, &far] {
            prepare(stream);
        }
        let copy = |mut from: TcpStream, mut to: TcpStream| {
            thread::spawn(move || {
                let mut byte = [0];
                while from.read(&mut byte).is_ok_and(|count| count > 0) {
                    if to.write_all(&byte).is_err() {
                        return;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            })
        };
        copy(near.try_clone().unwrap(), far.try_clone().unwrap());
        copy(far, near);
    });
    own
}

#[test]
fn large_transfers_go_both_ways_whichever_side_waits_for_the_other() {
    let (authority, context) = need!(authority());
    let (up, down) = (pattern(MUCH, 1), pattern(MUCH, 2));
    for writes_first in [true, false] {
        let (context, expected, said) = (context.clone(), up.clone(), down.clone());
        let (port, peer) = serve(move |client| {
            let end = shake_hands(client, &context);
            if writes_first {
                end.send(&said).unwrap();
            }
            assert!(end.receive_exact(MUCH) == expected);
            if !writes_first {
                end.send(&said).unwrap();
            }
        });
        let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
        open(&mut link).unwrap();
        assert!(exchange(&mut link, &up, MUCH).unwrap() == down);
        peer.join().unwrap();
    }
}

#[test]
fn records_may_be_split_at_every_byte() {
    let (authority, context) = need!(authority());
    let (port, peer) = serve(move |client| {
        let end = shake_hands(client, &context);
        let heard = end.receive_exact(3000);
        end.send(&heard).unwrap();
        end.close();
        end
    });
    let target = secure(byte_by_byte(port), "localhost", &authority);
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    let said = pattern(3000, 7);
    assert!(exchange(&mut link, &said, said.len()).unwrap() == said);
    assert_eq!(receive(&mut link, &mut [0; 9]).unwrap(), Received::End);
    peer.join().unwrap();
}

#[test]
fn a_link_is_a_server_for_another() {
    let (authority, context) = need!(authority());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
    client.step(Instant::now()).unwrap();
    let socket = socket2::Socket::from(listener.accept().unwrap().0);
    let timeout = Some(Duration::from_secs(30));
    let mut server = Link::accept_tls(socket, &context, timeout, Instant::now()).unwrap();
    let (up, down) = (pattern(MUCH, 3), pattern(MUCH + 1, 4));
    let [to_client, to_server] = exchange_between([&mut client, &mut server], [&up, &down]).unwrap();
    assert!(to_client == down && to_server == up);
    // Both ends say goodbye without further calls.
    client.finish(Instant::now());
    assert_eq!(receive(&mut server, &mut [0; 9]).unwrap(), Received::End);
    server.finish(Instant::now());
    finish(&mut client);
    finish(&mut server);
}

#[test]
fn a_peer_that_reads_nothing_leaves_no_room_and_memory_does_not_grow() {
    let (authority, context) = need!(authority());
    let (go, wait_for_it) = std::sync::mpsc::channel();
    let (port, peer) = serve(move |client| {
        let end = shake_hands(client, &context);
        let count = wait_for_it.recv().unwrap();
        end.receive_exact(count)
    });
    let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let block = pattern(1 << 20, 3);
    let mut sent = 0;
    let mut full = Instant::now() + Duration::from_millis(200);
    while Instant::now() < full {
        link.step(Instant::now()).unwrap();
        let taken = link.send(&[IoSlice::new(&block[sent % block.len()..])], Instant::now()).unwrap();
        sent += taken;
        if taken > 0 {
            full = Instant::now() + Duration::from_millis(200);
        }
        assert!(link.unsent() <= 160 << 10, "{} bytes are kept", link.unsent());
        pause(&link, Wanted { read: false, write: true }, full + Duration::from_secs(1));
        if taken == 0 {
            assert!(link.unsent() > 0, "there is room, or else something to be sent");
        }
        full = full.min(Instant::now() + Duration::from_millis(200));
        if taken == 0 {
            break;
        }
    }
    go.send(sent).unwrap();
    finish(&mut link);
    let received = peer.join().unwrap();
    assert_eq!(received.len(), sent);
    assert!(received.iter().zip(block.iter().cycle()).all(|(one, other)| one == other));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (authority, context) = need!(authority());
    let (port, peer) =
        serve(move |client| End::server(client, &context, Duration::from_secs(30)).map(drop).unwrap_err());
    let mut link = Link::connect(&secure(port, "example.com", &authority), Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert!(error.to_string().contains("wrong name"), "{error}");
    assert!(link.is_finished());
    // The server receives the reason.
    let told = peer.join().unwrap().to_string();
    assert!(told.contains("it refuses, bad certificate"), "{told}");
}

#[test]
fn a_peer_without_tls_or_that_closes_is_an_error_of_the_handshake() {
    let authority = need!(Authority::new());
    for (said, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "what it sends is not TLS"),
        (b"", "closed the connection during the TLS handshake"),
        (b"\x16\x03\x03\x00", "closed the connection during the TLS handshake"),
    ] {
        let (port, peer) = serve(move |mut client| {
            read(&mut client, 5);
            client.write_all(said).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        });
        let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
        let error = open(&mut link).unwrap_err();
        assert!(matches!(error, Error::Tls(_)) && error.to_string().contains(words), "{error}");
        drop(link);
        peer.join().unwrap();
    }
}

#[test]
fn stalled_or_trickling_handshake_ends_at_its_deadline() {
    let authority = need!(Authority::new());
    for trickles in [false, true] {
        let (port, peer) = serve(move |mut client| {
            // The beginning of a record that never ends.
            client.write_all(b"\x16\x03\x03\x40\x00").unwrap();
            while trickles && client.write_all(b"\x02").is_ok() {}
            let _ = client.read_to_end(&mut Vec::new());
        });
        let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
        let mut clock = Instant::now();
        let error = loop {
            match link.step(clock) {
                Ok(()) => {
                    pause(&link, Wanted::default(), Instant::now() + Duration::from_millis(100));
                    clock += Duration::from_secs(5);
                }
                Err(error) => break error,
            }
        };
        match error {
            Error::TimedOut => {}
            // A repeated byte is not a handshake, if the record gets that far.
            Error::Tls(_) if trickles => {}
            error => panic!("{error}"),
        }
        assert!(clock <= Instant::now() + Duration::from_secs(65), "a minute for two phases");
        drop(link);
        peer.join().unwrap();
    }
}

#[test]
fn end_without_a_goodbye_follows_all_bytes() {
    let (authority, context) = need!(authority());
    let said = pattern(100_000, 8);
    let expected = said.clone();
    let (port, peer) = serve(move |client| {
        let end = shake_hands(client, &context);
        end.send(&said).unwrap();
        end.socket.shutdown(Shutdown::Write).unwrap();
        end
    });
    let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
    assert!(receive_all(&mut link).unwrap() == expected);
    peer.join().unwrap();
}

#[test]
fn a_link_with_tls_is_drained_once_it_holds_neither_bytes_nor_the_end() {
    let (authority, context) = need!(authority());
    let (port, peer) = serve(move |client| {
        let end = shake_hands(client, &context);
        end.send(&pattern(500, 5)).unwrap();
        assert_eq!(end.receive_exact(1), [8]);
        end.send(&pattern(700, 5)).unwrap();
        assert_eq!(end.receive_exact(1), [9]);
        end.send(&pattern(30, 6)).unwrap();
        end.close();
        end
    });
    let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut buffer = [0; 500];
    assert_eq!(receive(&mut link, &mut buffer).unwrap(), Received::Bytes(500));
    assert!(link.is_drained());
    assert_eq!(link.receive(&mut buffer, Instant::now()).unwrap(), Received::Nothing);
    assert!(!link.is_drained(), "nothing was received");
    assert_eq!(link.send(&[IoSlice::new(&[8])], Instant::now()).unwrap(), 1);
    assert_eq!(receive(&mut link, &mut buffer).unwrap(), Received::Bytes(500));
    assert!(!link.is_drained(), "the link has the rest of the record");
    assert_eq!(receive(&mut link, &mut buffer).unwrap(), Received::Bytes(200));
    assert!(!link.is_drained(), "the system was not asked, and there may be more by now");
    assert_eq!(link.send(&[IoSlice::new(&[9])], Instant::now()).unwrap(), 1);
    // The goodbye is on the socket behind the bytes.
    let _end = peer.join().unwrap();
    assert_eq!(receive(&mut link, &mut buffer).unwrap(), Received::Bytes(30));
    assert!(!link.is_drained(), "the link has the goodbye");
    assert_eq!(link.receive(&mut buffer, Instant::now()).unwrap(), Received::End);
}

#[test]
fn records_that_the_caller_has_received_itself_are_decrypted() {
    let (authority, context) = need!(authority());
    let said = pattern(50_000, 5);
    let expected = said.clone();
    let (port, peer) = serve(move |client| {
        let end = shake_hands(client, &context);
        end.send(&said).unwrap();
        end
    });
    let mut link = Link::connect(&secure(port, "localhost", &authority), Instant::now()).unwrap();
    assert!(link.lend().is_none(), "there is no connection");
    open(&mut link).unwrap();
    let (mut received, mut buffer) = (Vec::new(), [0; 4000]);
    let mut lent = 0;
    while received.len() < expected.len() {
        if let Some(mut memory) = link.lend() {
            let guard = Instant::now() + Duration::from_secs(60);
            pause(&link, Wanted { read: true, write: false }, guard);
            let count = (&**link.socket().unwrap()).read(&mut memory).unwrap();
            link.give_back(memory, count);
            assert!(link.lend().is_none(), "there is something to decrypt");
            lent += 1;
        }
        match link.receive(&mut buffer, Instant::now()).unwrap() {
            Received::Bytes(count) => received.extend_from_slice(&buffer[..count]),
            // A part of a record.
            Received::Nothing => {}
            Received::End => panic!("the peer has not closed"),
        }
    }
    assert!(received == expected && lent > 1, "{lent}");
    peer.join().unwrap();
}
