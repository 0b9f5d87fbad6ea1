//! The server's side: a handshake, then messages as a server program takes them.

#![forbid(unsafe_code)]

use rtmp_core::{
    amf,
    error::{Error, Result},
    handshake::ServerOptions,
    message::MessageType,
    session::{Consequence, Event, Profile, Session},
};

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

type Received = Vec<(u32, MessageType, u32, u32, Vec<u8>)>;

/// What was received, what was sent, and how it ended.
fn serve(bytes: &[u8], choice: u8, cuts: Cuts) -> (Received, Vec<u8>, String) {
    let session = if choice & 1 == 0 {
        Ok(Session::default())
    } else {
        let random = &mut |bytes: &mut [u8]| {
            bytes.fill(2);
            Ok(())
        };
        Session::bare_server(ServerOptions::default(), random)
    };
    let mut memory = Memory::new(session.expect("there are bytes"), Profile::default(), cuts.pieces(bytes));
    let mut received = Vec::new();
    let ending = serve_client(&mut memory, choice, &mut received).expect_err("the client ends in any case");
    memory.flush();
    (received, memory.sent, ending.to_string())
}

fn serve_client(memory: &mut Memory<'_>, choice: u8, received: &mut Received) -> Result<()> {
    if choice & 1 != 0 {
        let Event::Handshaken { .. } = memory.next()? else { panic!("a handshake comes first") };
    }
    loop {
        let message = memory.next_message()?;
        let body = message.body.as_ref();
        match message.kind {
            MessageType::SET_CHUNK_SIZE | MessageType::ABORT | MessageType::USER_CONTROL => {
                dispatch(memory, message.chunk_stream, message.kind, message.timestamp, body)?;
            }
            MessageType::COMMAND | MessageType::DATA => drop(amf::decode(body)),
            // Some servers hand everything to the client's code.
            _ if choice & 2 != 0 => {
                dispatch(memory, message.chunk_stream, message.kind, message.timestamp, body)?;
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
    }
}

fn dispatch(
    memory: &mut Memory<'_>,
    chunk_stream: u32,
    kind: MessageType,
    timestamp: u32,
    body: &[u8],
) -> Result<()> {
    let Memory { session, wishes, now, .. } = memory;
    match session.dispatch(wishes, chunk_stream, kind, timestamp, body, *now)?.1 {
        Consequence::None => Ok(()),
        Consequence::Refused(refusal) => Err(Error::Refused(refusal)),
        Consequence::Closed | Consequence::Login(_) => Err(Error::Closed),
    }
}
