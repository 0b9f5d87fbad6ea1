//! Replies of a tunnel's server: the same stream of bytes, and the same error after it, however they arrive.

#![forbid(unsafe_code)]

use rtmp_core::transport::tunnel::{Client, Command};

use super::input::{self, Cuts};

/// What the first byte chooses: the session is open already, and this many requests wait for replies.
const OPEN: u8 = 0x01;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let (whole, cut) = (receive(bytes, choice, Cuts::WHOLE), receive(bytes, choice, cuts));
    assert_eq!((cut.error.as_ref(), &cut.stream), (whole.error.as_ref(), &whole.stream));
    if whole.error.is_none() {
        assert_eq!(cut, whole);
    }
}

#[derive(Debug, PartialEq)]
struct Received {
    stream: Vec<u8>,
    is_over: bool,
    error: Option<String>,
    status: String,
    ended: Option<bool>,
}

fn receive(bytes: &[u8], choice: u8, cuts: Cuts) -> Received {
    let mut client = Client::new("host", 80).expect("the name is usable");
    client.request(Command::Open, &[]).expect("nothing was sent before");
    if choice & OPEN != 0 {
        let mut reply = *b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nname\n";
        client.decode(&mut reply, 1).expect("the reply is right");
        for _ in 0..1 + usize::from(choice >> 4) {
            client.request(Command::Send, &[b"abc"]).expect("the session is open");
        }
    }
    let mut received =
        Received { stream: Vec::new(), is_over: false, error: None, status: String::new(), ended: None };
    for piece in cuts.pieces(bytes) {
        let mut input = piece.to_vec();
        match client.decode(&mut input, 2) {
            Ok(decoded) => {
                assert!(decoded.payload <= piece.len());
                received.stream.extend_from_slice(&input[..decoded.payload]);
                received.is_over |= decoded.connection_over;
            }
            Err(error) => received.error = Some(error.to_string()),
        }
        // As before each wait for more.
        if let Err(error) = client.check() {
            received.error = Some(error.to_string());
        }
        if received.error.is_some() {
            break;
        }
        let _ = (client.next_poll(3, 1000), client.has_room(100), client.is_open());
    }
    received.status = format!("{:?}", client.status());
    received.ended = client.connection_ended(4).ok();
    let again = client.reconnected();
    assert_eq!(again.len(), client.status().unanswered as usize);
    received
}
