//! Any misuse ends with an error and a line in the log: never with a crash, never with a hang.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::amf::{Value, n};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Run, Server, TempDir, library, process};
use crate::toolchain::header::{Header, Kind};

const LIMIT: Duration = Duration::from_secs(30);

/// Calls every export with null for each of its pointers, alone and together: it fails, and logs the reason.
/// `setup_vectors` tests the other effects of a null pointer.
#[test]
fn null_pointers_are_refused() {
    let program = need!(Program::test("bad_input"));
    let run = need!(program.run(Library::Ours, &[], "", Duration::from_secs(120)));
    let is_bad = |line: &&str| ["CRASHED", "MISSING", "WRONG"].iter().any(|what| line.contains(what));
    let bad: Vec<&str> = run.stdout.lines().filter(is_bad).collect();
    if library::ours_is_original() {
        assert!(!bad.is_empty(), "the original crashes on null, and the test must see it");
        return;
    }
    assert!(bad.is_empty(), "{} calls:\n{}", bad.len(), bad.join("\n"));
    let last = run.stdout.lines().last().unwrap_or("nothing").to_owned();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let functions = exported_functions().len();
    assert_eq!(last, format!("{functions} functions, 0 bad calls"));
}

/// The functions that our headers declare, which are those that the library exports, and which of their arguments are
/// pointers.
fn exported_functions() -> BTreeMap<String, Vec<bool>> {
    let dir = TempDir::new("exported-functions");
    let mut functions = BTreeMap::new();
    for name in ["amf.h", "enhanced.h", "http.h", "log.h", "loop.h", "rtmp.h"] {
        let header = Header::read(dir.path(), &library::package().join("include/librtmp").join(name));
        for function in header.declarations.into_iter().filter(|found| matches!(found.kind, Kind::Function)) {
            let arguments = function.text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
            let (arguments, _) = arguments.expect("a function has arguments");
            let pointers = arguments.split(',').map(|argument| argument.contains('*')).collect();
            functions.insert(function.name, pointers);
        }
    }
    functions
}

/// `bad_input.c` has a call of every function for each of its pointers in which only that one is null. This test
/// fails for a new function without them.
#[test]
fn each_pointer_argument_of_each_export_is_tested_with_null() {
    let source = fs::read_to_string(library::package().join("tests/c/bad_input.c")).expect("it is there");
    let calls: Vec<(&str, &str)> =
        source.split("{\"").filter_map(|row| row.split_once("\"}")?.0.split_once("\", \"")).collect();
    let mut missing = Vec::new();
    for (name, pointers) in exported_functions() {
        let own: Vec<&[u8]> =
            calls.iter().filter(|call| call.0 == name).map(|call| call.1.as_bytes()).collect();
        if own.is_empty() {
            missing.push(format!("{name}: every call"));
        }
        let null = |arguments: &[u8], at: usize| matches!(arguments.get(at), None | Some(b'0'));
        for at in (0..pointers.len()).filter(|at| pointers[*at]) {
            let alone = |arguments: &&[u8]| {
                (0..pointers.len()).all(|other| !pointers[other] || null(arguments, other) == (other == at))
            };
            if !own.iter().any(alone) {
                missing.push(format!("{name}: null for argument {} alone", at + 1));
            }
        }
    }
    assert!(calls.len() > 200 && missing.is_empty(), "tests/c/bad_input.c lacks\n{}", missing.join("\n"));
}

/// Miri does not support variable arguments, and the others change the log of all tests.
const NOT_FOR_MIRI: [&str; 5] =
    ["RTMP_Log", "RTMP_LogPrintf", "RTMP_LogStatus", "RTMP_LogSetCallback", "RTMP_LogSetOutput"];

#[test]
fn miri_calls_every_export() {
    let source = fs::read_to_string(library::package().join("src/nulls.rs")).expect("it is there");
    let missing: Vec<String> = exported_functions()
        .into_iter()
        .filter(|(_, pointers)| pointers.contains(&true))
        .map(|(name, _)| name)
        .filter(|name| !source.contains(&format!("{name}(_")) && !NOT_FOR_MIRI.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "src/nulls.rs lacks {missing:?}");
}

/// Runs steps of `tests/c/session_driver.c` on our library.
fn drive(steps: &str) -> Option<Run> {
    Program::test("session_driver")?.run(Library::Ours, &[], steps, LIMIT)
}

fn steps(port: u16, timeout: u32) -> String {
    format!(
        "setup rtmp://127.0.0.1:{port}/app/stream\nset timeout {timeout}\nconnect\nstream 0\nread 60000\nread 60000\nclose\n"
    )
}

/// The program ended without a crash, this step failed, and the log has a line about it.
fn assert_reported(run: &Run, step: &str, what: &str) {
    assert_eq!(run.code, Some(0), "{what}: {run:?}");
    let line =
        run.stdout.lines().find(|line| line.starts_with(step)).unwrap_or_else(|| panic!("{what}: {run:?}"));
    assert!(line.contains("-> 0 |"), "{what}: {line}");
    assert!(run.stderr.contains("ERROR: "), "{what}: the log says nothing: {:?}", run.stderr);
}

#[test]
fn missing_connection_is_reported_once() {
    let program = need!(Program::test("careless"));
    let run = need!(program.run(Library::Ours, &["reconnect", ""], "", LIMIT));
    assert_eq!(run.stdout, "reconnect: 0\n");
    if !library::ours_is_original() {
        assert_eq!(run.stderr, "ERROR: WriteN, RTMP send error 9 (33 bytes): there is no connection\n");
    }
}

#[test]
fn closed_port_is_an_error() {
    let start = Instant::now();
    let run = need!(drive(&steps(process::free_port(), 5)));
    assert_reported(&run, "connect", "closed port");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_unknown_host_is_an_error() {
    // A name with an empty label: it is refused without a lookup.
    let run = need!(drive(
        "setup rtmp://no-such-host..invalid/app/stream\nset timeout 5\nconnect\nstream 0\nclose\n"
    ));
    assert_reported(&run, "connect", "unknown host");
}

#[test]
fn malformed_urls_are_refused() {
    let long = "h".repeat(300);
    let many = "x/".repeat(5000);
    let port = process::free_port();
    let here = format!("rtmp://127.0.0.1:{port}");
    let urls = [
        String::new(),
        "rtmp://".to_owned(),
        "rtmp:".to_owned(),
        "://".to_owned(),
        "nothing like a URL".to_owned(),
        "rtmp:///app/stream".to_owned(),
        "rtmp://:1935/app/stream".to_owned(),
        "rtmp://[/app/stream".to_owned(),
        format!("rtmp://{long}/app/stream"),
        format!("{here}/{many}"),
        format!("{here}/app/%"),
        format!("{here}/app/%zz%"),
        format!("{here}/app?slist="),
        format!("{here}/app/stream nonsense=1"),
        format!("{here}/app/stream conn="),
        format!("{here}/app/stream conn=O"),
        format!("{here}/app/stream conn=N"),
        format!("{here}/app/stream conn=O:0 conn=O:0 conn=NN:a:1"),
        format!("{here}/app/stream playpath=\\"),
        format!("{here}/app/stream playpath=a\\zz"),
        format!("{here}/app/stream ="),
        format!("{here}/app/stream  app=x"),
        format!("{here}/app/stream start=99999999999999999999 stop=-1 timeout=x"),
    ];
    for url in urls {
        let run = need!(drive(&format!("setup {url}\nset timeout 1\nconnect\nclose\n")));
        let what = url.chars().take(60).collect::<String>();
        assert_eq!(run.code, Some(0), "{what:?}: {run:?}");
        let connect = run.stdout.lines().find(|line| line.starts_with("connect")).unwrap_or("nothing");
        assert!(connect.contains("-> 0 |"), "{what:?}: {connect}");
        // librtmp 2.4 logs nothing about an empty host name.
        let silent = library::ours_is_original();
        assert!(silent || run.stderr.contains("ERROR: "), "{what:?}: the log says nothing: {:?}", run.stderr);
    }
}

/// A name, the step that has to fail, and what the server does until then.
type Phase = (&'static str, &'static str, fn(&mut Peer));

/// The phases in which a server closes the connection, or stops answering.
const PHASES: &[Phase] = &[
    ("before S0", "connect", |peer| {
        peer.read_exact(1537);
    }),
    ("after S0", "connect", |peer| {
        peer.read_exact(1537);
        peer.send_raw(&[3]);
    }),
    ("inside S1", "connect", |peer| {
        peer.read_exact(1537);
        peer.send_raw(&[&[3][..], &[0; 700]].concat());
    }),
    ("inside S2", "connect", |peer| {
        peer.read_exact(1537);
        peer.send_raw(&[&[3][..], &[0; 1536 + 700]].concat());
    }),
    ("after the handshake", "stream", |peer| peer.handshake()),
    ("after connect", "stream", |peer| {
        peer.accept_connect();
    }),
    ("after createStream", "stream", |peer| {
        peer.accept_connect();
        peer.accept_create();
    }),
    ("after play", "stream", |peer| {
        peer.accept_connect();
        peer.accept_create();
        peer.wait_for("play");
    }),
    ("inside a chunk header", "read", |peer| {
        peer.accept_play();
        peer.send_raw(&[0x04, 0, 0]);
    }),
    ("inside an extended timestamp", "read", |peer| {
        peer.accept_play();
        peer.send_raw(&[0x04, 0xff, 0xff, 0xff, 0, 0, 10, 9, 1, 0, 0, 0, 1, 0]);
    }),
    ("inside a message", "read", |peer| {
        peer.accept_play();
        let whole = Message::new(4, 0, 9, 1, &[0x17; 300]).chunks(128);
        peer.send_raw(&whole[..200]);
    }),
    ("between the chunks of a message", "read", |peer| {
        peer.accept_play();
        let whole = Message::new(4, 0, 9, 1, &[0x17; 300]).chunks(128);
        peer.send_raw(&whole[..140]);
    }),
    ("inside a command", "read", |peer| {
        peer.accept_play();
        let whole = Message::invoke(3, 0, &[Value::Text("onStatus".into()), n(0)]).chunks(128);
        peer.send_raw(&whole[..20]);
    }),
];

/// Runs all phases side by side.
fn in_every_phase(finish: fn(&mut Peer), timeout: u32, most: Duration) {
    need!(Program::test("session_driver"));
    let failures: Vec<String> = thread::scope(|scope| {
        let check = move |(phase, step, script): &Phase| {
            let script = *script;
            let server = Server::once(move |peer| {
                script(peer);
                finish(peer);
            });
            let start = Instant::now();
            let run = drive(&steps(server.port, timeout)).expect("our library is there");
            let took = start.elapsed();
            server.join();
            assert_reported(&run, step, phase);
            assert!(took < most, "{phase}: took {took:?}");
        };
        let threads: Vec<_> =
            PHASES.iter().map(|phase| (phase.0, scope.spawn(move || check(phase)))).collect();
        threads
            .into_iter()
            .filter_map(|(name, thread)| thread.join().err().map(|_| name.to_owned()))
            .collect()
    });
    assert!(failures.is_empty(), "server leaves {}: see above", failures.join(", "));
}

#[test]
fn server_that_disconnects_is_an_error_in_every_phase() {
    // librtmp 2.4 is killed by SIGPIPE when it says goodbye to a server that has closed.
    if library::ours_is_original() {
        return;
    }
    // The timeout is long: noticing the end must not need it.
    in_every_phase(|peer| peer.finish(), 25, Duration::from_secs(15));
}

#[test]
fn silent_server_is_an_error_in_every_phase() {
    in_every_phase(
        |peer| {
            peer.drain(LIMIT);
        },
        1,
        Duration::from_secs(15),
    );
}

/// The kernel accepts, nobody reads: the handshake runs into the timeout.
#[test]
fn server_that_never_sends_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let start = Instant::now();
    let run = need!(drive(&steps(port, 1)));
    assert_reported(&run, "connect", "silence");
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// Bytes that are not RTMP: an HTTP answer, zeros, noise.
#[test]
fn servers_of_another_protocol_are_an_error() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    let noise: Vec<u8> = (0..9000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [http, vec![0; 9000], vec![0xff; 9000], noise] {
        let first = bytes[0];
        let server = Server::once(move |peer| {
            peer.read_exact(1537);
            peer.send_raw(&bytes);
            peer.finish();
            peer.drain(Duration::from_secs(5));
        });
        let run = need!(drive(&steps(server.port, 2)));
        server.join();
        assert_eq!(run.code, Some(0), "first byte {first:#x}: {run:?}");
        assert!(run.stdout.contains("stream 0: -> 0 |"), "first byte {first:#x}: {run:?}");
        assert!(run.stderr.contains("ERROR: "), "first byte {first:#x}: the log says nothing");
    }
}
