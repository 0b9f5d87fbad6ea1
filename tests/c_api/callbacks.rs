//! Log callbacks that use the library, or do not return to it.
#![forbid(unsafe_code)]

use std::{fs, os::unix::process::ExitStatusExt, process::Command, time::Duration};

use crate::support::{Library, Peer, Program, Server, TempDir, library, program, require, wire::Message};

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
    assert_eq!(run.stdout, format!("opened 1, read {FILM}, error 14\n"), "{}", run.stderr);
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

/// Runs `tests/c/leaving.cpp`; returns its output, and the signal that ended it. The server plays to this
/// many clients.
fn leave(how: &str, clients: usize) -> Option<(String, Option<i32>)> {
    if library::ours_is_original() {
        return None;
    }
    let directory = TempDir::new("leaving");
    let binary = directory.join("leaving");
    let mut compile = Command::new(require::program("c++")?);
    compile.args(["-std=c++17", "-g", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&binary);
    compile.args(program::include_arguments()).arg(library::package().join("tests/c/leaving.cpp"));
    compile.arg(format!("-L{}", program::link_directory().display())).args(["-lrtmp", "-lpthread"]);
    let output = compile.output().expect("the compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Server::listen(move |listener| {
        for _ in 0..clients {
            film(&mut Peer::accept(listener));
        }
    });
    let mut command = Command::new(&binary);
    command.args([how, &format!("rtmp://127.0.0.1:{}/app/stream", server.port)]);
    command.env("LD_LIBRARY_PATH", Library::Ours.directory()?);
    let output = command.output().expect("the program starts");
    server.join();
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.signal()))
}

const FILM: usize = 13 + 20 * (11 + 700 + 4);

#[test]
fn an_exception_passes_through_a_log_call_of_the_program() {
    let (printed, signal) = need!(leave("own", 1));
    assert_eq!((printed, signal), (format!("caught: from a callback\nread {FILM}\n"), None));
}

#[test]
fn an_exception_through_another_call_ends_the_process() {
    const ABORTED: i32 = 6;
    assert_eq!(need!(leave("call", 0)), (String::new(), Some(ABORTED)));
}

#[test]
fn longjmp_out_of_a_call_affects_only_its_session() {
    let (printed, signal) = need!(leave("jump", 2));
    assert_eq!((printed, signal), (format!("refused 1\nread {FILM}\nread {FILM}\n"), None));
}
