//! The example programs `receive`, `publish`, `publish_packets` and `make_flv` in a shell: exit codes, pipes, full disks, files
//! that other programs use, cut input.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod adapt;
mod enhanced;
mod event_loops;
mod server;
mod tools;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use support::flv::Tag;
use support::library::{ours_is_original, package};
use support::wire::Message;
use support::{Library, Peer, Program, Run, Running, Server, TempDir, flv, process, program, require};

const LIMIT: Duration = Duration::from_secs(30);
const BOTH: [Library; 2] = [Library::Ours, Library::Original];
const PUBLISHERS: [&str; 2] = ["publish", "publish_packets"];

/// Runs an example below a shell, which finds it as `"$@"`.
fn in_shell(script: &str, example: &str, library: Library, arguments: &[&str]) -> Option<Run> {
    let plain = Program::example(example)?.command(library)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(plain.get_program()).args(plain.get_args()).args(arguments);
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(program::run(&mut shell, "", LIMIT))
}

fn run(example: &str, library: Library, arguments: &[&str]) -> Option<Run> {
    in_shell("exec \"$@\"", example, library, arguments)
}

/// Checks the exit code, and that the run prints one line about the failure with these words.
#[track_caller]
fn assert_fails(run: &Run, code: i32, words: &str) {
    assert!(!run.timed_out && run.code == Some(code), "{code}, {words}: {run:?}");
    assert!(run.stderr.contains(words) && run.stderr.lines().count() == 1, "{words}: {run:?}");
}

/// Plays `count` sounds of 10,000 bytes, and calls `end`.
fn sounds(count: u32, end: impl FnOnce(&mut Peer) + Send + 'static) -> Server<()> {
    Server::once(move |peer| {
        peer.accept_play();
        for time in 0..count {
            peer.send(&Message::new(4, time * 20, 8, 1, &[0xAF; 10_000]));
        }
        end(peer);
        peer.drain(LIMIT);
    })
}

/// The server's message that a stream has ended.
fn complete(peer: &mut Peer) {
    peer.status(1, "status", "NetStream.Play.Complete", "");
}

/// The tags of that stream.
fn sound_tags(count: u32) -> Vec<Tag> {
    (0..count).map(|time| Tag { kind: 8, timestamp: time * 20, body: vec![0xAF; 10_000] }).collect()
}

/// A file of a header and these tags.
fn file_of(tags: &[(u8, u32, &[u8])]) -> Vec<u8> {
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for (kind, time, body) in tags {
        let size = u32::try_from(body.len()).expect("test bodies are small");
        let [_, size @ ..] = size.to_be_bytes();
        let [high, low @ ..] = time.to_be_bytes();
        file.push(*kind);
        file.extend(size.iter().chain(&low).chain(&[high, 0, 0, 0]).chain(*body));
        file.extend((11 + body.len() as u32).to_be_bytes());
    }
    file
}

/// Type, time and body of a message or a tag.
type Medium = (u8, u32, Vec<u8>);

/// The sound, pictures and script data that a publisher sent.
fn media(peer: &Peer) -> Vec<Medium> {
    let carried = peer.messages.iter().filter(|message| matches!(message.kind, 8 | 9 | 15 | 18 | 33));
    carried.map(|message| (message.kind, message.timestamp, message.body.clone())).collect()
}

/// Receives from a publisher until it disconnects.
fn publishing() -> Server<Vec<Medium>> {
    Server::once(|peer| {
        peer.accept_publish();
        peer.drain(LIMIT);
        media(peer)
    })
}

fn path(file: &Path) -> &str {
    file.to_str().expect("the build directory's name is text")
}

#[test]
fn existing_data_is_kept_when_the_file_cannot_grow() {
    let directory = TempDir::new("append");
    for library in BOTH {
        for output in ["-", "/dev/stdout", "/dev/fd/1"] {
            let file = directory.join("others");
            fs::write(&file, [b'x'; 300_000]).expect("the build directory is writable");
            let server = sounds(200, complete);
            let script = format!("ulimit -f 700; exec \"$@\" >> {}", file.display());
            let run = need!(in_shell(&script, "receive", library, &["-q", "-o", output, &server.url()]));
            assert_fails(&run, 7, "File too large");
            let data = fs::read(&file).expect("it is there");
            assert!(data.len() > 300_000 && data[..300_000] == [b'x'; 300_000], "{output}: {}", data.len());
            assert!(data[300_000..].starts_with(b"FLV"), "{output}");
            server.join();
        }
    }
}

#[test]
fn new_file_ends_with_a_whole_tag_when_the_disk_is_full() {
    let directory = TempDir::new("limit");
    let file = directory.join("out.flv");
    let server = sounds(200, complete);
    let run = need!(in_shell(
        "ulimit -f 700; exec \"$@\"",
        "receive",
        Library::Ours,
        &["-q", "-o", path(&file), &server.url()]
    ));
    assert_fails(&run, 7, "File too large");
    let tags = flv::load(&file);
    assert!((30..199).contains(&tags.len()), "{}", tags.len());
    flv::assert_equal(&sound_tags(200)[..tags.len()], &tags, "what came before the limit");
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1, "no part is left");
    server.join();

    let run =
        need!(in_shell("ulimit -f 700; exec \"$@\"", "make_flv", Library::Ours, &["-t", "60", path(&file)]));
    assert_fails(&run, 7, "File too large");
    flv::load(&file);
}

#[test]
fn failed_output_is_reported_with_its_reason() {
    for (script, output, words) in [
        ("exec \"$@\" > /dev/full", "-", "No space left"),
        ("exec \"$@\"", "/dev/full", "No space left"),
        ("exec \"$@\" >&-", "-", "Bad file descriptor"),
        ("exec \"$@\"", ".", "Is a directory"),
        ("exec \"$@\"", "no-such-directory/out.flv", "No such file"),
    ] {
        let nobody = format!("rtmp://127.0.0.1:{}/app/name", process::free_port());
        let run = need!(in_shell(script, "receive", Library::Ours, &["-o", output, &nobody]));
        assert_fails(&run, 7, words);
    }
    for arguments in [&["-t", "1", "/dev/full"][..], &["no-such-directory/clip.flv"]] {
        let run = need!(run("make_flv", Library::Ours, arguments));
        assert!(run.code == Some(7) && run.stderr.lines().count() == 1, "{run:?}");
    }
}

#[test]
fn result_that_cannot_be_printed_is_a_failure() {
    let directory = TempDir::new("printed");
    let file = directory.join("out.flv");
    let server = sounds(20, complete);
    let script = "exec \"$@\" > /dev/full";
    let found =
        need!(in_shell(script, "receive", Library::Ours, &["--json", "-o", path(&file), &server.url()]));
    server.join();
    assert_fails(&found, 7, "cannot print the result: No space left");
    assert_eq!(flv::load(&file).len(), 20);
    if !ours_is_original() {
        let found = need!(in_shell(script, "publish", Library::Ours, &["--info", path(&file)]));
        assert_fails(&found, 7, "cannot print the result: No space left");
        fs::write(directory.join("empty.flv"), file_of(&[])).expect("the directory is writable");
        let empty = directory.join("empty.flv");
        assert_fails(&need!(run("publish", Library::Ours, &["--info", path(&empty)])), 8, "has no tags");
        let json = need!(run("publish", Library::Ours, &["--info", "--json", path(&file)]));
        assert_fails(&json, 2, "not JSON");
    }
    let server = publishing();
    let found = need!(in_shell(script, "publish", Library::Ours, &["--json", path(&file), &server.url()]));
    server.join();
    assert_fails(&found, 7, "cannot print the result: No space left");
}

/// Their numbers would go to the next files and sockets, and messages into a recording.
#[test]
fn closed_standard_streams_change_no_file() {
    for closed in ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"] {
        let directory = TempDir::new("closed");
        let file = directory.join("out.flv");
        let server = sounds(20, complete);
        let script = format!("exec \"$@\" {closed}");
        let found =
            need!(in_shell(&script, "receive", Library::Ours, &["-vv", "-o", path(&file), &server.url()]));
        server.join();
        assert_eq!(found.code, Some(0), "{closed}");
        flv::assert_equal(&sound_tags(20), &flv::load(&file), closed);
    }
}

/// Servers give a player that joins late the configurations with time 0, and frames with the times of the stream.
#[test]
fn publisher_does_not_wait_for_the_first_frame_of_a_late_recording() {
    let directory = TempDir::new("late");
    let clip = directory.join("clip.flv");
    let hour = 3_600_000;
    let tags: [(u8, u32, &[u8]); 6] = [
        (8, 0, b"\xAF\x00\x12\x10"),
        (8, hour, b"\xAF\x01one"),
        (8, hour + 100, b"\xAF\x01two"),
        (8, 0, b"\xAF\x00\x12\x10"),
        (8, hour + 200, b"\xAF\x01three"),
        (8, hour + 300, b"\xAF\x01four"),
    ];
    fs::write(&clip, file_of(&tags)).expect("the directory is writable");
    for library in BOTH {
        for example in PUBLISHERS {
            let server = publishing();
            need!(run(example, library, &["-q", path(&clip), &server.url()])).expect(example);
            let times: Vec<u32> = server.join().iter().map(|medium| medium.1).collect();
            assert_eq!(times, [0, hour, hour + 100, hour + 100, hour + 200, hour + 300], "{example}");
        }
    }
}

#[test]
fn closed_pipe_is_reported() {
    for library in BOTH {
        let server = sounds(200, complete);
        let script = "{ \"$@\"; echo $? >&2; } | head -c 13";
        let run = need!(in_shell(script, "receive", library, &["-q", "-o", "-", &server.url()]));
        server.join();
        assert_eq!(run.stderr, "receive: cannot write to standard output: Broken pipe\n7\n");
        assert_eq!(run.stdout.len(), 13);
    }
}

#[test]
fn a_pipe_gets_the_stream() {
    let directory = TempDir::new("pipe");
    let file = directory.join("out.flv");
    let server = sounds(100, complete);
    let script = format!("\"$@\" | {{ sleep 0.3; cat > {}; }}", file.display());
    need!(in_shell(&script, "receive", Library::Ours, &["-q", "-o", "-", &server.url()])).expect("receive");
    flv::assert_equal(&sound_tags(100), &flv::load(&file), "pipe");
    server.join();
}

#[test]
fn parts_of_other_recordings_and_links_stay() {
    let directory = TempDir::new("part");
    let (link, file, part) =
        (directory.join("link.flv"), directory.join("real.flv"), directory.join("real.flv.part"));
    symlink("real.flv", &link).expect("the build directory takes symbolic links");
    fs::write(&file, "an earlier recording").expect("the build directory is writable");
    fs::write(&part, "what a crash left").expect("the build directory is writable");
    let receive = |end: fn(&mut Peer), count| {
        let server = sounds(count, end);
        let run = run("receive", Library::Ours, &["-q", "-o", path(&link), &server.url()])?;
        server.join();
        Some(run.code)
    };
    assert_eq!(need!(receive(complete, 0)), Some(1), "nothing came");
    assert_eq!(fs::read(&file).expect("it is there"), b"an earlier recording");
    assert_eq!(need!(receive(complete, 3)), Some(0));
    flv::assert_equal(&sound_tags(3), &flv::load(&file), "behind the link");
    assert!(link.symlink_metadata().expect("it is there").is_symlink());
    assert_eq!(fs::read(&part).expect("it is there"), b"what a crash left");
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 3);
}

#[test]
fn an_end_differs_from_a_lost_connection() {
    type End = fn(&mut Peer);
    let ends: [(End, i32); 6] = [
        (complete, 0),
        (|peer| peer.status(1, "status", "NetStream.Play.UnpublishNotify", ""), 0),
        (|peer| peer.status(1, "status", "NetStream.Play.Stop", ""), 0),
        (Peer::finish, 5),
        (Peer::leave, 5),
        (|_| {}, 6),
    ];
    for library in BOTH {
        for (number, (end, code)) in ends.into_iter().enumerate() {
            for live in [&["--live"][..], &[]] {
                let server = sounds(2, end);
                let url = server.url();
                let arguments = [&["-q", "-t", "2", "-o", "/dev/null"], live, &[&url]].concat();
                let run = need!(run("receive", library, &arguments));
                server.join();
                assert_eq!(run.code, Some(code), "end {number} {live:?} on {library:?}: {run:?}");
                assert_eq!(run.stderr.is_empty(), code == 0, "{run:?}");
            }
        }
    }
}

/// Some servers close the connection after a film without a message, so the film's length decides.
#[test]
fn complete_recording_is_not_a_lost_connection() {
    for (seconds, code) in [(0.4, 0), (9.0, 5)] {
        let server = Server::once(move |peer| {
            peer.accept_play();
            let metadata = support::amf::object(&[("duration", support::amf::n(seconds))]);
            let body = support::amf::encode(&[support::amf::s("onMetaData"), metadata]);
            peer.send(&Message::new(4, 0, 18, 1, &body));
            for time in 0..20 {
                peer.send(&Message::new(4, time * 20, 8, 1, &[0xAF; 33]));
            }
            peer.finish();
            peer.drain(LIMIT);
        });
        let run = need!(run("receive", Library::Ours, &["-q", "-o", "/dev/null", &server.url()]));
        server.join();
        assert_eq!(run.code, Some(code), "{run:?}");
    }
}

#[test]
fn usage_errors_and_unknown_hosts_have_their_own_exit_codes() {
    let directory = TempDir::new("codes");
    let (file, clip) = (directory.join("out.flv"), directory.join("clip.flv"));
    fs::write(&clip, file_of(&[(8, 0, b"\xAF\x01sound")])).expect("the build directory is writable");
    let nobody = format!("rtmp://127.0.0.1:{}/app/name", process::free_port());
    for library in BOTH {
        for (example, first) in [("receive", ["-o", path(&file)]), ("publish", ["-q", path(&clip)])] {
            let with = |url: &str| run(example, library, &[first[0], first[1], url]);
            assert_eq!(need!(run(example, library, &["--no-such-option"])).code, Some(2));
            assert_eq!(need!(run(example, library, &[])).code, Some(2));
            assert_eq!(need!(with("nonsense")).code, Some(2));
            // The library itself would connect with RTMP.
            assert_fails(&need!(with("http://127.0.0.1:1/app/name")), 2, "not an RTMP URL");
            let flag = if example == "receive" { "--stop" } else { "--start" };
            assert_fails(
                &need!(run(example, library, &[flag, "-2", first[1], &nobody])),
                2,
                &format!("invalid value for {flag}: -2"),
            );
            assert_eq!(need!(with(&nobody)).code, Some(3));
            assert_eq!(need!(with("rtmp://name.invalid/app/name")).code, Some(3));
            assert!(!file.exists(), "nothing came");
        }
    }
    // The library's log contains the same, but is only printed on request.
    assert_fails(
        &need!(run("receive", Library::Ours, &["-o", path(&file), &nobody])),
        3,
        "connection refused by",
    );
    assert_fails(&need!(run("publish", Library::Ours, &[path(&clip), &nobody])), 3, "connection refused by");
    let more = need!(run("receive", Library::Ours, &["-v", "-o", path(&file), &nobody]));
    assert!(more.stderr.contains("ERROR: "), "{more:?}");
}

#[test]
fn refusals_timeouts_and_invalid_data_have_their_own_exit_codes() {
    if ours_is_original() {
        return;
    }
    let directory = TempDir::new("refused");
    let clip = directory.join("clip.flv");
    fs::write(&clip, file_of(&[(8, 0, b"\xAF\x01sound")])).expect("the build directory is writable");
    let refuse = |command: &'static str, code: &'static str| {
        Server::once(move |peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for(command);
            peer.status(1, "error", code, "this is not for you");
            peer.drain(LIMIT);
        })
    };
    let refusal = refuse("play", "NetStream.Play.StreamNotFound");
    let url = refusal.url();
    let found = need!(run("receive", Library::Ours, &["-o", "/dev/null", &url]));
    refusal.join();
    assert_eq!(found.code, Some(4));
    assert_eq!(
        found.stderr,
        format!(
            "receive: the server does not play {url} (play: NetStream.Play.StreamNotFound: this is not for you)\n"
        )
    );
    for example in PUBLISHERS {
        let refusal = refuse("publish", "NetStream.Publish.BadName");
        let found = need!(run(example, Library::Ours, &[path(&clip), &refusal.url()]));
        refusal.join();
        assert_fails(&found, 4, "(publish: NetStream.Publish.BadName: this is not for you)");
    }
    for (example, first) in [("receive", ["-o", "/dev/null"]), ("publish", ["-q", path(&clip)])] {
        let silent = Server::once(|peer| {
            peer.accept_connect();
            peer.drain(LIMIT);
        });
        let found = need!(run(example, Library::Ours, &["-t", "1", first[0], first[1], &silent.url()]));
        silent.join();
        assert_fails(&found, 6, "(createStream: timed out)");
    }
    // A message of several tags whose last one is cut.
    let broken = Server::once(|peer| {
        peer.accept_play();
        peer.send(&Message::new(4, 20, 8, 1, &[0xAF; 33]));
        let aggregate =
            [&file_of(&[(8, 40, &[0xAF; 33])])[13..], &[8, 0, 9, 9, 0, 0, 60, 0, 0, 0, 0, 0xAF, 1]].concat();
        peer.send(&Message::new(4, 40, 0x16, 1, &aggregate));
        complete(peer);
        peer.drain(LIMIT);
    });
    let file = directory.join("out.flv");
    let found = need!(run("receive", Library::Ours, &["-q", "-o", path(&file), &broken.url()]));
    broken.join();
    assert_fails(&found, 8, "not a stream");
    assert_eq!(flv::load(&file).len(), 2);
}

#[test]
fn publisher_continues_after_errors_that_do_not_refuse_the_stream() {
    if ours_is_original() {
        return;
    }
    let directory = TempDir::new("side");
    let clip = directory.join("clip.flv");
    fs::write(&clip, file_of(&[(8, 0, b"\xAF\x01one"), (8, 300, b"\xAF\x01two")])).unwrap();
    for (code, ending) in [("NetStream.Record.NoAccess", 0), ("NetStream.Publish.Denied", 4)] {
        for example in PUBLISHERS {
            let server = Server::once(move |peer| {
                peer.accept_publish();
                while peer.next(LIMIT).expect("the publisher sends").kind != 8 {}
                peer.status(1, "error", code, "no disk");
                peer.drain(LIMIT);
            });
            let found = need!(run(example, Library::Ours, &[path(&clip), &server.url()]));
            server.join();
            assert_eq!(found.code, Some(ending), "{example}: {}", found.stderr);
            assert!(found.stderr.contains(&format!("the server says {code}")), "{example}: {}", found.stderr);
        }
    }
}

#[test]
fn publisher_reports_a_lost_server() {
    let directory = TempDir::new("left");
    let clip = directory.join("clip.flv");
    let sounds: Vec<_> = (0..600).map(|count| (8, count * 100, &b"\xAF\x01sound"[..])).collect();
    fs::write(&clip, file_of(&sounds)).expect("the build directory is writable");
    for library in BOTH {
        for example in PUBLISHERS {
            let server = Server::once(|peer| {
                peer.accept_publish();
                peer.leave();
            });
            let run = need!(run(example, library, &["-q", path(&clip), &server.url()]));
            server.join();
            assert_fails(&run, 5, "the connection was lost");
        }
    }
}

#[test]
fn amf3_tags_are_sent_and_unknown_tags_are_skipped() {
    let directory = TempDir::new("types");
    let clip = directory.join("clip.flv");
    let tags: [(u8, u32, &[u8]); 4] =
        [(8, 0, b"\xAF\x01one"), (15, 10, b"\0\x02\0\x01x"), (33, 20, b"later"), (8, 30, b"\xAF\x01two")];
    fs::write(&clip, file_of(&tags)).expect("the build directory is writable");
    let expected: Vec<_> = tags
        .iter()
        .filter(|tag| tag.0 != 33)
        .map(|(kind, time, body)| (*kind, *time, body.to_vec()))
        .collect();
    for library in BOTH {
        for example in PUBLISHERS {
            let server = publishing();
            let run = need!(run(example, library, &["-q", path(&clip), &server.url()]));
            assert_eq!(server.join(), expected, "{example} on {library:?}");
            assert!(run.code == Some(0) && run.stderr.lines().count() == 1, "{run:?}");
            assert!(run.stderr.contains("has tags of type 33, which are left out"), "{run:?}");
        }
    }
    // Messages of several tags can contain tags of any type.
    let server = Server::once(move |peer| {
        peer.accept_play();
        peer.send(&Message::new(4, 20, 8, 1, &[0xAF; 33]));
        peer.send(&Message::new(4, 0, 0x16, 1, &file_of(&tags)[13..]));
        complete(peer);
        peer.drain(LIMIT);
    });
    let file = directory.join("out.flv");
    let run = need!(run("receive", Library::Ours, &["-q", "-o", path(&file), &server.url()]));
    server.join();
    assert!(run.code == Some(0) && run.stderr.contains("tags of type 33"), "{run:?}");
    let found: Vec<_> = flv::load(&file).into_iter().map(|tag| (tag.kind, tag.timestamp, tag.body)).collect();
    assert_eq!(found[1..], expected);
}

#[test]
fn incomplete_file_is_reported_after_its_complete_tags_are_sent() {
    let directory = TempDir::new("cut");
    let clip = directory.join("clip.flv");
    let first: (u8, u32, &[u8]) = (9, 0, b"\x17\x01key");
    let second: (u8, u32, &[u8]) = (8, 10, b"\xAF\x01aac");
    let whole = file_of(&[first, second]);
    let owned = |(kind, time, body): (u8, u32, &[u8])| (kind, time, body.to_vec());
    for example in PUBLISHERS {
        for cut in 0..=whole.len() {
            fs::write(&clip, &whole[..cut]).expect("the build directory is writable");
            let what = format!("{example}, the first {cut} bytes");
            // The program does not connect if the beginning of the file is wrong.
            let server = (cut >= 13).then(publishing);
            let url = server.as_ref().map_or("rtmp://127.0.0.1:1/app/name".to_owned(), Server::url);
            let run = need!(run(example, Library::Ours, &["-q", path(&clip), &url]));
            let sent = server.map(Server::join).unwrap_or_default();
            let expected: Vec<_> = [(29, first), (49, second)]
                .into_iter()
                .filter(|(end, _)| cut >= *end)
                .map(|(_, tag)| owned(tag))
                .collect();
            assert_eq!(sent, expected, "{what}");
            if [33, 53].contains(&cut) {
                assert!(run.code == Some(0) && run.stderr.is_empty(), "{what}: {run:?}");
                continue;
            }
            let words = match cut {
                0 => "is empty",
                13 => "has no tags",
                1..13 => "inside its header",
                _ => "inside a tag",
            };
            assert_fails(&run, 8, words);
        }
    }
    assert_eq!(whole.len(), 53);
}

#[test]
fn invalid_input_is_reported_with_its_position() {
    let directory = TempDir::new("damaged");
    let clip = directory.join("clip.flv");
    let good = file_of(&[(8, 0, b"\xAF\x01one")]);
    let sent = vec![(8, 0, b"\xAF\x01one".to_vec())];
    fs::write(&clip, [&good, &b"something else altogether"[..]].concat()).expect("it is writable");
    for example in PUBLISHERS {
        let server = publishing();
        let run = need!(run(example, Library::Ours, &["-q", path(&clip), &server.url()]));
        assert_eq!(server.join(), sent, "{example}");
        assert_fails(&run, 8, "there is no FLV tag at byte 33");
    }
    let nowhere = "rtmp://127.0.0.1:1/app/name";
    fs::write(&clip, "not a film").expect("the build directory is writable");
    assert_fails(&need!(run("publish", Library::Ours, &[path(&clip), nowhere])), 8, "is not an FLV file");
    fs::remove_file(&clip).expect("it is there");
    assert_fails(&need!(run("publish", Library::Ours, &[path(&clip), nowhere])), 8, "No such file");
    assert_fails(&need!(run("publish", Library::Ours, &[".", nowhere])), 8, "Is a directory");
    let closed = need!(in_shell("exec \"$@\" <&-", "publish", Library::Ours, &["-", nowhere]));
    assert_fails(&closed, 8, "cannot read standard input: Bad file descriptor");
}

#[test]
fn input_can_be_a_pipe() {
    let directory = TempDir::new("through");
    let clip = directory.join("clip.flv");
    let bodies: Vec<Vec<u8>> = (0..60_u8).map(|count| [&[0xAF, 1], &[count; 5000][..]].concat()).collect();
    let tags: Vec<_> = (0..).zip(&bodies).map(|(count, body)| (8, count * 10, &body[..])).collect();
    fs::write(&clip, file_of(&tags)).expect("the build directory is writable");
    let expected: Vec<_> = tags.iter().map(|(kind, time, body)| (*kind, *time, body.to_vec())).collect();
    for library in BOTH {
        for example in PUBLISHERS {
            for input in ["cat FILE | \"$@\"", "exec \"$@\" < FILE", "dd if=FILE bs=777 2>/dev/null | \"$@\""]
            {
                let server = publishing();
                let script = input.replace("FILE", path(&clip));
                let run = need!(in_shell(&script, example, library, &["-q", "-", &server.url()]));
                run.expect(&script);
                assert!(server.join() == expected, "{script}, {example} on {library:?}");
            }
        }
    }
    // A file can be sent twice, from the position where the shell stopped reading; a pipe cannot.
    fs::write(&clip, [&b"line\n"[..], &file_of(&tags[..1])].concat()).expect("it is writable");
    let script = format!("exec < {}; read line; exec \"$@\"", clip.display());
    let server = publishing();
    need!(in_shell(&script, "publish", Library::Ours, &["-q", "-n", "2", "-", &server.url()]))
        .expect(&script);
    assert_eq!(server.join().len(), 2);
    let twice = ["-n", "2", "-", "rtmp://127.0.0.1:1/app/name"];
    assert_fails(&need!(in_shell("true | \"$@\"", "publish", Library::Ours, &twice)), 2, "only once");
}

/// While an encoder pauses, the publisher answers the server.
#[test]
fn a_publisher_that_waits_for_its_input_answers_the_server() {
    let mkfifo = need!(require::program("mkfifo"));
    for library in BOTH {
        for example in PUBLISHERS {
            let directory = TempDir::new("encoder");
            let fifo = directory.join("encoder");
            process::output(&mkfifo, &[path(&fifo)], LIMIT);
            let (answered, answer) = mpsc::channel();
            let server = Server::once(move |peer| {
                peer.accept_publish();
                while peer.next(LIMIT).expect("a sound").kind != 8 {}
                peer.send_control(4, &[0, 6, 1, 2, 3, 4]);
                while peer.next(LIMIT).expect("an answer").body != [0, 7, 1, 2, 3, 4] {}
                answered.send(()).expect("the test waits");
                peer.drain(LIMIT);
                media(peer)
            });
            let mut command = need!(need!(Program::example(example)).command(library));
            command.args(["-q", path(&fifo), &server.url()]);
            let mut running = Running::start(&mut command);
            let whole = file_of(&[(8, 0, b"\xAF\x01one"), (8, 10, b"\xAF\x01two")]);
            // The first tag, and the beginning of the next.
            let mut encoder = File::options().write(true).open(&fifo).expect("the publisher reads it");
            encoder.write_all(&whole[..40]).expect("a pipe takes that");
            answer.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("no answer: {}", running.stderr()));
            encoder.write_all(&whole[40..]).expect("a pipe takes that");
            drop(encoder);
            let status = running.wait(LIMIT);
            assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", running.stderr());
            assert_eq!(server.join().len(), 2, "{example} on {library:?}");
        }
    }
}

#[test]
fn ctrl_c_ends_a_wait_for_input_and_for_the_server() {
    let mkfifo = need!(require::program("mkfifo"));
    let directory = TempDir::new("stopped");
    let fifo = directory.join("encoder");
    process::output(&mkfifo, &[path(&fifo)], LIMIT);
    for (bytes, code) in [(0, 1), (33, 0)] {
        let (sent, seen) = mpsc::channel();
        let server = (bytes > 0).then(|| {
            Server::once(move |peer| {
                peer.accept_publish();
                while peer.next(LIMIT).expect("a sound").kind != 8 {}
                sent.send(()).expect("the test waits");
                peer.drain(LIMIT);
            })
        });
        let url = server.as_ref().map_or("rtmp://127.0.0.1:1/app/name".to_owned(), Server::url);
        let mut command = need!(need!(Program::example("publish")).command(Library::Ours));
        command.args(["-q", path(&fifo), &url]);
        let mut running = Running::start(&mut command);
        let mut encoder = File::options().write(true).open(&fifo).expect("the publisher reads it");
        encoder.write_all(&file_of(&[(8, 0, b"\xAF\x01one")])[..bytes]).expect("a pipe takes that");
        if bytes > 0 {
            seen.recv_timeout(LIMIT).expect("the publisher sends it");
        }
        running.signal("INT");
        let status = running.wait(LIMIT);
        assert_eq!(status.and_then(|status| status.code()), Some(code), "{}", running.stderr());
        drop(encoder);
        server.map(Server::join);
    }
}

/// For example because the terminal was closed.
#[test]
fn a_hangup_completes_the_recording() {
    for library in BOTH {
        let directory = TempDir::new("hangup");
        let file = directory.join("out.flv");
        let (sent, seen) = mpsc::channel();
        let server = sounds(20, move |_| sent.send(()).expect("the test waits"));
        let mut command = need!(need!(Program::example("receive")).command(library));
        command.args(["-q", "--live", "-o", path(&file), &server.url()]);
        let mut running = Running::start(&mut minding_hangups(&command));
        seen.recv_timeout(LIMIT).expect("the server sends it");
        let part = directory.join("out.flv.part");
        assert!(support::wait_until(LIMIT, || fs::metadata(&part).is_ok_and(|part| part.len() > 199_999)));
        running.signal("HUP");
        let status = running.wait(LIMIT);
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", running.stderr());
        flv::assert_equal(&sound_tags(20), &flv::load(&file), "the recording");
        server.join();
    }
}

/// A command that does not inherit that hangups are ignored, as under nohup.
fn minding_hangups(command: &Command) -> Command {
    let mut minding = Command::new("env");
    minding.arg("--default-signal=HUP").arg(command.get_program()).args(command.get_args());
    minding.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    minding
}

#[test]
fn interrupt_between_attempts_is_no_failure_to_connect() {
    let mut command = need!(need!(Program::example("receive")).command(Library::Ours));
    let nobody = format!("rtmp://127.0.0.1:{}/app/name", process::free_port());
    command.args(["--retry", "9", "-o", "/dev/null", &nobody]);
    let mut running = Running::start(&mut command);
    assert!(support::wait_until(LIMIT, || running.stderr().contains("attempt 2 of 9")));
    running.signal("INT");
    let status = running.wait(LIMIT);
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{}", running.stderr());
}

#[test]
fn the_exit_codes_are_in_the_help_the_readme_and_the_manual() {
    let readme = fs::read_to_string(package().join("c-examples/README.md")).expect("it is there");
    for example in ["receive", "publish", "publish_packets"] {
        let help = need!(run(example, Library::Ours, &["-h"])).expect(example);
        let (_, codes) = help.split_once("Exit codes:\n").expect("they are there");
        assert_eq!(codes.lines().count(), 9, "{codes}");
        for (number, line) in codes.lines().enumerate() {
            let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
            assert_eq!(code, number.to_string());
            assert!(readme.contains(&format!("| {code} | {meaning} |")), "README lacks: {code} {meaning}");
        }
    }
    let run = need!(in_shell("exec \"$@\" > /dev/full", "receive", Library::Ours, &["-h"]));
    assert_eq!(run.code, Some(7));
}
