//! A session on top of a tunnel: the handshake, `connect`, and its result.

use std::time::Instant;

use rtmp_core::{
    handshake::ClientOptions,
    message::{Message, MessageType},
    random,
    session::{Event, Profile, Session},
};

use super::client::Tunnel;

/// Shakes hands and connects to an application; returns the bytes of the result as text.
pub fn connect(tunnel: &Tunnel, app: &'static [u8]) -> String {
    let now = Instant::now();
    let profile = Profile { app, tc_url: b"rtmpt://127.0.0.1/app", ..Profile::default() };
    let mut wishes = (profile, Vec::new());
    let mut session: Session = Session::client(ClientOptions::default(), None, &mut random::system, now)
        .expect("there are random bytes");
    let (mut input, mut is_open) = (Vec::new(), false);
    loop {
        let (used, result) = if is_open {
            let (used, chunk) = session.receive_chunk(&mut wishes, &input).expect("the server answers");
            (used, chunk.and_then(|chunk| chunk.message))
        } else {
            let received = session.receive(&mut wishes, &mut input, now).expect("the server shakes hands");
            if let Some(Event::Handshaken { .. }) = received.event {
                is_open = true;
                session.connect(&mut wishes, b"", now).expect("the command fits into a message");
            }
            (received.used, None)
        };
        input.drain(..used);
        match result {
            Some(message) if message.kind == MessageType::COMMAND => {
                return String::from_utf8_lossy(&message.body).into_owned();
            }
            Some(message) => {
                let Message { chunk_stream, format, kind, timestamp, stream_id, ref body } = message;
                let message = Message { chunk_stream, format, kind, timestamp, stream_id, body: &body[..] };
                session.dispatch(&mut wishes, &message, now).expect("the server wants us");
            }
            None if used == 0 => {
                let mut unsent = Vec::new();
                session.take_unsent(true, &mut unsent);
                if !unsent.is_empty() {
                    tunnel.send(&[&unsent]).expect("the command goes out");
                }
                // Smaller than most replies, so that these arrive in pieces.
                let mut buffer = [0; 1000];
                let len = tunnel.fill(&mut buffer).expect("the server answers");
                input.extend_from_slice(&buffer[..len]);
            }
            None => {}
        }
    }
}
