//! `RTMP_Write` with blocks of many tags: they are sent together, completely and in order.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Library, Peer, Program, Server};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs the program, and returns what it printed and the timestamps and lengths of the video that arrived.
fn run(arguments: &[&str]) -> Option<(String, Vec<(u32, usize)>)> {
    let program = Program::test_of_ours("blocks")?;
    let (tell, arrived) = mpsc::channel();
    let server = Server::listen(move |listener: &TcpListener| {
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
        assert!(peer.violations().is_empty(), "{:?}", peer.violations());
        let videos = peer.messages.iter().filter(|message| message.kind == 9);
        let videos = videos.inspect(|message| {
            let number = message.timestamp as u8;
            assert!(message.body.iter().all(|byte| *byte == number), "another message's bytes in {number}");
        });
        tell.send(videos.map(|message| (message.timestamp, message.body.len())).collect()).unwrap();
    });
    let url = server.url();
    let arguments: Vec<_> = [&url[..]].into_iter().chain(arguments.iter().copied()).collect();
    let output = program.run(Library::Ours, &arguments, "", LIMIT)?.expect("blocks");
    server.join();
    Some((output, arrived.recv().unwrap()))
}

/// Two blocks of 150 tags, one of which is long.
fn films() -> Vec<(u32, usize)> {
    (1..=300).map(|number| (number, if number == 221 { 20_000 } else { 300 })).collect()
}

#[test]
fn tags_of_one_block_are_sent_together() {
    let (printed, arrived) = need!(run(&[]));
    // The tags before one that cannot be sent are sent.
    let expected: Vec<_> = films().into_iter().chain((301..=303).map(|number| (number, 300))).collect();
    assert_eq!(arrived, expected);
    let sends: Vec<u32> =
        printed.lines().map(|line| line.rsplit(' ').nth(1).unwrap().parse().unwrap()).collect();
    // The long one and the tags before and after it.
    assert_eq!(sends, [1, 3, 1], "{printed}");
    assert!(printed.lines().last().unwrap().starts_with("-1 of "), "{printed}");
}

#[test]
fn blocks_may_be_cut_anywhere() {
    let (printed, arrived) = need!(run(&["cut"]));
    assert_eq!((&printed[..], arrived), ("ok\n", films()));
}
