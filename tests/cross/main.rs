//! The library on another system, which an emulator runs: the layout of its structs, and whole sessions with peers of this
//! system. `make cross` (`tests/cross.sh`) builds the library and says which one these tests are for; `make features` runs them
//! with libraries that leave something out.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;
#[path = "../toolchain/mod.rs"]
mod toolchain;
#[path = "../web/mod.rs"]
mod web;

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use rtmp_core::{Client, Server, ServerEvent, ServerSession, message::MessageType};
use support::{
    Network, Running, Server as Scripted, TempDir,
    certs::{Authority, Valid},
    clip, flv,
    library::package,
    peer::bytes_of_sounds,
    process::free_port,
    require,
    servers::{self, Nginx},
    wait_until,
};
use toolchain::{include_option, run};
use web::Site;

/// Emulators start slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The system that the tests are for.
struct Target {
    name: String,
    /// Where the library is.
    library: PathBuf,
    compiler: String,
    /// What stands in front of a program.
    runner: Vec<String>,
    /// The features of the library, if it does not have all.
    features: Option<String>,
}

impl Target {
    /// `None` in a test run that is not for another system.
    fn new() -> Option<Self> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let Some(name) = variable("RTMP_CROSS_TARGET") else {
            require::skipped("other systems are tested by `make cross`");
            return None;
        };
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
        Some(Self {
            name,
            library: variable("RTMP_CROSS_LIBRARY").expect("RTMP_CROSS_LIBRARY").into(),
            compiler: variable("RTMP_CROSS_CC").expect("RTMP_CROSS_CC"),
            runner: variable("RTMP_CROSS_RUNNER").map(words).unwrap_or_default(),
            features: env::var("RTMP_CROSS_FEATURES").ok(),
        })
    }

    fn has(&self, feature: &str) -> bool {
        let has = |features: &String| features.split_whitespace().any(|name| name == feature);
        self.features.as_ref().is_none_or(has)
    }

    fn is_windows(&self) -> bool {
        self.name.contains("windows")
    }

    /// Builds programs of `c-examples` into a directory, with the Makefile there.
    fn build_tools(&self, names: &[&str], dir: &TempDir) {
        let library = self.library.display();
        let mut options = format!("-L{library} -lrtmp -Wl,-rpath,{library}");
        if self.is_windows() {
            options = format!("-L{library} -lrtmp");
            self.copy_libraries(dir);
        } else if self.library.join("librtmp.a").exists() {
            // On librtmp 2.4 the programs do without these, so their references alone do not load them from an archive.
            let newer = ["RTMP_SetNonBlocking", "RTMP_GetPollFds", "RTMP_GetErrorString", "RTMP_PeerCaps"];
            options = newer.map(|name| format!("-Wl,-u,{name} ")).concat();
            options += &format!("{library}/librtmp.a -lpthread -lm -ldl");
        }
        let mut make = Command::new("make");
        make.arg("-C").arg(package().join("c-examples")).arg(format!("CC={}", self.compiler));
        make.arg(format!("BUILD={}", dir.path().display())).arg(format!("CPPFLAGS={}", include_option()));
        make.arg(format!("LDLIBS={options}")).args(["CFLAGS=-O", "WARNINGS=-Wall -Wextra -Werror"]);
        run(make.args(names.iter().map(|name| dir.join(name))));
    }

    /// Windows looks for libraries where a program is.
    fn copy_libraries(&self, dir: &TempDir) {
        for file in ["librtmp.dll", "bcryptprimitives.dll"] {
            fs::copy(self.library.join(file), dir.join(file)).expect("`make windows` has made it");
        }
    }

    /// Compiles a program, with the library if it needs that.
    fn compile(&self, source: &Path, dir: &TempDir, links: bool) -> PathBuf {
        let program = dir.join(if self.is_windows() { "program.exe" } else { "program" });
        let mut command = Command::new(&self.compiler);
        command.arg(include_option()).arg(source).arg("-o").arg(&program);
        if links && self.is_windows() {
            command.arg(format!("-L{}", self.library.display())).args(["-lrtmp", "-lws2_32"]);
            self.copy_libraries(dir);
        } else if links && self.library.join("librtmp.a").exists() {
            command.arg(self.library.join("librtmp.a")).args(["-lpthread", "-lm", "-ldl"]);
        } else if links {
            let library = self.library.display();
            command.arg(format!("-L{library}")).arg(format!("-Wl,-rpath,{library}")).arg("-lrtmp");
        }
        run(&mut command);
        program
    }

    /// A command that runs a program of this system.
    fn command(&self, program: &Path) -> Command {
        let mut words =
            self.runner.iter().map(String::as_str).chain([program.to_str().expect("a path in Unicode")]);
        let mut command = Command::new(words.next().expect("there is a program"));
        command.args(words).env("WINEDEBUG", "-all");
        command
    }

    /// A file of this system as a program of the other one knows it.
    fn path(&self, file: &Path) -> String {
        let prefix = if self.is_windows() { "Z:" } else { "" };
        format!("{prefix}{}", file.display())
    }
}

/// `portable.c`, compiled.
struct Portable {
    target: Target,
    program: PathBuf,
    /// Removed at the end.
    _dir: TempDir,
}

impl Portable {
    fn new(name: &str) -> Option<Self> {
        let target = Target::new()?;
        let dir = TempDir::new(name);
        let program = target.compile(&package().join("tests/c/portable.c"), &dir, true);
        Some(Self { target, program, _dir: dir })
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.target.command(&self.program).args(arguments))
    }

    /// What it prints.
    fn says(&self, arguments: &[&str]) -> String {
        finish(self.start(arguments), arguments[0])
    }
}

/// Waits for the end of a program, and returns what it printed.
fn finish(mut running: Running, name: &str) -> String {
    let status = running.wait(LIMIT);
    assert!(status.is_some(), "{name} does not end: {}", running.stderr());
    running.stdout().replace('\r', "")
}

#[test]
fn struct_layouts_match_programs_compiled_for_librtmp() {
    let target = need!(Target::new());
    let dir = TempDir::new("cross-layout");
    let program = target.compile(&package().join("tests/c/abi_layout.c"), &dir, false);
    let mut running = Running::start(&mut target.command(&program));
    assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
    let expected = match target.name.as_str() {
        name if name.starts_with("i686") && !target.is_windows() => "layout-i386.txt",
        name if name.starts_with("i686") || name.starts_with("arm") => "layout-32.txt",
        _ => "layout.txt",
    };
    let expected = fs::read_to_string(package().join("tests/abi").join(expected)).unwrap();
    let printed = running.stdout().replace('\r', "");
    for line in expected.lines() {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is not in\n{printed}");
    }
}

#[test]
fn a_stream_is_played() {
    let portable = need!(Portable::new("cross-play"));
    let server = Scripted::of_sounds(200);
    let said = portable.says(&["play", &server.url()]);
    server.join();
    let bytes = bytes_of_sounds(200);
    assert!(said.starts_with(&format!("played {bytes} bytes, sum ")), "{said}");
}

#[test]
fn a_stream_is_published() {
    let portable = need!(Portable::new("cross-publish"));
    let server = Server::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("rtmp://{}/live/name", server.local_addr().unwrap());
    let counting = thread::spawn(move || count_messages(server.accept().expect("a client")));
    assert_eq!(portable.says(&["publish", &url, "500"]), "published 500\n");
    assert_eq!(counting.join().unwrap(), 500);
}

#[test]
fn a_stream_is_published_over_tls_to_a_server_whose_certificate_is_checked() {
    let portable = need!(Portable::new("cross-tls"));
    if !portable.target.has("tls") {
        return;
    }
    let authority = need!(Authority::new());
    let certificate = authority.issue("peer", "IP:127.0.0.1", Valid::Now);
    let server = Server::bind("127.0.0.1:0").expect("loopback has a free port");
    let server = server.tls(&certificate.chain, &certificate.key).expect("a certificate and its key");
    let url = format!("rtmps://{}/live/name", server.local_addr().unwrap());
    let counting = thread::spawn(move || {
        // The first client does not trust it.
        let refused = server.accept().map(|mut session| session.next_event().is_err());
        assert!(matches!(refused, Ok(true) | Err(_)));
        count_messages(server.accept().expect("a client"))
    });
    let said = portable.says(&["publish", &url, "200"]);
    assert!(said.starts_with("publish failed with 10: "), "{said}");
    let trusting = format!("{url} tlsCA={}", portable.target.path(&authority.certificate()));
    assert_eq!(portable.says(&["publish", &trusting, "200"]), "published 200\n");
    assert_eq!(counting.join().unwrap(), 200);
}

#[test]
fn a_client_is_served() {
    let portable = need!(Portable::new("cross-serve"));
    if !portable.target.has("server") {
        return;
    }
    let port = free_port();
    let mut serving = portable.start(&["serve", &port.to_string()]);
    assert!(wait_until(LIMIT, || support::process::listens_unseen(port)), "{}", serving.stderr());
    // It leaves after the connect command, which is as far as it serves.
    let client = Client::new(&format!("rtmp://127.0.0.1:{port}/live/name")).expect("a URL").timeout(LIMIT);
    assert!(client.play().is_err());
    assert!(serving.wait(LIMIT).is_some(), "{}", serving.stdout());
    assert_eq!(serving.stdout().replace('\r', ""), "served, 1 command\n");
}

#[test]
fn wait_ends_at_its_timeout_and_at_an_abort() {
    let portable = need!(Portable::new("cross-wait"));
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("rtmp://{}/live/name", silent.local_addr().unwrap());
    assert_eq!(portable.says(&["wait", &url]), "code 13\n");
    assert_eq!(portable.says(&["abort", &url]), "code 22\n");
}

#[test]
fn refused_connection_is_reported() {
    let portable = need!(Portable::new("cross-refused"));
    let said = portable.says(&["play", &format!("rtmp://127.0.0.1:{}/live/name", free_port())]);
    assert!(said.starts_with("play failed with 8: connect: "), "{said}");
}

#[test]
fn omitted_parts_fail_and_name_their_feature() {
    let portable = need!(Portable::new("cross-features"));
    let lacks = |said: &str, what: &str, feature: &str| {
        let built = portable.target.has(feature);
        let missing = format!("(this library was built without the feature {feature}) is not supported\n");
        assert_eq!(said.starts_with(&format!("{what} failed with 23: ")), !built, "{feature}: {said}");
        assert_eq!(said.ends_with(&missing), !built, "{feature}: {said}");
    };
    let port = free_port();
    for (scheme, feature) in [("rtmps", "tls"), ("rtmpe", "rtmpe"), ("rtmpt", "rtmpt")] {
        let url = format!("{scheme}://127.0.0.1:{port}/live/name");
        lacks(&portable.says(&["play", &url]), "setup", feature);
    }
    let url = format!("rtmp://127.0.0.1:{port}/live/name swfUrl=http://127.0.0.1:{port}/a.swf swfVfy=1");
    lacks(&portable.says(&["play", &url]), "setup", "swf");
    if !portable.target.has("server") {
        let serving = portable.start(&["serve", &port.to_string()]);
        assert!(wait_until(LIMIT, || support::process::listens_unseen(port)), "{}", serving.stderr());
        let client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        lacks(&finish(serving, "serve"), "serve", "server");
        drop(client);
    }
}

/// As with MSVC, which makes its import library from the `.def` file.
#[test]
fn windows_programs_link_with_the_def_file_or_the_static_library() {
    let target = need!(Target::new());
    if !target.is_windows() {
        return;
    }
    let config = fs::read_to_string(package().join("packaging/cmake/librtmp-config.cmake")).unwrap();
    let (_, system) = config.split_once("set(_librtmp_system ws2_32").expect("the libraries of Windows");
    let (system, _) = system.split_once(')').unwrap();
    let system = system.split_whitespace().chain(["ws2_32"]).map(|name| format!("-l{name}"));
    let dir = TempDir::new("cross-link");
    target.copy_libraries(&dir);
    let definition = target.library.join("librtmp.def");
    let mut dlltool = Command::new(target.compiler.replace("gcc", "dlltool"));
    run(dlltool.arg("-d").arg(&definition).arg("-l").arg(dir.join("rtmp.lib")));
    let archives = [
        (dir.join("rtmp.lib"), vec!["-lws2_32".to_owned()], true),
        (target.library.join("librtmp.a"), system.collect(), false),
    ];
    for (archive, system, loads) in archives {
        let program = dir.join("program.exe");
        let mut compile = Command::new(&target.compiler);
        compile.arg(include_option()).arg(package().join("tests/c/portable.c")).arg("-o").arg(&program);
        run(compile.arg(&archive).args(system));
        let server = Scripted::of_sounds(20);
        let played = Running::start(target.command(&program).args(["play", &server.url()]));
        let played = finish(played, "play");
        server.join();
        assert!(played.starts_with(&format!("played {} bytes", bytes_of_sounds(20))), "{played}");
        let imports = run(Command::new(target.compiler.replace("gcc", "objdump")).arg("-p").arg(&program));
        assert_eq!(imports.contains("DLL Name: librtmp.dll"), loads, "{}", archive.display());
    }
}

#[test]
fn log_goes_to_a_file_of_the_program() {
    let portable = need!(Portable::new("cross-log"));
    let dir = TempDir::new("cross-log-file");
    let file = portable.target.path(&dir.join("log"));
    assert_eq!(portable.says(&["log", &file]), "INFO: afterwards\n");
    let log = fs::read_to_string(dir.join("log")).unwrap().replace('\r', "");
    assert_eq!(log, "INFO: text -1 2147483647 0.5\n");
}

/// On Windows, Wine sets the profile, and passes no `HOME`.
#[test]
fn hashes_of_swf_files_are_kept_in_the_home_directory_or_profile() {
    let portable = need!(Portable::new("cross-swf"));
    if !portable.target.has("swf") {
        return;
    }
    let home = TempDir::new("cross-home");
    let site = Site::of_file(b"FWS\x0a\x20\0\0\0, a file of 32 bytes ---");
    let mut command = portable.target.command(&portable.program);
    command.args(["swf", &site.url("/a.swf")]).env("HOME", home.path());
    assert_eq!(finish(Running::start(&mut command), "swf"), "result 0, size 32, kept\n");
    assert_eq!(home.join(".swfinfo").exists(), !portable.target.is_windows());
}

/// `server`, `publish` and `receive` of `c-examples`, all of them on the other system: a live stream and a file.
#[test]
fn tools_serve_publish_and_record() {
    let target = need!(Target::new());
    need!(require::program("make"));
    if !target.has("server") {
        return;
    }
    let dir = TempDir::new("cross-tools");
    target.build_tools(&["make_flv", "server", "publish", "receive"], &dir);
    let start = |name: &str, arguments: &[&str]| {
        let name = if target.is_windows() { format!("{name}.exe") } else { name.to_owned() };
        Running::start(target.command(&dir.join(name)).args(arguments).current_dir(dir.path()))
    };
    let succeeds = |mut running: Running, name: &str| {
        let status = running.wait(LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{name}: {status:?}: {}", running.stderr());
        running
    };
    succeeds(start("make_flv", &["-t", "2", "film.flv"]), "make_flv");
    // It ends after its third client.
    let server = start("server", &["-p", "0", "-d", ".", "-r", "recorded", "-n", "3"]);
    let mut address = None;
    wait_until(LIMIT, || {
        let printed = server.stdout();
        address = printed.split_whitespace().find(|word| word.starts_with("rtmp://")).map(str::to_owned);
        address.is_some() && printed.contains('\n')
    });
    let address = address.unwrap_or_else(|| panic!("the server does not listen: {}", server.stderr()));
    let live = format!("{address}/live/name");
    let player = start("receive", &["--live", "-t", "60", "-o", "live.flv", &live]);
    assert!(wait_until(LIMIT, || server.stderr().contains("plays live/name")), "{}", server.stderr());
    succeeds(start("publish", &["film.flv", &live]), "publish");
    let player = succeeds(player, "receive");
    let film = flv::load(&dir.join("film.flv"));
    flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&dir.join("live.flv"))), "the live stream");
    flv::assert_equal(&film, &flv::load(&dir.join("recorded/name.flv")), "what the server has recorded");
    let url = format!("{address}/vod/film");
    succeeds(start("receive", &["-o", "copy.flv", &url]), "receive");
    flv::assert_equal(&film, &flv::load(&dir.join("copy.flv")), "the file");
    succeeds(server, "server");
    println!("the tools ran on {}: {}", target.name, player.stderr().trim());
}

/// The Windows program that users start from, as it is.
#[test]
fn the_sample_records_a_live_stream() {
    const HOST: &str = "live.hkstv.hk.lxdns.com";
    const PORT: u16 = 1935;
    let target = need!(Target::new());
    let sample = need!(require::file(&package().join("../shared/sample/receive.c")));
    let wrapper = need!(require::file(Path::new("/usr/lib/x86_64-linux-gnu/libnss_wrapper.so")));
    if !target.is_windows() {
        // The emulated C library does not load libnss-wrapper of this system.
        return;
    }
    let clip = need!(clip::flv());
    let dir = TempDir::new("cross-sample");
    let program = target.compile(&sample, &dir, true);
    let network = need!(Network::new(PORT));
    let prefix = network.prefix();
    let words: Vec<&str> = prefix.iter().map(String::as_str).collect();
    let nginx = need!(Nginx::start_on(PORT, (!words.is_empty()).then_some(&words[..])));
    nginx.wait_until_it_listens();
    let hosts = dir.join("hosts");
    fs::write(&hosts, format!("127.0.0.1 {HOST}\n")).expect("the build directory is writable");
    let mut command = network.command(Path::new("env"));
    command
        .arg(format!("LD_PRELOAD={}", wrapper.display()))
        .arg(format!("NSS_WRAPPER_HOSTS={}", hosts.display()));
    command.args(&target.runner).arg(&program).current_dir(dir.path()).env("WINEDEBUG", "-all");
    let mut receiver = Running::start(&mut command);
    nginx.wait_for_players(1);
    let mut publish = network.command(&need!(require::program("ffmpeg")));
    publish.args(["-hide_banner", "-loglevel", "error", "-re", "-i"]).arg(&clip);
    publish.args(["-c", "copy", "-f", "flv", &format!("rtmp://127.0.0.1:{PORT}/live/hks")]);
    let mut publisher = Running::start(&mut publish);
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    let status = receiver.wait(LIMIT);
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", receiver.stderr());
    let file = dir.join("receive.flv");
    let sent = flv::readable(&flv::load(&clip));
    let frames = flv::assert_contiguous(&sent, &flv::load(&file), "the sample");
    assert!(frames > 100, "only {frames} frames");
    assert_eq!(need!(servers::probe(&file)), ["h264", "aac"]);
    println!("the sample recorded {frames} frames on {}", target.name);
}

/// Accepts whatever a client asks for, and counts its audio messages until it leaves.
fn count_messages(mut session: ServerSession) -> usize {
    let mut count = 0;
    while let Ok(Some(event)) = session.next_event() {
        match event {
            ServerEvent::Request(_) => session.accept().expect("the client waits for the answer"),
            ServerEvent::Message(message) if message.kind == MessageType::AUDIO => {
                assert_eq!(message.body.len(), 300);
                count += 1;
            }
            _ => {}
        }
    }
    count
}
