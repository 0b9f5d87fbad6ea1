//! Other languages on our library: the small receivers of `c-examples/ffi` record a film from the example server and from
//! nginx, tag for tag, and say so when there is none.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::program::{self, LoaderLog, Run};
use crate::support::relay::Relay;
use crate::support::servers::Nginx;
use crate::support::wire::Message;
use crate::support::{Library, Server, TempDir, clip, flv, library, process, require};

const LIMIT: Duration = Duration::from_secs(60);

fn source(name: &str) -> PathBuf {
    library::package().join("c-examples/ffi").join(name)
}

/// Runs `receive URL FILE` with our library, and proves that it used it.
fn receive(command: &dyn Fn() -> Command, url: &str, file: &Path) -> Run {
    let mut command = command();
    command.env("LD_LIBRARY_PATH", Library::Ours.directory().expect("ours is always there"));
    command.arg(url).arg(file);
    let loader = LoaderLog::of(&mut command);
    let run = program::run(&mut command, "", LIMIT);
    loader.assert_loaded(Library::Ours);
    run
}

/// Records a film, and asks for one that is not there.
fn records_a_film(language: &str, command: impl Fn() -> Command) {
    let clip = need!(clip::flv());
    let directory = TempDir::new("ffi");
    fs::copy(&clip, directory.join("film.flv")).expect("the build directory is writable");
    let server = need!(Relay::start(Library::Ours, &["-d", &directory.path().to_string_lossy()]));
    let file = directory.join("received.flv");
    receive(&command, &server.url("film"), &file).expect(language);
    let (sent, found) = (flv::load(&clip), flv::load(&file));
    flv::assert_equal(&flv::readable(&flv::media(&sent)), &flv::media(&found), language);

    // A server of another make, which keeps the connection open at the end.
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let file = directory.join("from-nginx.flv");
    receive(&command, &nginx.url("vod", "film"), &file).expect(language);
    flv::assert_equal(&flv::readable(&flv::media(&sent)), &flv::media(&flv::load(&file)), language);

    let missing = directory.join("missing.flv");
    let run = receive(&command, &server.url("missing start=1"), &missing);
    assert!(!run.timed_out && run.code == Some(4), "{language}: {run:?}");
    // With the reason, which the server and the library know, and once.
    assert!(
        run.stderr.ends_with(": the stream does not play (play: NetStream.Play.StreamNotFound)\n")
            && run.stderr.lines().count() == 1,
        "{language}: {run:?}"
    );
    assert!(!missing.exists(), "{language}");

    let nobody = format!("rtmp://127.0.0.1:{}/app/film", process::free_port());
    assert_eq!(receive(&command, &nobody, &missing).code, Some(3), "{language}");
    let lost = Server::once(|peer| {
        peer.accept_play();
        peer.send(&Message::new(4, 0, 8, 1, &[0xAF; 33]));
        peer.finish();
    });
    let run = receive(&command, &lost.url(), &missing);
    lost.join();
    assert_eq!(run.code, Some(5), "{language}: {run:?}");
    let full = receive(&command, &server.url("film"), Path::new("/dev/full"));
    assert!(
        full.code == Some(7) && full.stderr.to_lowercase().contains("no space left"),
        "{language}: {full:?}"
    );
}

#[test]
fn python_records_with_ctypes() {
    let python = need!(require::program("python3"));
    records_a_film("Python", || {
        let mut command = Command::new(&python);
        command.arg(source("receive.py"));
        command
    });
}

#[test]
fn node_records_with_koffi() {
    let node = need!(require::program("node"));
    let modules = library::scratch().with_file_name("test-tools").join("koffi/node_modules");
    need!(require::file(&modules.join("koffi")));
    records_a_film("Node", || {
        let mut command = Command::new(&node);
        command.arg(source("receive.js")).env("NODE_PATH", &modules);
        command
    });
}

#[test]
fn cpp_records_with_an_object_that_closes_itself() {
    let compiler = need!(require::program("c++"));
    let directory = TempDir::new("ffi-cpp");
    let binary = directory.join("receive");
    let mut build = Command::new(compiler);
    build.args(["-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    build.args(program::include_arguments()).arg("-o").arg(&binary).arg(source("receive.cpp"));
    let library = Library::Ours.directory().expect("ours is always there");
    build.arg(format!("-L{}", library.display())).arg("-lrtmp");
    program::run(&mut build, "", LIMIT).expect("the C++ compiler");
    records_a_film("C++", || Command::new(&binary));
}
