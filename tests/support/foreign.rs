//! Other programs, which `tests/install.sh` puts into the build directory: a server and an ffmpeg that support the encrypted
//! protocols.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::examples::{Client, LIMIT};
use super::flv::{self, Tag};
use super::process::{self, Running, TempDir, free_port, wait_until};
use super::program::{Program, Run};
use super::{Library, clip, library, require};

/// The place where `tests/install.sh` puts a program.
pub fn tool(name: &str) -> Option<PathBuf> {
    require::file(&library::scratch().parent()?.join("test-tools").join(name))
}

/// The ffmpeg of the Python package imageio-ffmpeg. In addition to Debian's it speaks rtmpe and rtmpte.
pub fn ffmpeg() -> Option<PathBuf> {
    tool("ffmpeg-0.8.1")
}

/// Plays from `url` into `file` with an ffmpeg, which must succeed. Certificates are not checked. For rtmpts this needs
/// Debian's ffmpeg, which cannot check them.
pub fn play_with(ffmpeg: &Path, url: &str, file: &Path) {
    let file = file.to_string_lossy();
    let mut arguments = vec!["-hide_banner", "-loglevel", "error", "-y", "-rw_timeout", "20000000"];
    if url.starts_with("rtmps:") {
        arguments.extend(["-tls_verify", "0"]);
    }
    arguments.extend(["-i", url, "-c", "copy", "-copyts", "-f", "flv", &file]);
    process::output(ffmpeg, &arguments, LIMIT);
}

/// node-rtsp-rtmp-server, with a film that the application `file` plays as `film.mp4`; the application `live` relays.
pub struct NodeServer {
    /// RTMP and RTMPE.
    pub port: u16,
    /// RTMPT and RTMPTE.
    pub http_port: u16,
    process: Running,
    _directory: TempDir,
}

impl NodeServer {
    pub fn start() -> Option<Self> {
        Self::start_by(|command| command)
    }

    /// Starts it with a command that `make` makes of the usual one.
    pub fn start_by(make: impl Fn(Command) -> Command) -> Option<Self> {
        let node = require::program("node")?;
        let modules = tool("node/node_modules")?;
        let directory = TempDir::new("node");
        make_film(&directory.join("film.mp4"))?;
        let (port, http_port) = (free_port(), free_port());
        let mut command = Command::new(node);
        command.arg("--openssl-legacy-provider").arg(library::package().join("tests/node/server.js"));
        command.arg(modules).args([port.to_string(), http_port.to_string()]).arg(directory.path());
        let mut process = Running::start(&mut make(command));
        let ready = wait_until(Duration::from_secs(20), || {
            process.stdout().contains("ready") || process.ended().is_some()
        });
        assert!(ready && process.ended().is_none(), "the server did not start: {}", process.stderr());
        Some(Self { port, http_port, process, _directory: directory })
    }

    /// `<protocol>://…/<path>`, on the port that fits the protocol.
    pub fn url(&self, protocol: &str, path: &str) -> String {
        let port = if protocol.starts_with("rtmpt") { self.http_port } else { self.port };
        format!("{protocol}://127.0.0.1:{port}/{path}")
    }

    pub fn wait_for_log(&self, what: &str) {
        let ready = wait_until(Duration::from_secs(20), || self.log().contains(what));
        assert!(ready, "the server never said {what:?}:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }
}

/// The sample clip as a file that the server understands. The server reads everything after the decoder's configuration as bit
/// rates, so the pixel aspect ratio has to be removed.
fn make_film(file: &Path) -> Option<()> {
    let (ffmpeg, clip) = (require::program("ffmpeg")?, clip::flv()?);
    let [clip, target] = [&clip, file].map(|path| path.to_string_lossy());
    let arguments = ["-loglevel", "error", "-i", &clip, "-c", "copy", "-write_btrt", "0", &target];
    process::output(ffmpeg, &arguments, LIMIT);
    let mut bytes = fs::read(file).expect("ffmpeg wrote it");
    if let Some(at) = bytes.windows(4).position(|name| name == b"pasp") {
        bytes[at..at + 4].copy_from_slice(b"free");
    }
    fs::write(file, bytes).expect("the build directory is writable");
    Some(())
}

/// The frames of one kind as the server sends them. It writes its own tags and times around them, and sometimes makes a frame
/// of the decoder's parameters (NAL unit type 7).
pub fn frames(tags: &[Tag], kind: u8) -> Vec<&[u8]> {
    let header = if kind == 9 { 5 } else { 2 };
    tags.iter()
        .filter(|tag| tag.kind == kind && !tag.is_sequence_header())
        .filter_map(|tag| tag.body.get(header..))
        .filter(|frame| !frame.is_empty() && (kind != 9 || frame.get(4).is_some_and(|unit| unit & 0x1f != 7)))
        .collect()
}

/// Checks that the sound and pictures of a file are one uninterrupted part of the sent ones, with at least `least` frames.
pub fn assert_part(sent: &[Tag], file: &Path, least: usize, what: &str) {
    assert_frames(sent, &flv::load(file), least, what);
}

/// As `assert_part`, for the tags of a file.
pub fn assert_frames(sent: &[Tag], found: &[Tag], least: usize, what: &str) {
    for kind in [8, 9] {
        let (sent, found) = (frames(sent, kind), frames(found, kind));
        assert!(found.len() >= least, "{what}: only {} frames of type {kind}", found.len());
        let part = (0..=sent.len().saturating_sub(found.len()))
            .any(|start| sent.get(start..start + found.len()) == Some(&found[..]));
        assert!(
            part,
            "{what}: the {} frames of type {kind} are no part of the {} sent",
            found.len(),
            sent.len()
        );
    }
}

impl NodeServer {
    /// Plays, pauses, seeks and publishes on the server, with the examples and a library.
    pub fn exercise(&self, protocol: &str, library: Library) -> Option<()> {
        self.exercise_at(protocol, |path| self.url(protocol, path), library)
    }

    /// The same with other URLs, which `url` makes of the part after the host.
    pub fn exercise_at(&self, protocol: &str, url: impl Fn(&str) -> String, library: Library) -> Option<()> {
        let what = format!("{protocol} with node-rtsp-rtmp-server");
        let folder = TempDir::new("node-client");
        let clip = clip::without_index()?;
        let sent = flv::load(&clip);

        let (film, file) = (url("file/mp4:film.mp4"), folder.join("played.flv"));
        twice(|| {
            let arguments = ["-q", "-t", "10", "-o", &file.to_string_lossy(), &film];
            Some(Client::example("receive", library, &arguments)?.finish())
        })?
        .expect(&what);
        assert_part(&sent, &file, 60, &what);

        let program = Program::test("pause_seek")?;
        twice(|| program.run(library, &[&film], "", LIMIT))?.expect(&what);

        // A player that comes before the publisher is refused.
        let (stream, file) = (url("live/show"), folder.join("live.flv"));
        let publisher =
            Client::example("publish", library, &["-q", "-t", "10", &clip.to_string_lossy(), &stream])?;
        self.wait_for_log("publish: stream=live/show");
        let arguments = ["-q", "--live", "-t", "10", "-o", &file.to_string_lossy(), &stream];
        Client::example("receive", library, &arguments)?.finish().expect(&what);
        publisher.finish().expect(&what);
        assert_part(&sent, &file, 20, &what);
        Some(())
    }
}

/// Runs a client again if it failed: the server's key agreement fails about once in several hundred attempts.
fn twice(mut run: impl FnMut() -> Option<Run>) -> Option<Run> {
    let first = run()?;
    if first.code == Some(0) { Some(first) } else { run() }
}
