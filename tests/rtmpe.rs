//! RTMPE with foreign peers: librtmp in both roles, ffmpeg, and a server that nobody here wrote.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use support::examples::{self, Client, ExampleServer};
use support::flv::{self, Tag};
use support::foreign::{self, NodeServer};
use support::wiretap::Wiretap;
use support::{Library, Program, TempDir, clip, library::ours_is_original};

/// A folder with `film.flv` in it, and the film as librtmp hands it on.
fn film() -> Option<(TempDir, PathBuf, Vec<Tag>)> {
    let clip = clip::flv()?;
    let folder = TempDir::new("rtmpe");
    fs::copy(&clip, folder.join("film.flv")).expect("the build directory is writable");
    let tags = flv::readable(&flv::load(&clip));
    Some((folder, clip, tags))
}

/// Plays, with two programs, and publishes, through a wire that shows nothing of it.
fn films_travel(server_on: Library, clients_on: Library) {
    let (folder, clip, film) = need!(film());
    let what = format!("{clients_on:?} to a server on {server_on:?}");
    let server = need!(ExampleServer::start(server_on, folder.path()));
    let tap = Wiretap::in_front_of(server.port());

    let (received, dumped) = (folder.join("received.flv"), folder.join("dumped.flv"));
    need!(examples::receive(clients_on, &tap.url("rtmpe", "vod/film"), &received, &[]));
    need!(examples::rtmpdump(clients_on, &tap.url("rtmpe", "vod/film"), &dumped, &[]));
    for file in [&received, &dumped] {
        flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(file)), &what);
    }

    let (url, file) = (tap.url("rtmpe", "live/show"), folder.join("live.flv"));
    let arguments = ["--live", "-t", "10", "-o", &file.to_string_lossy(), &url];
    let player = need!(Client::example("receive", clients_on, &arguments));
    server.wait_for_log("plays live/show");
    need!(examples::publish(clients_on, &clip, &url));
    player.finish().expect(&what);
    let found = flv::readable(&flv::load(&file));
    let frames = film.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
    assert_eq!(flv::assert_contiguous(&film, &found, &what), frames, "{what}: all frames have to arrive");

    tap.assert_unreadable(&what);
    for [from_client, from_server] in tap.recordings() {
        assert_eq!((from_client[0], from_server[0]), (6, 8), "{what}: types of the handshake");
    }
}

#[test]
fn librtmps_clients_play_and_publish_on_our_server() {
    films_travel(Library::Ours, Library::Original);
}

#[test]
fn our_clients_play_and_publish_on_librtmps_server() {
    films_travel(Library::Original, Library::Ours);
}

#[test]
fn our_clients_play_and_publish_on_our_server() {
    films_travel(Library::Ours, Library::Ours);
}

#[test]
fn hundreds_of_connections_in_a_row_succeed_in_both_directions() {
    let (folder, _, _) = need!(film());
    let program = need!(Program::test("connect_loop"));
    for (server_on, client_on) in [(Library::Ours, Library::Original), (Library::Original, Library::Ours)] {
        let server = need!(ExampleServer::start(server_on, folder.path()));
        let url = server.url("rtmpe", "vod/film");
        let run = need!(program.run(client_on, &["300", &url], "", Duration::from_secs(120)));
        assert_eq!(run.expect(&format!("a client on {client_on:?}")), "300 of 300\n");
    }
}

#[test]
fn films_pause_and_seek_in_both_directions() {
    let (folder, _, _) = need!(film());
    let program = need!(Program::test("pause_seek"));
    for (server_on, client_on) in [(Library::Ours, Library::Original), (Library::Original, Library::Ours)] {
        let server = need!(ExampleServer::start(server_on, folder.path()));
        let run = need!(program.run(client_on, &[&server.url("rtmpe", "vod/film")], "", examples::LIMIT));
        run.expect(&format!("pause_seek on {client_on:?}"));
    }
}

#[test]
fn ffmpeg_plays_from_our_server() {
    let (folder, _, film) = need!(film());
    let ffmpeg = need!(foreign::ffmpeg());
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    let tap = Wiretap::in_front_of(server.port());
    let file = folder.join("played.flv");
    foreign::play_with(&ffmpeg, &tap.url("rtmpe", "vod/film"), &file);
    let found = flv::readable(&flv::load(&file));
    assert!(flv::assert_contiguous(&film, &found, "ffmpeg") > 150);
    tap.assert_unreadable("ffmpeg");
}

#[test]
fn a_server_of_another_make_plays_pauses_seeks_and_relays() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpe", Library::Ours));
    assert!(server.log().contains("enabled encryption"), "{}", server.log());
}
