//! Everything that README shows to a new user is true.
#![forbid(unsafe_code)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::library::package;
use crate::support::{Library, Server, TempDir, process, program, require};

/// The limit for a line, which may build the library. On a busy machine, this has taken 13 minutes.
const LIMIT: Duration = Duration::from_secs(1800);

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

/// As c-examples/README.md says.
#[test]
fn make_builds_the_examples_and_the_guide_without_a_warning() {
    let directory = TempDir::new("examples");
    let library = Library::Ours.directory().expect("ours is there");
    let output = Command::new(need!(require::program("make")))
        .arg("-C")
        .arg(package().join("c-examples"))
        .arg(format!("BUILD={}", directory.path().display()))
        .arg(format!("CPPFLAGS={}", program::include_arguments().join(" ")))
        .arg(format!("LDLIBS=-L{} -lrtmp", library.display()))
        .args(["CFLAGS=-O1 -Werror", "all", "guide"])
        .output()
        .expect("make runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A copy of this package without build results, and a directory that is `/` for `make install` and pkg-config.
struct Newcomer {
    copy: TempDir,
}

impl Newcomer {
    fn new(name: &str) -> Self {
        let copy = TempDir::new(name);
        copy_tree(package(), copy.path()).expect("the build directory is writable");
        // The test must not become root.
        fs::create_dir(copy.join("bin")).expect("the copy has no such directory");
        for (command, text) in
            [("sudo", "exec \"$@\""), ("ldconfig", "exit 0"), ("ffplay", "exec cat >/dev/null")]
        {
            let file = copy.join("bin").join(command);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("the build directory is writable");
            process::output("chmod", &["+x", &file.to_string_lossy()], LIMIT);
        }
        let fast = |package: &str| format!("[profile.release.package.{package}]\nopt-level = 0\n");
        let config: String = ["\"*\"", "librtmp", "bytes", "ring"].into_iter().map(fast).collect();
        fs::create_dir_all(copy.join(".cargo")).expect("the build directory is writable");
        fs::write(copy.join(".cargo/config.toml"), config).expect("the build directory is writable");
        Self { copy }
    }

    /// Runs a line of a document in the copy, with a server where the line needs one.
    fn run_line(&self, line: &str) {
        println!("{line}");
        if line.contains("rtmp://host/app/stream") {
            let server = Server::of_sounds(20);
            // 2 is for a stream without a duration.
            let line = line.replace("rtmp://host/app/stream", &server.url());
            self.run(".", &format!("{line} || [ $? = 2 ]"));
            server.join();
        } else {
            self.run(".", line);
        }
    }

    fn system(&self) -> PathBuf {
        self.copy.join("system")
    }

    /// Runs a script below `directory`; panics if it fails.
    fn run(&self, directory: &str, script: &str) {
        let mut shell = Command::new("sh");
        process::leave_cargo(&mut shell);
        shell.current_dir(self.copy.join(directory)).args(["-c", script]);
        let path = std::env::var("PATH").unwrap_or_default();
        let local = self.system().join("usr/local");
        shell.env("PATH", format!("{}:{path}", self.copy.join("bin").display()));
        // Everything is built in the directory that README names, without optimization, because speed does not matter.
        // Variables do not reach the profiles of single packages.
        shell.env_remove("CARGO_TARGET_DIR").env("CARGO_NET_OFFLINE", "true");
        for (name, value) in [("LTO", "false"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "0")] {
            shell.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
        }
        shell.env("MAKEFLAGS", format!("DESTDIR={}", self.system().display()));
        shell
            .env("PKG_CONFIG_SYSROOT_DIR", self.system())
            .env("PKG_CONFIG_PATH", local.join("lib/pkgconfig"));
        shell.env("C_INCLUDE_PATH", local.join("include")).env("LIBRARY_PATH", local.join("lib"));
        shell.env("LD_LIBRARY_PATH", local.join("lib"));
        program::run(&mut shell, "", LIMIT).expect(script);
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if ["target", ".git", "receive.flv"].iter().any(|left_out| name == *left_out) {
            continue;
        }
        let to = to.join(&name);
        if entry.is_dir() {
            fs::create_dir_all(&to)?;
            copy_tree(&entry, &to)?;
        } else {
            fs::copy(&entry, &to)?;
        }
    }
    Ok(())
}

/// The lines of a text that are for a shell: indented, outside of fences.
fn indented(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(str::lines).filter_map(|line| line.strip_prefix("    ")).collect()
}

/// The fenced blocks of a text that name no other language.
fn fenced(text: &str) -> String {
    text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix('\n')).collect()
}

#[test]
fn every_line_of_readme_works_in_order_and_twice() {
    for program in ["make", "cc", "pkg-config", "rtmpdump"] {
        need!(require::program(program));
    }
    let newcomer = Newcomer::new("newcomer");
    let readme = fs::read_to_string(newcomer.copy.join("README.md")).expect("it is there");
    let (_, program) = readme.split_once("```c\n").expect("README has a C program");
    let (program, _) = program.split_once("```").expect("the program ends");
    fs::write(newcomer.copy.join("program.c"), program).expect("the copy is writable");
    fs::write(newcomer.copy.join("other.c"), "int other;\n").expect("the copy is writable");
    newcomer.run(".", "cc -c other.c");
    let lines = indented(&readme);
    assert!(lines.len() > 8 && lines[0].starts_with("make demo"), "{lines:?}");
    for round in 0..2 {
        for line in &lines {
            if line.starts_with("make test") {
                // This command runs the test itself.
                newcomer.run_line(&line.replace("make", "make -n"));
            } else {
                newcomer.run_line(line);
            }
        }
        println!("round {round} has ended");
    }
    // Lines of the guide that need the results of README's commands.
    for chapter in ["install.md", "migrate.md"] {
        let text = fs::read_to_string(newcomer.copy.join("docs/src").join(chapter)).expect("it is there");
        let blocks = text.split("<!-- run: README -->\n```sh\n").skip(1);
        let lines: Vec<_> =
            blocks.flat_map(|block| block.split("```").next().unwrap_or("").lines()).collect();
        assert!(!lines.is_empty(), "{chapter} has no lines to run");
        lines.iter().for_each(|line| newcomer.run_line(line));
    }
    // Files that these commands make.
    for file in
        ["receive.flv", "stage/usr/include/librtmp/rtmp.h", "system/usr/local/lib/librs_rtmp.so", "a.out"]
    {
        assert!(newcomer.copy.join(file).exists(), "{file}");
    }
    assert!(fs::metadata(newcomer.copy.join("stream.flv")).is_ok_and(|data| data.len() > 13));

    // Runs the examples with the installed library.
    need!(require::program("ffmpeg"));
    need!(require::program("openssl"));
    let readme = fs::read_to_string(newcomer.copy.join("c-examples/README.md")).expect("it is there");
    let script = fenced(&readme);
    assert!(script.contains("\nbuild/publish demo.flv"), "{script}");
    for round in 0..2 {
        println!("round {round} of the examples");
        let [plain, tls, other] = [process::free_port(), process::free_port(), process::free_port()];
        let script = script
            .replace("-t 10", "-t 2")
            .replace("127.0.0.1/", &format!("127.0.0.1:{plain}/"))
            .replace("1935", &plain.to_string())
            .replace("1936", &tls.to_string())
            .replace("1937", &other.to_string());
        // Background programs end with the terminal.
        let script = script.replace(" &\n", " &\nbackground=\"$background $!\"\n");
        newcomer
            .run("c-examples", &format!("set -e\ntrap 'kill $background 2>/dev/null || :' EXIT\n{script}"));
    }
    for file in ["copy.flv", "again.flv"] {
        let data = fs::metadata(newcomer.copy.join("c-examples").join(file));
        assert!(data.is_ok_and(|data| data.len() > 10_000), "{file}");
    }
}
