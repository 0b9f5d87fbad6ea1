//! The session layer against a scripted server: every command sent, every message and command received.
//!
//! Each case is a list of steps for one C program and a script for the server. What the program prints and what the
//! server gets is recorded from the original in `tests/vectors/session/<case>.txt`; ours has to do the same, apart
//! from [`DIFFERENCES`]. `RTMP_TEST_RECORD=1` writes the files anew.
#![forbid(unsafe_code)]

#[path = "session_peer/cases.rs"]
mod cases;
mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use cases::{COMMANDS, Case, MESSAGES, PLAY, PUBLISH, send_control};
use support::amf::{self, s};
use support::wire::Message;
use support::{Library, Program, Server, hex, library};

const LIMIT: Duration = Duration::from_secs(30);

/// A line of a recording that is different with ours.
struct Difference {
    case: &'static str,
    original: &'static str,
    ours: &'static str,
    why: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        case: "end-through-media",
        original: "-> 2 | connected=0 stream_id=-1 numInvokes=0 bytesIn=0 playpath=NULL\nclose: -> 0 | playing=0\n",
        ours: "-> 2 | connected=0 playing=0 stream_id=-1 numInvokes=0 bytesIn=0 playpath=NULL\nclose: -> 0 |\n",
        why: "a closed session is not playing: the original sets m_bPlaying again after it has closed",
    },
    Difference {
        case: "end-through-media-after-pause",
        original: "media: -> 0 | connected=0",
        ours: "media: type 20 time 0 size 89 -> 2 | connected=0",
        why: "the end of the stream is delivered: the original drops it as a frame that is not newer than the last",
    },
];

/// What a case shows: the program's output, then the client's messages.
fn play(library: Library, case: &Case) -> Option<(String, Vec<String>)> {
    let program = Program::test("session_driver")?;
    let script = case.server;
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
        (peer.transcript(), peer.violations().to_vec())
    });
    let port = server.port.to_string();
    let run = program.run(library, &[], &case.steps.replace("PORT", &port), LIMIT)?;
    let shown = run.expect(case.name);
    let (transcript, violations) = server.join();
    let text = format!("{shown}\nmessages of the client:\n{transcript}").replace(&port, "PORT");
    Some((text, violations))
}

fn recording(case: &Case) -> std::path::PathBuf {
    library::package().join("tests/vectors/session").join(format!("{}.txt", case.name))
}

/// Runs the cases side by side and collects what went wrong.
fn run_all(library: Library, cases: &'static [Case]) {
    need!(library.file());
    need!(Program::test("session_driver"));
    let threads: Vec<_> = cases.iter().map(|case| thread::spawn(move || check(library, case))).collect();
    let failures: Vec<String> = threads
        .into_iter()
        .zip(cases)
        .filter_map(|(thread, case)| match thread.join() {
            Ok(result) => result.err().map(|error| format!("{}: {error}", case.name)),
            Err(_) => Some(format!("{}: panicked, see above", case.name)),
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn check(library: Library, case: &Case) -> Result<(), String> {
    let (text, violations) = play(library, case).ok_or("the library went away")?;
    let file = recording(case);
    let original = library == Library::Original || library::ours_is_original();
    if original && std::env::var_os("RTMP_TEST_RECORD").is_some() {
        fs::create_dir_all(file.parent().expect("a file has a directory"))
            .map_err(|error| error.to_string())?;
        fs::write(&file, &text).map_err(|error| error.to_string())?;
    }
    let mut expected = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !original {
        for difference in DIFFERENCES.iter().filter(|difference| difference.case == case.name) {
            if !expected.contains(difference.original) {
                return Err(format!("a listed difference is not in the recording ({})", difference.why));
            }
            expected = expected.replace(difference.original, difference.ours);
        }
        if !violations.is_empty() {
            return Err(format!("against the protocol: {violations:?}"));
        }
    }
    for (expected, found) in expected.lines().zip(text.lines()) {
        if expected != found {
            return Err(format!("\n  expected {expected}\n  found    {found}"));
        }
    }
    if expected != text {
        return Err(format!("the lengths differ:\n--- expected\n{expected}\n--- found\n{text}"));
    }
    Ok(())
}

#[test]
fn the_original_sends_the_recorded_commands() {
    run_all(Library::Original, COMMANDS);
}

#[test]
fn ours_sends_the_recorded_commands() {
    run_all(Library::Ours, COMMANDS);
}

#[test]
fn the_original_reacts_as_recorded() {
    run_all(Library::Original, MESSAGES);
}

#[test]
fn ours_reacts_as_recorded() {
    run_all(Library::Ours, MESSAGES);
}

/// The connect message as it was measured, for a URL with the port 19350.
#[test]
fn connect_is_byte_for_byte_the_measured_one() {
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
            send_control(peer, 6, &[0, 0, 0x03, 0xe8, 2]);
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

/// A server that announces only Window Acknowledgement Size (type 5) expects acknowledgements within that window. The
/// original looks at Set Peer Bandwidth (type 6) alone and lets such a server wait.
#[test]
fn ours_acknowledges_within_the_window_of_the_server() {
    if library::ours_is_original() {
        return;
    }
    const WINDOW: u32 = 5000;
    let program = need!(Program::test("session_driver"));
    let server = Server::once(|peer| {
        peer.accept_play();
        send_control(peer, 5, &WINDOW.to_be_bytes());
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

/// The messages a client must not trip over: the original hangs, reads behind the body or crashes. Afterwards an audio
/// message must arrive as usual.
#[test]
fn hostile_messages_change_nothing() {
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
