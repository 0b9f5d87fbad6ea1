//! The rules for timestamps, numbered as in the decoder's module documentation.

use super::{
    tests::{decode_all, timestamps, unhex},
    *,
};
use crate::message::Message;

/// A sender that splits bodies into chunks of 128 bytes and writes the given bytes at the start of the further chunks.
#[derive(Default)]
struct Sender(Vec<u8>);

impl Sender {
    fn message(mut self, first: &str, next: &str, body: &[u8]) -> Self {
        let first = unhex(first);
        for (index, payload) in body.chunks(128).enumerate() {
            self.0.extend(if index == 0 { first.clone() } else { unhex(next) });
            self.0.extend(payload);
        }
        self
    }

    /// Decodes the bytes; the result is the same however they are split.
    fn arrives(&self) -> Vec<Message> {
        let whole = decode_all(&self.0, 128, usize::MAX);
        for step in [1, 2, 3, 5, 7, 127, 129, 131, 133] {
            assert!(decode_all(&self.0, 128, step) == whole, "in pieces of {step}");
        }
        whole
    }

    /// Checks times and bodies.
    fn expect(&self, expected: &[(u32, &[u8])]) {
        let messages = self.arrives();
        let times: Vec<u32> = expected.iter().map(|(time, _)| *time).collect();
        assert_eq!(timestamps(&messages), times);
        for (message, (time, body)) in messages.iter().zip(expected) {
            assert!(message.body == *body, "body at {time}: {:02x?}", message.body);
        }
    }
}

/// Bytes that look like no header of these tests.
fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|at| 0x60 + (at % 23) as u8).collect()
}

/// A body that has `piece` at the start of each chunk of format 3, if that chunk has no extended timestamp.
fn with_at_cuts(piece: &[u8], len: usize) -> Vec<u8> {
    let mut body = plain(len);
    for start in (128..len).step_by(128) {
        let end = len.min(start + piece.len());
        body[start..end].copy_from_slice(&piece[..end - start]);
    }
    body
}

const TIME: u32 = 0x0100_0000;
/// A full header at that time, for 300 bytes of video.
const FULL: &str = "06 ffffff 00012c 09 01000000 01000000";
/// The next one, 40 ms later.
const NEXT: &str = "86 000028";

/// Recorded while a file with 300 bytes of audio (0x72, then the same letter) from 0x1000000 on every 40 ms was published
/// or played over loopback: `curl -T` on librtmp 2.4, `ffmpeg -c copy -copyts` (FFmpeg 5.1), GStreamer's `multifilesrc` with a
/// file for each tag before `rtmp2sink` (1.22), and nginx's RTMP module playing it from a file.
const RECORDED: [(&str, [(&str, &str); 3]); 4] = [
    ("librtmp", [("44 ffffff 00012c 08 01000000", "c4 01000000"), ("84 000028", "c4"), ("84 000028", "c4")]),
    ("FFmpeg", [("44 ffffff 00012c 08 01000000", "c4 01000000"), ("84 000028", "c4"), ("c4", "c4")]),
    (
        "GStreamer",
        [("05 ffffff 00012c 08 01000000 01000000", "c5 01000000"), ("85 000028", "c5"), ("c5", "c5")],
    ),
    (
        "nginx",
        [
            ("06 ffffff 00012c 08 01000000 01000000", "c6 01000000"),
            ("46 000028 00012c 08", "c6"),
            ("46 000028 00012c 08", "c6"),
        ],
    ),
];

#[test]
fn recorded_streams_are_decoded_with_and_without_repeated_timestamps() {
    let bodies = [b'A', b'B', b'C'].map(|letter| [&[0x72][..], &[letter; 299]].concat());
    for (_, messages) in RECORDED {
        for repeats in [true, false] {
            let mut sender = Sender::default();
            for ((first, next), body) in messages.iter().zip(&bodies) {
                sender = sender.message(first, if repeats { next } else { &next[..2] }, body);
            }
            let times = [TIME, TIME + 40, TIME + 80];
            let expected: Vec<_> = times.into_iter().zip(bodies.iter().map(Vec::as_slice)).collect();
            sender.expect(&expected);
        }
    }
}

#[test]
fn only_the_chunk_that_begins_a_message_sets_its_time() {
    let body = plain(300);
    // The value, 0, and the difference that a sender writes after 0xFFFFF0.
    for again in ["01000000", "00000000", "00000010"] {
        let next = format!("c6 {again}");
        Sender::default()
            .message("06 fffff0 000001 09 01000000", "", b"x")
            .message(FULL, &next, &body)
            .message(NEXT, "c6", &body)
            .expect(&[(0xFF_FFF0, b"x"), (TIME, &body), (TIME + 40, &body)]);
    }
}

#[test]
fn a_difference_that_is_extended_may_come_again_as_the_time_that_it_leads_to() {
    let body = plain(300);
    for again in ["01000000", "01000064", "00000000"] {
        let next = format!("c6 {again}");
        Sender::default()
            .message("06 000064 000001 09 01000000", "", b"x")
            .message("46 ffffff 00012c 09 01000000", &next, &body)
            .message(NEXT, "c6", &body)
            .expect(&[(100, b"x"), (TIME + 100, &body), (TIME + 140, &body)]);
    }
}

#[test]
fn learned_convention_applies_to_bodies_that_look_like_the_other() {
    let ordinary = plain(300);
    for value in [TIME, 0, 40, TIME + 40] {
        let adversarial = with_at_cuts(&value.to_be_bytes(), 300);
        // An extended difference of TIME + 40 keeps the convention of the message before.
        let again = "46 ffffff 00012c 09 01000028";
        for (next, later) in [("c6 01000000", "c6 01000028"), ("c6", "c6")] {
            Sender::default()
                .message(FULL, next, &ordinary)
                .message(again, later, &adversarial)
                .message(NEXT, "c6", &ordinary)
                .expect(&[(TIME, &ordinary), (2 * TIME + 40, &adversarial), (2 * TIME + 80, &ordinary)]);
        }
    }
}

#[test]
fn full_header_restarts_the_differences() {
    let body = plain(300);
    let later = "06 ffffff 00012c 09 01000000 01000028";
    for ((first, first_time), (second, second_time)) in
        [(("c6", 0), ("c6 01000028", 40)), (("c6 01000000", 0), ("c6", 40))]
    {
        Sender::default()
            .message(FULL, first, &body)
            .message(later, second, &body)
            .message(NEXT, "c6", &body)
            .expect(&[(TIME + first_time, &body), (TIME + second_time, &body), (TIME + 80, &body)]);
    }
}

#[test]
fn body_that_looks_like_a_timestamp_is_recognised_by_the_next_header() {
    // Silence and padding are zeros; NAL units of 40 bytes begin with their length. The whole body may look like that.
    for value in [0_u32, 40, TIME, TIME + 40] {
        for len in [300, 257, 256, 700] {
            let piece = value.to_be_bytes();
            for body in [with_at_cuts(&piece, len), piece.repeat(len / 4)] {
                let full = format!("06 ffffff {:06x} 09 01000000 01000000", body.len());
                let next = format!("46 000028 {:06x} 09", body.len());
                // In a message of two chunks, the value itself counts as a timestamp: see rule 5.
                if value != TIME || body.len() > 256 {
                    Sender::default()
                        .message(&full, "c6", &body)
                        .message(&next, "c6", &body)
                        .message(NEXT, "c6", &body)
                        .expect(&[(TIME, &body), (TIME + 40, &body), (TIME + 80, &body)]);
                }
                if value != TIME && value != 0 {
                    continue;
                }
                let repeated = format!("c6 {value:08x}");
                Sender::default()
                    .message(&full, &repeated, &body)
                    .message(&next, "c6", &body)
                    .message(NEXT, "c6", &body)
                    .expect(&[(TIME, &body), (TIME + 40, &body), (TIME + 80, &body)]);
            }
        }
    }
}

#[test]
fn a_body_of_zeros_that_ends_its_message_is_known_by_any_header() {
    let (body, other) = (with_at_cuts(&[0; 4], 140), plain(20));
    let full = "06 ffffff 00008c 09 01000000 01000000";
    for header in [
        "86 000028",
        "c6",
        "46 000028 000014 09",
        "06 ffffff 000014 09 01000000 01000028",
        "04 ffffff 000014 08 01000000 01000028",
        "02 000000 000014 09 00000000",
        "42 000000 000014 03",
        "00 06 ffffff 000014 09 01000000 01000028",
    ] {
        for repeats in [true, false] {
            // The length is in the header, or unchanged.
            let behind = if header.contains("000014") { &other } else { &body };
            let again = header == "c6" && repeats;
            let header = if again { "c6 00000028" } else { header };
            let sender = Sender::default()
                .message("02 000000 000004 05 00000000", "", &[0, 38, 37, 160])
                .message(full, if repeats { "c6 00000000" } else { "c6" }, &body)
                .message(header, if again { "c6 00000028" } else { "c6" }, behind);
            let messages = sender.arrives();
            assert_eq!(messages.len(), 3, "{header}, {repeats}");
            assert!(messages[1].body == body && messages[2].body == *behind, "{header}, {repeats}");
            assert_eq!(messages[1].timestamp, TIME);
        }
    }
}

#[test]
fn a_message_that_begins_with_format_3_has_the_time_of_its_extended_timestamp() {
    let body = plain(300);
    let full = "06 ffffff 00012c 09 01000000 01000000";
    Sender::default()
        .message(full, "c6 01000000", &body)
        .message("c6 00000028", "c6 00000028", &body)
        .message("c6 01000001", "c6 01000001", &body)
        .expect(&[(TIME, &body), (TIME + 40, &body), (2 * TIME + 41, &body)]);
    // The convention is unknown, because no chunk continues a message.
    for len in [0, 1, 4, 100] {
        let body = plain(len);
        let full = unhex(&format!("06 ffffff {len:06x} 09 01000000 01000000"));
        let next = unhex("c6 00000028");
        let mut wire = [&full[..], &body, &next, &body].concat();
        assert_eq!(timestamps(&decode_all(&wire, 128, 1)), [TIME, TIME + 40], "{len}");
        // Without an extended timestamp, format 3 repeats the value.
        let others = [unhex("46 000001 000001 09"), vec![0x61]].concat();
        if len > 0 {
            wire = [&full[..], &body, &next[..1], &body, &others].concat();
            for step in [1, usize::MAX] {
                let messages = decode_all(&wire, 128, step);
                assert_eq!(timestamps(&messages), [TIME, 2 * TIME, 2 * TIME + 1], "{len}");
                assert_eq!(messages[1].body, body);
            }
        }
    }
}

#[test]
fn a_chunk_that_is_shorter_than_a_timestamp_waits_for_nothing_unless_it_looks_like_one() {
    for len in [129, 130, 131] {
        let body = plain(len);
        let wire =
            Sender::default().message(&format!("06 ffffff {len:06x} 09 01000000 01000000"), "c6", &body);
        wire.expect(&[(TIME, &body)]);
    }
    let body = with_at_cuts(&[1, 0], 130);
    Sender::default()
        .message("06 ffffff 000082 09 01000000 01000000", "c6", &body)
        .message(NEXT, "c6", &body)
        .expect(&[(TIME, &body), (TIME + 40, &body)]);
}

#[test]
fn a_message_that_never_ends_still_sets_the_time() {
    let abort = |decoder: &mut Decoder<Vec<u8>>| decoder.abort(4);
    let full = "04 36ee80 000004 09 01000000 aaaa";
    let extended = "04 ffffff 000004 09 01000000 01000000 aaaa";
    for (first, time) in [(full, 3_600_000), (extended, TIME)] {
        // Aborted, or given up for another message.
        for aborts in [true, false] {
            let mut decoder = Decoder::<Vec<u8>>::new();
            decoder.decode(&unhex(first), 2).unwrap();
            if aborts {
                abort(&mut decoder);
            }
            assert_eq!(decoder.clock(4), 0, "nothing is complete");
            let chunk = decoder.decode(&unhex("44 000028 000001 09 cc"), 2).unwrap().chunk.unwrap();
            assert_eq!(chunk.message.unwrap().timestamp, time + 40);
            assert_eq!(decoder.clock(4), time + 40);
        }
    }
    // A difference counts, too, and only once.
    let mut decoder = Decoder::<Vec<u8>>::new();
    decoder.decode(&unhex("04 000064 000001 09 01000000 aa"), 2).unwrap();
    decoder.decode(&unhex("44 000028 000004 09 aaaa"), 2).unwrap();
    abort(&mut decoder);
    abort(&mut decoder);
    assert_eq!(decoder.ready(&unhex("84 000001 bbbb c4 bbbb"), 2).unwrap().timestamp, 141);
    decoder.decode(&unhex("84 000001 bbbb"), 2).unwrap();
    let message = decoder.decode(&unhex("c4 bbbb"), 2).unwrap().chunk.unwrap().message.unwrap();
    assert_eq!(message.timestamp, 141);
}

#[test]
fn chunks_have_the_timestamp_of_their_message() {
    let mut decoder = Decoder::<Vec<u8>>::new();
    let mut sent = Vec::new();
    for chunk in [
        "04 ffffff 000006 09 01000000 01000000 aaaa",
        "c4 00000000 bbbb",
        "c4 00000000 cccc",
        "44 000028 000004 09 aaaa",
        "84 000029 bbbb",
    ] {
        let wire = unhex(chunk);
        let mut decoded = decoder.decode(&wire, 2).unwrap();
        if decoded.chunk.is_none() {
            // The decision needs the next header.
            let more = [&wire[decoded.consumed..], &unhex("c4 00000000 cccc")].concat();
            decoded = decoder.decode(&more, 2).unwrap();
        }
        let chunk = decoded.chunk.unwrap();
        sent.push((chunk.sent_timestamp, chunk.header.as_bytes().len(), chunk.received));
    }
    assert_eq!(sent, [(TIME, 16, 2), (TIME, 5, 4), (TIME, 5, 6), (40, 8, 2), (40, 4, 4)]);
}
