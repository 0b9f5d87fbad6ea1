//! `make install` into a directory of the test, and what pkg-config says of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use super::run;
use crate::support::{TempDir, library::package, process::leave_cargo};

/// An installed library.
pub struct Staged {
    /// What `DESTDIR` was.
    pub root: TempDir,
    prefix: String,
    libdir: String,
    variables: Vec<String>,
}

impl Staged {
    /// Installs with these variables of `make` in addition, `NAME=value` each.
    pub fn install(prefix: &str, libdir: &str, variables: &[&str]) -> Self {
        let mut staged = Self::by(prefix, libdir, |_| ());
        staged.variables = variables.iter().map(|&variable| variable.to_owned()).collect();
        staged.make("install");
        staged
    }

    /// Lets something else than `make` install, below the directory that it is given.
    pub fn by(prefix: &str, libdir: &str, install: impl FnOnce(&Path)) -> Self {
        let root = TempDir::new("install");
        install(root.path());
        let libdir = format!("{prefix}/{libdir}");
        Self { root, prefix: prefix.to_owned(), libdir, variables: Vec::new() }
    }

    pub fn uninstall(&self) {
        self.make("uninstall");
    }

    /// Runs `make` with the profile that this test was built with, so that nothing is built twice.
    fn make(&self, target: &str) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
        let (target_dir, profile) = target_and_profile();
        let mut command = Command::new("make");
        command.arg("-C").arg(package()).arg(target).env("CARGO_TARGET_DIR", target_dir);
        command.arg(format!("CARGO={}", env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())));
        command.arg(format!("PROFILE={profile}")).args(&self.variables);
        command.arg(format!("prefix={}", self.prefix)).arg(format!("libdir={}", self.libdir));
        command.arg(format!("DESTDIR={}", self.root.path().display()));
        // A `make` that runs this test must not share its job server or its variables with this one.
        leave_cargo(&mut command);
        run(command.env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES").env_remove("MAKELEVEL"));
    }

    /// Where a file of the installed system is now.
    pub fn path(&self, installed: &str) -> PathBuf {
        self.root.join(installed.trim_start_matches('/'))
    }

    /// The staged directory of libraries.
    pub fn lib(&self) -> PathBuf {
        self.path(&self.libdir)
    }

    /// The staged prefix.
    pub fn prefix(&self) -> PathBuf {
        self.path(&self.prefix)
    }

    /// Everything in the stage that is no directory, sorted, without what it is staged in.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = files(self.root.path());
        files.iter_mut().for_each(|file| *file = file.strip_prefix(self.root.path()).unwrap().to_owned());
        files.sort();
        files
    }

    /// Asks pkg-config about the staged package and nothing else, with paths that lead into the stage.
    pub fn pkg_config(&self, package: &str, question: &[&str]) -> Vec<String> {
        let root = self.root.path().to_str().unwrap();
        let mut command = Command::new("pkg-config");
        command.args(question).arg(package);
        command.env("PKG_CONFIG_LIBDIR", self.lib().join("pkgconfig")).env("PKG_CONFIG_SYSROOT_DIR", root);
        // Directories that compilers look into anyway are left out unless one says that they matter.
        command.env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1").env("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1");
        command.env_remove("PKG_CONFIG_PATH");
        let answer = run(&mut command);
        // Some versions put the system root in front of plain variables too.
        let is_variable = question[0].starts_with("--variable");
        let plain = |word: &str| word.strip_prefix(root).filter(|_| is_variable).unwrap_or(word).to_owned();
        answer.split_whitespace().map(plain).collect()
    }
}

/// The target directory of this test, and the name of its cargo profile.
pub fn target_and_profile() -> (PathBuf, String) {
    let binary = env::current_exe().unwrap();
    let build_dir = binary.ancestors().nth(2).expect("cargo puts tests into <target>/<profile>/deps");
    let directory = build_dir.file_name().unwrap().to_str().unwrap();
    let profile = if directory == "debug" { "dev" } else { directory };
    (build_dir.parent().unwrap().to_owned(), profile.to_owned())
}

/// Everything below a directory that is no directory itself.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}
