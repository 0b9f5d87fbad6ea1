//! A program with more rights than the user who started it ignores its environment: a set-uid copy of a C
//! program, started by another user, beside a copy without those rights.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
    time::Duration,
};

use crate::support::{Library, TempDir, library::package, program, require};
use crate::web::Site;

const LIMIT: Duration = Duration::from_secs(60);
/// A user without rights.
const NOBODY: u32 = 65_534;

/// Compiles a program that finds the library by itself: for a set-uid program the dynamic linker ignores its environment.
fn compile(source: &str, binary: &Path) -> Option<()> {
    let library = Library::Ours.directory()?;
    let mut command = Command::new(require::program("cc")?);
    command.args(["-std=gnu11", "-Werror", "-o"]).arg(binary).args(program::include_arguments());
    command.arg(package().join("tests/c").join(source)).arg(format!("-L{}", library.display()));
    command.arg(format!("-Wl,-rpath,{}", library.display())).arg("-lrtmp");
    let output = command.output().expect("the compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// Only root can make a file that belongs to root, and only in a place that all users can read.
fn may_give_rights(directory: &Path) -> Option<()> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let open = directory.ancestors().all(|part| {
        part.as_os_str().is_empty() || fs::metadata(part).is_ok_and(|part| part.mode() & 0o001 != 0)
    });
    if root && open {
        return Some(());
    }
    require::missing("root, and a build directory that everybody may enter");
    None
}

#[test]
fn set_uid_program_ignores_the_environment() {
    let directory = TempDir::new("privileges");
    need!(may_give_rights(directory.path()));
    let binary = directory.join("hash");
    need!(compile("http_hash_swf.c", &binary));
    let file = [b"FWS\x0a", &5008_u32.to_le_bytes()[..], &[7; 5000]].concat();
    let site = Site::of_file(&file);
    for (mode, is_written) in [(0o755, true), (0o4755, false)] {
        fs::set_permissions(&binary, Permissions::from_mode(mode)).unwrap();
        let home = TempDir::new("privileges-home");
        chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new(&binary);
        command.args(["30", &site.url("/x.swf")]).env_clear().env("HOME", home.path());
        command.current_dir(home.path()).uid(NOBODY).gid(NOBODY);
        let output = program::run(&mut command, "", LIMIT).expect("the program");
        assert!(output.starts_with("result 0, size 5008, "), "{mode:o}: {output}");
        assert_eq!(home.join(".swfinfo").exists(), is_written, "{mode:o}");
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, usize::from(is_written), "{mode:o}: in the current directory, too");
    }
}
