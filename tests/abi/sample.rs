//! The C sample that users start from, compiled as it is, as C and as C++, records a live stream with our library.
//!
//! It names its server: live.hkstv.hk.lxdns.com on port 1935, app `live`, stream `hks`. libnss-wrapper
//! resolves that name to this machine. If a network namespace is possible, the test runs in one, so that port
//! 1935 is free.
//!
//! The sample is not part of the package; without it these tests are skipped.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::program::{LoaderLog, include_arguments, link_directory};
use crate::support::servers::{self, Nginx};
use crate::support::{Library, Network, Running, TempDir, clip, flv, library, require};

const HOST: &str = "live.hkstv.hk.lxdns.com";
const PORT: u16 = 1935;
const LIMIT: Duration = Duration::from_secs(60);

fn sample() -> Option<PathBuf> {
    let file = library::package().join("../shared/sample/receive.c");
    if !file.exists() {
        require::skipped(&format!("the C sample is not there ({})", file.display()));
        return None;
    }
    Some(file)
}

/// Compiles the sample unchanged. It needs only that headers are found as `librtmp/….h`.
fn compile(compiler: &str, directory: &TempDir) -> Option<PathBuf> {
    let binary = directory.join("receive");
    let mut command = Command::new(require::program(compiler)?);
    command.args(include_arguments());
    if compiler == "c++" {
        command.args(["-x", "c++"]);
    }
    command.arg(sample()?).args(["-x", "none", "-o"]).arg(&binary);
    command.arg(format!("-L{}", link_directory().display())).arg("-lrtmp");
    let output = command.output().expect("the compiler starts");
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    Some(binary)
}

fn nss_wrapper() -> Option<PathBuf> {
    let directories =
        [format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH), "/usr/lib64".into(), "/usr/lib".into()];
    let found =
        directories.iter().map(|dir| Path::new(dir).join("libnss_wrapper.so")).find(|file| file.exists());
    if found.is_none() {
        require::missing("libnss-wrapper");
    }
    found
}

fn records_with(compiler: &str) {
    need!(sample());
    let clip = need!(clip::flv());
    let wrapper = need!(nss_wrapper());
    let directory = TempDir::new("sample");
    let binary = need!(compile(compiler, &directory));
    let network = need!(Network::new(PORT));
    let prefix = network.prefix();
    let words: Vec<&str> = prefix.iter().map(String::as_str).collect();
    let before = if words.is_empty() { None } else { Some(words.as_slice()) };
    let nginx = need!(Nginx::start_on(PORT, before));
    nginx.wait_until_it_listens();

    let hosts = directory.join("hosts");
    fs::write(&hosts, format!("127.0.0.1 {HOST}\n")).expect("the build directory is writable");
    let mut command = network.command(Path::new("env"));
    command
        .arg(format!("LD_PRELOAD={}", wrapper.display()))
        .arg(format!("NSS_WRAPPER_HOSTS={}", hosts.display()));
    command.arg(&binary).current_dir(directory.path());
    command.env("LD_LIBRARY_PATH", need!(Library::Ours.directory()));
    let loader = LoaderLog::of(&mut command);
    let mut receiver = Running::start(&mut command);
    nginx.wait_for_players(1);

    let mut publish = network.command(&need!(require::program("ffmpeg")));
    publish.args(["-hide_banner", "-loglevel", "error", "-re", "-i"]).arg(&clip);
    publish.args(["-c", "copy", "-f", "flv", &format!("rtmp://127.0.0.1:{PORT}/live/hks")]);
    let mut publisher = Running::start(&mut publish);
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    // It ends with the stream, or after the ten seconds of its timeout.
    let status = receiver.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", receiver.stderr());
    loader.assert_loaded(Library::Ours);

    let file = directory.join("receive.flv");
    let sent = flv::readable(&flv::load(&clip));
    let frames = flv::assert_contiguous(&sent, &flv::load(&file), "the sample");
    assert!(frames > 100, "only {frames} frames");
    assert_eq!(need!(servers::probe(&file)), ["h264", "aac"]);
}

#[test]
fn the_sample_records_a_live_stream() {
    // One after the other: they may have to share port 1935.
    records_with("cc");
    records_with("c++");
}
