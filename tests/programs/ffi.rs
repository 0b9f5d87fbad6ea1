//! Other languages on our library: the programs of `c-examples/ffi` play a film from the example server and from nginx, and
//! publish one, tag for tag, and report errors.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::program::{self, LoaderLog, Run};
use crate::support::relay::Relay;
use crate::support::servers::Nginx;
use crate::support::wire::Message;
use crate::support::{Library, Server, TempDir, clip, examples, flv, library, process, require};

const LIMIT: Duration = Duration::from_secs(60);

fn source(name: &str) -> PathBuf {
    library::package().join("c-examples/ffi").join(name)
}

/// Runs `rtmp play URL FILE` with our library, and proves that it used it.
fn play(command: &dyn Fn() -> Command, url: &str, file: &Path) -> Run {
    call(command, &["play", url, &file.to_string_lossy()])
}

fn call(command: &dyn Fn() -> Command, arguments: &[&str]) -> Run {
    let mut command = command();
    command.env("LD_LIBRARY_PATH", Library::Ours.directory().expect("ours is always there"));
    command.args(arguments);
    let loader = LoaderLog::of(&mut command);
    let run = program::run(&mut command, "", LIMIT);
    loader.assert_loaded(Library::Ours);
    run
}

/// Plays a film, asks for one that does not exist, and publishes.
fn plays_and_publishes(language: &str, command: impl Fn() -> Command) {
    let clip = need!(clip::flv());
    let directory = TempDir::new("ffi");
    fs::copy(&clip, directory.join("film.flv")).expect("the build directory is writable");
    let server = need!(Relay::start(Library::Ours, &["-d", &directory.path().to_string_lossy()]));
    let file = directory.join("received.flv");
    play(&command, &server.url("film"), &file).expect(language);
    let (sent, found) = (flv::load(&clip), flv::load(&file));
    flv::assert_equal(&flv::readable(&flv::media(&sent)), &flv::media(&found), language);

    // A server of another make, which keeps the connection open at the end.
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let file = directory.join("from-nginx.flv");
    play(&command, &nginx.url("vod", "film"), &file).expect(language);
    flv::assert_equal(&flv::readable(&flv::media(&sent)), &flv::media(&flv::load(&file)), language);

    let missing = directory.join("missing.flv");
    let run = play(&command, &server.url("missing start=1"), &missing);
    assert!(!run.timed_out && run.code == Some(4), "{language}: {run:?}");
    // With the reason, which the server and the library know, and once.
    assert!(
        run.stderr.ends_with(": the server refuses the stream (play: NetStream.Play.StreamNotFound)\n")
            && run.stderr.lines().count() == 1,
        "{language}: {run:?}"
    );
    assert!(!missing.exists(), "{language}");

    let nobody = format!("rtmp://127.0.0.1:{}/app/film", process::free_port());
    assert_eq!(play(&command, &nobody, &missing).code, Some(3), "{language}");
    let lost = Server::once(|peer| {
        peer.accept_play();
        peer.send(&Message::new(4, 0, 8, 1, &[0xAF; 33]));
        peer.finish();
    });
    let run = play(&command, &lost.url(), &missing);
    lost.join();
    assert_eq!(run.code, Some(5), "{language}: {run:?}");
    let full = play(&command, &server.url("film"), Path::new("/dev/full"));
    assert!(
        full.code == Some(7) && full.stderr.to_lowercase().contains("no space left"),
        "{language}: {full:?}"
    );

    let published = directory.join("published.flv");
    let player = examples::Client::example(
        "receive",
        Library::Ours,
        &["-q", "--live", "-o", &published.to_string_lossy(), &server.url("mine")],
    );
    let player = need!(player);
    // A player that asks for a live stream after its end would wait for another one.
    server.wait_for_log("plays live/mine");
    let film = clip.to_string_lossy();
    call(&command, &["publish", &film, &server.url("mine")]).expect(language);
    player.finish().expect("receive");
    flv::assert_equal(&flv::readable(&flv::media(&sent)), &flv::media(&flv::load(&published)), language);
    let url = server.url("mine");
    assert_eq!(call(&command, &["publish", "no-such-file", &url]).code, Some(8), "{language}");
    assert_eq!(call(&command, &["publish", &film, &nobody]).code, Some(3), "{language}");
    assert_eq!(call(&command, &["sing", &film, &url]).code, Some(2), "{language}");
}

#[test]
fn python_plays_and_publishes_with_ctypes() {
    let python = need!(require::program("python3"));
    plays_and_publishes("Python", || {
        let mut command = Command::new(&python);
        command.arg(source("rtmp.py"));
        command
    });
}

#[test]
fn node_plays_and_publishes_with_koffi() {
    let node = need!(require::program("node"));
    let modules = library::scratch().with_file_name("test-tools").join("koffi/node_modules");
    need!(require::file(&modules.join("koffi")));
    plays_and_publishes("Node", || {
        let mut command = Command::new(&node);
        command.arg(source("rtmp.js")).env("NODE_PATH", &modules);
        command
    });
}

#[test]
fn cpp_plays_and_publishes_with_an_object_that_closes_itself() {
    let compiler = need!(require::program("c++"));
    let directory = TempDir::new("ffi-cpp");
    let binary = directory.join("rtmp");
    let mut build = Command::new(compiler);
    build.args(["-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    build.args(program::include_arguments()).arg("-o").arg(&binary).arg(source("rtmp.cpp"));
    let library = Library::Ours.directory().expect("ours is always there");
    build.arg(format!("-L{}", library.display())).arg("-lrtmp");
    program::run(&mut build, "", LIMIT).expect("the C++ compiler");
    plays_and_publishes("C++", || Command::new(&binary));
}

#[test]
fn go_plays_and_publishes_with_cgo() {
    let go = need!(require::program("go"));
    need!(require::program("cc"));
    need!(require::program("pkg-config"));
    let directory = TempDir::new("ffi-go");
    let binary = directory.join("rtmp");
    let library = Library::Ours.directory().expect("ours is always there");
    let include = library::package().join("include");
    // Go's cache does not notice a change of this file, unlike changes of the variables below.
    let text = "Name: librtmp\nDescription: built here\nVersion: 2.4\nLibs: -lrtmp\n";
    fs::write(directory.join("librtmp.pc"), text).expect("the build directory is writable");
    // Go compiles its own standard library once, and keeps it.
    let cache = library::scratch().with_file_name("go-cache");
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(&binary).arg(source("rtmp.go"));
    build.env("PKG_CONFIG_PATH", directory.path()).env("GOCACHE", cache).env("GO111MODULE", "off");
    build.env("GOFLAGS", "").env("CGO_ENABLED", "1");
    build.env("CGO_LDFLAGS", format!("-L{}", library.display()));
    build.env("CGO_CFLAGS", format!("-I{}", include.display()));
    program::run(&mut build, "", Duration::from_secs(300)).expect("the Go compiler");
    plays_and_publishes("Go", || Command::new(&binary));
}

#[test]
fn java_plays_and_publishes_with_jna() {
    let compiler = need!(require::program("javac"));
    let java = need!(require::program("java"));
    let jna = need!(require::file(Path::new("/usr/share/java/jna.jar")));
    let directory = TempDir::new("ffi-java");
    let mut build = Command::new(compiler);
    build.args(["-Xlint:all", "-Werror", "-cp"]).arg(&jna).arg("-d").arg(directory.path());
    program::run(build.arg(source("Rtmp.java")), "", LIMIT).expect("the Java compiler");
    let path = format!("{}:{}", jna.display(), directory.path().display());
    plays_and_publishes("Java", || {
        let mut command = Command::new(&java);
        // There are few classes: a large heap and an optimising compiler cost more than they save.
        command.args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", &path, "Rtmp"]);
        command
    });
}
