//! Networks for programs that need a certain port.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{Running, wait_until};
use super::require;

/// A network that only the test uses, entered with `nsenter`. A waiting process keeps it alive.
pub struct Network(Option<Running>);

/// A network without connections, and with its own mounts.
pub struct Nowhere(Running);

/// A cable without a machine at its other end, and an address that therefore never answers: 192.0.2.9.
pub const BLACK_HOLE: &str = "ip link add hole type veth peer name bottom; ip addr add 192.0.2.1/24 dev hole; \
    ip link set hole up; ip link set bottom up; \
    ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev hole; ip route add default via 192.0.2.9";

impl Nowhere {
    /// A network that a shell sets up with `commands`. `None` without the permission.
    pub fn new(commands: &str) -> Option<Self> {
        let (unshare, _) = (require::program("unshare")?, require::program("ip")?);
        let script = format!("set -e; ip link set lo up; {commands}\necho ready; exec sleep 300");
        let mut process = Running::start(Command::new(unshare).args(["-n", "-m", "sh", "-c", &script]));
        wait_until(Duration::from_secs(20), || {
            process.stdout().contains("ready") || process.ended().is_some()
        });
        if !process.stdout().contains("ready") {
            eprintln!("{}", process.stderr());
            require::missing("a network namespace (unshare -n -m)");
            return None;
        }
        Some(Self(process))
    }

    /// The id of the process that keeps it.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The command, changed to run in the network.
    pub fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["-t", &self.id().to_string(), "-n", "-m"]).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Runs a shell command in the network; panics if it fails.
    pub fn run(&self, script: &str) {
        let mut running = Running::start(&mut self.enter(Command::new("sh").args(["-c", script])));
        let status = running.wait(Duration::from_secs(20));
        assert!(status.is_some_and(|status| status.success()), "{script}: {}", running.stderr());
    }
}

impl Network {
    /// `None` when neither a namespace nor this port is available.
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

    /// Arguments before a program that make it run in this network.
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
