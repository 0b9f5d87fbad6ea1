//! Unmodified programs on our library: what rtmpdump and curl record from nginx is the same, tag for tag, as what they
//! record with the original at the same time.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::amf::{self, Value};
use support::flv::{self, Tag};
use support::program::{self, LoaderLog, Run};
use support::servers::{self, Nginx};
use support::wire::Message;
use support::{Library, Running, Server, TempDir, clip, library::ours_is_original, require};

const LIMIT: Duration = Duration::from_secs(60);
const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// A program running on one of the libraries.
struct Client {
    library: Library,
    running: Running,
    loader: LoaderLog,
}

impl Client {
    fn start(name: &str, library: Library, arguments: &[&str]) -> Option<Self> {
        let mut command: Command = program::on_library(&require::program(name)?, library)?;
        command.args(arguments);
        let loader = LoaderLog::of(&mut command);
        Some(Self { library, running: Running::start(&mut command), loader })
    }

    /// Waits for the end; proves that the right library was used.
    fn finish(mut self) -> Run {
        let status = self.running.wait(LIMIT);
        self.loader.assert_loaded(self.library);
        Run {
            code: status.and_then(|status| status.code()),
            stdout: self.running.stdout(),
            stderr: self.running.stderr(),
            timed_out: status.is_none(),
        }
    }
}

/// Runs a program on both libraries, one after the other, each writing a file of its own; `arguments` gets that file.
fn on_both(
    name: &str,
    directory: &TempDir,
    arguments: impl Fn(Library, &Path) -> Vec<String>,
) -> Option<Vec<(PathBuf, Run)>> {
    let mut results = Vec::new();
    for library in BOTH {
        let file = directory.join(format!("{library:?}.flv"));
        let arguments = arguments(library, &file);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = Client::start(name, library, &arguments)?.finish();
        results.push((file, run));
    }
    Some(results)
}

fn words(text: &str, file: &Path) -> Vec<String> {
    text.split(' ').map(|word| word.replace("FILE", &file.to_string_lossy())).collect()
}

/// The two files hold the same tags, and the programs ended the same way. Returns the tags.
fn assert_same(results: &[(PathBuf, Run)], what: &str) -> Vec<Tag> {
    let [(original, original_run), (ours, our_run)] = results else { panic!("two results expected") };
    assert_eq!(original_run.code, our_run.code, "{what}: exit code\n{}", our_run.stderr);
    let expected = flv::load(original);
    flv::assert_equal(&expected, &flv::load(ours), what);
    assert!(!flv::media(&expected).is_empty(), "{what}: nothing was received\n{}", original_run.stderr);
    expected
}

#[test]
fn rtmpdump_records_a_live_stream() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    let directory = TempDir::new("rtmpdump-live");
    let url = nginx.url("live", "film");
    let mut clients = Vec::new();
    for library in BOTH {
        let file = directory.join(format!("{library:?}.flv"));
        let arguments = words(&format!("-r {url} --live -o FILE -m 10"), &file);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        clients.push((file, need!(Client::start("rtmpdump", library, &arguments))));
    }
    nginx.wait_for_players(clients.len());
    let mut publisher = need!(servers::publish_with_ffmpeg(&clip, &url));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    let results: Vec<(PathBuf, Run)> =
        clients.into_iter().map(|(file, client)| (file, client.finish())).collect();
    assert_eq!(results[1].1.code, Some(0), "{}", results[1].1.stderr);
    let tags = assert_same(&results, "rtmpdump, live");
    let received = flv::assert_contiguous(&flv::load(&clip), &tags, "rtmpdump, live");
    assert!(received > 100, "only {received} frames");
}

#[test]
fn rtmpdump_downloads_a_file() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new("rtmpdump-file");
    let url = nginx.url("vod", "film");
    let results =
        need!(on_both("rtmpdump", &directory, |_, file| words(&format!("-r {url} -o FILE -m 10"), file)));
    let tags = assert_same(&results, "rtmpdump, file");
    let sent = flv::readable(&flv::media(&flv::load(&clip)));
    flv::assert_equal(&sent, &flv::media(&tags), "rtmpdump, file against the clip");
}

/// A server that plays a film from the key frame asked for, with times from 0, as Flash Media Server does.
fn film_server(film: Vec<Tag>) -> Server<()> {
    Server::once(move |peer| {
        peer.accept_connect();
        peer.accept_create();
        let play = peer.wait_for("play");
        let start = play.get(4).and_then(Value::number).unwrap_or(0.0) as u32;
        peer.status(1, "status", "NetStream.Play.Start", "");
        peer.set_chunk_size(4096);
        for tag in film.iter().filter(|tag| tag.kind == 0x12) {
            peer.send(&Message::new(5, 0, tag.kind, 1, &tag.body));
        }
        let first = film.iter().position(|tag| tag.is_key_frame() && tag.timestamp >= start).unwrap_or(0);
        let first = if start == 0 { 0 } else { first };
        for tag in film[first..].iter().filter(|tag| tag.kind != 0x12) {
            let time = tag.timestamp.saturating_sub(start);
            peer.send(&Message::new(6, time, tag.kind, 1, &tag.body));
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    })
}

fn cut_in_half(file: &Path) {
    let tags = flv::load(file);
    let half: usize = tags[..tags.len() / 2].iter().map(|tag| 15 + tag.body.len()).sum();
    let data = fs::read(file).expect("rtmpdump wrote it");
    fs::write(file, &data[..13 + half]).expect("the build directory is writable");
}

#[test]
fn rtmpdump_resumes_a_download() {
    let film = flv::readable(&flv::load(&need!(clip::flv())));
    let directory = TempDir::new("rtmpdump-resume");
    let mut files = Vec::new();
    for library in BOTH {
        let file = directory.join(format!("{library:?}.flv"));
        let download = |more: &str| -> Option<Run> {
            let server = film_server(film.clone());
            let arguments =
                words(&format!("-r rtmp://127.0.0.1:{}/app/film -o FILE -m 10{more}", server.port), &file);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let run = Client::start("rtmpdump", library, &arguments)?.finish();
            server.join();
            Some(run)
        };
        need!(download(""));
        flv::assert_equal(&film, &flv::load(&file), &format!("rtmpdump on {library:?}, whole file"));
        cut_in_half(&file);
        let run = need!(download(" --resume"));
        assert!(run.stderr.contains("Resuming download"), "{library:?}: {}", run.stderr);
        files.push((file, run));
    }
    let tags = assert_same(&files, "rtmpdump --resume");
    flv::assert_equal(&flv::media(&film), &flv::media(&tags), "rtmpdump --resume against the film");
}

/// nginx plays from the key frame with the times of the file, which librtmp does not recognise: the failure has to be
/// the same.
#[test]
fn rtmpdump_cannot_resume_from_nginx() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new("rtmpdump-nginx");
    let url = nginx.url("vod", "film");
    let results = need!(on_both("rtmpdump", &directory, |_, file| {
        fs::copy(&clip, file).expect("the build directory is writable");
        cut_in_half(file);
        words(&format!("-r {url} -o FILE -m 10 --resume"), file)
    }));
    assert_same(&results, "rtmpdump --resume from nginx");
    assert!(
        results[1].1.stderr.contains("Stream does not start with requested frame"),
        "{}",
        results[1].1.stderr
    );
}

#[test]
fn rtmpdump_downloads_a_part() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let url = nginx.url("vod", "film");
    for (name, part) in [("start", "--start 1"), ("stop", "--stop 2"), ("both", "--start 1 --stop 2")] {
        let directory = TempDir::new(&format!("rtmpdump-{name}"));
        let results = need!(on_both("rtmpdump", &directory, |_, file| words(
            &format!("-r {url} -o FILE -m 10 {part}"),
            file
        )));
        assert_same(&results, &format!("rtmpdump {part}"));
    }
}

/// curl waits for the socket before every read and does not know of bytes that the library has read already. With the
/// original the end of a film that comes at once reaches it late or never, unless the server closes the connection.
#[test]
fn curl_downloads_a_file_to_its_end() {
    let clip = need!(clip::flv());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let directory = TempDir::new("curl-file");
    let url = nginx.url("vod", "film");
    let sent = flv::readable(&flv::media(&flv::load(&clip)));
    let mut clients = Vec::new();
    for (library, limit) in [(Library::Original, "2"), (Library::Ours, "30")] {
        let file = directory.join(format!("{library:?}.flv"));
        let arguments = words(&format!("--silent --show-error --max-time {limit} -o FILE {url}"), &file);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        clients.push((file, need!(Client::start("curl", library, &arguments))));
    }
    for (file, client) in clients {
        let (what, library) = (format!("curl, file, {:?}", client.library), client.library);
        let run = client.finish();
        let found = flv::media(&flv::load_part(&file));
        let whole = library == Library::Ours && !ours_is_original();
        assert!(matches!(run.code, Some(0 | 28)) && (run.code == Some(0) || !whole), "{what}: {run:?}");
        let part = if whole { &sent[..] } else { &sent[..found.len().min(sent.len())] };
        flv::assert_equal(part, &found, &what);
    }
}

/// What a server says besides when a stream starts is nothing that curl could get: it waits on for a publisher, for as
/// long as it was told.
#[test]
fn curl_waits_for_a_stream_that_has_not_begun() {
    let clients = BOTH.map(|library| {
        let server = Server::once(move |peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for("play");
            let status = amf::status("status", "NetStream.Play.Start", "");
            let start = Message::invoke(3, 1, &[amf::s("onStatus"), amf::n(0), Value::Null, status]);
            let begin = Message::new(2, 0, 4, 0, &[0, 0, 0, 0, 0, 1]);
            let access = amf::encode(&[amf::s("|RtmpSampleAccess"), Value::Bool(false), Value::Bool(false)]);
            let access = Message::new(6, 0, 0x12, 1, &access);
            // In one piece: what comes later wakes curl up.
            peer.send_raw(&[start, begin, access].map(|message| message.chunks(128)).concat());
            peer.drain(LIMIT);
        });
        let url = format!("rtmp://127.0.0.1:{}/live/film", server.port);
        let arguments = ["--silent", "--show-error", "--max-time", "2", "-o", "/dev/null", &url];
        Client::start("curl", library, &arguments).map(|client| (library, client, server))
    });
    for client in clients {
        let (library, client, server) = need!(client);
        let run = client.finish();
        server.join();
        assert_eq!(run.code, Some(28), "{library:?}: {run:?}");
    }
}

#[test]
fn curl_uploads_a_file() {
    let clip = need!(clip::flv());
    let mut recordings = Vec::new();
    let mut codes = Vec::new();
    for library in BOTH {
        let nginx = need!(Nginx::start());
        let url = nginx.url("record", "film");
        let file = clip.to_string_lossy();
        let arguments = ["--silent", "--show-error", "--max-time", "30", "-T", &file, &url];
        let run = need!(Client::start("curl", library, &arguments)).finish();
        codes.push((run.code, run.stderr));
        nginx.wait_for_disconnects(1);
        recordings.push(flv::load(&nginx.recording("film")));
    }
    let [original, ours] = recordings.as_slice() else { return };
    assert_eq!(codes[0].0, codes[1].0, "{}", codes[1].1);
    flv::assert_equal(&flv::media(original), &flv::media(ours), "curl, upload");
    assert!(!flv::media(ours).is_empty(), "curl, upload: nothing arrived");
}
