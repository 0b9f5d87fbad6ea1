//! One C program, linked in all the ways in which programs are linked with librtmp: its output, and the
//! stream that it plays from a server, are always the same.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    Library, Server, TempDir,
    library::package,
    program::{self, LoaderLog, on_library},
    require,
};
use crate::toolchain::{has_reference_headers, include_option, run};

const LIMIT: Duration = Duration::from_secs(60);

/// The output of `linkage.c`.
const OUTPUT: &str = "\
version 131840
level 1, then 4 through the variable and 2 through the function
interrupt 0, then 1
flash version LNX 10,0,32,18
protocols rtmp rtmpt rtmpe rtmpte rtmps rtmpts - - rtmfp
log 2: the callback of the program, level 2
played 973 bytes, sum d884147b, status -3
";

/// How programs are compiled and linked with the shared library: a name, the compiler and its options. Position-dependent
/// and position-independent executables copy the library's variables.
const EXECUTABLES: [(&str, &str, &[&str]); 6] = [
    ("position-dependent", "cc", &["-no-pie", "-fno-pie"]),
    ("position-independent", "cc", &["-pie", "-fPIE"]),
    ("without-copies", "cc", &["-pie", "-fPIC"]),
    ("bound-at-start", "cc", &["-Wl,-z,relro,-z,now", "-Wl,--as-needed"]),
    ("optimised-as-a-whole", "cc", &["-O2", "-flto", "-Wl,--gc-sections"]),
    ("cpp", "c++", &["-x", "c++", "-O2"]),
];

#[test]
fn executables_linked_against_the_reference_run_on_this_library() {
    let dir = TempDir::new("linkage-shared");
    let is_reference = has_reference_headers();
    for (name, compiler, options) in EXECUTABLES {
        let program = dir.join(name);
        let mut compile = compile(&need!(require::program(compiler)), options, &program);
        if is_reference {
            // With the reference's own headers, too: this is how distributions build their programs.
            run(compile.arg(need!(Library::Original.file())));
            let copies = run(Command::new("readelf").args(["-W", "-r"]).arg(&program)).contains("_COPY ");
            assert!(copies || !name.starts_with("position"), "{name} copies variables");
            assert!(!copies || name != "without-copies", "{name} copies variables");
            plays(&mut need!(on_library(&program, Library::Original)), Some(Library::Original), name);
        } else {
            run(compile.arg(include_option()).arg(Library::Ours.file().expect("ours is always there")));
        }
        plays(&mut need!(on_library(&program, Library::Ours)), Some(Library::Ours), name);
    }
}

/// A preloaded library is found by its soname, and the installed one is not loaded at all.
#[test]
fn a_preloaded_library_takes_the_place_of_the_installed_one() {
    let dir = TempDir::new("linkage-preload");
    let (program, ours) = (dir.join("program"), Library::Ours.file().expect("ours is always there"));
    let original = need!(Library::Original.file());
    run(compile(&need!(require::program("cc")), &[], &program).arg(include_option()).arg(original));
    let server = Server::of_sounds(20);
    let mut command = Command::new(&program);
    command.arg(server.url()).env("LD_PRELOAD", &ours).env_remove("LD_LIBRARY_PATH");
    let loader = LoaderLog::of(&mut command);
    assert_eq!(program::run(&mut command, "", LIMIT).expect("preloaded"), OUTPUT);
    server.join();
    assert_eq!(loader.loaded(), [ours]);
}

#[test]
fn the_archive_links_into_programs() {
    let dir = TempDir::new("linkage-archive");
    for (name, compiler, options) in EXECUTABLES.into_iter().chain([
        ("static", "cc", &["-static"] as &[&str]),
        ("static-cpp", "c++", &["-static", "-x", "c++"]),
        ("static-and-position-independent", "cc", &["-static-pie", "-fPIE"]),
        ("sections", "cc", &["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]),
    ]) {
        let program = dir.join(name);
        let mut compile = compile(&need!(require::program(compiler)), options, &program);
        run(compile.arg(include_option()).args(archive()));
        let dynamic = run(Command::new("readelf").args(["-W", "-d"]).arg(&program));
        assert!(!dynamic.contains("librtmp") && !dynamic.contains("TEXTREL"), "{name}: {dynamic}");
        assert_eq!(!dynamic.contains("(NEEDED)"), name.starts_with("static"), "{name}: {dynamic}");
        plays(&mut Command::new(&program), None, name);
    }
}

#[test]
fn plugins_use_either_form_of_the_library() {
    let dir = TempDir::new("linkage-plugin");
    let host = dir.join("host");
    let compiler = need!(require::program("cc"));
    let source = package().join("tests/c/plugin_host.c");
    run(Command::new(&compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&host)
        .arg(source)
        .arg("-ldl"));
    let options = ["-Dmain=plugin_main", "-fPIC", "-shared", "-Wl,-z,defs"];
    let plugin = |name: &str, more: &[&str]| {
        let file = dir.join(name);
        run(compile(&compiler, &options, &file).arg(include_option()).args(archive()).args(more));
        let dynamic = run(Command::new("readelf").args(["-W", "-d"]).arg(&file));
        assert!(!dynamic.contains("librtmp") && !dynamic.contains("TEXTREL"), "{name}: {dynamic}");
        plays(Command::new(&host).arg(&file), None, name);
    };
    plugin("archive.so", &[]);
    plugin("archive-to-itself.so", &["-Wl,--exclude-libs,ALL"]);

    let file = dir.join("shared.so");
    let link_with = format!("-L{}", program::link_directory().display());
    run(compile(&compiler, &options, &file).arg(include_option()).arg(link_with).arg("-lrtmp"));
    plays(need!(on_library(&host, Library::Ours)).arg(file), Some(Library::Ours), "shared.so");
}

/// A resolver that exceeds the timeout is abandoned in a thread. Unloading the library under it would crash
/// the program.
#[test]
fn library_stays_loaded_while_its_threads_run() {
    let dir = TempDir::new("linkage-unload");
    let compiler = need!(require::program("cc"));
    let host = dir.join("host");
    let mut compile_host = Command::new(&compiler);
    compile_host.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-rdynamic", "-o"]).arg(&host);
    run(compile_host.arg(include_option()).arg(package().join("tests/c/unload.c")).arg("-ldl"));
    let plugin = dir.join("plugin.so");
    let options = ["-Dmain=plugin_main", "-fPIC", "-shared"];
    run(compile(&compiler, &options, &plugin).arg(include_option()).args(archive()));
    for library in [Library::Ours.file().expect("ours is always there"), plugin] {
        let run = program::run(Command::new(&host).arg(&library), "", LIMIT);
        let expected = "set up 1, connected 0, asked 1, threads 2, closed 0, threads 1\n";
        assert_eq!(run.expect(&library.display().to_string()), expected);
    }
}

/// A compiler command that makes `output` from `linkage.c`.
fn compile(compiler: &Path, options: &[&str], output: &Path) -> Command {
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Werror"]).args(options);
    command.arg("-o").arg(output).arg(package().join("tests/c/linkage.c"));
    if options.contains(&"-x") {
        command.args(["-x", "none"]);
    }
    command
}

/// Our archive, and its dependencies according to `librtmp.pc`.
fn archive() -> Vec<String> {
    let pc = fs::read_to_string(package().join("librtmp.pc.in")).unwrap();
    let private = pc.lines().find_map(|line| line.strip_prefix("Libs.private: ")).expect("it has that line");
    let archive = archive_file().display().to_string();
    [archive.as_str()].into_iter().chain(private.split_whitespace()).map(str::to_owned).collect()
}

fn archive_file() -> PathBuf {
    Library::Ours.file().expect("ours is always there").with_file_name("librtmp.a")
}

/// Runs the program, which must play from a server and print its usual output, and checks which library it
/// has loaded.
fn plays(command: &mut Command, library: Option<Library>, what: &str) {
    let server = Server::of_sounds(20);
    command.arg(server.url());
    let loader = LoaderLog::of(command);
    let printed = program::run(command, "", LIMIT).expect(what);
    if let Some(library) = library {
        loader.assert_loaded(library);
    }
    server.join();
    assert_eq!(printed, OUTPUT, "{what}");
}
