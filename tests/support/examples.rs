//! The example programs: the server on free ports, and runs of the other programs that prove which library they used.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::certs::Certificate;
use super::library::Library;
use super::process::{Running, wait_until};
use super::program::{LoaderLog, Program, Run, on_library};
use super::require;

/// The longest time that a program may run.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The server example.
pub struct ExampleServer {
    process: Running,
    port: u16,
    tls_port: Option<u16>,
}

impl ExampleServer {
    /// Starts it on a library; it plays the files of `folder`.
    pub fn start(library: Library, folder: &Path) -> Option<Self> {
        Self::start_with(library, folder, None, &[], &[])
    }

    /// As `start`, with TLS on a second port.
    pub fn start_with_tls(library: Library, folder: &Path, certificate: &Certificate) -> Option<Self> {
        Self::start_with(library, folder, Some(certificate), &[], &[])
    }

    /// As `start`, for clients that connect to another address of this machine.
    pub fn start_for_all(library: Library, folder: &Path) -> Option<Self> {
        Self::start_with(library, folder, None, &["-b", "0.0.0.0"], &[])
    }

    /// Starts it with more options and environment variables.
    pub fn start_with(
        library: Library,
        folder: &Path,
        certificate: Option<&Certificate>,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Option<Self> {
        let mut command = Program::example("server")?.command(library)?;
        command.args(["-p", "0", "-v", "3", "-d"]).arg(folder).args(options);
        command.envs(environment.iter().copied());
        if let Some(certificate) = certificate {
            command.args(["-s", "0", "--cert"]).arg(&certificate.chain).arg("--key").arg(&certificate.key);
        }
        let mut process = Running::start(&mut command);
        let listeners = 1 + usize::from(certificate.is_some());
        let ready = wait_until(Duration::from_secs(10), || {
            process.stdout().matches('\n').count() >= listeners || process.ended().is_some()
        });
        assert!(ready && process.ended().is_none(), "the server did not start: {}", process.stderr());
        let directory = library.directory()?;
        // The file behind the link determines which of the two was mapped.
        let file = std::fs::canonicalize(directory.join("librtmp.so.1")).ok()?;
        assert_eq!(process.mapped_librtmp(), [file], "the server must run on {library:?}");
        let said = process.stdout();
        let mut ports = said.lines().filter_map(|line| line.rsplit(':').next()?.parse().ok());
        Some(Self { port: ports.next()?, tls_port: ports.next(), process })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The port without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("the server was started with TLS")
    }

    /// `<protocol>://…/<path>`, on the port that fits the protocol.
    pub fn url(&self, protocol: &str, path: &str) -> String {
        let port = if protocol.ends_with('s') { self.tls_port() } else { self.port };
        format!("{protocol}://127.0.0.1:{port}/{path}")
    }

    pub fn wait_for_log(&self, what: &str) {
        let ready = wait_until(Duration::from_secs(20), || self.process.stderr().contains(what));
        assert!(ready, "the server never said {what:?}:\n{}", self.process.stderr());
    }

    /// Its output on standard output.
    pub fn printed(&self) -> String {
        self.process.stdout()
    }

    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Asks it to end, and waits.
    pub fn finish(mut self) -> Run {
        self.process.signal("TERM");
        let status = self.process.wait(LIMIT);
        Run {
            code: status.and_then(|status| status.code()),
            stdout: self.process.stdout(),
            stderr: self.process.stderr(),
            timed_out: status.is_none(),
        }
    }
}

/// A failing test shows the server's output.
impl Drop for ExampleServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = self.process.ended();
            eprintln!("the server, which has ended with {status:?}, said:\n{}", self.process.stderr());
        }
    }
}

/// A running program, with a library.
pub struct Client {
    pub running: Running,
    library: Library,
    loader: LoaderLog,
}

impl Client {
    /// Starts a program of `c-examples`.
    pub fn example(name: &str, library: Library, arguments: &[&str]) -> Option<Self> {
        let mut command = Program::example(name)?.command(library)?;
        command.args(arguments);
        Some(Self::start(command, library))
    }

    /// Starts an installed program.
    pub fn installed(name: &str, library: Library, arguments: &[&str]) -> Option<Self> {
        let mut command = on_library(&require::program(name)?, library)?;
        command.args(arguments);
        Some(Self::start(command, library))
    }

    /// Starts a command that was made for the library, without the TLS settings of the caller's environment.
    pub fn start(mut command: Command, library: Library) -> Self {
        let own: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "RTMP_TLS_VERIFY"] {
            if !own.iter().any(|other| other == name) {
                command.env_remove(name);
            }
        }
        let loader = LoaderLog::of(&mut command);
        Self { running: Running::start(&mut command), library, loader }
    }

    /// Waits for the end; proves that the right library was used.
    pub fn finish(mut self) -> Run {
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

/// Runs the receiver example, which must succeed.
pub fn receive(library: Library, url: &str, file: &Path) -> Option<()> {
    let arguments = ["-q", "-t", "10", "-o", &file.to_string_lossy(), url];
    Client::example("receive", library, &arguments)?
        .finish()
        .expect(&format!("receive {url} on {library:?}"));
    Some(())
}

/// Runs the publisher example, which must succeed.
pub fn publish(library: Library, clip: &Path, url: &str) -> Option<()> {
    let arguments = ["-q", "-t", "10", &clip.to_string_lossy(), url];
    Client::example("publish", library, &arguments)?
        .finish()
        .expect(&format!("publish {url} on {library:?}"));
    Some(())
}

/// Runs rtmpdump, which reports a film of unknown length as incomplete.
pub fn rtmpdump(library: Library, url: &str, file: &Path) -> Option<()> {
    let arguments = ["-r", url, "-o", &file.to_string_lossy(), "-m", "10"];
    let run = Client::installed("rtmpdump", library, &arguments)?.finish();
    assert!(matches!(run.code, Some(0 | 2)), "rtmpdump {url} on {library:?}: {run:?}");
    Some(())
}
