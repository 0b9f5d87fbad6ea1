//! Downloads that continue at servers that do not seek as requested: they start from the beginning, with the
//! times of the file.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::examples::{Client, LIMIT};
use crate::support::flv::{self, Tag};
use crate::support::servers::Nginx;
use crate::support::wire::Message;
use crate::support::{Library, Program, Run, Server, TempDir, clip, library::ours_is_original};

/// An FLV file of these tags.
fn file_of<'t>(tags: impl Iterator<Item = &'t Tag>) -> Vec<u8> {
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for tag in tags {
        let [top, a, b, c] = tag.timestamp.to_be_bytes();
        let [_, l0, l1, l2] = (tag.body.len() as u32).to_be_bytes();
        file.extend([tag.kind, l0, l1, l2, a, b, c, top, 0, 0, 0]);
        file.extend(&tag.body);
        file.extend((tag.body.len() as u32 + 11).to_be_bytes());
    }
    file
}

fn rtmpdump(library: Library, url: &str, file: &Path, option: &str) -> Option<Run> {
    let arguments = ["-m", "10", "-r", url, option, "-o", &file.to_string_lossy()];
    Some(Client::installed("rtmpdump", library, &arguments)?.finish())
}

/// nginx cannot seek in a file without an index. librtmp 2.4 gives up after 50 frames.
#[test]
fn rtmpdump_resumes_at_a_server_that_starts_from_the_beginning() {
    let (nginx, folder) = (need!(Nginx::start()), TempDir::new("resume"));
    let film = flv::load(&need!(clip::without_index()));
    for (name, kinds) in [("both", &[8, 9][..]), ("sound", &[8]), ("pictures", &[9])] {
        let source = folder.join(format!("{name}.flv"));
        let tags = film.iter().filter(|tag| tag.kind == 0x12 || kinds.contains(&tag.kind));
        fs::write(&source, file_of(tags)).expect("the build directory is writable");
        nginx.offer(&source, &format!("{name}.flv"));
        let url = nginx.url("vod", &format!("{name}.flv"));
        let whole = folder.join("whole.flv");
        let uninterrupted = need!(rtmpdump(Library::Ours, &url, &whole, "--verbose"));
        let expected = fs::read(&whole).expect("rtmpdump wrote a file");
        let tags = flv::load(&whole);
        for percent in [25, 40, 75, 99] {
            let (file, what) = (folder.join("part.flv"), format!("{name}, from {percent} %"));
            let kept = (tags.len() * percent / 100).max(5);
            let before = &expected[..13 + tags[..kept].iter().map(|tag| 15 + tag.body.len()).sum::<usize>()];
            fs::write(&file, before).expect("the build directory is writable");
            let run = need!(rtmpdump(Library::Ours, &url, &file, "--resume"));
            if !ours_is_original() {
                assert!(fs::read(&file).is_ok_and(|found| found == expected), "{what}: {run:?}");
                assert_eq!(run.code, uninterrupted.code, "{what}: {run:?}");
            }
            if kept > 70 {
                fs::write(&file, before).expect("the build directory is writable");
                let run = need!(rtmpdump(Library::Original, &url, &file, "--resume"));
                assert_eq!(run.code, Some(1), "{what}, on the original: {run:?}");
                assert!(fs::read(&file).is_ok_and(|found| found == before), "{what}, on the original");
            }
        }
    }
}

/// The position to resume at is a frame at one second.
const RESUME: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 2\nconnect\nstream 0\n\
                      resume 9 1000 1701aabbccdd\nread 65536\nread 65536\n";

fn drive(steps: &str, server: &Server<()>) -> Option<Run> {
    Program::test("session_driver")?.run(
        Library::Ours,
        &[],
        &steps.replace("PORT", &server.port.to_string()),
        LIMIT,
    )
}

#[test]
fn resume_search_is_limited_by_the_duration_of_what_arrives() {
    if ours_is_original() {
        return;
    }
    // At a hundredth of the pace, which would take a hundred seconds.
    let server = Server::once(|peer| {
        peer.accept_play();
        let start = Instant::now();
        for time in 1.. {
            peer.send(&Message::new(6, time, 9, 1, &[0x27, 1, 0, 0, 0, 0, 1]));
            if start.elapsed() > Duration::from_secs(10) || peer.drain(Duration::from_millis(100)) {
                return;
            }
        }
    });
    let start = Instant::now();
    let run = need!(drive(RESUME, &server));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    server.join();
    let reads: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("read")).collect();
    let [first, second] = reads.as_slice() else { panic!("{run:?}") };
    assert!(first.contains("-> 0 |") && first.contains("read.status=-2"), "{reads:?}");
    assert!(second.contains("-> -1 |") && second.contains("errno=EINVAL"), "{reads:?}");
}

#[test]
fn stream_that_ends_before_the_resume_position_is_an_error() {
    if ours_is_original() {
        return;
    }
    let server = Server::once(|peer| {
        peer.accept_play();
        for time in 1..900 {
            peer.send(&Message::new(6, time, 9, 1, &[0x27, 1, 0, 0, 0, 0, 1]));
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    });
    let run = need!(drive(RESUME, &server));
    server.join();
    let read = run.stdout.lines().find(|line| line.starts_with("read")).unwrap_or_default();
    assert!(read.contains("-> 0 |") && read.contains("read.status=-2"), "{run:?}");
}

#[test]
fn constant_timestamp_offset_is_corrected() {
    if ours_is_original() {
        return;
    }
    let server = Server::once(|peer| {
        peer.accept_play();
        let frames: [(u32, &[u8]); 3] = [
            (40, &[0x27, 1, 0, 0, 0, 0, 1]),
            (1007, &[0x17, 1, 0xaa, 0xbb, 0xcc, 0xdd]),
            (1047, &[0x27, 1, 0, 0, 0, 0, 2]),
        ];
        for (time, body) in frames {
            peer.send(&Message::new(6, time, 9, 1, body));
        }
        peer.finish();
    });
    let run = need!(drive(RESUME, &server));
    server.join();
    let read = run.stdout.lines().find(|line| line.starts_with("read")).unwrap_or_default();
    // One tag, at 1040 ms.
    assert!(read.contains("-> 22 |") && read.contains("flv=0900000700041000000000"), "{run:?}");
}
