//! Both sides against each other, and each against peers that misbehave.
#![cfg_attr(not(feature = "rtmpe"), allow(dead_code))] // most of what helps is for RTMPE

use super::{
    digest::{CLIENT, SERVER, Scheme},
    *,
};
use crate::random::Random;

/// Bytes that look random and are the same in each run.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
        Ok(())
    }

    fn block(&mut self) -> Block {
        let mut block = [0; BLOCK_LEN];
        self.fill(&mut block).unwrap();
        block
    }
}

fn with_noise<T>(seed: u64, make: impl FnOnce(Random<'_>) -> Result<T>) -> T {
    let mut noise = Noise(seed | 1);
    make(&mut |bytes| noise.fill(bytes)).unwrap()
}

fn client(seed: u64, encrypted: bool, swf: Option<Swf>) -> Client {
    with_noise(seed, |random| Client::new(ClientOptions { time: 7, encrypted, swf }, random))
}

fn server(seed: u64) -> Server {
    with_noise(seed, |random| Server::new(ServerOptions { time: 9, swf: Some(SWF) }, random))
}

const SWF: Swf = Swf { size: 0x0102_0304, hash: [5; 32] };

/// The number of bytes that arrive at once.
const STEPS: [usize; 8] =
    [1, 7, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 2 * BLOCK_LEN, 1 + 2 * BLOCK_LEN, 9000];

/// One side of a conversation.
trait Side {
    fn advance(&mut self, input: &[u8]) -> Result<Progress>;
}

impl Side for Client {
    fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        Client::advance(self, input)
    }
}

impl Side for Server {
    fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        Server::advance(self, input)
    }
}

/// A side and its connection.
struct Endpoint<'a> {
    side: &'a mut dyn Side,
    input: Vec<u8>,
    outcome: Option<Outcome>,
}

impl Endpoint<'_> {
    /// Processes received bytes and returns the bytes to send.
    fn receive(&mut self, bytes: impl Iterator<Item = u8>) -> Result<Vec<u8>> {
        self.input.extend(bytes);
        let mut output = Vec::new();
        while self.outcome.is_none() {
            let progress = self.side.advance(&self.input)?;
            self.input.drain(..progress.consumed);
            if progress.consumed == 0 && progress.output.is_empty() {
                break;
            }
            output.extend(progress.output);
            self.outcome = progress.outcome;
        }
        Ok(output)
    }
}

/// Runs a client against a server, delivering `step` bytes at a time.
fn run(mut client: Client, mut server: impl Side, step: usize) -> (Outcome, Outcome) {
    let (mut to_server, mut to_client) = (client.start(), Vec::new());
    let mut client = Endpoint { side: &mut client, input: Vec::new(), outcome: None };
    let mut server = Endpoint { side: &mut server, input: Vec::new(), outcome: None };
    while client.outcome.is_none() || server.outcome.is_none() {
        assert!(!to_server.is_empty() || !to_client.is_empty(), "both sides wait");
        let arrived = to_server.len().min(step);
        to_client.extend(server.receive(to_server.drain(..arrived)).unwrap());
        let arrived = to_client.len().min(step);
        to_server.extend(client.receive(to_client.drain(..arrived)).unwrap());
    }
    assert!([to_server, to_client, client.input, server.input].iter().all(Vec::is_empty));
    (client.outcome.unwrap(), server.outcome.unwrap())
}

fn assert_keys_fit(client: Outcome, server: Outcome) {
    let (mut client, mut server) = (client.keys.unwrap(), server.keys.unwrap());
    let mut text = *b"there and back";
    client.send.apply(&mut text);
    assert_ne!(&text, b"there and back");
    server.receive.apply(&mut text);
    assert_eq!(&text, b"there and back");
    server.send.apply(&mut text);
    client.receive.apply(&mut text);
    assert_eq!(&text, b"there and back");
}

/// A server that does what it is told.
struct Scripted {
    s0: u8,
    scheme: Scheme,
    /// The public key, in an encrypted session.
    key: Option<dh::KeyPair>,
    /// Changes S2 after everything is in place.
    spoil_s2: fn(&mut Block),
    s1: Block,
    c1: Option<Block>,
}

impl Scripted {
    fn new(s0: u8, scheme: Scheme) -> Self {
        let s1 = first_block(1, [3, 5, 1, 1], &Noise(77).block());
        let key = Some(dh::KeyPair::new(&[0xA7; 32]).unwrap());
        Self { s0, scheme, key, spoil_s2: |_| {}, s1, c1: None }
    }

    /// A server for a session that is signed only.
    fn without_key(self) -> Self {
        Self { key: None, ..self }
    }
}

impl Side for Scripted {
    fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        let Some(c1) = self.c1 else {
            let Some((_, c1)) = version_and_block(input) else { return Ok(Progress::needs_more()) };
            self.c1 = Some(*c1);
            if let Some(key) = &self.key {
                self.scheme.write_key(&mut self.s1, key.public());
            }
            SERVER.write_digest(self.scheme, &mut self.s1);
            let own = if self.key.is_some() { Scheme::Two } else { Scheme::One };
            let key = SERVER.signature_key(&CLIENT.digest(own, c1));
            let mut s2 = Noise(78).block();
            signature::sign(self.s0, &key, &mut s2);
            (self.spoil_s2)(&mut s2);
            let output = [&[self.s0], &self.s1[..], &s2[..]].concat();
            return Ok(Progress::step(1 + BLOCK_LEN, output));
        };
        let Some(c2) = input.first_chunk() else { return Ok(Progress::needs_more()) };
        let key = CLIENT.signature_key(&SERVER.digest(self.scheme, &self.s1));
        assert!(signature::verify(self.s0, &key, c2), "the client signs for S0 = {}", self.s0);
        let keys = self.key.as_ref().map(|own| {
            let peer = Scheme::Two.key(&c1);
            Keys::new(&own.agree(&peer).unwrap(), own.public(), &peer)
        });
        Ok(Progress::done(Outcome { keys, swf_response: None }))
    }
}

/// The result of a client whose server sends these blocks.
fn outcome(mut client: Client, s0: u8, s1: &Block, s2: &Block) -> Result<Outcome> {
    let input = [&[s0], &s1[..], &s2[..]].concat();
    let mut client = Endpoint { side: &mut client, input, outcome: None };
    client.receive(std::iter::empty())?;
    client.outcome.ok_or(Error::Closed)
}

fn scripted_outcome(mut client: Client, mut server: Scripted) -> Result<Outcome> {
    let progress = server.advance(&client.start())?;
    let mut client = Endpoint { side: &mut client, input: progress.output, outcome: None };
    client.receive(std::iter::empty())?;
    client.outcome.ok_or(Error::Closed)
}

#[test]
fn both_sides_agree_on_plain_sessions_however_the_bytes_arrive() {
    for step in STEPS {
        let (client, server) = run(client(1, false, None), server(2), step);
        assert!(client.keys.is_none() && client.swf_response.is_none());
        assert!(server.keys.is_none() && server.swf_response.is_none());
    }
}

#[test]
fn both_sides_agree_on_signed_sessions_however_the_bytes_arrive() {
    for step in STEPS {
        let (client, server) = run(client(1, false, Some(SWF)), server(2), step);
        assert!(client.keys.is_none() && server.keys.is_none());
        assert!(client.swf_response.is_some());
        assert_eq!(client.swf_response, server.swf_response);
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn both_sides_agree_on_encrypted_sessions_however_the_bytes_arrive() {
    for step in STEPS {
        let (client, server) = run(client(1, true, Some(SWF)), server(2), step);
        assert_eq!(client.swf_response, server.swf_response);
        assert_keys_fit(client, server);
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn handshakes_never_fail_by_chance() {
    for seed in 0..300_u64 {
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        run(client(seed, false, Some(SWF)), server(!seed), 9000);
        let (client, server) = run(client(!seed, true, None), server(seed), 9000);
        assert_keys_fit(client, server);
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn clients_follow_every_type_and_scheme_of_a_server() {
    for s0 in [3, 6, 7, 8, 9, 255] {
        for scheme in [Scheme::One, Scheme::Two] {
            for step in STEPS {
                let signing = Scripted::new(s0, scheme).without_key();
                let (ours, _) = run(client(3, false, Some(SWF)), signing, step);
                assert!(ours.swf_response.is_some() && ours.keys.is_none());
            }
            let (ours, theirs) = run(client(3, true, None), Scripted::new(s0, scheme), 9000);
            assert_keys_fit(ours, theirs);
        }
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn servers_follow_the_type_of_a_client() {
    for (c0, version, s0) in [(6, 128, 8), (6, 9, 6), (8, 9, 8), (8, 128, 8), (3, 9, 3), (3, 128, 3)] {
        for scheme in [Scheme::One, Scheme::Two] {
            let mut c1 = first_block(0, [version, 0, 0, 0], &Noise(5).block());
            let key = dh::KeyPair::new(&[3; 32]).unwrap();
            scheme.write_key(&mut c1, key.public());
            let digest = CLIENT.write_digest(scheme, &mut c1);
            let mut server = server(6);
            let mut endpoint = Endpoint { side: &mut server, input: Vec::new(), outcome: None };
            let output = endpoint.receive([&[c0], &c1[..]].concat().into_iter()).unwrap();

            let own = if c0 == 3 { Scheme::One } else { Scheme::Two };
            let (found, s1) = version_and_block(&output).unwrap();
            assert_eq!(found, s0);
            let server_digest = SERVER.verified_digest(own, s1).expect("S1 holds a digest");
            let s2 = output[1 + BLOCK_LEN..].try_into().unwrap();
            assert!(signature::verify(s0, &SERVER.signature_key(&digest), &s2));

            let mut c2 = [0; BLOCK_LEN];
            signature::sign(s0, &CLIENT.signature_key(&server_digest), &mut c2);
            let peer = own.key(s1);
            endpoint.receive(c2.into_iter()).unwrap();
            let theirs = endpoint.outcome.unwrap();
            assert_eq!(theirs.keys.is_some(), c0 != 3);
            if c0 != 3 {
                let keys = Some(Keys::new(&key.agree(&peer).unwrap(), key.public(), &peer));
                assert_keys_fit(Outcome { keys, swf_response: None }, theirs);
            }
        }
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn a_server_without_digests_gets_a_simple_handshake_but_no_encryption() {
    for version in [[0; 4], [0, 1, 2, 3]] {
        let s1 = first_block(1, version, &Noise(8).block());
        for swf in [None, Some(SWF)] {
            let outcome = outcome(client(1, false, swf), 3, &s1, &s1).unwrap();
            assert!(outcome.keys.is_none() && outcome.swf_response.is_none());
        }
        let mut encrypting = client(1, true, None);
        let error = encrypting.advance(&[&[3], &s1[..]].concat()).unwrap_err();
        assert_eq!(error.to_string(), "handshake: the server does not encrypt");
    }
}

#[test]
fn simple_clients_echo_s1_and_accept_any_answer() {
    for s0 in [0, 3, 6, 8, 9, 255] {
        let mut client = client(0, false, None);
        let s1 = Noise(9).block();
        assert_eq!(client.advance(&[&[s0], &s1[..]].concat()).unwrap().output, s1);
        assert!(client.advance(&[6; BLOCK_LEN]).unwrap().outcome.is_some());
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn clients_refuse_servers_whose_digest_is_wrong() {
    let random = first_block(1, [3, 5, 1, 1], &Noise(10).block());
    let without_version = first_block(1, [0; 4], &random);
    for (s0, s1) in [(3, &random), (6, &random), (6, &without_version), (8, &without_version)] {
        for (encrypted, swf) in [(false, Some(SWF)), (true, None)] {
            let error = outcome(client(1, encrypted, swf), s0, s1, s1).unwrap_err();
            assert_eq!(error.to_string(), "handshake: Couldn't verify the server digest");
        }
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn clients_refuse_servers_whose_signature_is_wrong() {
    for s0 in [3, 6, 8, 9] {
        let spoil: fn(&mut Block) = |s2| s2[BLOCK_LEN - 1] ^= 1;
        let spoiled = |server| Scripted { spoil_s2: spoil, ..server };
        let server = Scripted::new(s0, Scheme::Two);
        assert!(scripted_outcome(client(1, true, None), spoiled(server)).is_err());
        let server = Scripted::new(s0, Scheme::One).without_key();
        assert!(scripted_outcome(client(1, false, Some(SWF)), spoiled(server)).is_err());
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn clients_refuse_keys_that_make_the_secret_known() {
    let mut one = [0; dh::KEY_LEN];
    one[dh::KEY_LEN - 1] = 1;
    for key in [[0; dh::KEY_LEN], one, [0xFF; dh::KEY_LEN]] {
        for scheme in [Scheme::One, Scheme::Two] {
            let mut s1 = first_block(1, [3, 5, 1, 1], &Noise(11).block());
            scheme.write_key(&mut s1, &key);
            SERVER.write_digest(scheme, &mut s1);
            let error = outcome(client(1, true, None), 6, &s1, &s1).unwrap_err();
            assert!(error.to_string().starts_with("handshake: DH public key must be"), "{error}");
        }
    }
}

#[test]
fn servers_refuse_types_that_they_do_not_know_and_send_nothing() {
    for c0 in [0, 2, 4, 5, 7, 9, 255] {
        assert!(server(1).advance(&[c0; 1 + BLOCK_LEN]).is_err());
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn servers_send_s1_before_they_refuse_an_encrypting_client() {
    let c1 = first_block(0, [9, 0, 0, 0], &Noise(12).block());
    let mut server = server(1);
    let progress = server.advance(&[&[6], &c1[..]].concat()).unwrap();
    assert_eq!((progress.consumed, progress.output.len()), (1 + BLOCK_LEN, 1 + BLOCK_LEN));
    let error = server.advance(&[]).unwrap_err();
    assert_eq!(error.to_string(), "handshake: Couldn't verify the client digest");
}

#[test]
fn servers_give_clients_without_digest_a_simple_handshake() {
    let c1 = first_block(0, [9, 0, 124, 2], &Noise(13).block());
    let mut server = server(1);
    let output = server.advance(&[&[3], &c1[..]].concat()).unwrap().output;
    assert_eq!(output[..9], [3, 0, 0, 0, 9, 0, 0, 0, 0]);
    assert_eq!(output[1 + BLOCK_LEN..], c1);
    assert!(server.advance(&output[1..=BLOCK_LEN]).unwrap().outcome.is_some());
}

#[cfg(feature = "rtmpe")]
#[test]
fn servers_refuse_clients_whose_signature_is_wrong() {
    for (encrypted, swf) in [(false, Some(SWF)), (true, None)] {
        let (mut client, mut server) = (client(1, encrypted, swf), server(2));
        let mut server = Endpoint { side: &mut server, input: Vec::new(), outcome: None };
        let answer = server.receive(client.start().into_iter()).unwrap();
        let mut c2 = client.advance(&answer).unwrap().output;
        c2[0] ^= 1;
        assert!(server.receive(c2.into_iter()).is_err());
    }
}

#[cfg(feature = "rtmpe")]
#[test]
fn no_input_makes_a_side_panic() {
    let mut noise = Noise(14);
    for round in 0..64 {
        let mut garbage = vec![0; 5000];
        if round % 4 != 0 {
            noise.fill(&mut garbage).unwrap();
        }
        garbage[0] = [3, 6, 8, 9][round % 4];
        let length = garbage.len() * round / 64;
        let (encrypted, swf) = ([true, false][round / 4 % 2], [None, Some(SWF)][round / 8 % 2]);
        let sides: [&mut dyn Side; 2] = [&mut client(1, encrypted, swf), &mut server(2)];
        for side in sides {
            let mut endpoint = Endpoint { side, input: Vec::new(), outcome: None };
            let _ = endpoint.receive(garbage[..length].iter().copied());
            let _ = endpoint.receive(garbage[length..].iter().copied());
        }
    }
}

#[test]
fn a_source_without_random_bytes_is_an_error() {
    let mut empty = |_: &mut [u8]| Err(Error::Unsupported("a source of random bytes"));
    assert!(Client::new(ClientOptions::default(), &mut empty).is_err());
    assert!(Server::new(ServerOptions::default(), &mut empty).is_err());
}

#[cfg(feature = "rtmpe")]
#[test]
fn the_first_block_holds_time_and_version() {
    for (encrypted, swf, start) in [
        (false, None, [3, 0, 0, 0, 7, 0, 0, 0, 0]),
        (false, Some(SWF), [3, 0, 0, 0, 7, 10, 0, 45, 2]),
        (true, None, [6, 0, 0, 0, 7, 128, 0, 3, 2]),
    ] {
        let sent = client(1, encrypted, swf).start();
        assert_eq!(sent.len(), 1 + BLOCK_LEN);
        assert_eq!(sent[..9], start);
    }
}

#[test]
fn keys_are_not_shown() {
    assert_eq!(format!("{:?}", Cipher::new(&[7; 16])), "Cipher");
}
