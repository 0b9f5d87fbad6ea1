//! RTMPE with foreign peers: librtmp in both roles, ffmpeg, and an independent server.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::examples::{self, ExampleServer};
use crate::support::foreign::{self, NodeServer};
use crate::support::stage::Stage;
use crate::support::wiretap::Wiretap;
use crate::support::{Library, Program, library::ours_is_original};

/// Plays with two programs, and publishes. The media must not be visible in the captured bytes.
fn films_travel(server_on: Library, clients_on: Library) {
    let stage = need!(Stage::set());
    let server = need!(ExampleServer::start(server_on, stage.folder.path()));
    let tap = Wiretap::in_front_of(server.port());
    need!(stage.travel(&server, &tap, "rtmpe", "", clients_on));
    let file = stage.folder.join("dumped.flv");
    need!(examples::rtmpdump(clients_on, &tap.url("rtmpe", "vod/film"), &file));
    stage.assert_whole(&file, "rtmpdump");
    tap.assert_unreadable("rtmpe");
    for [from_client, from_server] in tap.recordings() {
        assert_eq!((from_client[0], from_server[0]), (6, 8), "types of the handshake");
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
    let stage = need!(Stage::set());
    let program = need!(Program::test("connect_loop"));
    for (server_on, client_on) in [(Library::Ours, Library::Original), (Library::Original, Library::Ours)] {
        let server = need!(ExampleServer::start(server_on, stage.folder.path()));
        let url = server.url("rtmpe", "vod/film");
        let run = need!(program.run(client_on, &["300", &url], "", Duration::from_secs(120)));
        assert_eq!(run.expect(&format!("a client on {client_on:?}")), "300 of 300\n");
    }
}

#[test]
fn pause_and_seek_work_in_both_directions() {
    let stage = need!(Stage::set());
    let program = need!(Program::test("pause_seek"));
    for (server_on, client_on) in [(Library::Ours, Library::Original), (Library::Original, Library::Ours)] {
        let server = need!(ExampleServer::start(server_on, stage.folder.path()));
        let run = need!(program.run(client_on, &[&server.url("rtmpe", "vod/film")], "", examples::LIMIT));
        run.expect(&format!("pause_seek on {client_on:?}"));
    }
}

#[test]
fn ffmpeg_plays_from_our_server() {
    let stage = need!(Stage::set());
    let ffmpeg = need!(foreign::ffmpeg());
    let server = need!(ExampleServer::start(Library::Ours, stage.folder.path()));
    let tap = Wiretap::in_front_of(server.port());
    let file = stage.folder.join("played.flv");
    foreign::play_with(&ffmpeg, &tap.url("rtmpe", "vod/film"), &file);
    stage.assert_most(&file, "ffmpeg");
    tap.assert_unreadable("ffmpeg");
}

#[test]
fn foreign_server_plays_pauses_seeks_and_relays() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpe", Library::Ours));
    assert!(server.log().contains("enabled encryption"), "{}", server.log());
}
