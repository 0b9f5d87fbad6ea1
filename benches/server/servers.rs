//! The measured servers, and what the system reports about them.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// The compared servers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Ours,
    Nginx,
    NodeMediaServer,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Nginx, Self::NodeMediaServer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "server",
            Self::Nginx => "nginx-rtmp",
            Self::NodeMediaServer => "node-media-server",
        }
    }
}

/// A running server, which ends when this is dropped.
pub struct Server {
    pub port: u16,
    process: Child,
}

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

impl Server {
    /// `None` when it is not installed.
    pub fn start(kind: Kind, example: &Path, directory: &Path) -> io::Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let command = match kind {
            Kind::Ours => {
                let mut command = Command::new(example);
                command.args(["-q", "-m", "2000", "-p", &port.to_string()]);
                command
            }
            Kind::Nginx if !Path::new(MODULE).exists() => return Ok(None),
            Kind::Nginx => {
                // Writing a log costs time.
                let configuration = format!(
                    "load_module {MODULE};\ndaemon off; master_process off; worker_processes 1; pid {0}/pid;\n\
                     error_log stderr crit; worker_rlimit_nofile 4096;\nevents {{ worker_connections 2048; }}\n\
                     rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 4096; application live {{ live on; }} }} }}\n",
                    directory.display()
                );
                fs::write(directory.join("nginx.conf"), configuration)?;
                let mut command = Command::new("nginx");
                command.arg("-p").arg(directory).args(["-e", "stderr", "-c", "nginx.conf"]);
                command
            }
            Kind::NodeMediaServer => {
                let Some(modules) = node_modules() else { return Ok(None) };
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/media_server.js");
                let mut command = Command::new("node");
                command.arg(script).arg(modules).arg(port.to_string());
                command
            }
        };
        let mut command = on_its_own(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => Self { port, process: result? },
        };
        let limit = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.process.try_wait()?.is_some() || Instant::now() > limit {
                return Err(io::Error::other(format!("{} does not start", kind.name())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(server))
    }

    /// CPU time of all threads.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            sum += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Bytes of memory; shared memory counts proportionally (PSS).
    pub fn memory(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()))?;
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("smaps_rollup has no Pss"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the command on the first core, which it then has alone: this process uses the second one. Otherwise a server whose
/// players wake up on its core is interrupted by each of them, and another server is not.
fn on_its_own(command: &Command) -> Command {
    if !has_two_cores() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return same;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
    pinned
}

/// Leaves the first core to the servers.
pub fn leave_first_core() {
    if has_two_cores() {
        // Without it the figures are less stable.
        let _ = Command::new("taskset")
            .args(["-a", "-c", "-p", "1", &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
    }
}

fn has_two_cores() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let has_taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok();
        count > 1 && has_taskset
    })
}

/// The directory in which the tests install node-media-server.
fn node_modules() -> Option<PathBuf> {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("test-tools/node/node_modules");
    modules.join("node-media-server").exists().then_some(modules)
}
