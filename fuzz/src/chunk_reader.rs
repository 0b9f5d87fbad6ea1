//! Chunks: the same messages however they arrive, bounded memory, and what was read can be written and read again.

#![forbid(unsafe_code)]

use rtmp_core::{Result, chunk::{Decoder, Encoder, MAX_UNFINISHED, Outgoing, Ready, valid_chunk_size}, message::{Body, Message, MessageType}};

use super::{counted::Counted, input, input::Cuts};

pub fn run(data: &[u8]) {
    let Some(([format], cuts, bytes)) = input::choices(data) else { return };
    let whole = read(bytes, Cuts::WHOLE, by_chunks);
    assert_eq!(read(bytes, cuts, by_chunks), whole);
    assert_eq!(read(bytes, cuts, by_messages), whole);
    assert_eq!(read(bytes, cuts, by_loans), whole);
    assert_eq!(read(bytes, Cuts::WHOLE, in_one_step), whole);
    assert_eq!(read(bytes, cuts, in_one_step), whole);
    assert_eq!(Counted::reserved(), 0);
    write_and_read(&whole.0, format);
}

/// What came of looking at the input: how much of it was used, and the message that ended, unless more is needed.
type Looked = (usize, Option<Message<Counted>>);

fn by_chunks(decoder: &mut Decoder<Counted>, input: &[u8], chunk_size: u32) -> Result<Looked> {
    let mut used = 0;
    loop {
        let decoded = decoder.decode(&input[used..], chunk_size)?;
        used += decoded.consumed;
        let Some(chunk) = decoded.chunk else { return Ok((used, None)) };
        assert!(chunk.payload <= chunk.received && chunk.received <= chunk.length);
        assert_eq!(chunk.message.is_some(), chunk.received == chunk.length);
        if chunk.message.is_some() {
            return Ok((used, chunk.message));
        }
    }
}

fn by_messages(decoder: &mut Decoder<Counted>, input: &[u8], chunk_size: u32) -> Result<Looked> {
    decoder.decode_message(input, chunk_size)
}

/// As bytes come that go straight to where they probably belong.
fn by_loans(decoder: &mut Decoder<Counted>, input: &[u8], chunk_size: u32) -> Result<Looked> {
    let mut used = 0;
    loop {
        if let Some(mut loan) = decoder.lend(chunk_size, 1) {
            let (mut rest, mut chunks) = (&input[used..], 0);
            let following = loan.following();
            let whole = append(&mut loan.body, &mut rest, loan.missing);
            for payload in following.take_while(|_| whole) {
                let Some(behind) = rest.strip_prefix(loan.header.as_bytes()) else { break };
                if loan.body.capacity() == loan.body.as_ref().len() {
                    break;
                }
                (rest, chunks) = (behind, chunks + 1);
                if !append(&mut loan.body, &mut rest, payload) {
                    break;
                }
            }
            used = input.len() - rest.len();
            decoder.give_back(loan, chunks);
        }
        let decoded = decoder.decode(&input[used..], chunk_size)?;
        used += decoded.consumed;
        let Some(chunk) = decoded.chunk else { return Ok((used, None)) };
        if chunk.message.is_some() {
            return Ok((used, chunk.message));
        }
    }
}

/// Moves up to `most` bytes to a body that may have less room; returns whether these were all.
fn append(body: &mut Counted, input: &mut &[u8], most: usize) -> bool {
    let room = body.capacity() - body.as_ref().len();
    let (taken, rest) = input.split_at(most.min(room).min(input.len()));
    body.append(taken);
    *input = rest;
    taken.len() == most
}

fn in_one_step(decoder: &mut Decoder<Counted>, input: &[u8], chunk_size: u32) -> Result<Looked> {
    let Some(ready) = decoder.ready(input, chunk_size) else { return by_messages(decoder, input, chunk_size) };
    let mut body = Counted::default();
    body.reserve_total(ready.len())?;
    ready.append_to(&mut body);
    let mut copy = vec![0; ready.len()];
    ready.copy_to(&mut copy);
    assert_eq!(body.as_ref(), copy);
    decoder.take_ready(&ready);
    let Ready { chunk_stream, format, kind, timestamp, stream_id, consumed, .. } = ready;
    Ok((consumed, Some(Message { chunk_stream, format, kind, timestamp, stream_id, body })))
}

/// The messages, and whether reading failed in the end.
fn read(
    bytes: &[u8],
    cuts: Cuts,
    look: fn(&mut Decoder<Counted>, &[u8], u32) -> Result<Looked>,
) -> (Vec<Message>, bool) {
    let mut decoder = Decoder::<Counted>::new();
    let mut chunk_size = 128;
    let mut messages = Vec::new();
    let mut input = Vec::new();
    for piece in cuts.pieces(bytes) {
        input.extend_from_slice(piece);
        let mut from = 0;
        loop {
            let Ok((used, message)) = look(&mut decoder, &input[from..], chunk_size) else {
                return (messages, true);
            };
            from += used;
            assert!(Counted::reserved() <= MAX_UNFINISHED + (1 << 24));
            let Some(message) = message else { break };
            let Message { chunk_stream, format, kind, timestamp, stream_id, body } = message;
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
        // Memory that was used before may be shorter or longer.
        let mut room = vec![0; usize::from(format) * 8];
        assert_eq!(chunks.assemble(&mut room), bytes);
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
