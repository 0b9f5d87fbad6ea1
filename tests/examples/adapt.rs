//! The example `adapt`: the frames that it omits on a slow network, and its recovery from a lost connection.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use socket2::SockRef;

use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Running, Server, TempDir, flv::Tag, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// Two seconds of large pictures, every tenth a key frame, after metadata and a configuration.
fn film(directory: &TempDir) -> PathBuf {
    let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    let mut add = |kind: u8, timestamp: u32, body: &[u8]| {
        let size = (body.len() as u32).to_be_bytes();
        let time = timestamp.to_be_bytes();
        let header = [kind, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0];
        bytes.extend(header);
        bytes.extend(body);
        bytes.extend((body.len() as u32 + 11).to_be_bytes());
    };
    add(18, 0, b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09");
    add(9, 0, &[0x17, 0, 0, 0, 0, 1]);
    for number in 0..50_u32 {
        let mut body = vec![number as u8; 30_000];
        body[..5].copy_from_slice(&[if number % 10 == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        add(9, number * 40, &body);
    }
    let file = directory.join("film.flv");
    fs::write(&file, bytes).expect("the directory is writable");
    file
}

fn start(file: &std::path::Path, url: &str) -> Option<Running> {
    let mut command = Program::made_example_of_ours("adapt")?.command(Library::Ours)?;
    command.args(["-b", "60000"]).arg(file).arg(url).stdout(Stdio::piped());
    Some(Running::start(&mut command))
}

fn pictures(messages: &[Message]) -> Vec<Tag> {
    let videos = messages.iter().filter(|message| message.kind == 9);
    videos.map(|message| Tag { kind: 9, timestamp: message.timestamp, body: message.body.clone() }).collect()
}

#[test]
fn frames_are_skipped_up_to_a_key_frame_while_the_network_is_slow() {
    let directory = TempDir::new("adapt");
    let file = film(&directory);
    let (go_on, wait) = mpsc::channel::<()>();
    let server = Server::listen(move |listener: &TcpListener| {
        SockRef::from(listener).set_recv_buffer_size(16 << 10).expect("sockets have buffers");
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        wait.recv_timeout(LIMIT).expect("it notices");
        peer.drain(LIMIT);
        assert!(peer.violations().is_empty(), "{:?}", peer.violations());
        pictures(&peer.messages)
    });
    let mut running = need!(start(&file, &server.url()));
    let noticed = wait_until(LIMIT, || running.stdout().contains("skipping frames"));
    assert!(noticed, "{}{}", running.stdout(), running.stderr());
    go_on.send(()).unwrap();
    assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
    let received = server.join();
    let frames: Vec<&Tag> = received.iter().filter(|tag| !tag.is_sequence_header()).collect();
    assert!(frames.len() < 50 && frames.len() >= 3, "{} frames: {}", frames.len(), running.stdout());
    assert!(
        running.stdout().contains(&format!("skipped {}, connections 1", 50 - frames.len())),
        "{}",
        running.stdout()
    );
    for pair in frames.windows(2) {
        let follows = pair[1].timestamp == pair[0].timestamp + 40;
        assert!(follows || pair[1].is_key_frame(), "{} after {}", pair[1].timestamp, pair[0].timestamp);
    }
}

#[test]
fn stream_continues_with_a_key_frame_after_a_lost_connection() {
    let directory = TempDir::new("adapt");
    let file = film(&directory);
    let server = Server::listen(move |listener: &TcpListener| {
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        while pictures(&peer.messages).len() < 5 {
            peer.next(LIMIT).expect("pictures come");
        }
        drop(peer);
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
        let media = peer.messages.iter().filter(|message| matches!(message.kind, 9 | 18)).cloned();
        media.collect::<Vec<_>>()
    });
    let mut running = need!(start(&file, &server.url()));
    assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
    assert!(running.stdout().contains("connections 2"), "{}", running.stdout());
    assert!(running.stderr().contains("again in 500 ms"), "{}", running.stderr());
    let again = server.join();
    assert_eq!(again[0].kind, 18, "metadata comes first");
    let pictures = pictures(&again);
    assert!(pictures[0].is_sequence_header() && pictures[1].is_key_frame(), "{:?}", &pictures[..2].len());
    assert!(pictures[1].timestamp >= 400, "it does not begin again");
}
