//! The session layer against a scripted server: the bytes of the connect message, acknowledgements, hostile messages.
//! Everything else about sessions is compared with the original, in `compare`.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::amf::{self, s};
use crate::support::wire::Message;
use crate::support::{Library, Program, Server, hex, library};

const LIMIT: Duration = Duration::from_secs(30);
const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\n";
const PUBLISH: &str =
    "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n";

/// The connect message as it was measured, for a URL with the port 19350.
#[test]
fn connect_command_matches_the_recorded_bytes() {
    const PLAY_WIRE: &str = "030000000000b31400000000020007636f6e6e656374003ff00000000000000300036170700200086170702f69\
        6e73740005746355726c02001f72746d703a2f2f3132372e302e302e313a31393335302f6170702f696e73740004667061640100000c6361\
        706162696c697469657300402e000000000000000b617564696f436f646563730040a8ee000000c30000000b766964656f436f64656373\
        00406f800000000000000d766964656f46756e6374696f6e003ff0000000000000000009";
    const PUBLISH_WIRE: &str = "030000000000631400000000020007636f6e6e656374003ff00000000000000300036170700200086170702f\
        696e737400047479706502000a6e6f6e707269766174650005746355726c02001f72746d703a2f2f3132372e302e302e313a3139333530\
        2f6170702f696e7374000009";
    for library in [Library::Original, Library::Ours] {
        for (steps, wire) in [(PLAY, PLAY_WIRE), (PUBLISH, PUBLISH_WIRE)] {
            let program = need!(Program::test("session_driver"));
            let server = Server::once(|peer| {
                peer.handshake();
                peer.wait_for("connect");
                peer.finish();
                peer.drain(LIMIT);
                peer.bytes.clone()
            });
            let port = server.port.to_string();
            need!(program.run(library, &[], &steps.replace("PORT", &port), LIMIT)).expect("session_driver");
            let expected = hex::decode(wire);
            let mut found = server.join();
            found.truncate(expected.len());
            let found = hex::encode(&found).replace(&hex::encode(port.as_bytes()), &hex::encode(b"19350"));
            assert_eq!(found, hex::encode(&expected), "{library:?}");
        }
    }
}

/// The client's acknowledgements, as numbers.
fn acknowledgements(messages: &[Message]) -> Vec<u32> {
    let bodies = messages.iter().filter(|message| message.kind == 3).map(|message| message.body.as_slice());
    bodies.map(|body| u32::from_be_bytes(body.try_into().expect("four bytes"))).collect()
}

/// After Set Peer Bandwidth the client acknowledges every tenth of that many bytes, as soon as the message that
/// crosses the line has arrived or in its middle.
#[test]
fn acknowledgements_come_every_tenth_of_the_bandwidth() {
    const MESSAGE: u32 = 150 + 12 + 1;
    let program = need!(Program::test("session_driver"));
    for library in [Library::Original, Library::Ours] {
        let server = Server::once(|peer| {
            peer.accept_play();
            peer.send_control(6, &[0, 0, 0x03, 0xe8, 2]);
            for time in 0..20 {
                peer.send(&Message::new(6, time, 9, 1, &[0x27; 150]));
            }
            peer.drain(LIMIT);
            peer.messages.clone()
        });
        let steps = PLAY.replace("PORT", &server.port.to_string()) + &"media\n".repeat(20);
        need!(program.run(library, &[], &steps, LIMIT)).expect("session_driver");
        let counts = acknowledgements(&server.join());
        // 20 messages after the handshake, the two results, the status and the bandwidth message.
        let last = counts.last().copied().unwrap_or(0);
        let gaps: Vec<u32> = counts.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(gaps.iter().all(|gap| (101..=100 + MESSAGE).contains(gap)), "{library:?}: {counts:?}");
        assert!(last > 3073 + 20 * MESSAGE - 263 && counts.len() >= 12, "{library:?}: {counts:?}");
    }
}

/// A server that announces only Window Acknowledgement Size (type 5) expects acknowledgements within that
/// window. librtmp 2.4 uses only Set Peer Bandwidth (type 6) and makes such a server wait.
#[test]
fn ours_acknowledges_within_the_window_of_the_server() {
    if library::ours_is_original() {
        return;
    }
    const WINDOW: u32 = 5000;
    let program = need!(Program::test("session_driver"));
    let server = Server::once(|peer| {
        peer.accept_play();
        peer.send_control(5, &WINDOW.to_be_bytes());
        for time in 0..8 {
            peer.send(&Message::new(6, time, 9, 1, &[0x27; 1000]));
        }
        peer.drain(LIMIT);
        peer.messages.clone()
    });
    let steps = PLAY.replace("PORT", &server.port.to_string()) + &"media\n".repeat(8);
    need!(program.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
    let counts = acknowledgements(&server.join());
    // 8000 bytes and more have arrived since the window was announced.
    assert!(!counts.is_empty(), "no acknowledgement");
    let all: Vec<u32> = std::iter::once(0).chain(counts.iter().copied()).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "sequence numbers must grow: {counts:?}");
    assert!(
        counts.windows(2).all(|pair| pair[1] - pair[0] <= WINDOW),
        "further apart than the window: {counts:?}"
    );
}

/// A server that has sent everything may have closed before the client has read it. Acknowledgements that it
/// no longer accepts become due in the middle; librtmp 2.4 gives up there, and loses the received bytes.
#[test]
fn ours_reads_what_arrived_before_the_connection_broke() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("session_driver"));
    let server = Server::once(|peer| {
        peer.accept_play();
        peer.wait_for("pause");
        peer.send_control(6, &[0, 0, 0x03, 0xe8, 2]);
        for time in 0..20 {
            peer.send(&Message::new(6, time, 9, 1, &[0x27; 150]));
        }
        peer.leave();
    });
    let arrived = 17 + 20 * (12 + 150 + 1);
    let more = format!("pause 1\nset pausing 0\nsettle {arrived}\nbuffer 1000\nbroken\n");
    let steps = PLAY.replace("PORT", &server.port.to_string()) + &more + &"media\n".repeat(21);
    let output = need!(program.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
    server.join();
    assert!(output.contains("broken: -> 1"), "{output}");
    let times: Vec<&str> =
        output.lines().filter_map(|line| line.strip_prefix("media: type 9 time ")).collect();
    assert_eq!(times.len(), 20, "{output}");
    assert!(output.lines().any(|line| line.starts_with("media: -> 0")), "the end: {output}");
}

/// Messages that a client must survive: librtmp 2.4 hangs, reads past the body or crashes. Afterwards an
/// audio message must arrive as usual.
#[test]
fn hostile_messages_are_ignored() {
    if library::ours_is_original() {
        return;
    }
    let hostile: &[(u8, &[u8])] = &[
        (1, &[0, 0, 0, 0]),
        (1, &[0x80, 0, 0, 0]),
        (1, &[0, 0]),
        (3, &[]),
        (4, &[]),
        (4, &[0]),
        (4, &[0, 6, 0]),
        (5, &[1]),
        (6, &[]),
        (0x11, &[]),
        (0x11, &[0]),
        (0x12, &[2, 0xff, 0xff, b'x']),
        (0x12, &[]),
        (0x14, &[2, 0, 8]),
        (0x14, &[]),
        (0x14, &[2, 0, 7, b'_', b'r', b'e', b's', b'u', b'l', b't']),
        (0x16, &[9]),
        (0xff, &[0xff; 200]),
    ];
    let program = need!(Program::test("session_driver"));
    let server = Server::once(move |peer| {
        peer.accept_play();
        for (kind, body) in hostile {
            peer.send(&Message::new(5, 0, *kind, 0, body));
        }
        let mut nested = amf::encode(&[s("onMetaData")]);
        for _ in 0..30_000 {
            nested.extend([3, 0, 1, b'a']);
        }
        peer.send(&Message::new(5, 0, 0x12, 1, &nested));
        peer.send(&Message::new(4, 77, 8, 1, &[0xaf, 1, 1, 2]));
        peer.drain(LIMIT);
    });
    let steps = PLAY.replace("PORT", &server.port.to_string()) + &"packet\n".repeat(hostile.len() + 2);
    let output = need!(program.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
    server.join();
    let last = output.lines().last().unwrap_or("nothing");
    assert!(last.starts_with("packet: type 8 time 77 size 4 -> 1"), "{output}");
}
