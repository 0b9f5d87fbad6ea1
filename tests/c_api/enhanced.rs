//! Enhanced RTMP as C programs use it.

use std::{fmt::Write as _, time::Duration};

use crate::support::{Library, Program};

/// A kind, a body, and what `tests/c/enhanced.c` prints of it; `None` if what it writes again is the body.
type Vector = (u8, &'static [u8], &'static str, Option<&'static [u8]>);

const MESSAGES: [Vector; 24] = [
    (9, b"\x90hvc1conf", " hvc1:0 packet 1 frame 1 offset 0 636f6e66", None),
    (9, b"\x91hvc1\0\0\x28nal", " hvc1:0 packet 2 key frame 1 offset 40 6e616c", None),
    (9, b"\xA1hvc1\xFF\xFF\xFFnal", " hvc1:0 packet 2 frame 2 offset -1 6e616c", None),
    (9, b"\xA3hvc1nal", " hvc1:0 packet 2 frame 2 offset 0 6e616c", None),
    // The same without an offset in fewer bytes.
    (9, b"\x91hvc1\0\0\0nal", " hvc1:0 packet 2 key frame 1 offset 0 6e616c", Some(b"\x93hvc1nal")),
    (9, b"\xD4hvc1hdr", " hvc1:0 packet 4 frame 0 offset 0 686472", Some(b"\x94hvc1hdr")),
    (9, b"\x95av01ts", " av01:0 packet 8 frame 1 offset 0 7473", None),
    (9, b"\x92avc1", " avc1:0 packet 3 frame 1 offset 0 ", None),
    (9, b"\xD0\0", " 0/0:0 packet 7 frame 0 offset 0 00", None),
    (9, b"\x57\x01", " 7/0:0 packet 7 frame 0 offset 0 01", None),
    (
        9,
        b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\x01n",
        " +999999 ns hvc1:0 packet 2 key frame 1 offset 1 6e",
        None,
    ),
    (9, b"\x96\x01hvc1\x01\0\0\x01n", " hvc1:1 packet 2 key frame 1 offset 1 6e", None),
    (
        9,
        b"\xA6\x13hvc1\0\0\0\x02ab\xFF\0\0\0",
        " hvc1:0 packet 2 frame 2 offset 0 6162 hvc1:255 packet 2 frame 2 offset 0 ",
        None,
    ),
    (
        9,
        b"\x96\x21av01\0\0\0\x03obuhvc1\x01\0\0\x04\0\0\0n",
        " av01:0 packet 2 key frame 1 offset 0 6f6275 hvc1:1 packet 2 key frame 1 offset 0 6e",
        None,
    ),
    (
        8,
        b"\x95\x11mp4a\0\0\0\x01a\x01\0\0\x05b",
        " mp4a:0 packet 2 frame 0 offset 0 61 then damaged",
        Some(b"\x91mp4aa"),
    ),
    (8, b"\x94Opus\x01\x02\0\0\0\x03", " Opus:0 packet 5 frame 0 offset 0 010200000003", None),
    (8, b"\x90Opus", " Opus:0 packet 1 frame 0 offset 0 ", None),
    (8, b"", " 0/0:0 packet 6 frame 0 offset 0 ", None),
    (8, b"\xAF\0\x12\x10", " 10/15:0 packet 1 frame 0 offset 0 1210", None),
    (8, b"\xAF\x01aac", " 10/15:0 packet 2 frame 0 offset 0 616163", None),
    (8, b"\x2Emp3", " 2/14:0 packet 2 frame 0 offset 0 6d7033", None),
    (9, b"\x17\0\0\0\0avcC", " 7/0:0 packet 1 frame 1 offset 0 61766343", None),
    (9, b"\x27\x01\xFF\xFF\xFEnal", " 7/0:0 packet 2 frame 2 offset -2 6e616c", None),
    (9, b"\x12frame", " 2/0:0 packet 2 key frame 1 offset 0 6672616d65", None),
];

const DAMAGED: [(u8, &[u8]); 6] =
    [(9, b""), (9, b"\x98hvc1"), (9, b"\x91hvc"), (9, b"\x96\x06hvc1\0"), (8, b"\x93Opus"), (1, b"\x93Opus")];

const REST: &str = "track 0: 1920x1080 1 68766331 0
track 1: 640x1080 1 68766331 0
track 200: 1920x1080 1 61763031 0
1 0
010400840003: 4 0 1 18 119 -1 1
02040a00feff: 4 10 0 254 119 -1 1
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn messages_and_metadata_are_read_and_written() {
    let program = need!(Program::test_of_ours("enhanced"));
    let (mut input, mut expected) = (String::new(), String::new());
    for (kind, body, tracks, again) in MESSAGES {
        input += &format!("{kind} {}\n", hex(body));
        expected += &format!("{tracks} = {}\n", hex(again.unwrap_or(body)));
    }
    for (kind, body) in DAMAGED {
        input += &format!("{kind} {}\n", hex(body));
        expected += "damaged\n";
    }
    let run = need!(program.run(Library::Ours, &[], &input, Duration::from_secs(60)));
    let printed = run.expect("enhanced");
    for (printed, expected) in printed.lines().zip(expected.lines().chain(REST.lines())) {
        assert_eq!(printed, expected);
    }
    assert_eq!(printed.lines().count(), expected.lines().count() + REST.lines().count());
}
