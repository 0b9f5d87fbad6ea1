//! A place for programs that insist on a port.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{Running, wait_until};
use super::require;

/// A network of our own, entered by `nsenter`: a process that waits in it keeps it alive.
pub struct Network(Option<Running>);

impl Network {
    /// `None` when neither a namespace nor this port can be had.
    pub fn new(port: u16) -> Option<Self> {
        let own = require::program("unshare").and_then(|unshare| {
            let mut command = Command::new(unshare);
            command.args(["-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep 300"]);
            let mut process = Running::start(&mut command);
            wait_until(Duration::from_secs(10), || {
                process.stdout().contains("ready") || process.ended().is_some()
            });
            process.stdout().contains("ready").then_some(process)
        });
        if own.is_some() {
            return Some(Self(own));
        }
        if TcpListener::bind(("0.0.0.0", port)).is_err() {
            require::missing(&format!("a network namespace (unshare -n), or a free port {port},"));
            return None;
        }
        Some(Self(None))
    }

    /// What to put in front of a program so that it runs in this network.
    pub fn prefix(&self) -> Vec<String> {
        let Some(process) = &self.0 else { return Vec::new() };
        ["nsenter", "-t", &process.id().to_string(), "-n"].map(str::to_owned).to_vec()
    }

    pub fn command(&self, program: &Path) -> Command {
        let prefix = self.prefix();
        let Some((first, rest)) = prefix.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}
