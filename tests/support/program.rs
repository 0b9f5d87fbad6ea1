//! C programs of `tests/c` and `c-examples`, compiled once and run with either library.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::library::{self, Library};
use super::process::{Running, TempDir};
use super::require;

/// A compiled C program.
#[derive(Clone)]
pub struct Program(PathBuf);

/// The result of a run, and its output.
#[derive(Debug)]
pub struct Run {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// True when it had to be killed at its time limit.
    pub timed_out: bool,
}

impl Run {
    /// The standard output of a run that must have succeeded.
    pub fn expect(self, what: &str) -> String {
        assert!(
            self.code == Some(0) && !self.timed_out,
            "{what} ended with {:?} (timed out: {})\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.timed_out,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// Options of the C compiler that check every access to memory and every operation of a C program.
const SANITIZERS: &str = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer";

static SANITIZED: AtomicBool = AtomicBool::new(false);

/// Compiles everything in this process with the sanitizers, which end a program when they find an error. `None` when the
/// compiler has none.
pub fn sanitize() -> Option<()> {
    let compiler = require::program("cc")?;
    // The compiler returns the name without a change if there is no such library.
    let runtime = super::process::output(compiler, &["-print-file-name=libasan.so"], Duration::from_secs(10));
    require::file(Path::new(String::from_utf8_lossy(&runtime).trim()))?;
    SANITIZED.store(true, Ordering::Relaxed);
    Some(())
}

/// Options for every compilation besides the usual ones: the sanitizers, and those of the environment variable
/// `RTMP_TEST_CFLAGS`.
fn more_flags() -> Vec<String> {
    let sanitizers = if SANITIZED.load(Ordering::Relaxed) { SANITIZERS } else { "" };
    let own = std::env::var("RTMP_TEST_CFLAGS").unwrap_or_default();
    sanitizers.split_whitespace().chain(own.split_whitespace()).map(str::to_owned).collect()
}

/// The C compiler; one for another system if the environment variable `RTMP_TEST_CC` names one.
fn compiler() -> Option<PathBuf> {
    require::program(&std::env::var("RTMP_TEST_CC").unwrap_or_else(|_| "cc".to_owned()))
}

impl Program {
    /// Compiles `tests/c/<name>.c`. `None` without a C compiler or a library to link with.
    pub fn test(name: &str) -> Option<Self> {
        Self::compile(&library::package().join("tests/c").join(format!("{name}.c")))
    }

    /// As `test`, for a program that uses functions which the original does not have.
    pub fn test_of_ours(name: &str) -> Option<Self> {
        Self::of_ours(&library::package().join("tests/c").join(format!("{name}.c")))
    }

    /// As `compile`, for a program that uses functions which the original does not have.
    pub fn of_ours(source: &Path) -> Option<Self> {
        let directory = Library::Ours.directory().expect("ours is always there");
        Self::compile_with(source, &directory, None)
    }

    /// An example for Enhanced RTMP, which the original does not have.
    pub fn enhanced_example(name: &str) -> Option<Self> {
        let directory = Library::Ours.directory().expect("ours is always there");
        let source = library::package().join("c-examples/enhanced").join(format!("{name}.c"));
        Self::compile_with(&source, &directory, None)
    }

    /// As `test`, for a program that uses headers of other packages.
    pub fn test_with_headers(name: &str, headers: &Path) -> Option<Self> {
        let source = library::package().join("tests/c").join(format!("{name}.c"));
        Self::compile_with(&source, &link_directory(), Some(headers))
    }

    /// A program of `c-examples`, built with the Makefile there; `None` when there are no examples.
    pub fn example(name: &str) -> Option<Self> {
        static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
        let source = require::file(&library::package().join("c-examples"))?;
        let make = require::program("make")?;
        require::program("cc")?;
        let mut built = BUILT.lock().unwrap_or_else(|broken| broken.into_inner());
        let directory = built.get_or_insert_with(|| {
            let directory = library::scratch().join(format!("examples-{}", std::process::id()));
            let output = Command::new(make)
                .arg("-C")
                .arg(source)
                .arg(format!("BUILD={}", directory.display()))
                // Those that run on both libraries.
                .arg("PROGRAMS=receive publish publish_packets server make_flv")
                .arg(format!("CPPFLAGS={}", include_arguments().join(" ")))
                .arg(format!("LDLIBS=-L{} -lrtmp", link_directory().display()))
                .arg(format!("CFLAGS=-O1 -g -Werror {}", more_flags().join(" ")))
                .output()
                .expect("make starts");
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the examples do not compile:\n{complaints}");
            directory
        });
        Some(Self(directory.join(name)))
    }

    /// A program of `c-examples`, in one file, that uses functions which the original does not have.
    pub fn example_of_ours(name: &str) -> Option<Self> {
        let directory = Library::Ours.directory().expect("ours is always there");
        let source = library::package().join("c-examples").join(format!("{name}.c"));
        Self::compile_with(&require::file(&source)?, &directory, None)
    }

    /// As `example_of_ours`, for a program of several files, built with the Makefile there.
    pub fn made_example_of_ours(name: &str) -> Option<Self> {
        static BUILDING: Mutex<()> = Mutex::new(());
        let source = require::file(&library::package().join("c-examples"))?;
        let make = require::program("make")?;
        require::program("cc")?;
        let _one_at_a_time = BUILDING.lock().unwrap_or_else(|broken| broken.into_inner());
        let directory = library::scratch().join(format!("examples-of-ours-{}", std::process::id()));
        let ours = Library::Ours.directory().expect("ours is always there");
        let output = Command::new(make)
            .arg("-C")
            .arg(source)
            .arg(format!("BUILD={}", directory.display()))
            .arg(format!("PROGRAMS={name}"))
            .arg(format!("CPPFLAGS={}", include_arguments().join(" ")))
            .arg(format!("LDLIBS=-L{} -lrtmp", ours.display()))
            .arg(format!("CFLAGS=-O1 -g -Werror {}", more_flags().join(" ")))
            .output()
            .expect("make starts");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} does not compile:\n{complaints}");
        Some(Self(directory.join(name)))
    }

    /// Compiles a source file, once per process, with warnings as errors.
    pub fn compile(source: &Path) -> Option<Self> {
        Self::compile_with(source, &link_directory(), None)
    }

    fn compile_with(source: &Path, libraries: &Path, headers: Option<&Path>) -> Option<Self> {
        // A lock for each program: tests that need others compile at the same time.
        type Compiled = Arc<Mutex<Option<Program>>>;
        static DONE: OnceLock<Mutex<HashMap<PathBuf, Compiled>>> = OnceLock::new();
        let done = DONE.get_or_init(Mutex::default);
        let mut done = done.lock().unwrap_or_else(|broken| broken.into_inner());
        let compiled = Arc::clone(done.entry(source.to_owned()).or_default());
        drop(done);
        let mut compiled = compiled.lock().unwrap_or_else(|broken| broken.into_inner());
        if compiled.is_some() {
            return compiled.clone();
        }
        let compiler = compiler()?;
        let directory = library::scratch().join(format!("c-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("the build directory is writable");
        let mut binary = directory.join(source.file_stem().expect("a source file has a name"));
        let is_for_windows = compiler.to_string_lossy().contains("mingw");
        let mut command = Command::new(compiler);
        command.args(["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]).args(more_flags());
        if let Some(headers) = headers {
            command.arg("-isystem").arg(headers);
        }
        if is_for_windows {
            binary.set_extension("exe");
        }
        command.args(include_arguments()).arg("-o").arg(&binary).arg(source);
        if is_for_windows {
            link_for_windows(&mut command, &directory);
        } else {
            command.arg("-Wl,-z,lazy"); // see `calls`
            command.arg(format!("-L{}", libraries.display())).args(["-lrtmp", "-lpthread", "-ldl", "-lm"]);
        }
        let output = command.output().expect("the compiler starts");
        assert!(
            output.status.success(),
            "{} does not compile:\n{}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let program = Self(binary);
        *compiled = Some(program.clone());
        Some(program)
    }

    /// The executable.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A command that runs the program on `library`.
    pub fn command(&self, library: Library) -> Option<Command> {
        on_library(&self.0, library)
    }

    /// Runs the program on `library`; `None` when that library is not installed.
    pub fn run(&self, library: Library, arguments: &[&str], input: &str, limit: Duration) -> Option<Run> {
        let mut command = self.command(library)?;
        Some(run(command.args(arguments), input, limit))
    }
}

/// Options for a program of tests/c that is compiled with MinGW, with what POSIX has and Windows lacks. Windows looks for libraries
/// where the program is, so they are copied there.
fn link_for_windows(command: &mut Command, directory: &Path) {
    let posix = library::package().join("c-examples/windows");
    command.arg("-I").arg(posix.join("include")).arg("-I").arg(&posix).args(["-include", "posix.h"]);
    command.arg(posix.join("posix.c")).arg("-Wno-format"); // those of Microsoft's printf, which is not used
    let library = Library::Ours.file().expect("RTMP_TEST_LIBRARY names the DLL");
    command.arg(library.with_extension("dll.a")).arg("-lws2_32");
    for name in ["librtmp.dll", "bcryptprimitives.dll"] {
        fs::copy(library.with_file_name(name), directory.join(name)).expect("`make windows` has made it");
    }
}

/// The library that replaces calls with loops of steps, compiled once for each process.
fn stepping() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let compiler = compiler()?;
        let directory = library::scratch().join(format!("c-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("the build directory is writable");
        let object = directory.join("stepping.so");
        let source = library::package().join("tests/c/stepping.c");
        let mut command = Command::new(compiler);
        command.args(["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
        command.args(more_flags()).args(include_arguments()).arg("-o").arg(&object).arg(source).arg("-ldl");
        let output = command.output().expect("the compiler starts");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "stepping.c does not compile:\n{complaints}");
        Some(object)
    };
    BUILT.get_or_init(build).clone()
}

/// Makes the dynamic loader log its work.
pub struct LoaderLog(TempDir);

impl LoaderLog {
    pub fn of(command: &mut Command) -> Self {
        let directory = TempDir::new("loader");
        command.env("LD_DEBUG", "libs").env("LD_DEBUG_OUTPUT", directory.join("log"));
        Self(directory)
    }

    /// The files called librtmp that the program and its child processes have loaded.
    pub fn loaded(&self) -> Vec<PathBuf> {
        let logs = fs::read_dir(self.0.path()).expect("the directory is ours").flatten();
        let text: String = logs.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
        text.lines()
            .filter_map(|line| line.split_once("calling init: "))
            .map(|(_, file)| PathBuf::from(file.trim()))
            .filter(|file| file.to_string_lossy().contains("librtmp.so"))
            .collect()
    }

    /// Panics unless the program has loaded `library` and no other librtmp.
    pub fn assert_loaded(&self, library: Library) {
        let directory = library.directory().expect("the program ran on it");
        assert_eq!(self.loaded(), [directory.join("librtmp.so.1")], "the program must load {library:?}");
    }
}

/// A command for any program that loads `librtmp.so.1`, changed to load `library`. With the environment variable
/// `RTMP_TEST_VALGRIND`, programs with this library run under valgrind, which ends them with status 99 if it finds an error.
/// With `RTMP_TEST_STEPPING`, they run as with [`Library::Stepping`]. `RTMP_TEST_RUNNER` is a program that runs programs of
/// another system.
pub fn on_library(program: &Path, library: Library) -> Option<Command> {
    let mut command = match std::env::var_os("RTMP_TEST_VALGRIND") {
        Some(_) if library != Library::Original => {
            let mut valgrind = Command::new(require::program("valgrind")?);
            valgrind.args(["-q", "--error-exitcode=99", "--leak-check=full", "--num-callers=30"]);
            valgrind
                .args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
            valgrind.arg(program);
            valgrind
        }
        _ => {
            let runner = std::env::var("RTMP_TEST_RUNNER").unwrap_or_default();
            let mut words = runner.split_whitespace().map(Path::new).chain([program]);
            let mut command = Command::new(words.next().expect("there is a program"));
            command.args(words);
            command
        }
    };
    command.env("LD_LIBRARY_PATH", library.directory()?);
    let all_step = library == Library::Ours && std::env::var_os("RTMP_TEST_STEPPING").is_some();
    if library == Library::Stepping || all_step {
        command.env("LD_PRELOAD", stepping()?);
    }
    if library == Library::Original {
        // Memory that it does not free is not an error of a program that was compiled with sanitizers.
        command.env("ASAN_OPTIONS", "detect_leaks=0");
    }
    Some(command)
}

/// Runs a command to its end.
pub fn run(command: &mut Command, input: &str, limit: Duration) -> Run {
    let mut running = Running::start_with_input(command, input.as_bytes().to_vec());
    let status = running.wait(limit);
    Run {
        code: status.and_then(|status| status.code()),
        stdout: running.stdout(),
        stderr: running.stderr(),
        timed_out: status.is_none(),
    }
}

/// The headers of this library, or the installed ones if there are none.
pub fn include_arguments() -> Vec<String> {
    let ours = library::package().join("include");
    if ours.join("librtmp/rtmp.h").exists() { vec![format!("-I{}", ours.display())] } else { Vec::new() }
}

/// The directory of the library to link with. A program loads the library in `LD_LIBRARY_PATH` when it runs; linking with the
/// original proves that programs built for it need no new build.
pub fn link_directory() -> PathBuf {
    let original = if library::has_original() { Library::Original.directory() } else { None };
    original.or_else(|| Library::Ours.directory()).expect("our library always has a directory")
}
