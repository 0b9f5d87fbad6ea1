//! Log callbacks that use the library.
#![forbid(unsafe_code)]

mod support;

use std::{fs, time::Duration};

use support::{Library, Peer, Program, Server, library, wire::Message};

const LIMIT: Duration = Duration::from_secs(60);

fn film(peer: &mut Peer) {
    peer.accept_play();
    for frame in 0..20_u32 {
        peer.send(&Message::new(6, frame * 40, 9, 1, &[frame as u8; 700]));
    }
    peer.finish();
    peer.drain(LIMIT);
}

#[test]
fn a_callback_cannot_disturb_the_call_that_reports() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("in_callback"));
    let server = Server::once(film);
    let url = format!("rtmp://127.0.0.1:{}/app/stream", server.port);
    let run = need!(program.run(Library::Ours, &[&url], "", LIMIT));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    // RTMP_ERR_CLOSED, by the peer.
    let read = 13 + 20 * (11 + 700 + 4);
    assert_eq!(run.stdout, format!("opened 1, read {read}, error 14\n"), "{}", run.stderr);
    server.join();
}

/// Also those of a later version.
#[test]
fn every_function_of_a_session_is_called_from_inside_a_callback() {
    let package = library::package();
    let read = |path: &str| fs::read_to_string(package.join(path)).expect("it is there");
    let (header, program) = (read("include/librtmp/rtmp.h"), read("tests/c/in_callback.c"));
    let takes_session = |line: &&str| {
        line.contains("RTMP *r") || line.contains("RTMPSockBuf *sb") || line.contains("struct RTMP *r")
    };
    let names: Vec<&str> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with('*'))
        .filter(takes_session)
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .collect();
    let missing: Vec<_> = names.iter().filter(|name| !program.contains(**name)).collect();
    assert!(names.len() > 35 && missing.is_empty(), "{} functions, without {missing:?}", names.len());
}
