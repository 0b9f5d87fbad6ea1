//! Compilers, the built library and the reference installation, for tests that look at the library from C.
//!
//! Knows nothing of RTMP.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Language standards that the headers are promised for: option, compilers by preference of the platform, file name.
pub const STANDARDS: [(&str, &[&str], &str); 5] = [
    ("-std=c99", &["cc", "clang"], "c"),
    ("-std=c11", &["cc", "clang"], "c"),
    ("-std=c17", &["cc", "clang"], "c"),
    ("-std=c++11", &["c++", "clang++"], "cc"),
    ("-std=c++20", &["c++", "clang++"], "cc"),
];

/// Where the reference library's headers are when its development package is installed.
pub const REFERENCE_HEADERS: &str = "/usr/include/librtmp";

/// The root of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes a compiler find our headers, which must all exist: it would take those of an installed library instead.
pub fn include_option() -> String {
    let dir = root().join("include");
    for header in ["amf.h", "http.h", "log.h", "rtmp.h", "rtmp_sys.h"] {
        let path = dir.join("librtmp").join(header);
        assert!(path.exists(), "{} is missing, run `make headers`", path.display());
    }
    format!("-I{}", dir.display())
}

/// A new, empty directory for one test.
pub fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Whether a program can be started at all.
pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a command that must succeed and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}\n{}{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must at least start.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Compiles one C or C++ file into `object` with warnings as errors.
pub fn compile(compiler: &str, options: &[&str], source: &Path, object: &Path) {
    let mut command = Command::new(compiler);
    command
        .args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "-o"])
        .arg(object)
        .args(options)
        .arg(source);
    run(&mut command);
}

/// The directory that holds the shared library that belongs to this test run.
pub fn library_dir() -> PathBuf {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    assert!(deps.join("librtmp.so").exists(), "no librtmp.so in {}", deps.display());
    deps
}

/// A directory in which the library has the name that the dynamic linker looks for.
pub fn runtime_dir() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime");
    fs::create_dir_all(&dir).unwrap();
    for name in ["librtmp.so.1", "librtmp.so"] {
        // Tests run side by side: whoever is first makes the link.
        match std::os::unix::fs::symlink(library_dir().join("librtmp.so"), dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{name}: {error}"),
            _ => {}
        }
    }
    dir
}

/// The reference shared library, if it is installed.
pub fn reference_library() -> Option<PathBuf> {
    let dirs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    dirs.iter().map(|dir| Path::new(dir).join("librtmp.so.1")).find(|path| path.exists())
}

/// Says on the terminal why a test did nothing.
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
