//! The server's side: a handshake, then messages as a server program takes them.

#![forbid(unsafe_code)]

use rtmp_core::{amf, driver::{self, Connection}, error::Result, handshake::{BLOCK_LEN, Server, ServerOptions}, message::MessageType, session::Profile};

use super::{
    connection::{Counted, Memory},
    input::{self, Cuts},
};

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let whole = serve(bytes, choice, Cuts::WHOLE);
    assert_eq!(serve(bytes, choice, cuts), whole);
    assert_eq!(Counted::reserved(), 0);
}

/// A private key that is short costs little.
const PRIVATE_LEN: usize = 2;

type Received = Vec<(u32, MessageType, u32, u32, Vec<u8>)>;

/// What was received, what was sent, and how it ended.
fn serve(bytes: &[u8], choice: u8, cuts: Cuts) -> (Received, Vec<u8>, String) {
    let connection = Memory::new(Profile::default(), cuts.pieces(bytes));
    let mut received = Vec::new();
    let ending = session(&connection, choice, &mut received).expect_err("the client ends in any case");
    (received, connection.sent.take(), ending.to_string())
}

fn session(connection: &Memory<'_>, choice: u8, received: &mut Received) -> Result<()> {
    if choice & 1 != 0 {
        let server = Server::from_parts(ServerOptions::default(), &[2; BLOCK_LEN], &[3; PRIVATE_LEN]);
        driver::handshake_as_server(connection, server)?;
    }
    loop {
        let message = driver::receive_message(connection)?;
        let body = message.body.as_ref();
        match message.kind {
            MessageType::SET_CHUNK_SIZE | MessageType::ABORT | MessageType::USER_CONTROL => {
                driver::dispatch(connection, message.chunk_stream, message.kind, message.timestamp, body)?;
            }
            MessageType::COMMAND | MessageType::DATA => drop(amf::decode(body)),
            // Some servers hand everything to the client's code.
            _ if choice & 2 != 0 => {
                driver::dispatch(connection, message.chunk_stream, message.kind, message.timestamp, body)?;
            }
            _ => {}
        }
        received.push((
            message.chunk_stream,
            message.kind,
            message.timestamp,
            message.stream_id,
            body.to_vec(),
        ));
        if !connection.is_open() {
            return Err(rtmp_core::Error::Closed);
        }
    }
}
