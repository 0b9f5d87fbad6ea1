//! `RTMP_GetStats`: its values, the system's values, and the bytes on the wire.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server};
use crate::ways::{Credentials, Way};

const LIMIT: Duration = Duration::from_secs(120);
/// Both halves of the client's handshake.
const HANDSHAKE: usize = 1 + 1536 + 1536;

/// The numbers after their names.
fn numbers(output: &str) -> impl Fn(&str) -> u64 {
    let words: Vec<String> = output.split_whitespace().map(str::to_owned).collect();
    move |name| {
        let at =
            words.iter().position(|word| word == name).unwrap_or_else(|| panic!("no {name} in {words:?}"));
        words[at + 1].parse().unwrap()
    }
}

#[test]
fn published_bytes_are_counted_and_acknowledged_over_every_transport() {
    let program = need!(Program::test_of_ours("stats"));
    let credentials = need!(Credentials::new());
    for way in [Way::PLAIN, Way::TUNNELLED, Way::ENCRYPTED, Way::TLS] {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            let mut peer = way.dress(Peer::accept(listener), Some(&tls));
            peer.accept_publish();
            let setup = peer.messages.len();
            while peer.messages.len() < setup + 200 {
                peer.next(LIMIT).expect("200 messages are published");
            }
            let received = HANDSHAKE + peer.bytes.len();
            // Some peers acknowledge more bytes than they received.
            peer.send_control(3, &(received as u32 + 5).to_be_bytes());
            peer.drain(LIMIT);
            (received, setup + 200, peer.sent.len())
        });
        let url = format!("{way}://127.0.0.1:{}/app/name", server.port);
        let ca = format!("{url} tlsCA={} timeout=20", credentials.authority.certificate().display());
        for_one(&program, &["publish", &ca, "200", "1500"], way, server);
    }
}

fn for_one(program: &Program, arguments: &[&str], way: Way, server: Server<(usize, usize, usize)>) {
    let Some(run) = program.run(Library::Ours, arguments, "", LIMIT) else { return };
    let output = run.expect("stats");
    let (received, messages, sent) = server.join();
    let number = numbers(&output);
    assert_eq!(number("bytesOut"), received as u64, "{way}: {output}");
    assert_eq!(number("messagesOut"), messages as u64, "{way}: {output}");
    assert_eq!(number("acknowledged"), received as u64, "{way}: {output}");
    assert_eq!(number("messagesIn"), sent as u64, "{way}: {output}");
    assert_eq!(number("tls"), u64::from(way.tls), "{way}: {output}");
    for phase in ["lookup", "tcp", "handshake", "connect", "stream"] {
        assert_eq!(number(phase), 1, "{way}: {output}");
    }
    assert_eq!(number("proxy"), 0, "{way}: {output}");
}

#[test]
fn received_bytes_are_counted_for_any_message_size() {
    let program = need!(Program::test_of_ours("stats"));
    for (size, chunk_size) in [(40, 128), (3000, 128), (90_000, 65_536), (300_000, 4096)] {
        let server = Server::once(move |peer| {
            peer.accept_play();
            peer.set_chunk_size(chunk_size);
            for time in 0..100 {
                peer.send(&Message::new(6, time * 40, 9, 1, &vec![7; size]));
            }
            peer.drain(LIMIT);
            peer.sent.len()
        });
        let url = format!("{} timeout=20", server.url());
        let run = need!(program.run(Library::Ours, &["play", &url, "100"], "", LIMIT));
        let output = run.expect("stats");
        let number = numbers(&output);
        let sent = server.join() as u64;
        assert!((100..=sent).contains(&number("messagesIn")), "{sent} messages: {output}");
        assert!((90 * size as u64..105 * size as u64 + 50_000).contains(&number("bytesIn")), "{output}");
    }
}

#[test]
fn other_threads_see_the_stall_of_a_send() {
    let program = need!(Program::test_of_ours("stats"));
    let (ended, end) = mpsc::channel();
    let server = Server::once(move |peer| {
        peer.accept_publish();
        end.recv_timeout(LIMIT).expect("the program ends");
    });
    let url = format!("{} timeout=60", server.url());
    let run = need!(program.run(Library::Ours, &["stall", &url], "", LIMIT));
    ended.send(()).unwrap();
    run.expect("stats");
    server.join();
}

#[test]
fn system_error_is_kept_after_closing() {
    let program = need!(Program::test_of_ours("stats"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("rtmp://127.0.0.1:{port}/app/name");
    let run = need!(program.run(Library::Ours, &["fail", &url], "", LIMIT));
    assert_eq!(run.expect("stats"), "refused\n");
}
