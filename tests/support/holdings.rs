//! The memory and descriptors of a process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{TempDir, library, require, wait_until};

/// The memory and the open descriptors of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Memory that the program has allocated and not freed, in kilobytes.
    pub heap: u64,
    /// Its own resident memory in kilobytes, after free memory has been returned as far as possible. This depends on the places
    /// of the blocks in use, so the value changes by megabytes.
    pub memory: u64,
    pub descriptors: usize,
}

/// Makes programs report on their heaps, with `tests/c/heap.c`.
pub struct Reporter {
    folder: TempDir,
    preloaded: PathBuf,
}

/// The reports of one process.
pub struct Reports {
    process: u32,
    file: PathBuf,
}

impl Reporter {
    /// `None` when there is no C compiler.
    pub fn new() -> Option<Self> {
        let folder = TempDir::new("heap");
        let preloaded = folder.join("heap.so");
        let compiled = Command::new(require::program("cc")?)
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
            .arg(&preloaded)
            .arg(library::package().join("tests/c/heap.c"))
            .arg("-lpthread")
            .status();
        assert!(compiled.is_ok_and(|status| status.success()), "heap.c does not compile");
        Some(Self { folder, preloaded })
    }

    /// The variables for the environment of a program; every program needs another `name`.
    pub fn environment(&self, name: &str) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.preloaded.display().to_string()),
            ("HEAP_REPORT", self.folder.join(name).display().to_string()),
            // Only a single arena can return all free memory, and memory in caches of threads counts as used.
            ("MALLOC_ARENA_MAX", "1".to_owned()),
            ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0".to_owned()),
        ]
    }

    /// The reports of a process that was started with this environment.
    pub fn reports(&self, name: &str, process: u32) -> Reports {
        Reports { process, file: self.folder.join(name) }
    }
}

impl Reports {
    /// Its current memory. Zero for a process that has ended.
    pub fn holdings(&self) -> Holdings {
        let _ = fs::remove_file(&self.file);
        let _ = Command::new("kill").args(["-USR2", &self.process.to_string()]).status();
        let mut bytes = None;
        wait_until(Duration::from_secs(20), || {
            bytes = fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse::<u64>().ok());
            bytes.is_some() || self.descriptors() == 0
        });
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap_or_default();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or_default();
        Holdings { heap: bytes.unwrap_or_default() / 1024, memory, descriptors: self.descriptors() }
    }

    /// The number of its open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process)).map_or(0, Iterator::count)
    }
}
