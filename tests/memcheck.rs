//! C programs on our library under valgrind: no access to memory that is not theirs or not written, nothing lost.
#![forbid(unsafe_code)]

#[path = "c_api/careless/cases.rs"]
mod careless_cases;
#[path = "compare/cases.rs"]
mod cases;
mod support;

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use careless_cases::MISUSE;
use cases::{COMMANDS, Case, MESSAGES};
use support::servers::Nginx;
use support::torrent::{End, Torrent};
use support::wire::Message;
use support::{Library, Peer, Program, Run, Server, TempDir, clip, flv, library, process, program, require};

/// valgrind is slow, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(120);
/// The exit status that valgrind is told to use.
const FOUND: i32 = 99;

/// Runs a program on our library under valgrind; panics when valgrind has found something.
fn memcheck(program: &Program, arguments: &[&str], input: &str, what: &str) -> Option<Run> {
    let leaks = ["--leak-check=full", "--errors-for-leak-kinds=definite,indirect"];
    memcheck_with(&leaks, program, arguments, input, what)
}

/// As [`memcheck`], with options for valgrind.
fn memcheck_with(
    options: &[&str],
    program: &Program,
    arguments: &[&str],
    input: &str,
    what: &str,
) -> Option<Run> {
    let valgrind = require::program("valgrind")?;
    let plain = program.command(Library::Ours)?;
    let mut command = Command::new(valgrind);
    command.args(["-q", "--show-leak-kinds=definite,indirect", "--num-callers=30", "--track-fds=yes"]);
    command.args(options);
    command.arg(format!("--error-exitcode={FOUND}")).arg(plain.get_program()).args(arguments);
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = program::run(&mut command, input, LIMIT);
    assert!(!run.timed_out, "{what}: {run:?}");
    assert_ne!(run.code, Some(FOUND), "{what}:\n{}\n{}", run.stdout, run.stderr);
    let left = descriptors_left(&run.stderr);
    assert!(left.is_empty(), "{what} has left {left:?}:\n{}", run.stderr);
    Some(run)
}

/// The descriptors that valgrind found open at the end of a program, without those that it was started with.
fn descriptors_left(report: &str) -> Vec<&str> {
    let mut lines = report.lines().filter_map(|line| line.strip_prefix("==")?.split_once("== ")).peekable();
    let mut left = Vec::new();
    while let Some((_, line)) = lines.next() {
        let open =
            line.strip_prefix("Open ").filter(|what| what.contains("descriptor") || what.contains("socket"));
        if let Some(what) = open
            && !lines.peek().is_some_and(|(_, next)| next.contains("<inherited from parent>"))
        {
            left.push(what);
        }
    }
    left
}

#[test]
fn descriptors_that_are_left_are_noticed() {
    let report = "==7== FILE DESCRIPTORS: 3 open (2 std) at exit.\n\
                  ==7== Open AF_INET socket 5: 127.0.0.1:43210 <-> 127.0.0.1:1935\n==7==    at 0x1: socket\n\
                  ==7== Open file descriptor 4: /dev/null\n==7==    <inherited from parent>\n";
    assert_eq!(descriptors_left(report), ["AF_INET socket 5: 127.0.0.1:43210 <-> 127.0.0.1:1935"]);
}

/// Runs a scenario of `tests/c/careless.c` and returns its steps.
fn careless(scenario: &str, port: u16) -> Option<String> {
    let url = format!("rtmp://127.0.0.1:{port}/app/stream.flv");
    let run = memcheck(&Program::test("careless")?, &[scenario, &url], "", scenario)?;
    assert_eq!(run.code, Some(0), "{scenario}: {run:?}");
    Some(run.stdout)
}

/// What a player gets: a few frames in several chunks each, then the start of a message that never ends.
fn play_film(peer: &mut Peer) {
    peer.accept_play();
    for frame in 0..20_u32 {
        peer.send(&Message::new(6, frame * 40, 9, 1, &[frame as u8; 700]));
        peer.send(&Message::new(5, frame * 40, 8, 1, &[frame as u8; 60]));
    }
    let unfinished = Message::new(6, 900, 9, 1, &[7; 700]).chunks(128);
    peer.send_raw(&unfinished[..300]);
    peer.finish();
    peer.drain(LIMIT);
}

/// What a server does with one connection.
type Script = fn(&mut Peer);

/// As many connections as a scenario makes.
fn servers(connections: usize, script: Script) -> Server<()> {
    Server::listen(move |listener| {
        for _ in 0..connections {
            script(&mut Peer::accept(listener));
        }
    })
}

#[test]
fn players_lose_nothing() {
    for (scenario, connections, expected) in [
        ("play", 1, "open: 1\nread: 1\n"),
        ("reuse", 2, "open: 1\nread: 1\nopen: 1\nread: 1\n"),
        ("move", 1, "setup: 1\nconnect: 1\nstream: 1\nread: 15813\n"),
        ("packets", 1, "open: 1\npackets: 1\n"),
        ("callback", 1, "open: 1\nconnected: 0\n"),
    ] {
        let server = servers(connections, play_film);
        assert_eq!(need!(careless(scenario, server.port)), expected, "{scenario}");
        server.join();
    }
}

#[test]
fn publishers_lose_nothing() {
    fn script(peer: &mut Peer) {
        peer.accept_publish();
        peer.drain(LIMIT);
    }
    let half = "open: 1\nwrite: 15\nbody NULL\nwrite: -1\n";
    let sends = "open: 1\nsend: 1\nsend: 1\nsend: 1\nsend: 0\n";
    let freed = "open: 1\nwrite: 15\nbody set, 4\nwrite: 18\nwrite: 11\nwrite: 15\n";
    for (scenario, connections, expected) in
        [("write", 2, half.repeat(2)), ("borrowed", 1, sends.to_owned()), ("half", 1, freed.to_owned())]
    {
        let server = servers(connections, script);
        assert_eq!(need!(careless(scenario, server.port)), expected, "{scenario}");
        server.join();
    }
}

/// What `careless` checks for itself, side by side.
#[test]
fn misuse_loses_nothing() {
    let program = need!(Program::test("misuse"));
    need!(require::program("valgrind"));
    if library::ours_is_original() {
        return;
    }
    thread::scope(|scope| {
        for part in MISUSE.chunks(MISUSE.len().div_ceil(2)) {
            let program = &program;
            scope.spawn(move || {
                for scenario in part {
                    let server = scenario.serve();
                    let url = format!("rtmp://127.0.0.1:{}/app/stream.flv", server.port);
                    let run = need!(memcheck(program, &[scenario.name, &url], "", scenario.name));
                    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}: {run:?}", scenario.name);
                    server.join();
                }
            });
        }
    });
}

/// All kinds of reading, of a struct that moves and connects again.
#[test]
fn a_fast_peer_is_read_within_bounds() {
    let program = need!(Program::test("fast_peer"));
    need!(require::program("valgrind"));
    if library::ours_is_original() {
        return;
    }
    for (end, options) in [(End::Slow, "mw"), (End::Cut, "b"), (End::Late, "u")] {
        let torrent = Torrent::new(9, 1 << 20, 6).with_end(end);
        let server = torrent.clone().serve(2);
        let arguments = [&server.url(), "nprkR", options, "2"];
        let run = need!(memcheck(&program, &arguments, "", options));
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(!run.stderr.contains("outside 0 "), "unread bytes were never outside: {}", run.stderr);
        assert!(run.stdout == (torrent.arrives().join("\n") + "\n").repeat(2), "{options}: other messages");
        server.join();
    }
}

#[test]
fn setting_up_twice_loses_nothing() {
    assert_eq!(need!(careless("setup", 1935)), "first: 1\nsecond: 1\n");
}

/// The connection ends in every phase; `RTMP_Connect` has closed it, and the caller frees the struct and nothing else.
#[test]
fn a_connection_that_fails_leaves_nothing_to_free() {
    fn at_once(_: &mut Peer) {}
    fn in_handshake(peer: &mut Peer) {
        peer.read_exact(1537);
        peer.send_raw(&[3; 100]);
    }
    fn in_connect(peer: &mut Peer) {
        peer.handshake();
    }
    fn in_create(peer: &mut Peer) {
        peer.accept_connect();
        peer.wait_for("createStream");
    }
    fn refused(peer: &mut Peer) {
        peer.accept_connect();
        peer.accept_create();
        peer.wait_for("play");
        peer.status(1, "error", "NetStream.Play.StreamNotFound", "no such stream");
        peer.drain(LIMIT);
    }
    fn in_message(peer: &mut Peer) {
        peer.accept_connect();
        peer.send_raw(&Message::new(3, 0, 0x14, 0, &[2; 500]).chunks(128)[..200]);
    }
    let phases: [(&str, Script); 6] = [
        ("at once", at_once),
        ("in the handshake", in_handshake),
        ("in connect", in_connect),
        ("in createStream", in_create),
        ("by a refusal", refused),
        ("in mid message", in_message),
    ];
    for (phase, script) in phases {
        let server = servers(1, script);
        let output = need!(careless("free", server.port));
        assert!(output.ends_with("open: 0\n"), "{phase}: {output}");
        server.join();
    }
    let output = need!(careless("free", process::free_port()));
    assert_eq!(output, "not connected\nopen: 0\n");
}

#[test]
fn what_was_never_connected_needs_no_close() {
    assert_eq!(need!(careless("unconnected", 1935)), "no host: 0\npacket: 0\n");
}

/// A server that accepts and is silent.
#[test]
fn a_silent_server_leaves_nothing_to_free() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    assert_eq!(need!(careless("free", port)), "not connected\nopen: 0\n");
    drop(listener);
}

/// The program frees nothing, and each call is a process of its own, which says what valgrind found.
#[test]
fn null_pointers_touch_nothing() {
    let program = need!(Program::test("bad_input"));
    if library::ours_is_original() {
        return;
    }
    need!(require::program("valgrind"));
    thread::scope(|scope| {
        for half in ["0", "1"] {
            let program = &program;
            scope.spawn(move || {
                let run = need!(memcheck_with(&["--leak-check=no"], program, &[half, "2"], "", "bad_input"));
                assert_eq!(run.code, Some(0), "{run:?}");
            });
        }
    });
}

/// Every session that `compare` compares with the original, a few at a time.
#[test]
fn sessions_lose_nothing() {
    let program = need!(Program::test("session_driver"));
    need!(require::program("valgrind"));
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
    let run = need!(memcheck(program, &[], &steps, case.name));
    assert_eq!(run.code, Some(0), "{}: {run:?}", case.name);
    server.join();
}

#[test]
fn the_examples_lose_nothing() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new("memcheck");
    let file = directory.join("received.flv");
    let receive = need!(Program::example("receive"));
    let arguments = ["-q", "-t", "20", "-o", &file.to_string_lossy(), &nginx.url("vod", "film")];
    let run = need!(memcheck(&receive, &arguments, "", "receive"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let sent = flv::media(&flv::load(&clip));
    flv::assert_equal(&flv::readable(&sent), &flv::media(&flv::load(&file)), "receive under valgrind");
    let publishers: Vec<_> = ["publish", "publish_packets"]
        .into_iter()
        .map(|name| {
            let (clip, url) = (clip.to_string_lossy().into_owned(), nginx.url("record", name));
            thread::spawn(move || {
                let run = memcheck(&Program::example(name)?, &["-t", "20", &clip, &url], "", name)?;
                assert_eq!(run.code, Some(0), "{run:?}");
                Some(())
            })
        })
        .collect();
    for publisher in publishers {
        need!(publisher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
}
