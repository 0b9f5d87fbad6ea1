//! Plain links: large transfers, ends, goodbyes and aborts.

use std::{
    io::{IoSlice, Read, Write},
    net::Shutdown,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Error,
    net::{Link, Received, Wanted, wait},
};

use super::{
    peers::{read, serve, to},
    pump::{exchange, finish, open, pattern, receive, receive_all, until},
};

const MUCH: usize = 8 << 20;

#[test]
fn large_transfers_go_both_ways_whichever_side_waits_for_the_other() {
    let (up, down) = (pattern(MUCH, 1), pattern(MUCH, 2));
    for writes_first in [true, false] {
        let (expected, said) = (up.clone(), down.clone());
        let (port, peer) = serve(move |mut client| {
            if writes_first {
                client.write_all(&said).unwrap();
            }
            assert!(read(&mut client, MUCH) == expected);
            if !writes_first {
                client.write_all(&said).unwrap();
            }
        });
        let mut link = Link::connect(&to(port), Instant::now()).unwrap();
        open(&mut link).unwrap();
        assert!(exchange(&mut link, &up, MUCH).unwrap() == down);
        peer.join().unwrap();
    }
}

#[test]
fn a_name_is_looked_up_without_waiting() {
    let (port, peer) = serve(|mut client| client.write_all(b"hello").unwrap());
    let mut target = to(port);
    target.host = b"localhost".to_vec();
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    assert!(!link.is_open());
    assert_eq!(receive_all(&mut link).unwrap(), b"hello");
    peer.join().unwrap();
}

#[test]
fn unknown_name_is_an_error_of_the_lookup() {
    let mut target = to(1935);
    // Resolvers refuse a label that is too long.
    target.host = vec![b'a'; 64];
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    assert!(matches!(open(&mut link), Err(Error::Unresolved(_))));
    assert!(link.is_finished());
}

#[test]
fn refused_connection_is_reported() {
    let (port, peer) = serve(drop);
    let mut first = Link::connect(&to(port), Instant::now()).unwrap();
    open(&mut first).unwrap();
    peer.join().unwrap();
    let mut link = Link::connect(&to(port), Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert_eq!(error.to_string(), format!("connection refused by 127.0.0.1:{port}"));
    assert!(link.is_finished() && link.deadline().is_none());
    assert!(matches!(link.send(&[IoSlice::new(b"x")], Instant::now()), Err(Error::NotConnected)));
    assert_eq!(link.receive(&mut [0], Instant::now()).unwrap(), Received::End);
}

#[test]
fn a_peer_that_reads_nothing_leaves_no_room_and_memory_does_not_grow() {
    let (go, wait_for_it) = mpsc::channel();
    let (port, peer) = serve(move |mut client| {
        wait_for_it.recv().unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all.len()
    });
    let mut link = Link::connect(&to(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let block = pattern(1 << 20, 3);
    let mut sent = 0;
    // The system accepts more for a moment after it has accepted nothing.
    let mut full = Instant::now() + Duration::from_millis(200);
    while Instant::now() < full {
        let taken = link.send(&[IoSlice::new(&block)], Instant::now()).unwrap();
        sent += taken;
        if taken > 0 {
            full = Instant::now() + Duration::from_millis(200);
        }
        assert_eq!(link.unsent(), 0, "a plain link keeps nothing");
        let mut interests = Vec::new();
        link.interests(Wanted { read: false, write: true }, &mut interests);
        assert!(interests[0].write && !interests[0].read);
        wait(&interests, Some(full)).unwrap();
    }
    go.send(()).unwrap();
    finish(&mut link);
    assert_eq!(peer.join().unwrap(), sent);
}

#[test]
fn the_end_of_the_peer_s_side_leaves_ours_open() {
    let (port, peer) = serve(|mut client| {
        client.write_all(b"last words").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        read(&mut client, 5)
    });
    let mut link = Link::connect(&to(port), Instant::now()).unwrap();
    assert_eq!(receive_all(&mut link).unwrap(), b"last words");
    assert_eq!(receive(&mut link, &mut [0; 9]).unwrap(), Received::End);
    let mut interests = Vec::new();
    link.interests(Wanted { read: true, write: false }, &mut interests);
    assert!(interests.is_empty(), "an end that was seen is not waited for");
    assert_eq!(link.send(&[IoSlice::new(b""), IoSlice::new(b"reply")], Instant::now()).unwrap(), 5);
    assert_eq!(peer.join().unwrap(), b"reply");
    finish(&mut link);
}

#[test]
fn sent_bytes_arrive_although_bytes_from_the_peer_were_not_received() {
    let (port, peer) = serve(|mut client| {
        client.write_all(&pattern(1 << 20, 5)).unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all
    });
    let mut link = Link::connect(&to(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let last = pattern(200_000, 6);
    exchange(&mut link, &last, 0).unwrap();
    finish(&mut link);
    assert!(peer.join().unwrap() == last);
}

#[test]
fn a_peer_that_does_not_end_its_side_is_lingered_for_a_second() {
    let (done, wait_for_it) = mpsc::channel::<()>();
    let (port, peer) = serve(move |client| (wait_for_it.recv(), client));
    let mut link = Link::connect(&to(port), Instant::now()).unwrap();
    open(&mut link).unwrap();
    let now = Instant::now();
    link.finish(now);
    assert!(matches!(link.send(&[IoSlice::new(b"x")], now), Err(Error::NotConnected)));
    assert_eq!(link.receive(&mut [0], now).unwrap(), Received::End);
    let deadline = link.deadline().unwrap();
    assert_eq!(deadline, now + Duration::from_secs(1));
    link.linger_on(now + Duration::from_millis(500));
    link.step(deadline).unwrap();
    assert!(!link.is_finished());
    link.step(now + Duration::from_millis(1500)).unwrap();
    assert!(link.is_finished());
    drop(done);
    peer.join().unwrap().0.unwrap_err();
}

#[test]
fn an_abort_ends_a_wait_in_another_thread_in_every_phase() {
    let (_kept, port) = silent();
    let (quiet_port, peer) = serve(|mut client| client.read_to_end(&mut Vec::new()));
    let mut open_link = Link::connect(&to(quiet_port), Instant::now()).unwrap();
    open(&mut open_link).unwrap();
    let connecting = Link::connect(&to(port), Instant::now()).unwrap();
    for mut link in [connecting, open_link] {
        link.step(Instant::now()).unwrap();
        let mut interests = Vec::new();
        link.interests(Wanted { read: true, write: false }, &mut interests);
        let waiting = thread::spawn(move || wait(&interests, None).unwrap());
        link.abort();
        waiting.join().unwrap();
        assert!(matches!(link.step(Instant::now()), Err(Error::Interrupted)));
        assert!(matches!(link.receive(&mut [0], Instant::now()), Err(Error::Interrupted)));
        assert!(link.is_finished());
    }
    assert_eq!(peer.join().unwrap().unwrap(), 0);
}

#[test]
fn unanswered_connection_ends_at_the_deadline() {
    let (_kept, port) = silent();
    let start = Instant::now();
    let mut link = Link::connect(&to(port), start).unwrap();
    link.step(start).unwrap();
    assert_eq!(link.deadline(), Some(start + Duration::from_secs(30)));
    link.step(start + Duration::from_secs(29)).unwrap();
    let error = link.step(start + Duration::from_secs(30)).unwrap_err();
    assert_eq!(error.to_string(), format!("127.0.0.1:{port} does not answer, timed out after 30 s"));
}

#[test]
fn socket_of_the_caller_carries_bytes() {
    let (port, peer) = serve(|mut client| {
        client.write_all(b"hello").unwrap();
        read(&mut client, 3)
    });
    let socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut link = Link::from_socket(socket2::Socket::from(socket), None, Instant::now()).unwrap();
    assert!(link.is_open());
    assert_eq!(exchange(&mut link, b"bye", 5).unwrap(), b"hello");
    assert_eq!(peer.join().unwrap(), b"bye");
    until(&mut link, Wanted { read: true, write: false }, |_| true).unwrap();
}

/// A port that does not answer: its queue of connections is full while the sockets are kept.
fn silent() -> (Vec<socket2::Socket>, u16) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let mut kept = vec![socket];
    loop {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if filler.connect_timeout(&address, Duration::from_millis(300)).is_err() {
            return (kept, address.as_socket().unwrap().port());
        }
        assert!(kept.len() < 100, "the queue of connections has no end");
        kept.push(filler);
    }
}
