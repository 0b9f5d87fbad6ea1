//! Recorded handshakes of the original and an independent peer, repeated by both roles of this library.
#![forbid(unsafe_code)]

use crate::support::hex;
use rtmp_core::handshake::{
    BLOCK_LEN, Block, Cipher, Client, ClientOptions, Outcome, Server, ServerOptions, Swf,
    dh::KeyPair,
    digest::{CLIENT, End, Hash, SERVER, Scheme},
    rc4, signature,
};
use serde_json::Value;

const VECTORS: &str = include_str!("handshake-vectors.json");
const SCHEMES: [Scheme; 2] = [Scheme::One, Scheme::Two];

/// A recorded exchange.
struct Exchange(Value);

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

fn exchanges() -> Vec<Exchange> {
    let all = vectors()["exchanges"].as_array().expect("exchanges are a list").clone();
    assert_eq!(all.len(), 13);
    all.into_iter().map(Exchange).collect()
}

fn exchange(id: &str) -> Exchange {
    exchanges().into_iter().find(|exchange| exchange.0["id"] == id).expect("the exchange was recorded")
}

impl Exchange {
    fn bytes(&self, field: &str) -> Option<Vec<u8>> {
        self.0[field].as_str().map(hex::decode)
    }

    fn number(&self, field: &str) -> Option<usize> {
        self.0[field].as_u64().map(|number| number as usize)
    }

    fn block(&self, field: &str) -> Block {
        let bytes = self.bytes(field).unwrap_or_else(|| panic!("{} has no {field}", self.0["id"]));
        bytes[bytes.len() - BLOCK_LEN..].try_into().unwrap()
    }

    fn time(&self, field: &str) -> u32 {
        u32::from_be_bytes(self.block(field)[..4].try_into().unwrap())
    }

    fn swf(&self) -> Option<Swf> {
        let hash = self.bytes("swf_hash")?.try_into().unwrap();
        Some(Swf { size: self.number("swf_size").unwrap() as u32, hash })
    }

    /// S0.
    fn version(&self) -> u8 {
        self.bytes("s0s1").unwrap()[0]
    }

    /// The digest of a block that the record places at `offset`; checks that this library finds it there.
    fn digest(&self, end: &End, field: &str, offset: &str) -> Option<(Scheme, Hash)> {
        let offset = self.number(offset)?;
        let block = self.block(field);
        let found = SCHEMES.into_iter().find_map(|scheme| {
            let digest = end.verified_digest(scheme, &block)?;
            (scheme.digest_offset(&block) == offset).then_some((scheme, digest))
        });
        assert!(found.is_some(), "{}: no digest of {field} at {offset}", self.0["id"]);
        found
    }

    /// Runs our client against the recorded server. It has to send the recorded bytes.
    fn replay_server(&self, private: &[u8]) -> Outcome {
        let c0c1 = self.bytes("c0c1").unwrap();
        let options = ClientOptions { time: self.time("c0c1"), encrypted: c0c1[0] != 3, swf: self.swf() };
        let mut client =
            Client::from_parts(options, &self.block("c0c1"), &self.block("c2"), private).unwrap();
        assert_eq!(client.start(), c0c1);
        let progress = client.advance(&self.bytes("s0s1").unwrap()).unwrap();
        assert_eq!(progress.output, self.block("c2"));
        client.advance(&self.block("s2")).unwrap().outcome.expect("S2 ends the handshake")
    }

    /// Runs our server against the recorded client. It has to send the recorded bytes, if its S2 is an echo.
    fn replay_client(&self, private: &[u8]) -> Outcome {
        let options = ServerOptions { time: self.time("s0s1"), swf: None };
        let mut server = Server::from_parts(options, &self.block("s0s1"), private);
        let mut output = server.advance(&self.bytes("c0c1").unwrap()).unwrap().output;
        output.extend(server.advance(&[]).unwrap().output);
        assert_eq!(output[..1 + BLOCK_LEN], self.bytes("s0s1").unwrap());
        assert_eq!(output.len(), 1 + 2 * BLOCK_LEN);
        if self.0["role"] == "library is the server" {
            assert_eq!(output[1 + BLOCK_LEN..], self.block("s2"));
        }
        server.advance(&self.block("c2")).unwrap().outcome.expect("C2 ends the handshake")
    }
}

#[test]
fn both_sides_replay_the_published_handshake() {
    for id in ["client-simple", "server-simple"] {
        assert!(exchange(id).replay_server(&[]).keys.is_none());
        assert!(exchange(id).replay_client(&[]).keys.is_none());
    }
}

#[test]
fn our_client_replays_the_signed_handshakes_of_the_original() {
    for id in ["client-fp9-scheme1", "client-fp9-scheme2"] {
        let exchange = exchange(id);
        let response = exchange.replay_server(&[]).swf_response.expect("the handshake is signed");
        assert_eq!(response[..], exchange.bytes("swf_verification_response").unwrap(), "{id}");
    }
}

#[test]
fn our_server_replays_the_signed_handshakes_of_the_original() {
    for id in ["server-fp9", "server-fp9-scheme2"] {
        assert!(exchange(id).replay_client(&[]).keys.is_none());
    }
}

#[test]
fn our_server_understands_an_encrypting_client_of_the_original() {
    let exchange = exchange("client-rtmpe-8");
    let mut keys = exchange.replay_client(&exchange.bytes("server_private").unwrap()).keys.unwrap();
    let mut text = exchange.bytes("first_client_ciphertext").unwrap();
    keys.receive.apply(&mut text);
    assert_eq!(text, exchange.bytes("first_client_plaintext").unwrap());
    let mut stream = [0; 16];
    keys.send.apply(&mut stream);
    assert_eq!(stream[..], exchange.bytes("client_in_keystream_16_after_discard").unwrap());
}

#[test]
fn our_client_understands_an_encrypting_server_of_the_original() {
    let exchange = exchange("server-rtmpe-8");
    let mut keys = exchange.replay_server(&exchange.bytes("client_private").unwrap()).keys.unwrap();
    for (ours, theirs) in [(&mut keys.send, "server_in_key"), (&mut keys.receive, "server_out_key")] {
        let (mut found, mut expected) = ([0; 100], [0; 100]);
        ours.apply(&mut found);
        Cipher::new(&exchange.bytes(theirs).unwrap().try_into().unwrap()).apply(&mut expected);
        assert_eq!(found, expected, "{theirs}");
    }
}

#[test]
fn every_recorded_digest_and_signature_is_ours() {
    let mut signed = 0;
    for exchange in exchanges() {
        let client = exchange.digest(&CLIENT, "c0c1", "client_digest_offset");
        let server = exchange.digest(&SERVER, "s0s1", "server_digest_offset");
        let (Some((_, client)), Some((_, server))) = (client, server) else { continue };
        signed += 1;
        let version = exchange.version();
        let accepted = exchange.0["accepted"].as_bool().unwrap();
        let (c2_key, s2_key) = (CLIENT.signature_key(&server), SERVER.signature_key(&client));
        assert!(signature::verify(version, &c2_key, &exchange.block("c2")));
        assert_eq!(signature::verify(version, &s2_key, &exchange.block("s2")), accepted);
        for other in (6..=9).filter(|other| (*other).max(7) != version.max(7)) {
            assert!(!signature::verify(other, &c2_key, &exchange.block("c2")), "{other} for {version}");
        }
    }
    assert_eq!(signed, 11);
}

#[test]
fn every_recorded_key_is_ours() {
    let mut encrypted = 0;
    for exchange in exchanges() {
        // The private key of the end that was not librtmp is recorded.
        let client_private = exchange.bytes("client_private");
        let Some(private) = client_private.clone().or_else(|| exchange.bytes("server_private")) else {
            continue;
        };
        encrypted += 1;
        let key = |field, offset, end, digest_offset| {
            let (scheme, _) = exchange.digest(end, field, digest_offset).unwrap();
            let block = exchange.block(field);
            assert_eq!(scheme.key_offset(&block), exchange.number(offset).unwrap());
            scheme.key(&block)
        };
        let client = key("c0c1", "client_pub_offset", &CLIENT, "client_digest_offset");
        let server = key("s0s1", "server_pub_offset", &SERVER, "server_digest_offset");
        let (own, peer) = if client_private.is_some() { (client, server) } else { (server, client) };
        let key_pair = KeyPair::new(&private).unwrap();
        assert_eq!(*key_pair.public(), own);
        let secret = key_pair.agree(&peer).unwrap();
        assert_eq!(secret.as_bytes()[..], exchange.bytes("secret").unwrap());

        for (receiver, recorded) in [
            (&server, "client_out_key"),
            (&client, "client_in_key"),
            (&client, "server_out_key"),
            (&server, "server_in_key"),
        ] {
            if let Some(recorded) = exchange.bytes(recorded) {
                assert_eq!(rc4::key(&secret, receiver)[..], recorded);
            }
        }
        if let Some(mut text) = exchange.bytes("first_client_ciphertext") {
            Cipher::new(&rc4::key(&secret, &server)).apply(&mut text);
            assert_eq!(text, exchange.bytes("first_client_plaintext").unwrap());
            let mut stream = [0; 16];
            Cipher::new(&rc4::key(&secret, &client)).apply(&mut stream);
            assert_eq!(stream[..], exchange.bytes("client_in_keystream_16_after_discard").unwrap());
        }
        if let Some(swf) = exchange.swf() {
            let response = exchange.bytes("swf_verification_response").unwrap();
            assert_eq!(swf.response(&exchange.block("s0s1"))[..], response);
        }
    }
    assert_eq!(encrypted, 7);
}

#[test]
fn both_ciphers_encrypt_a_block_as_recorded_with_each_key() {
    let vectors = vectors();
    for (version, field) in
        [(signature::XTEA, "type8_block_vectors"), (signature::BLOWFISH, "type9_block_vectors")]
    {
        let plaintext = hex::decode(vectors[field]["plaintext"].as_str().unwrap());
        let ciphertexts = vectors[field]["ciphertext_by_key_index"].as_array().unwrap();
        assert_eq!(ciphertexts.len(), 16);
        for (index, expected) in ciphertexts.iter().enumerate() {
            let mut block = plaintext[..].try_into().unwrap();
            signature::encrypt(version, index, &mut block);
            assert_eq!(hex::encode(&block), expected.as_str().unwrap(), "{field} {index}");
        }
    }
}
