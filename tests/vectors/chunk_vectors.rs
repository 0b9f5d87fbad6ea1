//! `RTMP_SendPacket` and `RTMP_ReadPacket` over a socket pair: the header of every kind of message, compared byte by byte.
//!
//! Each row of the table contains the bytes that the original sends and those that this library has to send. They differ only
//! where a receiver that follows RTMP 1.0 would misunderstand the original's header (see `support::wire::Improved`).
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::wire::{Improved, Reader, Sent};
use crate::support::{Library, Program, hex, library};

const LIMIT: Duration = Duration::from_secs(20);

/// A message: header type, timestamp, length, type, channel, message stream.
type Call = (u8, u32, usize, u8, u32, i32);

struct Row {
    why: &'static str,
    call: Call,
    original: &'static str,
    /// `None`: the same as the original.
    ours: Option<&'static str>,
}

const fn same(why: &'static str, call: Call, wire: &'static str) -> Row {
    Row { why, call, original: wire, ours: None }
}

const fn better(why: &'static str, call: Call, original: &'static str, ours: &'static str) -> Row {
    Row { why, call, original, ours: Some(ours) }
}

const LARGE: u8 = 0;
const MEDIUM: u8 = 1;
const SMALL: u8 = 2;
const MINIMUM: u8 = 3;

/// First headers, in the order of the calls with one object.
const HEADERS: &[Row] = &[
    same("a full header", (LARGE, 0, 4, 9, 4, 1), "04 000000 000004 09 01000000"),
    same("nothing differs and time 0 was sent", (MEDIUM, 0, 4, 9, 4, 1), "c4"),
    same("only the time differs", (MEDIUM, 40, 4, 9, 4, 1), "84 000028"),
    same("the same difference once more", (SMALL, 80, 4, 9, 4, 1), "84 000028"),
    better(
        "another length needs a header that says so",
        (SMALL, 80, 5, 9, 4, 1),
        "c4",
        "44 000000 000005 09",
    ),
    same("another length", (MEDIUM, 120, 6, 9, 4, 1), "44 000028 000006 09"),
    better(
        "the first audio message on the chunk stream",
        (MEDIUM, 160, 6, 8, 4, 1),
        "44 000028 000006 08",
        "04 0000a0 000006 08 01000000",
    ),
    better("a new time needs a header that says so", (MINIMUM, 200, 6, 8, 4, 1), "c4", "84 000028"),
    better("the same time must not repeat a difference", (MEDIUM, 200, 6, 8, 4, 1), "c4", "84 000000"),
    same("the same time once more", (MEDIUM, 200, 6, 8, 4, 1), "c4"),
    better(
        "time steps back",
        (MEDIUM, 100, 6, 8, 4, 1),
        "84 ffffff ffffff9c",
        "04 000064 000006 08 01000000",
    ),
    better(
        "a chunk stream starts with a full header",
        (MEDIUM, 1000, 3, 9, 5, 1),
        "45 0003e8 000003 09",
        "05 0003e8 000003 09 01000000",
    ),
    better(
        "a chunk stream starts with a full header",
        (SMALL, 1000, 3, 9, 6, 1),
        "86 0003e8",
        "06 0003e8 000003 09 01000000",
    ),
    better(
        "a chunk stream starts with a full header",
        (MINIMUM, 5, 3, 9, 7, 1),
        "c7",
        "07 000005 000003 09 01000000",
    ),
    same("the largest id of one byte", (LARGE, 0, 1, 9, 63, 1), "3f 000000 000001 09 01000000"),
    same("the smallest id of two bytes", (LARGE, 0, 1, 9, 64, 1), "00 00 000000 000001 09 01000000"),
    same("the largest id of two bytes", (LARGE, 0, 1, 9, 319, 1), "00 ff 000000 000001 09 01000000"),
    same("the smallest id of three bytes", (LARGE, 0, 1, 9, 320, 1), "01 00 01 000000 000001 09 01000000"),
    same("the largest id of three bytes", (LARGE, 0, 1, 9, 65599, 1), "01 ff ff 000000 000001 09 01000000"),
    same("the largest short time", (LARGE, 0xff_fffe, 4, 9, 4, 1), "04 fffffe 000004 09 01000000"),
    same("the first extended time", (LARGE, 0xff_ffff, 4, 9, 4, 1), "04 ffffff 000004 09 01000000 00ffffff"),
    same("an extended time", (LARGE, 0x100_0000, 300, 9, 4, 1), "04 ffffff 00012c 09 01000000 01000000"),
    same("a short difference after an extended time", (MEDIUM, 0x100_0028, 300, 9, 4, 1), "84 000028"),
    same(
        "the longest header",
        (LARGE, 0x100_0000, 300, 9, 320, 1),
        "01 00 01 ffffff 00012c 09 01000000 01000000",
    ),
    better(
        "a chunk stream starts with a full header",
        (MINIMUM, 0x100_0000, 3, 9, 10, 1),
        "ca 01000000",
        "0a ffffff 000003 09 01000000 01000000",
    ),
    same("no body", (LARGE, 0, 0, 9, 4, 1), "04 000000 000000 09 01000000"),
    same("message stream -1", (LARGE, 0, 4, 9, 4, -1), "04 000000 000004 09 ffffffff"),
];

fn line(call: &Call, body: &str, chunk_size: usize) -> String {
    let (header, timestamp, length, kind, channel, stream) = call;
    format!("{header} {timestamp} {length} {kind} {channel} {stream} {body} {chunk_size}\n")
}

/// The whole message: its header, then the parts of the body after continuation headers.
fn wire(header: &str, call: &Call, chunk_size: usize) -> String {
    let (_, _, length, _, channel, _) = *call;
    let header = hex::decode(header);
    let extended = header_has_extended_time(&header).then(|| header[header.len() - 4..].to_vec());
    let mut out = header;
    let body = vec![0x48; length];
    for (i, part) in body.chunks(chunk_size).enumerate() {
        if i > 0 {
            out.extend(crate::support::wire::basic_header(3, channel));
            out.extend(extended.iter().flatten());
        }
        out.extend(part);
    }
    hex::encode(&out)
}

fn header_has_extended_time(header: &[u8]) -> bool {
    let basic = [2, 3].get(usize::from(header[0] & 0x3f)).copied().unwrap_or(1);
    header[0] >> 6 != 3 && header[basic..basic + 3] == [0xff; 3]
}

fn check_headers(library: Library) {
    let program = need!(Program::test("chunk_send"));
    let original = library == Library::Original || library::ours_is_original();
    let input: String = HEADERS.iter().map(|row| line(&row.call, "body", 128)).collect();
    let run = need!(program.run(library, &[], &input, LIMIT));
    let output = run.expect("chunk_send");
    let mut failures = Vec::new();
    for (i, row) in HEADERS.iter().enumerate() {
        let words: Vec<&str> = output.lines().nth(i).expect("one line for every call").split(' ').collect();
        let header = if original { row.original } else { row.ours.unwrap_or(row.original) };
        let expected = wire(header, &row.call, 128);
        if words[0] != "1" || words[2] != expected {
            failures.push(format!("{i} {} {:?}: expected {expected}, found {words:?}", row.why, row.call));
        }
        // The original overwrites the body before every further chunk; this library only reads it.
        let clobbered = original && row.call.2 > 128;
        assert_eq!(words[3], if clobbered { "clobbered" } else { "intact" }, "body of {i} ({})", row.why);
        let format = (hex::decode(header)[0] >> 6).to_string();
        let kept = row.call.0.to_string();
        let says = words[1] == format || (!original && words[1] == kept);
        assert!(says, "m_headerType of {i} ({}) is {} after a header of format {format}", row.why, words[1]);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_original_sends_the_headers_of_the_table() {
    need!(Library::Original.file());
    check_headers(Library::Original);
}

#[test]
fn our_headers_have_the_meaning_that_the_caller_requested() {
    check_headers(Library::Ours);
}

/// The table and the rules of the FLV tests have to agree, and the bytes in the table must be readable.
#[test]
fn the_table_follows_the_rules_and_reads_back() {
    let mut rules = Improved::default();
    let mut reader = Reader::new();
    for row in HEADERS {
        let (_, timestamp, length, kind, chunk_stream, stream) = row.call;
        let message_stream = stream as u32;
        let header = row.ours.unwrap_or(row.original);
        let sent = Sent { chunk_stream, timestamp, length, kind, message_stream };
        let accepted = rules.headers(sent, &hex::decode(row.original));
        assert!(accepted.contains(&hex::decode(header)), "{}: {header}, but {accepted:02x?}", row.why);
        let messages = reader.feed(&hex::decode(&wire(header, &row.call, 128)));
        let [message] = messages.as_slice() else { panic!("{}: {} messages", row.why, messages.len()) };
        assert_eq!((message.timestamp, message.kind), (timestamp, kind), "{}", row.why);
        assert_eq!((message.message_stream, message.body.len()), (message_stream, length), "{}", row.why);
    }
    assert_eq!(reader.violations, Vec::<String>::new());
}

/// Only full headers contain the id, so the original loses the change of the message stream. This library may use that form
/// (difference 0 instead of format 3) or send a full header.
#[test]
fn a_new_message_stream_alone_changes_no_length_or_type() {
    let program = need!(Program::test("chunk_send"));
    let calls = [(LARGE, 40, 4, 9, 4, 1), (MEDIUM, 40, 4, 9, 4, 99)];
    let input: String = calls.iter().map(|call| line(call, "body", 128)).collect();
    for library in [Library::Original, Library::Ours] {
        let output = need!(program.run(library, &[], &input, LIMIT)).expect("chunk_send");
        let found = output.lines().nth(1).and_then(|line| line.split(' ').nth(2)).unwrap_or("nothing");
        let original = library == Library::Original || library::ours_is_original();
        let allowed: &[&str] = if original { &["c4"] } else { &["84000000", "04000028000004096300000 0"] };
        let allowed: Vec<String> =
            allowed.iter().map(|header| header.replace(' ', "") + "48484848").collect();
        assert!(
            allowed.iter().any(|allowed| allowed == found),
            "{library:?} sent {found}, not one of {allowed:?}"
        );
    }
}

#[test]
fn bodies_are_cut_at_the_chunk_size() {
    let program = need!(Program::test("chunk_send"));
    // Length, chunk size.
    let cases = [(10, 4), (8, 4), (128, 128), (129, 128), (1, 1), (3, 1), (5000, 4096)];
    let calls: Vec<(Call, usize)> =
        cases.iter().map(|(length, size)| ((LARGE, 7, *length, 9, 4, 1), *size)).collect();
    let input: String = calls.iter().map(|(call, size)| line(call, "body", *size)).collect();
    for library in [Library::Original, Library::Ours] {
        let output = need!(program.run(library, &[], &input, LIMIT)).expect("chunk_send");
        for ((call, size), line) in calls.iter().zip(output.lines()) {
            let header = format!("04 000007 {:06x} 09 01000000", call.2);
            let found = line.split(' ').nth(2).unwrap_or("nothing");
            assert_eq!(
                found,
                wire(&header, call, *size),
                "{library:?}, {} bytes in chunks of {size}",
                call.2
            );
        }
        assert_eq!(output.lines().count(), calls.len());
    }
}

#[test]
fn a_message_without_body_memory_is_only_a_header() {
    let program = need!(Program::test("chunk_send"));
    let input = line(&(LARGE, 0, 0, 9, 4, 1), "null", 128);
    for library in [Library::Original, Library::Ours] {
        let output = need!(program.run(library, &[], &input, LIMIT)).expect("chunk_send");
        assert_eq!(output, "1 0 040000000000000901000000 intact\n", "{library:?}");
    }
}

/// A header type above 3 is refused, and nothing is sent.
#[test]
fn an_unknown_header_type_is_refused() {
    let program = need!(Program::test("chunk_send"));
    let input = line(&(4, 0, 4, 9, 4, 1), "body", 128) + &line(&(LARGE, 0, 1, 9, 4, 1), "body", 128);
    for library in [Library::Original, Library::Ours] {
        let output = need!(program.run(library, &[], &input, LIMIT)).expect("chunk_send");
        assert_eq!(output, "0 4 - intact\n1 0 04000000000001090100000048 intact\n", "{library:?}");
    }
}

// Reading

/// The fields that RTMP_ReadPacket sets for a chunk: header type, timestamp, ready, channel timestamp.
struct Read {
    chunk: &'static str,
    /// Body bytes that follow `chunk`.
    body: usize,
    says: (u8, u32, bool, i32),
}

const fn read(chunk: &'static str, body: usize, says: (u8, u32, bool, i32)) -> Read {
    Read { chunk, body, says }
}

const TRACE: &[Read] = &[
    read("04 000064 000004 09 01000000", 4, (0, 100, true, 100)),
    read("44 000028 000005 09", 5, (1, 140, true, 140)),
    read("84 00000a", 5, (2, 150, true, 150)),
    read("c4", 5, (3, 160, true, 160)),
    // Two chunks with a message of another channel between them.
    read("05 000010 000082 09 01000000", 128, (0, 16, false, 0)),
    read("04 0000c8 000001 08 01000000", 1, (0, 200, true, 200)),
    read("c5", 2, (0, 16, true, 16)),
    read("45 000020 000082 09", 128, (1, 32, false, 16)),
    read("c5", 2, (1, 48, true, 48)),
    // Extended timestamps: every continuation repeats them.
    read("06 ffffff 000082 09 01000000 01000000", 128, (0, 0x100_0000, false, 0)),
    read("c6 01000000", 2, (0, 0x100_0000, true, 0x100_0000)),
    read("86 000028", 128, (2, 40, false, 0x100_0000)),
    read("c6", 2, (2, 0x100_0028, true, 0x100_0028)),
    read("07 ffffff 000001 09 01000000 01000000", 1, (0, 0x100_0000, true, 0x100_0000)),
    read("c7 00000005", 1, (3, 0x100_0005, true, 0x100_0005)),
    // A new message in format 3 after a full header repeats the absolute time as a difference.
    read("08 0003e8 000001 09 01000000", 1, (0, 1000, true, 1000)),
    read("c8", 1, (3, 2000, true, 2000)),
    // Ids of two and three bytes, and a message without a body.
    read("00 00 000001 000001 09 01000000", 1, (0, 1, true, 1)),
    read("00 ff 000001 000001 09 01000000", 1, (0, 1, true, 1)),
    read("01 00 01 000001 000001 09 01000000", 1, (0, 1, true, 1)),
    read("01 ff ff 000001 000001 09 01000000", 1, (0, 1, true, 1)),
    read("09 000007 000000 09 01000000", 0, (0, 7, true, 7)),
];

fn feed(chunks: impl Iterator<Item = (String, usize)>) -> String {
    chunks.map(|(header, body)| format!("{}{}\n", header.replace(' ', ""), "48".repeat(body))).collect()
}

#[test]
fn reading_chunk_by_chunk_shows_the_recorded_fields() {
    let program = need!(Program::test("chunk_read"));
    let input = feed(TRACE.iter().map(|row| (row.chunk.to_owned(), row.body)));
    let mut outputs = Vec::new();
    for library in [Library::Original, Library::Ours] {
        let output = need!(program.run(library, &[], &input, LIMIT)).expect("chunk_read");
        for (i, row) in TRACE.iter().enumerate() {
            let words: Vec<&str> = output.lines().nth(i).unwrap_or("nothing").split(' ').collect();
            let (header_type, timestamp, ready, channel_time) = row.says;
            let expected = [
                "1".to_owned(),
                u8::from(ready).to_string(),
                header_type.to_string(),
                timestamp.to_string(),
                channel_time.to_string(),
            ];
            let found: Vec<&str> = [0, 1, 2, 4, 9].iter().filter_map(|at| words.get(*at).copied()).collect();
            assert_eq!(found, expected, "{library:?}, chunk {i} ({})", row.chunk);
        }
        outputs.push(output);
    }
    // All other visible state is the same as well.
    let [original, ours] = outputs.as_slice() else { return };
    assert_eq!(original, ours);
}

/// Input that causes memory errors in the original. Every row ends with a whole message of channel 4, which must arrive as
/// usual (chunk.md, "Known defects").
#[test]
fn hostile_chunks_do_not_affect_later_messages() {
    const GOOD: (&str, usize) = ("04 000000 000003 08 01000000", 3);
    let cases: &[(&str, &[(&str, usize)])] = &[
        (
            "format 1 inside a message announces more",
            &[("05 000000 000100 09 01000000", 128), ("45 000000 001000 09", 128)],
        ),
        (
            "format 0 inside a message",
            &[("05 000000 000100 09 01000000", 128), ("05 000000 000004 09 01000000", 4)],
        ),
        ("format 3 without history", &[("c9", 0)]),
        ("format 2 without history", &[("89 000001", 0)]),
        ("format 1 without history", &[("49 000001 000004 09", 4)]),
        (
            "the largest message on many channels",
            &[
                ("0a 000000 ffffff 09 01000000", 128),
                ("0b 000000 ffffff 09 01000000", 128),
                ("0c 000000 ffffff 09 01000000", 128),
            ],
        ),
    ];
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("chunk_read"));
    for (what, chunks) in cases {
        let input = feed(chunks.iter().chain([&GOOD]).map(|(header, body)| (header.to_string(), *body)));
        let output = need!(program.run(Library::Ours, &[], &input, LIMIT)).expect(what);
        let last = output.lines().last().unwrap_or("nothing");
        // It is also correct to refuse the whole stream, if the caller's body is NULL then.
        let refused = last == "0 body NULL";
        assert!(refused || last == "1 1 0 4 0 3 3 8 1 0 484848", "{what}: {output}");
    }
}

#[test]
fn a_read_that_fails_leaves_no_body_behind() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("chunk_read"));
    // The second chunk of the message is cut short: the read times out.
    let input = feed([("05 000000 000100 09 01000000".to_owned(), 128), ("c5".to_owned(), 5)].into_iter());
    let output = need!(program.run(Library::Ours, &[], &input, LIMIT)).expect("chunk_read");
    assert_eq!(output.lines().last(), Some("0 body NULL"), "{output}");
}
