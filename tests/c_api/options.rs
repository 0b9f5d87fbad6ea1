//! Options that librtmp 2.4 does not have, and their effect on a connection.
#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::amf::{self, n, s};
use crate::support::flv::{self, Tag};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server, TempDir, examples};

const LIMIT: Duration = Duration::from_secs(120);

/// Plays a few sounds with these options; returns the program's lines about its socket.
fn socket(options: &str) -> Option<String> {
    let server = Server::of_sounds(5);
    let url = format!("{} timeout=20 {options}", server.url());
    let run = Program::test("socket_options")?.run(Library::Ours, &[&url, "play"], "", LIMIT)?;
    server.join();
    Some(run.expect("socket_options"))
}

#[test]
fn socket_has_the_requested_options() {
    let idle = |text: &str| text.split_whitespace().last().unwrap_or_default().to_owned();
    let usual = need!(socket(""));
    assert!(usual.starts_with("nodelay 1 keepalive 0 "), "{usual}");
    assert!(need!(socket("nodelay=0")).starts_with("nodelay 0 keepalive 0 "));
    assert!(need!(socket("nodelay=1 keepalive=0")).starts_with("nodelay 1 keepalive 0 "));
    let probed = need!(socket("keepalive=77"));
    assert!(probed.starts_with("nodelay 1 keepalive 1 ") && idle(&probed) == "77", "{probed}");
}

#[test]
fn a_timeout_in_milliseconds_goes_before_one_in_seconds() {
    let (ended, end) = mpsc::channel::<()>();
    let server = Server::listen(move |listener| {
        let peer = Peer::accept(listener);
        end.recv_timeout(LIMIT).expect("the program ends");
        drop(peer);
    });
    let start = Instant::now();
    let url = format!("{} timeout=600 timeoutMs=300", server.url());
    let program = need!(Program::test("socket_options"));
    let run = need!(program.run(Library::Ours, &[&url, "play"], "", LIMIT));
    ended.send(()).unwrap();
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < LIMIT, "{run:?}");
    server.join();
}

/// How the connection of a publisher ends that waits too long for a peer that does not read.
fn ending(options: &str) -> Option<Option<ErrorKind>> {
    let (ended, end) = mpsc::channel::<()>();
    let server = Server::listen(move |listener: &TcpListener| {
        let (mut raw, _) = listener.accept().unwrap();
        raw.set_nodelay(true).unwrap();
        let mut peer = Peer::over(Box::new(raw.try_clone().unwrap()));
        peer.accept_publish();
        end.recv_timeout(LIMIT).expect("the program ends");
        raw.set_read_timeout(Some(LIMIT)).unwrap();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match raw.read(&mut buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(error.kind()),
            }
        }
    });
    let url = format!("{} timeoutMs=500 {options}", server.url());
    let run = Program::test("socket_options")?.run(Library::Ours, &[&url, "publish"], "", LIMIT)?;
    run.expect("socket_options");
    ended.send(()).unwrap();
    Some(server.join())
}

#[test]
fn close_reset_resets_the_connection_after_a_failed_send() {
    assert_eq!(need!(ending("")), None);
    assert_eq!(need!(ending("closeReset=1")), Some(ErrorKind::ConnectionReset));
}

#[test]
fn data_option_returns_all_data_and_short_messages() {
    let cue = amf::encode(&[s("onCuePoint"), n(1.5)]);
    let metadata = amf::encode(&[s("onMetaData"), n(1.0)]);
    let caption = [vec![0], amf::encode(&[s("onCaption"), s("words")])].concat();
    let sent = [
        (9, 10, vec![0x17; 50]),
        (8, 10, vec![0xAF; 50]),
        (18, 20, metadata),
        (18, 30, cue),
        (15, 40, caption),
        (9, 50, vec![0x17, 2, 0, 0, 0]),
        (8, 60, vec![0xAF]),
        (8, 70, vec![]),
        (9, 80, vec![0x27; 50]),
    ];
    let all = sent.clone().map(|(kind, timestamp, body)| Tag { kind, timestamp, body });
    let read = |options: &str| {
        let messages = sent.clone();
        let server = Server::once(move |peer| {
            peer.accept_play();
            for (kind, timestamp, body) in &messages {
                peer.send(&Message::new(6, *timestamp, *kind, 1, body));
            }
            peer.status(1, "status", "NetStream.Play.Complete", "");
            peer.drain(LIMIT);
        });
        let directory = TempDir::new("all-data");
        let file = directory.join("out.flv");
        examples::receive(Library::Ours, &format!("{} {options}", server.url()), &file)?;
        server.join();
        Some(flv::load(&file))
    };
    assert_eq!(need!(read("data=all")), all);
    let usual: Vec<Tag> =
        all.into_iter().filter(|tag| tag.kind != 15 && !(30..=70).contains(&tag.timestamp)).collect();
    assert_eq!(need!(read("")), usual);
    assert_eq!(need!(read("data=media")), usual);
}
