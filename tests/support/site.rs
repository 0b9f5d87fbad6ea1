//! The servers that programs are tested with, all used in the same way.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::examples::ExampleServer;
use super::foreign::{self, NodeServer};
use super::library::{self, Library};
use super::process::{Running, free_port, listens, wait_until};
use super::require;
use super::servers::Nginx;

const LIMIT: Duration = Duration::from_secs(30);

/// A running server of any kind.
pub struct Site {
    pub make: Make,
    server: Server,
}

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Nginx,
    /// `c-examples/server`.
    Ours,
    /// node-media-server.
    NodeMediaServer,
    /// node-rtsp-rtmp-server.
    NodeRtspRtmpServer,
}

enum Server {
    Nginx(Nginx),
    Ours(ExampleServer),
    Media(MediaServer),
    RtspRtmp(NodeServer),
}

impl Make {
    /// Starts the server. If it plays files, they are in `folder`.
    pub fn start(self, folder: &Path) -> Option<Site> {
        let server = match self {
            Self::Nginx => {
                let nginx = Nginx::start()?;
                nginx.offer(&folder.join("film.flv"), "film.flv");
                Server::Nginx(nginx)
            }
            Self::Ours => Server::Ours(ExampleServer::start(Library::Ours, folder)?),
            Self::NodeMediaServer => Server::Media(MediaServer::start()?),
            Self::NodeRtspRtmpServer => Server::RtspRtmp(NodeServer::start()?),
        };
        Some(Site { make: self, server })
    }

    /// Whether a player may connect before the publisher, and then gets the stream from its start. `live`: the player requests
    /// a live stream.
    pub fn lets_wait(self, live: bool) -> bool {
        match self {
            Self::Nginx | Self::NodeMediaServer => true,
            Self::Ours => live,
            Self::NodeRtspRtmpServer => false,
        }
    }

    /// The number of players that may connect at the same time. The slowest of the servers needs so much time for the
    /// handshakes of many players that some of them time out.
    pub fn most_players(self) -> usize {
        if self == Self::NodeRtspRtmpServer { 10 } else { 60 }
    }
}

impl Site {
    /// The address of a live stream.
    pub fn live(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{name}", self.port())
    }

    /// Application and name of the film, on a server that plays files.
    pub fn film(&self) -> &'static str {
        if self.make == Make::NodeRtspRtmpServer { "file/mp4:film.mp4" } else { "vod/film" }
    }

    pub fn port(&self) -> u16 {
        match &self.server {
            Server::Nginx(nginx) => nginx.port,
            Server::Ours(server) => server.port(),
            Server::Media(server) => server.port,
            Server::RtspRtmp(server) => server.port,
        }
    }

    /// The port on which the server itself supports RTMPT.
    pub fn http_port(&self) -> Option<u16> {
        match &self.server {
            Server::Nginx(_) | Server::Media(_) => None,
            Server::Ours(server) => (!library::ours_is_original()).then(|| server.port()),
            Server::RtspRtmp(server) => Some(server.http_port),
        }
    }

    /// Waits until so many players have asked for a live stream.
    pub fn wait_for_players(&self, name: &str, count: usize) {
        let line = match self.make {
            Make::Nginx => format!("play: name='{name}'"),
            Make::Ours => format!("plays live/{name}"),
            Make::NodeMediaServer => format!("[rtmp play] Stream not found.  streamPath=/live/{name} "),
            Make::NodeRtspRtmpServer => return,
        };
        self.wait_for(&format!("{count} players of {name}"), |log| count_lines(log, &line) >= count);
    }

    /// Waits until a live stream is being published.
    pub fn wait_for_publisher(&self, name: &str) {
        let line = match self.make {
            Make::Nginx => format!("publish: name='{name}'"),
            Make::Ours => format!("publishes live/{name}"),
            Make::NodeMediaServer => format!("[rtmp publish] New stream.  streamPath=/live/{name} "),
            Make::NodeRtspRtmpServer => format!("publish: stream=live/{name}"),
        };
        self.wait_for(&format!("a publisher of {name}"), |log| count_lines(log, &line) > 0);
    }

    fn wait_for(&self, what: &str, found: impl Fn(&str) -> bool) {
        let ready = wait_until(LIMIT, || found(&self.log()));
        assert!(ready, "{:?} never saw {what}:\n{}", self.make, self.log());
    }

    pub fn log(&self) -> String {
        match &self.server {
            Server::Nginx(nginx) => nginx.log(),
            Server::Ours(server) => server.log(),
            Server::Media(server) => server.process.stdout() + &server.process.stderr(),
            Server::RtspRtmp(server) => server.log(),
        }
    }
}

/// Lines with all words of a pattern, which two blanks separate.
fn count_lines(log: &str, pattern: &str) -> usize {
    log.lines().filter(|line| pattern.split("  ").all(|part| line.contains(part))).count()
}

/// node-media-server.
struct MediaServer {
    port: u16,
    process: Running,
}

impl MediaServer {
    fn start() -> Option<Self> {
        let node = require::program("node")?;
        let modules = foreign::tool("node/node_modules")?;
        require::file(&modules.join("node-media-server"))?;
        let port = free_port();
        let mut command = Command::new(node);
        command.arg(library::package().join("tests/node/media_server.js")).arg(modules).arg(port.to_string());
        let mut process = Running::start(&mut command);
        let ready = wait_until(LIMIT, || listens(port) || process.ended().is_some());
        assert!(ready && process.ended().is_none(), "node-media-server did not start: {}", process.stderr());
        Some(Self { port, process })
    }
}
