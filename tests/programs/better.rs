//! Where unmodified programs fail on the original, or wait forever, and must not on our library.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::matrix::programs::{Order, PLAYERS, Program};
use crate::support::examples::{self, Client};
use crate::support::flv;
use crate::support::site::Make;
use crate::support::stage::Stage;
use crate::support::wire::Message;
use crate::support::{Library, Server, clip, library::ours_is_original, proxy};

const LIMIT: Duration = Duration::from_secs(60);

/// Every program that plays receives the complete film.
fn all_play(url: &str, stage: &Stage, what: &str) {
    for program in PLAYERS {
        let what = format!("{program:?}, {what}");
        let file = stage.folder.join(format!("{program:?}.flv"));
        let run = need!(program.play(Library::Ours, &Order::film(url, &file, &stage.folder))).finish();
        assert!(file.exists(), "{what}: {run:?}");
        stage.assert_whole(&file, &what);
    }
}

#[test]
fn programs_play_from_an_ipv6_address() {
    if ours_is_original() {
        return;
    }
    let stage = need!(Stage::set());
    let server = need!(examples::ExampleServer::start(Library::Ours, stage.folder.path()));
    let behind = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let listener = TcpListener::bind("[::1]:0").expect("loopback has IPv6");
    let url = format!("rtmp://{}/vod/film", listener.local_addr().expect("it is bound"));
    proxy::relay(listener, move |_| Ok(behind));
    all_play(&url, &stage, "over IPv6");
}

/// Blocks that end anywhere, also after the file's header, crash librtmp 2.4.
#[test]
fn python_publishes_in_blocks_that_end_anywhere() {
    if ours_is_original() {
        return;
    }
    let stage = need!(Stage::set());
    let site = need!(Make::Ours.start(stage.folder.path()));
    let clip = need!(clip::without_index());
    for (program, sizes) in [
        (Program::DebiansPython, "13,1000"),
        (Program::PypisPython, "13,11,1,2,3,5000"),
        (Program::DebiansPython, "7,20,4096"),
    ] {
        let name = format!("{program:?}-{}", sizes.len());
        let (url, file) = (site.live(&name), stage.folder.join(&name));
        let player = need!(stage.player(&url, &file, Library::Ours));
        site.wait_for_players(&name, 1);
        need!(program.publish_in_blocks(Library::Ours, &clip, &url, sizes)).expect(&name);
        player.finish().expect(&name);
        stage.assert_complete(&file, &name);
    }
}

/// Over HTTP librtmp 2.4 loses messages that are published before the last request has been answered.
#[test]
fn programs_publish_over_http_faster_than_replies_arrive() {
    if ours_is_original() {
        return;
    }
    let stage = need!(Stage::set());
    let server = need!(examples::ExampleServer::start(Library::Ours, stage.folder.path()));
    let clip = need!(clip::without_index());
    for program in [Program::DebiansPython, Program::PypisPython, Program::GStreamer] {
        let (name, file) = (format!("{program:?}"), stage.folder.join(format!("{program:?}.flv")));
        let url = |protocol| server.url(protocol, &format!("live/{name}"));
        let arguments = ["-q", "--live", "-t", "50", "-o", &file.to_string_lossy(), &url("rtmp")];
        let player = need!(Client::example("receive", Library::Ours, &arguments));
        server.wait_for_log(&format!("plays live/{name}"));
        need!(program.publish(Library::Ours, &clip, &url("rtmpt"))).finish().expect(&name);
        player.finish().expect(&name);
        let found = flv::media(&flv::load(&file));
        assert!(found.len() > 150, "{name}: only {} frames", found.len());
        if program != Program::GStreamer {
            stage.assert_complete(&file, &name);
        }
    }
}

/// A server that continues only when its bytes were acknowledged, and never announces a bandwidth.
#[test]
fn rtmpdump_acknowledges_to_a_server_that_sends_only_its_window() {
    if ours_is_original() {
        return;
    }
    let stage = need!(Stage::set());
    let film = stage.film.clone();
    let server = Server::once(move |peer| {
        peer.accept_connect();
        peer.send(&Message::new(2, 0, 5, 0, &5000_u32.to_be_bytes()));
        peer.accept_create();
        peer.wait_for("play");
        peer.status(1, "status", "NetStream.Play.Start", "");
        peer.set_chunk_size(4096);
        let mut unacknowledged = 0;
        for tag in &film {
            peer.send(&Message::new(6, tag.timestamp, tag.kind, 1, &tag.body));
            unacknowledged += tag.body.len();
            while unacknowledged > 12_000 {
                let message = peer.next(Duration::from_secs(20)).expect("an acknowledgement");
                unacknowledged = if message.kind == 3 { 0 } else { unacknowledged };
            }
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    });
    let file = stage.folder.join("received.flv");
    let url = format!("rtmp://127.0.0.1:{}/app/film", server.port);
    need!(examples::rtmpdump(Library::Ours, &url, &file));
    server.join();
    stage.assert_whole(&file, "rtmpdump");
}

/// An HTTP server that accepts requests and never answers.
#[test]
fn programs_give_up_an_http_server_that_never_answers() {
    if ours_is_original() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("rtmpt://{}/app/film", listener.local_addr().expect("it is bound"));
    let run =
        need!(Client::installed("rtmpdump", Library::Ours, &["-r", &url, "-o", "/dev/null", "-m", "1"]))
            .finish();
    assert!(!run.timed_out && matches!(run.code, Some(1..)), "{run:?}");
}
