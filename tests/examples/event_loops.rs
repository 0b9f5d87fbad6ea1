//! Event loops of other libraries that run sessions which never wait.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::library::package;
use crate::support::peer::bytes_of_sounds;
use crate::support::{Library, Running, Server, TempDir, require};

const LIMIT: Duration = Duration::from_secs(60);

/// Plays three streams, and one that fails, with a program that takes URLs and files.
fn plays_several(mut command: Command) -> Option<()> {
    let directory = TempDir::new("event-loops");
    let counts = [5, 300, 2000];
    let servers: Vec<_> = counts.iter().map(|count| Server::of_sounds(*count)).collect();
    for (server, count) in servers.iter().zip(counts) {
        command.arg(format!("{} timeout=20", server.url())).arg(directory.join(count.to_string()));
    }
    // A stream that fails does not affect the others.
    command.arg("rtmp://127.0.0.1:1/app/name").arg(directory.join("none"));
    command.env("LD_LIBRARY_PATH", Library::Ours.directory()?);
    let mut running = Running::start(&mut command);
    let status = running.wait(LIMIT).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", running.stderr());
    let complaints = running.stderr();
    assert!(complaints.lines().count() == 1 && complaints.contains("connection refused"), "{complaints}");
    for (server, count) in servers.into_iter().zip(counts) {
        server.join();
        let size = fs::metadata(directory.join(count.to_string())).expect("it was written").len();
        assert_eq!(size, u64::from(bytes_of_sounds(count)), "{count}: {complaints}");
    }
    Some(())
}

/// A program of `c-examples/loops`, with a library that `pkg-config` knows.
fn compiled(directory: &TempDir, name: &str, library: &str) -> Option<Command> {
    let (compiler, config) = (require::program("cc")?, require::program("pkg-config")?);
    let flags = Command::new(config).args(["--cflags", "--libs", library]).output().expect("it was found");
    if !flags.status.success() {
        // The library's package is not installed.
        return require::file(std::path::Path::new("/usr/include").join(library).as_path()).and(None);
    }
    let flags = String::from_utf8(flags.stdout).expect("options are text");
    let binary = directory.join(name);
    let mut compile = Command::new(compiler);
    compile
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(package().join("include"));
    compile.arg("-o").arg(&binary).arg(package().join("c-examples/loops").join(name).with_extension("c"));
    compile.args(flags.split_whitespace()).arg("-L").arg(Library::Ours.directory()?).arg("-lrtmp");
    let output = compile.output().expect("it was found");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Command::new(binary))
}

#[test]
fn libuv_plays_several_streams_in_one_thread() {
    let directory = TempDir::new("libuv");
    need!(plays_several(need!(compiled(&directory, "uv", "libuv"))));
}

#[test]
fn glib_plays_several_streams_in_one_thread() {
    let directory = TempDir::new("glib");
    need!(plays_several(need!(compiled(&directory, "glib", "glib-2.0"))));
}

#[test]
fn asyncio_plays_several_streams_in_one_thread() {
    let mut command = Command::new(need!(require::program("python3")));
    command.arg("-B").arg(package().join("c-examples/ffi/rtmp_asyncio.py"));
    need!(plays_several(command));
}
