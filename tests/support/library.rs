//! The two libraries under test: this library, and the original, which Debian ships as `librtmp1`.
//!
//! `RTMP_TEST_LIBRARY=<file>` replaces this library with another file, for example to check the tests with the original.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::require;

/// The library that a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The library of this package.
    Ours,
    /// The same, with every call that waits replaced by steps that do not wait (`tests/c/stepping.c`).
    Stepping,
    /// The library of the distribution.
    Original,
}

impl Library {
    /// The shared object.
    pub fn file(self) -> Option<PathBuf> {
        match self {
            Self::Ours | Self::Stepping => Some(ours()),
            Self::Original => {
                let found = original();
                if found.is_none() {
                    require::missing("librtmp1");
                }
                found
            }
        }
    }

    /// A directory for `LD_LIBRARY_PATH` in which `librtmp.so.1` and `librtmp.so` are this library.
    pub fn directory(self) -> Option<PathBuf> {
        static OURS: OnceLock<Option<PathBuf>> = OnceLock::new();
        static ORIGINAL: OnceLock<Option<PathBuf>> = OnceLock::new();
        let (cell, library) = match self {
            Self::Ours | Self::Stepping => (&OURS, Self::Ours),
            Self::Original => (&ORIGINAL, Self::Original),
        };
        cell.get_or_init(|| library.file().map(|file| library.link(&file))).clone()
    }

    /// Symbolic links, so that a program finds exactly this file under the name that it was linked with. There is one directory
    /// for each process, because test binaries may run at the same time.
    fn link(self, file: &Path) -> PathBuf {
        sweep();
        let directory = scratch().join(format!("{self:?}-{}", std::process::id()).to_lowercase());
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("the build directory is writable");
        for name in ["librtmp.so", "librtmp.so.1"] {
            symlink(file, directory.join(name)).expect("the build directory takes symbolic links");
        }
        directory
    }
}

/// This library, with its usual calls and with calls made of steps, which the original does not have.
pub fn both_ways() -> &'static [Library] {
    if ours_is_original() { &[Library::Ours] } else { &[Library::Ours, Library::Stepping] }
}

/// True when [`Library::Ours`] is really the original, to check the tests.
pub fn ours_is_original() -> bool {
    original().is_some_and(|file| fs::canonicalize(file).ok() == fs::canonicalize(ours()).ok())
}

/// True when the distribution's library is installed.
pub fn has_original() -> bool {
    original().is_some()
}

/// A directory inside the build directory, kept between runs.
pub fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Removes the directories of test processes that have ended: their names end with the process id.
fn sweep() {
    for entry in fs::read_dir(scratch()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ended = |id: &str| id.parse::<u32>().is_ok() && !Path::new("/proc").join(id).exists();
        if ["ours-", "original-", "c-", "examples-"]
            .iter()
            .any(|kind| name.strip_prefix(kind).is_some_and(ended))
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The root of the package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ours() -> PathBuf {
    if let Some(file) = std::env::var_os("RTMP_TEST_LIBRARY") {
        return file.into();
    }
    // The test binary is <target>/<profile>/deps/<name>; cargo leaves the library there or one level up.
    let binary = std::env::current_exe().expect("a process knows its own file");
    let deps = binary.parent().expect("a file has a directory");
    let candidates = [deps.join("librtmp.so"), deps.parent().unwrap_or(deps).join("librtmp.so")];
    let newest = candidates
        .iter()
        .filter_map(|file| Some((fs::metadata(file).ok()?.modified().ok()?, file)))
        .max_by_key(|(modified, _)| *modified);
    let Some((_, file)) = newest else { panic!("our library is not built: none of {candidates:?} exists") };
    file.clone()
}

fn original() -> Option<PathBuf> {
    // There is none for another system.
    if std::env::var_os("RTMP_TEST_RUNNER").is_some() {
        return None;
    }
    let machine = std::env::consts::ARCH;
    ["/usr/lib", "/lib", "/usr/local/lib"]
        .iter()
        .flat_map(|root| [format!("{root}/{machine}-linux-gnu"), format!("{root}64"), root.to_string()])
        .map(|directory| Path::new(&directory).join("librtmp.so.1"))
        .find(|file| file.exists())
}
