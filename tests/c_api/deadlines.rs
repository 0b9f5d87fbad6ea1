//! Every wait has an end, seen from outside: peers that are silent, that send single bytes, that do not read,
//! or that vanish, in each phase and over each transport. A call has to return within several times
//! `Link.timeout`, with the right result.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certs::{Authority, Valid};
use crate::support::examples::ExampleServer;
use crate::support::hex;
use crate::support::network::{BLACK_HOLE, Nowhere};
use crate::support::numbered::{Numbered, Outcome, Worker};
use crate::support::stall::{Stalling, Then};
use crate::support::{
    Library, Program, Run, Running, TempDir,
    library::{both_ways, ours_is_original},
    program, wait_until,
};

/// Milliseconds. Not a measurement: the time that a busy machine may add to a second or two, besides the time
/// for which it is frozen.
const BOUND: u64 = 15_000;

/// The limit of a client's calls in total.
const LIMIT: Duration = Duration::from_secs(60);

const PROTOCOLS: [&str; 6] = ["rtmp", "rtmpe", "rtmpt", "rtmpte", "rtmps", "rtmpts"];

/// The program that calls.
enum Client {
    /// The usual one.
    On(Library),
    Own(Command),
}

/// How one call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    name: String,
    result: i64,
    milliseconds: u64,
    timed_out: bool,
}

/// The calls of a client whose timeout is that many seconds.
fn calls(client: Client, mode: &str, timeout: u32, url: &str) -> Option<Vec<Call>> {
    let mut command = match client {
        Client::Own(command) => command,
        Client::On(library) => Program::test("deadlines")?.command(library)?,
    };
    let before = standstill();
    let run = program::run(command.args([mode, &timeout.to_string(), url]), "", LIMIT);
    Some(judge(&run, before, &format!("{mode} {url}")))
}

/// The number of milliseconds for which this machine has been frozen since the first call: how much longer
/// short sleeps took than requested.
fn standstill() -> u64 {
    static LOST: OnceLock<Arc<AtomicU64>> = OnceLock::new();
    let lost = LOST.get_or_init(|| {
        let lost = Arc::<AtomicU64>::default();
        let sum = lost.clone();
        thread::spawn(move || {
            loop {
                let began = Instant::now();
                thread::sleep(Duration::from_millis(100));
                let late = began.elapsed().as_millis() as u64 - 100;
                sum.fetch_add(late, Ordering::Relaxed);
            }
        });
        lost
    });
    lost.load(Ordering::Relaxed)
}

/// The calls of a client that has ended, each of which must end in time; it began when the machine had been
/// frozen for `before`.
fn judge(run: &Run, before: u64, what: &str) -> Vec<Call> {
    let log = &run.stderr[run.stderr.len().saturating_sub(2000)..];
    assert!(run.code == Some(0) && !run.timed_out, "{what}: {:?}\n{}\n{log}", run.code, run.stdout);
    let parse = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, result, milliseconds, timed_out] = words[..] else { panic!("{line}") };
        let (result, milliseconds) = (result.parse().expect(line), milliseconds.parse().expect(line));
        Call { name: name.to_owned(), result, milliseconds, timed_out: timed_out == "timedout" }
    };
    let calls: Vec<Call> = run.stdout.lines().map(parse).collect();
    let bound = BOUND + 2 * (standstill() - before);
    for call in &calls {
        assert!(call.milliseconds < bound, "{what}, at most {bound} ms: {calls:?}\n{log}");
    }
    assert_eq!(calls.last().map(|call| &*call.name), Some("close"), "{what}");
    calls
}

/// The last call before the goodbye.
fn last(calls: &[Call]) -> &Call {
    &calls[calls.len() - 2]
}

/// Bytes of the server and of the client before the stream begins.
#[derive(Clone, Copy, Debug)]
struct Opening {
    sent: u64,
    taken: u64,
}

/// The connection failed, and only after a wait.
fn assert_waited_to_connect(calls: &[Call], what: &str) {
    let last = last(calls);
    assert!(last.name == "connect" && last.result == 0 && last.milliseconds > 500, "{what}: {calls:?}");
}

/// A server without faults, with a film.
struct Site {
    server: ExampleServer,
    trust: String,
    _authority: Authority,
    _folder: TempDir,
}

impl Site {
    /// `None` also for the original, which waits forever.
    fn open() -> Option<Self> {
        if ours_is_original() {
            return None;
        }
        let (authority, folder) = (Authority::new()?, TempDir::new("deadlines"));
        let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
        fs::write(folder.join("film.flv"), film()).expect("the build directory is writable");
        let options = ["-m", "1000"];
        let server =
            ExampleServer::start_with(Library::Ours, folder.path(), Some(&certificate), &options, &[])?;
        let trust = format!(" tlsCA={}", authority.certificate().display());
        Some(Self { server, trust, _authority: authority, _folder: folder })
    }

    fn stall(&self, protocol: &str, after: u64, then: Then) -> Stalling {
        Stalling::in_front_of(self.port(protocol), after, then)
    }

    fn deaf(&self, protocol: &str, after: u64) -> Stalling {
        Stalling::deaf_after(self.port(protocol), after)
    }

    fn port(&self, protocol: &str) -> u16 {
        if protocol.ends_with('s') { self.server.tls_port() } else { self.server.port() }
    }

    fn url(&self, protocol: &str, port: u16, path: &str) -> String {
        let trust = if protocol.ends_with('s') { &self.trust } else { "" };
        format!("{protocol}://127.0.0.1:{port}/{path}{trust}")
    }

    /// The number of bytes that the server sends until a client plays, or until it publishes; `options`
    /// follow the URL.
    fn opening(&self, library: Library, protocol: &str, mode: &str, options: &str) -> Option<Opening> {
        let relay = self.stall(protocol, u64::MAX, Then::Silence);
        // A name for each: there is one publisher to a stream.
        let path = format!("live/{protocol}-{library:?}-opening{options}");
        let calls = calls(Client::On(library), mode, 20, &self.url(protocol, relay.port, &path))?;
        assert_eq!(last(&calls).result, 1, "{protocol}: {calls:?}");
        Some(Opening { sent: relay.sent(), taken: relay.taken() })
    }
}

/// A minute of video, which cannot be decoded.
fn film() -> Vec<u8> {
    let mut file = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    for n in 0..1500_u32 {
        let size = 2000_u32;
        file.push(9);
        file.extend(&size.to_be_bytes()[1..]);
        file.extend(&(40 * n).to_be_bytes()[1..]);
        file.extend([0; 4]);
        let start = file.len();
        file.push(if n % 25 == 0 { 0x12 } else { 0x22 });
        file.resize(start + size as usize, n as u8);
        file.extend((11 + size).to_be_bytes());
    }
    file
}

/// Runs all of these, many at the same time, since they mostly wait.
fn all<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(case);
                }
            });
        }
    });
}

/// A client's way of calling, a protocol, and the opening bytes.
type Begun = (Library, &'static str, Opening);

/// The opening bytes of each protocol, with calls that wait and with calls that are made of steps.
fn openings(site: &Site, mode: &str, options: &str) -> Option<Vec<Begun>> {
    let found = Mutex::new(Vec::new());
    all(&both_ways_of(&PROTOCOLS), |&(library, protocol)| {
        let opening = site.opening(library, protocol, mode, options);
        found.lock().expect("nobody panics holding this lock").push((library, protocol, opening));
    });
    let found = found.into_inner().expect("nobody panics holding this lock");
    found.into_iter().map(|(library, protocol, opening)| Some((library, protocol, opening?))).collect()
}

/// Each case with calls that wait, and with calls that are made of steps.
fn both_ways_of<T: Copy>(cases: &[T]) -> Vec<(Library, T)> {
    both_ways().iter().flat_map(|library| cases.iter().map(|case| (*library, *case))).collect()
}

#[test]
fn a_server_that_falls_silent_while_a_client_connects_ends_the_call() {
    let site = need!(Site::open());
    let path = "live/nothing live=1";
    let openings = need!(openings(&site, "idle", " live=1"));
    let mut cases = Vec::new();
    for (library, protocol, opening) in openings {
        // Over HTTP the number varies: there are more or fewer empty replies.
        let most = if protocol.starts_with("rtmpt") { 7 } else { 10 };
        for tenth in 0..most {
            cases.push((library, protocol, opening.sent * tenth / 10, Then::Silence));
        }
        for tenth in [0, 5] {
            cases.push((library, protocol, opening.sent * tenth / 10, Then::Freeze));
        }
        for tenth in [0, 3, 6] {
            cases.push((library, protocol, opening.sent * tenth / 10, Then::Trickle));
        }
    }
    all(&cases, |&(library, protocol, after, then)| {
        let relay = site.stall(protocol, after, then);
        let url = site.url(protocol, relay.port, path);
        let calls = calls(Client::On(library), "idle", 1, &url).expect("the program was there before");
        let what = format!("{library:?}, {protocol}, {then:?} after {after} bytes");
        assert_eq!(last(&calls).result, 0, "{what}: {calls:?}");
    });
}

#[test]
fn server_that_stops_sending_ends_the_read() {
    let site = need!(Site::open());
    let openings = need!(openings(&site, "idle", " live=1"));
    let mut cases = Vec::new();
    for (library, protocol, opening) in openings {
        // Single bytes do not count: these are data, and a slow network is not dead.
        for then in [Then::Silence, Then::Freeze] {
            cases.push((library, protocol, opening.sent + 30_000, then));
        }
    }
    all(&cases, |&(library, protocol, after, then)| {
        let relay = site.stall(protocol, after, then);
        let url = site.url(protocol, relay.port, "vod/film");
        let calls = calls(Client::On(library), "play", 3, &url).expect("the program was there before");
        let last = last(&calls);
        let what = format!("{library:?}, {protocol}, {then:?} after {after} bytes: {calls:?}");
        assert_eq!(last.name, "read", "{what}");
        assert!(last.result == 0 && last.timed_out && last.milliseconds > 500, "{what}");
    });
}

#[test]
fn a_server_that_stops_reading_ends_the_write() {
    let site = need!(Site::open());
    let openings = need!(openings(&site, "ready", ""));
    let mut cases = Vec::new();
    for (library, protocol, opening) in openings {
        cases.push((library, protocol, site.deaf(protocol, opening.taken + 100_000), "deaf"));
        // Over HTTP each request needs a reply.
        if protocol.starts_with("rtmpt") {
            cases.push((library, protocol, site.stall(protocol, opening.sent + 2000, Then::Silence), "mute"));
        }
    }
    all(&cases, |(library, protocol, relay, what)| {
        let url = site.url(protocol, relay.port, &format!("live/{protocol}-{library:?}-{what}"));
        let calls = calls(Client::On(*library), "publish", 3, &url).expect("the program was there before");
        let last = last(&calls);
        assert!(last.name == "write" && last.result < 50_000, "{library:?}, {protocol}, {what}: {calls:?}");
    });
}

#[test]
fn closing_does_not_wait_for_a_stalled_server() {
    let site = need!(Site::open());
    let program = need!(Program::test("deadlines"));
    let mut cases = Vec::new();
    for protocol in PROTOCOLS {
        // The second timeout is none: closing has to end by its own rules.
        for timeout in ["20", "0"] {
            cases.push((protocol, "leave", timeout));
            cases.push((protocol, "finish", timeout));
        }
    }
    all(&both_ways_of(&cases), |&(library, (protocol, mode, timeout))| {
        let what = format!("{library:?} {mode} {protocol} {timeout}");
        let relay = site.stall(protocol, u64::MAX, Then::Silence);
        let path = if mode == "leave" {
            "vod/film".to_owned()
        } else {
            format!("live/{protocol}-{library:?}-{timeout}")
        };
        let mut command = program.command(library).expect("our library has a directory");
        let before = standstill();
        let mut client =
            Running::start(command.args([mode, timeout, &site.url(protocol, relay.port, &path)]));
        assert!(wait_until(LIMIT, || client.stdout().contains("waiting\n")), "{what}: {}", client.stderr());
        relay.freeze();
        client.signal("USR1");
        let status = client.wait(LIMIT);
        let run = Run {
            code: status.and_then(|status| status.code()),
            stdout: client.stdout().replace("waiting\n", ""),
            stderr: client.stderr(),
            timed_out: status.is_none(),
        };
        let calls = judge(&run, before, &what);
        assert!(last(&calls).result > 0, "{what}: it streamed: {calls:?}");
    });
}

#[test]
fn timeout_inside_a_message_loses_no_bytes() {
    let site = need!(Site::open());
    let mut cases = Vec::new();
    for protocol in PROTOCOLS {
        // The first is in one of the first messages over some protocols, where RTMP_Read holds back what it has.
        for after in [14_100, 20_000, 100_003, 250_001] {
            cases.push((protocol, after));
        }
    }
    need!(Program::test("numbered"));
    all(&both_ways_of(&cases), |&(library, (protocol, after))| {
        let what = format!("{library:?}, {protocol}, silent after {after} bytes");
        let start = || Worker::start(library).expect("the program was just built");
        let (mut publisher, mut player) = (start(), start());
        player.set_timeout(3);
        let relay = site.stall(protocol, after, Then::Hold(Duration::from_millis(6500)));
        let stream = Numbered { id: after as u32, tags: 300, start: 0, step: 40 };
        let path = format!("live/{protocol}-{library:?}-{after}");
        let begun = player.play(&stream, &site.url(protocol, relay.port, &path), LIMIT);
        assert_eq!(begun, Ok(()), "{what}");
        let url = site.url(protocol, site.port(protocol), &path);
        publisher.publish(&stream, Duration::ZERO, &url);
        assert_eq!(publisher.outcome(LIMIT), Outcome::Published { tags: 300, complete: true }, "{what}");
        assert_eq!(player.outcome(LIMIT), Outcome::Played { tags: 300, timed_out: false }, "{what}");
        assert!(player.time_outs() > 0, "{what}: there was a time-out");
    });
}

/// A proxy that sends this to each client, and then nothing, or single bytes from time to time.
fn proxy(says: &'static [u8], trickles: bool) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = client.write_all(says);
                for _ in 0..150 {
                    thread::sleep(Duration::from_millis(400));
                    if trickles && client.write_all(b"x").is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn silent_proxy_ends_the_call() {
    if ours_is_original() {
        return;
    }
    need!(Program::test("deadlines"));
    let mut cases: Vec<(&str, &'static [u8], bool)> = Vec::new();
    for trickles in [false, true] {
        cases.push(("", b"", trickles));
        cases.push(("", b"\x00", trickles));
        cases.push(("socks4a://", b"", trickles));
        cases.push(("socks5://", b"", trickles));
        cases.push(("socks5://", b"\x05", trickles));
        cases.push(("socks5://", b"\x05\x00", trickles));
        cases.push(("socks5://", b"\x05\x00\x05\x00\x00\x03\xff", trickles));
        cases.push(("http://", b"", trickles));
        cases.push(("http://", b"HTTP/1.1 200", trickles));
        cases.push(("http://", b"HTTP/1.1 200 OK\r\nServer: ", trickles));
    }
    all(&both_ways_of(&cases), |&(library, (scheme, says, trickles))| {
        for protocol in ["rtmp", "rtmps", "rtmpt"] {
            let url =
                format!("{protocol}://192.0.2.1/live/x socks={scheme}127.0.0.1:{}", proxy(says, trickles));
            let calls = calls(Client::On(library), "idle", 1, &url).expect("the program was there before");
            let last = last(&calls);
            assert!(last.name == "connect" && last.result == 0, "{library:?}, {url}: {calls:?}");
        }
    });
}

/// The same on the other side: clients of RTMP_Serve that continue with a byte now and then.
#[test]
fn a_client_that_trickles_ends_rtmp_serve() {
    if ours_is_original() {
        return; // It serves what trickles forever.
    }
    let beginnings: [&[u8]; 6] = [
        b"\x03",
        b"\x06",
        b"POST /open/1 HTTP/1.1\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        b"GET /crossdomain.xml HTTP/1.1\r\nContent-Length: 60000\r\n\r\n",
    ];
    all(&both_ways_of(&beginnings), |(library, beginning)| {
        let program = need!(Program::test("serve_trickle"));
        let mut command = need!(program.command(*library));
        let before = standstill();
        let run = program::run(command.arg(hex::encode(beginning)), "", LIMIT);
        let what = String::from_utf8_lossy(beginning);
        let calls = judge(&run, before, &what);
        assert!(last(&calls).result == 0 && last(&calls).milliseconds > 500, "{what}: {calls:?}");
    });
}

#[test]
fn an_address_that_does_not_answer_ends_the_connection_attempt() {
    if ours_is_original() {
        return;
    }
    let nowhere = need!(Nowhere::new(BLACK_HOLE));
    let program = need!(Program::test("deadlines"));
    all(&both_ways_of(&PROTOCOLS), |&(library, protocol)| {
        let url = format!("{protocol}://192.0.2.9/live/x");
        let command = need!(program.command(library));
        let client = Client::Own(nowhere.enter(&command));
        let calls = calls(client, "idle", 1, &url).expect("the program is there");
        assert_waited_to_connect(&calls, &url);
    });
}

#[test]
fn a_resolver_that_does_not_answer_ends_the_lookup() {
    if ours_is_original() {
        return;
    }
    let folder = TempDir::new("resolver");
    let file = folder.join("resolv.conf");
    fs::write(&file, "nameserver 192.0.2.9\noptions timeout:30 attempts:5\n").expect("the directory is ours");
    let hosts = folder.join("nsswitch.conf");
    fs::write(&hosts, "hosts: files dns\n").expect("the directory is ours");
    let mounts = format!(
        "{BLACK_HOLE}; mount --bind {} \"$(readlink -f /etc/resolv.conf)\"; mount --bind {} /etc/nsswitch.conf",
        file.display(),
        hosts.display()
    );
    let nowhere = need!(Nowhere::new(&mounts));
    let program = need!(Program::test("deadlines"));
    let urls = [
        "rtmp://host.example/live/x",
        "rtmps://host.example/live/x",
        "rtmpt://host.example/live/x",
        "rtmp://192.0.2.9/live/x socks=proxy.example:1080",
        "rtmp://host.example/live/x socks=192.0.2.9:1080",
    ];
    all(&both_ways_of(&urls), |&(library, url)| {
        let command = need!(program.command(library));
        let client = Client::Own(nowhere.enter(&command));
        let calls = calls(client, "idle", 1, url).expect("the program is there");
        assert_waited_to_connect(&calls, url);
    });
}

#[test]
fn a_server_whose_network_goes_down_ends_every_call() {
    if ours_is_original() {
        return;
    }
    let (servers, clients) = (need!(Nowhere::new("true")), need!(Nowhere::new("true")));
    // A cable between the two, whose far end can be removed.
    servers.run(&format!(
        "ip link add far type veth peer name near netns {}; ip addr add 10.99.0.1/24 dev far; ip link set far up",
        clients.id()
    ));
    clients.run("ip addr add 10.99.0.2/24 dev near; ip link set near up");
    let (authority, folder) = (need!(Authority::new()), TempDir::new("vanishing"));
    let certificate = authority.issue("server", "IP:10.99.0.1", Valid::Now);
    fs::write(folder.join("film.flv"), film()).expect("the build directory is writable");
    let mut command = need!(need!(Program::example("server")).command(Library::Ours));
    command
        .args(["-b", "0.0.0.0", "-p", "1935", "-s", "1936", "--cert"])
        .arg(&certificate.chain)
        .arg("--key");
    command.arg(&certificate.key).arg("-d").arg(folder.path());
    let server = Running::start(&mut servers.enter(&command));
    assert!(wait_until(LIMIT, || server.stdout().lines().count() == 2), "{}", server.stderr());

    let program = need!(Program::test("deadlines"));
    let start = |library: Library, mode: &str, protocol: &str| {
        let (port, trust) = match protocol.ends_with('s') {
            true => (1936, format!(" tlsCA={}", authority.certificate().display())),
            false => (1935, String::new()),
        };
        let path =
            if mode == "feed" { format!("live/{protocol}-{library:?}") } else { "vod/film".to_owned() };
        let mut command = program.command(library).expect("our library has a directory");
        command.args([mode, "3", &format!("{protocol}://10.99.0.1:{port}/{path}{trust}")]);
        (format!("{mode} {protocol} {library:?}"), Running::start(&mut clients.enter(&command)))
    };
    let clients_of = both_ways_of(&PROTOCOLS);
    let mut running: Vec<_> = clients_of
        .iter()
        .flat_map(|(library, protocol)| ["watch", "feed"].map(|mode| start(*library, mode, protocol)))
        .collect();
    for (what, client) in &running {
        let streams = wait_until(LIMIT, || client.stdout().contains("stream 1"));
        assert!(streams, "{what} does not begin: {}\n{}", client.stdout(), client.stderr());
    }
    servers.run("ip link set far down");
    // Those arrive too late.
    running.extend(clients_of.iter().map(|(library, protocol)| start(*library, "idle", protocol)));
    let before = standstill();
    for (what, client) in &mut running {
        let status = client.wait(LIMIT);
        let run = Run {
            code: status.and_then(|status| status.code()),
            stdout: client.stdout(),
            stderr: client.stderr(),
            timed_out: status.is_none(),
        };
        let calls = judge(&run, before, what);
        let (name, result) = (last(&calls).name.as_str(), last(&calls).result);
        match what.split(' ').next() {
            Some("watch") => {
                assert!((name, result) == ("read", 0) && last(&calls).timed_out, "{what}: {calls:?}")
            }
            Some("feed") => assert!(name == "write" && result < 50_000, "{what}: {calls:?}"),
            _ => assert!((name, result) == ("connect", 0), "{what}: {calls:?}"),
        }
    }
}
