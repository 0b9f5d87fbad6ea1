//! `make install`: what it puts where, and that programs build and run against it with pkg-config alone.

#[macro_use]
#[allow(unused_imports)] // it names more than this test uses
mod support;
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{TempDir, library::package, require};
use toolchain::run;

const PREFIX: &str = "/opt/media";

#[test]
fn programs_build_and_run_against_an_installed_library() {
    need!(require::program("make"));
    need!(require::program("pkg-config"));
    let stage = TempDir::new("install");
    make("install", stage.path());
    let lib = stage.join(&PREFIX[1..]).join("lib");

    let version = concat!("librtmp.so.1.", env!("CARGO_PKG_VERSION"));
    assert!(lib.join(version).symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read_link(lib.join("librtmp.so.1")).unwrap(), Path::new(version));
    assert_eq!(fs::read_link(lib.join("librtmp.so")).unwrap(), Path::new("librtmp.so.1"));
    assert_eq!(pkg_config(&lib, &["--modversion"]), ["v2.4"]);
    assert_eq!(pkg_config(&lib, &["--variable=libdir"]), [format!("{PREFIX}/lib")]);

    let manual = stage.join(&PREFIX[1..]).join("share/man/man3/librtmp.3");
    assert_eq!(fs::read(&manual).unwrap(), fs::read(package().join("man/librtmp.3")).unwrap());

    let cflags = pkg_config(&lib, &["--cflags"]);
    let libs = pkg_config(&lib, &["--libs"]);
    let with_private = pkg_config(&lib, &["--libs", "--static"]);
    let source = package().join("tests/c/portable_sockets.c");
    let build = |name: &str, options: &[&str], libs: &[String]| {
        let program = stage.join(name);
        run(Command::new("cc").args(options).args(&cflags).arg("-o").arg(&program).arg(&source).args(libs));
        program
    };

    let shared = build("shared", &[], &libs);
    let needed = run(Command::new("readelf").arg("-d").arg(&shared));
    assert!(needed.contains("[librtmp.so.1]"), "{needed}");
    assert_eq!(run(Command::new(shared).env("LD_LIBRARY_PATH", &lib)), "ok\n");

    let fully_static = build("static", &["-static"], &with_private);
    assert_eq!(run(&mut Command::new(fully_static)), "ok\n");

    // The archive in an otherwise dynamic program, as when only the archive is installed.
    for name in [version, "librtmp.so.1", "librtmp.so"] {
        fs::remove_file(lib.join(name)).unwrap();
    }
    let archive = build("archive", &[], &with_private);
    assert_eq!(run(&mut Command::new(archive)), "ok\n");
}

#[test]
fn uninstalling_leaves_no_file_behind() {
    need!(require::program("make"));
    let stage = TempDir::new("uninstall");
    make("install", stage.path());
    assert_eq!(files(stage.path()).len(), 11, "{:?}", files(stage.path()));
    make("uninstall", stage.path());
    assert_eq!(files(stage.path()), [] as [PathBuf; 0]);
}

/// What cargo-c is told by hand is what `make` works out.
#[test]
fn cargo_c_is_told_the_same_as_make_does() {
    let manifest = fs::read_to_string(package().join("Cargo.toml")).unwrap();
    let pc = fs::read_to_string(package().join("librtmp.pc.in")).unwrap();
    let (_, capi) = manifest.split_once("[package.metadata.capi.library]").unwrap();
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    assert!(capi.contains(&format!("\nversion = \"1.{major}.{minor}\"\n")));
    for (key, field) in [("version", "Version"), ("description", "Description"), ("name", "Name")] {
        let value = pc.lines().find_map(|line| line.strip_prefix(&format!("{field}: "))).unwrap();
        assert!(capi.contains(&format!("\n{key} = \"{value}\"\n")), "{field}");
    }
}

/// The manual is what `man` can show, without a complaint.
#[test]
fn the_manual_is_well_formed() {
    let groff = need!(require::program("groff"));
    let mut command = Command::new(groff);
    command.args(["-man", "-Tutf8", "-ww", "-z"]).arg(package().join("man/librtmp.3"));
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

/// Runs `make` with the profile that this test was built with, so that nothing is built twice.
fn make(target: &str, stage: &Path) {
    let binary = env::current_exe().unwrap();
    let build_dir = binary.ancestors().nth(2).expect("cargo puts tests into <target>/<profile>/deps");
    let directory = build_dir.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new("make");
    command.arg("-C").arg(package()).arg(target).env("CARGO_TARGET_DIR", build_dir.parent().unwrap());
    command.arg(format!("CARGO={}", env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())));
    command.arg(format!("PROFILE={}", if directory == "debug" { "dev" } else { directory }));
    command.arg(format!("prefix={PREFIX}")).arg(format!("DESTDIR={}", stage.display()));
    // A `make` that runs this test must not share its job server or its variables with this one.
    run(command.env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES").env_remove("MAKELEVEL"));
}

/// Asks pkg-config about the staged package and nothing else, with paths that lead into the stage.
fn pkg_config(lib: &Path, question: &[&str]) -> Vec<String> {
    let prefix = lib.parent().unwrap();
    let stage = prefix.to_str().unwrap().strip_suffix(PREFIX).unwrap();
    let mut command = Command::new("pkg-config");
    command.args(question).arg("librtmp");
    command.env("PKG_CONFIG_LIBDIR", lib.join("pkgconfig")).env("PKG_CONFIG_SYSROOT_DIR", stage);
    command.env_remove("PKG_CONFIG_PATH");
    let answer = run(&mut command);
    // Some versions put the system root in front of plain variables too.
    let is_variable = question[0].starts_with("--variable");
    let plain = |word: &str| word.strip_prefix(stage).filter(|_| is_variable).unwrap_or(word).to_owned();
    answer.split_whitespace().map(plain).collect()
}

/// Everything below a directory that is no directory itself.
fn files(dir: &Path) -> Vec<PathBuf> {
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
