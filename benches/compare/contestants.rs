//! The programs that are measured, with the compared libraries.

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    ABSENT, Figures, Measured,
    peer::{Cover, Peer, Role},
    rows::{LOAD, Limit, Row, Unit},
    rust,
};

/// The compared libraries and programs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contestant {
    /// Debian's librtmp.
    Original,
    /// This library.
    Ours,
    /// An earlier build of this library.
    Baseline,
    /// The Rust API beside the C library.
    Rust,
    /// The socket without any protocol, which is the limit.
    Socket,
    /// FFmpeg's own RTMP.
    Ffmpeg,
}

/// A value for each [`Contestant`].
pub type ByContestant<T> = [T; Contestant::ALL.len()];

impl Contestant {
    /// In the order in which they run: this library is next to the two that it is compared with most.
    pub const ALL: [Self; 6] =
        [Self::Original, Self::Ours, Self::Baseline, Self::Rust, Self::Socket, Self::Ffmpeg];

    /// The name for readers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "librtmp",
            Self::Ours => "this library",
            Self::Baseline => "the baseline",
            Self::Rust => "the Rust API",
            Self::Socket => "the bare socket",
            Self::Ffmpeg => "FFmpeg",
        }
    }

    /// Whether its system calls are counted.
    fn is_traced(self) -> bool {
        !matches!(self, Self::Socket | Self::Ffmpeg)
    }
}

/// The time limit of a run in seconds.
const PATIENCE: &str = "10";
/// The time after which a row stops after fewer rounds, but not fewer than [`ENOUGH_ROUNDS`].
const ROW_TIME: Duration = Duration::from_secs(2);
const ENOUGH_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 11;

/// Compiled programs and the directories in which they find the libraries.
pub struct Contestants {
    /// The directory for temporary files.
    directory: PathBuf,
    driver: PathBuf,
    loader: PathBuf,
    /// The program for FFmpeg, if its headers are installed.
    avio: Option<PathBuf>,
    ours: PathBuf,
    original: Option<PathBuf>,
    baseline: Option<PathBuf>,
    traced: bool,
}

/// The shared libraries without symbols, in bytes.
pub struct Sizes {
    pub ours: f64,
    pub original: f64,
    pub baseline: Option<f64>,
}

/// A program with its arguments, ready to run.
struct Run {
    program: PathBuf,
    library: Option<PathBuf>,
    arguments: Vec<String>,
    /// The output file of `strace`.
    trace: PathBuf,
    /// Kept so that the port belongs to the peer.
    _peer: Option<Peer>,
}

impl Contestants {
    /// Compiles the C programs and finds the libraries. `directory` is the name of a directory that no other run uses at the
    /// same time, `baseline` the file of an earlier build.
    pub fn prepare(directory: &str, baseline: Option<&str>) -> io::Result<Self> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
        fs::create_dir_all(&directory)?;
        let built = env::current_exe()?.ancestors().nth(2).map(|directory| directory.join("librtmp.so"));
        let built =
            built.filter(|file| file.exists()).ok_or_else(|| io::Error::other("librtmp.so is not built"))?;
        let ours = linked(&directory, "ours", &built)?;
        let original = match installed() {
            Some(file) => Some(linked(&directory, "original", &file)?),
            None => None,
        };
        let baseline = match baseline {
            Some(file) => {
                let found = fs::canonicalize(file)
                    .map_err(|error| io::Error::new(error.kind(), format!("BASELINE={file}: {error}")))?;
                Some(linked(&directory, "baseline", &found)?)
            }
            None => None,
        };
        if original.is_none() {
            eprintln!("librtmp1 is not installed: nothing to compare with");
        }
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = manifest.join("benches");
        let driver = directory.join("driver");
        compile(&source.join("driver.c"), &driver, |cc| {
            cc.arg("-I").arg(manifest.join("include")).arg("-L").arg(&ours).args(["-lrtmp", "-lpthread"])
        })?;
        let loader = directory.join("load");
        compile(&source.join("load.c"), &loader, |cc| cc.arg("-ldl"))?;
        let avio = directory.join("avio");
        let avio =
            compile(&source.join("avio.c"), &avio, |cc| cc.args(["-lavformat", "-lavutil"])).map(|()| avio);
        if avio.is_err() {
            eprintln!("FFmpeg's headers (libavformat-dev) are not installed: its column stays empty");
        }
        let traced = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
        if !traced {
            eprintln!("strace is not installed: system calls are not counted");
        }
        Ok(Self { directory, driver, loader, avio: avio.ok(), ours, original, baseline, traced })
    }

    /// Measures all contestants of some rows in turn, `rounds` times, or as often as the time allows. The rows share their runs.
    pub fn measure(&self, rows: &[Row], rounds: Option<usize>) -> io::Result<Vec<Measured>> {
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let mut runs = Vec::new();
        for contestant in Contestant::ALL {
            runs.push(self.run(contestant, first)?);
        }
        let mut outputs: ByContestant<Result<Vec<String>, &str>> = Contestant::ALL.map(|_| Ok(Vec::new()));
        let started = Instant::now();
        for round in 0..rounds.unwrap_or(MOST_ROUNDS) {
            if rounds.is_none() && round >= ENOUGH_ROUNDS && started.elapsed() > ROW_TIME {
                break;
            }
            let mut turns: Vec<_> = runs.iter().zip(&mut outputs).collect();
            // If the machine becomes slower during a round, this avoids that always the same contestant is affected.
            if round % 2 == 1 {
                turns.reverse();
            }
            for (run, outputs) in turns {
                let (Some(run), Ok(all)) = (run, &mut *outputs) else { continue };
                match run.output(bounded(&run.program).args(&run.arguments)) {
                    Ok(output) => all.push(output),
                    // A contestant that fails once does not run again.
                    Err(error) => {
                        eprintln!("{}: {error}", first.name);
                        let late = error.kind() == io::ErrorKind::TimedOut;
                        *outputs = Err(if late { "did not finish" } else { "failed" });
                    }
                }
            }
        }
        Ok(rows.iter().map(|row| self.measured(*row, &runs, &outputs)).collect())
    }

    /// The figures of a row from the outputs of its runs.
    fn measured(
        &self,
        row: Row,
        runs: &[Option<Run>],
        outputs: &ByContestant<Result<Vec<String>, &'static str>>,
    ) -> Measured {
        let seen = outputs.each_ref().map(|outputs| match outputs {
            Ok(outputs) => Ok(outputs.iter().map(|output| figures(&row, output)).collect::<Vec<_>>()),
            Err(reason) => Err(*reason),
        });
        let ours = seen[Contestant::Ours as usize].as_deref().unwrap_or_default();
        let ratios = seen.each_ref().map(|seen| {
            let pairs = seen.as_deref().unwrap_or_default().iter().zip(ours);
            middle(pairs.map(|(theirs, ours)| theirs.cost / ours.cost).collect())
        });
        let mut figures = seen.map(|seen| median(&seen?).ok_or(ABSENT));
        for (contestant, (run, figures)) in Contestant::ALL.iter().zip(runs.iter().zip(&mut figures)) {
            if let (Some(run), Ok(figures), true) = (run, figures, self.traced && contestant.is_traced()) {
                figures.calls = run.calls(&row).unwrap_or_else(|error| {
                    eprintln!("{}, system calls: {error}", row.name);
                    None
                });
            }
        }
        Measured { row, figures, ratios }
    }

    /// User instructions of this library and its caller for each message, connection or round, as counted by callgrind: the
    /// difference between a longer and a shorter run. `None` if they depend on more than the work.
    pub fn instructions(&self, row: Row) -> io::Result<Option<f64>> {
        let Some((less, more)) = row.counted() else { return Ok(None) };
        let Some(run) = self.run(Contestant::Ours, &row)? else { return Ok(None) };
        let (less, more) = (run.counted(less)?, run.counted(more)?);
        let each = (more.0 - less.0) / (more.1 - less.1);
        if each.is_finite() && each > 0.0 {
            return Ok(Some(each));
        }
        Err(io::Error::other(format!("{}: callgrind counts {each} instructions for each", row.name)))
    }

    /// Whether there is an earlier build to compare with.
    pub fn has_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    /// The sizes of the libraries on disk.
    pub fn sizes(&self) -> Sizes {
        let size = |directory: &Path| {
            let copy = directory.with_extension("stripped");
            let stripped =
                Command::new("strip").arg("-o").arg(&copy).arg(directory.join("librtmp.so.1")).status();
            match stripped {
                Ok(status) if status.success() => {
                    fs::metadata(&copy).map_or(f64::NAN, |file| file.len() as f64)
                }
                _ => f64::NAN,
            }
        };
        Sizes {
            ours: size(&self.ours),
            original: self.original.as_deref().map_or(f64::NAN, size),
            baseline: self.baseline.as_deref().map(size),
        }
    }

    /// The command of a contestant in a row; `None` if it does not take part.
    fn run(&self, contestant: Contestant, row: &Row) -> io::Result<Option<Run>> {
        let itself = env::current_exe()?;
        let limit = row.limit();
        let driver = if row.work == LOAD { &self.loader } else { &self.driver };
        let (program, library) = match contestant {
            Contestant::Ours => (Some(driver), Some(&self.ours)),
            Contestant::Original => (self.original.as_ref().map(|_| driver), self.original.as_ref()),
            Contestant::Baseline => (self.baseline.as_ref().map(|_| driver), self.baseline.as_ref()),
            Contestant::Socket => match limit {
                Some(Limit { cover: Cover::Plain, .. }) => (Some(&self.driver), Some(&self.ours)),
                limit => (limit.map(|_| &itself), None),
            },
            Contestant::Rust => (row.rust.then_some(&itself), None),
            Contestant::Ffmpeg => (self.avio.as_ref().filter(|_| row.ffmpeg.is_some()), None),
        };
        let Some(program) = program else { return Ok(None) };
        let total = row.total.to_string();
        let (chunk, size) = (row.sends.0.to_string(), row.sends.1.to_string());
        let (peer, arguments) = match (contestant, row.peer, limit) {
            (Contestant::Socket, _, None) => return Ok(None),
            (Contestant::Socket, _, Some(Limit { role, cover, work, size })) => {
                let peer = Peer::start(role, cover)?;
                let mut arguments = vec![work.to_owned()];
                if cover != Cover::Plain {
                    arguments = vec![rust::MEASURED.to_owned(), arguments.remove(0), cover.name().to_owned()];
                }
                arguments.extend([peer.port.to_string(), size.to_string(), total]);
                (Some(peer), arguments)
            }
            (_, None, _) if row.work == LOAD => (None, vec![total]),
            (_, None, _) => (None, vec![row.work.to_owned(), total]),
            (_, Some((role, cover)), _) => {
                let peer = Peer::start(role, cover)?;
                let url = url(cover, peer.port, role, contestant);
                let work = row.work.to_owned();
                let arguments = match contestant {
                    Contestant::Ffmpeg => {
                        // It is so slow that it gets less work.
                        let total = if row.is_paced() { row.total } else { row.total / 8 }.to_string();
                        vec![row.ffmpeg.unwrap_or_default().to_owned(), url, size, total]
                    }
                    Contestant::Rust => vec![rust::MEASURED.to_owned(), work, url, chunk, size, total],
                    _ if row.work == "connect" => {
                        vec![work, url, row.at_once.to_string(), row.receives.to_string(), total]
                    }
                    _ => vec![work, url, chunk, size, total],
                };
                (Some(peer), arguments)
            }
        };
        let trace = self.directory.join("calls");
        Ok(Some(Run { program: program.clone(), library: library.cloned(), arguments, trace, _peer: peer }))
    }
}

/// The figures of a row in the output of a run.
fn figures(row: &Row, output: &str) -> Figures {
    let field = |name: &str| {
        let value = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        value.filter_map(|value| value.get(name)?.as_f64()).next_back().unwrap_or(f64::NAN)
    };
    let messages = field("messages");
    let scale = match row.unit {
        Unit::PerGigabyte => 1e9 / field("count"),
        Unit::Each | Unit::Memory => 1e6 / messages,
        // The total of all threads is not the cost of a call.
        Unit::Printed(_) => f64::NAN,
    };
    let messages = if scale.is_nan() { scale } else { messages };
    Figures {
        cost: match row.unit {
            Unit::Memory => field("resident"),
            Unit::Printed(name) => field(name),
            _ => field("cpu") * scale,
        },
        wall: field("wall") * scale,
        allocations: field("allocations") / messages,
        calls: None,
        peak: field("peak"),
        rounds: 1,
    }
}

impl Run {
    /// System calls for each message: the difference between a longer and a shorter run.
    fn calls(&self, row: &Row) -> io::Result<Option<f64>> {
        let Some((less, more)) = row.traced() else { return Ok(None) };
        let (less, more) = (self.traced(less)?, self.traced(more)?);
        // With few messages, the other calls may outnumber theirs.
        Ok(Some((more.0 - less.0) / (more.1 - less.1)).filter(|calls| *calls >= 0.0))
    }

    /// Instructions and messages of a run.
    fn counted(&self, total: u64) -> io::Result<(f64, f64)> {
        let mut arguments = self.arguments.clone();
        arguments.pop();
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        valgrind.arg(format!("--log-file={}", self.trace.display()));
        let output = self.output(valgrind.arg(&self.program).args(arguments).arg(total.to_string()))?;
        let instructions = fs::read_to_string(&self.trace)?
            .lines()
            .find_map(|line| line.split_once("Collected :")?.1.split_whitespace().next()?.parse::<f64>().ok())
            .unwrap_or(f64::NAN);
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages = messages.filter_map(|value| value.get("messages")?.as_f64()).next_back();
        Ok((instructions, messages.unwrap_or(f64::NAN)))
    }

    /// System calls and messages of a run.
    fn traced(&self, total: u64) -> io::Result<(f64, f64)> {
        let mut arguments = self.arguments.clone();
        arguments.pop();
        let mut strace = bounded(Path::new("strace"));
        strace.args(["-f", "-c", "-U", "name,calls", "-o"]).arg(&self.trace).arg(&self.program);
        let output = self.output(strace.args(arguments).arg(total.to_string()))?;
        let calls = fs::read_to_string(&self.trace)?
            .lines()
            .find_map(|line| line.trim().strip_prefix("total")?.trim().parse::<f64>().ok())
            .unwrap_or(f64::NAN);
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages = messages.filter_map(|value| value.get("messages")?.as_f64()).next_back();
        Ok((calls, messages.unwrap_or(f64::NAN)))
    }

    fn output(&self, command: &mut Command) -> io::Result<String> {
        if let Some(library) = &self.library {
            command.env("LD_LIBRARY_PATH", library);
        }
        let output = command.env("RTMP_TLS_VERIFY", "0").stderr(Stdio::inherit()).output()?;
        if output.status.code() == Some(124) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{command:?} did not finish")));
        }
        if !output.status.success() {
            return Err(io::Error::other(format!("{command:?} failed")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A program with a time limit; it then ends with exit status 124.
fn bounded(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", PATIENCE]).arg(program);
    command
}

fn url(cover: Cover, port: u16, role: Role, contestant: Contestant) -> String {
    let (scheme, host) = match cover {
        Cover::Plain => ("rtmp", "127.0.0.1"),
        Cover::Encrypted => ("rtmpe", "127.0.0.1"),
        Cover::Tls(_) => ("rtmps", "localhost"),
    };
    let live = if contestant != Contestant::Ffmpeg && role != Role::Publish { " live=1" } else { "" };
    format!("{scheme}://{host}:{port}/live/stream{live}")
}

/// The run with the median cost.
fn median(seen: &[Figures]) -> Option<Figures> {
    let mut seen = seen.to_vec();
    seen.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    Some(Figures { rounds: seen.len(), ..*seen.get(seen.len() / 2)? })
}

/// The median.
fn middle(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// A directory in which the names of the library refer to this file.
fn linked(directory: &Path, name: &str, file: &Path) -> io::Result<PathBuf> {
    let directory = directory.join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    for name in ["librtmp.so", "librtmp.so.1"] {
        symlink(file, directory.join(name))?;
    }
    Ok(directory)
}

/// Debian's library.
fn installed() -> Option<PathBuf> {
    let libraries = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    libraries.map(|directory| directory.join("librtmp.so.1")).find(|file| file.exists())
}

fn compile(source: &Path, program: &Path, options: impl Fn(&mut Command) -> &mut Command) -> io::Result<()> {
    let mut cc = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-O2", "-o"]).arg(program).arg(source);
    let status = options(&mut cc).stderr(Stdio::piped()).output()?;
    if status.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&status.stderr).into_owned()))
    }
}
