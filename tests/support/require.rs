//! What to do when a test needs a program that is not installed.
//!
//! Locally such a test says so and passes; with `CI=true` in the environment it fails, since CI installs everything
//! first (`tests/install.sh`).

use std::path::{Path, PathBuf};

/// Prints that `test` is skipped because `what` is missing. Panics in CI.
pub fn missing(what: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "{what} is not installed: CI must install it (tests/install.sh)");
    eprintln!("skipped: {what} is not installed (tests/install.sh lists what the tests need)");
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

/// Returns from the test when the expression is `None` (which has said why).
#[macro_export]
macro_rules! need {
    ($found:expr) => {
        match $found {
            Some(found) => found,
            None => return,
        }
    };
}
