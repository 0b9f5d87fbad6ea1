//! `tests/c/threads.c`, `stress.c`, `random_calls.c` and the library under ThreadSanitizer, which reports data races.
//!
//! This option of the compiler is unstable. The standard library is not compiled with it, so the sanitizer does not see its
//! slow paths: `tests/c/tsan_locks.c` reports the locks to it, and the remaining false reports are suppressed below.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::random_calls_time;
use crate::support::{
    TempDir,
    certs::{Authority, Valid},
    library::{self, package},
    program, require,
};

const LIMIT: Duration = Duration::from_secs(300);

/// The last owner of an `Arc` fences before it drops what is in it, and fences are not understood.
/// A thread's own name is dropped in the standard library, which is not compiled for the sanitizer.
const SUPPRESSIONS: &str = "race:alloc::sync::Arc*drop_slow\nrace:std::thread::current::drop_current\n";

#[test]
fn threads_that_share_sessions_do_not_race() {
    if library::ours_is_original() {
        return;
    }
    let directory = TempDir::new("tsan");
    let [threads, stress, random_calls] = need!(build(&directory, ["threads", "stress", "random_calls"]));
    let suppressions = directory.join("suppressions");
    fs::write(&suppressions, SUPPRESSIONS).unwrap();
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let files = [certificate.chain.clone(), certificate.key.clone(), authority.certificate()];
    let run = |program: &Path, scheme: &str, arguments: [&str; 2], expected: &str| {
        let mut command = Command::new(program);
        command.arg(scheme).args(arguments);
        if scheme.contains('s') {
            command.args(&files);
        }
        command.env("TSAN_OPTIONS", format!("exitcode=99 suppressions={}", suppressions.display()));
        let run = program::run(&mut command, "", LIMIT);
        assert!(!run.stderr.contains("WARNING: ThreadSanitizer"), "{scheme}:\n{}", run.stderr);
        assert_eq!(run.expect(scheme), expected);
    };
    for (scheme, messages) in
        [("rtmp", "60"), ("rtmpe", "30"), ("rtmpt", "30"), ("rtmps", "40"), ("rtmpts", "20")]
    {
        run(&threads, scheme, ["2", messages], "2 sessions\n");
        run(&stress, scheme, ["3000", "1"], "done\n");
    }
    for seed in 1..=3 {
        let time = random_calls_time().as_millis().to_string();
        let mut command = Command::new(&random_calls);
        command.args([&seed.to_string(), &time]);
        command.env("TSAN_OPTIONS", format!("exitcode=99 suppressions={}", suppressions.display()));
        let run = program::run(&mut command, "", LIMIT + random_calls_time());
        assert!(!run.stderr.contains("WARNING: ThreadSanitizer"), "seed {seed}:\n{}", run.stderr);
        assert_eq!(run.expect("random_calls"), "done\n");
    }
}

/// Compiles the library and programs for ThreadSanitizer.
fn build<const N: usize>(directory: &TempDir, programs: [&str; N]) -> Option<[PathBuf; N]> {
    let (compiler, nm) = (require::program("cc")?, require::program("nm")?);
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(&rustc).arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]));
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("lib");
    let runtime = fs::read_dir(libraries).expect("the toolchain has libraries").flatten().find(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("librustc") && name.ends_with("_rt.tsan.a")
    });
    let Some(runtime) = runtime.map(|file| file.path()) else {
        require::missing("the toolchain's runtime for ThreadSanitizer");
        return None;
    };

    let target = library::scratch().join("tsan");
    let built = Command::new(env!("CARGO"))
        .current_dir(package())
        .args(["build", "--lib", "--locked", "--target", host, "--target-dir"])
        .arg(&target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
        .output()
        .expect("cargo starts");
    let complaints = String::from_utf8_lossy(&built.stderr);
    if complaints.contains("unknown codegen option") {
        require::missing("a compiler that mixes code for ThreadSanitizer with other code");
        return None;
    }
    assert!(built.status.success(), "{complaints}");
    let archive = target.join(host).join("debug/librtmp.a");

    let symbols = output(Command::new(nm).arg("--undefined-only").arg(&archive));
    let find = |module: &str, name: &str| {
        let mut symbols = symbols.lines().filter_map(|line| line.split_whitespace().last());
        symbols.find(|symbol| symbol.contains(module) && symbol.contains(name))
    };
    let (Some(lock), Some(wait)) = (find("5mutex5futex", "lock_contended"), find("7condvar5futex", "4wait"))
    else {
        require::missing("a standard library whose locks this test knows");
        return None;
    };
    let object = |source: &str, options: &[String]| {
        let object = directory.join(format!("{source}.o"));
        let mut command = Command::new(&compiler);
        command.args(["-std=gnu11", "-g", "-O1", "-c"]).args(options).arg("-o").arg(&object);
        output(command.args(program::include_arguments()).arg(package().join("tests/c").join(source)));
        object
    };
    let names = [format!("-DLOCK_CONTENDED={lock}"), format!("-DCONDVAR_WAIT={wait}")];
    let locks = object("tsan_locks.c", &names);
    Some(programs.map(|name| {
        let program = object(&format!("{name}.c"), &["-fsanitize=thread".to_owned(), "-DLINKED".to_owned()]);
        let binary = directory.join(name);
        let mut link = Command::new(&compiler);
        link.arg("-o").arg(&binary).arg(program).arg(&locks);
        link.args([lock, wait].map(|name| format!("-Wl,--wrap={name}"))).arg(&archive);
        link.arg("-Wl,--whole-archive").arg(&runtime).arg("-Wl,--no-whole-archive");
        output(link.args(["-lpthread", "-ldl", "-lm", "-lrt"]));
        binary
    }))
}

/// What a command that must succeed prints.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
