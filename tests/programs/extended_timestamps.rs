//! Timestamps of more than 24 bits, 4 hours and 40 minutes into a stream, as sent by real programs and by odd
//! ones. The rules are in `src/chunk/decoder.rs`.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::examples::{Client, ExampleServer, LIMIT};
use crate::support::flv::{self, Tag};
use crate::support::peer::Peer;
use crate::support::servers::Nginx;
use crate::support::{Library, Program, Running, Server, TempDir, library, require, wait_until};

const TIME: u32 = 0x100_0000;

/// Sound of 300 bytes every 40 ms from that time on: PCM, which programs pass on as it is.
fn sounds() -> Vec<Tag> {
    let body = |at: u32| [&[0x72][..], &[b'A' + at as u8; 299]].concat();
    (0..20).map(|at| Tag { kind: 8, timestamp: TIME + 40 * at, body: body(at) }).collect()
}

fn file_of(tags: &[Tag]) -> Vec<u8> {
    let mut file = b"FLV\x01\x04\0\0\0\x09\0\0\0\0".to_vec();
    tags.iter().for_each(|tag| file.extend(bytes_of(tag)));
    file
}

fn bytes_of(tag: &Tag) -> Vec<u8> {
    let [top, a, b, c] = tag.timestamp.to_be_bytes();
    let [_, l0, l1, l2] = (tag.body.len() as u32).to_be_bytes();
    let end = (tag.body.len() as u32 + 11).to_be_bytes();
    [&[tag.kind, l0, l1, l2, a, b, c, top, 0, 0, 0][..], &tag.body, &end].concat()
}

/// A program that publishes the file, or these tags.
type Publish = fn(&Path, &TempDir, &str) -> Option<Command>;

fn ffmpeg(file: &Path, _: &TempDir, url: &str) -> Option<Command> {
    let mut command = Command::new(require::program("ffmpeg")?);
    command.args(["-hide_banner", "-loglevel", "error", "-i"]).arg(file);
    command.args(["-c", "copy", "-copyts", "-f", "flv", url]);
    Some(command)
}

/// On librtmp 2.4, as installed.
fn curl(file: &Path, _: &TempDir, url: &str) -> Option<Command> {
    let mut command = Command::new(require::program("curl")?);
    command.args(["-sS", "-m", "30", "-T"]).arg(file).arg(url);
    Some(command)
}

/// GStreamer's own RTMP, which wants a buffer for each tag.
fn gstreamer(file: &Path, folder: &TempDir, url: &str) -> Option<Command> {
    let mut command = Command::new(require::program("gst-launch-1.0")?);
    let tags = flv::load(file);
    let head = fs::read(file).expect("the file was just written")[..13].to_vec();
    let pieces = std::iter::once(head).chain(tags.iter().map(bytes_of));
    for (number, piece) in pieces.enumerate() {
        fs::write(folder.join(format!("tag{number:03}")), piece).expect("the build directory is writable");
    }
    let pattern = folder.join("tag%03d");
    command.args(["-q", "multifilesrc", &format!("location={}", pattern.display()), "index=0"]);
    command.args(["caps=video/x-flv", "!", "rtmp2sink", "sync=false", &format!("location={url}")]);
    Some(command)
}

#[test]
fn large_timestamps_of_publishers_are_kept() {
    if library::ours_is_original() {
        return;
    }
    let sounds = sounds();
    let publishers: [(&str, Publish); 3] = [("ffmpeg", ffmpeg), ("curl", curl), ("gstreamer", gstreamer)];
    for (name, publisher) in publishers {
        let (folder, recordings) = (TempDir::new(name), TempDir::new("late"));
        let file = folder.join("late.flv");
        fs::write(&file, file_of(&sounds)).expect("the build directory is writable");
        let record = recordings.path().to_string_lossy().into_owned();
        let server =
            need!(ExampleServer::start_with(Library::Ours, folder.path(), None, &["-r", &record], &[]));
        let mut command = need!(publisher(&file, &folder, &server.url("rtmp", "live/late")));
        let mut running = Running::start(&mut command);
        let status = running.wait(LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{name}: {}", running.stderr());
        let found = || recording_in(recordings.path()).is_some_and(|tags| tags.len() >= sounds.len());
        assert!(wait_until(Duration::from_secs(10), found), "{name}: {}", server.log());
        let tags = recording_in(recordings.path()).unwrap_or_default();
        flv::assert_equal(&sounds, &flv::media(&tags), name);
    }
}

/// The only recording, when it is complete.
fn recording_in(folder: &Path) -> Option<Vec<Tag>> {
    let files: Vec<PathBuf> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { return None };
    flv::parse(&fs::read(file).ok()?).ok()
}

#[test]
fn large_timestamps_from_nginx_are_kept() {
    if library::ours_is_original() {
        return;
    }
    let (folder, sounds) = (TempDir::new("late"), sounds());
    let file = folder.join("late.flv");
    fs::write(&file, file_of(&sounds)).expect("the build directory is writable");
    let nginx = need!(Nginx::start());
    nginx.offer(&file, "late.flv");
    let played = folder.join("played.flv");
    let arguments = ["-q", "-m", "10", "-r", &nginx.url("vod", "late.flv"), "-o", &played.to_string_lossy()];
    let mut client = need!(Client::installed("rtmpdump", Library::Ours, &arguments));
    assert!(client.running.wait(LIMIT).is_some(), "{}", client.running.stderr());
    flv::assert_equal(&sounds, &flv::media(&flv::load(&played)), "from a file");

    let live = folder.join("live.flv");
    let url = nginx.url("live", "late");
    let arguments = ["-q", "-v", "-m", "10", "-r", &url, "-o", &live.to_string_lossy()];
    let mut client = need!(Client::installed("rtmpdump", Library::Ours, &arguments));
    nginx.wait_for_players(2);
    let mut publisher = Running::start(&mut need!(ffmpeg(&file, &folder, &url)));
    assert!(publisher.wait(LIMIT).is_some(), "{}", publisher.stderr());
    assert!(client.running.wait(LIMIT).is_some(), "{}", client.running.stderr());
    flv::assert_equal(&sounds, &flv::media(&flv::load(&live)), "relayed");
}

/// A sender's way of writing the chunks after the first of a message, and the messages.
struct Odd {
    name: &'static str,
    /// Headers of the first and of the further chunks of each message; video of 1000 bytes.
    messages: [(&'static str, &'static str); 3],
    times: [u32; 3],
}

const FULL: &str = "06ffffff0003e8090100000001000000";

const ODD: [Odd; 6] = [
    Odd {
        name: "further chunks carry 0",
        messages: [(FULL, "c600000000"), ("86000028", "c6"), ("c6", "c6")],
        times: [TIME, TIME + 40, TIME + 80],
    },
    Odd {
        name: "further chunks carry nothing",
        messages: [(FULL, "c6"), ("86000028", "c6"), ("c6", "c6")],
        times: [TIME, TIME + 40, TIME + 80],
    },
    Odd {
        name: "a difference, then the time it leads to",
        messages: [
            ("06fffff00003e80901000000", "c6"),
            ("86ffffff00ffffff", "c601ffffef"),
            ("86000028", "c6"),
        ],
        times: [0xff_fff0, 0x1ff_ffef, 0x200_0017],
    },
    Odd {
        name: "the convention changes with a full header",
        messages: [(FULL, "c601000000"), ("06ffffff0003e8090100000001000028", "c6"), ("86000028", "c6")],
        times: [TIME, TIME + 40, TIME + 80],
    },
    Odd {
        name: "and the other way round",
        messages: [(FULL, "c6"), ("06ffffff0003e8090100000001000028", "c601000028"), ("86000028", "c6")],
        times: [TIME, TIME + 40, TIME + 80],
    },
    Odd {
        name: "format 3 begins a message",
        messages: [(FULL, "c601000000"), ("c600000028", "c600000028"), ("c600000028", "c600000028")],
        times: [TIME, TIME + 40, TIME + 80],
    },
];

/// Arbitrary bodies, and bodies that look like timestamps wherever a chunk begins.
fn bodies() -> [Vec<u8>; 3] {
    [[0x27, 0x01, 0x60, 0x61], [0; 4], TIME.to_be_bytes()].map(|pattern| pattern.repeat(250))
}

fn send(peer: &mut Peer, odd: &Odd, body: &[u8], bytewise: bool) {
    peer.accept_play();
    let mut wire = Vec::new();
    for (first, next) in odd.messages {
        for (index, payload) in body.chunks(128).enumerate() {
            wire.extend(crate::support::hex::decode(if index == 0 { first } else { next }));
            wire.extend(payload);
        }
    }
    let piece = if bytewise { 1 } else { wire.len() };
    wire.chunks(piece).for_each(|piece| peer.send_raw(piece));
}

#[test]
fn odd_senders_are_understood_by_every_way_of_reading() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("session_driver"));
    let folder = TempDir::new("odd");
    for odd in &ODD {
        for body in bodies() {
            for bytewise in [false, true] {
                let context = format!("{}, {:02x?}, bytewise {bytewise}", odd.name, &body[..4]);
                for step in ["media", "packet"] {
                    let sent = body.clone();
                    let server = Server::once(move |peer| {
                        send(peer, odd, &sent, bytewise);
                        peer.drain(LIMIT);
                    });
                    let steps = format!(
                        "setup rtmp://127.0.0.1:{}/app/stream\nset timeout 10\nconnect\nstream 0\n{}",
                        server.port,
                        format!("{step}\n").repeat(3)
                    );
                    let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
                    server.join();
                    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with(step)).collect();
                    assert_eq!(lines.len(), 3, "{context}: {run:?}");
                    for (line, time) in lines.iter().zip(odd.times) {
                        let expected = format!("{step}: type 9 time {time} size 1000 -> 1 |");
                        assert!(line.starts_with(&expected), "{context}: {lines:?}");
                    }
                }
                let sent = body.clone();
                let server = Server::once(move |peer| send(peer, odd, &sent, bytewise));
                let file = folder.join("odd.flv");
                let url = server.url();
                let arguments = ["-q", "-m", "10", "-r", &url, "-o", &file.to_string_lossy()];
                let mut client = need!(Client::installed("rtmpdump", Library::Ours, &arguments));
                assert!(client.running.wait(LIMIT).is_some(), "{context}");
                server.join();
                let expected: Vec<Tag> = odd
                    .times
                    .iter()
                    .map(|time| Tag { kind: 9, timestamp: *time, body: body.clone() })
                    .collect();
                flv::assert_equal(&expected, &flv::media(&flv::load_part(&file)), &context);
            }
        }
    }
}

#[test]
fn an_aborted_message_still_sets_the_time() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("session_driver"));
    for (header, time) in [("0636ee800003e80901000000", 3_600_000_u32), (FULL, TIME)] {
        let server = Server::once(move |peer| {
            peer.accept_play();
            peer.send_raw(&crate::support::hex::decode(header));
            peer.send_raw(&[0x27; 128]);
            peer.send_control(2, &6_u32.to_be_bytes());
            peer.send_raw(&crate::support::hex::decode("4600002800006409"));
            peer.send_raw(&[0x27; 100]);
            peer.drain(LIMIT);
        });
        let steps = format!(
            "setup rtmp://127.0.0.1:{}/app/s\nset timeout 10\nconnect\nstream 0\nmedia\n",
            server.port
        );
        let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
        server.join();
        let expected = format!("media: type 9 time {} size 100 -> 1 |", time + 40);
        assert!(run.stdout.contains(&expected), "{run:?}");
    }
}
