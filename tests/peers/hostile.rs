//! Hostile servers: messages shorter than their fields, wrong sizes and counts, numbers at their limits.
//! Whatever they send, the next valid message arrives, or the call fails, and both need little memory.
//!
//! librtmp 2.4 crashes, hangs or loses its position in most of this, so it does not run here.
#![forbid(unsafe_code)]

mod handshakes;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::support::amf::{self, Value, ecma, n, object, s};
use crate::support::wire::{Message, basic_header};
use crate::support::{Library, Peer, Program, Run, Server, library};

const LIMIT: Duration = Duration::from_secs(60);
/// For programs that compute more than they wait, and that sanitizers make slow.
const AT_WORK: Duration = Duration::from_secs(300);
const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 20\nconnect\nstream 0\n";

/// Runs steps of `session_driver.c` with our library against a server; `None` if that is not possible. Calls
/// that wait and calls that are made of steps print the same.
fn drive(steps: &str, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Option<Run> {
    if library::ours_is_original() {
        return None;
    }
    let program = Program::test("session_driver")?;
    let script = Arc::new(script);
    let run = |library| {
        let script = script.clone();
        let server = Server::once(move |peer| {
            script(peer);
            peer.drain(LIMIT);
        });
        let port = server.port.to_string();
        let mut run = program.run(library, &[], &steps.replace("PORT", &port), LIMIT)?;
        server.join();
        run.stdout =
            run.stdout.replace(&format!(":{port}"), ":PORT").replace(&format!("port={port}"), "port=PORT");
        Some(run)
    };
    let (waiting, stepping) = (run(Library::Ours)?, run(Library::Stepping)?);
    let log = &stepping.stderr[stepping.stderr.len().saturating_sub(1000)..];
    assert_eq!(waiting.code, stepping.code, "{log}");
    let (lines, lines_in_steps) = (comparable(&waiting.stdout), comparable(&stepping.stdout));
    for (waiting, stepping) in lines.iter().zip(&lines_in_steps) {
        assert_eq!(waiting, stepping, "{log}");
    }
    assert_eq!(lines.len(), lines_in_steps.len(), "{log}");
    Some(waiting)
}

/// Lines without values that depend on how much is read ahead: the memory, and the position of the last
/// acknowledgement.
fn comparable(stdout: &str) -> Vec<String> {
    let words = |line: &str| {
        line.split(' ').filter(|word| !word.starts_with("bytesInSent=")).collect::<Vec<_>>().join(" ")
    };
    stdout.lines().filter(|line| !line.starts_with("memory:")).map(words).collect()
}

/// The lines of a run that ended well which start with a step's name.
fn lines<'r>(run: &'r Run, step: &str) -> Vec<&'r str> {
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout.lines().filter(|line| line.starts_with(step)).collect()
}

/// An audio message that a test waits for.
fn honest(time: u32) -> Message {
    Message::new(4, time, 8, 1, &[0xaf, 1, 1, 2])
}

/// The rest of a line about [`honest`].
fn honest_line(step: &str, time: u32) -> String {
    format!("{step}: type 8 time {time} size 4 -> 1 |")
}

#[test]
fn chunk_sizes_are_followed_from_1_to_the_largest_and_others_are_ignored() {
    const SIZES: [(u32, Option<usize>); 9] = [
        (1, Some(1)),
        (0, None),
        (2, Some(2)),
        (0x8000_0000, None),
        (u32::MAX, None),
        (127, Some(127)),
        (0x7fff_ffff, Some(0xff_ffff)),
        (0xff_ffff, Some(0xff_ffff)),
        (0x100_0000, Some(0xff_ffff)),
    ];
    let steps = PLAY.to_owned() + &"media\n".repeat(SIZES.len());
    let run = need!(drive(&steps, |peer| {
        peer.accept_play();
        for (time, (size, meant)) in (0..).zip(SIZES) {
            peer.send(&Message::new(2, 0, 1, 0, &size.to_be_bytes()));
            peer.chunk_size = meant.unwrap_or(peer.chunk_size);
            peer.send(&Message::new(6, time, 9, 1, &[0x17; 300]));
        }
    }));
    for (time, line) in lines(&run, "media").iter().enumerate() {
        assert!(line.starts_with(&format!("media: type 9 time {time} size 300 -> 1 |")), "{}", run.stdout);
    }
    assert_eq!(lines(&run, "media").len(), SIZES.len());
}

/// Every type of message with every length up to that of its fields, of zeros and of ones.
#[test]
fn messages_shorter_than_their_fields_change_nothing() {
    let steps = PLAY.to_owned() + &"packet\n".repeat(7 * 17 * 2) + "media\n";
    let run = need!(drive(&steps, |peer| {
        peer.accept_play();
        for kind in [3, 4, 5, 6, 0x0f, 0x11, 0x16] {
            for length in 0..17 {
                for fill in [0, 0xff] {
                    peer.send(&Message::new(5, 0, kind, 1, &vec![fill; length]));
                }
            }
        }
        peer.send(&honest(77));
    }));
    let packets = lines(&run, "packet");
    assert_eq!(packets.len(), 7 * 17 * 2);
    assert!(
        packets.iter().all(|line| !line.contains("-> -1 |") && !line.contains("connected=0")),
        "{packets:?}"
    );
    assert!(lines(&run, "media")[0].starts_with(&honest_line("media", 77)), "{}", run.stdout);
}

/// RTMP_Read receives aggregates that are cut at every byte, and the frame after them.
#[test]
fn aggregates_cut_at_every_byte_are_read_or_skipped() {
    let mut aggregate = Vec::new();
    for time in [10_u8, 50] {
        aggregate.extend([8, 0, 0, 4, 0, 0, time, 0, 0, 0, 0, 0xaf, 1, 2, 3, 0, 0, 0, 15]);
    }
    let cuts = aggregate.len() + 1;
    let run = need!(drive(&(PLAY.to_owned() + &"read 60000\n".repeat(cuts + 4)), move |peer| {
        peer.accept_play();
        for cut in 0..cuts {
            peer.send(&Message::new(6, 100 + cut as u32, 0x16, 1, &aggregate[..cut]));
        }
        peer.send(&Message::new(4, 1000, 9, 1, &[0x17; 50]));
        peer.finish();
    }));
    let read = lines(&run, "read");
    assert!(read.iter().any(|line| line.contains("-> 65 |")), "the frame is a tag of 65 bytes: {read:?}");
    assert!(read[cuts + 3].contains("-> 0 |") && !run.stdout.contains("-> -1 |"), "{read:?}");
}

/// A peer may begin messages on every chunk stream and finish none. Their memory is limited, and so is the
/// memory that their headers announce.
#[test]
fn messages_without_an_end_hold_bounded_memory() {
    // Half of 16 MB on every chunk stream would be 512 GB; the second kind of message fits on all of them.
    for (length, first, ended) in [(0xff_ffff_u32, 128_usize, true), (129, 128, false)] {
        let run = need!(drive(&(PLAY.to_owned() + "memory\nmedia\nmemory\n"), move |peer| {
            peer.accept_play();
            let mut bytes = Vec::new();
            for chunk_stream in 64..65_600 {
                bytes.extend(basic_header(0, chunk_stream));
                bytes.extend([0, 0, 0]);
                bytes.extend(&length.to_be_bytes()[1..]);
                bytes.extend([9, 1, 0, 0, 0]);
                bytes.resize(bytes.len() + first, 0x17);
            }
            peer.send_raw(&bytes);
            peer.send(&honest(5));
        }));
        let memory = lines(&run, "memory");
        let megabytes = |line: &str| -> u32 {
            let number = line.split("-> ").nth(1).and_then(|rest| rest.split(' ').next());
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        };
        let grown = megabytes(memory[1]) - megabytes(memory[0]);
        assert!(grown < 100, "{grown} MB for messages of {length} bytes");
        let media = lines(&run, "media")[0];
        if ended {
            assert!(media.contains("-> 0 | connected=0"), "{media}");
            assert!(
                run.stderr.contains("more unfinished messages than this library holds"),
                "{}",
                run.stderr
            );
        } else {
            assert!(media.starts_with(&honest_line("media", 5)), "{media}");
        }
    }
}

/// A message of 16 MB that comes in two halves, and one that is cut off by another on its chunk stream.
#[test]
fn the_largest_message_arrives_and_a_header_in_its_middle_starts_another() {
    let run = need!(drive(&(PLAY.to_owned() + &"media\n".repeat(3)), |peer| {
        peer.accept_play();
        peer.set_chunk_size(0x10_0000);
        let largest = Message::new(6, 1, 9, 1, &vec![0x17; 0xff_ffff]).chunks(0x10_0000);
        peer.send_raw(&largest);
        peer.send_raw(&largest[..0x80_0000]);
        // The chunk that was cut is completed with bytes of the next message, whose header then is no header.
        let rest_of_chunk = 12 + 8 * 0x10_0001 - 1 - 0x80_0000;
        peer.send_raw(&largest[0x80_0000..0x80_0000 + rest_of_chunk]);
        peer.send(&Message::new(6, 2, 9, 1, &[0x17; 5]));
        peer.send(&honest(3));
    }));
    let media = lines(&run, "media");
    let expected = [(9, 1, 0xff_ffff), (9, 2, 5), (8, 3, 4)];
    for (line, (kind, time, size)) in media.iter().zip(expected) {
        assert!(line.starts_with(&format!("media: type {kind} time {time} size {size} -> 1 |")), "{media:?}");
    }
}

/// Data and commands, in both versions, far deeper than any stack.
#[test]
fn amf_nested_100000_deep_is_skipped() {
    let run = need!(drive(&(PLAY.to_owned() + &"packet\n".repeat(8) + "media\n"), |peer| {
        peer.accept_play();
        peer.set_chunk_size(65_536);
        let units: [&[u8]; 4] = [
            &[3, 0, 1, b'a'],
            &[8, 0, 0, 0, 0, 0, 1, b'a'],
            &[10, 0, 0, 0, 1],
            &[0x11, 0x0a, 0x0b, 1, 3, b'a'],
        ];
        for unit in units {
            let mut deep = if unit[0] == 0x11 { unit[..1].to_vec() } else { Vec::new() };
            deep.extend((if unit[0] == 0x11 { &unit[1..] } else { unit }).repeat(100_000));
            for (kind, name) in [(0x12, "onMetaData"), (0x14, "onStatus")] {
                let mut body = amf::encode(&[s(name)]);
                if kind == 0x14 {
                    body.extend(amf::encode(&[n(0), Value::Null]));
                }
                body.extend(&deep);
                peer.send(&Message::new(5, 0, kind, 1, &body));
            }
        }
        peer.send(&honest(9));
    }));
    // The first packet sets the chunk size.
    assert!(lines(&run, "packet").iter().all(|line| line.contains("-> 0 |")), "{}", run.stdout);
    // One of the hostile messages is left for this.
    assert!(lines(&run, "media")[0].starts_with(&honest_line("media", 9)), "{}", run.stdout);
}

/// Decoders, encoders and all that walks through trees, on a stack of 64 kB.
#[test]
fn invalid_or_deep_amf_is_refused_in_c() {
    run_c("amf_hostile", &[]);
}

#[test]
fn failed_allocation_is_an_error() {
    run_c("amf_hostile", &["limits"]);
}

/// A C program that prints unexpected results.
fn run_c(name: &str, arguments: &[&str]) {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test(name));
    let run = need!(program.run(Library::Ours, arguments, "", AT_WORK));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{name} {arguments:?}: {run:?}");
}

/// Clients and servers whose peer closes after each byte of the handshake, for every kind of handshake. Those
/// that agree on keys take turns: each is cut at every seventh byte, all of them together at every byte.
#[test]
fn handshakes_cut_at_every_byte_fail() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("handshake_cut"));
    const STEP: usize = 7;
    let slowly = std::env::var_os("RTMP_TEST_VALGRIND").is_some();
    thread::scope(|scope| {
        let mut turns = (0..STEP).cycle();
        for cut in handshakes::cuts() {
            let program = &program;
            let (first, step) = match cut.agrees_on_keys() {
                _ if slowly => (0, 61),
                true => (turns.next().expect("it goes round"), STEP),
                false => (0, 1),
            };
            scope.spawn(move || {
                need!(cut.run(program, first, step));
            });
        }
    });
}

/// Strings in metadata around the 256 bytes of librtmp's buffer, and of the maximum length; the log shows
/// them.
#[test]
fn metadata_of_any_length_is_logged() {
    const LENGTHS: [usize; 9] = [0, 1, 253, 254, 255, 256, 257, 1000, 65_535];
    let steps = PLAY.to_owned() + "set loglevel 4\n" + &"media\n".repeat(LENGTHS.len());
    let run = need!(drive(&steps, |peer| {
        peer.accept_play();
        for length in LENGTHS {
            let text = "x".repeat(length);
            let values = [
                s("onMetaData"),
                ecma(&[
                    ("title", s(&text)),
                    (&text, n(1)),
                    ("line", s(&(text.clone() + "\n")[..length.min(65_535)])),
                ]),
            ];
            peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&values)));
        }
    }));
    let media = lines(&run, "media");
    assert!(media.iter().all(|line| line.contains("-> 1 |")) && media.len() == LENGTHS.len(), "{media:?}");
    assert!(run.stderr.contains(&"x".repeat(254)), "what fits is shown");
}

#[test]
fn names_of_any_length_are_sent_whole() {
    for length in [100, 959, 960, 961, 5000, 60_000] {
        let name = "n".repeat(length);
        let app = "a".repeat(length);
        let steps = format!(
            "setup rtmp://127.0.0.1:PORT/{app}/{name} live=1 subscribe={name} jtv={name}\nset timeout 20\nconnect\nstream 0\n"
        );
        let run = need!(drive(&steps, move |peer| {
            let connect = peer.accept_connect();
            assert_eq!(connect[2].member("app").and_then(Value::text), Some(app.as_str()));
            peer.accept_create();
            let play = peer.wait_for("play");
            assert_eq!(play[3].text(), Some(name.as_str()));
            let subscribe =
                peer.messages.iter().find(|message| message.command().as_deref() == Some("FCSubscribe"));
            let values = amf::decode(&subscribe.expect("a live stream is subscribed to").body).expect("AMF");
            assert_eq!(values[3].text(), Some(name.as_str()));
            peer.status(1, "status", "NetStream.Play.Start", "");
        }));
        assert!(lines(&run, "stream")[0].contains("-> 1 |"), "{length}: {}", run.stdout);
    }
}

/// The application's sequence of rand() is not used, and our first bytes are never the same twice.
#[test]
fn random_values_are_unpredictable() {
    let first_blocks: Vec<Vec<u8>> = (0..2)
        .filter_map(|_| {
            let (sender, receiver) = std::sync::mpsc::channel();
            drive(PLAY, move |peer| {
                peer.accept_play();
                let _ = sender.send(peer.c1.clone());
            })?;
            receiver.recv().ok()
        })
        .collect();
    let [first, second] = first_blocks.as_slice() else { return };
    assert_ne!(first[8..], second[8..]);
    assert!(first[8..].windows(16).all(|window| window != [0; 16]), "random bytes are random");
}

/// Times on both sides of 2^24 and 2^32, with full headers and as differences.
#[test]
fn timestamps_pass_the_limits_of_24_and_32_bits() {
    const TIMES: [u32; 12] = [
        0xff_fffd,
        0xff_fffe,
        0xff_ffff,
        0x100_0000,
        0x100_0001,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        0xffff_ffff,
        0,
        1,
        40,
    ];
    let steps = PLAY.to_owned() + &"media\n".repeat(2 * TIMES.len());
    let run = need!(drive(&steps, |peer| {
        peer.accept_play();
        for time in TIMES {
            peer.send(&Message::new(6, time, 9, 1, &[0x17; 200]));
        }
        let mut last = 0_u32;
        for (i, time) in TIMES.into_iter().enumerate() {
            // The same times on another chunk stream, each as a difference to the one before.
            let delta = time.wrapping_sub(last);
            let short = delta.min(0xff_ffff);
            let mut bytes = basic_header(u8::from(i > 0), 7);
            bytes.extend(&short.to_be_bytes()[1..]);
            bytes.extend([0, 0, 200, 9]);
            if i == 0 {
                bytes.extend([1, 0, 0, 0]);
            }
            let extended = if short == 0xff_ffff { delta.to_be_bytes().to_vec() } else { Vec::new() };
            bytes.extend(&extended);
            bytes.extend([0x17; 128]);
            bytes.extend(basic_header(3, 7));
            bytes.extend(&extended);
            bytes.extend([0x17; 72]);
            peer.send_raw(&bytes);
            last = time;
        }
    }));
    let media = lines(&run, "media");
    assert_eq!(media.len(), 2 * TIMES.len());
    for (line, time) in media.iter().zip(TIMES.iter().chain(&TIMES)) {
        assert!(line.starts_with(&format!("media: type 9 time {time} size 200 -> 1 |")), "{time}: {line}");
    }
}

/// RTMP_Read shows these times, and the first two come together, behind the header of the file.
#[test]
fn tags_carry_times_past_24_bits() {
    const TIMES: [u32; 5] = [0xff_ffff, 0x100_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    const TAG: usize = 11 + 50 + 4;
    let run = need!(drive(&(PLAY.to_owned() + &"read 60000\n".repeat(4)), |peer| {
        peer.accept_play();
        for time in TIMES {
            peer.send(&Message::new(6, time, 9, 1, &[0x17; 50]));
        }
    }));
    let read = lines(&run, "read");
    for (at, (line, time)) in read.iter().zip(&TIMES[1..]).enumerate() {
        let size = if at == 0 { 13 + 2 * TAG } else { TAG };
        assert!(
            line.contains(&format!("-> {size} |")) && line.contains(&format!("timestamp={time}")),
            "{read:?}"
        );
    }
    assert_eq!(read.len(), 4);
}

/// The count of received bytes is a signed 32-bit field. Acknowledgements continue as it passes its limits, and carry the
/// count as the protocol has it.
#[test]
fn acknowledgements_continue_past_2_and_4_gib() {
    const BANDWIDTH: u32 = 10_000;
    for start in [0x7fff_f000_u32, 0xffff_f000] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let steps = format!("{PLAY}media\nset bytesIn {}\n{}", start as i32, "media\n".repeat(30));
        let run = need!(drive(&steps, move |peer| {
            peer.accept_play();
            peer.send(&Message::new(2, 0, 6, 0, &[&BANDWIDTH.to_be_bytes()[..], &[2]].concat()));
            for time in 0..31 {
                peer.send(&Message::new(6, time, 9, 1, &[0x27; 500]));
            }
            peer.drain(LIMIT);
            let acknowledged: Vec<u32> = peer
                .messages
                .iter()
                .filter(|message| message.kind == 3)
                .filter_map(|message| Some(u32::from_be_bytes(message.body.as_slice().try_into().ok()?)))
                .collect();
            let _ = sender.send(acknowledged);
        }));
        assert_eq!(lines(&run, "media").iter().filter(|line| line.contains("-> 1 |")).count(), 31);
        let counts = receiver.recv().expect("the server sends what it has seen");
        // The first is from before the field was set.
        let after: Vec<u32> = counts.iter().skip(1).map(|count| count.wrapping_sub(start)).collect();
        // 30 messages of more than 500 bytes, acknowledged every 1000.
        assert!(after.len() >= 10, "{start:#x}: {counts:x?}");
        assert!(
            after.is_sorted() && after.windows(2).all(|pair| pair[1] - pair[0] < 2000),
            "{start:#x}: {counts:x?}"
        );
        assert!(after.iter().any(|count| *count < 0x1000) && after.iter().any(|count| *count >= 0x1000));
    }
}

/// The refusal of a publisher with a description that is not a challenge, and with one without an end.
#[test]
fn invalid_challenges_end_connect_stream() {
    let long = |text: &str, size: usize| {
        // A string of more than 65,535 bytes has a marker of its own.
        let text = text.to_owned() + &"x".repeat(size);
        let mut body = vec![0x0c];
        body.extend((text.len() as u32).to_be_bytes());
        body.extend(text.bytes());
        body
    };
    let challenge =
        "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=foo&salt=SALT&challenge=";
    let plain = |text: &str| amf::encode(&[s(text)]);
    let descriptions: Vec<(&str, Vec<u8>)> = vec![
        ("empty", plain("")),
        ("nothing but a scheme", plain("authmod=adobe")),
        ("nothing but a reason", plain("?reason=needauth")),
        ("a question without a scheme", plain("code=403 need auth")),
        ("a number", amf::encode(&[n(7)])),
        ("null", amf::encode(&[Value::Null])),
        ("an object", amf::encode(&[object(&[("authmod=adobe", s("?reason=needauth"))])])),
        ("not there", Vec::new()),
        ("megabytes of challenge", long(challenge, 4 << 20)),
        ("megabytes of nothing", long("", 4 << 20)),
        (
            "megabytes of ampersands",
            long("authmod=llnw?reason=needauth", 0).into_iter().chain([b'&'; 1]).collect(),
        ),
        ("a length that lies", vec![0x0c, 0x7f, 0xff, 0xff, 0xff, b'x']),
        ("only separators", plain(&("authmod=adobe : ?reason=needauth".to_owned() + &"&".repeat(10_000)))),
        ("all values empty", plain("authmod=adobe : ?reason=needauth&user=&salt=&challenge=&opaque=")),
        ("all values missing", plain("authmod=llnw : ?reason=needauth")),
    ];
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("session_driver"));
    thread::scope(|scope| {
        for (what, description) in &descriptions {
            let program = &program;
            scope.spawn(move || log_in_to(program, what, description));
        }
    });
}

/// A server that refuses every connection with the same description.
fn log_in_to(program: &Program, what: &str, description: &[u8]) {
    let mut refusal = amf::encode(&[s("_error"), n(1), Value::Null]);
    refusal.push(3);
    for (name, value) in [("level", s("error")), ("code", s("NetConnection.Connect.Rejected"))] {
        refusal.extend([0, name.len() as u8]);
        refusal.extend(name.bytes());
        refusal.extend(amf::encode(&[value]));
    }
    if !description.is_empty() {
        refusal.extend([0, 11]);
        refusal.extend(b"description");
        refusal.extend(description);
    }
    refusal.extend([0, 0, 9]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let server = thread::spawn(move || {
        let mut connections = 0;
        // The last connection is the test's own.
        while let Some(Ok(mut stream)) = listener.incoming().next() {
            if serve_refusal(&mut stream, &refusal).is_none() {
                break;
            }
            connections += 1;
        }
        connections
    });
    let steps = format!(
        "setup rtmp://127.0.0.1:{port}/app/stream pubUser=foo pubPasswd=bar\nset timeout 2\nenablewrite\nconnect\nstream 0\n"
    );
    let run = program.run(Library::Ours, &[], &steps, LIMIT);
    let _ = TcpStream::connect(("127.0.0.1", port));
    let connections = server.join().expect("the server does not panic");
    let Some(run) = run else { return };
    assert_eq!(run.code, Some(0), "{what}: {run:?}");
    assert!(run.stdout.contains("stream 0: -> 0 |"), "{what}: {run:?}");
    assert!(run.stderr.contains("ERROR: "), "{what}: the log says nothing");
    assert!((1..=5).contains(&connections), "{what}: {connections} connections");
}

/// Refuses a client's request; `None` if it sends none.
fn serve_refusal(stream: &mut TcpStream, refusal: &[u8]) -> Option<()> {
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.read_exact(&mut [0; 1537]).ok()?;
    stream.write_all(&[&[3][..], &[0; 3072]].concat()).ok()?;
    stream.read_exact(&mut [0; 1536]).ok()?;
    // The connect command has begun.
    stream.read_exact(&mut [0; 1]).ok()?;
    // A client that has seen enough closes.
    let _ = stream.write_all(&Message::new(3, 0, 0x14, 0, refusal).chunks(128));
    let _ = stream.read_to_end(&mut Vec::new());
    Some(())
}

/// Lengths of HTTP replies that are missing, too small or too large, in each reply of an RTMPT session.
#[test]
fn tunnel_replies_of_bad_lengths_are_errors() {
    const BODIES: &[&str] = &[
        "Content-Length: 0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: -2147483648\r\n\r\n",
        "Content-Length: 2147483648\r\n\r\nx",
        "Content-Length: 4294967296\r\n\r\nx",
        "Content-Length: 4294967297\r\n\r\nx",
        "Content-Length: 18446744073709551617\r\n\r\nx",
        "Content-Length: 99999999999999999999999\r\n\r\nx",
        "Content-Length: 1e3\r\n\r\nx",
        "Content-Length: 0x10\r\n\r\nx",
        "Content-Length: +1\r\n\r\nx",
        "Content-Length: one\r\n\r\nx",
        "Content-Length: \r\n\r\nx",
        "Content-Length\r\n\r\nx",
        "Content-Length: 1, 2\r\n\r\nx",
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "Content-Length: 5\r\n\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\nx",
        "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\n",
        "",
    ];
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("session_driver"));
    thread::scope(|scope| {
        for part in BODIES.chunks(6) {
            let program = &program;
            // In place of the reply to the request that opens the session, and of the first one after it.
            scope.spawn(move || {
                part.iter().for_each(|body| (0..2).for_each(|good| tunnel(program, body, good)))
            });
        }
    });
}

/// An HTTP server that answers this many requests correctly, and all others with this head and body. Then it
/// closes.
fn tunnel(program: &Program, bad: &'static str, good: usize) {
    let server = Server::listen(move |listener| {
        listener.set_nonblocking(false).expect("listening sockets can block");
        let (mut stream, _) = listener.accept().expect("a client comes");
        stream.set_read_timeout(Some(LIMIT)).expect("a positive time-out");
        for number in 0..=good {
            if !read_request(&mut stream) {
                return;
            }
            let reply = if number < good { "Content-Length: 9\r\n\r\nsession1\n" } else { bad };
            let _ = stream.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\n{reply}").as_bytes(),
            );
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let steps = format!(
        "setup rtmpt://127.0.0.1:{}/app/stream\nset timeout 3\nconnect\nstream 0\nclose\n",
        server.port
    );
    let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
    assert_eq!(run.code, Some(0), "{bad:?}: {run:?}");
    assert!(run.stdout.contains("connect: -> 0 |"), "{bad:?} after {good}: {run:?}");
    assert!(run.stderr.contains("ERROR: "), "{bad:?} after {good}: the log says nothing");
    server.join();
}

/// Reads one request, head and body.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return false;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length =
        text.split("content-length:").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).is_ok()
}
