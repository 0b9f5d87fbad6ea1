//! The log functions in C: the same output as librtmp 2.4, and valid results where that one crashes.

#![cfg(target_os = "linux")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

#[test]
fn logging_prints_what_librtmp_prints() {
    let ours = run("log", Linked::Ours);
    assert!(ours.status.success(), "{ours:?}");
    let text = String::from_utf8_lossy(&ours.stdout);
    assert!(text.contains("ab\r\np\n") && text.contains("callback(-5, "), "{text}");
    assert_eq!(String::from_utf8_lossy(&ours.stderr), "ERROR: to stderr\nto stderr, too\n");
    same_as_reference("log", &ours);
}

#[test]
fn the_static_library_links_into_c_programs() {
    let shared = run("log", Linked::Ours);
    for option in ["-Wl,--no-gc-sections", "-Wl,--gc-sections"] {
        let linked = run("log", Linked::Static(option));
        assert!(linked.status.success(), "{option}: {linked:?}");
        assert!(linked.stdout == shared.stdout && linked.stderr == shared.stderr, "{option}");
    }
}

#[test]
fn logging_survives_what_librtmp_does_not() {
    let ours = run("log_safe", Linked::Ours);
    assert!(ours.status.success(), "{ours:?}");
    let expected = "\
DEBUG2: level 6
DEBUG2: level 50
DEBUG2: level -1
2 calls
ERROR: the built-in writer is back

ERROR: nothing before this but the newline of a status
ERROR: the length of a dump is too large
a handler may print while its thread does
ERROR: and the lock is free again
6000 whole lines, 0 torn
";
    assert_eq!(String::from_utf8_lossy(&ours.stdout), expected);
}

#[test]
fn programs_and_library_share_the_variables() {
    for option in ["-no-pie", "-pie"] {
        let program = compile("variables", Linked::With(option), &directory("variables"));
        let relocations = Command::new("readelf").args(["-W", "-r"]).arg(program).output().unwrap().stdout;
        assert!(String::from_utf8_lossy(&relocations).contains("_COPY "), "{option}: the program has copies");
        let ours = run("variables", Linked::With(option));
        assert!(ours.status.success(), "{option}: {ours:?}");
        let text = String::from_utf8_lossy(&ours.stdout);
        assert!(
            text.contains("DEBUG: the library sees 4\nthe program sees 2\ninterrupt 1\nTLS 1\n"),
            "{text}"
        );
        same_as_reference("variables", &ours);
    }
}

/// The library that a program is linked with.
#[derive(Debug, Clone, Copy)]
enum Linked<'a> {
    /// Our shared library.
    Ours,
    /// Our shared library, with a compiler option that decides about copy relocations.
    With(&'a str),
    /// Our archive, with a linker option.
    Static(&'a str),
}

/// Compiles `tests/c/<name>.c` and runs it on our library.
fn run(name: &str, linked: Linked<'_>) -> Output {
    let dir = directory(name);
    let program = compile(name, linked, &dir);
    // Programs look for the soname.
    std::os::unix::fs::symlink(library("librtmp.so"), dir.join("librtmp.so.1")).unwrap();
    Command::new(program).env("LD_LIBRARY_PATH", &dir).output().unwrap()
}

/// Runs the same program on the original library, if there is one, and compares.
fn same_as_reference(name: &str, ours: &Output) {
    let found = Command::new("cc").arg("-print-file-name=librtmp.so.1").output().unwrap();
    let reference = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    if !reference.is_absolute() {
        println!("skipped: librtmp 2.4 is not installed, {name} has nothing to be compared with");
        return;
    }
    let dir = directory(name);
    let program = compile(name, Linked::Ours, &dir);
    let theirs = Command::new(program).env("LD_LIBRARY_PATH", reference.parent().unwrap()).output().unwrap();
    assert!(theirs.status.success(), "{theirs:?}");
    let (ours_out, theirs_out) = (lines(&ours.stdout), lines(&theirs.stdout));
    for (n, (ours, theirs)) in ours_out.iter().zip(&theirs_out).enumerate() {
        assert_eq!(ours, theirs, "line {} of {name}", n + 1);
    }
    assert_eq!(ours_out.len(), theirs_out.len());
    assert_eq!(lines(&ours.stderr), lines(&theirs.stderr));
}

fn lines(output: &[u8]) -> Vec<String> {
    output.split_inclusive(|&byte| byte == b'\n').map(|line| line.escape_ascii().to_string()).collect()
}

/// An empty directory of its own for each run.
fn directory(name: &str) -> PathBuf {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{run}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    dir
}

fn compile(name: &str, linked: Linked<'_>, dir: &Path) -> PathBuf {
    let program = dir.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-format-zero-length", "-O1", "-o"]);
    cc.arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name).with_extension("c"));
    match linked {
        Linked::Ours => cc.arg(library("librtmp.so")),
        Linked::With(option) => cc.arg(option).arg(library("librtmp.so")),
        Linked::Static(option) => cc.arg(option).arg(library("librtmp.a")).args(["-lm", "-ldl"]),
    };
    let output = cc.arg("-pthread").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// A library that cargo built beside this test.
fn library(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile =
        test.parent().and_then(Path::parent).expect("tests are in the deps directory of their profile");
    let library = profile.join(name);
    assert!(library.exists(), "{} was not built", library.display());
    library
}
