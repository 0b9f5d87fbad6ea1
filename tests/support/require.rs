//! Tests that need a program which is not installed.
//!
//! On a developer's machine, such a test prints this and passes. With `CI=true` in the environment it fails, because CI
//! installs everything first (`tests/install.sh`).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Prints that the test is skipped because `what` is missing. Panics in CI.
pub fn missing(what: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "{what} is not installed: CI must install it (tests/install.sh)");
    skipped(&format!("{what} is not installed"));
}

/// Reports that the test is skipped: in its output, which the test runner hides, and in the file for `tests/run.sh`.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
    let Some(file) = std::env::var_os("RTMP_TEST_SKIPPED") else { return };
    let program = std::env::current_exe().expect("a process knows its own file");
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Cargo adds a hash to the name.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let thread = std::thread::current();
    let line = format!("{program}::{}\t{why}\n", thread.name().unwrap_or("a thread of a test"));
    let mut file =
        OpenOptions::new().append(true).create(true).open(file).expect("the build directory is writable");
    file.write_all(line.as_bytes()).expect("the build directory is writable");
}

/// The path of a program, searched in PATH and in the system's administrator directories.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// `file` if it exists.
pub fn file(file: &Path) -> Option<PathBuf> {
    if file.exists() {
        return Some(file.to_owned());
    }
    missing(&file.display().to_string());
    None
}

/// Returns from the test when the expression is `None` (the reason was printed before).
#[macro_export]
macro_rules! need {
    ($found:expr) => {
        match $found {
            Some(found) => found,
            None => return,
        }
    };
}
