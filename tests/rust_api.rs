//! The Rust API with real servers, and with servers that refuse, stay silent, or disconnect.
#![forbid(unsafe_code)]

#[allow(dead_code)] // it does more than this test needs
#[path = "transport/tunnel/gateway.rs"]
mod gateway;
mod pumps;
mod support;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rtmp_core::message::MessageType;
use rtmp_core::transport::tls::ServerContext;
use rtmp_core::{Client, Error, Event, Notice, Player, Request, ServerEvent};
use support::amf::{Value, n, s};
use support::certs::{Authority, Certificate, Valid};
use support::examples::ExampleServer;
use support::flv::{self, Tag};
use support::relay::Relay;
use support::servers::Nginx;
use support::wire::Message;
use support::{
    Library, Peer, Running, Server, TempDir, clip, library, process, program, require, wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A clip from ffmpeg, in the form that players return.
fn film() -> Option<(PathBuf, Vec<Tag>)> {
    let clip = clip::flv()?;
    let tags = flv::readable(&flv::load(&clip));
    Some((clip, tags))
}

/// Our server with the clip as `film` in its folder.
fn server_with_film(clip: &Path) -> Option<(Relay, TempDir)> {
    let directory = TempDir::new("rust-vod");
    fs::copy(clip, directory.join("film.flv")).expect("the build directory is writable");
    let relay = Relay::start(Library::Ours, &["-d", &directory.path().to_string_lossy()])?;
    Some((relay, directory))
}

/// Reads from a player to the end, as an FLV file.
fn read_all(player: &mut Player) -> Vec<Tag> {
    let mut bytes = Vec::new();
    player.read_to_end(&mut bytes).expect("the stream has an end");
    flv::parse(&bytes).expect("the bytes are an FLV file")
}

fn tag(message: rtmp_core::message::Message) -> Tag {
    Tag { kind: message.kind.0, timestamp: message.timestamp, body: message.body }
}

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/app/name")
}

#[test]
fn file_from_nginx_is_read_as_flv() {
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let mut player = Client::new(&nginx.url("vod", "film")).unwrap().play().unwrap();
    let tags = read_all(&mut player);
    flv::assert_equal(&flv::media(&film), &flv::media(&tags), "film from nginx");
}

#[test]
fn file_is_played_message_by_message() {
    let (clip, film) = need!(film());
    let (relay, _directory) = need!(server_with_film(&clip));
    let mut player = Client::new(&relay.url("film")).unwrap().play().unwrap();
    assert!(player.metadata().is_none() && player.duration().is_none());
    let tags: Vec<Tag> = player.messages().map(|message| tag(message.unwrap())).collect();
    flv::assert_equal(&flv::media(&film), &flv::media(&flv::readable(&tags)), "film as messages");
    let duration = player.duration().expect("ffmpeg writes the duration");
    assert_eq!(duration.as_secs(), u64::from(clip::SECONDS));
    let width = player.metadata().and_then(|metadata| metadata.find(b"width")?.as_number());
    assert_eq!(width, Some(160.0));
    assert!(player.next_message().unwrap().is_none(), "the end stays the end");
}

#[test]
fn both_sides_count_the_bytes_of_a_connection() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let mut session = server.accept().unwrap();
        let mut messages = 0;
        while let Some(event) = session.next_event().unwrap() {
            match event {
                ServerEvent::Request(_) => session.accept().unwrap(),
                ServerEvent::Message(_) => messages += 1,
                _ => {}
            }
        }
        (messages, session.stats())
    });
    let mut publisher = Client::new(&url(port)).unwrap().publish().unwrap();
    for time in 0..50 {
        publisher.send(MessageType::VIDEO, time * 40, &[7; 5000]).unwrap();
    }
    let near = publisher.stats();
    publisher.finish().unwrap();
    let (messages, far) = serving.join().unwrap();
    assert_eq!(messages, 50);
    assert!(near.messages_out >= 50 && near.bytes_out > 50 * 5000 && near.queued == 0, "{near:?}");
    // The goodbye was sent after that.
    assert!(far.bytes_in > near.bytes_out && far.bytes_in < near.bytes_out + 500, "{near:?} {far:?}");
    assert!(far.messages_in > near.messages_out && far.acknowledged == 0, "{near:?} {far:?}");
    assert!(near.phases.tcp > Duration::ZERO, "{near:?}");
    assert!(near.phases.handshake > Duration::ZERO, "{near:?}");
    assert!(near.phases.connect > Duration::ZERO && near.phases.stream > Duration::ZERO, "{near:?}");
    assert_eq!((near.phases.tls, near.phases.proxy), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn several_streams_are_published_over_one_connection() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let mut session = server.accept().unwrap();
        let (mut names, mut messages) = (Vec::new(), Vec::new());
        while let Some(event) = session.next_event().unwrap() {
            match event {
                ServerEvent::Request(Request::Publish { stream_id, name, .. }) => {
                    if name == b"unwanted" {
                        session.refuse("not here").unwrap();
                        continue;
                    }
                    names.push((stream_id, String::from_utf8(name).unwrap()));
                    session.accept().unwrap();
                }
                ServerEvent::Request(_) => session.accept().unwrap(),
                ServerEvent::Message(message) => messages.push((message.stream_id, message.body)),
                _ => {}
            }
        }
        (names, messages)
    });
    let mut publisher = Client::new(&url(port)).unwrap().publish().unwrap();
    let second = publisher.open_stream("second").unwrap();
    let refused = publisher.open_stream("unwanted");
    assert!(
        matches!(&refused, Err(Error::Refused(refusal)) if refusal.description == "not here"),
        "{refused:?}"
    );
    let third = publisher.open_stream("third").unwrap();
    publisher.send(MessageType::VIDEO, 40, b"first").unwrap();
    publisher.send_on(second, MessageType::VIDEO, 40, b"second").unwrap();
    publisher.send_on(third, MessageType::VIDEO, 40, b"third").unwrap();
    publisher.close_stream(second).unwrap();
    assert!(publisher.send_on(second, MessageType::VIDEO, 80, b"more").is_err());
    let again = publisher.open_stream("second").unwrap();
    publisher.send_on(again, MessageType::VIDEO, 80, b"again").unwrap();
    publisher.finish().unwrap();
    let (names, messages) = serving.join().unwrap();
    let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["name", "second", "third", "second"]);
    let bodies: Vec<_> = messages.iter().map(|(_, body)| &body[..]).collect();
    assert_eq!(bodies, [&b"first"[..], b"second", b"third", b"again"]);
    assert_eq!((messages[1].0, messages[2].0, messages[3].0), (second, third, again));
}

#[test]
fn other_messages_of_a_server_are_reported_in_order() {
    let server = Server::once(|peer| {
        peer.accept_play();
        peer.send(&Message::new(6, 0, 9, 1, &[0x17; 50]));
        peer.send(&Message::new(6, 40, 18, 1, &support::amf::encode(&[s("onCuePoint"), n(1.5)])));
        peer.send(&Message::new(3, 0, 20, 1, &support::amf::encode(&[s("onSomething"), n(0.0)])));
        peer.send(&Message::new(6, 80, 9, 1, &[0x27; 50]));
        peer.status(1, "status", "NetStream.Play.Complete", "over");
        peer.drain(LIMIT);
    });
    let mut player = Client::new(&server.url()).unwrap().play().unwrap();
    let mut told = Vec::new();
    while let Some(event) = player.next_event().unwrap() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        told.push(match event {
            Event::Message(message) => format!("message {}", message.timestamp),
            Event::Notice(Notice::Status(status)) => {
                format!("{} {} {}", status.stream_id, text(&status.code), text(&status.description))
            }
            Event::Notice(Notice::Data { name, message }) => {
                format!("data {} {}", text(&name), message.timestamp)
            }
            Event::Notice(Notice::Command { name, .. }) => format!("command {}", text(&name)),
            other => panic!("{other:?}"),
        });
    }
    let expected = [
        "0 NetConnection.Connect.Success ",
        "1 NetStream.Play.Start ",
        "message 0",
        "data onCuePoint 40",
        "command onSomething",
        "message 80",
        "1 NetStream.Play.Complete over",
    ];
    assert_eq!(told, expected);
    server.join();
}

#[test]
fn part_of_a_file_is_played() {
    let (clip, film) = need!(film());
    let (relay, _directory) = need!(server_with_film(&clip));
    let client = Client::new(&relay.url("film")).unwrap();
    let mut player = client.start(Duration::from_secs(1)).play().unwrap();
    let tags = read_all(&mut player);
    let received = flv::assert_contiguous(&film, &tags, "film from its first second on");
    assert!(received > 50 && received < film.len() - 10, "{received} of {}", film.len());
}

#[test]
fn playing_continues_after_a_seek_and_after_a_pause() {
    let (clip, _) = need!(film());
    let (relay, _directory) = need!(server_with_film(&clip));
    // The server sends only this much ahead of time, so it has not sent everything before the seek.
    let client = Client::new(&relay.url("film")).unwrap().option("buffer", "200").unwrap();
    let mut player = client.play().unwrap();
    player.next_message().unwrap().expect("the film begins");
    player.seek(Duration::from_secs(2)).unwrap();
    let after = player.next_message().unwrap().expect("the film goes on");
    assert!(
        after.timestamp >= 1400,
        "{} ms, though a second of the film was to be left out",
        after.timestamp
    );
    player.pause().unwrap();
    player.resume().unwrap();
    let last =
        player.messages().map(Result::unwrap).filter(|message| message.kind != MessageType::DATA).last();
    assert_eq!(tag(last.expect("there is more")).body, flv::load(&clip).last().unwrap().body);
}

/// The recording of nginx, once it is complete.
fn recording(nginx: &Nginx, name: &str, disconnects: usize) -> Vec<Tag> {
    nginx.wait_for_disconnects(disconnects);
    flv::readable(&flv::load(&nginx.recording(name)))
}

fn frames(tags: &[Tag]) -> usize {
    tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count()
}

#[test]
fn a_file_is_published_to_nginx_in_pieces_of_any_size() {
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    let file = fs::read(&clip).unwrap();
    for (run, size) in [1, 7, 4096, usize::MAX].into_iter().enumerate() {
        let name = format!("pieces{run}");
        let mut publisher = Client::new(&nginx.url("record", &name)).unwrap().publish().unwrap();
        for piece in file.chunks(size.min(file.len())) {
            publisher.write_all(piece).unwrap();
        }
        publisher.finish().unwrap();
        let found = recording(&nginx, &name, run + 1);
        let received = flv::assert_contiguous(&film, &found, &name);
        assert_eq!(received, frames(&film), "{name}: all frames have to arrive");
    }
}

#[test]
fn messages_are_published_live_to_a_player() {
    let (_, film) = need!(film());
    let relay = need!(Relay::start(Library::Ours, &[]));
    let client = Client::new(&relay.url("stage")).unwrap().live(true);
    let mut player = client.play().unwrap();
    let mut publisher = client.publish().unwrap();
    publisher.set_chunk_size(60_000).unwrap();
    let sent: Vec<Tag> = flv::media(&film);
    let mut metadata = rtmp_core::amf::Encoder::new();
    metadata.string(b"@setDataFrame").string(b"onMetaData");
    metadata.begin_ecma_array(1).named_number(b"framerate", 25.0).end_object();
    publisher.send(MessageType::DATA, 0, &metadata.finish()).unwrap();
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = Vec::new();
            while let Some(message) = player.next_message().unwrap() {
                seen.push(tag(message));
            }
            seen
        });
        for tag in &sent {
            publisher.send(MessageType(tag.kind), tag.timestamp, &tag.body).unwrap();
            // Fast, but slow enough not to fill a queue on the way.
            thread::sleep(Duration::from_millis(1));
        }
        publisher.finish().unwrap();
        seen.join().unwrap()
    });
    let received = flv::assert_contiguous(&sent, &seen, "live");
    assert_eq!(received, frames(&sent));
    let rate = player.metadata().and_then(|metadata| metadata.find(b"framerate")?.as_number());
    assert_eq!(rate, Some(25.0));
}

#[test]
fn rtmpe_and_rtmpt_work_in_both_directions() {
    let (clip, film) = need!(film());
    let (relay, _directory) = need!(server_with_film(&clip));
    let nginx = need!(Nginx::start());
    let registry = gateway::with_limits(Duration::from_secs(30), 10);
    let tunnel = gateway::gateway(&registry, relay.port.parse().unwrap());
    for base in
        [format!("rtmpe://127.0.0.1:{}/live/", relay.port), format!("rtmpt://127.0.0.1:{tunnel}/live/")]
    {
        let mut player = Client::new(&format!("{base}film")).unwrap().play().unwrap();
        let tags = read_all(&mut player);
        flv::assert_equal(&flv::media(&film), &flv::media(&tags), &base);
    }
    let tunnel = gateway::gateway(&registry, nginx.port);
    let client = Client::new(&format!("rtmpt://127.0.0.1:{tunnel}/record/tunnel")).unwrap();
    let mut publisher = client.publish().unwrap();
    publisher.write_all(&fs::read(&clip).unwrap()).unwrap();
    publisher.finish().unwrap();
    let found = recording(&nginx, "tunnel", 1);
    assert_eq!(flv::assert_contiguous(&film, &found, "rtmpt"), frames(&film));
}

/// TLS in front of a plain server on a port of this machine.
fn tls_front(certificate: &Certificate, upstream: u16) -> u16 {
    let context = Arc::new(ServerContext::from_files(&certificate.chain, &certificate.key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let context = context.clone();
            thread::spawn(move || {
                // Clients that reject the certificate disconnect.
                let Ok(near) = pumps::End::server(near, &context, LIMIT) else { return };
                let far = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let _ = io::copy(&mut &near, &mut &far);
                        let _ = far.shutdown(Shutdown::Write);
                    });
                    let _ = io::copy(&mut &far, &mut &near);
                    near.close();
                });
            });
        }
    });
    port
}

#[test]
fn rtmps_works_in_both_directions_and_checks_certificates() {
    let (clip, film) = need!(film());
    let authority = need!(Authority::new());
    let certificate = authority.issue("rust-api", "DNS:localhost", Valid::Now);
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let port = tls_front(&certificate, nginx.port);
    let client = |name: &str| Client::new(&format!("rtmps://localhost:{port}/{name} ipv=4")).unwrap();
    let trusted =
        |name: &str| client(name).option("tlsCA", &authority.certificate().to_string_lossy()).unwrap();

    let tags = read_all(&mut trusted("vod/film").play().unwrap());
    flv::assert_equal(&flv::media(&film), &flv::media(&tags), "rtmps");
    let mut publisher = trusted("record/secret").publish().unwrap();
    publisher.write_all(&fs::read(&clip).unwrap()).unwrap();
    publisher.finish().unwrap();
    let found = recording(&nginx, "secret", 2);
    assert_eq!(flv::assert_contiguous(&film, &found, "rtmps"), frames(&film));

    let error = client("vod/film").play().unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    assert!(client("vod/film").option("tlsVerify", "0").unwrap().play().is_ok());
}

#[test]
fn proxy_is_used_for_the_whole_stream() {
    let (clip, film) = need!(film());
    let (relay, _directory) = need!(server_with_film(&clip));
    let port = process::free_port();
    let mut command = Command::new(need!(require::program("microsocks")));
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "me", "-P", "s3cret"]);
    let _proxy = Running::start(&mut command);
    assert!(wait_until(LIMIT, || process::listens(port)), "microsocks does not listen");
    let through =
        |proxy: &str| Client::new(&relay.url("film")).unwrap().option("socks", proxy).unwrap().play();
    let tags = read_all(&mut through(&format!("socks5://me:s3cret@127.0.0.1:{port}")).unwrap());
    flv::assert_equal(&flv::media(&film), &flv::media(&tags), "proxy");
    let error = through(&format!("socks5://me:wrong@127.0.0.1:{port}")).unwrap_err();
    assert!(matches!(error, Error::Proxy(_)), "{error}");
}

#[test]
fn a_proxy_in_tls_carries_every_transport_of_blocking_calls() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("proxy", "DNS:localhost", Valid::Now);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let proxy = pumps::https_proxy(context, None);
    let through = |url: &str| Client::new(&format!("{url} ipv=4 socks=https://localhost:{proxy}")).unwrap();
    let trust = authority.certificate().to_string_lossy().into_owned();
    for protocol in ["rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpts"] {
        let mut server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
        if protocol.ends_with('s') {
            server = server.tls(&certificate.chain, &certificate.key).unwrap();
        }
        let port = server.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let mut session = server.accept().unwrap();
            let mut bodies = Vec::new();
            while let Some(event) = session.next_event().unwrap() {
                match event {
                    ServerEvent::Request(_) => session.accept().unwrap(),
                    ServerEvent::Message(message) => bodies.push((message.timestamp, message.body)),
                    _ => {}
                }
            }
            bodies
        });
        let client = through(&format!("{protocol}://localhost:{port}/app/name"));
        let mut publisher = client.option("tlsCA", &trust).unwrap().publish().unwrap();
        let sent: Vec<_> = (0..50).map(|number| (number * 40, vec![number as u8; 5000])).collect();
        for (timestamp, body) in &sent {
            publisher.send(MessageType::VIDEO, *timestamp, body).unwrap();
        }
        publisher.finish().unwrap();
        assert!(serving.join().unwrap() == sent, "{protocol}: other messages");
    }
    let error = through("rtmp://localhost/app/name").play().unwrap_err();
    assert!(matches!(error, Error::Proxy(_)) && error.to_string().contains("is refused"), "{error}");
}

/// The refusal that a script causes.
fn refusal(publish: bool, script: impl FnOnce(&mut Peer) + Send + 'static) -> rtmp_core::Refusal {
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
    });
    let client = Client::new(&url(server.port)).unwrap();
    let error = if publish { client.publish().unwrap_err() } else { client.play().unwrap_err() };
    server.join();
    let Error::Refused(refusal) = error else { panic!("{error}") };
    refusal
}

#[test]
fn refusal_is_an_error_with_the_text_of_the_server() {
    let connect = refusal(false, |peer| {
        peer.handshake();
        peer.wait_for("connect");
        let info = support::amf::status("error", "NetConnection.Connect.Rejected", "not today");
        peer.invoke(0, &[s("_error"), n(1), Value::Null, info]);
    });
    assert_eq!(
        (&connect.method[..], &connect.code[..], &connect.description[..]),
        ("connect", "NetConnection.Connect.Rejected", "not today")
    );
    let play = refusal(false, |peer| {
        peer.accept_connect();
        peer.accept_create();
        peer.wait_for("play");
        peer.status(1, "error", "NetStream.Play.StreamNotFound", "no such film");
    });
    assert_eq!((&play.code[..], &play.description[..]), ("NetStream.Play.StreamNotFound", "no such film"));
    let publish = refusal(true, |peer| {
        peer.accept_connect();
        peer.accept_create();
        peer.wait_for("publish");
        peer.status(1, "error", "NetStream.Publish.BadName", "taken");
    });
    assert_eq!((&publish.code[..], &publish.description[..]), ("NetStream.Publish.BadName", "taken"));
}

#[test]
fn publisher_gets_the_reason_when_the_server_ends_its_stream() {
    let server = Server::once(|peer| {
        peer.accept_publish();
        peer.status(1, "error", "NetStream.Failed", "the disk is full");
        peer.drain(LIMIT)
    });
    let mut publisher = Client::new(&url(server.port)).unwrap().publish().unwrap();
    let mut error = None;
    wait_until(LIMIT, || {
        error = publisher.send(MessageType::AUDIO, 20, &[0xAF, 1, 2]).err();
        error.is_some()
    });
    let Some(Error::Refused(refusal)) = error else { panic!("{error:?}") };
    assert_eq!((&refusal.code[..], &refusal.description[..]), ("NetStream.Failed", "the disk is full"));
    assert!(publisher.send(MessageType::AUDIO, 40, &[0xAF, 1, 2]).is_err());
    assert!(publisher.finish().is_err());
    assert!(server.join(), "the connection has to be closed");
}

#[test]
fn a_publisher_answers_while_it_has_nothing_to_send() {
    let server = Server::once(|peer| {
        peer.accept_publish();
        peer.send(&Message::new(2, 0, 4, 0, b"\0\x06\0\0\0\x2A"));
        loop {
            let message = peer.next(LIMIT).expect("an answer");
            if message.kind == 4 {
                return message.body;
            }
        }
    });
    let publisher = Client::new(&url(server.port)).unwrap().publish().unwrap();
    assert_eq!(server.join(), b"\0\x07\0\0\0\x2A");
    drop(publisher);
}

#[test]
fn a_publisher_logs_in_with_the_name_and_password_of_the_url() {
    let server = Server::listen(|listener| {
        let mut apps = Vec::new();
        for answer in
            ["code=403 need auth; authmod=adobe", "authmod=adobe : ?reason=needauth&salt=S&challenge=C"]
        {
            let mut peer = Peer::accept(listener);
            peer.handshake();
            apps.push(app_of(&peer.wait_for("connect")));
            let info = support::amf::status("error", "NetConnection.Connect.Rejected", answer);
            peer.invoke(0, &[s("_error"), n(1), Value::Null, info]);
            assert!(peer.drain(LIMIT), "the client has to come again");
        }
        let mut peer = Peer::accept(listener);
        apps.push(app_of(&peer.accept_connect()));
        peer.accept_create();
        peer.wait_for("publish");
        peer.status(1, "status", "NetStream.Publish.Start", "");
        assert!(peer.next(LIMIT).is_some_and(|message| message.kind == 8));
        peer.drain(LIMIT);
        apps
    });
    let url = url(server.port).replace("//", "//foo:bar@");
    let mut publisher = Client::new(&url).unwrap().publish().unwrap();
    publisher.send(MessageType::AUDIO, 0, &[0xAF, 1, 2]).unwrap();
    publisher.finish().unwrap();
    let apps = server.join();
    assert_eq!(apps[..2], ["app", "app?authmod=adobe&user=foo"]);
    assert!(apps[2].starts_with("app?authmod=adobe&user=foo&challenge="), "{apps:?}");
}

/// The application that a connect command names.
fn app_of(connect: &[Value]) -> String {
    connect.iter().find_map(|value| value.member("app")?.text()).expect("connect names it").to_owned()
}

fn audio(timestamp: u32) -> Message {
    Message::new(4, timestamp, 8, 1, &[0xAF, timestamp as u8, 3])
}

#[test]
fn playing_continues_after_a_timeout() {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::once(move |peer| {
        peer.accept_play();
        peer.send(&audio(0));
        wait.recv().unwrap();
        peer.send(&audio(20));
        peer.send(&audio(40));
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    });
    let client = Client::new(&url(server.port)).unwrap().timeout(Duration::from_millis(300));
    let mut player = client.play().unwrap();
    let start = Instant::now();
    let mut bytes = Vec::new();
    let error = player.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    assert!(matches!(error.downcast::<Error>(), Ok(Error::TimedOut)));
    let spent = start.elapsed();
    assert!(spent >= Duration::from_millis(290) && spent < Duration::from_secs(10), "{spent:?}");
    go_on.send(()).unwrap();
    player.read_to_end(&mut bytes).unwrap();
    server.join();
    let tags = flv::parse(&bytes).unwrap();
    assert_eq!(tags.iter().map(|tag| tag.timestamp).collect::<Vec<_>>(), [0, 20, 40]);
}

#[test]
fn silent_server_ends_the_call_at_its_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&url(listener.local_addr().unwrap().port())).unwrap();
    let start = Instant::now();
    let error = client.timeout(Duration::from_millis(200)).play().unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn lost_server_ends_the_messages_with_an_error() {
    let server = Server::once(|peer| {
        peer.accept_play();
        peer.send(&audio(0));
        peer.finish();
        peer.drain(LIMIT);
    });
    let mut player = Client::new(&url(server.port)).unwrap().play().unwrap();
    let messages: Vec<_> = player.messages().collect();
    assert!(matches!(&messages[..], [Ok(_), Err(Error::Closed)]), "{messages:?}");
    assert!(matches!(player.seek(Duration::ZERO), Err(Error::NotConnected)));
    drop(player);
    server.join();
}

#[test]
fn another_thread_ends_waiting_at_once() {
    for during_handshake in [false, true] {
        let server = Server::once(move |peer| {
            if !during_handshake {
                peer.accept_play();
                peer.send(&audio(0));
            }
            peer.drain(LIMIT)
        });
        let client = Client::new(&url(server.port)).unwrap();
        let handle = client.abort_handle();
        let start = Instant::now();
        let aborter = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            handle.abort();
        });
        let error = match client.play() {
            Ok(mut player) => player.messages().find_map(Result::err).expect("the stream has no end"),
            Err(error) => error,
        };
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        aborter.join().unwrap();
        assert!(client.abort_handle().is_aborted());
        assert!(matches!(client.play(), Err(Error::Interrupted)), "aborting is for good");
        assert!(server.join(), "the connection has to be closed");
    }
}

#[test]
fn another_thread_ends_sending_to_a_server_that_does_not_read() {
    let (abort_now, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::once(move |peer| {
        peer.accept_publish();
        let _ = wait.recv();
    });
    let client = Client::new(&url(server.port)).unwrap();
    let mut publisher = client.publish().unwrap();
    let handle = client.abort_handle();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        handle.abort();
    });
    let picture = vec![0x27; 1 << 20];
    let error = (0..).find_map(|time| publisher.send(MessageType::VIDEO, time, &picture).err()).unwrap();
    assert!(matches!(error, Error::Interrupted), "{error}");
    drop(publisher);
    abort_now.send(()).unwrap();
    server.join();
}

/// An example of this package, built with the profile of this test.
fn example(name: &str) -> Command {
    let binary = env::current_exe().expect("a process knows its own file");
    let build_dir = binary.ancestors().nth(2).expect("cargo puts tests into <target>/<profile>/deps");
    let profile = build_dir.file_name().and_then(|name| name.to_str()).expect("profiles have plain names");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(library::package()).env("CARGO_TARGET_DIR", build_dir.with_file_name(""));
    // All with the feature that one of them needs, so that the package is compiled once, and not at all after `make test` has.
    build.args(["build", "--quiet", "--package", "librtmp", "--features", "tokio", "--example", name]);
    build.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    process::leave_cargo(&mut build);
    program::run(&mut build, "", Duration::from_secs(600)).expect("cargo");
    Command::new(build_dir.join("examples").join(name))
}

#[test]
fn the_examples_publish_and_play() {
    let (clip, film) = need!(film());
    let (relay, directory) = need!(server_with_film(&clip));
    let file = directory.join("played.flv");
    let mut play = example("play");
    play.arg(relay.url("film")).arg(&file);
    program::run(&mut play, "", LIMIT).expect("play");
    flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&file)), "play");

    let nginx = need!(Nginx::start());
    let mut publish = example("publish");
    publish.arg(&clip).arg(nginx.url("record", "example"));
    program::run(&mut publish, "", LIMIT).expect("publish");
    let found = recording(&nginx, "example", 1);
    assert_eq!(flv::assert_contiguous(&film, &found, "publish"), frames(&film));

    for mut program in [example("play"), example("publish")] {
        let run = program::run(program.args(["rtmp://", "rtmp://"]), "", LIMIT);
        assert_eq!(run.code, Some(1), "{run:?}");
    }
}

#[test]
fn examples_reconnect_serve_and_use_an_event_loop() {
    let (clip, film) = need!(film());
    let (relay, directory) = need!(server_with_film(&clip));
    let url = relay.url("film");
    let printed = program::run(example("metadata").arg(&url), "", LIMIT).expect("metadata");
    assert!(printed.contains("duration") && printed.contains("videocodecid"), "{printed}");

    let bytes: usize = flv::media(&film).iter().filter(|tag| tag.kind != 18).map(|tag| tag.body.len()).sum();
    let nobody = format!("rtmp://127.0.0.1:{}/app/name", process::free_port());
    for several in ["event_loop", "tokio"] {
        let printed = program::run(example(several).args([&url, &url]), "", LIMIT).expect(several);
        let numbers: Vec<usize> =
            printed.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(numbers.len() == 2 && numbers.iter().all(|number| *number >= bytes), "{printed}, {bytes}");
        assert_eq!(program::run(example(several).arg(&nobody), "", LIMIT).code, Some(1));
    }

    // The first connection is lost, the second is not.
    let server = Server::listen(|listener| {
        let complete = |peer: &mut Peer| peer.status(1, "status", "NetStream.Play.Complete", "");
        for end in [Peer::leave, complete] {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            peer.send(&Message::new(4, 0, 8, 1, &[0xAF; 33]));
            end(&mut peer);
            peer.drain(LIMIT);
        }
    });
    let file = directory.join("again");
    let run = program::run(example("reconnect").arg(server.url()).arg(&file).arg("3"), "", LIMIT);
    server.join();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("next attempt in 1 s"), "{run:?}");
    assert_eq!(flv::load(&directory.join("again.2.flv")).len(), 1);

    let mut server = Running::start(example("serve").arg("127.0.0.1:0").arg(directory.path()));
    assert!(wait_until(LIMIT, || server.stdout().contains('\n')), "{}", server.stderr());
    let base = server.stdout().trim().replace("listening on ", "");
    program::run(example("publish").arg(&clip).arg(format!("{base}/live/mine")), "", LIMIT).expect("publish");
    let found = directory.join("mine.flv");
    let frames = |tags: Vec<Tag>| tags.into_iter().filter(|tag| tag.kind != 18).collect::<Vec<_>>();
    let expected = frames(flv::media(&flv::load(&clip)));
    assert!(wait_until(LIMIT, || fs::metadata(&found).is_ok_and(|data| data.len() > bytes as u64)));
    flv::assert_equal(&expected, &frames(flv::load(&found)), "serve");
    server.kill();
}

#[test]
fn small_examples_work_as_described() {
    let ffmpeg = need!(require::program("ffmpeg"));
    let directory = TempDir::new("rust-examples");
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let mut make = Command::new(ffmpeg);
    make.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25"]);
    make.args([
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440",
        "-t",
        "10",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    make.args(["-x264-params", "slices=1:sliced-threads=0", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "25"]);
    make.args(["-map", "0", &at("video.h264"), "-c:a", "aac", "-map", "1", "-t", "10", &at("audio.aac")]);
    make.args(["-map", "0", "-map", "1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    make.args(["-g", "25", "-c:a", "aac", "-t", "10", &at("long.flv")]);
    program::run(&mut make, "", LIMIT).expect("ffmpeg");
    let options = ["-r", &directory.path().to_string_lossy()];
    let server = need!(ExampleServer::start_with(Library::Ours, directory.path(), None, &options, &[]));
    let long = server.url("rtmp", "vod/long");
    let run = |name: &str, arguments: &[&str]| program::run(example(name).args(arguments), "", LIMIT);

    let encoded = server.url("rtmp", "live/encoded");
    let printed = run("publish_encoder", &[&at("video.h264"), &at("audio.aac"), &encoded]);
    assert_eq!(printed.expect("publish_encoder"), "250 frames\n");
    server.wait_for_log("ends encoded");
    // The same coded data as in the file of FFmpeg, except for additions of only one of the two programs.
    let bodies = |name: &str, kind: u8| {
        let tags = flv::load(&directory.join(name)).into_iter();
        let frames = tags.filter(|tag| tag.kind == kind && tag.body.get(1) == Some(&1));
        frames.map(|tag| tag.body.len()).collect::<Vec<_>>()
    };
    assert_eq!(bodies("encoded.flv", 9).len(), 250);
    assert!(bodies("encoded.flv", 8).len() > 400, "{:?}", bodies("encoded.flv", 8).len());
    if let Some(ffprobe) = require::program("ffprobe") {
        let mut probe = Command::new(ffprobe);
        probe.args(["-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"]);
        let found = program::run(probe.args(["-of", "compact", &at("encoded.flv")]), "", LIMIT);
        assert_eq!((found.code, &found.stderr[..]), (Some(0), ""), "{found:?}");
        assert!(found.stdout.contains("codec_name=h264|nb_read_frames=250"), "{found:?}");
    }

    let printed = run("seek_pause", &[&long]).expect("seek_pause");
    let times: Vec<i64> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(
        times.len() == 3 && times[0] >= 500 && times[1] >= 4000 && times[2] >= times[1] + 500,
        "{printed}"
    );
    let tracks = run("tracks", &[&long]).expect("tracks");
    assert!(tracks.contains("Video track 0: ") && tracks.contains("Audio track 0: "), "{tracks}");
    let logged = run("own_log", &[&long]).expect("own_log");
    assert!(logged.contains("librtmp DEBUG: "), "{logged}");
    let numbers = run("stats", &[&server.url("rtmp", "live/numbers")]).expect("stats");
    assert!(numbers.starts_with("connected: TCP ") && numbers.contains(" queued, "), "{numbers}");

    let open = server.url("rtmp", "live/options");
    assert_eq!(run("options", &[&open, "timeout", "20"]).expect("options"), "connected\n");
    let refused = run("options", &[&open, "socks", &format!("127.0.0.1:{}", process::free_port())]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let unknown = run("options", &[&open, "lvie", "1"]);
    assert!(unknown.code == Some(1) && unknown.stdout.starts_with("failed: "), "{unknown:?}");

    // A stream without an end.
    let endless = Server::once(|peer: &mut Peer| {
        peer.accept_play();
        peer.drain(LIMIT);
    });
    assert_eq!(run("cancel", &[&endless.url()]).expect("cancel"), "cancelled\n");
    endless.join();
}

#[test]
fn debug_output_holds_no_secrets() {
    let client = Client::new("rtmp://user:hunter2@host/app/name pubPasswd=hunter2 token=hunter2").unwrap();
    let text = format!("{client:?} {:?}", client.abort_handle());
    assert!(text.contains("host") && !text.contains("hunter2"), "{text}");
}

#[test]
fn file_passes_through_our_server() {
    let (_, film) = need!(film());
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let sent: Vec<Tag> = flv::media(&film);
    let (publishing, playing) = std::sync::mpsc::channel::<Tag>();
    thread::scope(|scope| {
        // One client publishes, and the next one plays the same stream.
        scope.spawn(|| {
            let mut session = server.accept().unwrap();
            let publishing = publishing;
            while let Some(event) = session.next_event().unwrap() {
                match event {
                    ServerEvent::Request(Request::Connect(connect)) if connect.app != b"app" => {
                        session.refuse("there is no such application").unwrap();
                    }
                    ServerEvent::Request(_) => session.accept().unwrap(),
                    ServerEvent::Message(message) => publishing.send(tag(message)).unwrap(),
                    _ => break,
                }
            }
        });
        let mut publisher = Client::new(&url(port)).unwrap().publish().unwrap();
        publisher.set_chunk_size(5000).unwrap();
        for tag in &sent {
            publisher.send(MessageType(tag.kind), tag.timestamp, &tag.body).unwrap();
        }
        publisher.finish().unwrap();
        scope.spawn(|| {
            let mut session = server.accept().unwrap();
            session.set_chunk_size(60_000).unwrap();
            loop {
                match session.next_event().unwrap().expect("the client wants to play") {
                    ServerEvent::Request(Request::Play { stream_id, name, .. }) => {
                        assert_eq!(name, b"name");
                        session.accept().unwrap();
                        for tag in playing {
                            let kind = MessageType(tag.kind);
                            session.send(stream_id, kind, tag.timestamp, &tag.body).unwrap();
                        }
                        session.end_stream(stream_id).unwrap();
                        while session.next_event().unwrap().is_some() {}
                        return;
                    }
                    _ => session.accept().unwrap(),
                }
            }
        });
        let mut player = Client::new(&url(port)).unwrap().live(true).play().unwrap();
        let played: Vec<Tag> = player.messages().map(|message| tag(message.unwrap())).collect();
        flv::assert_equal(&sent, &played, "film through our own server");
    });
}

#[test]
fn our_server_refuses_with_its_text() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap().timeout(Duration::from_secs(20));
    let port = server.local_addr().unwrap().port();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                let mut session = server.accept().unwrap();
                while let Some(event) = session.next_event().unwrap() {
                    match event {
                        ServerEvent::Request(Request::Play { .. }) => {
                            session.refuse("nothing plays").unwrap()
                        }
                        ServerEvent::Request(_) => session.accept().unwrap(),
                        _ => {}
                    }
                }
            }
        });
        match Client::new(&url(port)).unwrap().play().unwrap_err() {
            Error::Refused(refusal) => {
                assert_eq!(
                    (refusal.code.as_str(), refusal.description.as_str()),
                    ("NetStream.Play.StreamNotFound", "nothing plays")
                );
            }
            error => panic!("{error}"),
        }
        match Client::new(&url(port).replace("rtmp:", "rtmpe:")).unwrap().play().unwrap_err() {
            Error::Refused(refusal) => assert_eq!(refusal.code, "NetStream.Play.StreamNotFound"),
            error => panic!("{error}"),
        }
    });
}

#[test]
fn a_request_has_to_be_answered_before_anything_else_comes() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = server.accept().unwrap();
            let request = session.next_event().unwrap().expect("the client connects");
            assert!(matches!(request, ServerEvent::Request(Request::Connect(_))));
            assert!(matches!(session.next_event(), Err(Error::Invalid(_))));
            session.refuse("not here").unwrap();
        });
        let error = Client::new(&url(port)).unwrap().play().unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
    });
}

#[test]
fn timeout_too_long_for_the_clock_is_disabled() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap().timeout(Duration::MAX);
    let port = server.local_addr().unwrap().port();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                let mut session = server.accept().unwrap();
                while let Ok(Some(event)) = session.next_event() {
                    if matches!(event, ServerEvent::Request(_)) {
                        session.accept().unwrap();
                    }
                }
            }
        });
        let client = Client::new(&url(port)).unwrap().timeout(Duration::MAX);
        drop(client.play().unwrap());
        let mut publisher = client.publish().unwrap();
        publisher.send(MessageType::AUDIO, 0, &[0xAF, 1, 0]).unwrap();
        publisher.finish().unwrap();
    });
}

/// Serves one client that plays or publishes, with our own server. Calls `streaming` with the message stream when the stream
/// runs, and `message` with each published message.
fn serve_one(
    server: &rtmp_core::Server,
    mut streaming: impl FnMut(&mut rtmp_core::ServerSession, u32),
    mut message: impl FnMut(rtmp_core::message::Message),
) {
    let mut session = server.accept().unwrap();
    while let Some(event) = session.next_event().unwrap() {
        match event {
            ServerEvent::Request(Request::Play { stream_id, .. } | Request::Publish { stream_id, .. }) => {
                session.accept().unwrap();
                streaming(&mut session, stream_id);
            }
            ServerEvent::Request(_) => session.accept().unwrap(),
            ServerEvent::Message(received) => message(received),
            _ => {}
        }
    }
}

#[test]
fn both_sides_send_only_what_the_other_announces() {
    use rtmp_core::media::{self, FourCc, Frame, Kind, Packet, Track};
    use rtmp_core::session::{Capabilities, ability, feature};

    let mut own = Capabilities::default();
    own.set_codec(Kind::Video, FourCc::HEVC, ability::DECODE | ability::FORWARD);
    own.set_codec(Kind::Audio, FourCc::OPUS, ability::FORWARD);
    own.features = Some(feature::MODEX | feature::NANO);
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap().announce(own.clone());
    let port = server.local_addr().unwrap().port();
    let frame = Track { frame: Some(Frame::Key), ..Track::new(FourCc::HEVC, Packet::Frames, b"picture") };
    let key_frame = media::Message::new(Kind::Video, std::slice::from_ref(&frame));
    let second = [Track { id: 1, ..frame }];
    let sound = [Track::new(FourCc::OPUS, Packet::Frames, b"sound")];
    let unknown = [Track::new(FourCc::FLAC, Packet::Frames, b"sound")];
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            let (mut asked, mut received) = (None, Vec::new());
            serve_one(&server, |session, _| asked = Some(session.peer()), |message| received.push(message));
            (asked.unwrap(), received)
        });
        let announced = Capabilities::forwarding();
        let client = Client::new(&url(port)).unwrap().announce(announced.clone());
        let mut publisher = client.publish().unwrap();
        assert_eq!(publisher.peer(), own);
        publisher.send_media(0, &key_frame).unwrap();
        publisher
            .send_media(20, &media::Message { nano: Some(7), ..media::Message::new(Kind::Audio, &sound) })
            .unwrap();
        for message in [media::Message::new(Kind::Video, &second), media::Message::new(Kind::Audio, &unknown)]
        {
            let error = publisher.send_media(40, &message).unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
        }
        publisher.finish().unwrap();
        let (asked, received) = served.join().unwrap();
        assert_eq!(asked, announced);
        let bodies: Vec<_> = received.iter().map(|message| (message.timestamp, &message.body[..])).collect();
        let expected: [(u32, &[u8]); 2] = [(0, b"\x93hvc1picture"), (20, b"\x97\x02\0\0\x07\x01Opussound")];
        assert_eq!(bodies, expected);

        // With the option, the client connects.
        let served = scope.spawn(|| {
            let mut received = Vec::new();
            serve_one(&server, |_, _| {}, |message| received.push(message.body));
            received
        });
        let client = Client::new(&url(port)).unwrap().option("enhancedForce", "1").unwrap();
        let mut publisher = client.publish().unwrap();
        publisher.send_media(0, &media::Message::new(Kind::Video, &second)).unwrap();
        publisher.finish().unwrap();
        assert_eq!(served.join().unwrap(), [b"\x96\x03hvc1\x01picture"]);

        // A player that announces nothing gets one track of video, and no audio of the new kind.
        scope.spawn(|| {
            serve_one(
                &server,
                |session, stream_id| {
                    let peer = session.peer();
                    assert!(!peer.names_codecs() && peer.features.is_none());
                    for message in
                        [media::Message::new(Kind::Video, &second), media::Message::new(Kind::Audio, &sound)]
                    {
                        assert!(session.send_media(stream_id, 0, &message).is_err());
                    }
                    assert!(session.request_reconnect("", "").is_err());
                    session.send_media(stream_id, 0, &key_frame).unwrap();
                    session.end_stream(stream_id).unwrap();
                },
                |_| {},
            );
        });
        let mut player = Client::new(&url(port)).unwrap().play().unwrap();
        let played: Vec<_> = player.messages().map(|message| message.unwrap().body).collect();
        assert_eq!(played, [b"\x93hvc1picture"]);
    });
}

#[test]
fn a_player_follows_a_reconnect_request() {
    let [first, second] = [(), ()].map(|()| rtmp_core::Server::bind("127.0.0.1:0").unwrap());
    let [first_port, second_port] = [&first, &second].map(|server| server.local_addr().unwrap().port());
    let send = |session: &mut rtmp_core::ServerSession, stream_id, body: &[u8]| {
        session.send(stream_id, MessageType::AUDIO, 0, body).unwrap();
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            serve_one(
                &first,
                |session, stream_id| {
                    send(session, stream_id, b"\xAF\x01one");
                    let elsewhere = format!("//127.0.0.1:{second_port}/other");
                    session.request_reconnect(&elsewhere, "maintenance").unwrap();
                    // The server continues until the client leaves.
                    send(session, stream_id, b"\xAF\x01two");
                },
                |_| {},
            );
        });
        scope.spawn(|| {
            serve_one(
                &second,
                |session, stream_id| {
                    send(session, stream_id, b"\xAF\x01three");
                    session.end_stream(stream_id).unwrap();
                },
                |_| {},
            );
        });
        let client = Client::new(&url(first_port)).unwrap().option("reconnect", "1").unwrap();
        let mut player = client.play().unwrap();
        assert_eq!(player.reconnect(), None);
        let mut bodies = Vec::new();
        for _ in 0..2 {
            bodies.push(player.next_message().unwrap().unwrap().body);
        }
        let request = player.reconnect().expect("it came in front of the second message");
        assert_eq!(request.description, b"maintenance");
        let mut moved = client.follow(&request).unwrap().play().unwrap();
        drop(player);
        while let Some(message) = moved.next_message().unwrap() {
            bodies.push(message.body);
        }
        assert_eq!(bodies, [&b"\xAF\x01one"[..], b"\xAF\x01two", b"\xAF\x01three"]);
    });
}

#[test]
fn a_session_of_amf3_has_metadata_in_amf3() {
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // A format byte, the name as AMF0, and an object {width: 64} of AMF3.
    let metadata = b"\0\x02\0\x0AonMetaData\x11\x0A\x0B\x01\x0Bwidth\x04\x40\x01";
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                serve_one(
                    &server,
                    |session, stream_id| {
                        session.send(stream_id, MessageType::DATA_AMF3, 0, metadata).unwrap();
                        session.send(stream_id, MessageType::AUDIO, 20, b"\xAF\x01x").unwrap();
                        session.end_stream(stream_id).unwrap();
                    },
                    |_| {},
                );
            }
        });
        let client = Client::new(&url(port)).unwrap().option("objectEncoding", "3").unwrap();
        let tags = read_all(&mut client.play().unwrap());
        let kinds: Vec<_> = tags.iter().map(|tag| tag.kind).collect();
        assert_eq!((kinds, &tags[0].body[..]), (vec![15, 8], &metadata[..]));
        let mut player = Client::new(&format!("{} objectEncoding=0", url(port))).unwrap().play().unwrap();
        assert_eq!(read_all(&mut player).len(), 1);
    });
}
