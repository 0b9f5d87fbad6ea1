//! A session that continues in a child process, and one that a child begins.
#![cfg(unix)]
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::{Library, Peer, Program, Server, library, wire::Message};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn session_continues_in_the_child_after_the_parent_closes_its_socket() {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("forked"));
    let server = Server::listen(|listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            for frame in 0..200_u32 {
                peer.send(&Message::new(6, frame * 40, 9, 1, &[frame as u8; 700]));
            }
            peer.finish();
            peer.drain(LIMIT);
            // The parent sent nothing when it closed, and each child one goodbye.
            let goodbyes = peer.messages.iter().filter(|message| message.kind == 0x14).count();
            assert!(goodbyes <= 4, "{goodbyes} commands");
        }
    });
    // The name is looked up, by a thread that the child does not have.
    let url = format!("rtmp://localhost:{}/app/stream ipv=4", server.port);
    let run = need!(program.run(Library::Ours, &[&url, &url], "", LIMIT));
    let film = 13 + 200 * (11 + 700 + 4);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), format!("{film} {film}\n").as_str()),
        "{}",
        run.stderr
    );
    server.join();
}
