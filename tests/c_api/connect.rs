//! Connecting in C programs: proxies, IPv6, local addresses and time limits.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::certs::{Authority, Valid};
use crate::support::front::Front;
use crate::support::program::{self, LoaderLog};
use crate::support::servers::Nginx;
use crate::support::{
    Library, Peer, Program, Run, Running, Server, TempDir, clip, flv, hex, process, require, wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);
const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// Runs `connect.c`.
fn drive(library: Library, steps: &str) -> Option<Run> {
    Program::test("connect")?.run(library, &[], steps, LIMIT)
}

/// The lines after the steps' own text.
fn results(run: Run) -> Vec<String> {
    let printed = run.expect("connect.c");
    printed.lines().map(|line| line.rsplit_once(": ").map_or("", |(_, result)| result).to_owned()).collect()
}

const CONNECTED: &str = "-> 1 connected 1";
const FAILED: &str = "-> 0 connected 0";

/// A proxy for one client: `negotiate` does its side of the dialog and returns the target, then bytes go both
/// ways.
struct Proxy {
    port: u16,
    thread: JoinHandle<Vec<u8>>,
}

impl Proxy {
    /// `negotiate` gets the client, and a buffer for the bytes that it sent.
    fn start(negotiate: impl FnOnce(&mut Talk) -> Option<SocketAddr> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let thread = thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client comes");
            client.set_read_timeout(Some(LIMIT)).expect("a positive time-out");
            let mut talk = Talk { client, heard: Vec::new() };
            if let Some(address) = negotiate(&mut talk) {
                relay(&talk.client, &TcpStream::connect(address).expect("the server listens"));
            }
            talk.heard
        });
        Self { port, thread }
    }

    /// The bytes that the client sent to the proxy itself.
    fn join(self) -> Vec<u8> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The proxy's side of a negotiation.
struct Talk {
    client: TcpStream,
    heard: Vec<u8>,
}

impl Talk {
    fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.client.read_exact(&mut bytes).expect("the client says more");
        self.heard.extend(&bytes);
        bytes
    }

    fn hear_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.extend(self.hear(1));
        }
        bytes
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("the client listens");
    }

    /// SOCKS4 and SOCKS4a.
    fn socks4(&mut self) -> SocketAddr {
        let request = self.hear(8);
        assert_eq!(request[..2], [4, 1], "SOCKS4, connect");
        let port = u16::from_be_bytes([request[2], request[3]]);
        self.hear_until(b"\0");
        let address = match request[4..] {
            [0, 0, 0, last] if last != 0 => look_up(&self.hear_until(b"\0"), port),
            _ => SocketAddr::from(([request[4], request[5], request[6], request[7]], port)),
        };
        self.say(b"\0\x5a\0\0\0\0\0\0");
        address
    }

    /// SOCKS5, with a login if there should be one.
    fn socks5(&mut self, login: Option<(&str, &str)>) -> SocketAddr {
        let count = self.hear(2)[1];
        let methods = self.hear(usize::from(count));
        let method = if login.is_some() { 2 } else { 0 };
        assert!(methods.contains(&method), "{methods:?}");
        self.say(&[5, method]);
        if let Some((user, password)) = login {
            assert_eq!(self.hear(1), [1]);
            for expected in [user, password] {
                let len = self.hear(1)[0];
                assert_eq!(self.hear(usize::from(len)), expected.as_bytes());
            }
            self.say(&[1, 0]);
        }
        assert_eq!(self.hear(3), [5, 1, 0]);
        let kind = self.hear(1)[0];
        let host = match kind {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.hear(4)).expect("4 bytes")).to_string(),
            4 => Ipv6Addr::from(<[u8; 16]>::try_from(self.hear(16)).expect("16 bytes")).to_string(),
            _ => {
                let len = self.hear(1)[0];
                String::from_utf8(self.hear(usize::from(len))).expect("names are ASCII")
            }
        };
        let port = self.hear(2);
        self.say(b"\x05\0\0\x03\x05bound\0\0");
        look_up(host.as_bytes(), u16::from_be_bytes([port[0], port[1]]))
    }

    /// HTTP CONNECT.
    fn http(&mut self) -> SocketAddr {
        let request = String::from_utf8(self.hear_until(b"\r\n\r\n")).expect("requests are ASCII");
        self.say(b"HTTP/1.1 200 Connection established\r\nVia: a test\r\n\r\n");
        let authority = request.split(' ').nth(1).expect("a request has a target");
        authority.to_socket_addrs().expect("an address").next().expect("an address")
    }
}

/// Resolves unknown names to our server.
fn look_up(host: &[u8], port: u16) -> SocketAddr {
    let host = String::from_utf8_lossy(host);
    let address = host.parse().unwrap_or(IpAddr::from(Ipv4Addr::LOCALHOST));
    SocketAddr::new(address, port)
}

/// Copies both ways until both sides have finished.
fn relay(client: &TcpStream, server: &TcpStream) {
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
}

/// Lets a player play; returns its messages.
fn player() -> Server<String> {
    Server::once(|peer| {
        peer.accept_play();
        peer.drain(LIMIT);
        peer.transcript()
    })
}

/// A name that resolvers refuse, because it is too long; it is shorter than the limit of SOCKS5.
fn unknown_name() -> String {
    "a".repeat(70)
}

#[test]
fn both_libraries_send_the_same_bytes_through_a_socks4_proxy() {
    // With RTMP_Connect, and with RTMP_Connect0 and the address of the proxy.
    for connect in ["connect\n", "open 127.0.0.1 PORT\nstart\n"] {
        let mut seen = Vec::new();
        for library in BOTH {
            // The proxy is the server, too.
            let server = Server::once(|peer| {
                let request = peer.read_exact(9);
                peer.send_raw(b"\0\x5a\0\0\0\0\0\0");
                peer.accept_play();
                peer.drain(LIMIT);
                (hex::encode(&request), peer.transcript())
            });
            let steps = format!(
                "setup rtmp://207.255.255.255:1999/app/stream timeout=10 socks=127.0.0.1:PORT\nshow\n{connect}stream\n"
            );
            let run = need!(drive(library, &steps.replace("PORT", &server.port.to_string())));
            let printed = run.expect("connect.c").replace(&server.port.to_string(), "PORT");
            seen.push((printed, server.join()));
        }
        assert_eq!(seen[0], seen[1], "{connect}");
        assert_eq!(seen[1].1.0, "040107cfcfffffff00");
        assert!(seen[1].0.contains("sockshost '127.0.0.1' socksport PORT"), "{}", seen[1].0);
        assert!(seen[1].0.ends_with("stream: -> 1 connected 1\n"), "{}", seen[1].0);
    }
}

#[test]
fn both_libraries_report_the_refusal_of_a_socks4_proxy() {
    for code in [0_u8, 89, 91, 92, 93, 255] {
        for library in BOTH {
            let server = Server::once(move |peer| {
                peer.read_exact(9);
                peer.send_raw(&[0, code, 0, 0, 0, 0, 0, 0]);
                peer.drain(LIMIT)
            });
            let steps = format!(
                "setup rtmp://192.0.2.7/app/stream timeout=10 socks=127.0.0.1:{}\nconnect\n",
                server.port
            );
            let run = need!(drive(library, &steps));
            // librtmp 2.4 prints a signed byte.
            let shown = if library == Library::Original { i16::from(code as i8) } else { i16::from(code) };
            assert!(run.stderr.contains(&format!("SOCKS returned error code {shown}")), "{}", run.stderr);
            assert_eq!(results(run)[1], FAILED, "{library:?}, code {code}");
            assert!(server.join(), "{library:?}, code {code}: the connection stays open");
        }
    }
}

/// Plays through a proxy, with our library, and returns the bytes that the proxy received.
fn play_through(
    option: &str,
    host: &str,
    negotiate: impl FnOnce(&mut Talk) -> SocketAddr + Send + 'static,
) -> Option<Vec<u8>> {
    let server = player();
    let proxy = Proxy::start(|talk| Some(negotiate(talk)));
    let option = option.replace("PROXY", &format!("127.0.0.1:{}", proxy.port));
    let steps = format!(
        "setup rtmp://{host}:{}/app/stream timeout=20 socks={option}\nconnect\nstream\n",
        server.port
    );
    let results = results(drive(Library::Ours, &steps)?);
    assert_eq!(
        results,
        [CONNECTED.replace("connected 1", "connected 0"), CONNECTED.into(), CONNECTED.into()]
    );
    let heard = proxy.join();
    assert!(server.join().contains("\"play\""), "{option}");
    // The server's port differs in each run.
    Some(heard)
}

#[test]
fn unresolved_names_are_sent_to_the_socks4_proxy() {
    let name = unknown_name();
    for option in ["PROXY", "socks4://PROXY"] {
        let heard = need!(play_through(option, "127.0.0.1", Talk::socks4));
        assert_eq!(heard.len(), 9, "{option}");
        let heard = need!(play_through(option, &name, Talk::socks4));
        assert!(heard[4..] == *[b"\0\0\0\x01\0", name.as_bytes(), b"\0"].concat(), "{option}");
        let heard = need!(play_through(option, "localhost", Talk::socks4));
        assert_eq!(heard[4..], [127, 0, 0, 1, 0], "{option}");
    }
    let heard = need!(play_through("socks4a://me@PROXY", "localhost", Talk::socks4));
    assert_eq!(heard[4..], *b"\0\0\0\x01me\0localhost\0");
}

#[test]
fn socks5_proxies_receive_names_and_passwords() {
    let name = unknown_name();
    let heard = need!(play_through("socks5://PROXY", &name, |talk| talk.socks5(None)));
    assert!(heard.windows(name.len()).any(|window| window == name.as_bytes()));
    // An escape that the parser of options does not change.
    let login = Some(("me", "p@ss:word"));
    need!(play_through("socks5://me:p%40ss:word@PROXY", "127.0.0.1", move |talk| talk.socks5(login)));
}

#[test]
fn http_proxies_receive_names_and_passwords() {
    let heard = need!(play_through("http://Aladdin:open%20sesame@PROXY/", "127.0.0.1", Talk::http));
    let heard = String::from_utf8(heard).expect("requests are ASCII");
    assert!(heard.starts_with("CONNECT 127.0.0.1:"), "{heard}");
    assert!(heard.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{heard}");
}

#[test]
fn socks5_and_http_proxies_connected_by_the_program_are_used() {
    let server = player();
    let proxy = Proxy::start(|talk| Some(talk.socks5(None)));
    let steps = format!(
        "setup rtmp://127.0.0.1:{}/app/stream timeout=20 socks=socks5://127.0.0.1:{port}\nshow\nopen 127.0.0.1 {port}\n\
         start\nstream\n",
        server.port,
        port = proxy.port
    );
    let printed = need!(drive(Library::Ours, &steps)).expect("connect.c");
    let shown = format!("sockshost 'socks5://127.0.0.1' socksport {}", proxy.port);
    assert!(printed.contains(&shown), "{printed}");
    assert!(printed.ends_with("stream: -> 1 connected 1\n"), "{printed}");
    assert_eq!(proxy.join()[..3], [5, 1, 0]);
    assert!(server.join().contains("\"play\""));
}

#[test]
fn nothing_connects_past_a_proxy_that_cannot_be_used() {
    // No connection may reach the server, not even if the program ignores that the setup has failed.
    let server = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    server.set_nonblocking(true).expect("listening sockets can be polled");
    let port = server.local_addr().expect("a bound socket has an address").port();
    let refused = process::free_port();
    for option in ["socks5://127.0.0.1:x", "socks5://:1", "ftp://127.0.0.1:1", "socks4://u:p@127.0.0.1:1"] {
        let steps = format!("setup rtmp://127.0.0.1:{port}/app/stream timeout=5 socks={option}\nconnect\n");
        let results = results(need!(drive(Library::Ours, &steps)));
        assert_eq!(results[1], FAILED, "{option}");
    }
    let steps =
        format!("setup rtmp://127.0.0.1:{port}/a/s timeout=5 socks=http://127.0.0.1:{refused}\nconnect\n");
    let run = need!(drive(Library::Ours, &steps));
    let expected = format!(
        "ERROR: RTMP_Connect0, failed to connect socket. proxy: connection refused by 127.0.0.1:{refused}\n"
    );
    assert_eq!(run.stderr, expected);
    assert!(server.accept().is_err(), "somebody connected");
}

#[test]
fn silent_proxy_or_server_ends_at_the_timeout() {
    for option in ["socks=127.0.0.1:PORT", "socks=socks5://127.0.0.1:PORT", "socks=http://127.0.0.1:PORT"] {
        // Never answers, as the listening socket is never asked for connections.
        let silent = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = silent.local_addr().expect("a bound socket has an address").port().to_string();
        let start = Instant::now();
        let steps =
            format!("setup rtmp://192.0.2.7/a/s timeout=1 {option}\nconnect\n").replace("PORT", &port);
        let run = need!(drive(Library::Ours, &steps));
        let spent = start.elapsed();
        assert!(run.stderr.ends_with("no answer in time\n"), "{}", run.stderr);
        assert_eq!(results(run)[1], FAILED, "{option}");
        assert!(
            spent >= Duration::from_millis(950) && spent < Duration::from_secs(15),
            "{option}: {spent:?}"
        );
    }
}

/// The server side of `player`, on an IPv6 address.
fn player_on_ipv6() -> Option<(u16, JoinHandle<(SocketAddr, String)>)> {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        require::missing("IPv6 on the loopback interface");
        return None;
    };
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let thread = thread::spawn(move || {
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut peer = Peer::accept(&listener);
        peer.accept_play();
        peer.drain(LIMIT);
        (address, peer.transcript())
    });
    Some((port, thread))
}

#[test]
fn an_ipv6_address_is_connected_to_and_named_in_brackets() {
    // The URL from which tcUrl is cut, and one that is composed because an option names the application.
    for (option, url) in [("", "rtmp://[::1]:PORT/app"), (" app=other", "rtmp://[::1]:PORT/other")] {
        let (port, server) = need!(player_on_ipv6());
        let steps = format!("setup rtmp://[::1]:{port}/app/stream timeout=20{option}\nconnect\nstream\n");
        assert_eq!(results(need!(drive(Library::Ours, &steps)))[1..], [CONNECTED, CONNECTED]);
        let (_, transcript) = server.join().expect("the server does not panic");
        assert!(transcript.contains(&url.replace("PORT", &port.to_string())), "{transcript}");
    }
    let (port, server) = need!(player_on_ipv6());
    let steps = format!("setup rtmp://[::1]:{port}/a/s timeout=20\nopen ::1 {port}\nstart\nstream\n");
    assert_eq!(results(need!(drive(Library::Ours, &steps)))[3], CONNECTED);
    server.join().expect("the server does not panic");
}

#[test]
fn a_socks5_proxy_connects_to_an_ipv6_address() {
    let (port, server) = need!(player_on_ipv6());
    let proxy = Proxy::start(|talk| Some(talk.socks5(None)));
    let steps = format!(
        "setup rtmp://[::1]:{port}/app/stream timeout=20 socks=socks5://127.0.0.1:{}\nconnect\nstream\n",
        proxy.port
    );
    assert_eq!(results(need!(drive(Library::Ours, &steps)))[2], CONNECTED);
    assert_eq!(proxy.join()[3..7], [5, 1, 0, 4]);
    server.join().expect("the server does not panic");
}

#[test]
fn the_version_of_ip_can_be_chosen() {
    let server = player();
    let steps = format!(
        "setup rtmp://127.0.0.1:{port}/app/stream timeout=20 ipv=6\nconnect\noption ipv 5\noption ipv 4\nconnect\nstream\n",
        port = server.port
    );
    let run = need!(drive(Library::Ours, &steps));
    assert!(run.stderr.contains("no IPv6 address"), "{}", run.stderr);
    let results = results(run);
    assert_eq!(results[1..4], [FAILED, FAILED, "-> 1 connected 0"]);
    assert_eq!(results[4], CONNECTED);
    // A host without an address closes nothing, so the stream of the URL is kept.
    let transcript = server.join();
    assert!(transcript.contains("\"play\"") && transcript.contains("\"stream\""), "{transcript}");
}

/// A listening socket on `::1` that does not answer, because its queue of connections is full, as long as the values
/// are kept.
fn silent_on_ipv6(port: u16) -> Option<(TcpListener, Vec<TcpStream>)> {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) else {
        require::missing("IPv6 on the loopback interface");
        return None;
    };
    let address = listener.local_addr().expect("a bound socket has an address");
    let mut fillers = Vec::new();
    while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        fillers.push(filler);
        assert!(fillers.len() < 10_000, "the queue of connections has no end");
    }
    Some((listener, fillers))
}

/// A host whose IPv6 address comes first and does not answer, or refuses, is reached at its IPv4 address without delay.
#[test]
fn ipv4_is_used_where_ipv6_does_not_answer() {
    let program = need!(Program::test("connect"));
    let unshare = need!(require::program("unshare"));
    let directory = TempDir::new("hosts");
    let hosts = directory.join("hosts");
    fs::write(&hosts, "::1 dual-stack\n127.0.0.1 dual-stack\n").expect("the build directory is writable");
    let script = format!("mount --bind '{}' /etc/hosts && exec \"$@\"", hosts.display());
    let in_namespace = |program: &str| {
        let mut command = Command::new(&unshare);
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh", program]);
        command
    };
    if !in_namespace("true").output().expect("unshare starts").status.success() {
        return require::missing("a mount namespace for users");
    }
    for silent in [true, false] {
        let server = player();
        let kept = if silent { Some(need!(silent_on_ipv6(server.port))) } else { None };
        let inner = need!(program.command(Library::Ours));
        let mut command = in_namespace(&inner.get_program().to_string_lossy());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let start = Instant::now();
        let steps = format!("setup rtmp://dual-stack:{}/a/s timeout=30\nconnect\nstream\n", server.port);
        let results = results(program::run(&mut command, &steps, LIMIT));
        assert_eq!(results[1..], [CONNECTED, CONNECTED], "silent: {silent}");
        let spent = start.elapsed();
        assert!(spent < Duration::from_secs(10), "silent: {silent}, {spent:?}");
        // IPv6 had its time.
        assert!(!silent || spent >= Duration::from_millis(250), "{spent:?}");
        assert!(server.join().contains("\"play\""));
        drop(kept);
    }
}

/// Accepts connections, closes them, and returns their addresses.
fn visitors(count: usize) -> (u16, JoinHandle<Vec<IpAddr>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let thread = thread::spawn(move || {
        (0..count).map(|_| listener.accept().expect("somebody comes").1.ip()).collect()
    });
    (port, thread)
}

#[test]
fn connections_leave_from_the_local_address_until_the_program_closes() {
    let (port, server) = visitors(3);
    // The server closes each time; that ends the connection, but only RTMP_Close resets the option.
    let steps = format!(
        "setup rtmp://127.0.0.1:{port}/a/s timeout=20 bind=127.0.0.7\nconnect\nconnect\nclose\n\
         setup rtmp://127.0.0.1:{port}/a/s timeout=20\nconnect\n"
    );
    need!(drive(Library::Ours, &steps)).expect("connect.c");
    let bound = IpAddr::from([127, 0, 0, 7]);
    assert_eq!(server.join().expect("it does not panic"), [bound, bound, Ipv4Addr::LOCALHOST.into()]);
}

#[test]
fn a_local_address_or_interface_that_cannot_be_used_is_an_error() {
    for (options, reason) in [
        ("bind=203.0.113.9", "cannot use local address 203.0.113.9: "),
        ("bind=::1", "(it has no IPv6 address)"),
        ("bind=no-such-card", "cannot use network interface no-such-card: "),
        ("bind=::1 ipv=4", "bind and ipv name different versions of IP"),
    ] {
        let steps = format!("setup rtmp://127.0.0.1:1/a/s timeout=5 {options}\nconnect\n");
        let run = need!(drive(Library::Ours, &steps));
        assert!(run.stderr.contains(reason), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert_eq!(results(run)[1], FAILED);
    }
}

#[test]
fn rtmpdump_records_through_a_socks4_proxy() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let rtmpdump = need!(require::program("rtmpdump"));
    let directory = TempDir::new("rtmpdump-socks");
    let mut recordings = Vec::new();
    for library in BOTH {
        let proxy = Proxy::start(|talk| Some(talk.socks4()));
        let file = directory.join(format!("{library:?}.flv"));
        let mut command = need!(program::on_library(&rtmpdump, library));
        command.args([
            "-r",
            &nginx.url("vod", "film"),
            "-m",
            "10",
            "-S",
            &format!("127.0.0.1:{}", proxy.port),
            "-o",
        ]);
        command.arg(&file);
        let loader = LoaderLog::of(&mut command);
        let run = program::run(&mut command, "", LIMIT);
        loader.assert_loaded(library);
        assert!(!run.timed_out, "{library:?}: {}", run.stderr);
        recordings.push((proxy.join(), run.code, flv::load(&file)));
    }
    let sent = flv::readable(&flv::media(&flv::load(&clip)));
    flv::assert_equal(&sent, &flv::media(&recordings[1].2), "rtmpdump through SOCKS4 against the clip");
    flv::assert_equal(&recordings[0].2, &recordings[1].2, "rtmpdump through SOCKS4");
    assert_eq!(recordings[0].0, recordings[1].0, "what the proxy heard");
    assert_eq!(recordings[0].1, recordings[1].1, "exit code");
}

/// Downloads a film with rtmpdump through a real proxy, named by an option behind the URL.
fn download_through(name: &str, option: &str) -> Option<()> {
    let nginx = Nginx::start()?;
    download(name, &nginx, &nginx.url("vod", "film"), option)
}

/// Downloads a film that `nginx` has at `url`, through a proxy.
fn download(name: &str, nginx: &Nginx, url: &str, option: &str) -> Option<()> {
    let clip = clip::flv()?;
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new(name);
    let file = directory.join("film.flv");
    let mut command = program::on_library(&require::program("rtmpdump")?, Library::Ours)?;
    let url = format!("{url} socks={option}");
    command.args(["-i", &url, "-m", "20", "-o"]).arg(&file);
    let run = program::run(&mut command, "", LIMIT);
    assert!(run.code.is_some() && !run.timed_out, "{name}: {}", run.stderr);
    assert!(file.exists(), "{name}: {}", run.stderr);
    let sent = flv::readable(&flv::media(&flv::load(&clip)));
    flv::assert_equal(&sent, &flv::media(&flv::load(&file)), name);
    Some(())
}

fn wait_for(proxy: &mut Running, port: u16) {
    let ready = wait_until(LIMIT, || process::listens_unseen(port) || proxy.ended().is_some());
    assert!(ready && proxy.ended().is_none(), "the proxy does not listen: {}", proxy.stderr());
}

#[test]
fn real_socks5_proxy_connects() {
    let microsocks = need!(require::program("microsocks"));
    let port = process::free_port();
    let mut command = Command::new(microsocks);
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "me", "-P", "s3cret"]);
    let mut proxy = Running::start(&mut command);
    wait_for(&mut proxy, port);
    need!(download_through("microsocks", &format!("socks5://me:s3cret@127.0.0.1:{port}")));
    let steps =
        format!("setup rtmp://127.0.0.1/a/s timeout=20 socks=socks5://me:wrong@127.0.0.1:{port}\nconnect\n");
    let run = need!(drive(Library::Ours, &steps));
    assert!(run.stderr.contains("user name or password is wrong"), "{}", run.stderr);
}

#[test]
fn real_http_proxy_connects() {
    let tinyproxy = need!(require::program("tinyproxy"));
    let port = process::free_port();
    let directory = TempDir::new("tinyproxy");
    let file = directory.join("tinyproxy.conf");
    let configuration =
        format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth me s3cret\nLogLevel Critical\n");
    fs::write(&file, configuration).expect("the build directory is writable");
    let mut command = Command::new(tinyproxy);
    let mut proxy = Running::start(command.arg("-d").arg("-c").arg(&file));
    wait_for(&mut proxy, port);
    need!(download_through("tinyproxy", &format!("http://me:s3cret@127.0.0.1:{port}")));
    let steps = format!("setup rtmp://127.0.0.1/a/s timeout=20 socks=http://127.0.0.1:{port}\nconnect\n");
    let run = need!(drive(Library::Ours, &steps));
    assert!(run.stderr.contains("the proxy refuses: 407 Proxy Authentication Required"), "{}", run.stderr);
}

#[test]
fn a_real_https_proxy_connects_us_also_to_a_server_with_tls() {
    let squid = need!(require::program("squid"));
    let authority = need!(Authority::new());
    let certificate = authority.issue("squid", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let port = process::free_port();
    let directory = TempDir::new("squid");
    let place = directory.path().display();
    // Squid gives its rights up and has to write there all the same.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("the directory is ours");
    let command = "openssl passwd -apr1 s3cret";
    let hash = process::output(Path::new("/bin/sh"), &["-c", command], LIMIT);
    let login = format!("me:{}\n", String::from_utf8_lossy(&hash).trim());
    fs::write(directory.join("login"), login).expect("the directory is writable");
    let file = directory.join("squid.conf");
    let configuration = format!(
        "https_port 127.0.0.1:{port} tls-cert={} tls-key={}\npid_filename {place}/pid\ncache_log {place}/log\n\
         access_log none\ncache deny all\ncache_mem 8 MB\nmemory_cache_shared off\ncoredump_dir {place}\n\
         netdb_filename none\nshutdown_lifetime 0 seconds\nvisible_hostname localhost\nmax_filedescriptors 1024\n\
         auth_param basic program /usr/lib/squid/basic_ncsa_auth {place}/login\nauth_param basic children 1\n\
         acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n",
        certificate.chain.display(),
        certificate.key.display()
    );
    fs::write(&file, configuration).expect("the directory is writable");
    let mut command = Command::new(squid);
    let mut proxy = Running::start(command.arg("-N").arg("-f").arg(&file));
    wait_for(&mut proxy, port);
    let trust = format!("tlsCA={}", authority.certificate().display());
    let nginx = need!(Nginx::start());
    let option = format!("https://me:s3cret@localhost:{port} {trust}");
    need!(download("squid", &nginx, &nginx.url("vod", "film"), &option));
    let server = authority.issue("server", "DNS:localhost", Valid::Now);
    let front = need!(Front::stunnel(&server, "TLSv1.3", nginx.port));
    need!(download("squid-tls", &nginx, &front.url("vod", "film"), &option));

    let failure = |option: &str| {
        let steps = format!("setup rtmp://127.0.0.1/a/s timeout=20 socks={option}\nconnect\n");
        drive(Library::Ours, &steps).map(|run| run.stderr)
    };
    let text = need!(failure(&format!("https://localhost:{port}")));
    assert!(text.contains("HTTPS negotiation failed") && text.contains("unknown issuer"), "{text}");
    let text = need!(failure(&format!("https://me:wrong@localhost:{port} {trust}")));
    assert!(text.contains("the proxy refuses: 407 Proxy Authentication Required"), "{text}");
    let text = need!(failure(&format!("https://me:s3cret@localhost:{} {trust}", nginx.port)));
    assert!(text.contains("HTTPS negotiation failed"), "{text}");
    // The certificate is not verified if that is requested.
    need!(download(
        "squid-unchecked",
        &nginx,
        &nginx.url("vod", "film"),
        &format!("https://me:s3cret@127.0.0.1:{port} tlsVerify=0")
    ));
}

#[test]
fn a_silent_https_proxy_ends_at_the_time_out() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let steps =
        format!("setup rtmp://127.0.0.1/a/s timeout=1 socks=https://127.0.0.1:{port} tlsVerify=0\nconnect\n");
    let run = need!(drive(Library::Ours, &steps));
    assert!(run.stderr.contains("HTTPS negotiation failed"), "{}", run.stderr);
    assert!(run.stderr.contains("no answer in time"), "{}", run.stderr);
}
