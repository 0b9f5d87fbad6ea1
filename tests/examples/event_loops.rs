//! Event loops of others that carry sessions which never wait.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::library::package;
use crate::support::peer::bytes_of_sounds;
use crate::support::{Library, Running, Server, TempDir, require};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn asyncio_plays_several_streams_in_one_thread() {
    let python = need!(require::program("python3"));
    let directory = TempDir::new("asyncio");
    let counts = [5, 300, 2000];
    let servers: Vec<_> = counts.iter().map(|count| Server::of_sounds(*count)).collect();
    let mut command = Command::new(python);
    command.arg("-B").arg(package().join("c-examples/ffi/rtmp_asyncio.py"));
    for (server, count) in servers.iter().zip(counts) {
        command.arg(format!("{} timeout=20", server.url())).arg(directory.join(count.to_string()));
    }
    // One that fails leaves the others alone.
    command.arg("rtmp://127.0.0.1:1/app/name").arg(directory.join("none"));
    command.env("LD_LIBRARY_PATH", need!(Library::Ours.directory()));
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
}
