//! Sessions that never wait (`loop.h`), driven by a program with an event loop of its own.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rtmp_core::transport::tls::ServerContext;

use crate::pumps;
use crate::support::amf::Value;
use crate::support::certs::{Authority, Valid};
use crate::support::process::{TempDir, free_port};
use crate::support::program::run;
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server, require};
use crate::ways::{Credentials, Way};

const LIMIT: Duration = Duration::from_secs(120);

const WAYS: [Way; 6] =
    [Way::PLAIN, Way::ENCRYPTED, Way::TUNNELLED, Way::ENCRYPTED_TUNNELLED, Way::TLS, Way::TLS_TUNNELLED];

/// Plays messages of many sizes, and reports the end of the stream.
fn play(peer: &mut Peer, messages: u32) {
    peer.accept_play();
    send_media(peer, messages);
}

fn send_media(peer: &mut Peer, messages: u32) {
    for time in 0..messages {
        let length = (time * 7919 % 50_021) as usize + 10;
        let kind = if time % 3 == 0 { 8 } else { 9 };
        peer.send(&Message::new(4, time * 20, kind, 1, &vec![time as u8; length]));
    }
    peer.status(1, "status", "NetStream.Play.Complete", "");
    peer.finish();
    peer.drain(LIMIT);
}

/// The output of the program.
fn output(program: &Program, arguments: &[&str]) -> Option<String> {
    Some(program.run(Library::Ours, arguments, "", LIMIT)?.expect("event_loop"))
}

#[test]
fn non_blocking_calls_send_the_same_bytes_over_every_transport() {
    let program = need!(Program::test_of_ours("event_loop"));
    let credentials = need!(Credentials::new());
    for way in WAYS {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            for _ in 0..3 {
                play(&mut way.dress(Peer::accept(listener), Some(&tls)), 120);
            }
        });
        let certificate = credentials.authority.certificate();
        let url = format!("{way}://127.0.0.1:{}/app/name tlsCA={}", server.port, certificate.display());
        let blocking = need!(output(&program, &["block", &url]));
        assert!(blocking.ends_with(" ended\n") && !blocking.contains(" 0 bytes"), "{way}: {blocking}");
        for how in ["play", "watch"] {
            assert_eq!(need!(output(&program, &[how, &url])), blocking, "{way}, {how}");
        }
        server.join();
    }
}

#[test]
fn a_loop_may_do_other_things_in_any_order_and_gets_the_same_bytes() {
    let program = need!(Program::test_of_ours("event_loop"));
    let credentials = need!(Credentials::new());
    let seeds = env::var("WANDERINGS").map_or(6, |count| count.parse().expect("a number"));
    for way in WAYS {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            for _ in 0..=seeds {
                play(&mut way.dress(Peer::accept(listener), Some(&tls)), 40);
            }
        });
        let certificate = credentials.authority.certificate();
        let url = format!("{way}://127.0.0.1:{}/app/name tlsCA={}", server.port, certificate.display());
        let blocking = need!(output(&program, &["block", &url]));
        assert!(blocking.ends_with(" ended\n") && !blocking.contains(" 0 bytes"), "{way}: {blocking}");
        for seed in 0..seeds {
            assert_eq!(
                need!(output(&program, &["wander", &seed.to_string(), &url])),
                blocking,
                "{way}, {seed}"
            );
        }
        server.join();
    }
}

#[test]
fn a_server_that_answers_before_it_is_asked_does_not_make_the_loop_wait_for_nothing() {
    let program = need!(Program::test_of_ours("event_loop"));
    let server = Server::listen(|listener: &TcpListener| {
        for _ in 0..3 {
            let mut peer = Peer::accept(listener);
            peer.handshake();
            // The client still waits for the answer to its first command when the stream plays.
            for transaction in 1..=3 {
                let result = if transaction == 1 { Value::Null } else { Value::Number(1.0) };
                peer.result(f64::from(transaction), &[Value::Null, result]);
            }
            peer.status(1, "status", "NetStream.Play.Start", "");
            send_media(&mut peer, 60);
        }
    });
    let blocking = need!(output(&program, &["block", &server.url()]));
    assert!(blocking.ends_with(" ended\n") && !blocking.contains(" 0 bytes"), "{blocking}");
    for how in ["play", "watch"] {
        assert_eq!(need!(output(&program, &[how, &server.url()])), blocking, "{how}");
    }
    server.join();
}

#[test]
fn an_https_proxy_carries_every_transport_with_and_without_waiting() {
    let program = need!(Program::test_of_ours("event_loop"));
    let credentials = need!(Credentials::new());
    let certificate = credentials.authority.issue("proxy", "DNS:localhost", Valid::Now);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let proxy = pumps::https_proxy(context, Some("Basic bWU6czNjcmV0"));
    for way in WAYS {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            for _ in 0..4 {
                play(&mut way.dress(Peer::accept(listener), Some(&tls)), 60);
            }
        });
        let certificate = credentials.authority.certificate();
        let direct = format!("{way}://127.0.0.1:{}/app/name tlsCA={}", server.port, certificate.display());
        let through = format!("{direct} socks=https://me:s3cret@localhost:{proxy}");
        let expected = need!(output(&program, &["block", &direct]));
        assert!(expected.ends_with(" ended\n") && !expected.contains(" 0 bytes"), "{way}: {expected}");
        for how in ["block", "play", "watch"] {
            assert_eq!(need!(output(&program, &[how, &through])), expected, "{way}, {how}");
        }
        server.join();
    }
}

#[test]
fn one_thread_serves_and_plays_over_every_transport() {
    let program = need!(Program::test_of_ours("event_loop"));
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
    let [cert, key] = [&certificate.chain, &certificate.key].map(|path| path.display().to_string());
    let urls: Vec<_> = ["rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts"]
        .iter()
        .cycle()
        .take(12)
        .map(|way| format!("{way}://127.0.0.1:@/app/name tlsCA={}", authority.certificate().display()))
        .collect();
    let arguments: Vec<_> =
        ["serve", &cert, &key].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let output = need!(output(&program, &arguments));
    let lines: Vec<_> = output.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(lines.len(), 12, "{output}");
    // A header, and 300 tags of 7001 bytes.
    let expected = 13 + 300 * (11 + 7001 + 4);
    for line in &lines {
        assert!(line.starts_with(&format!("{expected} bytes ")) && line.ends_with(" ended"), "{output}");
        assert_eq!(line, &lines[0]);
    }
}

#[test]
fn a_stalled_server_does_not_stop_other_sessions_and_meets_its_deadline() {
    let program = need!(Program::test_of_ours("event_loop"));
    // Silent from the beginning, after the handshake, after connect, and in the middle of the stream.
    let (ended, end) = mpsc::channel();
    let stalled = Server::listen(move |listener: &TcpListener| {
        let mut peers = Vec::new();
        for step in 0..4 {
            let mut peer = Peer::accept(listener);
            match step {
                1 => peer.handshake(),
                2 => drop(peer.accept_connect()),
                3 => {
                    peer.accept_play();
                    peer.send(&Message::new(4, 0, 9, 1, &[7; 5000]));
                    peer.send(&Message::new(4, 1, 8, 1, &[7; 10]));
                }
                _ => {}
            }
            peers.push(peer);
        }
        end.recv_timeout(LIMIT).expect("the program ends");
    });
    let good = Server::listen(|listener: &TcpListener| {
        for _ in 0..3 {
            play(&mut Peer::accept(listener), 60);
        }
    });
    let slow = format!("{} timeout=5", stalled.url());
    let url = good.url();
    let arguments = ["play", &slow, &slow, &slow, &slow, &url, &url, &url];
    let output = need!(output(&program, &arguments));
    ended.send(()).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 7, "{output}");
    let (first, last) = lines.split_at(3);
    assert!(first.iter().all(|line| line.ends_with(" ended")), "{output}");
    assert!(last.iter().all(|line| line.ends_with(" timed out")), "{output}");
    assert!(last.iter().any(|line| line.contains(" 5053 bytes ")), "{output}");
    stalled.join();
    good.join();
}

#[test]
fn messages_are_accepted_completely_or_not_at_all_before_the_close_message() {
    let program = need!(Program::test_of_ours("event_loop"));
    let credentials = need!(Credentials::new());
    for way in [Way::PLAIN, Way::TLS, Way::ENCRYPTED, Way::TUNNELLED] {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            let mut peer = way.dress(Peer::accept(listener), Some(&tls));
            peer.accept_publish();
            let mut count = 0_u32;
            while let Some(message) = peer.next(LIMIT) {
                if message.kind == 9 {
                    assert!(
                        message.body.len() == 90_000 && message.body.iter().all(|byte| *byte == count as u8)
                    );
                    assert_eq!(message.timestamp, count);
                    count += 1;
                } else if message.body.windows(12).any(|part| part == b"deleteStream") {
                    break;
                }
            }
            count
        });
        let certificate = credentials.authority.certificate();
        let url = format!("{way}://127.0.0.1:{}/app/name tlsCA={}", server.port, certificate.display());
        let output = need!(output(&program, &["publish", "200", "90000", &url]));
        assert_eq!(server.join(), 200, "{way}: {output}");
        assert!(output.starts_with("200 sent, "), "{way}: {output}");
    }
}

#[test]
fn full_queue_accepts_nothing_and_stalled_peer_times_out() {
    let program = need!(Program::test_of_ours("event_loop"));
    let (ended, end) = mpsc::channel();
    let server = Server::once(move |peer| {
        peer.accept_publish();
        end.recv_timeout(LIMIT).expect("the program ends");
    });
    let url = format!("{} timeout=2", server.url());
    let output = need!(output(&program, &["publish", "10000", "90000", &url]));
    ended.send(()).unwrap();
    let count: u32 = output.trim_start_matches("failed after ").split(':').next().unwrap().parse().unwrap();
    // 4 MiB wait in the queue, and the system takes some.
    assert!((46..5000).contains(&count) && output.ends_with(": timed out\n"), "{output}");
    server.join();
}

#[test]
fn a_session_that_never_waits_can_be_used_wrongly() {
    let program = need!(Program::test_of_ours("event_loop"));
    assert_eq!(need!(output(&program, &["misuse"])), "ok\n");
}

/// The number after a word of `ss`, as in `rtt:0.031/0.015`.
fn number_behind(text: &str, word: &str) -> Option<f64> {
    let found = text.split_whitespace().find_map(|part| part.strip_prefix(word)?.strip_prefix(':'))?;
    found.split('/').next()?.parse().ok()
}

#[test]
fn stall_is_reported_once_a_second_and_statistics_match_the_system() {
    let program = need!(Program::test_of_ours("event_loop"));
    need!(require::program("ss"));
    let (ended, end) = mpsc::channel();
    let server = Server::once(move |peer| {
        peer.accept_publish();
        end.recv_timeout(LIMIT).expect("the program ends");
    });
    let url = format!("{} timeout=60", server.url());
    let output = need!(output(&program, &["stall", &url]));
    ended.send(()).unwrap();
    server.join();
    assert!(output.ends_with("\n3 stalls\n"), "{output}");
    let (ours, system) = output.split_once('\n').unwrap();
    let ours: Vec<u64> = ours.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [unsent, queued, out, round_trip, retransmissions] = ours[..] else { panic!("{output}") };
    // The state, the bytes that wait for the program, and those that the peer has not confirmed.
    let send_queue: u64 = system.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert_eq!(unsent, send_queue, "{output}");
    assert!(queued > 3 << 20, "{output}");
    let microseconds = (number_behind(system, "rtt").unwrap() * 1000.0).round() as u64;
    assert_eq!(round_trip, microseconds, "{output}");
    let sent_again =
        system.split_whitespace().find_map(|part| part.strip_prefix("retrans:")?.split('/').nth(1));
    assert_eq!(retransmissions, sent_again.map_or(0, |count| count.parse().unwrap()), "{output}");
    // What the peer's system has confirmed counts from 1.
    let confirmed = number_behind(system, "bytes_acked").unwrap() as u64 - 1;
    assert_eq!(out - queued, confirmed + unsent, "{output}");
}

/// A figure that `many` prints.
fn figure(output: &str, name: &str) -> f64 {
    let found = output.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {output}")).parse().expect("a number")
}

#[test]
fn hundreds_of_sessions_on_one_thread_get_every_message_although_one_stalls() {
    let program = need!(Program::test_of_ours("many"));
    let output = |players: u32, how: &str| {
        let arguments = [&players.to_string(), "20", "3000", how];
        program.run(Library::Ours, &arguments, "", LIMIT).map(|run| run.expect("many"))
    };
    let few = need!(output(30, "steps"));
    assert_eq!((figure(&few, "sessions"), figure(&few, "arrived")), (60.0, 600.0));
    let many = need!(output(300, "steps"));
    assert_eq!((figure(&many, "sessions"), figure(&many, "arrived")), (600.0, 6000.0));
    // Memory grows linearly: what sessions share counts only for few sessions.
    assert!(figure(&many, "kb_per_session") <= 1.1 * figure(&few, "kb_per_session") + 4.0, "{few}{many}");
    let stalled = need!(output(300, "stalled"));
    assert_eq!((figure(&stalled, "arrived"), figure(&stalled, "dropped")), (5980.0, 0.0), "{stalled}");
}

#[test]
fn no_system_call_can_wait() {
    let program = need!(Program::test_of_ours("event_loop"));
    let credentials = need!(Credentials::new());
    let strace = need!(require::program("strace"));
    let directory = TempDir::new("event-loop-trace");
    let modes = [("play", "localhost"), ("play", "127.0.0.1"), ("publish", "127.0.0.1")];
    for (way, (mode, host)) in WAYS.iter().flat_map(|way| modes.iter().map(move |mode| (*way, *mode))) {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            let mut peer = way.dress(Peer::accept(listener), Some(&tls));
            if mode == "play" {
                play(&mut peer, 60);
            } else {
                peer.accept_publish();
                peer.wait_for("deleteStream");
                peer.drain(LIMIT);
            }
        });
        let certificate = credentials.authority.certificate();
        let url =
            format!("{way}://{host}:{}/app/name tlsCA={} tlsVerify=0", server.port, certificate.display());
        let what = format!("{}-{mode}-{host}", way.protocol);
        let sizes = if mode == "play" { &[][..] } else { &["60", "9000"] };
        let arguments = [&[mode], sizes, &[&url]].concat();
        let trace = trace(&strace, &program, &arguments, &directory, &what);
        let Some((stdout, threads)) = trace else {
            server.join();
            return;
        };
        let end = if mode == "play" { " ended\n" } else { "60 sent, " };
        assert!(stdout.contains(end), "{what}: {stdout}");
        server.join();
        // A name is looked up in another thread, which may wait.
        assert_eq!(threads.len(), 1 + usize::from(host == "localhost"), "{what}");
        let main = threads.iter().find(|text| text.starts_with("execve(")).expect("the program is traced");
        // The setup comes before the session is non-blocking.
        let calls: Vec<_> = main.lines().skip_while(|call| !call.starts_with("socket(AF_INET")).collect();
        assert!(calls.iter().any(|call| call.starts_with("recvfrom(")), "{what}: the trace shows receiving");
        let waiting: Vec<_> = calls.into_iter().filter(|call| can_wait(call)).collect();
        assert!(waiting.is_empty(), "{what}: {waiting:#?}");
    }
}

/// The output of a program, and the system calls of each of its threads. `None` if tracing is not allowed
/// here.
fn trace(
    strace: &Path,
    program: &Program,
    arguments: &[&str],
    directory: &TempDir,
    name: &str,
) -> Option<(String, Vec<String>)> {
    let mut command = std::process::Command::new(strace);
    command.args(["-ff", "-o"]).arg(directory.join(name)).arg(program.path()).args(arguments);
    command.env("LD_LIBRARY_PATH", Library::Ours.directory().expect("ours is always there"));
    let traced = run(&mut command, "", LIMIT);
    if traced.stderr.contains("ptrace") || traced.stderr.contains("PTRACE") {
        return None;
    }
    let files = fs::read_dir(directory.path()).unwrap().flatten().map(|file| file.path());
    let start = format!("{name}.");
    let is_of_this_run =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&start));
    let threads = files.filter(is_of_this_run).map(|path| fs::read_to_string(path).unwrap()).collect();
    Some((traced.expect("event_loop"), threads))
}

/// Servers begin a live stream with everything since the last key frame. The player waits for each message after that: with one
/// call that reads the timeout, and one that receives. A name has been looked up by a thread, and then the library polls.
#[test]
fn a_live_player_makes_two_calls_for_a_message_also_after_a_burst() {
    const MESSAGES: u32 = 200;
    let program = need!(Program::example_of_ours("guide/record"));
    let strace = need!(require::program("strace"));
    let directory = TempDir::new("live-trace");
    for (host, name) in [("127.0.0.1", "address"), ("localhost", "name")] {
        let server = Server::listen(|listener: &TcpListener| {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            let video = |time: u32, length: usize| Message::new(4, time, 9, 1, &vec![0x17; length]);
            (0..20).for_each(|time| peer.send(&video(time, 50_000)));
            for time in 0..MESSAGES {
                std::thread::sleep(Duration::from_millis(2));
                // Key frames do not fit into the buffer of the struct.
                peer.send(&video(20 + time, if time % 10 == 0 { 30_000 } else { 3_000 }));
            }
            peer.status(1, "status", "NetStream.Play.Complete", "");
            peer.finish();
            peer.drain(LIMIT);
        });
        let file = directory.join(name);
        let arguments = [&*server.url().replace("127.0.0.1", host), &file.to_string_lossy()];
        let traced = trace(&strace, &program, &arguments, &directory, &format!("live-{name}"));
        server.join();
        let Some((_, threads)) = traced else { return };
        assert_eq!(threads.len() > 1, name == "name", "{} threads", threads.len());
        let names = ["recvfrom(", "recvmsg(", "getsockopt(", "fcntl(", "ppoll("];
        let calls = threads.iter().flat_map(|thread| thread.lines());
        let calls = calls.filter(|call| names.iter().any(|name| call.starts_with(name))).count();
        // Connecting and the burst take some, and a wait that polls takes five for each message.
        assert!(calls > 50 && calls < 2 * MESSAGES as usize + 300, "{host}: {calls} calls");
    }
}

/// Calls are measured, without the time for which a busy machine lets the thread wait for a processor: none sleeps for 5 ms. How
/// long one computes depends on the build, so that limit is only a guard.
#[test]
fn no_call_sleeps_for_5_milliseconds() {
    let program = need!(Program::test_of_ours("many"));
    let mut command = need!(program.command(Library::Stepping));
    command.env("STEPPING_MEASURE", "200").args(["20", "30", "3000", "blocking"]);
    let output = run(&mut command, "", LIMIT).expect("many");
    assert_eq!(figure(&output, "arrived"), 600.0);
}

/// Whether a system call of the trace could have waited. `pselect6` is the program's own.
fn can_wait(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    match name {
        "recvfrom" | "recvmsg" | "sendto" | "sendmsg" => !call.contains("MSG_DONTWAIT"),
        "connect" => !call.contains("EINPROGRESS"),
        "poll" | "ppoll" | "select" | "epoll_wait" | "epoll_pwait" | "nanosleep" | "clock_nanosleep"
        | "accept" | "accept4" | "flock" | "wait4" => true,
        "futex" => call.contains("FUTEX_WAIT") && !call.contains("EAGAIN"),
        _ => false,
    }
}

#[test]
fn the_example_saves_many_streams_and_prints_why_one_failed() {
    let program = need!(Program::example_of_ours("loop"));
    let server = Server::listen(|listener: &TcpListener| {
        for _ in 0..8 {
            play(&mut Peer::accept(listener), 40);
        }
    });
    let directory = TempDir::new("event-loop-example");
    let folder = directory.path().display().to_string();
    let nobody = format!("rtmp://127.0.0.1:{}/app/name", free_port());
    let url = server.url();
    let mut arguments = vec!["-d", &folder];
    arguments.extend([url.as_str(); 8]);
    let run = need!(program.run(Library::Ours, &arguments, "", LIMIT));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    server.join();
    let first = fs::read(directory.join("1.flv")).unwrap();
    assert!(first.starts_with(b"FLV\x01") && first.len() > 100_000);
    for number in 2..=8 {
        assert!(fs::read(directory.join(format!("{number}.flv"))).unwrap() == first);
    }
    let run = need!(program.run(Library::Ours, &["-d", &folder, &nobody], "", LIMIT));
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.contains("cannot play (connect: connection refused by 127.0.0.1:"), "{}", run.stderr);
}
