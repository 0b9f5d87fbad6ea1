//! Publishers with each server.

use std::fs;

use super::BOTH;
use super::programs::{PUBLISHERS, Program};
use crate::support::examples::{Client, LIMIT};
use crate::support::flv;
use crate::support::library::ours_is_original;
use crate::support::servers::Nginx;
use crate::support::site::Make;
use crate::support::stage::Stage;
use crate::support::{self, Library, clip, foreign};

/// Each publisher's stream reaches a player, the same on both libraries.
fn published(make: Make) {
    let stage = need!(Stage::set());
    let site = need!(make.start(stage.folder.path()));
    let clip = need!(clip::without_index());
    let cells = PUBLISHERS.iter().flat_map(|program| BOTH.map(|library| (*program, library)));
    let mut waiting = Vec::new();
    for (program, library) in cells {
        let name = format!("{program:?}-{library:?}");
        let (url, file) = (site.live(&name), stage.folder.join(&name));
        let arguments = ["-q", "--live", "-t", "50", "-o", &file.to_string_lossy(), &url];
        let player = need!(Client::example("receive", Library::Ours, &arguments));
        site.wait_for_players(&name, 1);
        let publisher = need!(program.publish(library, &clip, &url));
        waiting.push((program, library, player, publisher, file));
    }
    let mut results = Vec::new();
    for (program, library, player, publisher, file) in waiting {
        let what = format!("{program:?} on {library:?}, to {make:?}");
        let (run, received) = (publisher.finish(), player.finish());
        assert_eq!(run.code, Some(0), "{what}: {run:?}");
        assert!(file.exists(), "{what}: {received:?}");
        // GStreamer publishes the film's frames in its own tags.
        if program != Program::GStreamer {
            stage.assert_complete(&file, &what);
        }
        results.push((what, flv::media(&flv::load(&file))));
    }
    for pair in results.chunks(BOTH.len()) {
        let [(_, original), (what, ours)] = pair else { panic!("both libraries were used") };
        assert!(ours.len() > 100, "{what}: only {} frames", ours.len());
        flv::assert_equal(original, ours, what);
    }
}

#[test]
fn publishers_reach_nginx() {
    published(Make::Nginx);
}

#[test]
fn publishers_reach_our_server() {
    published(Make::Ours);
}

#[test]
fn publishers_reach_node_media_server() {
    published(Make::NodeMediaServer);
}

/// The server refuses players that come before the publisher, and they miss one that is faster than they. GStreamer alone
/// takes as long as the film; of the others the server has to have read everything.
#[test]
fn publishers_reach_node_rtsp_rtmp_server() {
    let stage = need!(Stage::set());
    let site = need!(Make::NodeRtspRtmpServer.start(stage.folder.path()));
    // Long enough for a player that comes late.
    let long = need!(clip::repeated(&stage.folder.join("long.flv"), 4));
    let short = need!(clip::without_index());
    let mut waiting = Vec::new();
    for program in PUBLISHERS {
        for library in BOTH {
            let name = format!("{program:?}-{library:?}");
            let (url, file) = (site.live(&name), stage.folder.join(&name));
            let clip = if program == Program::GStreamer { &long } else { &short };
            let publisher = need!(program.publish(library, clip, &url));
            site.wait_for_publisher(&name);
            let arguments = ["-q", "--live", "-t", "50", "-o", &file.to_string_lossy(), &url];
            let player = (program == Program::GStreamer)
                .then(|| Client::example("receive", Library::Ours, &arguments));
            waiting.push((name, publisher, player, file));
        }
    }
    for (name, publisher, player, file) in waiting {
        publisher.finish().expect(&name);
        let goodbye = format!("FCUnpublish: {name}\n");
        let all_read = support::wait_until(LIMIT, || site.log().contains(&goodbye));
        assert!(all_read, "{name}: {}", site.log());
        if let Some(player) = player {
            need!(player).finish().expect(&name);
            foreign::assert_part(&flv::load(&long), &file, 20, &name);
        }
    }
}

/// curl passes its film in blocks of 64 kB that end anywhere, and passes bytes again that a call did not
/// count. librtmp 2.4 crashes.
#[test]
fn curl_publishes_a_long_file() {
    let stage = need!(Stage::set());
    let long = need!(clip::repeated(&stage.folder.join("long.flv"), 200));
    let sent = flv::media(&flv::load(&long));
    assert!(fs::metadata(&long).is_ok_and(|data| data.len() > 100 * 65_536), "the film is not long");
    for library in BOTH {
        let what = format!("curl on {library:?}, a long film");
        let nginx = need!(Nginx::start());
        // The recording, since a player that is slower than curl misses messages that a server does not keep
        // for it.
        let run = need!(Program::Curl.publish(library, &long, &nginx.url("record", "long"))).finish();
        nginx.wait_for_disconnects(1);
        let recorded = flv::media(&flv::load_part(&nginx.recording("long")));
        let received = flv::assert_contiguous(&sent, &recorded, &what);
        if library == Library::Ours && !ours_is_original() {
            assert_eq!(run.code, Some(0), "{what}: {run:?}");
            assert_eq!(received, sent.iter().filter(|tag| !tag.is_sequence_header()).count(), "{what}");
        }
    }
}
