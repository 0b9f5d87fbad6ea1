//! Real programs as peers: nginx with its RTMP module, and ffmpeg and ffprobe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{self, Running, TempDir, free_port, listens, wait_until};
use super::{certs::Certificate, require};

/// nginx with an app `live`, an app `vod` that plays the files of a directory, and an app `record` that writes published
/// streams into files.
pub struct Nginx {
    pub port: u16,
    process: Running,
    directory: TempDir,
}

impl Nginx {
    /// Starts nginx on a free port. `None` when it or its RTMP module is not installed.
    pub fn start() -> Option<Self> {
        Self::start_on(free_port(), None)
    }

    /// Starts nginx on a given port, with a given command before it (for example `unshare`).
    pub fn start_on(port: u16, before: Option<&[&str]>) -> Option<Self> {
        let nginx = require::program("nginx")?;
        let module = require::file(Path::new("/usr/lib/nginx/modules/ngx_rtmp_module.so"))?;
        let directory = TempDir::new("nginx");
        for name in ["vod", "rec", "logs"] {
            fs::create_dir(directory.join(name)).expect("the build directory is writable");
        }
        let root = directory.path().display();
        let configuration = format!(
            "load_module {};\ndaemon off; master_process off; worker_processes 1; pid {root}/pid;\n\
             error_log stderr info;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ access_log off; server {{ listen {port}; chunk_size 4096;\n\
             application live {{ live on; publish_notify on; sync 10ms; }}\n\
             application vod {{ play {root}/vod; }}\n\
             application record {{ live on; record all; record_path {root}/rec; record_suffix .flv; }}\n}} }}\n",
            module.display()
        );
        fs::write(directory.join("nginx.conf"), configuration).expect("the build directory is writable");
        let mut command = match before {
            None => Command::new(&nginx),
            Some(words) => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]).arg(&nginx);
                command
            }
        };
        command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
        let server = Self { port, process: Running::start(&mut command), directory };
        if before.is_none() {
            server.wait_until_it_listens();
        }
        Some(server)
    }

    /// `rtmp://…/<app>/<name>` on this server.
    pub fn url(&self, app: &str, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{app}/{name}", self.port)
    }

    /// Copies a file to the place where the app `vod` finds it.
    pub fn offer(&self, file: &Path, name: &str) {
        fs::copy(file, self.directory.join("vod").join(name)).expect("the build directory is writable");
    }

    /// The file that the app `record` writes for a stream.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.directory.join("rec").join(format!("{name}.flv"))
    }

    /// Waits until nginx listens. Does not connect: that would count as a client, and nginx may be in another network.
    pub fn wait_until_it_listens(&self) {
        let table = format!("/proc/{}/net/tcp", self.process.id());
        let ready = wait_until(Duration::from_secs(10), || process::listens_in(&table, self.port));
        assert!(ready, "nginx does not listen: {}", self.process.stderr());
    }

    /// Waits until `count` players have requested a stream, so that they receive a stream published afterwards from its start.
    pub fn wait_for_players(&self, count: usize) {
        let ready = wait_until(Duration::from_secs(15), || self.log_lines("play: name=") >= count);
        assert!(ready, "fewer than {count} players came:\n{}", self.process.stderr());
    }

    /// Waits until `count` publishers have disconnected.
    pub fn wait_for_disconnects(&self, count: usize) {
        let ready = wait_until(Duration::from_secs(15), || self.log_lines("disconnect, client") >= count);
        assert!(ready, "fewer than {count} clients left:\n{}", self.process.stderr());
    }

    pub fn log(&self) -> String {
        self.process.stderr()
    }

    fn log_lines(&self, what: &str) -> usize {
        self.process.stderr().matches(what).count()
    }
}

/// ffmpeg, which publishes a file in real time.
pub fn publish_with_ffmpeg(file: &Path, url: &str) -> Option<Running> {
    let mut command = Command::new(require::program("ffmpeg")?);
    command.args(["-hide_banner", "-loglevel", "error", "-re", "-i"]).arg(file);
    command.args(["-c", "copy", "-f", "flv", url]);
    Some(Running::start(&mut command))
}

/// ffmpeg as a server for one publisher, whose stream it writes into a file.
pub fn ffmpeg_listening(port: u16, file: &Path) -> Option<Running> {
    let mut command = Command::new(require::program("ffmpeg")?);
    let url = format!("rtmp://127.0.0.1:{port}/live/stream");
    command.args(["-hide_banner", "-loglevel", "error", "-y", "-listen", "1", "-timeout", "20", "-i", &url]);
    command.args(["-c", "copy", "-copyts", "-f", "flv"]).arg(file);
    let mut process = Running::start(&mut command);
    let ready =
        wait_until(Duration::from_secs(10), || process::listens_unseen(port) || process.ended().is_some());
    assert!(ready && process.ended().is_none(), "ffmpeg does not listen: {}", process.stderr());
    Some(process)
}

/// The names of the codecs that ffprobe finds in a file. ffprobe must accept it without a warning.
pub fn probe(file: &Path) -> Option<Vec<String>> {
    let ffprobe = require::program("ffprobe")?;
    let file = file.to_string_lossy();
    let arguments = ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &file];
    let text = process::output(ffprobe, &arguments, Duration::from_secs(30));
    Some(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

/// `openssl s_server`, which sends the files of a folder over TLS. Each file is a whole HTTP response.
pub fn https_server(folder: &Path, certificate: &Certificate) -> Option<(Running, u16)> {
    let port = free_port();
    let mut command = Command::new(require::program("openssl")?);
    command.args(["s_server", "-HTTP", "-accept", &format!("127.0.0.1:{port}")]).current_dir(folder);
    command.arg("-cert").arg(&certificate.chain).arg("-key").arg(&certificate.key);
    let server = Running::start(&mut command);
    let listens = wait_until(Duration::from_secs(20), || listens(port));
    assert!(listens, "{}", server.stderr());
    Some((server, port))
}
