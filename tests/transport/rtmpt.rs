//! RTMPT and RTMPTE with foreign peers: librtmp's clients, ffmpeg, an independent server, and unusual HTTP servers.
#![forbid(unsafe_code)]

use std::fs;
use std::time::{Duration, Instant};

use crate::support::examples::{self, Client, ExampleServer};
use crate::support::flv;
use crate::support::foreign::{self, NodeServer};
use crate::support::stage::Stage;
use crate::support::wiretap::Wiretap;
use crate::support::{
    Library, Program, Server, library::ours_is_original, program, require, servers, wait_until,
};
use crate::tunnel::{front, gateway};

/// A film and our server with it. Also `None` when the original is tested, which has no RTMPT server.
fn stage() -> Option<(Stage, ExampleServer)> {
    if ours_is_original() {
        return None;
    }
    let stage = Stage::set()?;
    let server = ExampleServer::start(Library::Ours, stage.folder.path())?;
    Some((stage, server))
}

/// Plays and publishes with our examples. All bytes must be HTTP.
fn films_travel(protocol: &str) {
    let (stage, server) = need!(stage());
    let tap = Wiretap::in_front_of(server.port());
    need!(stage.travel(&server, &tap, protocol, "", Library::Ours));
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
    let (stage, server) = need!(stage());
    let pauses = need!(Program::test("pause_seek"));
    let loops = need!(Program::test("connect_loop"));
    for protocol in ["rtmpt", "rtmpte"] {
        let (url, file) = (server.url(protocol, "vod/film"), stage.folder.join(format!("{protocol}.flv")));
        need!(examples::rtmpdump(Library::Original, &url, &file));
        stage.assert_whole(&file, protocol);
        need!(pauses.run(Library::Original, &[&url], "", examples::LIMIT)).expect(protocol);
        need!(loops.run(Library::Original, &["10", &url], "", examples::LIMIT)).expect(protocol);
    }
}

#[test]
fn our_clients_pause_and_seek_on_our_server() {
    let (_stage, server) = need!(stage());
    let program = need!(Program::test("pause_seek"));
    for protocol in ["rtmpt", "rtmpte"] {
        let url = server.url(protocol, "vod/film");
        need!(program.run(Library::Ours, &[&url], "", examples::LIMIT)).expect(protocol);
    }
}

#[test]
fn ffmpeg_plays_from_our_server() {
    let (stage, server) = need!(stage());
    let (debians, wheels) = (need!(require::program("ffmpeg")), need!(foreign::ffmpeg()));
    let file = stage.folder.join("played.flv");
    for (ffmpeg, protocol) in [(&debians, "rtmpt"), (&wheels, "rtmpt"), (&wheels, "rtmpte")] {
        foreign::play_with(ffmpeg, &server.url(protocol, "vod/film"), &file);
        stage.assert_most(&file, &format!("{ffmpeg:?} over {protocol}"));
    }
}

#[test]
fn ffmpeg_publishes_to_our_server() {
    let (stage, server) = need!(stage());
    let (url, file) = (server.url("rtmpt", "live/show"), stage.folder.join("live.flv"));
    let player = need!(stage.player(&url, &file, Library::Ours));
    server.wait_for_log("plays live/show");
    let mut publisher = need!(servers::publish_with_ffmpeg(&stage.clip, &url));
    let status = publisher.wait(examples::LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{}", publisher.stderr());
    player.finish().expect("the player");
    stage.assert_most(&file, "ffmpeg");
}

#[test]
fn foreign_server_plays_pauses_seeks_and_relays() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpt", Library::Ours));
}

#[test]
fn foreign_server_plays_pauses_seeks_and_relays_encrypted() {
    if ours_is_original() {
        return;
    }
    let server = need!(NodeServer::start());
    need!(server.exercise("rtmpte", Library::Ours));
    assert!(server.log().contains("enabled encryption"), "{}", server.log());
}

#[test]
fn files_arrive_through_odd_http_servers() {
    let (stage, server) = need!(stage());
    let mut players = Vec::new();
    for oddity in front::Oddity::ALL {
        let (port, file) =
            (front::in_front_of(server.port(), oddity), stage.folder.join(format!("{oddity:?}.flv")));
        let url = format!("rtmpt://127.0.0.1:{port}/vod/film");
        let arguments = ["-v", "-t", "20", "-o", &file.to_string_lossy(), &url];
        let player = need!(Client::example("receive", Library::Ours, &arguments));
        players.push((oddity, file, player));
    }
    for (oddity, file, player) in players {
        let what = format!("{oddity:?}");
        player.finish().expect(&what);
        stage.assert_whole(&file, &what);
    }
}

#[test]
fn stopped_player_ends_at_once_with_a_complete_file() {
    let (stage, server) = need!(stage());
    let (url, file) = (server.url("rtmpt", "live/show"), stage.folder.join("cut.flv"));
    let part = stage.folder.join("cut.flv.part");
    let player = need!(stage.player(&url, &file, Library::Ours));
    server.wait_for_log("plays live/show");
    let publisher =
        need!(Client::example("publish", Library::Ours, &["-q", &stage.clip.to_string_lossy(), &url]));
    assert!(wait_until(Duration::from_secs(20), || fs::metadata(&part).is_ok_and(|data| data.len() > 5000)));
    let start = Instant::now();
    player.running.signal("TERM");
    player.finish().expect("the player");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(!flv::media(&flv::load(&file)).is_empty());

    // A publisher polls as well.
    publisher.running.signal("TERM");
    let start = Instant::now();
    publisher.finish();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    server.wait_for_log("ends show");
}

/// curl waits for its socket, on which bytes arrive only after a request; and it has opened the connection itself.
#[test]
fn curl_plays_files_through_odd_http_servers() {
    let (stage, server) = need!(stage());
    let mut players = Vec::new();
    for oddity in front::Oddity::ALL {
        for protocol in ["rtmpt", "rtmpte"] {
            let port = front::in_front_of(server.port(), oddity);
            let file = stage.folder.join(format!("{protocol}-{oddity:?}.flv"));
            let mut command = need!(program::on_library(&need!(require::program("curl")), Library::Ours));
            command.args(["-sS", "-m", "50", "-o"]).arg(&file);
            command.arg(format!("{protocol}://127.0.0.1:{port}/vod/film"));
            players.push((oddity, file, Client::start(command, Library::Ours)));
        }
    }
    for (oddity, file, player) in players {
        let what = format!("{oddity:?}");
        player.finish().expect(&what);
        stage.assert_whole(&file, &what);
    }
}

#[test]
fn polling_program_does_not_ask_an_idle_http_server_more_often() {
    if ours_is_original() {
        return;
    }
    let server = Server::once(|peer| {
        peer.accept_play();
        peer.drain(examples::LIMIT);
    });
    let registry = gateway::with_limits(Duration::from_secs(4), 4);
    let tap = Wiretap::in_front_of(gateway::gateway(&registry, server.port));
    let polls = || {
        let sent = tap.recordings().concat().concat();
        sent.windows(11).filter(|window| window == b"POST /idle/").count()
    };
    let mut command = need!(program::on_library(&need!(require::program("curl")), Library::Ours));
    command.args(["-sS", "-o", "/dev/null", &tap.url("rtmpt", "app/name")]);
    let mut client = Client::start(command, Library::Ours);
    // With each empty reply, the gateway lets clients wait longer, up to half a second.
    assert!(wait_until(examples::LIMIT, || polls() > 5));
    let (start, before) = (Instant::now(), polls());
    assert!(wait_until(examples::LIMIT, || polls() >= before + 6), "nobody asks any more");
    assert!(start.elapsed() > Duration::from_millis(2000), "{:?}", start.elapsed());
    client.running.kill();
    server.join();
}
