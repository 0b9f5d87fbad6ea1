//! All threads that may use a session at the same time, against a peer that floods, stalls, resets or waits
//! for an abort. Some seconds of it run here; the sanitizers run it as well: see `sanitizers.rs` and
//! `thread_sanitizer.rs`.
#![forbid(unsafe_code)]

use std::{process::Command, time::Duration};

use crate::support::{
    Library, Program,
    certs::{Authority, Valid},
    library, program,
};

const LIMIT: Duration = Duration::from_secs(120);

fn run(scheme: &str, milliseconds: &str, files: &[String]) -> Option<()> {
    if library::ours_is_original() {
        return None;
    }
    let mut command: Command = Program::test("stress")?.command(Library::Ours)?;
    command.args([scheme, milliseconds, "1"]).args(files);
    assert_eq!(program::run(&mut command, "", LIMIT).expect(scheme), "done\n", "{scheme}");
    Some(())
}

#[test]
fn senders_and_reader_survive_a_hostile_peer_over_rtmp() {
    need!(run("rtmp", "2000", &[]));
    need!(run("rtmpe", "1000", &[]));
}

#[test]
fn senders_and_reader_survive_a_hostile_peer_over_rtmpt() {
    need!(run("rtmpt", "1000", &[]));
}

#[test]
fn senders_and_reader_survive_a_hostile_peer_over_rtmps() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let files = [certificate.chain.clone(), certificate.key.clone(), authority.certificate()];
    let files = files.map(|file| file.to_str().expect("a path that is text").to_owned());
    need!(run("rtmps", "1500", &files));
    need!(run("rtmpts", "1000", &files));
}
