//! The exported variables of the shared library, as programs that were linked with librtmp 2.4 need them.

#![cfg(target_os = "linux")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Name, size, and the section's letter in `nm`.
const VARIABLES: [(&str, u64, &str); 6] = [
    ("RTMPProtocolStrings", 63, "R"),
    ("RTMPProtocolStringsLower", 63, "R"),
    // Holds a pointer, so it is written once by the dynamic linker.
    ("RTMP_DefaultFlashVer", 16, "D"),
    ("RTMP_TLS_ctx", 8, "B"),
    ("RTMP_ctrlC", 4, "B"),
    ("RTMP_debuglevel", 4, "D"),
];

#[test]
fn exported_variables_have_the_size_that_programs_copy() {
    let listing = output("nm", &["-D", "-S", "--defined-only"]);
    for (name, size, section) in VARIABLES {
        let line = listing.lines().find(|line| line.split_whitespace().last() == Some(name));
        let fields: Vec<_> = line.unwrap_or_else(|| panic!("{name} is missing")).split_whitespace().collect();
        assert_eq!(u64::from_str_radix(fields[1], 16).unwrap(), size, "{name}");
        assert_eq!(fields[2], section, "{name}");
    }
    let objects = output("readelf", &["-W", "--dyn-syms"]);
    for (name, _, _) in VARIABLES {
        let line = objects.lines().find(|line| line.split_whitespace().last() == Some(name)).unwrap();
        assert!(line.contains(" OBJECT ") && line.contains(" GLOBAL DEFAULT "), "{line}");
    }
}

#[test]
fn the_library_reads_the_copies_that_programs_write() {
    through_the_table(&["RTMP_debuglevel", "RTMP_ctrlC", "RTMP_TLS_ctx"]);
}

#[test]
fn the_library_reads_the_copies_of_constants() {
    through_the_table(&["RTMP_DefaultFlashVer", "RTMPProtocolStrings", "RTMPProtocolStringsLower"]);
}

#[test]
fn helpers_of_the_log_functions_stay_inside() {
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
