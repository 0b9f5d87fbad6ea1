//! The example programs as command-line tools: help, versions, JSON, progress, retries, segments, and their manual pages.

use std::collections::BTreeSet;
use std::fs;

use crate::support::examples::ExampleServer;
use crate::support::library::package;
use crate::support::wire::Message;
use crate::support::{Library, Peer, Server, TempDir, flv, process};
use crate::{LIMIT, assert_fails, complete, file_of, in_shell, path, run, sounds};

const TOOLS: [&str; 4] = ["receive", "publish", "publish_packets", "server"];

/// The long options in a text.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter == ',');
    let long = words.filter_map(|word| word.strip_prefix("--"));
    long.map(|word| word.trim_end_matches(|letter: char| !letter.is_alphanumeric()).to_owned()).collect()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for tool in TOOLS {
        let help = need!(run(tool, Library::Ours, &["--help"])).expect(tool);
        assert!(help.starts_with(&format!("Usage: {tool} ")), "{help}");
        // Terminals usually have 100 columns.
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        assert!(help.contains("\nMessages:\n") && help.contains("\nExit codes:\n"), "{help}");
        let version = need!(run(tool, Library::Ours, &["--version"])).expect(tool);
        assert_eq!(version, format!("{tool} {}, librtmp 2.3\n", env!("CARGO_PKG_VERSION")));
        assert_fails(
            &need!(run(tool, Library::Ours, &["--no-such-option"])),
            2,
            &format!("{tool}: unrecognized"),
        );
    }
}

#[test]
fn every_option_and_exit_code_is_in_the_manual_page() {
    for tool in TOOLS {
        let help = need!(run(tool, Library::Ours, &["--help"])).expect(tool);
        let page = package().join(format!("man/man1/rtmp-{}.1", tool.replace('_', "-")));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let page = page.replace("\\-", "-");
        for option in options(&help) {
            assert!(page.contains(&format!("--{option}")), "the page of {tool} lacks --{option}");
        }
        let (_, codes) = help.split_once("Exit codes:\n").expect("they are there");
        for line in codes.lines() {
            let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
            assert!(
                page.contains(&format!(".B {code}\n{meaning}\n")),
                "the page of {tool} lacks: {code} {meaning}"
            );
        }
    }
}

#[test]
fn json_reports_the_result_and_the_error() {
    let directory = TempDir::new("json");
    let file = directory.join("out.flv");
    let server = sounds(5, complete);
    let found = need!(run("receive", Library::Ours, &["--json", "-o", path(&file), &server.url()]));
    server.join();
    let result: serde_json::Value = serde_json::from_str(&found.stdout).expect("one object");
    assert_eq!((&result["code"], &result["error"], &result["files"]), (&0.into(), &"".into(), &1.into()));
    assert_eq!(result["tags"], 5);
    assert_eq!(result["bytes"], fs::metadata(&file).expect("it is there").len());
    assert_eq!(result["file"], path(&file));
    assert_eq!(found.stderr, "");

    let clip = directory.join("clip.flv");
    fs::write(&clip, file_of(&[(8, 0, b"\xAF\x01sound")])).expect("the build directory is writable");
    let nobody = format!("rtmp://127.0.0.1:{}/app/a\"b", process::free_port());
    let found = need!(run("publish", Library::Ours, &["--json", path(&clip), &nobody]));
    assert_fails(&found, 3, "cannot connect to");
    let result: serde_json::Value = serde_json::from_str(&found.stdout).expect("one object");
    assert_eq!(result["code"], 3);
    assert!(result["error"].as_str().expect("a text").contains("/app/a\"b"), "{result}");
    // With media on standard output, the result is the only text on standard error.
    let found = need!(run("receive", Library::Ours, &["--json", "-o", "-", &nobody]));
    let result: serde_json::Value = serde_json::from_str(&found.stderr).expect("one object");
    assert_eq!((found.code, &result["code"]), (Some(3), &3.into()));
}

#[test]
fn progress_is_for_terminals_unless_it_is_asked_for() {
    for (arguments, shown) in [(&[][..], false), (&["--progress"], true), (&["-q", "--progress"], true)] {
        let server = sounds(3, complete);
        let url = server.url();
        let arguments = [arguments, &["-o", "/dev/null", &url]].concat();
        let found = need!(run("receive", Library::Ours, &arguments));
        server.join();
        assert_eq!(found.code, Some(0), "{found:?}");
        assert_eq!(found.stderr.contains("kB/s"), shown, "{found:?}");
        assert_eq!(found.stderr.is_empty(), !shown, "{found:?}");
    }
}

/// Plays sound and key frames: `count` frames of 100 ms.
fn play_frames(peer: &mut Peer, count: u32) {
    peer.send(&Message::new(4, 0, 9, 1, b"\x17\0\0\0\0config"));
    for number in 0..count {
        let key = number % 5 == 0;
        peer.send(&Message::new(
            4,
            number * 100,
            9,
            1,
            if key { b"\x17\x01\0\0\0key" } else { b"\x27\x01\0\0\0new" },
        ));
    }
}

#[test]
fn segments_begin_with_the_configuration_and_a_key_frame_at_time_0() {
    let directory = TempDir::new("segments");
    fs::write(directory.join("out-002.flv"), "mine").expect("the build directory is writable");
    let server = Server::once(|peer| {
        peer.accept_play();
        play_frames(peer, 20);
        complete(peer);
        peer.drain(LIMIT);
    });
    let output = directory.join("out.flv");
    let found =
        need!(run("receive", Library::Ours, &["--segment", "600ms", "-o", path(&output), &server.url()]));
    server.join();
    assert_eq!(found.code, Some(0), "{found:?}");
    for (name, frames) in [("out-001.flv", 10), ("out-003.flv", 10)] {
        let tags = flv::load(&directory.join(name));
        assert_eq!(tags.len(), 1 + frames, "{name}");
        assert_eq!(tags[0].body, b"\x17\0\0\0\0config", "{name}");
        assert_eq!((tags[1].timestamp, tags[1].body[0]), (0, 0x17), "{name}");
        assert_eq!(tags[frames].timestamp, 900, "{name}");
    }
    assert_eq!(fs::read(directory.join("out-002.flv")).expect("it is there"), b"mine");
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 3);
}

#[test]
fn a_live_stream_continues_after_the_connection_was_lost() {
    let directory = TempDir::new("retry");
    let output = directory.join("out.flv");
    let server = Server::listen(|listener| {
        for end in [Peer::leave, complete] {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            play_frames(&mut peer, 6);
            end(&mut peer);
            peer.drain(LIMIT);
        }
    });
    let found =
        need!(run("receive", Library::Ours, &["--live", "--retry", "3", "-o", path(&output), &server.url()]));
    server.join();
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(found.stderr.contains("attempt 1 of 3 in 1 s") && found.stderr.lines().count() == 1, "{found:?}");
    let times: Vec<_> = flv::load(&output).iter().map(|tag| tag.timestamp).collect();
    assert!(times.len() > 7 && times.is_sorted(), "{times:?}");
    assert_eq!(*times.last().expect("there are some") % 10, 0);
}

#[test]
fn publisher_reconnects_and_repeats_the_start_of_the_stream() {
    let directory = TempDir::new("again");
    let clip = directory.join("clip.flv");
    let config: &[u8] = b"\x17\0\0\0\0config";
    let mut tags: Vec<(u8, u32, &[u8])> = vec![(9, 0, config)];
    tags.extend((0..30).map(|number| {
        let body: &[u8] = if number % 5 == 0 { b"\x17\x01\0\0\0key" } else { b"\x27\x01\0\0\0new" };
        (9, number * 100, body)
    }));
    fs::write(&clip, file_of(&tags)).expect("the build directory is writable");
    for tool in ["publish", "publish_packets"] {
        let server = Server::listen(|listener| {
            [true, false].map(|first| {
                let mut peer = Peer::accept(listener);
                peer.accept_publish();
                let mut video = Vec::new();
                while let Some(message) = peer.next(LIMIT) {
                    if message.kind == 9 {
                        video.push((message.timestamp, message.body));
                    }
                    if first && video.len() == 4 {
                        peer.leave();
                        break;
                    }
                }
                video
            })
        });
        let found = need!(run(tool, Library::Ours, &["--retry", "3", path(&clip), &server.url()]));
        let [before, after] = server.join();
        assert_eq!(found.code, Some(0), "{found:?}");
        assert!(found.stderr.contains("attempt 1 of 3"), "{found:?}");
        assert_eq!((&before[0].1[..], &after[0].1[..]), (config, config), "{tool}");
        assert_eq!(after[1].1[0], 0x17, "{tool}: a key frame");
        assert!(after.is_sorted_by_key(|(time, _)| *time), "{tool}");
        assert!(after[0].0 >= before[3].0 && after.last().expect("there are some").0 == 2900, "{tool}");
    }
}

#[test]
fn a_publisher_starts_at_a_key_frame_of_the_file() {
    let directory = TempDir::new("start");
    let clip = directory.join("clip.flv");
    let config: &[u8] = b"\x17\0\0\0\0config";
    let mut tags: Vec<(u8, u32, &[u8])> = vec![(9, 0, config)];
    for number in 0..20 {
        tags.push((
            9,
            number * 10,
            if number % 5 == 0 { b"\x17\x01\0\0\0key" } else { b"\x27\x01\0\0\0new" },
        ));
    }
    fs::write(&clip, file_of(&tags)).expect("the build directory is writable");
    let server = crate::publishing();
    need!(run("publish", Library::Ours, &["--start", "120ms", path(&clip), &server.url()])).expect("publish");
    let sent = server.join();
    assert_eq!(sent[0].2, config);
    assert_eq!((sent[1].1, sent[1].2[0], sent.len()), (100, 0x17, 11));
    let script = format!("cat {} | \"$@\"", clip.display());
    let nowhere = ["--start", "1", "-", "rtmp://127.0.0.1:1/app/name"];
    assert_fails(&need!(in_shell(&script, "publish", Library::Ours, &nowhere)), 2, "--start needs a file");
}

#[test]
fn ctrl_c_prints_nothing() {
    let (sent, seen) = std::sync::mpsc::channel();
    let server = Server::once(move |peer| {
        peer.accept_play();
        sent.send(()).expect("the test waits");
        peer.drain(LIMIT);
    });
    let directory = TempDir::new("quiet");
    let output = directory.join("out.flv");
    let mut command = need!(need!(crate::Program::example("receive")).command(Library::Ours));
    command.args(["-o", path(&output), &server.url()]);
    let mut running = crate::Running::start(&mut command);
    seen.recv_timeout(LIMIT).expect("the receiver plays");
    running.signal("INT");
    let status = running.wait(LIMIT);
    server.join();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "nothing came");
    assert_eq!((running.stderr(), running.stdout()), (String::new(), String::new()));
}

/// Sends signals in the same way as timeout(1): to the program, and to the process group of the program.
#[test]
fn two_signals_at_once_end_a_recording_properly() {
    let (sent, seen) = std::sync::mpsc::channel();
    let server = Server::once(move |peer| {
        peer.accept_play();
        for time in [0, 20, 40, 60] {
            peer.send(&Message::new(4, time, 8, 1, &[0xAF; 9000]));
        }
        sent.send(()).expect("the test waits");
        peer.drain(LIMIT);
    });
    let directory = TempDir::new("twice");
    let output = directory.join("out.flv");
    let receive = need!(crate::Program::example("receive"));
    let mut command = need!(crate::support::program::on_library(
        &need!(crate::support::require::program("timeout")),
        Library::Ours
    ));
    command.args(["600", path(receive.path()), "--live", "-o", path(&output), &server.url()]);
    let mut running = crate::Running::start(&mut command);
    seen.recv_timeout(LIMIT).expect("the receiver plays");
    let part = directory.join("out.flv.part");
    let has_data = || fs::metadata(&part).is_ok_and(|data| data.len() > 13);
    assert!(process::wait_until(LIMIT, has_data), "{}", running.stderr());
    running.signal("INT");
    let status = running.wait(LIMIT);
    server.join();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", running.stderr());
    assert!(flv::load(&output).len() > 1);
}

#[test]
fn the_server_makes_the_folder_and_counts() {
    let directory = TempDir::new("stats");
    let folder = directory.join("deep/er");
    let clip = directory.join("clip.flv");
    fs::write(&clip, file_of(&[(8, 0, b"\xAF\x01one"), (8, 20, b"\xAF\x01two")])).expect("it is writable");
    let options = ["--record", path(&folder), "--stats", "1", "--json"];
    let server = ExampleServer::start_with(Library::Ours, directory.path(), None, &options, &[]);
    let server = need!(server);
    need!(run("publish", Library::Ours, &[path(&clip), &server.url("rtmp", "live/x")])).expect("publish");
    let counted = process::wait_until(LIMIT, || {
        let printed = server.printed();
        let mut lines =
            printed.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.any(|line| line["bytes_in"] == 10 && line["publishing"] == 0)
    });
    assert!(counted, "{}", server.printed());
    assert_eq!(flv::load(&folder.join("x.flv")).len(), 2);
    let file = directory.join("file");
    fs::write(&file, "").expect("it is writable");
    assert_fails(&need!(run("server", Library::Ours, &["-p", "0", "-r", path(&file)])), 7, "cannot make");
    assert_fails(&need!(run("server", Library::Ours, &["-p", "0", "-d", path(&file)])), 8, "not a directory");
    assert_fails(&need!(run("server", Library::Ours, &["-p", "0", "-b", "203.0.113.1"])), 3, "cannot listen");
}
