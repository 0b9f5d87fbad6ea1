//! Which exported functions and variables of the library a program uses when it runs, as the dynamic loader sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::TempDir;

/// Makes the loader log every name that it looks up. Functions are looked up at their first call:
/// [`super::Program`] links its programs that way.
pub struct CallLog(TempDir);

impl CallLog {
    pub fn of(command: &mut Command) -> Self {
        let directory = TempDir::new("calls");
        command.env("LD_DEBUG", "bindings").env("LD_DEBUG_OUTPUT", directory.join("log"));
        Self(directory)
    }

    /// The names that the program itself has used, without the calls of the library.
    pub fn used_by(&self, program: &Path) -> BTreeSet<String> {
        let logs = fs::read_dir(self.0.path()).expect("the directory is ours").flatten();
        let text: String = logs.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
        let from = format!("binding file {} [", program.display());
        text.lines()
            .filter(|line| line.contains(&from) && line.contains("/librtmp.so.1 ["))
            .filter_map(|line| line.rsplit_once('`')?.1.split_once('\'').map(|(name, _)| name.to_owned()))
            .collect()
    }
}
