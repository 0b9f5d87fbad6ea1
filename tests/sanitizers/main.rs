//! The C side under the address and undefined-behaviour sanitizers: what the library hands to programs is theirs, and what
//! they hand over is used as the headers say. A sanitizer ends the program that it finds fault with, and programs that
//! leave memory behind.
//!
//! `make sanitize` runs this with a library that has been built with the address sanitizer itself.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

#[path = "../c_api/careless/cases.rs"]
mod careless_cases;
#[path = "../compare/cases.rs"]
mod cases;
#[allow(dead_code)] // here all of them are cut at few bytes
#[path = "../peers/hostile/handshakes.rs"]
mod handshakes;
mod server_sanitized;
mod thread_sanitizer;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use careless_cases::{LIMIT, MISUSE};
use cases::{COMMANDS, Case, MESSAGES};
use support::amf::{Value, ecma, n, object, s};
use support::examples::{Client, ExampleServer};
use support::torrent::{End, Torrent};
use support::wire::Message;
use support::{Library, Program, Server, TempDir, amf, clip, flv, library, program};

#[test]
fn careless_programs_access_only_valid_memory() {
    need!(program::sanitize());
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("misuse"));
    for scenario in MISUSE {
        let server = scenario.serve();
        let url = format!("rtmp://127.0.0.1:{}/app/stream.flv", server.port);
        let run = need!(program.run(Library::Ours, &[scenario.name, &url], "", LIMIT));
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}: {}", scenario.name, run.stderr);
        server.join();
    }
}

/// How long each run of `random_calls` takes; `make sanitize` sets it.
fn random_calls_time() -> Duration {
    let seconds = std::env::var("RANDOM_CALLS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

#[test]
fn random_calls_access_only_valid_memory_and_free_it() {
    need!(program::sanitize());
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test_of_ours("random_calls"));
    for seed in ["4", "5", "6"] {
        let time = random_calls_time().as_millis().to_string();
        let run = need!(program.run(Library::Ours, &[seed, &time], "", LIMIT + random_calls_time()));
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "done\n"), "seed {seed}: {}", run.stderr);
    }
}

#[test]
fn hostile_amf_is_read_within_its_bounds_and_freed() {
    need!(program::sanitize());
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("amf_hostile"));
    let run = need!(program.run(Library::Ours, &["5000"], "", LIMIT));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
}

#[test]
fn failed_handshakes_leak_nothing() {
    need!(program::sanitize());
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("handshake_cut"));
    for cut in handshakes::cuts() {
        need!(cut.run(&program, 0, 61));
    }
}

/// All kinds of reading, of a struct that moves and connects again.
#[test]
fn received_bytes_are_where_the_struct_points() {
    need!(program::sanitize());
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("fast_peer"));
    let disturbed = [(End::Gone, "t"), (End::Gone, "a")];
    for (end, options) in [(End::Slow, "mw"), (End::Cut, "b"), (End::Late, "u")].into_iter().chain(disturbed)
    {
        let torrent = Torrent::new(10, 2 << 20, 6).with_end(end);
        let server = torrent.clone().serve(2);
        let run = need!(program.run(Library::Ours, &[&server.url(), "nprkR", options, "2"], "", LIMIT));
        assert_eq!(run.code, Some(0), "{options}: {}", run.stderr);
        if end == End::Gone {
            continue; // Some of it is lost, and what is not is compared elsewhere.
        }
        assert!(run.stdout == (torrent.arrives().join("\n") + "\n").repeat(2), "{options}: other messages");
        server.join();
    }
}

/// Every session that `compare` compares with the original.
#[test]
fn sessions_access_only_valid_memory() {
    need!(program::sanitize());
    let program = need!(Program::test("session_driver"));
    let cases: Vec<&Case> = COMMANDS.iter().chain(MESSAGES).collect();
    thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|case| run_session(&program, case)));
        }
    });
}

fn run_session(program: &Program, case: &Case) {
    let script = case.server;
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
    });
    let steps = case.steps.replace("PORT", &server.port.to_string());
    let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
    assert_eq!(run.code, Some(0), "{}: {}", case.name, run.stderr);
    server.join();
}

/// The server example with publishers, players and clients that mean it no good, until it is told to end.
#[test]
fn examples_survive_hostile_clients() {
    need!(program::sanitize());
    let clip = need!(clip::flv());
    let folder = TempDir::new("sanitized-server");
    std::fs::copy(&clip, folder.join("film.flv")).expect("the build directory is writable");
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let received = folder.join("received.flv").to_string_lossy().into_owned();
    let film = clip.to_string_lossy().into_owned();
    let run = |program: &str, arguments: &[&str]| {
        Client::example(program, Library::Ours, arguments)?.finish().expect(program);
        Some(())
    };
    // Side by side, because films take their time.
    let round = |name: &str| {
        let urls = ["", "-packets"].map(|kind| server.url("rtmp", &format!("live/{name}{kind}")));
        thread::scope(|scope| {
            scope.spawn(|| run("publish", &["-q", "-t", "20", &film, &urls[0]]));
            scope.spawn(|| run("publish_packets", &["-q", "-t", "20", &film, &urls[1]]));
            run("receive", &["-q", "-t", "20", "-o", &received, &server.url("rtmp", "vod/film")])
        })?;
        let sent = flv::media(&flv::load(&clip));
        flv::assert_equal(&flv::readable(&sent), &flv::media(&flv::load(received.as_ref())), "receive");
        Some(())
    };
    need!(round("before"));
    hostile_clients(server.port());
    need!(round("after"));
    let run = server.finish();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("runtime error") && !run.stderr.contains("Sanitizer"), "{}", run.stderr);
}

/// What a hostile client says after the handshake.
fn hostile_clients(port: u16) {
    // Cut in the handshake.
    for cut in (0..3073).step_by(307) {
        let mut stream = connect(port);
        let _ = stream.write_all(&[&[3][..], &[0; 3072]].concat()[..cut]);
    }
    let mut nested = amf::encode(&[s("connect"), n(1)]);
    nested.extend([3, 0, 1, b'a'].repeat(3500));
    let connect =
        amf::encode(&[s("connect"), n(1), object(&[("app", s("live")), ("tcUrl", s("rtmp://h/live"))])]);
    let command = |name: &str| {
        let mut values = vec![s(name), n(7), Value::Null, s("x"), s("live"), n(-1e300)];
        values.push(ecma(&[("", Value::Undefined)]));
        amf::encode(&values)
    };
    let mut messages = vec![
        Message::new(3, 0, 0x14, 0, &nested),
        Message::new(3, 0, 0x14, 0, &connect),
        Message::new(3, 0, 0x14, 0, &connect[..40]),
        Message::new(3, 0, 0x11, 0, &[]),
        Message::new(2, 0, 1, 0, &[0; 4]),
        Message::new(2, 0, 1, 0, &[0xff; 4]),
    ];
    for name in ["createStream", "publish", "play", "pause", "seek", "deleteStream", "FCPublish", "", "play"]
    {
        messages.push(Message::new(3, 0, 0x14, 1, &command(name)));
        let whole = command(name);
        messages.extend((0..whole.len()).step_by(5).map(|cut| Message::new(3, 0, 0x14, 1, &whole[..cut])));
    }
    for kind in 0..0x18 {
        messages
            .extend((0..12).map(|len| Message::new(4, u32::MAX - len, kind, 1, &vec![0xff; len as usize])));
    }
    let chunks = |messages: &[Message]| -> Vec<u8> {
        messages.iter().flat_map(|message| message.chunks(128)).collect()
    };
    // Some by themselves, because the server may close at the first; then all, forwards and backwards.
    for message in messages.iter().step_by(7) {
        talk(port, &chunks(std::slice::from_ref(message)));
        talk(port, &chunks(&[messages[1].clone(), message.clone()]));
    }
    talk(port, &chunks(&messages[1..]));
    messages.reverse();
    talk(port, &chunks(&messages));
    let noise: Vec<u8> = (0..9000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    talk(port, &noise);
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a positive time-out");
    stream
}

/// Shakes hands, says something, says goodbye and waits for the server to end the connection.
fn talk(port: u16, bytes: &[u8]) {
    let mut stream = connect(port);
    stream.write_all(&[&[3][..], &[0; 1536]].concat()).expect("the server reads");
    stream.read_exact(&mut [0; 3073]).expect("the server answers");
    let _ = stream.write_all(&[0; 1536]);
    // A server that has heard enough closes while bytes are on their way.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}
