//! Peers that never stop sending, at full speed or a byte from time to time, against each loop that reads their bytes. Every
//! call ends in time with an error, under a memory limit, and uses little memory.
//!
//! Each row runs in its own process, which an allocation beyond the limit would end.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod sessions;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::amf::{self, n, s};
use support::certs::{Authority, Valid};
use support::wire::Message;
use support::{Library, Peer, Program, Running, Server, library, wait_until};

/// Seconds until a call times out.
const TIMEOUT: u64 = 1;

/// Milliseconds that a call may take in addition, because a busy machine may stop for a while.
const MARGIN: u64 = 8_000;

/// Megabytes of address space that a process may use in addition to its size at the start, including the stacks of its threads.
const ROOM: u64 = 160;

/// Kilobytes by which a row's memory may grow: everything that a session holds except messages.
const GROWTH: u64 = 12 << 10;

/// The longest time that a program may run.
const LIMIT: Duration = Duration::from_secs(60);

/// How fast a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Flood,
    Trickle,
}

use Pace::{Flood, Trickle};

const BOTH: &[Pace] = &[Flood, Trickle];

/// A peer that follows the protocol at first, and then repeats the same bytes.
struct Row {
    name: &'static str,
    /// What the program under test does, and its URL.
    mode: &'static str,
    url: &'static str,
    stage: Stage,
    beginning: Vec<u8>,
    again: Vec<u8>,
    paces: &'static [Pace],
    /// Kilobytes by which the memory may grow.
    growth: u64,
}

/// How long the peer follows the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Nothing,
    /// An RTMP handshake.
    Handshake,
    /// Success for the client's `connect`, `createStream`, and `play` or `publish`.
    Play,
    Publish,
    /// A session of an HTTP tunnel; every request gets an empty reply.
    Polls,
    /// A session of an HTTP tunnel, and an RTMP handshake in a reply that has no end.
    Tunnel,
}

impl Row {
    fn new(name: &'static str, mode: &'static str, url: &'static str, again: &[u8]) -> Self {
        let (beginning, again) = (Vec::new(), again.to_vec());
        Self { name, mode, url, stage: Stage::Nothing, beginning, again, paces: BOTH, growth: GROWTH }
    }

    fn after(mut self, beginning: impl AsRef<[u8]>) -> Self {
        self.beginning = beginning.as_ref().to_vec();
        self
    }

    fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    fn only(mut self, paces: &'static [Pace]) -> Self {
        self.paces = paces;
        self
    }

    /// Lets the memory grow by this many megabytes in addition.
    fn grows(mut self, more: u64) -> Self {
        self.growth += more << 10;
        self
    }

    /// Plays the peer on a connection.
    fn talk(&self, pace: Pace, stream: TcpStream) -> io::Result<()> {
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        match self.stage {
            Stage::Nothing => {}
            Stage::Polls => return answer_polls(stream, pace),
            Stage::Tunnel => open_tunnel(&stream)?,
            stage => {
                let mut peer = Peer::over(Box::new(stream));
                match stage {
                    Stage::Handshake => peer.handshake(),
                    Stage::Publish => peer.accept_publish(),
                    _ => peer.accept_play(),
                }
            }
        }
        writer.write_all(&self.beginning)?;
        let end = Instant::now() + LIMIT;
        match pace {
            Flood => {
                let block = self.again.repeat((64 << 10) / self.again.len() + 1);
                while Instant::now() < end {
                    writer.write_all(&block)?;
                }
            }
            Trickle => {
                for byte in self.again.iter().cycle() {
                    writer.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(50));
                    if Instant::now() > end {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The head and body of a request.
fn read_request(mut stream: &TcpStream) -> io::Result<()> {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(char::from(byte[0]));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("Content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body)
}

fn answer_polls(mut stream: TcpStream, pace: Pace) -> io::Result<()> {
    read_request(&stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\n")?;
    loop {
        read_request(&stream)?;
        thread::sleep(Duration::from_millis(if pace == Trickle { 50 } else { 0 }));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\x01")?;
    }
}

fn open_tunnel(mut stream: &TcpStream) -> io::Result<()> {
    read_request(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\n")?;
    read_request(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n\x01\x03")?;
    stream.write_all(&[0; 3072])
}

/// A call of the program: its name, its result, its duration in milliseconds, and the reason for a failure.
#[derive(Clone, Debug)]
pub struct Call {
    name: String,
    result: i64,
    milliseconds: u64,
    code: i32,
}

/// The calls of a program that has succeeded, and the growth of its memory.
pub fn calls(stdout: &str, what: &str) -> (Vec<Call>, u64) {
    let mut found = Vec::new();
    for line in stdout.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["port", _] => {}
            ["peak", grown] => return (found, grown.parse().expect(line)),
            [name, result, milliseconds, _, code] => found.push(Call {
                name: name.to_owned(),
                result: result.parse().expect(line),
                milliseconds: milliseconds.parse().expect(line),
                code: code.parse().expect(line),
            }),
            _ => panic!("{what}: {line}"),
        }
    }
    panic!("{what}: no end in {stdout:?}")
}

/// Starts the program with a single heap, so that a limit of its memory is meaningful.
pub fn start(mode: &str, timeout: u64, room: u64, sessions: u64, arguments: &[&str]) -> Option<Running> {
    start_on(Library::Ours, mode, timeout, room, sessions, arguments)
}

/// As [`start`], with calls that wait or with calls that are made of steps.
fn start_on(
    library: Library,
    mode: &str,
    timeout: u64,
    room: u64,
    sessions: u64,
    arguments: &[&str],
) -> Option<Running> {
    let mut command = Program::test_of_ours("floods")?.command(library)?;
    let numbers = [timeout, room, sessions].map(|number| number.to_string());
    command.arg(mode).args(numbers).args(arguments);
    // A heap for each thread would count as memory that is used, and what is fetched must not be found in a cache.
    command.env("MALLOC_ARENA_MAX", "1").env("HOME", library::scratch().join("nowhere"));
    Some(Running::start(&mut command))
}

/// The port that a serving program has.
pub fn port_of(running: &mut Running) -> u16 {
    let mut port = None;
    let ready = wait_until(LIMIT, || {
        port = running.stdout().lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
        port.is_some() || running.ended().is_some()
    });
    assert!(ready, "the server does not start");
    port.unwrap_or_else(|| panic!("no server: {}", running.stderr()))
}

/// Whether limits of memory and time say nothing about this run.
pub fn is_watched() -> bool {
    library::ours_is_original()
        || ["RTMP_TEST_VALGRIND", "RTMP_TEST_CFLAGS"].map(std::env::var_os).iter().any(Option::is_some)
}

fn judge(row: &Row, pace: Pace, library: Library, mut running: Running) {
    let what = format!("{}, {pace:?}, {library:?}", row.name);
    let status = running.wait(LIMIT);
    let (stdout, stderr) = (running.stdout(), running.stderr());
    let log = &stderr[stderr.len().saturating_sub(1000)..];
    assert!(status.and_then(|status| status.code()) == Some(0), "{what}: {status:?}\n{stdout}{log}");
    let (calls, grown) = calls(&stdout, &what);
    for call in &calls {
        assert!(call.milliseconds <= 1000 * TIMEOUT + MARGIN, "{what}: {calls:?}\n{log}");
    }
    let http = matches!(row.mode, "fetch" | "swf");
    let last = calls.iter().rfind(|call| call.name != "close").expect("a call was made");
    let reported = if http { last.result != 0 } else { last.result <= 0 && last.code != 0 };
    assert!(reported || row.mode == "leave" || last.name == "packet", "{what}: {calls:?}\n{log}");
    assert!(grown <= row.growth, "{what}: {grown} kB\n{calls:?}\n{log}");
}

/// Runs rows side by side, each at each of its paces, with calls that wait and with calls that are made of steps.
fn run(rows: &[Row], one: impl Fn(&Row, Pace, Library) + Sync) {
    let at_each_pace = rows.iter().flat_map(|row| row.paces.iter().map(move |pace| (row, *pace)));
    let cases: Vec<_> = at_each_pace
        .flat_map(|(row, pace)| library::both_ways().iter().map(move |library| (row, pace, *library)))
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((row, pace, library)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one(row, *pace, *library);
                }
            });
        }
    });
}

/// Rows in which the program is the client.
fn as_client(rows: &[Row]) {
    if is_watched() {
        return;
    }
    need!(Program::test_of_ours("floods"));
    run(rows, |row, pace, library| {
        thread::scope(|scope| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            let port = listener.local_addr().expect("a bound socket has an address").port();
            let url = row.url.replace("PORT", &port.to_string());
            let running = start_on(library, row.mode, TIMEOUT, ROOM, 1, &[&url]);
            let running = running.expect("the program was there before");
            scope.spawn(move || {
                if let Ok((stream, _)) = listener.accept() {
                    // It ends when the program has closed.
                    let _ = row.talk(pace, stream);
                }
            });
            judge(row, pace, library, running);
        });
    });
}

/// Rows in which the program is the server.
fn as_server(rows: &[Row], arguments: &[&str]) {
    if is_watched() {
        return;
    }
    need!(Program::test_of_ours("floods"));
    run(rows, |row, pace, library| {
        let running = start_on(library, row.mode, TIMEOUT, ROOM, 1, arguments);
        let mut running = running.expect("the program was there before");
        let stream = TcpStream::connect(("127.0.0.1", port_of(&mut running))).expect("the server listens");
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = row.talk(pace, stream);
            });
            judge(row, pace, library, running);
        });
    });
}

/// A TLS record in the clear.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &(content.len() as u16).to_be_bytes(), content].concat()
}

/// A flood in a TLS handshake before the peer is authenticated; `hello` is the first message.
fn tls_rows(mode: &'static str, url: &'static str, hello: u8) -> Vec<Row> {
    let announced = record(22, &[hello, 0, 0xFF, 0xFF]);
    let row = |name, again: &[u8]| Row::new(name, mode, url, again);
    vec![
        row("a long handshake message", &record(22, &[0; 16384])).after(&announced),
        row("a handshake message in crumbs", &record(22, &[0])).after(&announced),
        row("empty records in a handshake message", &record(22, &[])).after(&announced),
        row("empty handshake records", &record(22, &[])),
        row("empty records of data", &record(23, &[])),
        row("records of data", &record(23, &[0; 1000])),
        row("warnings", &record(21, &[1, 90])),
        row("goodbyes", &record(21, &[1, 0])),
        row("changes of the cipher", &record(20, &[1])),
        row("hello requests", &record(22, &[0, 0, 0, 0])),
        row("nothing that is TLS", &[0]),
    ]
}

#[test]
fn a_tls_handshake_of_a_server_ends() {
    as_client(&tls_rows("read", "rtmps://127.0.0.1:PORT/app/name tlsVerify=0", 2));
}

#[test]
fn a_tls_handshake_of_a_client_ends() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
    let files = [&certificate.chain, &certificate.key].map(|path| path.to_str().expect("a plain name"));
    as_server(&tls_rows("accept", "", 1), &files);
}

#[test]
fn a_talk_with_a_proxy_ends() {
    const SOCKS4: &str = "rtmp://127.0.0.1:9/app/name socks=socks4://127.0.0.1:PORT";
    const SOCKS5: &str = "rtmp://127.0.0.1:9/app/name socks=socks5://127.0.0.1:PORT";
    const HTTP: &str = "rtmp://127.0.0.1:9/app/name socks=http://127.0.0.1:PORT";
    let row = |name, url, again: &[u8]| Row::new(name, "read", url, again);
    as_client(&[
        row("socks4", SOCKS4, &[0]),
        row("socks5 choices", SOCKS5, &[5]),
        row("socks5 name", SOCKS5, b"x").after([5, 0, 5, 0, 0, 3, 255]),
        row("http headers", HTTP, b"X: y\r\n").after("HTTP/1.1 200 OK\r\n"),
        row("http header without end", HTTP, b"x").after("HTTP/1.1 200 OK\r\nX: "),
        row("http interim replies", HTTP, b"HTTP/1.1 100 Continue\r\n\r\n"),
        row("http refusal", HTTP, b"x").after("HTTP/1.1 407 No\r\nContent-Length: 1000000000\r\n\r\n"),
        row("http empty lines", HTTP, b"\r\n"),
    ]);
}

#[test]
fn an_http_tunnel_of_a_client_ends() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let row = |name, again: &[u8]| Row::new(name, "read", "rtmpt://127.0.0.1:PORT/app/name", again);
    as_client(&[
        row("headers", b"X: y\r\n").after(OK),
        row("a folded header", b" y\r\n").after(format!("{OK}X: y\r\n")),
        row("interim replies", b"HTTP/1.1 100 Continue\r\n\r\n"),
        row("empty lines", b"\r\n"),
        row("a session's name", b"a").after(format!("{OK}Content-Length: 1000000000\r\n\r\n")),
        row("chunk sizes", b"0").after(format!("{OK}Transfer-Encoding: chunked\r\n\r\n")),
        row("chunk extensions", b"x").after(format!("{OK}Transfer-Encoding: chunked\r\n\r\n1;")),
        row("trailers", b"X: y\r\n").after(format!("{OK}Transfer-Encoding: chunked\r\n\r\n0\r\n")),
        row("replies", format!("{OK}Content-Length: 2\r\n\r\na\n").as_bytes()),
        row("empty replies", b"").stage(Stage::Polls),
        // What the server says is kept while the client waits for room for its own.
        row("pings in a reply", &ping()).stage(Stage::Tunnel).grows(16),
    ]);
}

fn ping() -> Vec<u8> {
    Message::new(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1]).chunks(128)
}

/// Beginnings of one message, each of which cuts off the one before it.
fn restarts() -> Vec<u8> {
    let mut bytes = vec![6, 0, 0, 0, 0, 0xFF, 0, 9, 1, 0, 0, 0];
    bytes.resize(bytes.len() + 128, 0x17);
    bytes
}

/// Everything that is no media.
fn idle_talk() -> Vec<(&'static str, Vec<u8>)> {
    let message = |kind, body: &[u8]| Message::new(3, 0, kind, 0, body).chunks(128);
    vec![
        ("pings", ping()),
        ("chunk sizes", message(1, &[0, 0, 0, 128])),
        ("aborts", message(2, &[0, 0, 0, 5])),
        ("acknowledgements", message(3, &[0; 4])),
        ("windows", message(5, &[0, 0x10, 0, 0])),
        ("bandwidths", message(6, &[0, 0x10, 0, 0, 2])),
        ("messages of no bytes", message(9, &[])),
        ("unknown messages", message(99, &[0; 100])),
        ("unknown commands", message(20, &amf::encode(&[s("nonsense"), n(0.0)]))),
        ("results", message(20, &amf::encode(&[s("_result"), n(77.0)]))),
        ("errors", message(20, &amf::encode(&[s("_error"), n(77.0)]))),
        ("bandwidth checks", message(20, &amf::encode(&[s("onBWDone"), n(0.0)]))),
        ("commands that are none", message(20, &[2, 0xFF, 0xFF])),
        ("messages without an end", restarts()),
    ]
}

#[test]
fn waiting_for_a_stream_ends() {
    const URL: &str = "rtmp://127.0.0.1:PORT/app/name";
    let mut rows: Vec<Row> = idle_talk()
        .into_iter()
        .map(|(name, again)| Row::new(name, "read", URL, &again).stage(Stage::Handshake))
        .collect();
    let media = |kind, body: &[u8]| Message::new(4, 0, kind, 1, body).chunks(128);
    rows.push(
        Row::new("media before the stream", "read", URL, &media(9, &[0x17; 100])).stage(Stage::Handshake),
    );
    rows.push(Row::new("aggregates", "read", URL, &media(22, &[8; 40])).stage(Stage::Handshake));
    rows.push(Row::new("a handshake", "read", URL, &[3]));
    rows.push(Row::new("an encrypted handshake", "read", "rtmpe://127.0.0.1:PORT/app/name", &[6]));
    as_client(&rows);
}

/// A live stream may have nothing for long while its server sends pings, so peers that trickle are none of these.
#[test]
fn reading_ends_although_the_socket_is_never_empty() {
    let url = "rtmp://127.0.0.1:PORT/app/name";
    let row = |name, mode, again: &[u8]| Row::new(name, mode, url, again).stage(Stage::Play).only(&[Flood]);
    let mut rows: Vec<Row> = idle_talk().into_iter().map(|(name, again)| row(name, "read", &again)).collect();
    let small = Message::new(4, 0, 8, 1, &[0xAF]).chunks(128);
    rows.push(row("sounds that are too short", "read", &small));
    rows.push(row("pings instead of packets", "media", &ping()));
    rows.push(row("packets without an end", "media", &restarts()));
    rows.push(row("packets", "packets", &restarts()));
    rows.push(Row::new("a goodbye", "leave", url, &ping()).stage(Stage::Publish));
    as_client(&rows);
}

#[test]
fn pings_keep_a_stream_alive_that_has_nothing_to_send() {
    if is_watched() {
        return;
    }
    let server = Server::once(|peer| {
        peer.accept_play();
        for _ in 0..30 {
            peer.send_raw(&ping());
            thread::sleep(Duration::from_millis(100));
        }
        peer.send(&Message::new(4, 40, 9, 1, &[0x17; 50]));
        peer.drain(LIMIT);
    });
    let mut running = need!(start("media", TIMEOUT, ROOM, 1, &[&server.url()]));
    let status = running.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", running.stderr());
    server.join();
    let (calls, _) = calls(&running.stdout(), "pings");
    let media = calls.iter().find(|call| call.name == "media").expect("it was read");
    assert!(media.result == 1 && media.milliseconds > 2000 * TIMEOUT, "{calls:?}");
}

#[test]
fn a_player_of_the_rust_api_ends() {
    for (stage, again) in [(Stage::Handshake, restarts()), (Stage::Play, ping()), (Stage::Play, restarts())] {
        let server = Server::listen(move |listener| {
            let (stream, _) = listener.accept().expect("a client comes");
            let _ = Row::new("", "", "", &again).stage(stage).talk(Flood, stream);
        });
        let began = Instant::now();
        let client =
            rtmp_core::Client::new(&server.url()).expect("a URL").timeout(Duration::from_secs(TIMEOUT));
        let error = match client.play() {
            Ok(mut player) => player.next_message().expect_err("nothing is there to be played"),
            Err(error) => error,
        };
        // A peer that takes no answers is gone for a player that gives some.
        assert!(matches!(error, rtmp_core::Error::TimedOut | rtmp_core::Error::Closed), "{stage:?}: {error}");
        assert!(began.elapsed() < Duration::from_millis(2000 * TIMEOUT + MARGIN), "{:?}", began.elapsed());
        server.join();
    }
}

#[test]
fn a_first_request_or_handshake_of_a_client_ends() {
    let row = |name, again: &[u8]| Row::new(name, "serve", "", again);
    let post = |rest: &str| format!("POST {rest}");
    as_server(
        &[
            row("a handshake", &[3]),
            row("an encrypted handshake", &[6]),
            row("headers", b"X: y\r\n").after(post("/open/1 HTTP/1.1\r\n")),
            row("empty lines", b"\r\n").after("P"),
            row("a path", b"a").after(post("/send/")),
            row("requests for other things", b"GET / HTTP/1.1\r\n\r\n"),
            row("a body for nothing", b"x")
                .after(post("/send/none/1 HTTP/1.1\r\nContent-Length: 65536\r\n\r\n")),
            row("a body for a start", b"x")
                .after(post("/open/1 HTTP/1.1\r\nContent-Length: 40000000\r\n\r\n")),
        ],
        &[],
    );
}

/// What trickles has times of its own here, which are tested where they are measured.
#[test]
fn an_http_request_ends() {
    let row =
        |name, mode, again: &[u8]| Row::new(name, mode, "http://127.0.0.1:PORT/x.swf", again).only(&[Flood]);
    as_client(&[
        row("headers", "fetch", b"X: y\r\n").after("HTTP/1.1 200 OK\r\n"),
        row("a header", "fetch", b"x").after("HTTP/1.1 200 OK\r\nX: "),
        row("nothing that is HTTP", "fetch", &[0]),
        row("a file", "swf", b"FWS").after("HTTP/1.1 200 OK\r\n\r\n"),
    ]);
}
