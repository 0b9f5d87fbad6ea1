//! Child processes that never outlive the test, deadlines, free ports and directories that clean up after themselves.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::library;

/// Calls `ready` until it returns true; false when `limit` has passed.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if ready() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port of the loopback interface that was free a moment ago, for servers that cannot choose one themselves.
///
/// Each process of the test suite counts through a range of its own, below the range the kernel returns, so that
/// two tests do not get the same one.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = std::process::id() * 53;
    for _ in 0..2000 {
        let n = base.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (n % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port found");
}

/// True when something listens on the port. The connection is closed at once.
pub fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(1)).is_ok()
}

/// True when a socket of this machine listens on the port. Does not connect to it, for servers that accept only one connection.
pub fn listens_unseen(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| listens_in(table, port))
}

/// True when one of the kernel's tables of TCP sockets shows a listener on the port.
pub fn listens_in(table: &str, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    fs::read_to_string(table).unwrap_or_default().lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&wanted)) && words.nth(1) == Some("0A")
    })
}

/// A directory that is removed when the value is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = library::scratch().join(format!("{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the build directory is writable");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shell command that runs a program which ends with the test, even if the test is killed. For programs that read commands
/// from standard input and loop at its end: `$0` is a FIFO that they hold open themselves, and the program and its arguments
/// follow. They end with the thread that starts them.
pub const HOLDING_INPUT: &str = "exec setpriv --pdeathsig KILL \"$@\" <>\"$0\"";

/// A running program: its output is collected while it runs, and it is killed when the value is dropped.
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts a command; its standard input is `input`.
    pub fn start_with_input(command: &mut Command, input: Vec<u8>) -> Self {
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        if let Some(mut stdin) = child.stdin.take() {
            // On another thread, because the program may write before it has read everything.
            thread::spawn(move || {
                let _ = std::io::Write::write_all(&mut stdin, &input);
            });
        }
        let stdout = Arc::new(Mutex::new(Vec::new()));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| collect(pipe, stdout.clone())));
        readers.extend(child.stderr.take().map(|pipe| collect(pipe, stderr.clone())));
        Self { child, stdout, stderr, readers }
    }

    pub fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, Vec::new())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The standard output of the program up to now.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().expect("readers do not panic")).into_owned()
    }

    /// The error output of the program up to now.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().expect("readers do not panic")).into_owned()
    }

    /// The standard output of the program up to now, as bytes.
    pub fn stdout_bytes(&self) -> Vec<u8> {
        self.stdout.lock().expect("readers do not panic").clone()
    }

    /// The exit status once the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for the end of the program and of its output; `None` (and the program is killed) after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.ended();
            status.is_some()
        });
        if status.is_none() {
            self.kill();
        }
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status
    }

    /// Sends SIGTERM to the program (SIGINT to programs that finish their file then).
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The shared objects with `librtmp` in their name that the process has mapped.
    pub fn mapped_librtmp(&self) -> Vec<PathBuf> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id())).unwrap_or_default();
        let mut files: Vec<PathBuf> = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .filter(|file| file.contains("librtmp.so"))
            .map(PathBuf::from)
            .collect();
        files.dedup();
        files
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut part = [0; 65536];
        while let Ok(n @ 1..) = pipe.read(&mut part) {
            into.lock().expect("nobody panics holding this lock").extend_from_slice(&part[..n]);
        }
    })
}

/// Removes the variables that cargo set for this test. Otherwise, another cargo would see a change, and build some dependencies
/// again.
pub fn leave_cargo(command: &mut Command) {
    const ADDED: [&str; 6] =
        ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        if ADDED.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(name);
        }
    }
}

/// Runs a command to its end and returns its standard output; panics with its error output when it fails.
pub fn output(program: impl AsRef<OsStr>, arguments: &[&str], limit: Duration) -> Vec<u8> {
    let mut running = Running::start(Command::new(program.as_ref()).args(arguments));
    let status = running.wait(limit);
    assert!(
        status.is_some_and(|status| status.success()),
        "{:?} {arguments:?} ended with {status:?}:\n{}",
        program.as_ref(),
        running.stderr()
    );
    running.stdout_bytes()
}
