//! The exported variables of the shared library, in the form that programs linked with librtmp 2.4 need.

#![cfg(target_os = "linux")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// All of them. Their sizes and sections are in `tests/abi/symbols.txt`.
const VARIABLES: [&str; 6] = [
    "RTMPProtocolStrings",
    "RTMPProtocolStringsLower",
    "RTMP_DefaultFlashVer",
    "RTMP_TLS_ctx",
    "RTMP_ctrlC",
    "RTMP_debuglevel",
];

/// The program's copy could not replace a protected or hidden variable.
#[test]
fn programs_can_copy_the_variables() {
    let objects = output("readelf", &["-W", "--dyn-syms"]);
    for name in VARIABLES {
        let line = objects.lines().find(|line| line.split_whitespace().last() == Some(name)).unwrap();
        assert!(line.contains(" OBJECT ") && line.contains(" GLOBAL DEFAULT "), "{line}");
    }
}

#[test]
fn the_library_reads_the_copies_that_programs_write() {
    through_the_table(&VARIABLES);
}

#[test]
fn log_helpers_are_not_exported() {
    let listing = output("nm", &["-D", "--defined-only"]);
    let strange: Vec<_> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|name| !["RTMP", "AMF", "HTTP"].iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Asserts that the global offset table has an entry for each name, which the dynamic linker points at the copy.
fn through_the_table(names: &[&str]) {
    let relocations = output("readelf", &["-W", "-r"]);
    for name in names {
        let found = relocations.lines().any(|line| {
            line.contains("GLOB_DAT")
                && line.split_whitespace().any(|field| field.split('@').next() == Some(name))
        });
        assert!(found, "{name} is not reached through the global offset table");
    }
}

fn output(tool: &str, options: &[&str]) -> String {
    let output = Command::new(tool).args(options).arg(library()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The shared library that cargo built beside this test.
fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile =
        test.parent().and_then(Path::parent).expect("tests are in the deps directory of their profile");
    profile.join("librtmp.so")
}
