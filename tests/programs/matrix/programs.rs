//! Unmodified programs that play and publish, and their arguments.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::examples::Client;
use crate::support::process::{self, Running, TempDir, free_port, listens, wait_until};
use crate::support::program::{self, Run};
use crate::support::{Library, examples, foreign, library, require};

/// A program that uses librtmp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Rtmpdump,
    /// With curl asking it over HTTP.
    Rtmpgw,
    Curl,
    GStreamer,
    /// Debian's python3-librtmp.
    DebiansPython,
    /// python-librtmp from PyPI.
    PypisPython,
}

/// The task of a player.
pub struct Order<'a> {
    pub url: &'a str,
    pub live: bool,
    /// The seconds of silence that are accepted; for curl, the limit of the whole transfer.
    pub patience: u32,
    pub file: &'a Path,
    pub folder: &'a TempDir,
    /// For rtmpdump alone.
    pub options: Vec<String>,
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl<'a> Order<'a> {
    /// To write a film into a file.
    pub fn film(url: &'a str, file: &'a Path, folder: &'a TempDir) -> Self {
        Self { url, live: false, patience: 60, file, folder, options: Vec::new(), environment: Vec::new() }
    }
}

/// A running program.
pub struct Work {
    client: Client,
    /// A helper process, which ends with it.
    helper: Option<(Running, Library)>,
}

pub const PLAYERS: [Program; 6] = [
    Program::Rtmpdump,
    Program::Rtmpgw,
    Program::Curl,
    Program::GStreamer,
    Program::DebiansPython,
    Program::PypisPython,
];

pub const PUBLISHERS: [Program; 4] =
    [Program::Curl, Program::GStreamer, Program::DebiansPython, Program::PypisPython];

impl Program {
    /// Starts to play.
    pub fn play(self, library: Library, order: &Order<'_>) -> Option<Work> {
        let (url, target) = (order.url, order.file.to_string_lossy());
        let patience = order.patience.to_string();
        let (mut command, helper) = match self {
            Self::Rtmpdump => {
                let mut command = installed("rtmpdump", library)?;
                command.args(["-r", url, "-o", &target, "-m", &patience]);
                command.args(order.live.then_some("--live"));
                (command, None)
            }
            Self::Rtmpgw => {
                let (gateway, port) = gateway(library, order.folder)?;
                let escaped =
                    url.replace(':', "%3A").replace('/', "%2F").replace('[', "%5B").replace(']', "%5D");
                let live = if order.live { "&v=1" } else { "" };
                let request = format!("http://127.0.0.1:{port}/?r={escaped}&m={patience}{live}");
                let mut command = Command::new(require::program("curl")?);
                let limit = (2 * order.patience).to_string();
                command.args(["-s", "-S", "-m", &limit, "-o", &target, &request]);
                (command, Some((gateway, library)))
            }
            Self::Curl => {
                let mut command = installed("curl", library)?;
                command.args(["-s", "-S", "-m", &patience, "-o", &target, url]);
                (command, None)
            }
            Self::GStreamer => {
                let live = if order.live { "\u{a0}live=1" } else { "" };
                // Received bytes must be visible at once.
                let pipeline = format!(
                    "rtmpsrc timeout={patience} location={url}{live} ! filesink buffer-mode=2 location={target}"
                );
                (gstreamer(library, &pipeline)?, None)
            }
            Self::DebiansPython | Self::PypisPython => {
                let live = if order.live { "live" } else { "" };
                (self.python(library, &["play", url, &patience, &target, live])?, None)
            }
        };
        command.args(&order.options).envs(order.environment.iter().map(|(name, value)| (name, value)));
        Some(Work { client: Client::start(command, library), helper })
    }

    /// Starts to publish `clip` at `url`.
    pub fn publish(self, library: Library, clip: &Path, url: &str) -> Option<Work> {
        let source = clip.to_string_lossy();
        let command = match self {
            Self::Curl => {
                let mut command = installed("curl", library)?;
                command.args(["-s", "-S", "-m", "30", "-T", &source, url]);
                command
            }
            Self::GStreamer => {
                let pipeline = format!(
                    "filesrc location={source} ! flvdemux name=d flvmux name=m ! rtmpsink location={url} \
                     d.video ! queue ! m.video d.audio ! queue ! m.audio"
                );
                gstreamer(library, &pipeline)?
            }
            Self::DebiansPython | Self::PypisPython => {
                self.python(library, &["publish", url, "60", &source])?
            }
            Self::Rtmpdump | Self::Rtmpgw => panic!("{self:?} cannot publish"),
        };
        Some(Work { client: Client::start(command, library), helper: None })
    }

    /// Publishes `clip` in blocks of these sizes, in turn. The unused part of a block comes again with the
    /// next.
    pub fn publish_in_blocks(self, library: Library, clip: &Path, url: &str, sizes: &str) -> Option<Run> {
        let arguments = ["blocks", url, "60", &clip.to_string_lossy(), sizes];
        Some(Client::start(self.python(library, &arguments)?, library).finish())
    }

    /// Calls remote methods and prints their results.
    pub fn call(self, library: Library, url: &str) -> Option<Run> {
        Some(Client::start(self.python(library, &["call", url, "60"])?, library).finish())
    }

    fn python(self, library: Library, arguments: &[&str]) -> Option<Command> {
        let (python, modules) = match self {
            Self::PypisPython => (require::program("python3")?, foreign::tool("python")?),
            _ => {
                let modules = PathBuf::from("/usr/lib/python3/dist-packages");
                require::file(&modules.join("librtmp"))?;
                (require::file(Path::new("/usr/bin/python3"))?, modules)
            }
        };
        let mut command = program::on_library(&python, library)?;
        command.env("PYTHONPATH", modules).args(["-c", PYTHON]).args(arguments);
        Some(command)
    }
}

impl Work {
    pub fn has_ended(&mut self) -> bool {
        self.client.running.ended().is_some()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.client.running.kill();
    }

    /// Waits for the end; proves that the right library was used.
    pub fn finish(self) -> Run {
        match self.helper {
            None => self.client.finish(),
            Some((mut gateway, library)) => {
                let wanted = library.file().and_then(|file| std::fs::canonicalize(file).ok());
                assert_eq!(gateway.mapped_librtmp(), Vec::from_iter(wanted), "rtmpgw must load {library:?}");
                let mut client = self.client;
                let status = client.running.wait(examples::LIMIT);
                gateway.kill();
                Run {
                    code: status.and_then(|status| status.code()),
                    stdout: client.running.stdout(),
                    stderr: client.running.stderr() + &gateway.stderr(),
                    timed_out: status.is_none(),
                }
            }
        }
    }
}

fn installed(name: &str, library: Library) -> Option<Command> {
    program::on_library(&require::program(name)?, library)
}

/// rtmpgw on a free port.
fn gateway(library: Library, folder: &TempDir) -> Option<(Running, u16)> {
    let port = free_port();
    let commands = folder.join(format!("commands-{port}"));
    process::output("mkfifo", &[&commands.to_string_lossy()], examples::LIMIT);
    let mut command = program::on_library(Path::new("/bin/sh"), library)?;
    command.args(["-c", process::HOLDING_INPUT]).arg(commands).arg(require::program("rtmpgw")?);
    command.args(["-D", "127.0.0.1", "-g", &port.to_string()]);
    let mut gateway = Running::start(&mut command);
    let ready = wait_until(examples::LIMIT, || listens(port) || gateway.ended().is_some());
    assert!(ready && gateway.ended().is_none(), "rtmpgw: {}", gateway.stderr());
    Some((gateway, port))
}

/// GStreamer with the plugin that uses librtmp, and a plugin registry of its own: the user's knows one library only.
fn gstreamer(library: Library, pipeline: &str) -> Option<Command> {
    let plugin = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0/libgstrtmp.so", std::env::consts::ARCH);
    require::file(Path::new(&plugin))?;
    let mut command = program::on_library(&require::program("gst-launch-1.0")?, library)?;
    command.arg("-q").args(pipeline.split_ascii_whitespace().map(|word| word.replace('\u{a0}', " ")));
    // Plugins are loaded in the process itself, whose libraries are checked.
    let registry = library::scratch().join(format!("gstreamer-{}", std::process::id()));
    std::fs::create_dir_all(&registry).expect("the build directory is writable");
    command.env("GST_REGISTRY", registry.join("registry")).env("GST_REGISTRY_FORK", "no");
    Some(command)
}

/// The common part of both Python modules.
const PYTHON: &str = "
import librtmp, sys
task, url, timeout, *file = sys.argv[1:]
connection = librtmp.RTMP(url, timeout=int(timeout), live='live' in file)
connection.connect()
if task == 'play':
    stream = connection.create_stream()
    with open(file[0], 'wb') as out:
        for block in iter(lambda: stream.read(4096), b''):
            out.write(block)
    stream.close()
elif task == 'publish':
    stream = connection.create_stream(writeable=True)
    film = open(file[0], 'rb').read()
    start = 0 # the file's header goes with the first tag
    tag = 13
    while tag < len(film):
        end = tag + 15 + int.from_bytes(film[tag + 1:tag + 4], 'big')
        stream.write(film[start:end])
        start = tag = end
    stream.close()
elif task == 'blocks':
    stream = connection.create_stream(writeable=True)
    film, sizes, end = open(file[0], 'rb').read(), [int(size) for size in file[1].split(',')], 0
    rest = b''
    while end < len(film):
        for size in sizes:
            rest += film[end:end + size]
            end += size
            rest = rest[stream.write(rest):]
    assert not rest, rest
    stream.close()
else:
    # The first result is that of connect.
    connection.process_packets(transaction_id=1, timeout=20)
    print(connection.call('createStream').result())
    print(connection.call('createStream').result(timeout=20))
    connection.close()
";
