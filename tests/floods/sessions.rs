//! What sessions hold at their worst, alone and together. SECURITY.md has these numbers.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::thread;
use std::time::Duration;

use super::{LIMIT, TIMEOUT, calls, is_watched, port_of, start};
use crate::support::wire::{Message, basic_header};
use crate::support::{Peer, Running, wait_until};

/// A session, as a client or as a server, without what is in front of it.
const SESSION: u64 = 96 << 20;

/// What a session of an RTMPT server holds besides, with all its connections.
const TUNNELLED: u64 = 5 << 20;

/// The memory that all sessions of an RTMPT server share in addition.
const SHARED: u64 = 64 << 20;

/// The memory that a process uses only once, for code and tables.
const ONCE: u64 = 8 << 20;

/// Megabytes of address space that are enough for a session and its thread.
const ROOM: u64 = 220;

/// The input that makes a session use the most memory: a header for each chunk stream, a long message whose memory is kept for
/// the next one, and incomplete messages that are too short to use that memory.
fn burden() -> Vec<u8> {
    const SHORT: u32 = 128 << 10;
    let mut bytes = Vec::new();
    for chunk_stream in 64..65_600 {
        bytes.extend(Message::new(chunk_stream, 0, 99, 0, &[0]).chunks(128));
    }
    bytes.extend(Message::new(2, 0, 1, 0, &(SHORT - 1).to_be_bytes()).chunks(128));
    bytes.extend(Message::new(6, 0, 9, 1, &vec![0x17; 0xFF_FFFF]).chunks(SHORT as usize - 1));
    for chunk_stream in 64..64 + 511 {
        bytes.extend(basic_header(0, chunk_stream));
        bytes.extend([0, 0, 0, 2, 0, 0, 9, 1, 0, 0, 0]);
        bytes.resize(bytes.len() + SHORT as usize - 1, 0x17);
    }
    bytes
}

#[test]
fn memory_of_sessions_is_within_the_documented_limit() {
    if is_watched() {
        return;
    }
    // They are made before any client waits, because this takes a while.
    let bytes = Arc::new(burden());
    for (mode, sessions) in [("read", 1), ("media", 1), ("media", 3)] {
        let bytes = bytes.clone();
        let server = super::Server::listen(move |listener| {
            let peers: Vec<Peer> = (0..sessions).map(|_| Peer::accept(listener)).collect();
            let bytes = &bytes;
            thread::scope(|scope| {
                for mut peer in peers {
                    scope.spawn(move || {
                        peer.accept_play();
                        peer.send_raw(bytes);
                        peer.drain(LIMIT);
                    });
                }
            });
        });
        let mut running = need!(start(
            mode,
            3,
            sessions * ROOM,
            sessions,
            &[&format!("rtmp://127.0.0.1:{}/app/name", server.port)]
        ));
        let status = running.wait(LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
        server.join();
        let (calls, grown) = calls(&running.stdout(), mode);
        println!("{sessions} × {mode}: {grown} kB");
        assert!(
            calls.iter().filter(|call| call.name == mode && call.result == 0).count() == sessions as usize
        );
        // A smaller growth would mean that the peers did not cause the worst case.
        assert!(grown << 10 > sessions * SESSION * 2 / 3, "{sessions} × {mode}: {grown} kB\n{calls:?}");
        assert!(grown << 10 <= ONCE + sessions * SESSION, "{sessions} × {mode}: {grown} kB\n{calls:?}");
    }
}

/// A line of `/proc/PID/status`: a number.
fn status(running: &Running, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", running.id())).expect("the server runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux has this line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn descriptors(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", running.id())).expect("the server runs").count()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a positive time-out");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a positive time-out");
    stream
}

/// The content of one reply.
fn reply(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(char::from(byte[0]));
    }
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(head));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut content = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut content)?;
    Ok(content)
}

/// Sends a request with the beginning of its body.
fn ask(stream: &mut TcpStream, path: &str, length: usize, body: &[u8]) -> io::Result<()> {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// A session after its RTMP handshake; requests continue with the number 2.
struct Tunnelled {
    id: String,
    stream: TcpStream,
}

impl Tunnelled {
    fn open(port: u16) -> io::Result<Self> {
        let mut stream = connect(port);
        ask(&mut stream, "/open/1", 1, &[0])?;
        let id = String::from_utf8_lossy(&reply(&mut stream)?).trim().to_owned();
        let mut hello = vec![3];
        hello.resize(1537, 0);
        ask(&mut stream, &format!("/send/{id}/0"), hello.len(), &hello)?;
        let mut received = reply(&mut stream)?.len() - 1;
        while received < 3073 {
            // Without a number, because these requests are never repeated.
            ask(&mut stream, &format!("/idle/{id}"), 1, &[0])?;
            received += reply(&mut stream)?.len() - 1;
        }
        ask(&mut stream, &format!("/send/{id}/1"), 1536, &[0; 1536])?;
        reply(&mut stream)?;
        Ok(Self { id, stream })
    }

    /// Says goodbye on another connection, without a number, so that no request has to come before it.
    fn close(self, port: u16) {
        let mut stream = connect(port);
        // The session may have ended already.
        let _ = ask(&mut stream, &format!("/close/{}", self.id), 1, &[0]);
        let _ = reply(&mut stream);
    }

    fn path(&self, command: &str, sequence: u32) -> String {
        format!("/{command}/{}/{sequence}", self.id)
    }
}

/// A server under attack, and its memory before the attack.
struct Victim {
    running: Running,
    port: u16,
    memory: u64,
    descriptors: usize,
}

impl Victim {
    fn start(mode: &str, timeout: u64, room: u64) -> Option<Self> {
        let mut running = start(mode, timeout, room, 100_000, &[])?;
        let port = port_of(&mut running);
        let (memory, descriptors) = (status(&running, "VmHWM:"), descriptors(&running));
        Some(Self { running, port, memory, descriptors })
    }

    /// The largest growth of its memory in bytes.
    fn grown(&self) -> u64 {
        (status(&self.running, "VmHWM:") - self.memory) << 10
    }

    /// Waits until the server holds nothing more for the attack.
    fn recovers(&mut self) {
        let recovered = wait_until(LIMIT, || {
            descriptors(&self.running) <= self.descriptors && status(&self.running, "Threads:") == 1
        });
        let left = (descriptors(&self.running), status(&self.running, "Threads:"));
        assert!(recovered && self.running.ended().is_none(), "{left:?} {}", self.running.stderr());
        Tunnelled::open(self.port).expect("an honest client is served afterwards");
    }
}

/// One session and 30 connections that join it. Each sends most of a long body, and then a byte from time to time.
#[test]
fn bodies_of_one_session_take_little_memory_and_end_with_it() {
    if is_watched() {
        return;
    }
    const LENGTH: usize = 40 << 20;
    let mut victim = need!(Victim::start("serve", TIMEOUT, 96));
    let session = Tunnelled::open(victim.port).expect("a session begins");
    // A message for each block of zeros that the server would understand, so that the session continues.
    let unit = Message::new(3, 0, 99, 0, &[0; 100]).chunks(128);
    let body = unit.repeat(LENGTH / unit.len() + 1);
    thread::scope(|scope| {
        for number in 0..30 {
            let (session, victim, body) = (&session, &victim, &body);
            scope.spawn(move || {
                let mut stream = connect(victim.port);
                ask(&mut stream, &session.path("send", 2 + number), LENGTH, &[])?;
                stream.write_all(&body[..LENGTH - (100 << 10)])?;
                for _ in 0..20 {
                    stream.write_all(&[0])?;
                    thread::sleep(Duration::from_millis(200));
                }
                Ok::<_, io::Error>(())
            });
        }
    });
    let grown = victim.grown();
    println!("bodies: {} kB", grown >> 10);
    assert!(grown <= ONCE + TUNNELLED, "{} kB", grown >> 10);
    drop(session);
    victim.recovers();
}

/// More connections to one session than the process has descriptors.
#[test]
fn connections_that_join_one_session_leave_room_for_others() {
    if is_watched() {
        return;
    }
    let mut victim = need!(Victim::start("serve", 10, 200));
    let limit = format!("--nofile={0}:{0}", victim.descriptors + 40);
    let limited = std::process::Command::new(need!(crate::support::require::program("prlimit")))
        .args([&limit, "--pid", &victim.running.id().to_string()])
        .status();
    assert!(limited.is_ok_and(|status| status.success()));
    let session = Tunnelled::open(victim.port).expect("a session begins");
    let mut joined = Vec::new();
    for number in 0..237 {
        let mut stream = connect(victim.port);
        // Some begin a body, and others wait for its end; some do not wait.
        let length = if number % 50 == 0 { 100 } else { 1 };
        let command = if number % 50 == 0 { "send" } else { "idle" };
        let _ = ask(&mut stream, &session.path(command, 2 + number), length, &[0]);
        joined.push(stream);
    }
    for _ in 0..3 {
        Tunnelled::open(victim.port).expect("an honest client is served meanwhile");
    }
    drop(session);
    victim.recovers();
    drop(joined);
}

/// Clients that send requests and never read a reply.
#[test]
fn unread_replies_are_limited_for_each_session() {
    if is_watched() {
        return;
    }
    for sessions in [1, 4] {
        let mut victim = need!(Victim::start("pour", TIMEOUT, 64 + 16 * sessions));
        let (mut held, mut open) = (Vec::new(), Vec::new());
        for _ in 0..sessions {
            let session = Tunnelled::open(victim.port).expect("a session begins");
            let mut sequence = 2;
            for _ in 0..7 {
                let mut stream = connect(victim.port);
                for _ in 0..40 {
                    let _ = ask(&mut stream, &session.path("idle", sequence), 1, &[0]);
                    sequence += 1;
                }
                held.push(stream);
            }
            open.push(session);
        }
        thread::sleep(Duration::from_secs(2));
        let grown = victim.grown();
        println!("replies of {sessions}: {} kB", grown >> 10);
        assert!(grown <= ONCE + sessions * TUNNELLED, "{sessions}: {} kB", grown >> 10);
        drop(held);
        open.into_iter().for_each(|session| session.close(victim.port));
        victim.recovers();
    }
}

/// A server that writes and does not read, while the clients' bodies wait, so that its bytes cannot be sent.
#[test]
fn output_for_clients_with_waiting_bodies_is_limited_in_total() {
    if is_watched() {
        return;
    }
    const SESSIONS: u64 = 6;
    let mut victim = need!(Victim::start("pour", TIMEOUT, 240));
    thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut session = Tunnelled::open(victim.port)?;
                let path = session.path("send", 2);
                // The body ends when the server program gives up.
                let _ = ask(&mut session.stream, &path, 40 << 20, &vec![0; 4 << 20]);
                session.close(victim.port);
                Ok::<_, io::Error>(())
            });
        }
    });
    let grown = victim.grown();
    println!("waiting: {} kB", grown >> 10);
    assert!(grown > SHARED / 2, "the server was not made to keep much: {} kB", grown >> 10);
    assert!(grown <= ONCE + SHARED + SESSIONS * TUNNELLED, "{} kB", grown >> 10);
    victim.recovers();
}

/// The sum of all limits: sessions in tunnels, each with the most memory that it can use.
#[test]
fn memory_of_tunnelled_sessions_is_within_the_documented_limit() {
    if is_watched() {
        return;
    }
    const SESSIONS: u64 = 2;
    let mut victim = need!(Victim::start("serve", 5, SESSIONS * 240));
    let bytes = burden();
    let ready = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut session = Tunnelled::open(victim.port).expect("a session begins");
                for (number, piece) in (2..).zip(bytes.chunks(8 << 20)) {
                    let path = session.path("send", number);
                    ask(&mut session.stream, &path, piece.len(), piece).expect("the server reads");
                    reply(&mut session.stream).expect("the server answers");
                }
                ready.fetch_add(1, Ordering::SeqCst);
                assert!(
                    wait_until(LIMIT, || ready.load(Ordering::SeqCst) == SESSIONS),
                    "all at the same time"
                );
                session.close(victim.port);
            });
        }
    });
    let grown = victim.grown();
    println!("{SESSIONS} in tunnels: {} kB", grown >> 10);
    assert!(grown > SESSIONS * SESSION * 2 / 3, "{} kB", grown >> 10);
    assert!(grown <= ONCE + SHARED + SESSIONS * (SESSION + TUNNELLED), "{} kB", grown >> 10);
    victim.recovers();
}
