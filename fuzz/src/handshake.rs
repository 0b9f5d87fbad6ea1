//! Handshakes: the same outcome however the peer's bytes arrive, and two ends that disturb nothing agree.

#![forbid(unsafe_code)]

use rtmp_core::{error::Result, handshake::{BLOCK_LEN, Client, ClientOptions, Outcome, Progress, Server, ServerOptions, Swf}};

use super::input::{self, Cuts};

/// What the first byte chooses.
const SERVER: u8 = 0x01;
const ENCRYPTED: u8 = 0x02;
const SIGNED: u8 = 0x04;
const CONVERSATION: u8 = 0x08;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    if choice & CONVERSATION != 0 {
        return converse(choice, cuts, bytes);
    }
    let play = |cuts: Cuts| match choice & SERVER {
        0 => {
            let mut client = client(choice);
            answer(&mut |input| client.advance(input), bytes, cuts)
        }
        _ => {
            let mut server = server(choice);
            answer(&mut |input| server.advance(input), bytes, cuts)
        }
    };
    assert_eq!(play(cuts), play(Cuts::WHOLE));
}

type Advance<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Progress>;

/// Feeds one end; returns what it sent, and how it ended: with an error, or the bytes used and its ciphers at work.
fn answer(advance: Advance<'_>, bytes: &[u8], cuts: Cuts) -> (Vec<u8>, String) {
    let (mut sent, mut input, mut used) = (Vec::new(), Vec::new(), 0);
    for piece in cuts.pieces(bytes) {
        input.extend_from_slice(piece);
        match step(advance, &mut input, &mut sent, &mut used) {
            Ok(None) => {}
            Ok(Some(outcome)) => return (sent, format!("{used} {}", fingerprint(Some(outcome)))),
            Err(error) => return (sent, error.to_string()),
        }
    }
    (sent, format!("{used} unfinished"))
}

/// Continues as far as `input` reaches.
fn step(
    advance: Advance<'_>,
    input: &mut Vec<u8>,
    sent: &mut Vec<u8>,
    used: &mut usize,
) -> Result<Option<Outcome>> {
    loop {
        let progress = advance(input)?;
        assert!(progress.consumed <= input.len());
        assert!(progress.output.len() <= 1 + 2 * BLOCK_LEN);
        input.drain(..progress.consumed);
        *used += progress.consumed;
        assert!(*used <= 1 + 2 * BLOCK_LEN);
        if progress.outcome.is_some() {
            return Ok(progress.outcome);
        }
        if progress.consumed == 0 && progress.output.is_empty() {
            return Ok(None);
        }
        sent.extend(progress.output);
    }
}

/// A client and a server talk. What they send is changed where `bytes` say so: two bytes of position, one of change.
fn converse(choice: u8, cuts: Cuts, bytes: &[u8]) {
    let (mut client, mut server) = (client(choice), server(choice));
    let changes: Vec<_> = bytes
        .chunks_exact(3)
        .map(|change| (usize::from(u16::from_be_bytes([change[0], change[1]])), change[2]))
        .collect();
    let is_disturbed = changes.iter().any(|(at, change)| *at <= 4 * BLOCK_LEN + 2 && *change != 0);

    let (mut on_the_way, mut total) = (client.start(), 0_usize);
    let (mut client_input, mut server_input) = (Vec::new(), Vec::new());
    let (mut client_outcome, mut server_outcome) = (None, None);
    for turn in 0..8 {
        for (at, change) in &changes {
            if let Some(byte) = at.checked_sub(total).and_then(|at| on_the_way.get_mut(at)) {
                *byte ^= change;
            }
        }
        total += on_the_way.len();
        let mut sent = Vec::new();
        let mut used = 0;
        for piece in cuts.pieces(&on_the_way) {
            let result = match turn % 2 {
                0 => {
                    server_input.extend_from_slice(piece);
                    step(&mut |input| server.advance(input), &mut server_input, &mut sent, &mut used)
                        .map(|outcome| server_outcome = outcome.or(server_outcome.take()))
                }
                _ => {
                    client_input.extend_from_slice(piece);
                    step(&mut |input| client.advance(input), &mut client_input, &mut sent, &mut used)
                        .map(|outcome| client_outcome = outcome.or(client_outcome.take()))
                }
            };
            if let Err(error) = result {
                assert!(is_disturbed, "an undisturbed handshake fails: {error}");
                return;
            }
        }
        on_the_way = sent;
    }
    if !is_disturbed {
        let (client, server) = (client_outcome.expect("it succeeds"), server_outcome.expect("it succeeds"));
        let encrypts = choice & ENCRYPTED != 0;
        assert_eq!((client.keys.is_some(), server.keys.is_some()), (encrypts, encrypts));
        if let (Some(mut client), Some(mut server)) = (client.keys, server.keys) {
            let mut message = *b"message";
            client.send.apply(&mut message);
            server.receive.apply(&mut message);
            server.send.apply(&mut message);
            client.receive.apply(&mut message);
            assert_eq!(&message, b"message");
        }
    }
}

fn fingerprint(outcome: Option<Outcome>) -> String {
    let Some(Outcome { keys, swf_response }) = outcome else { return String::new() };
    let keys = keys.map(|mut keys| {
        let mut zeros = ([0; 16], [0; 16]);
        keys.receive.apply(&mut zeros.0);
        keys.send.apply(&mut zeros.1);
        zeros
    });
    format!("{keys:?} {swf_response:?}")
}

fn client(choice: u8) -> Client {
    let options = ClientOptions {
        time: 7,
        encrypted: choice & ENCRYPTED != 0,
        swf: (choice & SIGNED != 0).then_some(SWF),
    };
    Client::from_parts(options, &[9; BLOCK_LEN], &[8; BLOCK_LEN], &[7; PRIVATE_LEN]).expect("the key is usable")
}

fn server(choice: u8) -> Server {
    let options = ServerOptions { time: 9, swf: (choice & SIGNED != 0).then_some(SWF) };
    Server::from_parts(options, &[6; BLOCK_LEN], &[5; PRIVATE_LEN])
}

/// Private keys that are short cost little, and nothing else depends on their length.
const PRIVATE_LEN: usize = 2;

const SWF: Swf = Swf { size: 0x0102_0304, hash: [5; 32] };
