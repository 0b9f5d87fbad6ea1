//! The example programs with real servers and players: what is sent arrives, tag for tag.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::flv::{self, Tag};
use crate::support::program::{self, LoaderLog};
use crate::support::relay::Relay;
use crate::support::servers::{self, Nginx};
use crate::support::{Library, Program, Run, Running, TempDir, clip, library, process, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// A clip that ffmpeg made, as librtmp hands it on.
fn film() -> Option<(std::path::PathBuf, Vec<Tag>)> {
    let clip = clip::flv()?;
    let tags = flv::readable(&flv::load(&clip));
    Some((clip, tags))
}

/// Starts an example on a library.
fn start(name: &str, library: Library, arguments: &[&str]) -> Option<(Running, LoaderLog)> {
    let mut command = Program::example(name)?.command(library)?;
    command.args(arguments);
    let loader = LoaderLog::of(&mut command);
    Some((Running::start(&mut command), loader))
}

/// Runs an example to its end and proves that it used the right library.
fn run(name: &str, library: Library, arguments: &[&str]) -> Option<Run> {
    let (mut running, loader) = start(name, library, arguments)?;
    let status = running.wait(LIMIT);
    loader.assert_loaded(library);
    let code = status.and_then(|status| status.code());
    Some(Run { code, stdout: running.stdout(), stderr: running.stderr(), timed_out: status.is_none() })
}

/// The recording contains all frames of the film, from the first to the last.
fn assert_complete(film: &[Tag], file: &Path, what: &str) {
    let frames =
        |tags: &[Tag]| tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
    let found = flv::readable(&flv::load(file));
    let received = flv::assert_contiguous(film, &found, what);
    assert_eq!(received, frames(film), "{what}: all frames have to arrive");
}

fn publishes_to_nginx(example: &str) {
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    for library in [Library::Original, Library::Ours] {
        let name = format!("{library:?}");
        let url = nginx.url("record", &name);
        let run = need!(run(example, library, &["-t", "10", &clip.to_string_lossy(), &url]));
        assert_eq!(run.code, Some(0), "{example} on {library:?}: {}", run.stderr);
        let recording = nginx.recording(&name);
        let file = || fs::metadata(&recording).map_or(0, |data| data.len());
        // nginx writes the recording during the stream; it writes the last tag when it notices that the
        // publisher has left.
        wait_until(Duration::from_secs(5), || file() >= fs::metadata(&clip).map_or(0, |data| data.len()) / 2);
        nginx.wait_for_disconnects(1 + usize::from(library == Library::Ours));
        assert_complete(&film, &recording, &format!("{example} on {library:?} to nginx"));
    }
}

#[test]
fn publish_sends_a_file_to_nginx() {
    publishes_to_nginx("publish");
}

#[test]
fn publish_packets_sends_a_file_to_nginx() {
    publishes_to_nginx("publish_packets");
}

fn publishes_to_ffmpeg(example: &str, library: Library) {
    let (clip, film) = need!(film());
    let directory = TempDir::new("ffmpeg-listen");
    let file = directory.join("received.flv");
    let port = process::free_port();
    let mut ffmpeg = need!(servers::ffmpeg_listening(port, &file));
    let url = format!("rtmp://127.0.0.1:{port}/live/stream");
    let run = need!(run(example, library, &["-t", "10", &clip.to_string_lossy(), &url]));
    assert_eq!(run.code, Some(0), "{example} on {library:?}: {}", run.stderr);
    // ffmpeg ends with the stream; some versions call that an error.
    assert!(ffmpeg.wait(LIMIT).is_some(), "ffmpeg did not end: {}", ffmpeg.stderr());
    let found = flv::readable(&flv::load(&file));
    let received = flv::assert_contiguous(&film, &found, &format!("{example} on {library:?} to ffmpeg"));
    assert!(received > 100, "only {received} frames arrived");
}

#[test]
fn publish_sends_a_file_to_ffmpeg() {
    publishes_to_ffmpeg("publish", Library::Original);
    publishes_to_ffmpeg("publish", Library::Ours);
}

#[test]
fn publish_packets_sends_a_file_to_ffmpeg() {
    publishes_to_ffmpeg("publish_packets", Library::Original);
    publishes_to_ffmpeg("publish_packets", Library::Ours);
}

#[test]
fn receive_records_a_file_from_nginx() {
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new("receive-file");
    for library in [Library::Original, Library::Ours] {
        let file = directory.join(format!("{library:?}.flv"));
        let url = nginx.url("vod", "film");
        let run = need!(run("receive", library, &["-t", "10", "-o", &file.to_string_lossy(), &url]));
        assert_eq!(run.code, Some(0), "receive on {library:?}: {}", run.stderr);
        flv::assert_equal(
            &flv::media(&film),
            &flv::media(&flv::load(&file)),
            &format!("receive on {library:?}"),
        );
    }
}

#[test]
fn receive_records_a_live_stream_from_nginx() {
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    let directory = TempDir::new("receive-live");
    let url = nginx.url("live", "film");
    let mut receivers = Vec::new();
    for library in [Library::Original, Library::Ours] {
        let file = directory.join(format!("{library:?}.flv"));
        let arguments = ["--live", "-t", "10", "-o", &file.to_string_lossy(), &url];
        receivers.push((library, file.clone(), need!(start("receive", library, &arguments))));
    }
    nginx.wait_for_players(receivers.len());
    let mut publisher = need!(servers::publish_with_ffmpeg(&clip, &url));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    for (library, file, (mut running, loader)) in receivers {
        let status = running.wait(LIMIT);
        loader.assert_loaded(library);
        assert!(
            status.is_some_and(|status| status.success()),
            "receive on {library:?}: {}",
            running.stderr()
        );
        assert_complete(&film, &file, &format!("receive on {library:?}, live"));
    }
}

/// A film is published to our server; others play it from there, and the server records it.
///
/// With our library ffmpeg publishes and plays: it uses the signed handshake. librtmp 2.4 refuses that
/// ("Client not genuine Adobe!", RTMP_Serve), so only librtmp's own programs take part with it.
fn relays(library: Library) {
    let (clip, film) = need!(film());
    let with_ffmpeg = library == Library::Ours && !library::ours_is_original();
    let directory = TempDir::new("relay");
    let relay = need!(Relay::start(library, &["-r", &directory.path().to_string_lossy()]));
    assert!(relay.process.mapped_librtmp().len() == 1, "{:?}", relay.process.mapped_librtmp());
    let url = relay.url("film");
    let mut publisher = if with_ffmpeg {
        need!(servers::publish_with_ffmpeg(&clip, &url))
    } else {
        need!(start("publish", library, &["-t", "10", &clip.to_string_lossy(), &url])).0
    };
    relay.wait_for_log("publishes");
    let received = directory.join("received.flv");
    let arguments = ["--live", "-t", "10", "-o", &received.to_string_lossy(), &url];
    let (mut receiver, _) = need!(start("receive", library, &arguments));
    let mut files = vec![("receive", received)];
    if with_ffmpeg {
        let played = directory.join("played.flv");
        let mut ffmpeg = std::process::Command::new(need!(crate::support::require::program("ffmpeg")));
        ffmpeg.args(["-hide_banner", "-loglevel", "error", "-y", "-rtmp_live", "live", "-i", &url]);
        ffmpeg.args(["-c", "copy", "-copyts", "-f", "flv"]).arg(&played);
        let mut player = Running::start(&mut ffmpeg);
        assert!(player.wait(LIMIT).is_some(), "ffmpeg still plays: {}", player.stderr());
        files.push(("ffmpeg", played));
    }
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    assert!(receiver.wait(LIMIT).is_some_and(|status| status.success()), "{}", receiver.stderr());
    for (what, file) in &files {
        let tags = flv::readable(&flv::load(file));
        let frames =
            flv::assert_contiguous(&film, &tags, &format!("{what} plays from the server on {library:?}"));
        assert!(frames > 40, "{what}: only {frames} frames");
        let first = tags.iter().find(|tag| tag.kind == 9 && !tag.is_sequence_header());
        assert!(first.is_some_and(Tag::is_key_frame), "{what}: pictures start with a key frame");
    }
    relay.wait_for_log("gone");
    let known: Vec<&Path> = files.iter().map(|(_, file)| file.as_path()).collect();
    let recording = find_flv(directory.path(), &known);
    let complete = || flv::parse(&fs::read(&recording).unwrap_or_default()).is_ok();
    assert!(wait_until(Duration::from_secs(5), complete), "the recording stays incomplete");
    assert_complete(&film, &recording, &format!("recorded by the server on {library:?}"));
}

/// The one other FLV file below a directory.
fn find_flv(directory: &Path, known: &[&Path]) -> std::path::PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the directory is ours").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|name| name == "flv") && !known.contains(&path.as_path()) {
                found.push(path);
            }
        }
    }
    assert_eq!(found.len(), 1, "one recording expected: {found:?}");
    found.remove(0)
}

#[test]
fn the_server_relays_and_records_on_the_original() {
    relays(Library::Original);
}

#[test]
fn the_server_relays_and_records_on_ours() {
    relays(Library::Ours);
}

#[test]
fn the_server_plays_files() {
    let (clip, film) = need!(film());
    let directory = TempDir::new("server-files");
    fs::copy(&clip, directory.join("film.flv")).expect("the build directory is writable");
    for library in [Library::Original, Library::Ours] {
        let relay = need!(Relay::start(library, &["-d", &directory.path().to_string_lossy()]));
        let file = directory.join(format!("{library:?}.out"));
        let output = file.to_string_lossy();
        // A client with the other library: both must be able to talk to each other.
        let other = if library == Library::Ours { Library::Original } else { Library::Ours };
        let run = need!(run("receive", other, &["-t", "10", "-o", &output, &relay.url("film")]));
        assert_eq!(run.code, Some(0), "receive on {other:?} from {library:?}: {}", run.stderr);
        let found = flv::media(&flv::load(&file));
        flv::assert_equal(&flv::media(&film), &found, &format!("a file from the server on {library:?}"));
    }
}

/// Programs end with an error and its reason if their file cannot be written or read, or if there is no
/// server.
#[test]
fn examples_print_the_error() {
    let directory = TempDir::new("example-errors");
    let port = process::free_port();
    let url = format!("rtmp://127.0.0.1:{port}/live/stream");
    let missing = directory.join("no/such/folder/file.flv");
    let missing = missing.to_string_lossy();
    let cases: &[(&str, &[&str])] = &[
        ("receive", &["-o", &missing, &url]),
        ("publish", &[&missing, &url]),
        ("publish_packets", &[&missing, &url]),
        ("receive", &["-t", "2", "-o", "/dev/null", &url]),
    ];
    for (name, arguments) in cases {
        let run = need!(run_unproved(name, arguments));
        assert!(matches!(run.code, Some(1..)), "{name} {arguments:?} ended with {:?}", run.code);
        assert!(!run.stderr.trim().is_empty(), "{name} {arguments:?} says nothing");
    }
}

fn run_unproved(name: &str, arguments: &[&str]) -> Option<Run> {
    let mut command = Program::example(name)?.command(Library::Ours)?;
    Some(program::run(command.args(arguments), "", LIMIT))
}
