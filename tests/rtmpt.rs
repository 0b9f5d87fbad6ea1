//! RTMPT and RTMPTE with foreign peers: librtmp's clients, ffmpeg, a server that nobody here wrote, and odd HTTP servers.
#![forbid(unsafe_code)]

mod support;
#[path = "tunnel/front.rs"]
#[allow(dead_code)] // the tests of the tunnel itself use all of it
mod web;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::examples::{self, Client, ExampleServer};
use support::flv::{self, Tag};
use support::foreign::{self, NodeServer};
use support::wiretap::Wiretap;
use support::{Library, Program, TempDir, clip, library::ours_is_original, require, servers, wait_until};

/// A folder with `film.flv` in it, and the film as librtmp hands it on. `None` as well when the original is tested: it
/// has no RTMPT server, and its clients lose the end of what they publish.
fn film() -> Option<(TempDir, PathBuf, Vec<Tag>)> {
    if ours_is_original() {
        return None;
    }
    let clip = clip::flv()?;
    let folder = TempDir::new("rtmpt");
    fs::copy(&clip, folder.join("film.flv")).expect("the build directory is writable");
    let tags = flv::readable(&flv::load(&clip));
    Some((folder, clip, tags))
}

/// Plays and publishes with our examples; all that passes is HTTP.
fn films_travel(protocol: &str) {
    let (folder, clip, film) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let tap = Wiretap::in_front_of(server.port());

    let file = folder.join("received.flv");
    need!(examples::receive(Library::Ours, &tap.url(protocol, "vod/film"), &file, &[]));
    flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&file)), protocol);

    let (url, file) = (tap.url(protocol, "live/show"), folder.join("live.flv"));
    let arguments = ["--live", "-t", "10", "-o", &file.to_string_lossy(), &url];
    let player = need!(Client::example("receive", Library::Ours, &arguments));
    server.wait_for_log("plays live/show");
    need!(examples::publish(Library::Ours, &clip, &url));
    // The player's end is the proof that the publisher's goodbye has arrived.
    player.finish().expect(protocol);
    let found = flv::readable(&flv::load(&file));
    let frames = film.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
    assert_eq!(
        flv::assert_contiguous(&film, &found, protocol),
        frames,
        "{protocol}: all frames have to arrive"
    );

    for [from_client, from_server] in tap.recordings() {
        assert!(from_client.starts_with(b"POST /open/1 HTTP/1.1\r\n"), "{protocol}");
        assert!(from_server.starts_with(b"HTTP/1.1 200 OK\r\n"), "{protocol}");
    }
    if protocol == "rtmpte" {
        tap.assert_unreadable(protocol);
    }
}

#[test]
fn our_clients_play_and_publish_on_our_server_over_http() {
    films_travel("rtmpt");
}

#[test]
fn our_clients_play_and_publish_on_our_server_encrypted_over_http() {
    films_travel("rtmpte");
}

#[test]
fn librtmps_clients_play_on_our_server() {
    let (folder, _, film) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let pauses = need!(Program::test("pause_seek"));
    let loops = need!(Program::test("connect_loop"));
    for protocol in ["rtmpt", "rtmpte"] {
        let (url, file) = (server.url(protocol, "vod/film"), folder.join(format!("{protocol}.flv")));
        need!(examples::rtmpdump(Library::Original, &url, &file, &[]));
        flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&file)), protocol);
        need!(pauses.run(Library::Original, &[&url], "", examples::LIMIT)).expect(protocol);
        need!(loops.run(Library::Original, &["10", &url], "", examples::LIMIT)).expect(protocol);
    }
}

#[test]
fn our_clients_pause_and_seek_on_our_server() {
    let (folder, _, _) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let program = need!(Program::test("pause_seek"));
    for protocol in ["rtmpt", "rtmpte"] {
        let url = server.url(protocol, "vod/film");
        need!(program.run(Library::Ours, &[&url], "", examples::LIMIT)).expect(protocol);
    }
}

#[test]
fn ffmpeg_plays_from_our_server() {
    let (folder, _, film) = need!(film());
    let (debians, wheels) = (need!(require::program("ffmpeg")), need!(foreign::ffmpeg()));
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let file = folder.join("played.flv");
    for (ffmpeg, protocol) in [(&debians, "rtmpt"), (&wheels, "rtmpt"), (&wheels, "rtmpte")] {
        foreign::play_with(ffmpeg, &server.url(protocol, "vod/film"), &file);
        let found = flv::readable(&flv::load(&file));
        assert!(flv::assert_contiguous(&film, &found, protocol) > 150, "{ffmpeg:?} over {protocol}");
    }
}

#[test]
fn ffmpeg_publishes_to_our_server() {
    let (folder, clip, film) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let (url, file) = (server.url("rtmpt", "live/show"), folder.join("live.flv"));
    let arguments = ["--live", "-t", "10", "-o", &file.to_string_lossy(), &url];
    let player = need!(Client::example("receive", Library::Ours, &arguments));
    server.wait_for_log("plays live/show");
    let mut publisher = need!(servers::publish_with_ffmpeg(&clip, &url));
    let status = publisher.wait(examples::LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", publisher.stderr());
    player.finish().expect("the player");
    let found = flv::readable(&flv::load(&file));
    assert!(flv::assert_contiguous(&film, &found, "ffmpeg") > 150);
}

#[test]
fn a_server_of_another_make_plays_pauses_seeks_and_relays() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpt", Library::Ours));
}

#[test]
fn a_server_of_another_make_plays_pauses_seeks_and_relays_encrypted() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpte", Library::Ours));
    assert!(server.log().contains("enabled encryption"), "{}", server.log());
}

#[test]
fn films_arrive_through_odd_http_servers() {
    let (folder, _, film) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let mut players = Vec::new();
    for oddity in web::Oddity::ALL {
        let (port, file) = (web::in_front_of(server.port(), oddity), folder.join(format!("{oddity:?}.flv")));
        let url = format!("rtmpt://127.0.0.1:{port}/vod/film");
        let arguments = ["-v", "-t", "20", "-o", &file.to_string_lossy(), &url];
        let player = need!(Client::example("receive", Library::Ours, &arguments));
        players.push((oddity, file, player));
    }
    for (oddity, file, player) in players {
        let what = format!("{oddity:?}");
        player.finish().expect(&what);
        flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&file)), &what);
    }
}

#[test]
fn a_player_that_is_told_to_end_ends_at_once_with_a_whole_file() {
    let (folder, clip, _) = need!(film());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let (url, file) = (server.url("rtmpt", "live/show"), folder.join("cut.flv"));
    let (part, target) = (folder.join("cut.flv.part"), file.to_string_lossy().into_owned());
    let player =
        need!(Client::example("receive", Library::Ours, &["-q", "--live", "-t", "30", "-o", &target, &url]));
    server.wait_for_log("plays live/show");
    let publisher = need!(Client::example("publish", Library::Ours, &["-q", &clip.to_string_lossy(), &url]));
    assert!(wait_until(Duration::from_secs(20), || fs::metadata(&part).is_ok_and(|data| data.len() > 5000)));
    let start = Instant::now();
    player.running.signal("TERM");
    player.finish().expect("the player");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(!flv::media(&flv::load(&file)).is_empty());

    // A publisher as well.
    publisher.running.signal("TERM");
    let start = Instant::now();
    publisher.finish();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    server.wait_for_log("ends show");
}
