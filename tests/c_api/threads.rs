//! Threads that share a session: one reads, another sends, a third aborts, while the log changes.
#![forbid(unsafe_code)]

use std::{process::Command, time::Duration};

use crate::support::{
    Library, Program,
    certs::{Authority, Valid},
    library, program,
};

const LIMIT: Duration = Duration::from_secs(120);

fn run(arguments: &[&str]) -> Option<()> {
    if library::ours_is_original() {
        return None;
    }
    let mut command: Command = Program::test("threads")?.command(Library::Ours)?;
    command.args(arguments);
    let output = program::run(&mut command, "", LIMIT).expect(&format!("threads {arguments:?}"));
    assert_eq!(output, format!("{} sessions\n", arguments[1]));
    Some(())
}

#[test]
fn over_rtmp() {
    need!(run(&["rtmp", "4", "300"]));
}

#[test]
fn over_rtmpe() {
    need!(run(&["rtmpe", "3", "200"]));
}

#[test]
fn over_rtmpt() {
    need!(run(&["rtmpt", "3", "60"]));
}

#[test]
fn over_rtmps() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let files = [certificate.chain.clone(), certificate.key.clone(), authority.certificate()];
    let files = files.map(|file| file.to_str().expect("a path that is text").to_owned());
    for (scheme, messages) in [("rtmps", "200"), ("rtmpts", "40")] {
        need!(run(&[scheme, "3", messages, &files[0], &files[1], &files[2]]));
    }
}
