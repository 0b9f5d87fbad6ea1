//! Requests to a tunnel's server on one connection or several: the same stream and the same replies however one connection's bytes
//! are cut, no more bytes of the stream than came, and no wait without a deadline.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rtmp_core::transport::tunnel::{Arrived, Server, SessionId};

use super::input::{self, Cuts};

/// What the first byte chooses: each piece comes on another connection, of which some end.
const SEVERAL: u8 = 0x01;
/// There are bytes for the client from the beginning.
const WRITES: u8 = 0x02;
/// Nobody reads before the end.
const DEAF: u8 = 0x04;
/// The user closes the session before the end.
const CLOSES: u8 = 0x08;

/// How many connections there are at most.
const CONNECTIONS: u64 = 3;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let cut = drive(choice, bytes, cuts);
    assert!(cut.stream.len() <= bytes.len());
    if choice & (SEVERAL | DEAF | CLOSES) == 0 {
        assert_eq!(cut, drive(choice, bytes, Cuts::WHOLE));
    }
}

#[derive(Debug, PartialEq)]
struct Driven {
    stream: Vec<u8>,
    replies: Vec<u8>,
    over: bool,
}

fn drive(choice: u8, bytes: &[u8], cuts: Cuts) -> Driven {
    let begun = Instant::now();
    let mut now = begun;
    let id = SessionId::new(b"s").expect("it can be a name");
    let mut server = Server::new(id, Duration::from_secs(30), now);
    let mut driven = Driven { stream: Vec::new(), replies: Vec::new(), over: false };
    if choice & WRITES != 0 {
        assert_eq!(server.write(b"for the client", now), 14);
    }
    server.accept(0, &[], now);
    for (index, piece) in cuts.pieces(bytes).into_iter().enumerate() {
        let mut number = 0;
        if choice & SEVERAL != 0 {
            number = index as u64 % CONNECTIONS;
            if piece[0] == b'!' {
                server.disconnect(number);
            }
            if !server.connections().any(|known| known == number) {
                server.accept(number, &[], now);
            }
            now += Duration::from_millis(u64::from(piece[0]));
        }
        server.receive(number, piece, now);
        driven.exchange(&mut server, now, choice & DEAF == 0);
    }
    if choice & CLOSES != 0 {
        server.close(now);
    }
    // Replies that wait for bytes do so for a moment.
    while let Some(deadline) = server.deadline() {
        now = now.max(deadline);
        driven.exchange(&mut server, now, true);
        if now > begun + Duration::from_secs(3600) {
            assert!(server.is_over(), "a session without an end");
            break;
        }
    }
    driven.over = server.is_over();
    server.end_session(now);
    send(&mut server, now, &mut driven.replies);
    for number in server.connections().collect::<Vec<_>>() {
        assert!(server.is_finished(number));
        server.disconnect(number);
    }
    assert_eq!(server.unsent(), 0);
    driven
}

impl Driven {
    /// Moves bytes as long as that leads to something.
    fn exchange(&mut self, server: &mut Server, now: Instant, reads: bool) {
        loop {
            server.step(now);
            let before = (self.stream.len(), self.replies.len());
            if reads {
                read(server, now, &mut self.stream);
            }
            send(server, now, &mut self.replies);
            if (self.stream.len(), self.replies.len()) == before {
                break;
            }
        }
    }
}

fn read(server: &mut Server, now: Instant, stream: &mut Vec<u8>) {
    let mut block = [0; 1000];
    while let Arrived::Bytes(count) = server.read(&mut block, now) {
        assert!((1..=block.len()).contains(&count));
        stream.extend_from_slice(&block[..count]);
    }
}

/// Sends what there is, and answers those who ask for another session.
fn send(server: &mut Server, now: Instant, replies: &mut Vec<u8>) {
    for number in server.connections().collect::<Vec<_>>() {
        loop {
            if server.foreign(number).is_some() {
                server.deny(number, now);
                server.step(now);
            }
            let output: Vec<u8> = server.output(number).flatten().copied().collect();
            if output.is_empty() {
                break;
            }
            replies.extend_from_slice(&output);
            server.advance(number, output.len());
            server.step(now);
        }
    }
}
