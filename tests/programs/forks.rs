//! Programs written for forks of librtmp, on the headers in `include/librtmp/compat`.

use std::{fs, time::Duration};

use crate::support::examples::ExampleServer;
use crate::support::library::package;
use crate::support::{Library, Program, Run, TempDir, clip, flv, process};

const LIMIT: Duration = Duration::from_secs(60);

fn run(program: &str, arguments: &[&str]) -> Option<Run> {
    Program::test_of_ours(program)?.run(Library::Ours, arguments, "", LIMIT)
}

/// A server that records and plays in a directory, and the bodies of the sounds of a recording.
fn server(directory: &TempDir) -> Option<ExampleServer> {
    let options = ["-r", &directory.path().to_string_lossy()];
    ExampleServer::start_with(Library::Ours, directory.path(), None, &options, &[])
}

fn sounds(server: &ExampleServer, directory: &TempDir, name: &str) -> Vec<Vec<u8>> {
    server.wait_for_log(&format!("ends {name}"));
    let tags = flv::load(&directory.join(format!("{name}.flv")));
    tags.into_iter().filter(|tag| tag.kind == 8).map(|tag| tag.body).collect()
}

#[test]
fn obs_header_publishes_eight_streams_on_one_connection() {
    let directory = TempDir::new("fork-obs");
    let server = need!(server(&directory));
    let run_it = |url: &str| run("compat_obs", &[url, "key"]);
    let printed = need!(run_it(&server.url("rtmp", "live/deep"))).expect("compat_obs");
    assert_eq!(printed, "sent 1 nagle 1 time 1 error 0 custom 1\n");
    let [first, second] = [b"\xAF\x01first".to_vec(), b"\xAF\x01secon".to_vec()];
    assert_eq!(sounds(&server, &directory, "key"), [first, second.clone()]);
    for name in ["second", "s2", "s3", "s4", "s5", "s6", "s7"] {
        assert_eq!(sounds(&server, &directory, name), std::slice::from_ref(&second), "{name}");
    }
    // The whole path is the application.
    assert!(server.log().contains("connects to live/deep"), "{}", server.log());
    let refused = need!(run_it(&format!("rtmp://127.0.0.1:{}/live", process::free_port())));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stdout.starts_with("error 111, connect: connection refused"), "{refused:?}");
}

#[test]
fn antmedia_header_plays_and_publishes() {
    let clip = need!(clip::flv());
    let directory = TempDir::new("fork-android");
    fs::copy(&clip, directory.join("film.flv")).expect("the build directory is writable");
    let server = need!(server(&directory));
    let played = need!(run("compat_antmedia", &[&server.url("rtmp", "vod/film"), "play"])).expect("play");
    assert!(played.ends_with(", then -1, pause 1\nresult 0\n"), "{played}");
    let published = need!(run("compat_antmedia", &[&server.url("rtmp", "live/mine"), "publish"]));
    assert_eq!(published.expect("publish"), "wrote 1, packet 0, control 0, connected 1\nresult 0\n");
    let sent = [b"\xAF\x01first".to_vec(), b"\xAF\x01later".to_vec()];
    assert_eq!(sounds(&server, &directory, "mine"), sent);
    let refused = need!(run("compat_antmedia", &[&server.url("rtmp", "vod/none start=1"), "play"]));
    assert_eq!(refused.stdout, "result -12\n");
}

#[test]
fn pili_header_publishes_and_reports_reasons() {
    let directory = TempDir::new("fork-ios");
    let server = need!(server(&directory));
    let printed = need!(run("compat_pili", &[&server.url("rtmp", "live/phone")])).expect("compat_pili");
    assert_eq!(printed, "connected me 1\nok 1 error 0 \n");
    assert_eq!(sounds(&server, &directory, "phone"), [b"\xAF\x01first".to_vec()]);
    let port = process::free_port();
    let refused =
        need!(run("compat_pili", &[&format!("rtmp://127.0.0.1:{port}/live/phone")])).expect("refused");
    let reason = format!("-1008 connect: connection refused by 127.0.0.1:{port}");
    assert_eq!(refused, format!("callback me: {reason}\nok 0 error {reason}\n"));
}

#[test]
fn compat_headers_compile_as_cpp() {
    let compiler = need!(crate::support::require::program("c++"));
    let directory = TempDir::new("fork-cpp");
    for header in ["obs", "antmedia", "pili"] {
        let file = directory.join(format!("{header}.cpp"));
        fs::write(&file, format!("#include <librtmp/compat/{header}.h>\nint unit;\n"))
            .expect("it is writable");
        let mut compile = std::process::Command::new(&compiler);
        compile.args(["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]);
        compile.arg(package().join("include")).arg(file);
        crate::support::program::run(&mut compile, "", LIMIT).expect(header);
    }
}
