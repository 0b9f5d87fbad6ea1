//! What a process holds: memory and descriptors.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{TempDir, library, require, wait_until};

/// What a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// What the program has allocated and not freed, in kilobytes.
    pub heap: u64,
    /// Resident memory of its own, in kilobytes, after what is free has been given back as far as that is possible. How
    /// far it is depends on where the blocks in use lie, so this goes up and down by megabytes.
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

    /// What a program's environment has to have; `name` is unlike those of the others.
    pub fn environment(&self, name: &str) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.preloaded.display().to_string()),
            ("HEAP_REPORT", self.folder.join(name).display().to_string()),
            // Only one arena can be made to give back all that is free, and what threads put aside counts as used.
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
    /// What it holds now. Zero for a process that has died.
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

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process)).map_or(0, Iterator::count)
    }
}
