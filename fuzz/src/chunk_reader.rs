//! Chunks: the same messages however they arrive, bounded memory, and what was read can be written and read again.

#![forbid(unsafe_code)]

use rtmp::{
    chunk::{Decoder, Encoder, MAX_UNFINISHED, Outgoing, valid_chunk_size},
    message::{Message, MessageType},
};

use super::{connection::Counted, input, input::Cuts};

pub fn run(data: &[u8]) {
    let Some(([format], cuts, bytes)) = input::choices(data) else { return };
    let whole = read(bytes, Cuts::WHOLE);
    assert_eq!(read(bytes, cuts), whole);
    assert_eq!(Counted::reserved(), 0);
    write_and_read(&whole.0, format);
}

/// The messages, and whether reading failed in the end.
fn read(bytes: &[u8], cuts: Cuts) -> (Vec<Message>, bool) {
    let mut decoder = Decoder::<Counted>::new();
    let mut chunk_size = 128;
    let mut messages = Vec::new();
    let mut input = Vec::new();
    for piece in cuts.pieces(bytes) {
        input.extend_from_slice(piece);
        let mut from = 0;
        loop {
            let Ok(decoded) = decoder.decode(&input[from..], chunk_size) else { return (messages, true) };
            from += decoded.consumed;
            assert!(Counted::reserved() <= MAX_UNFINISHED + (1 << 24));
            let Some(chunk) = decoded.chunk else { break };
            assert!(decoded.consumed > 0 && chunk.payload <= chunk.received && chunk.received <= chunk.length);
            assert_eq!(chunk.message.is_some(), chunk.received == chunk.length);
            let Some(Message { chunk_stream, format, kind, timestamp, stream_id, body }) = chunk.message else {
                continue;
            };
            let body = body.as_ref().to_vec();
            let number = body.first_chunk().copied().map(u32::from_be_bytes);
            match (kind, number) {
                (MessageType::SET_CHUNK_SIZE, Some(size)) => {
                    chunk_size = valid_chunk_size(size).unwrap_or(chunk_size);
                }
                (MessageType::ABORT, Some(stream)) => decoder.abort(stream),
                _ => {}
            }
            messages.push(Message { chunk_stream, format, kind, timestamp, stream_id, body });
        }
        input.drain(..from);
    }
    (messages, false)
}

fn write_and_read(messages: &[Message], format: u8) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::<Vec<u8>>::new());
    for message in messages {
        // No message is cut into more than a few chunks.
        let chunk_size = (1 + u32::from(format >> 2)).max(message.body.len() as u32 / 64);
        let outgoing = Outgoing {
            chunk_stream: message.chunk_stream,
            format: format & 3,
            kind: message.kind,
            timestamp: message.timestamp,
            stream_id: message.stream_id,
            body: &message.body,
        };
        let chunks = encoder.encode(&outgoing, chunk_size).expect("what was read can be written");
        let bytes = chunks.pieces().collect::<Vec<_>>().concat();
        assert_eq!(bytes.len(), chunks.len());
        let (mut from, mut read) = (0, None);
        while read.is_none() {
            let decoded = decoder.decode(&bytes[from..], chunk_size).expect("what was written can be read");
            from += decoded.consumed;
            read = decoded.chunk.expect("the chunk is complete").message;
        }
        let read = read.expect("the loop ends with a message");
        assert_eq!(from, bytes.len());
        assert_eq!(
            (read.chunk_stream, read.kind, read.timestamp, &read.body),
            (message.chunk_stream, message.kind, message.timestamp, &message.body)
        );
    }
}
