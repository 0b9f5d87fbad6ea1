//! Our example server on a free port.

use std::time::Duration;

use super::{Library, Program, Running, wait_until};

/// `c-examples/server`: live streams, and files of a folder.
pub struct Relay {
    pub process: Running,
    pub port: String,
}

impl Relay {
    /// Starts the server. `None` when it cannot be built.
    pub fn start(library: Library, arguments: &[&str]) -> Option<Self> {
        let mut command = Program::example("server")?.command(library)?;
        command.args(["-p", "0", "-v", "3"]).args(arguments);
        let mut process = Running::start(&mut command);
        let ready = wait_until(Duration::from_secs(10), || {
            process.stdout().contains('\n') || process.ended().is_some()
        });
        assert!(ready && process.ended().is_none(), "the server did not start: {}", process.stderr());
        let line = process.stdout();
        let port = line.trim().rsplit(':').next().unwrap_or_default().to_owned();
        Some(Self { process, port })
    }

    pub fn url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{name}", self.port)
    }

    pub fn wait_for_log(&self, what: &str) {
        let ready = wait_until(Duration::from_secs(15), || self.process.stderr().contains(what));
        assert!(ready, "the server never said {what:?}:\n{}", self.process.stderr());
    }
}
