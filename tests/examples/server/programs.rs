//! FFmpeg, GStreamer, rtmpdump and curl: they cut a URL at different places, and meet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::client::server;
use crate::support::examples::{ExampleServer, LIMIT};
use crate::support::{Library, Running, TempDir, clip, program, require, wait_until};

/// A program that publishes a clip at its own speed, or plays into a file.
struct Client {
    name: &'static str,
    /// Paths that it says itself it cannot use.
    without: &'static [&'static str],
    command: fn(url: &str, file: &str) -> Option<Command>,
}

const PUBLISHERS: [Client; 2] = [
    Client { name: "ffmpeg", without: &[], command: publish_with_ffmpeg },
    Client { name: "rtmp2sink", without: &["/name"], command: publish_with_gstreamer },
];

const PLAYERS: [Client; 5] = [
    Client { name: "ffmpeg", without: &[], command: play_with_ffmpeg },
    Client { name: "rtmp2src", without: &["/name"], command: play_with_gstreamer },
    Client { name: "rtmpdump", without: &["/name", "/live/k/"], command: play_with_rtmpdump },
    Client { name: "rtmpdump on librtmp", without: &["/name", "/live/k/"], command: play_with_the_original },
    Client { name: "curl", without: &[], command: play_with_curl },
];

fn installed(name: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(require::program(name)?);
    command.args(arguments);
    Some(command)
}

fn publish_with_ffmpeg(url: &str, clip: &str) -> Option<Command> {
    installed(
        "ffmpeg",
        &["-nostdin", "-loglevel", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", url],
    )
}

fn publish_with_gstreamer(url: &str, clip: &str) -> Option<Command> {
    let pipeline = format!(
        "-q filesrc location={clip} ! flvdemux name=d flvmux name=m streamable=true ! rtmp2sink sync=true location={url} \
         d.video ! queue ! m.video d.audio ! queue ! m.audio"
    );
    installed("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>())
}

fn play_with_ffmpeg(url: &str, file: &str) -> Option<Command> {
    installed(
        "ffmpeg",
        &[
            "-nostdin",
            "-loglevel",
            "error",
            "-i",
            url,
            "-c",
            "copy",
            "-flush_packets",
            "1",
            "-f",
            "flv",
            file,
        ],
    )
}

fn play_with_gstreamer(url: &str, file: &str) -> Option<Command> {
    let pipeline = format!("-q rtmp2src location={url} ! filesink buffer-mode=unbuffered location={file}");
    installed("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>())
}

fn rtmpdump(library: Library, url: &str, file: &str) -> Option<Command> {
    let mut command = program::on_library(&require::program("rtmpdump")?, library)?;
    command.args(["-v", "-r", url, "-o", file]);
    Some(command)
}

fn play_with_rtmpdump(url: &str, file: &str) -> Option<Command> {
    rtmpdump(Library::Ours, url, file)
}

fn play_with_the_original(url: &str, file: &str) -> Option<Command> {
    rtmpdump(Library::Original, url, file)
}

fn play_with_curl(url: &str, file: &str) -> Option<Command> {
    installed("curl", &["-sS", "--no-buffer", "-m", "60", "-o", file, url])
}

/// Plays until some of the clip has arrived.
fn play(player: &Client, server: &ExampleServer, path: &str, folder: &Path) -> Option<()> {
    let file = folder.join(player.name.replace(' ', "-"));
    let _ = fs::remove_file(&file);
    let mut running =
        Running::start(&mut (player.command)(&server.url("rtmp", &path[1..]), &file.to_string_lossy())?);
    let arrives = || fs::metadata(&file).is_ok_and(|file| file.len() > 20_000);
    let arrived = wait_until(LIMIT, || arrives() || running.ended().is_some()) && arrives();
    assert!(arrived, "{} plays {path}: {}\n{}", player.name, running.stderr(), server.log());
    Some(())
}

fn programs_meet(path: &str) {
    let clip = need!(clip::long()).to_string_lossy().into_owned();
    for publisher in PUBLISHERS.iter().filter(|publisher| !publisher.without.contains(&path)) {
        let (server, _files) = need!(server(Library::Ours, &[]));
        let folder = TempDir::new("meeting");
        let url = server.url("rtmp", &path[1..]);
        let _publishing = Running::start(&mut need!((publisher.command)(&url, &clip)));
        server.wait_for_log("publishes ");
        thread::scope(|scope| {
            for player in PLAYERS.iter().filter(|player| !player.without.contains(&path)) {
                let (server, folder) = (&server, folder.path());
                scope.spawn(move || play(player, server, path, folder));
            }
        });
    }
}

#[test]
fn a_url_with_one_name_is_a_stream() {
    programs_meet("/name");
}

#[test]
fn a_slash_at_the_end_does_not_matter() {
    programs_meet("/live/k/");
}

#[test]
fn a_slash_at_the_start_does_not_matter() {
    programs_meet("//live/k");
}

#[test]
fn inner_slashes_are_part_of_the_name() {
    programs_meet("/a/b/c/k");
}

#[test]
fn an_ending_and_a_query_do_not_matter() {
    programs_meet("/live/a/k.flv?token=x");
}
