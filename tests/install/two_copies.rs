//! librtmp and our library in one process, loaded or linked side by side, and the library that `make PREFIX_SYMBOLS=` makes for
//! programs that need both.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    Library, Server, TempDir,
    library::package,
    program::{self, Run},
    require,
};
use crate::toolchain::{has_reference_headers, include_option, output, run, staging::Staged};

const LIMIT: Duration = Duration::from_secs(60);

/// What `two_copies.c` prints: the first stream has 5 messages, the second 20.
const OUTPUT: &str = "\
copy 0: level 5, interrupt 1; the other: 1, 0
copy 1: level 5, interrupt 1; the other: 1, 0
copy 0 logs 1: for the first
copy 1 logs 1: for the second
lines: 1 and 1
copy 0: 253 bytes, status -3
copy 1: 973 bytes, status -3
";

#[test]
fn both_libraries_are_loaded_side_by_side() {
    let dir = TempDir::new("two-copies");
    let program = dir.join("two_copies");
    run(compiler(&program, &[]).arg(include_option()).arg(source("two_copies.c")).arg("-ldl"));
    let files = [need!(Library::Original.file()), Library::Ours.file().expect("ours is always there")];
    for how in ["local", "namespace"] {
        for order in [[0, 1], [1, 0]] {
            let [first, second] = order.map(|index| files[index].as_os_str());
            let mut command = Command::new(&program);
            let run = play(&mut command, how, |command| {
                command.arg(first).arg(second);
            });
            assert_eq!(run.expect(how), OUTPUT, "{how}, {first:?} first");
        }
    }
}

#[test]
fn a_prefixed_library_is_linked_beside_the_original() {
    need!(require::program("make"));
    need!(require::program("pkg-config"));
    if !has_reference_headers() {
        return;
    }
    let original = need!(Library::Original.file());
    let staged = Staged::install("/opt/media", "lib", &["PREFIX_SYMBOLS=rs_"]);
    let [cflags, libs] = ["--cflags", "--libs"].map(|question| staged.pkg_config("librs_rtmp", &[question]));
    let with_private = staged.pkg_config("librs_rtmp", &["--libs", "--static"]);

    // Each file of the program is compiled with the headers of the library that it uses.
    let [plain, prefixed, rest] =
        ["plain.o", "prefixed.o", "two_copies.o"].map(|name| staged.root.join(name));
    run(compiler(&plain, &["-c", "-D", "COPY=plain_copy"]).arg(source("copy_linked.c")));
    run(compiler(&prefixed, &["-c", "-D", "COPY=prefixed_copy"]).args(&cflags).arg(source("copy_linked.c")));
    run(compiler(&rest, &["-c", "-D", "LINKED"]).args(&cflags).arg(source("two_copies.c")));
    for (name, libs, needed) in [("shared", &libs, true), ("archive", &with_private, false)] {
        let program = staged.root.join(name);
        let mut link = compiler(&program, &[]);
        link.args([&plain, &prefixed, &rest]).arg(&original).arg("-ldl");
        if needed {
            link.args(libs);
        } else {
            link.arg(staged.lib().join("librs_rtmp.a"));
            link.args(libs.iter().filter(|word| *word != "-lrs_rtmp"));
        }
        run(&mut link);
        let dynamic = run(Command::new("readelf").arg("-dW").arg(&program));
        assert!(dynamic.contains("[librtmp.so.1]"), "{name}: {dynamic}");
        assert_eq!(dynamic.contains("[librs_rtmp.so.1]"), needed, "{name}: {dynamic}");
        let mut command = Command::new(&program);
        let run = play(command.env("LD_LIBRARY_PATH", staged.lib()), "linked", |_| ());
        assert_eq!(run.expect(name), OUTPUT, "{name}");
    }
    exports_are_ours_with_a_prefix(&staged.lib().join("librs_rtmp.so.1"));
    staged.uninstall();
    let left: Vec<_> =
        staged.files().into_iter().filter(|file| file.to_string_lossy().contains("rs_rtmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Names, types, and sizes of variables; and that these are reached through the table in which the linker exchanges them.
fn exports_are_ours_with_a_prefix(library: &Path) {
    let symbols = |file: &Path, prefix: &str| {
        let table = run(Command::new("nm").args(["-D", "-S", "--defined-only"]).arg(file));
        let mut rows: Vec<_> = table
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().skip(1).collect();
                let [size, kind, name] = words[..] else { panic!("nm says {line:?}") };
                let size = if kind == "T" { "" } else { size };
                let plain = name.strip_prefix(prefix).unwrap_or_else(|| panic!("{name} has no prefix"));
                format!("{plain} {kind} {size}")
            })
            .collect();
        rows.sort();
        rows
    };
    let ours = Library::Ours.file().expect("ours is always there");
    assert_eq!(symbols(library, "rs_"), symbols(&ours, ""));
    let relocations = run(Command::new("readelf").args(["-W", "-r"]).arg(library));
    for name in ["rs_RTMP_debuglevel", "rs_RTMP_ctrlC", "rs_RTMP_TLS_ctx", "rs_RTMP_DefaultFlashVer"] {
        let is_there = relocations.lines().any(|line| line.contains("GLOB_DAT") && line.contains(name));
        assert!(is_there, "{name} is not reached through the global offset table");
    }
}

#[test]
fn unmodified_programs_compile_for_a_prefixed_library() {
    need!(require::program("make"));
    need!(require::program("pkg-config"));
    let staged = Staged::install("/usr", "lib/some-machine", &["PREFIX_SYMBOLS=other_"]);
    let cflags = staged.pkg_config("libother_rtmp", &["--cflags"]);
    for (question, options) in
        [(&["--libs"] as &[&str], &[] as &[&str]), (&["--libs", "--static"], &["-static"])]
    {
        let program = staged.root.join("linkage");
        let libs = staged.pkg_config("libother_rtmp", question);
        run(compiler(&program, options).args(&cflags).arg(source("linkage.c")).args(libs));
        let server = Server::of_sounds(20);
        let mut command = Command::new(&program);
        let run = program::run(command.arg(server.url()).env("LD_LIBRARY_PATH", staged.lib()), "", LIMIT);
        server.join();
        assert!(run.expect("linkage").contains("played 973 bytes"));
    }
}

#[test]
fn a_prefix_that_no_name_can_have_is_refused() {
    let make = need!(require::program("make"));
    for prefix in ["1_", "a b", "a-", "é"] {
        let mut command = Command::new(&make);
        command
            .arg("-C")
            .arg(package())
            .args(["prefixed", "CARGO=true"])
            .arg(format!("PREFIX_SYMBOLS={prefix}"));
        command.env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES").env_remove("MAKELEVEL");
        let output = output(&mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("C identifier"), "{prefix}: {output:?}");
    }
}

/// A compiler that is about to write `output`.
fn compiler(output: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("cc");
    command.args(["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror"]).args(options).arg("-o").arg(output);
    command
}

fn source(name: &str) -> PathBuf {
    package().join("tests/c").join(name)
}

/// Runs `two_copies` with two servers.
fn play(command: &mut Command, how: &str, more: impl FnOnce(&mut Command)) -> Run {
    let servers = [Server::of_sounds(5), Server::of_sounds(20)];
    command.arg(how);
    command.args(servers.each_ref().map(Server::url));
    more(command);
    let run = program::run(command, "", LIMIT);
    for server in servers {
        server.join();
    }
    run
}
