//! The cache file: `.swfinfo` in the user's home directory.
//!
//! It is replaced as a whole, so readers never see half of it. Whoever writes holds the new file, which nobody else can
//! create meanwhile; so no process undoes what another one stored.

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

/// How long to wait for others that write.
const WAIT: Duration = Duration::from_secs(2);
/// When somebody who began to write must have died over it: writing takes milliseconds.
const ABANDONED: Duration = Duration::from_secs(10);
/// The largest file that is read; what is larger is no cache and starts anew.
const MAX_SIZE: u64 = 4 << 20;

/// Where the cache file is: in the directory that `HOME` names, or in the current one. An empty `HOME` names the root.
/// `None` for a process that must not believe its environment: the current directory is part of that.
pub fn path() -> Option<PathBuf> {
    if environment::is_ignored() {
        return None;
    }
    let home = environment::variable("HOME");
    // What Windows has in its place.
    let home = if cfg!(windows) { home.or_else(|| environment::variable("USERPROFILE")) } else { home };
    let mut path = home.unwrap_or_else(|| OsString::from("."));
    path.push("/.swfinfo");
    Some(path.into())
}

/// Reads the file; one that is not there or cannot be read counts as empty.
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

/// Changes what is in the file, or makes a file, which only its owner may read.
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
    // Opening a pipe would wait for somebody to write into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Creates the new file, once nobody else is writing.
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
        // Somebody has set the clock back.
        Err(ahead) => ahead.duration() > ABANDONED,
    }
}
