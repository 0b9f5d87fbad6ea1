//! The cache file: `.swfinfo` in the user's home directory.
//!
//! It is replaced as a whole, so readers never see a part of it. The writing process holds the new file, which no other process
//! can create meanwhile; so no process overwrites what another one stored.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use log::debug;

use super::cache::Cache;
use crate::environment;

/// The limit of the wait for other writers.
const WAIT: Duration = Duration::from_secs(2);
/// After this time a writer must have failed: writing takes milliseconds.
const ABANDONED: Duration = Duration::from_secs(10);
/// The limit of the file's size; a larger file is not a cache and is replaced.
const MAX_SIZE: u64 = 4 << 20;

/// The path of the cache file: in the directory `HOME`, or in the current one. An empty `HOME` means the root. `None` for a
/// process that must not trust its environment, which includes the current directory.
pub fn path() -> Option<PathBuf> {
    if environment::is_ignored() {
        return None;
    }
    let home = environment::variable("HOME");
    // The replacement on Windows.
    let home = if cfg!(windows) { home.or_else(|| environment::variable("USERPROFILE")) } else { home };
    let mut path = home.unwrap_or_else(|| OsString::from("."));
    path.push("/.swfinfo");
    Some(path.into())
}

/// Reads the file; a missing or unreadable one counts as empty.
pub fn load(path: &Path) -> Cache {
    match read(path) {
        Ok(text) if text.len() as u64 <= MAX_SIZE => Cache::parse(&text),
        Ok(_) => {
            debug!("{} is too large, so a new one begins", path.display());
            Cache::default()
        }
        Err(error) => {
            debug!("cannot read {}: {error}", path.display());
            Cache::default()
        }
    }
}

/// Changes the contents of the file, or creates a file, which only its owner may read.
pub fn change(path: &Path, change: impl FnOnce(&mut Cache)) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = begin(&new)?;
    let mut cache = load(path);
    change(&mut cache);
    let result = file.write_all(&cache.to_bytes()).and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Creates the new file, when no other process is writing.
fn begin(new: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let deadline = Instant::now() + WAIT;
    loop {
        match options.open(new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_abandoned(new) {
                    let _ = fs::remove_file(new);
                }
                if Instant::now() >= deadline {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn is_abandoned(new: &Path) -> bool {
    let Ok(begun) = fs::symlink_metadata(new).and_then(|metadata| metadata.modified()) else { return false };
    match SystemTime::now().duration_since(begun) {
        Ok(age) => age > ABANDONED,
        // The clock was set back.
        Err(ahead) => ahead.duration() > ABANDONED,
    }
}
