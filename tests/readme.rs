//! What README shows a newcomer has to be true.
#![forbid(unsafe_code)]

mod support;

use std::{fs, path::Path, process::Command};

use support::{Library, TempDir, program, require};

#[test]
fn the_program_in_readme_compiles_and_links() {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("it is there");
    let (_, rest) = readme.split_once("```c\n").expect("README has a C program");
    let (source, _) = rest.split_once("```").expect("the program ends");
    let directory = TempDir::new("readme");
    fs::write(directory.join("main.c"), source).expect("the directory is writable");
    let compiler = need!(require::program("cc"));
    let library = Library::Ours.directory().expect("ours is there");
    let output = Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
        .args([directory.join("main"), directory.join("main.c")])
        .args(program::include_arguments())
        .arg("-L")
        .arg(library)
        .arg("-lrtmp")
        .output()
        .expect("the compiler runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
