//! Ending calls that wait: by `RTMP_Abort`, `RTMP_ctrlC` and signals, and by shutting the socket down, wherever the library
//! may be waiting.
#![forbid(unsafe_code)]

use std::{
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::support::{Library, Peer, Program, library};
use socket2::{Domain, Socket, Type};

const LIMIT: Duration = Duration::from_secs(60);

/// How soon a wait has to end, in milliseconds. It is 100 on a machine that has nothing else to do; nothing else would end
/// most of these waits within 5 seconds.
const SOON: i64 = 1500;

/// A peer that listens, says what is needed and no more, and keeps its connections until the test has ended.
struct Silence {
    port: u16,
    /// Dropped when the test has ended.
    _over: mpsc::Sender<()>,
}

impl Silence {
    fn new(script: impl FnOnce(&TcpListener) -> Peer + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (over, is_over) = mpsc::channel();
        thread::spawn(move || {
            let peer = script(&listener);
            let _ = is_over.recv();
            drop((peer, listener));
        });
        Self { port, _over: over }
    }

    /// A server that accepts and is silent.
    fn at_once() -> Self {
        Self::new(Peer::accept)
    }

    /// A server that does the handshake and is silent.
    fn after_handshake() -> Self {
        Self::new(|listener| {
            let mut peer = Peer::accept(listener);
            peer.handshake();
            peer
        })
    }

    /// A server that starts a stream, and then sends and reads nothing.
    fn after_start(start: fn(&mut Peer)) -> Self {
        Self::new(move |listener| {
            let mut peer = Peer::accept(listener);
            start(&mut peer);
            peer
        })
    }
}

/// An address that does not answer, because its queue of connections is full, while the sockets are kept.
fn unanswered() -> (u16, Vec<Socket>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let mut kept = vec![socket];
    loop {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if filler.connect_timeout(&address, Duration::from_millis(300)).is_err() {
            return (address.as_socket().unwrap().port(), kept);
        }
        assert!(kept.len() < 100, "the queue of connections has no end");
        kept.push(filler);
    }
}

/// Runs `interrupt.c` and checks its results.
fn check(program: &Program, phase: &str, how: &str, url: &str, expected: i32) -> Result<(), String> {
    let run = program.run(Library::Ours, &[phase, how, url], "", LIMIT).ok_or("the library went away")?;
    let what = || format!("{phase}, {how}, {url}: {:?}, {}{}", run.code, run.stdout, run.stderr);
    let numbers: Vec<i64> = run.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [result, took, reason] = numbers[..] else { return Err(what()) };
    let reasons = match (phase, how) {
        // Nothing fails, or no call with a session.
        ("close" | "setup" | "http" | "hash", _) => 0..i64::MAX,
        (_, "abort" | "first" | "handler") => ABORTED..ABORTED + 1,
        (_, "shutdown") => 1..i64::MAX,
        _ => INTERRUPTED..INTERRUPTED + 1,
    };
    let right = run.code == Some(0) && result == i64::from(expected) && took < SOON;
    if right && reasons.contains(&reason) { Ok(()) } else { Err(what()) }
}

/// Values of `RTMP_ERR_*`.
const INTERRUPTED: i64 = 21;
const ABORTED: i64 = 22;

/// The ways to end the wait of a session.
const HOW: [&str; 5] = ["abort", "assign", "signal", "handler", "shutdown"];

type Peers = fn() -> Silence;

/// Checks each way of ending a wait, all at the same time. URLs contain `PORT`.
fn check_all(phase: &'static str, hows: &[&'static str], url: &'static str, peer: Peers, expected: i32) {
    if library::ours_is_original() {
        return;
    }
    let program = &need!(Program::test("interrupt"));
    let failures: Vec<String> = thread::scope(|scope| {
        let checks: Vec<_> = hows
            .iter()
            .map(|how| {
                scope.spawn(move || {
                    let peer = peer();
                    check(program, phase, how, &url.replace("PORT", &peer.port.to_string()), expected)
                })
            })
            .collect();
        checks.into_iter().filter_map(|check| check.join().unwrap().err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_connection_that_is_not_answered() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("interrupt"));
    let (port, _kept) = unanswered();
    for how in ["abort", "first", "assign", "signal", "handler"] {
        let url = format!("rtmp://127.0.0.1:{port}/app/stream");
        check(&program, "connect", how, &url, 0).unwrap();
    }
}

#[test]
fn silent_proxy() {
    for url in [
        "rtmp://192.0.2.1/app/stream socks=127.0.0.1:PORT",
        "rtmp://192.0.2.1/app/stream socks=http://127.0.0.1:PORT",
    ] {
        // While the proxy is being connected, programs do not see its socket.
        check_all("connect", &["abort", "assign", "signal", "handler"], url, Silence::at_once, 0);
    }
}

#[test]
fn a_tls_handshake() {
    check_all("connect", &HOW, "rtmps://127.0.0.1:PORT/app/stream", Silence::at_once, 0);
}

#[test]
fn a_handshake() {
    for url in ["rtmp://127.0.0.1:PORT/app/stream", "rtmpe://127.0.0.1:PORT/app/stream"] {
        check_all("connect", &HOW, url, Silence::at_once, 0);
    }
}

#[test]
fn a_tunnel_that_opens() {
    check_all("connect", &HOW, "rtmpt://127.0.0.1:PORT/app/stream", Silence::at_once, 0);
}

#[test]
fn an_answer_to_connect() {
    check_all("stream", &HOW, "rtmp://127.0.0.1:PORT/app/stream", Silence::after_handshake, 0);
}

#[test]
fn reading() {
    let peer: Peers = || Silence::after_start(Peer::accept_play);
    check_all("read", &HOW, "rtmp://127.0.0.1:PORT/app/stream", peer, 0);
}

#[test]
fn the_pause_of_toggling() {
    let peer: Peers = || Silence::after_start(Peer::accept_play);
    check_all("toggle", &HOW, "rtmp://127.0.0.1:PORT/app/stream", peer, 0);
}

#[test]
fn sending() {
    let peer: Peers = || Silence::after_start(Peer::accept_publish);
    check_all("send", &HOW, "rtmp://127.0.0.1:PORT/app/stream", peer, 0);
}

#[test]
fn closing() {
    let peer: Peers = || Silence::after_start(Peer::accept_publish);
    check_all("close", &HOW, "rtmp://127.0.0.1:PORT/app/stream", peer, 0);
}

#[test]
fn fetching_a_file() {
    const LOST: i32 = 6; // HTTPRES_LOST_CONNECTION
    for url in ["http://127.0.0.1:PORT/file.swf", "https://127.0.0.1:PORT/file.swf"] {
        check_all("http", &["assign", "signal"], url, Silence::at_once, LOST);
        check_all("hash", &["assign", "signal"], url, Silence::at_once, -1);
    }
    // Without a hash the setup continues.
    check_all("setup", &["abort", "handler"], "http://127.0.0.1:PORT/file.swf", Silence::at_once, 1);
}
