//! `make install` and `cargo cinstall`: what they put where, and that programs build and run against it with pkg-config
//! alone.
//!
//! With it are the other tests that let cargo build something where the library is: others do not load it meanwhile.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod packages;
mod rust_symbols;
mod swapped;
#[path = "../toolchain/mod.rs"]
mod toolchain;
mod two_copies;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use support::{Server, library::package, peer::bytes_of_sounds, process::leave_cargo, program, require};
use toolchain::{
    run,
    staging::{Staged, target_and_profile},
};

const LIMIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "/opt/media";

/// The shared library itself.
const SHARED: &str =
    concat!("lib/librtmp.so.1.", env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// What is installed, below `PREFIX`.
const FILES: [&str; 22] = [
    "include/librtmp/amf.h",
    "include/librtmp/compat/antmedia.h",
    "include/librtmp/compat/calls.h",
    "include/librtmp/compat/fields.h",
    "include/librtmp/compat/obs.h",
    "include/librtmp/compat/pili.h",
    "include/librtmp/enhanced.h",
    "include/librtmp/http.h",
    "include/librtmp/log.h",
    "include/librtmp/loop.h",
    "include/librtmp/rtmp.h",
    "include/librtmp/rtmp_sys.h",
    "lib/librtmp.a",
    "lib/librtmp.so",
    "lib/librtmp.so.1",
    SHARED,
    "lib/pkgconfig/librtmp.pc",
    "share/cmake/librtmp/librtmp-config-version.cmake",
    "share/cmake/librtmp/librtmp-config.cmake",
    "share/doc/librtmp/LICENSE-APACHE",
    "share/doc/librtmp/LICENSE-MIT",
    "share/doc/librtmp/NOTICE",
];

/// The manual pages that are installed, below `share/man`.
fn manual() -> Vec<String> {
    let pages = fs::read_dir(package().join("man/man3")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.map(|name| format!("man3/{name}")).collect();
    names.sort();
    assert!(names.len() > 100, "{names:?}");
    names
}

#[test]
fn programs_build_and_run_against_an_installed_library() {
    need!(require::program("make"));
    need!(require::program("pkg-config"));
    let staged = Staged::install(PREFIX, "lib", &[]);
    is_complete(&staged);
    assert_eq!(staged.pkg_config("librtmp", &["--variable=libdir"]), [format!("{PREFIX}/lib")]);
    programs_run(&staged, &[&["-static"], &["-static-pie"], &[]]);
    staged.uninstall();
    assert_eq!(staged.files(), [] as [PathBuf; 0]);

    // As under sudo, which may not find cargo: it was built before.
    is_complete(&Staged::install(PREFIX, "lib", &["CARGO=cargo-is-not-here"]));
}

/// All of this also works with the crate from a registry.
#[test]
fn crate_contains_the_files_for_an_installation() {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(package()).args(["package", "--list", "--allow-dirty", "--offline"]);
    let listed = run(&mut command);
    let packaged: Vec<_> = listed.lines().collect();
    let headers = FILES.iter().filter(|file| file.starts_with("include/")).copied();
    let others = [
        "Makefile",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "build.rs",
        "librtmp.pc.in",
        "man/man3/librtmp.3",
        "man/man3/RTMP_Connect.3",
    ];
    for file in headers.chain(others).chain(["src/log/variadic.c", "src/headers/rtmp.h"]) {
        assert!(packaged.contains(&file), "{file} is not in the crate");
    }
    assert!(
        !packaged.iter().any(|file| file.starts_with(".ci") || file.starts_with("fuzz/")),
        "{packaged:?}"
    );
}

#[test]
fn cargo_c_installs_the_same() {
    need!(require::program("pkg-config"));
    let cinstall = need!(cargo_c());
    let (target, _) = target_and_profile();
    let installed = Staged::by(PREFIX, "lib", |staged| {
        let mut command = Command::new(cinstall);
        command.arg("cinstall").current_dir(package()).args(["--locked", "--profile", "dev"]);
        // Debug information takes half of the time, and nobody looks at it.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").arg("--target-dir").arg(target.join("cargo-c"));
        command.args(["--prefix", PREFIX, "--libdir", &format!("{PREFIX}/lib"), "--destdir"]).arg(staged);
        leave_cargo(&mut command);
        if let Some(compiler) = oldest_compiler() {
            command.env("RUSTC", compiler);
        }
        program::run(&mut command, "", Duration::from_secs(600)).expect("cargo cinstall");
    });
    is_complete(&installed);
    // What it says of static links has the compiler's support library in it, which exists as a shared library only.
    let private = installed.pkg_config("librtmp", &["--libs", "--static"]);
    assert!(private.contains(&"-lgcc_s".to_owned()), "README can promise more: {private:?}");
    // The rest is what the compiler told cargo-c, and so must be in `librtmp.pc.in`.
    let told: BTreeSet<_> =
        private.iter().map(String::as_str).filter(|word| word.starts_with("-l")).collect();
    let written = fs::read_to_string(package().join("librtmp.pc.in")).unwrap();
    let written = written.lines().filter_map(|line| line.strip_prefix("Libs.private: "));
    let written = written.flat_map(str::split_whitespace).chain(["-lrtmp", "-lgcc_s", "-lc"]);
    assert_eq!(told, written.collect());
    programs_run(&installed, &[&[]]);
}

/// The files are there, and say what they should.
fn is_complete(staged: &Staged) {
    let below = Path::new(&PREFIX[1..]);
    let files = FILES.iter().map(|file| below.join(file));
    let expected: Vec<_> =
        files.chain(manual().iter().map(|page| below.join("share/man").join(page))).collect();
    assert_eq!(staged.files(), expected);
    let file = staged.lib().join(Path::new(SHARED).file_name().unwrap());
    assert!(file.symlink_metadata().unwrap().is_file());
    for link in ["librtmp.so", "librtmp.so.1"] {
        let link = staged.lib().join(link);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(link.canonicalize().unwrap(), file.canonicalize().unwrap());
        assert!(fs::read_link(&link).unwrap().is_relative(), "the tree can be moved");
    }
    let pages = manual().into_iter().map(|page| format!("share/man/{page}"));
    for (installed, source) in FILES.iter().map(|file| (*file).to_owned()).chain(pages).filter_map(|file| {
        let source = package().join(file.strip_prefix("share/").unwrap_or(&file));
        source.is_file().then_some((file, source))
    }) {
        let installed = staged.prefix().join(installed);
        assert_eq!(fs::read(&installed).unwrap(), fs::read(source).unwrap(), "{}", installed.display());
    }
    let dynamic = run(Command::new("readelf").arg("-dW").arg(&file));
    assert!(dynamic.contains("Library soname: [librtmp.so.1]"), "{dynamic}");

    let stage = staged.root.path().display();
    let answers = [
        ("--modversion", "v2.4".to_owned()),
        ("--cflags", format!("-I{stage}{PREFIX}/include")),
        ("--libs", format!("-L{stage}{PREFIX}/lib -lrtmp")),
    ];
    for (question, answer) in answers {
        assert_eq!(staged.pkg_config("librtmp", &[question]).join(" "), answer, "{question}");
    }
}

/// Programs that know no more than pkg-config says play a stream: with the shared library, and with the archive, with
/// each of these options of the compiler.
fn programs_run(staged: &Staged, with_archive: &[&[&str]]) {
    let cflags = staged.pkg_config("librtmp", &["--cflags"]);
    let source = package().join("tests/c/linkage.c");
    let play = |what: &str, options: &[&str], libs: &[String]| {
        let program = staged.root.join("program");
        run(Command::new("cc").args(options).args(&cflags).arg("-o").arg(&program).arg(&source).args(libs));
        let server = Server::of_sounds(20);
        let mut command = Command::new(&program);
        command.arg(server.url()).env("LD_LIBRARY_PATH", staged.lib());
        let printed = program::run(&mut command, "", LIMIT).expect(what);
        server.join();
        assert!(printed.contains(&format!("played {} bytes", bytes_of_sounds(20))), "{what}: {printed}");
        let needed = run(Command::new("readelf").arg("-d").arg(&program));
        fs::remove_file(program).unwrap();
        needed.contains("[librtmp.so.1]")
    };
    assert!(play("shared", &[], &staged.pkg_config("librtmp", &["--libs"])), "the shared library is needed");

    // Only the archive is installed: the compiler takes it as soon as there is nothing else.
    for name in ["librtmp.so.1", "librtmp.so"] {
        fs::rename(staged.lib().join(name), staged.root.join(name)).unwrap();
    }
    let libs = staged.pkg_config("librtmp", &["--libs", "--static"]);
    for options in with_archive {
        let what = format!("archive {options:?}");
        assert!(!play(&what, options, &libs), "{what}");
    }
    for name in ["librtmp.so.1", "librtmp.so"] {
        fs::rename(staged.root.join(name), staged.lib().join(name)).unwrap();
    }
}

/// The oldest supported compiler, if `tests/install.sh` has fetched it.
fn oldest_compiler() -> Option<PathBuf> {
    let (target, _) = target_and_profile();
    let toolchains = fs::read_dir(target.join("test-tools/rustup/toolchains")).ok()?;
    let name = format!("{}-", env!("CARGO_PKG_RUST_VERSION"));
    let toolchain =
        toolchains.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&name))?;
    Some(toolchain.path().join("bin/rustc")).filter(|file| file.is_file())
}

/// `cargo-cinstall`, which `tests/install.sh` builds.
fn cargo_c() -> Option<PathBuf> {
    let (target, _) = target_and_profile();
    require::file(&target.join("test-tools/cargo-c/bin/cargo-cinstall"))
}

/// What cargo-c is told by hand is what `make` works out.
#[test]
fn cargo_c_has_the_same_settings_as_make() {
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
