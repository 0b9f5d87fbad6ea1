//! C programs with this library under valgrind: all accesses to memory are valid, and nothing is lost.
//!
//! valgrind needs a second to start and more to translate the code of a program, so a program runs many scenarios. Leaks are
//! found at its end.
#![forbid(unsafe_code)]

#[path = "c_api/careless/cases.rs"]
mod careless_cases;
#[allow(dead_code)] // the names of the sessions are for tests that run them one by one
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
const LIMIT: Duration = Duration::from_secs(300);
/// The exit status of valgrind when it has found an error.
const FOUND: i32 = 99;

/// Runs a program with this library under valgrind; panics when valgrind finds an error.
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

/// The descriptors that were still open at the end of a program, without those that it inherited.
fn descriptors_left(report: &str) -> Vec<&str> {
    let mut lines = report.lines().filter_map(|line| line.strip_prefix("==")?.split_once("== ")).peekable();
    let mut left = Vec::new();
    while let Some((_, line)) = lines.next() {
        let open =
            line.strip_prefix("Open ").filter(|what| what.contains("descriptor") || what.contains("socket"));
        let inherited = lines.peek().is_some_and(|(_, next)| next.contains("<inherited from parent>"));
        left.extend(open.filter(|_| !inherited));
    }
    left
}

#[test]
fn leaked_descriptors_are_noticed() {
    let report = "==7== FILE DESCRIPTORS: 3 open (2 std) at exit.\n\
                  ==7== Open AF_INET socket 5: 127.0.0.1:43210 <-> 127.0.0.1:1935\n==7==    at 0x1: socket\n\
                  ==7== Open file descriptor 4: /dev/null\n==7==    <inherited from parent>\n";
    assert_eq!(descriptors_left(report), ["AF_INET socket 5: 127.0.0.1:43210 <-> 127.0.0.1:1935"]);
}

/// Runs scenarios of `tests/c/careless.c`, one after the other, and returns their steps.
fn careless(scenarios: &[(&str, u16)]) -> Option<String> {
    let arguments: Vec<String> = scenarios.iter().flat_map(|(name, port)| pair(name, *port)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = memcheck(&Program::test("careless")?, &arguments, "", "careless")?;
    assert_eq!(run.code, Some(0), "{scenarios:?}: {run:?}");
    Some(run.stdout)
}

/// The name of a scenario and its URL, as arguments of `careless.c` and `misuse.c`.
fn pair(scenario: &str, port: u16) -> [String; 2] {
    [scenario.to_owned(), format!("rtmp://127.0.0.1:{port}/app/stream.flv")]
}

/// Plays a few frames of several chunks, and then the beginning of a message that never ends.
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

/// The server's side of one connection.
type Script = fn(&mut Peer);

/// Serves as many connections as a scenario makes.
fn servers(connections: usize, script: Script) -> Server<()> {
    Server::listen(move |listener| {
        for _ in 0..connections {
            script(&mut Peer::accept(listener));
        }
    })
}

#[test]
fn players_leak_nothing() {
    let (scenarios, expected): (Vec<_>, Vec<_>) = [
        ("play", "open: 1\nread: 1\n"),
        ("reuse", "open: 1\nread: 1\nopen: 1\nread: 1\n"),
        ("move", "setup: 1\nconnect: 1\nstream: 1\nread: 15813\n"),
        ("packets", "open: 1\npackets: 1\n"),
        ("callback", "open: 1\nconnected: 0\n"),
    ]
    .into_iter()
    .unzip();
    let server = servers(6, play_film);
    let scenarios: Vec<_> = scenarios.into_iter().map(|name| (name, server.port)).collect();
    assert_eq!(need!(careless(&scenarios)), expected.concat());
    server.join();
}

#[test]
fn publishers_leak_nothing() {
    fn script(peer: &mut Peer) {
        peer.accept_publish();
        peer.drain(LIMIT);
    }
    let half = "open: 1\nwrite: 15\nbody NULL\nwrite: -1\n".repeat(2);
    let sends = "open: 1\nsend: 1\nsend: 1\nsend: 1\nsend: 0\n";
    let freed = "open: 1\nwrite: 15\nbody set, 4\nwrite: 18\nwrite: 11\nwrite: 15\n";
    let server = servers(4, script);
    let scenarios = ["write", "borrowed", "half"].map(|name| (name, server.port));
    assert_eq!(need!(careless(&scenarios)), half + sends + freed);
    server.join();
}

/// `careless` checks the results itself. `write` takes a minute with valgrind, so only `make memcheck` runs it; the sanitizers
/// test it in `sanitizers`.
#[test]
fn misuse_leaks_nothing() {
    let program = need!(Program::test("misuse"));
    need!(require::program("valgrind"));
    if library::ours_is_original() {
        return;
    }
    thread::scope(|scope| {
        let scenarios: Vec<_> = MISUSE.iter().filter(|scenario| scenario.name != "write").collect();
        for part in scenarios.chunks(scenarios.len().div_ceil(2)).map(<[_]>::to_vec) {
            let program = &program;
            scope.spawn(move || {
                let servers: Vec<_> = part.iter().map(|scenario| scenario.serve()).collect();
                let scenarios = part.iter().zip(&servers);
                let arguments: Vec<String> =
                    scenarios.flat_map(|(scenario, server)| pair(scenario.name, server.port)).collect();
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let run = need!(memcheck(program, &arguments, "", "misuse"));
                assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
                servers.into_iter().for_each(Server::join);
            });
        }
    });
}

/// All kinds of reading, with a struct that moves and connects again.
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
fn setting_up_twice_leaks_nothing() {
    assert_eq!(need!(careless(&[("setup", 1935)])), "first: 1\nsecond: 1\n");
}

/// The connection ends in every phase. `RTMP_Connect` has closed it, and the caller frees only the struct.
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
    let phases: [Script; 6] = [at_once, in_handshake, in_connect, in_create, refused, in_message];
    let servers = phases.map(|script| servers(1, script));
    let ports = servers.iter().map(|server| server.port).chain([process::free_port()]);
    let scenarios: Vec<_> = ports.map(|port| ("free", port)).collect();
    let output = need!(careless(&scenarios));
    assert_eq!(output.matches("open: 0\n").count(), scenarios.len(), "{output}");
    assert!(output.ends_with("not connected\nopen: 0\n"), "{output}");
    servers.into_iter().for_each(Server::join);
}

#[test]
fn never_connected_session_needs_no_close() {
    assert_eq!(need!(careless(&[("unconnected", 1935)])), "no host: 0\npacket: 0\n");
}

/// A server that accepts and is silent.
#[test]
fn a_silent_server_leaves_nothing_to_free() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    assert_eq!(need!(careless(&[("free", port)])), "not connected\nopen: 0\n");
    drop(listener);
}

/// The program does not free memory.
#[test]
fn null_pointers_change_nothing() {
    let program = need!(Program::test("bad_input"));
    if library::ours_is_original() {
        return;
    }
    need!(require::program("valgrind"));
    let run = need!(memcheck_with(&["--leak-check=no"], &program, &["together"], "", "bad_input"));
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// Every session that `compare` compares with the original, one after another in two programs.
#[test]
fn sessions_leak_nothing() {
    let program = need!(Program::test("session_driver"));
    need!(require::program("valgrind"));
    let cases: Vec<&Case> = COMMANDS.iter().chain(MESSAGES).collect();
    thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(2)) {
            scope.spawn(|| run_sessions(&program, part));
        }
    });
}

fn run_sessions(program: &Program, cases: &[&Case]) {
    let scripts: Vec<_> = cases.iter().map(|case| case.server).collect();
    let server = Server::listen(move |listener| {
        for script in scripts {
            let mut peer = Peer::accept(listener);
            script(&mut peer);
            peer.drain(LIMIT);
        }
    });
    let steps: Vec<&str> = cases.iter().map(|case| case.steps.trim_end()).collect();
    let steps = steps.join("\nanother\n").replace("PORT", &server.port.to_string()) + "\n";
    let run = need!(memcheck(program, &[], &steps, "session_driver"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout.matches("\nanother:").count(), cases.len() - 1, "{run:?}");
    server.join();
}

#[test]
fn examples_leak_nothing() {
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
