use super::*;
use crate::message::{Message, MessageType};

/// Sends through one encoder, as hex, headers and payload together.
struct Sender {
    encoder: Encoder,
    chunk_size: u32,
}

impl Sender {
    fn new() -> Self {
        Self { encoder: Encoder::new(), chunk_size: DEFAULT_CHUNK_SIZE }
    }

    fn send(
        &mut self,
        format: u8,
        chunk_stream: u32,
        kind: u8,
        timestamp: u32,
        length: usize,
    ) -> (u8, Vec<u8>) {
        let body = vec![b'H'; length];
        let message =
            Outgoing { chunk_stream, format, kind: MessageType(kind), timestamp, stream_id: 1, body: &body };
        let chunks = self.encoder.encode(&message, self.chunk_size).unwrap();
        let bytes = chunks.pieces().flatten().copied().collect::<Vec<_>>();
        assert_eq!(bytes.len(), chunks.len());
        let mut whole = b"before".to_vec();
        chunks.append_to(&mut whole);
        assert_eq!(whole, [b"before", &bytes[..]].concat());
        (chunks.format, bytes)
    }

    /// The header of a message that fits into one chunk.
    fn header(&mut self, format: u8, chunk_stream: u32, kind: u8, timestamp: u32, length: usize) -> String {
        let (_, bytes) = self.send(format, chunk_stream, kind, timestamp, length);
        hex(&bytes[..bytes.len() - length])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn headers_shrink_without_loss_of_information() {
    let mut sender = Sender::new();
    assert_eq!(sender.header(0, 4, 9, 0, 4), "040000000000040901000000");
    assert_eq!(sender.header(1, 4, 9, 0, 4), "c4");
    assert_eq!(sender.header(1, 4, 9, 40, 4), "84000028");
    assert_eq!(sender.header(2, 4, 9, 80, 4), "84000028");
    assert_eq!(sender.header(1, 4, 9, 120, 6), "4400002800000609");
    assert_eq!(sender.header(3, 4, 9, 160, 6), "c4");
}

#[test]
fn a_header_that_would_be_misread_is_made_larger() {
    let mut sender = Sender::new();
    sender.header(0, 4, 9, 0, 4);
    sender.header(1, 4, 9, 40, 4);
    assert_eq!(sender.header(2, 4, 9, 40, 5), "4400000000000509", "format 2 cannot change the length");
    assert_eq!(sender.header(3, 4, 9, 80, 5), "84000028", "format 3 would repeat the difference 0");
    assert_eq!(sender.header(1, 4, 9, 80, 5), "84000000", "format 3 would repeat the difference 40");
}

#[test]
fn the_first_message_of_each_kind_has_a_full_header() {
    let mut sender = Sender::new();
    assert_eq!(sender.header(1, 2, 5, 0, 4), "020000000000040501000000");
    assert_eq!(sender.header(1, 2, 4, 0, 6), "4200000000000604", "control messages are one kind");
    assert_eq!(sender.header(0, 4, 0x14, 0, 9), "040000000000091401000000");
    assert_eq!(sender.header(1, 4, 9, 500, 6), "040001f40000060901000000");
    assert_eq!(sender.header(1, 4, 8, 510, 6), "040001fe0000060801000000");
    assert_eq!(sender.header(1, 4, 9, 540, 6), "4400001e00000609");
}

#[test]
fn a_timestamp_that_steps_back_has_a_full_header() {
    let mut sender = Sender::new();
    sender.header(0, 4, 9, 1000, 4);
    assert_eq!(sender.header(1, 4, 9, 900, 4), "040003840000040901000000");
    assert_eq!(sender.header(1, 4, 9, 900, 4), "84000000", "format 3 would add 900");
}

#[test]
fn wrapped_timestamp_continues() {
    let mut sender = Sender::new();
    sender.header(0, 4, 9, 0xFFFF_FFF0, 4);
    assert_eq!(sender.header(1, 4, 9, 0x18, 4), "84000028");
}

#[test]
fn basic_headers_grow_with_the_chunk_stream_id() {
    let mut sender = Sender::new();
    for (id, basic) in
        [(2, "02"), (63, "3f"), (64, "0000"), (319, "00ff"), (320, "010001"), (65_599, "01ffff")]
    {
        assert_eq!(sender.header(0, id, 9, 0, 0), format!("{basic}0000000000000901000000"));
    }
    let too_large = Outgoing {
        chunk_stream: 65_600,
        format: 0,
        kind: MessageType::VIDEO,
        timestamp: 0,
        stream_id: 0,
        body: b"",
    };
    assert!(sender.encoder.encode(&too_large, 128).is_err());
}

#[test]
fn extended_timestamps_repeat_on_every_chunk() {
    let mut sender = Sender::new();
    assert_eq!(sender.header(0, 4, 9, 0xFF_FFFE, 4), "04fffffe0000040901000000");
    assert_eq!(sender.header(0, 4, 9, 0xFF_FFFF, 4), "04ffffff000004090100000000ffffff");
    let (_, bytes) = sender.send(0, 4, 9, 0x100_0000, 300);
    assert_eq!(hex(&bytes[..16]), "04ffffff00012c090100000001000000");
    assert_eq!(hex(&bytes[144..149]), "c401000000");
    assert_eq!(hex(&bytes[277..282]), "c401000000");
    let (_, bytes) = sender.send(1, 4, 9, 0x100_0028, 300);
    assert_eq!(hex(&bytes[..4]), "84000028");
    assert_eq!(hex(&bytes[132..134]), "c448");
}

#[test]
fn an_empty_message_is_one_header_and_a_multiple_of_the_chunk_size_has_no_empty_chunk() {
    let mut sender = Sender::new();
    assert_eq!(sender.send(0, 4, 9, 0, 0).1.len(), 12);
    assert_eq!(sender.send(0, 4, 9, 0, 256).1.len(), 12 + 128 + 1 + 128);
}

#[test]
fn an_overlong_message_is_refused() {
    let body = vec![0; 0x100_0000];
    let message = Outgoing {
        chunk_stream: 4,
        format: 0,
        kind: MessageType::VIDEO,
        timestamp: 0,
        stream_id: 0,
        body: &body,
    };
    assert!(Encoder::new().encode(&message, 128).is_err());
}

/// Decodes everything, offering the input in pieces of `step` bytes more at a time.
pub(super) fn decode_all(input: &[u8], chunk_size: u32, step: usize) -> Vec<Message> {
    let mut decoder = Decoder::<Vec<u8>>::new();
    let mut messages = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        let decoded = decoder.decode(&input[start..end], chunk_size).unwrap();
        start += decoded.consumed;
        match decoded.chunk {
            Some(chunk) => messages.extend(chunk.message),
            None if end == input.len() => break,
            None => end = (end + step).min(input.len()),
        }
    }
    assert_eq!(start, input.len());
    assert_eq!(decoder.unfinished, 0);
    messages
}

#[test]
fn encoded_chunks_are_decoded_however_they_are_split() {
    for chunk_size in [1, 127, 128, 129, 4096] {
        let mut encoder = Encoder::new();
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        let mut timestamp = 0xFF_FF00_u32;
        for (index, length) in [0, 1, 127, 128, 129, 300, 300, 5, 5, 5].into_iter().enumerate() {
            for chunk_stream in [3, 63, 64, 319, 320, 65_599] {
                let body = vec![index as u8; length];
                let kind = if index % 3 == 0 { MessageType::AUDIO } else { MessageType::VIDEO };
                let message = Outgoing {
                    chunk_stream,
                    format: (index % 3) as u8,
                    kind,
                    timestamp,
                    stream_id: 1,
                    body: &body,
                };
                wire.extend(encoder.encode(&message, chunk_size).unwrap().pieces().flatten());
                expected.push(Message { chunk_stream, format: 0, kind, timestamp, stream_id: 1, body });
            }
            timestamp = timestamp.wrapping_add([40, 0x100_0000, 0, 0, 0xFF_FFFF, 7][index % 6]);
        }
        for step in [1, 2, 11, 128, wire.len()] {
            let mut decoded = decode_all(&wire, chunk_size, step);
            decoded.iter_mut().for_each(|message| message.format = 0);
            assert_eq!(decoded, expected, "chunk size {chunk_size}, step {step}");
        }
    }
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(super) fn timestamps(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.timestamp).collect()
}

#[test]
fn differences_add_up_and_format_3_repeats_them() {
    let wire = unhex(
        "04 000064 000004 09 01000000 aaaaaaaa  44 000028 000001 08 bb  84 00000a cc  c4 dd
         05 0003e8 000001 09 01000000 aa  c5 bb
         46 000010 000001 09 aa",
    );
    let messages = decode_all(&wire, 128, 1);
    assert_eq!(timestamps(&messages), [100, 140, 150, 160, 1000, 2000, 16]);
    assert_eq!(messages[3].kind, MessageType::AUDIO);
    assert_eq!(messages[6].stream_id, 0, "a chunk stream without history starts from zeros");
}

#[test]
fn a_new_message_on_format_3_carries_the_extended_timestamp_again() {
    let wire = unhex("04 ffffff 000001 09 01000000 01000000 aa  c4 00000005 bb  84 000028 cc");
    assert_eq!(timestamps(&decode_all(&wire, 128, 3)), [0x100_0000, 0x100_0005, 0x100_002d]);
}

#[test]
fn header_with_another_length_restarts_the_message() {
    // librtmp kept the old, smaller body: a heap overflow.
    for header in ["04 000000 000006 09 01000000", "44 000000 000006 09"] {
        let wire = unhex(&format!("04 000000 000004 09 01000000 aaaa {header} 1111 c4 2222 c4 3333"));
        let messages = decode_all(&wire, 2, 1);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].body, unhex("111122223333"));
    }
}

#[test]
fn format_2_within_a_message_continues_it_without_a_time_change() {
    let wire = unhex("04 000010 000004 09 01000000 aaaa 84 000020 bbbb c4 cccc c4 cccc");
    let messages = decode_all(&wire, 2, 1);
    assert_eq!(timestamps(&messages), [0x10, 0x30], "but it is the difference that format 3 repeats");
    assert_eq!(messages[0].body, unhex("aaaabbbb"));
}

#[test]
fn chunks_describe_the_bytes_on_the_wire() {
    let mut decoder = Decoder::<Vec<u8>>::new();
    let wire = unhex("04 000010 000003 09 01000000 aaaa c4 bb");
    let first = decoder.decode(&wire, 2).unwrap();
    let chunk = first.chunk.unwrap();
    assert_eq!((first.consumed, chunk.received, chunk.payload, chunk.format), (14, 2, 2, 0));
    assert_eq!(chunk.header.as_bytes(), &wire[..12]);
    assert_eq!(decoder.unfinished_body(4).unwrap(), &[0xaa, 0xaa]);
    let second = decoder.decode(&wire[14..], 2).unwrap().chunk.unwrap();
    assert_eq!((second.format, second.received, second.payload), (0, 3, 1));
    assert_eq!(second.message.unwrap().body, [0xaa, 0xaa, 0xbb]);
    assert_eq!(decoder.clock(4), 16);
}

#[test]
fn an_abort_forgets_the_unfinished_message() {
    let mut decoder = Decoder::<Vec<u8>>::new();
    decoder.decode(&unhex("04 000000 000004 09 01000000 aaaa"), 2).unwrap();
    decoder.abort(4);
    decoder.abort(77);
    assert_eq!(decoder.unfinished, 0);
    let chunk = decoder.decode(&unhex("44 000005 000001 09 cc"), 2).unwrap().chunk.unwrap();
    assert_eq!(chunk.message.unwrap().body, [0xcc]);
}

#[test]
fn an_abort_in_mid_chunk_comes_too_late() {
    let mut decoder = Decoder::<Vec<u8>>::new();
    assert!(decoder.decode(&unhex("04 000000 000006 09 01000000 aaaa"), 4).unwrap().chunk.is_none());
    decoder.abort(4);
    let chunk = decoder.decode(&unhex("aaaa"), 4).unwrap().chunk.unwrap();
    assert!(chunk.payload <= chunk.received, "{} of {} bytes", chunk.payload, chunk.received);
    let chunk = decoder.decode(&unhex("c4 bbbb"), 4).unwrap().chunk.unwrap();
    assert_eq!(chunk.message.unwrap().body, [0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb]);
}

#[test]
fn unfinished_messages_are_bounded() {
    let mut decoder = Decoder::<Vec<u8>>::new();
    let mut failed = 0;
    for id in 64..60_000_u32 {
        let mut wire = vec![1, (id - 64) as u8, ((id - 64) >> 8) as u8];
        wire.extend(unhex("000000 ffffff 09 01000000"));
        wire.extend([0; 128]);
        failed += u32::from(decoder.decode(&wire, 128).is_err());
        assert!(decoder.unfinished <= MAX_UNFINISHED);
    }
    assert!(failed > 0);
}

#[test]
fn a_message_that_is_there_as_a_whole_is_found_as_it_would_be_decoded() {
    for chunk_size in [1, 100, 128, 4096] {
        let (mut encoder, mut wire) = (Encoder::new(), Vec::new());
        for (index, length) in [40, 1, 127, 128, 129, 300, 300, 0, 256, 700].into_iter().enumerate() {
            let body: Vec<u8> = (0..length).map(|at| (at ^ index) as u8).collect();
            let timestamp = 40 * index as u32;
            let message = Outgoing {
                chunk_stream: 4,
                format: 1,
                kind: MessageType(9),
                timestamp,
                stream_id: 1,
                body: &body,
            };
            wire.extend(encoder.encode(&message, chunk_size).unwrap().pieces().flatten());
        }
        let expected = decode_all(&wire, chunk_size, wire.len());
        let mut decoder = Decoder::<Vec<u8>>::new();
        let (mut position, mut found) = (0, 0);
        for expected in &expected {
            let input = &wire[position..];
            let ready = decoder.ready(input, chunk_size);
            let (consumed, message) = decoder.decode_message(input, chunk_size).unwrap();
            if let Some(ready) = ready {
                let mut body = Vec::new();
                ready.append_to(&mut body);
                let mut copy = vec![0; ready.len()];
                ready.copy_to(&mut copy);
                assert_eq!((&body, &copy), (&expected.body, &expected.body));
                let Ready { chunk_stream, format, kind, timestamp, stream_id, .. } = ready;
                assert_eq!(Message { chunk_stream, format, kind, timestamp, stream_id, body }, *expected);
                assert_eq!((consumed, input.is_empty()), (ready.consumed, false));
                found += 1;
            }
            assert_eq!(message.as_ref(), Some(expected));
            position += consumed;
        }
        assert_eq!((position, found), (wire.len(), expected.len()));
    }
}

#[test]
fn a_message_that_was_found_and_used_is_remembered() {
    let mut sender = Sender::new();
    let messages: Vec<Vec<u8>> = [(0, 300), (40, 300), (80, 20), (120, 20), (160, 20)]
        .map(|(timestamp, length)| sender.send(1, 4, 9, timestamp, length).1)
        .to_vec();
    let expected = decode_all(&messages.concat(), DEFAULT_CHUNK_SIZE, 7);
    let mut decoder = Decoder::<Vec<u8>>::new();
    for (index, (wire, expected)) in messages.iter().zip(&expected).enumerate() {
        // Of an incomplete message nothing is found.
        for end in 0..wire.len() {
            assert!(decoder.ready(&wire[..end], DEFAULT_CHUNK_SIZE).is_none());
        }
        if index % 2 == 0 {
            let (consumed, message) = decoder.decode_message(wire, DEFAULT_CHUNK_SIZE).unwrap();
            assert_eq!((consumed, message.as_ref()), (wire.len(), Some(expected)));
        } else {
            let ready = decoder.ready(wire, DEFAULT_CHUNK_SIZE).unwrap();
            assert_eq!((ready.consumed, ready.timestamp), (wire.len(), expected.timestamp));
            decoder.take_ready(&ready);
        }
    }
    assert_eq!(decoder.clock(4), 160);
}

#[test]
fn a_message_that_something_comes_in_between_is_not_found() {
    let mut sender = Sender::new();
    let (first, second) = (sender.send(1, 4, 9, 0, 300).1, sender.send(1, 4, 9, 40, 300).1);
    let other = sender.send(1, 5, 8, 40, 10).1;
    let mut decoder = Decoder::<Vec<u8>>::new();
    decoder.decode_message(&first, DEFAULT_CHUNK_SIZE).unwrap();
    let header = second.len() - 300 - 2;
    let cut = header + 128;
    let mixed = [&second[..cut], &other, &second[cut..]].concat();
    assert!(decoder.ready(&mixed, DEFAULT_CHUNK_SIZE).is_none());
    // In mid-chunk and in mid-message there is nothing to be found either.
    decoder.decode_message(&second[..header + 5], DEFAULT_CHUNK_SIZE).unwrap();
    assert!(decoder.ready(&second, DEFAULT_CHUNK_SIZE).is_none());
    decoder.decode_message(&second[header + 5..cut], DEFAULT_CHUNK_SIZE).unwrap();
    assert!(decoder.ready(&second, DEFAULT_CHUNK_SIZE).is_none());
}

#[test]
fn a_message_on_any_chunk_stream_is_found_if_it_is_one_chunk() {
    for chunk_stream in [63, 64, 319, 320, 65_599] {
        let mut sender = Sender::new();
        let messages = [(0, 20), (40, 20), (80, 300)]
            .map(|(timestamp, length)| sender.send(1, chunk_stream, 9, timestamp, length).1);
        let expected = decode_all(&messages.concat(), DEFAULT_CHUNK_SIZE, usize::MAX);
        let mut decoder = Decoder::<Vec<u8>>::new();
        for (wire, expected) in messages.iter().zip(&expected).take(2) {
            let ready = decoder.ready(wire, DEFAULT_CHUNK_SIZE).unwrap();
            assert_eq!((ready.chunk_stream, ready.consumed), (chunk_stream, wire.len()));
            assert_eq!(ready.timestamp, expected.timestamp);
            decoder.take_ready(&ready);
        }
        assert_eq!(decoder.ready(&messages[2], DEFAULT_CHUNK_SIZE).is_some(), chunk_stream < 64);
        let (_, last) = decoder.decode_message(&messages[2], DEFAULT_CHUNK_SIZE).unwrap();
        assert_eq!(last.as_ref(), Some(&expected[2]));
    }
}

#[test]
fn unwanted_message_stays_for_the_next_reader() {
    for length in [20, 128, 300] {
        let mut sender = Sender::new();
        let wire = [sender.send(1, 3, 20, 0, length).1, sender.send(1, 4, 9, 0, 300).1].concat();
        let expected = decode_all(&wire, DEFAULT_CHUNK_SIZE, usize::MAX);
        for cut in 1..wire.len() {
            let mut decoder = Decoder::<Vec<u8>>::new();
            let media = |kind: MessageType, _: &Vec<u8>| kind == MessageType::VIDEO;
            let (first, none) = decoder.decode_message_if(&wire[..cut], DEFAULT_CHUNK_SIZE, media).unwrap();
            let (second, nor) = decoder.decode_message_if(&wire[first..], DEFAULT_CHUNK_SIZE, media).unwrap();
            assert!(none.is_none() && nor.is_none(), "{length}, cut at {cut}");
            let mut position = first + second;
            for expected in &expected {
                let (used, message) = decoder.decode_message(&wire[position..], DEFAULT_CHUNK_SIZE).unwrap();
                assert_eq!(message.as_ref(), Some(expected), "{length}, cut at {cut}");
                position += used;
            }
            assert_eq!(position, wire.len());
        }
    }
}

#[test]
fn every_prefix_of_a_header_asks_for_more() {
    let wire = unhex("01 0000 ffffff 000000 09 01000000 01000000");
    for len in 0..wire.len() {
        let mut decoder = Decoder::<Vec<u8>>::new();
        let decoded = decoder.decode(&wire[..len], 128).unwrap();
        assert!(decoded.consumed == 0 && decoded.chunk.is_none(), "{len} bytes");
    }
    assert!(Decoder::<Vec<u8>>::new().decode(&wire, 128).unwrap().chunk.unwrap().message.is_some());
}
