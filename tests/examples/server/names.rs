//! Names of streams and files.

use std::fs;
use std::os::unix::fs::symlink;

use super::client::{Client, server};
use crate::support::Library;
use crate::support::amf::{Value, n, object, s};
use crate::support::peer::PATIENCE;
use crate::support::process::wait_until;

#[test]
fn a_publisher_and_a_player_meet_wherever_the_path_is_cut() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let same = [
        [("a/b", "c/k"), ("a/b/c", "k")],
        [("a/b/c/k", ""), ("", "a/b/c/k")],
        [("name", ""), ("", "name")],
        [("live", "k/"), ("live/", "k")],
        [("/live", "k"), ("live", "/k")],
        [("//live//", "//k//"), ("live", "k")],
        [("live?token=a/b", "k?x=/y"), ("live", "k")],
        [("live", "flv:k"), ("live", "k.flv")],
        [("live", "mp4:d/k.mp4"), ("live/d", "k")],
        [("live/mp4:d", "k.mp4"), ("live", "mp4:d/k.mp4")],
        [("live", "ä/ö"), ("live/ä", "ö")],
    ];
    for [publisher, player] in same {
        let mut player = Client::player(&server, player.0, player.1);
        let mut client = Client::publisher(&server, publisher.0, publisher.1);
        client.media(1, 8, 0, &[0x2f, 1]);
        assert_eq!(player.media_until(&[0x2f, 1]).len(), 1, "{publisher:?}");
        client.command(1, "FCUnpublish", &[s(publisher.1)]);
        player.wait_for_status(1, "NetStream.Play.UnpublishNotify");
    }
}

#[test]
fn names_that_could_mean_a_place_or_an_instruction_are_refused() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let long = "x".repeat(160);
    let many = "x/".repeat(170);
    let names = [
        "",
        "/",
        "?x",
        ".",
        "..",
        "../k",
        "a/../k",
        "a/.k",
        ".k",
        "mp4:../k",
        "mp4:.k",
        "a\\b",
        "a\nb",
        "a\x1b[31m",
        "a\x7f",
        "a\u{9b}31m",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{200b}",
        "a\u{feff}",
        "a\0b",
        &long,
        &many,
    ];
    for name in names
        .iter()
        .map(|name| s(name))
        .chain([Value::Bytes(vec![b'a', 0x9b]), Value::Bytes(vec![0xc0, 0xaf])])
    {
        let mut client = Client::connect(&server, "");
        let stream = client.create();
        client.command(stream, "publish", &[name.clone(), s("live")]);
        client.wait_for_status(stream, "NetStream.Publish.BadName");
        client.assert_ended(PATIENCE);
        let mut client = Client::connect(&server, "");
        let stream = client.create();
        client.command(stream, "play", std::slice::from_ref(&name));
        client.wait_for_status(stream, "NetStream.Play.StreamNotFound");
        client.call("getStreamLength", &[Value::Null, name]);
    }
    for app in ["..", "a/..", "a\x1bb", "a\u{202e}", &many] {
        let mut client = Client::shake_hands(&server);
        client.invoke(0, &[s("connect"), n(1), object(&[("app", s(app))])]);
        let error = client.wait_for("_error");
        let code = error.get(3).and_then(|info| info.member("code")).and_then(Value::text);
        assert_eq!(code, Some("NetConnection.Connect.InvalidApp"), "{app:?}");
    }
    let longest = "x".repeat(159);
    Client::publisher(&server, "live", &longest);
}

/// Publishes one sound under a name and waits until that has ended.
fn record(server: &crate::support::examples::ExampleServer, name: &str) {
    let mut client = Client::publisher(server, "live", name);
    client.media(1, 8, 0, &[0x2f, 1]);
    client.command(1, "closeStream", &[]);
    client.wait_for_status(1, "NetStream.Unpublish.Success");
}

#[test]
fn recordings_have_names_that_no_program_takes_for_an_option() {
    let (server, folder) = need!(server(Library::Ours, &["-r", "FOLDER"]));
    let longest = "y".repeat(159);
    let names = [
        "-rf", "--help", "-", "~root", "+x", "@list", "#", "a b", "a/-b", "_x", "9", "é", "ordinary",
        &longest,
    ];
    for name in names {
        record(&server, name);
    }
    let mut found: Vec<String> = fs::read_dir(folder.path())
        .expect("the folder is there")
        .flatten()
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut wanted: Vec<String> = [
        "_-rf", "_--help", "_-", "_~root", "_+x", "_@list", "_#", "a b", "_-b", "_x", "9", "é", "ordinary",
        &longest,
    ]
    .iter()
    .map(|name| format!("{name}.flv"))
    .collect();
    wanted.sort();
    assert_eq!(found, wanted);
    // The name that was published plays the recording.
    for name in ["-rf", "--help", "-", "ordinary"] {
        let mut player = Client::connect(&server, "vod");
        let stream = player.create();
        player.command(stream, "play", &[s(name), n(0)]);
        assert_eq!(player.media_until(&[0x2f, 1]).len(), 1, "{name}");
    }
}

#[test]
fn recordings_replace_nothing_and_follow_no_link() {
    let (server, folder) = need!(server(Library::Ours, &["-r", "FOLDER"]));
    let outside = crate::support::TempDir::new("outside");
    fs::write(folder.join("a.flv"), "mine").expect("the build directory is writable");
    symlink(outside.join("b.flv"), folder.join("b.flv")).expect("links can be made");
    symlink(folder.join("loop.flv"), folder.join("loop.flv")).expect("links can be made");
    fs::create_dir(folder.join("d.flv")).expect("the build directory is writable");
    for name in ["a", "a", "b", "loop", "d"] {
        record(&server, name);
    }
    assert_eq!(fs::read(folder.join("a.flv")).expect("it is there"), b"mine");
    for name in ["a-1.flv", "a-2.flv", "b-1.flv", "loop-1.flv", "d-1.flv"] {
        assert!(
            wait_until(PATIENCE, || fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 13)),
            "{name}"
        );
    }
    assert!(!outside.join("b.flv").exists());
    // Links are not played, either.
    fs::write(outside.join("b.flv"), "FLV").expect("the build directory is writable");
    let mut player = Client::connect(&server, "vod");
    let stream = player.create();
    player.command(stream, "play", &[s("b"), n(0)]);
    player.wait_for_status(stream, "NetStream.Play.StreamNotFound");
}

/// Terminals take some characters for instructions, and a line end in a name would be another line of the log.
#[test]
fn text_from_clients_is_escaped_in_the_log() {
    for library in [Library::Ours, Library::Original] {
        let (server, _folder) = need!(server(library, &["-v", "5"]));
        let evil = "\x1b[31mX\nINFO: client 1: \u{9b}31m\u{202e}\u{2028}\r\x08\x7fend";
        let mut client = Client::connect(&server, "live");
        client.invoke(0, &[s(evil), n(0), Value::Null, s(evil), object(&[(evil, s(evil))])]);
        client.assert_alive();
        let mut odd = Client::shake_hands(&server);
        odd.invoke(0, &[s("connect"), n(1), object(&[("app", s(evil)), ("flashVer", s(evil))])]);
        odd.wait_for("_error");
        let mut publisher = Client::connect(&server, "live");
        let stream = publisher.create();
        publisher.command(stream, "publish", &[s(evil)]);
        publisher.wait_for_status(stream, "NetStream.Publish.BadName");
        publisher.assert_ended(PATIENCE);
        let raw = Value::Bytes(vec![b'c', 0x9b, 0xff, 0xc0]);
        client.invoke(0, &[raw, n(0), Value::Null]);
        client.assert_alive();
        server.wait_for_log("unknown command \\x1b[31mX\\x0aINFO: client 1: \\xc2\\x9b31m\\xe2\\x80\\xae");
        server.wait_for_log("unknown command c\\x9b\\xff\\xc0");
        let log = server.log();
        let bad =
            log.chars().find(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{2028}\u{fffd}".contains(*c));
        assert_eq!(bad, None, "{log}");
        let known = ["CRIT: ", "ERROR: ", "WARNING: ", "INFO: ", "DEBUG: ", "DEBUG2: "];
        let forged = log.lines().find(|line| {
            !known.iter().any(|level| line.starts_with(level)) || line.starts_with("INFO: client 1: \\xc2")
        });
        assert_eq!(forged, None, "{log}");
    }
}
