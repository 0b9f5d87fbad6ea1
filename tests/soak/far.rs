//! Sessions whose byte counters pass 2 and 4 GiB, the limits of signed and unsigned 32-bit numbers. The server continues only
//! while the client acknowledges its bytes with the right numbers.
//!
//! Counters usually start shortly before a limit; `make soak` really sends the bytes.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server, library::ours_is_original};

const LIMIT: Duration = Duration::from_secs(300);

/// The payload of a message, and its size in an FLV file and on the wire with the largest chunks.
const BODY: usize = 60_000;
const TAG: usize = 11 + BODY + 4;
const FILE_HEADER: usize = 13;

/// The bandwidth that the server announces. The client acknowledges each tenth of it at once.
const BANDWIDTH: u32 = 1_000_000;
/// The bytes that the server sends without an acknowledgement.
const WINDOW: u64 = 600_000;

/// A server that sends `messages` messages to a client whose counter began at `start`. Returns the acknowledged bytes and the
/// sent bytes.
fn cautious_server(start: u32, messages: u32) -> Server<(Vec<u64>, u64)> {
    Server::once(move |peer| {
        peer.accept_play();
        peer.set_chunk_size(65_536);
        peer.send_control(6, &[&BANDWIDTH.to_be_bytes()[..], &[2]].concat());
        let mut sent: u64 = peer.sent.iter().map(|message| message.chunks(128).len() as u64).sum();
        let mut acknowledged = Vec::new();
        let frame = Message::new(6, 0, 9, 1, &[0x27; BODY]).chunks(peer.chunk_size);
        for _ in 0..messages {
            while sent - acknowledged.last().unwrap_or(&0) > WINDOW {
                acknowledged.push(next_acknowledgement(peer, start, acknowledged.last().copied()));
            }
            peer.send_raw(&frame);
            sent += frame.len() as u64;
        }
        peer.finish();
        while let Some(message) = peer.next(LIMIT) {
            if message.kind == 3 {
                acknowledged.push(distance(&message, start, acknowledged.last().copied()));
            }
        }
        (acknowledged, sent)
    })
}

/// The number of bytes that the client acknowledges since its counter began. Panics without an acknowledgement.
fn next_acknowledgement(peer: &mut Peer, start: u32, last: Option<u64>) -> u64 {
    loop {
        let message = peer.next(crate::support::peer::PATIENCE);
        let message = message.unwrap_or_else(|| panic!("no acknowledgement after {last:?} bytes"));
        if message.kind == 3 {
            return distance(&message, start, last);
        }
    }
}

/// The number in an acknowledgement wraps around; the number of bytes does not.
fn distance(message: &Message, start: u32, last: Option<u64>) -> u64 {
    let body = message.body.as_slice().try_into().expect("an acknowledgement has four bytes");
    let last = last.unwrap_or_default();
    last + u64::from(u32::from_be_bytes(body).wrapping_sub(start).wrapping_sub(last as u32))
}

/// Plays `messages` messages with counters that begin at `start`; returns the acknowledged bytes. `None` when `library` is not
/// installed.
fn play(library: Library, how: &str, start: u32, messages: u32) -> Option<Vec<u64>> {
    let program = Program::test("far")?;
    let mut command = program.command(library)?;
    let server = cautious_server(start, messages);
    let wanted = match how {
        "read" => FILE_HEADER as u64 + u64::from(messages) * TAG as u64,
        _ => u64::from(messages) * BODY as u64,
    };
    let url = format!("rtmp://127.0.0.1:{}/app/name", server.port);
    let (start_text, wanted_text) = (start.to_string(), wanted.to_string());
    let what = format!("{how} on {library:?} from {start:#x}");
    let run = crate::support::program::run(command.args([&url, &start_text, how, &wanted_text]), "", LIMIT);
    let printed = run.expect(&what);
    let (acknowledged, sent) = server.join();
    assert_eq!(printed, format!("{wanted}\n"), "{what}");
    // No acknowledgement is lost or too early, and not every message is acknowledged.
    let threshold = u64::from(BANDWIDTH / 10);
    assert!(acknowledged.last().is_some_and(|last| *last <= sent), "{what}: {acknowledged:?} of {sent}");
    assert!(
        acknowledged.windows(2).all(|pair| (threshold..WINDOW).contains(&(pair[1] - pair[0]))),
        "{what}: {acknowledged:?}"
    );
    assert!(sent - acknowledged.last().unwrap_or(&0) <= WINDOW, "{what}: {acknowledged:?} of {sent}");
    Some(acknowledged)
}

/// Half a megabyte below the end of the field, so that the first acknowledgements are before it.
const BELOW: u32 = 500_000;

#[test]
fn players_acknowledge_past_2_and_4_gib() {
    if ours_is_original() {
        return; // It stops at 2 GiB, where a signed number ends.
    }
    for how in ["read", "messages"] {
        for end in [1_u32 << 31, 0] {
            need!(play(Library::Ours, how, end.wrapping_sub(BELOW), 40));
        }
    }
}

#[test]
fn players_on_the_original_acknowledge_past_4_gib_as_well() {
    for how in ["read", "messages"] {
        need!(play(Library::Original, how, BELOW.wrapping_neg(), 40));
    }
}

/// Slightly more than 4 GiB of messages.
const MANY: u32 = 73_000;

#[test]
#[ignore = "`make soak` runs it: it takes a fast library, and seconds even then"]
fn more_than_4_gib_are_received() {
    assert!(u64::from(MANY) * BODY as u64 > 1 << 32);
    let acknowledged = need!(play(Library::Ours, "read", 0, MANY));
    assert!(acknowledged.last().is_some_and(|last| *last > 1 << 32), "{:?}", acknowledged.last());
}

#[test]
#[ignore = "as above"]
fn more_than_4_gib_are_sent() {
    let program = need!(Program::test("far"));
    let server = Server::once(|peer| {
        peer.accept_publish();
        peer.swallow(LIMIT)
    });
    let url = format!("rtmp://127.0.0.1:{}/app/name", server.port);
    let wanted = u64::from(MANY) * BODY as u64;
    let run = need!(program.run(Library::Ours, &[&url, "0", "write", &wanted.to_string()], "", LIMIT));
    let printed = run.expect("a publisher of more than 4 GiB").trim().parse::<u64>();
    let written = printed.expect("it prints a number");
    assert!(written >= wanted);
    // Every frame has no tag header and trailer on the wire, but a header for each chunk of 128 bytes.
    let frames = written / BODY as u64;
    let (body, chunks) = (BODY as u64 - 15, (BODY as u64 - 15).div_ceil(128));
    let (least, most) = (frames * (body + chunks), frames * (body + chunks + 11) + 10_000);
    let received = server.join();
    assert!((least..most).contains(&received), "{received} bytes for {written}");
}
