//! A server's request to connect again, followed by C and by Rust programs, over every protocol.

use std::{
    fmt::Write as _,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rtmp_core::{
    Client, Error, Event, Notice,
    media::{FourCc, Frame, Kind, Message as Media, Packet, Track},
    message::MessageType,
};
use rustls::ServerConfig;

use crate::support::amf::{self, Value, n, object, s};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Running, Server, wait_until};
use crate::ways::{Credentials, Way};

const LIMIT: Duration = Duration::from_secs(120);

const WAYS: [Way; 6] =
    [Way::PLAIN, Way::ENCRYPTED, Way::TUNNELLED, Way::ENCRYPTED_TUNNELLED, Way::TLS, Way::TLS_TUNNELLED];

/// A request to connect again, on the connection itself.
fn request(url: &str) -> Message {
    let mut members = vec![
        ("level", s("status")),
        ("code", s("NetConnection.Connect.ReconnectRequest")),
        ("description", s("why")),
    ];
    if !url.is_empty() {
        members.push(("tcUrl", s(url)));
    }
    Message::invoke(3, 0, &[s("onStatus"), n(0), Value::Null, object(&members)])
}

/// The requests that a player receives, one on each connection: the URL in the request, and its target. `@`
/// stands for the protocol, `#` for the port.
const REQUESTS: [(&str, &str); 6] = [
    ("@://localhost:#/two", "@://localhost:#/two"),
    ("//127.0.0.1:#/three/inst", "@://127.0.0.1:#/three/inst"),
    ("/four", "@://127.0.0.1:#/four"),
    ("", "@://127.0.0.1:#/four"),
    ("five", "@://127.0.0.1:#/five"),
    // One too many within a minute.
    ("/six", "@://127.0.0.1:#/six"),
];

fn filled(text: &str, way: Way, port: u16) -> String {
    text.replace('@', way.protocol).replace('#', &port.to_string())
}

/// Plays on one of the connections. The requests come in the middle of a long message.
fn play(mut peer: Peer, way: Way, number: usize, port: u16) {
    peer.handshake();
    let connect = peer.wait_for("connect");
    let member = |name: &str| connect[2].member(name).cloned();
    let first = format!("{way}://127.0.0.1:{port}/app");
    let url = number.checked_sub(1).map_or(first, |before| filled(REQUESTS[before].1, way, port));
    assert_eq!(member("tcUrl"), Some(s(&url)));
    assert_eq!(member("app").as_ref().and_then(Value::text), url.splitn(4, '/').nth(3));
    assert_eq!(member("capsEx"), Some(n(1)), "the settings go along");
    peer.connect_result(&[]);
    peer.accept_create();
    let play = peer.wait_for("play");
    assert_eq!(play.get(3), Some(&s("name")));
    peer.status(1, "status", "NetStream.Play.Start", "");
    peer.send(&Message::new(4, 0, 8, 1, b"\xAF\x01a"));
    let long = Message::new(6, 0, 9, 1, &[0x17; 10_000]).chunks(128);
    let (start, rest) = long.split_at(12 + 128 + 20 * 129);
    peer.send_raw(start);
    if way.tls && number == 0 {
        peer.send(&request(&filled("rtmp://127.0.0.1:#/app", way, port)));
    }
    peer.send(&request(&filled(REQUESTS[number].0, way, port)));
    peer.send_raw(rest);
    peer.send(&Message::new(4, 20, 8, 1, b"\xAF\x01b"));
    if number + 1 == REQUESTS.len() {
        peer.status(1, "status", "NetStream.Play.Complete", "");
    }
    assert!(peer.drain(LIMIT), "the client leaves when it has gone over");
    assert!(peer.violations().is_empty(), "{:?}", peer.violations());
}

/// A server for players over one transport. Connections are served in parallel: the new one begins before the
/// old one ends.
fn play_server(way: Way, tls: Arc<ServerConfig>) -> Server<()> {
    Server::listen(move |listener: &TcpListener| {
        let port = listener.local_addr().expect("it is bound").port();
        let connections: Vec<_> = (0..REQUESTS.len())
            .map(|number| {
                let peer = Peer::accept(listener);
                let tls = tls.clone();
                thread::spawn(move || play(way.dress(peer, Some(&tls)), way, number, port))
            })
            .collect();
        for connection in connections {
            connection.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    })
}

fn url(way: Way, port: u16, credentials: &Credentials) -> String {
    let certificate = credentials.authority.certificate();
    format!("{way}://127.0.0.1:{port}/app/name reconnect=1 timeout=60 tlsCA={}", certificate.display())
}

#[test]
fn players_follow_requests_over_every_protocol() {
    let program = need!(Program::test_of_ours("reconnect"));
    let credentials = need!(Credentials::new());
    for way in WAYS {
        let server = play_server(way, credentials.config.clone());
        let port = server.port;
        let mut running = Running::start(
            need!(program.command(Library::Ours)).args(["play", &url(way, port, &credentials)]),
        );
        let status = running.wait(LIMIT);
        let printed = running.stdout();
        assert!(status.is_some_and(|status| status.success()), "{way}: {printed}{}", running.stderr());
        let mut expected = String::new();
        for (number, (said, meant)) in REQUESTS.iter().enumerate() {
            let _ = writeln!(expected, "{number}: 8 3");
            if way.tls && number == 0 {
                let _ = writeln!(expected, "refused 'rtmp://127.0.0.1:{port}/app': 4");
            }
            let [said, meant] = [said, meant].map(|text| filled(text, way, port));
            let _ = writeln!(expected, "asked '{said}': {meant}, why\n{number}: 9 10000\n{number}: 8 3");
        }
        expected.push_str("not followed: 4\nend 2\n");
        assert_eq!(printed, expected, "{way}");
        server.join();
    }
}

#[test]
fn rust_players_follow_requests_over_every_protocol() {
    let credentials = need!(Credentials::new());
    for way in WAYS {
        let server = play_server(way, credentials.config.clone());
        let port = server.port;
        let mut client = Client::new(&url(way, port, &credentials)).unwrap();
        let mut player = client.play().unwrap();
        let mut old = None;
        for (number, (said, _)) in REQUESTS.iter().enumerate() {
            let (mut bodies, mut requests) = (Vec::new(), Vec::new());
            while bodies.last().is_none_or(|body: &Vec<u8>| body != b"\xAF\x01b") {
                match player.next_event().unwrap().expect("the stream goes on") {
                    Event::Message(message) => bodies.push(message.body),
                    Event::Notice(Notice::Reconnect(request)) => requests.push(request),
                    _ => {}
                }
                drop(old.take());
            }
            assert_eq!(bodies, [b"\xAF\x01a".to_vec(), vec![0x17; 10_000], b"\xAF\x01b".to_vec()], "{way}");
            if way.tls && number == 0 {
                let error = client.follow(&requests.remove(0)).unwrap_err();
                assert!(matches!(error, Error::Invalid(_)), "{way}: {error}");
            }
            let [request] = &requests[..] else { panic!("{way}: {requests:?}") };
            assert_eq!(request.reference, filled(said, way, port).as_bytes());
            assert_eq!((&request.description[..], player.reconnect().as_ref()), (&b"why"[..], Some(request)));
            match client.follow(request) {
                Ok(next) => {
                    let moved = next.play().unwrap();
                    (client, old) = (next, Some(std::mem::replace(&mut player, moved)));
                    assert!(number + 1 < REQUESTS.len(), "{way}: the sixth is refused");
                }
                Err(error) => assert!(number + 1 == REQUESTS.len(), "{way}: {error}"),
            }
        }
        assert_eq!(player.next_message().unwrap(), None, "{way}");
        drop(player);
        server.join();
    }
}

/// The number of a frame that was published, and whether it is a key frame.
fn frame(message: &Message) -> Option<(u32, bool)> {
    let number = message.body.get(5..9)?.try_into().expect("four bytes");
    match message.body.first_chunk()? {
        b"\x93hvc1" => Some((u32::from_be_bytes(number), true)),
        b"\xA3hvc1" => Some((u32::from_be_bytes(number), false)),
        _ => None,
    }
}

/// The frames that are published on one connection, up to its end: their numbers, each of which has to follow
/// the last.
fn frames(peer: &mut Peer, mut so_far: Vec<(u32, bool)>) -> Vec<(u32, bool)> {
    while let Some(message) = peer.next(LIMIT) {
        so_far.extend(frame(&message).filter(|_| message.kind == 9));
    }
    assert!(peer.violations().is_empty(), "{:?}", peer.violations());
    assert!(so_far.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1), "{so_far:?}");
    so_far
}

/// The last small frame before one that is very long.
const BEFORE_LARGE: u32 = 24;

/// Asks a publisher to move in the middle of one of its messages, and reads both connections to their ends.
/// Outside of a tunnel the rest of the message is not read before the client has received the request
/// (`knows`).
fn publish_server(way: Way, tls: Arc<ServerConfig>, knows: Arc<AtomicBool>) -> Server<[usize; 2]> {
    Server::listen(move |listener: &TcpListener| {
        let mut first = way.dress(Peer::accept(listener), Some(&tls));
        first.accept_publish();
        let mut sent = Vec::new();
        while sent.last() != Some(&(BEFORE_LARGE, false)) {
            let message = first.next(LIMIT).expect("the client publishes");
            sent.extend(frame(&message).filter(|_| message.kind == 9));
        }
        let is_tunnel = way == Way::TUNNELLED || way == Way::ENCRYPTED_TUNNELLED || way == Way::TLS_TUNNELLED;
        if !is_tunnel {
            let before = first.bytes.len();
            while first.bytes.len() == before {
                assert!(first.next(Duration::from_millis(1)).is_none(), "no message is whole");
            }
        }
        first.send(&request("/moved"));
        if !is_tunnel {
            assert!(wait_until(LIMIT, || knows.load(Ordering::Relaxed)), "{way}: the client never knew");
        }
        let reading = thread::spawn(move || frames(&mut first, sent));
        let mut second = way.dress(Peer::accept(listener), Some(&tls));
        second.accept_publish();
        let beginning =
            [second.next(LIMIT), second.next(LIMIT)].map(|message| message.expect("there is more"));
        let after = frames(&mut second, Vec::new());
        let before = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Metadata, the configuration, and then a key frame: the one that follows.
        let metadata = amf::decode(&beginning[0].body).unwrap_or_default();
        assert_eq!((beginning[0].kind, metadata.get(1)), (18, Some(&s("onMetaData"))), "{way}");
        assert_eq!(beginning[1].body, b"\x90hvc1conf", "{way}");
        assert_eq!(before[0], (0, true), "{way}");
        assert_eq!(after[0], (before[before.len() - 1].0 + 1, true), "{way}");
        let connect = second.messages.iter().find(|message| message.command().as_deref() == Some("connect"));
        let values = amf::decode(&connect.expect("it has connected").body).unwrap_or_default();
        assert_eq!(values[2].member("app"), Some(&s("moved")));
        [before.len(), after.len()]
    })
}

#[test]
fn publishers_move_at_a_key_frame_over_every_protocol() {
    let program = need!(Program::test_of_ours("reconnect"));
    let credentials = need!(Credentials::new());
    for way in WAYS {
        let knows = Arc::new(AtomicBool::new(false));
        let server = publish_server(way, credentials.config.clone(), knows.clone());
        let url = url(way, server.port, &credentials);
        let mut running = Running::start(need!(program.command(Library::Ours)).args(["publish", &url]));
        let ready = wait_until(LIMIT, || running.stdout().contains("asked") || running.ended().is_some());
        knows.store(true, Ordering::Relaxed);
        assert!(ready, "{way}: {}", running.stderr());
        let status = running.wait(LIMIT);
        let printed = running.stdout();
        assert!(status.is_some_and(|status| status.success()), "{way}: {printed}{}", running.stderr());
        let [before, after] = server.join();
        assert!(printed.ends_with(&format!("sent {before} and {after}\n")), "{way}: {printed}");
        assert!(printed.starts_with("asked '/moved': "), "{way}: {printed}");
        let is_tunnel = way.protocol.contains("rtmpt");
        assert!(is_tunnel || printed.contains("why, in a message\n"), "{way}: {printed}");
    }
}

/// Sends a frame as the C program does: the 25th is long.
fn send_frame(publisher: &mut rtmp_core::Publisher, number: u32) {
    let mut body = vec![0; if number == BEFORE_LARGE + 1 { 3_000_000 } else { 500 }];
    body[..4].copy_from_slice(&number.to_be_bytes());
    let kind = if number % 10 == 0 { Frame::Key } else { Frame::Inter };
    let track = Track { frame: Some(kind), ..Track::new(FourCc::HEVC, Packet::Frames, &body) };
    publisher.send_media(number * 20, &Media::new(Kind::Video, &[track])).unwrap();
}

fn begin(publisher: &mut rtmp_core::Publisher) {
    let metadata = amf::encode(&[s("@setDataFrame"), s("onMetaData"), object(&[("width", n(64))])]);
    publisher.send(MessageType::DATA, 0, &metadata).unwrap();
    let config = Track::new(FourCc::HEVC, Packet::Config, b"conf");
    publisher.send_media(0, &Media::new(Kind::Video, &[config])).unwrap();
}

#[test]
fn rust_publishers_move_at_a_key_frame_over_every_protocol() {
    let credentials = need!(Credentials::new());
    for way in WAYS {
        // The call that sends the long message waits meanwhile.
        let knows = Arc::new(AtomicBool::new(true));
        let server = publish_server(way, credentials.config.clone(), knows);
        let client = Client::new(&url(way, server.port, &credentials)).unwrap();
        let mut publisher = client.publish().unwrap();
        publisher.set_chunk_size(60_000).unwrap();
        begin(&mut publisher);
        let mut number = 0;
        while publisher.reconnect().is_none() || number % 10 != 0 {
            send_frame(&mut publisher, number);
            number += 1;
            if number > BEFORE_LARGE + 1 {
                thread::sleep(Duration::from_millis(1));
            }
            assert!(number < 100_000, "{way}: the request does not arrive");
        }
        let request = publisher.reconnect().expect("it has arrived");
        let mut moved = client.follow(&request).unwrap().publish().unwrap();
        publisher.finish().unwrap();
        begin(&mut moved);
        (number..number + 30).for_each(|number| send_frame(&mut moved, number));
        moved.finish().unwrap();
        assert_eq!(server.join(), [number as usize, 30], "{way}");
    }
}
