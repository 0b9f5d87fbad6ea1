//! C and C++ compilers, for tests that look at the library from programs of theirs.
#![allow(dead_code)] // every test binary uses a part of this module

pub mod header;
pub mod listing;
pub mod staging;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{TempDir, library::package, require};

/// Language standards that the headers are promised for: option, compilers, ending of a source file's name.
const STANDARDS: [(&str, [&str; 2], &str); 5] = [
    ("-std=c99", ["cc", "clang"], "c"),
    ("-std=c11", ["cc", "clang"], "c"),
    ("-std=c17", ["cc", "clang"], "c"),
    ("-std=c++11", ["c++", "clang++"], "cc"),
    ("-std=c++20", ["c++", "clang++"], "cc"),
];

/// Where the reference library's headers are when its development package is installed.
pub const REFERENCE_HEADERS: &str = "/usr/include/librtmp";

/// Whether the reference library's headers are installed; says so if they are not.
pub fn has_reference_headers() -> bool {
    require::file(&Path::new(REFERENCE_HEADERS).join("rtmp.h")).is_some()
}

/// Compiles a source text in each language with each compiler against our headers, all warnings being errors.
pub fn compile_everywhere(name: &str, text: &str) {
    compile_as(&STANDARDS.map(|(standard, ..)| standard), name, text);
}

/// As `compile_everywhere`, in some of the languages.
pub fn compile_as(standards: &[&str], name: &str, text: &str) {
    let dir = TempDir::new(name);
    for (standard, compilers, ending) in STANDARDS.into_iter().filter(|row| standards.contains(&row.0)) {
        let source = dir.join(name).with_extension(ending);
        fs::write(&source, text).unwrap();
        for compiler in compilers.iter().filter_map(|compiler| require::program(compiler)) {
            let mut command = Command::new(compiler);
            command.args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror"]).arg(include_option());
            run(command.arg("-c").arg(&source).arg("-o").arg(source.with_extension("o")));
        }
    }
}

/// Makes a compiler find our headers, which must all exist: it would take those of an installed library instead.
pub fn include_option() -> String {
    let dir = package().join("include");
    for header in ["amf.h", "http.h", "log.h", "loop.h", "rtmp.h", "rtmp_sys.h"] {
        let path = dir.join("librtmp").join(header);
        assert!(path.exists(), "{} is missing, run `make headers`", path.display());
    }
    format!("-I{}", dir.display())
}

/// Runs a command that must succeed and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must at least start.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
