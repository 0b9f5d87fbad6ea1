//! More unmodified programs with our library: rtmpdump's proxy, stub server and gateway, GStreamer and
//! python-librtmp. Each does the same as with librtmp 2.4.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::flv::{self, Tag};
use crate::support::program::{LoaderLog, Program, on_library};
use crate::support::servers::Nginx;
use crate::support::site::Make;
use crate::support::{
    Library, Network, Running, TempDir, clip, foreign, library, library::ours_is_original, process, require,
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);
const BOTH: [Library; 2] = [Library::Original, Library::Ours];
/// The port of rtmpsuck and rtmpsrv, which cannot be changed.
const PORT: u16 = 1935;

/// Starts one of rtmpdump's servers.
fn start_server(
    network: Option<&Network>,
    library: Library,
    name: &str,
    arguments: &[&str],
    directory: &TempDir,
) -> Option<Running> {
    let program = require::program(name)?;
    let commands = directory.join(format!("{name}-commands"));
    process::output("mkfifo", &[&commands.to_string_lossy()], LIMIT);
    let shell = Path::new("/bin/sh");
    let mut command = network.map_or_else(|| Command::new(shell), |network| network.command(shell));
    command.args(["-c", process::HOLDING_INPUT]).arg(&commands).arg(program).args(arguments);
    command.current_dir(directory.path()).env("LD_LIBRARY_PATH", library.directory()?);
    // Programs that a test puts there come first.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", directory.path().display()));
    Some(Running::start(&mut command))
}

/// Waits until a server listens. A connection would be treated as a client, so the test does not connect.
fn wait_for_port(server: &mut Running, port: u16) {
    let table = format!("/proc/{}/net/tcp", server.id());
    let ready = wait_until(LIMIT, || process::listens_in(&table, port) || server.ended().is_some());
    assert!(ready && server.ended().is_none(), "{}", server.stderr());
}

/// The process has mapped this library and no other librtmp.
fn assert_mapped(process: &Running, library: Library) {
    let wanted = library.file().map(|file| fs::canonicalize(file).expect("the library is there"));
    assert_eq!(process.mapped_librtmp(), Vec::from_iter(wanted), "the program must load {library:?}");
}

/// Runs a command on a library to its end, and proves that it used it.
fn run(mut command: Command, library: Library, what: &str) -> Option<String> {
    command.env("LD_LIBRARY_PATH", library.directory()?);
    let loader = LoaderLog::of(&mut command);
    let mut running = Running::start(&mut command);
    let status = running.wait(LIMIT);
    loader.assert_loaded(library);
    assert!(status.is_some_and(|status| status.success()), "{what}: {status:?}\n{}", running.stderr());
    Some(running.stdout())
}

/// The film as librtmp returns it.
fn film() -> Option<(PathBuf, Vec<Tag>)> {
    let clip = clip::flv()?;
    let tags = flv::readable(&flv::media(&flv::load(&clip)));
    Some((clip, tags))
}

/// A command, made to run in a network.
fn inside(network: &Network, command: &Command) -> Command {
    let mut inside = network.command(Path::new(command.get_program()));
    inside.args(command.get_args());
    inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside
}

/// A server in a network, which plays the film or what is published.
struct Behind {
    port: u16,
    process: Running,
    _folder: TempDir,
}

impl Behind {
    fn start(make: Make, network: &Network, clip: &Path) -> Option<Self> {
        let (port, folder) = (process::free_port(), TempDir::new("behind"));
        let number = port.to_string();
        let command = match make {
            Make::Ours => {
                fs::copy(clip, folder.join("film.flv")).expect("the build directory is writable");
                let mut command = Program::example("server")?.command(Library::Ours)?;
                command.args(["-v", "3", "-p", &number, "-d"]).arg(folder.path());
                command
            }
            Make::NodeMediaServer => {
                let modules = foreign::tool("node/node_modules")?;
                let mut command = Command::new(require::program("node")?);
                command.arg(library::package().join("tests/node/media_server.js")).arg(modules).arg(number);
                command
            }
            _ => panic!("{make:?} is started elsewhere"),
        };
        let mut process = Running::start(&mut inside(network, &command));
        wait_for_port(&mut process, port);
        Some(Self { port, process, _folder: folder })
    }
}

/// rtmpsuck between rtmpdump and a server: what rtmpdump receives and what rtmpsuck saves.
fn pass_on(
    library: Library,
    network: &Network,
    port: u16,
    path: &str,
    publish: impl FnOnce(),
    complete: impl Fn(&[Tag]) -> bool,
) -> Option<[Vec<Tag>; 2]> {
    let rtmpdump = require::program("rtmpdump")?;
    let directory = TempDir::new("rtmpsuck");
    let mut proxy = start_server(Some(network), library, "rtmpsuck", &[], &directory)?;
    wait_for_port(&mut proxy, PORT);
    assert_mapped(&proxy, library);
    let file = directory.join("received.flv");
    let (app, name) = path.split_once('/')?;
    let mut command = network.command(&rtmpdump);
    command.args(["-r", &format!("rtmp://127.0.0.1:{PORT}/{path}"), "-m", "20"]);
    command.args(["--tcUrl", &format!("rtmp://127.0.0.1:{port}/{app}"), "-o"]).arg(&file);
    command.args((app == "live").then_some("--live"));
    let mut player = Running::start(&mut command);
    publish();
    assert!(player.wait(LIMIT).is_some(), "{library:?}: {}", proxy.stderr());
    // The proxy closes its file when it has seen the end of the connection. It derives the file's name from
    // the stream's name.
    let saved = directory.join(name.replace(':', "_"));
    wait_until(LIMIT, || complete(&flv::load_part(&saved)));
    Some([flv::load(&file), flv::load_part(&saved)])
}

/// Both are the film.
fn assert_film(film: &[Tag], found: &[Vec<Tag>; 2], what: &str) {
    flv::assert_equal(film, &flv::media(&found[0]), &format!("{what}, passed on"));
    flv::assert_equal(film, &flv::media(&found[1]), &format!("{what}, saved"));
}

#[test]
fn rtmpsuck_relays_and_saves_a_file() {
    let (clip, film) = need!(film());
    need!(require::program("rtmpsuck"));
    let complete = |found: &[Tag]| flv::media(found).len() >= film.len();
    for library in BOTH {
        let network = need!(Network::new(PORT));
        let prefix = network.prefix();
        let words: Vec<&str> = prefix.iter().map(String::as_str).collect();
        let port = process::free_port();
        let nginx = need!(Nginx::start_on(port, (!words.is_empty()).then_some(words.as_slice())));
        nginx.wait_until_it_listens();
        nginx.offer(&clip, "film.flv");
        let found = need!(pass_on(library, &network, port, "vod/film", || (), complete));
        assert_film(&film, &found, &format!("rtmpsuck on {library:?}, nginx"));

        let ours = need!(Behind::start(Make::Ours, &network, &clip));
        let found = need!(pass_on(library, &network, ours.port, "vod/film", || (), complete));
        assert_film(&film, &found, &format!("rtmpsuck on {library:?}, our server"));

        let other = need!(foreign::NodeServer::start_by(|command| inside(&network, &command)));
        let all = |found: &[Tag]| [8, 9].iter().all(|kind| foreign::frames(found, *kind).len() >= 60);
        let found = need!(pass_on(library, &network, other.port, "file/mp4:film.mp4", || (), all));
        for (found, how) in found.iter().zip(["passed on", "saved"]) {
            let what = format!("rtmpsuck on {library:?}, node-rtsp-rtmp-server, {how}");
            foreign::assert_frames(&film, found, 60, &what);
        }
    }
}

#[test]
fn rtmpsuck_relays_and_saves_a_live_stream() {
    need!(require::program("rtmpsuck"));
    let (ffmpeg, clip) = (need!(require::program("ffmpeg")), need!(clip::without_index()));
    let sent = flv::readable(&flv::load(&clip));
    let frames = |tags: &[Tag]| flv::media(tags).iter().filter(|tag| !tag.is_sequence_header()).count();
    for library in BOTH {
        let network = need!(Network::new(PORT));
        let server = need!(Behind::start(Make::NodeMediaServer, &network, &clip));
        let publish = || {
            let log = || server.process.stdout() + &server.process.stderr();
            let waits = wait_until(LIMIT, || log().contains("Stream not found"));
            assert!(waits, "rtmpsuck on {library:?}: no player came: {}", log());
            let mut command = network.command(&ffmpeg);
            command.args(["-loglevel", "error", "-re", "-i"]).arg(&clip).args(["-c", "copy", "-f", "flv"]);
            command.arg(format!("rtmp://127.0.0.1:{}/live/film", server.port));
            let mut publisher = Running::start(&mut command);
            let status = publisher.wait(LIMIT);
            assert!(status.is_some_and(|status| status.success()), "{}", publisher.stderr());
        };
        let complete = |found: &[Tag]| frames(found) >= frames(&sent);
        let found = need!(pass_on(library, &network, server.port, "live/film", publish, complete));
        for (found, how) in found.iter().zip(["passed on", "saved"]) {
            let what = format!("rtmpsuck on {library:?}, node-media-server, {how}");
            let received = flv::assert_contiguous(&sent, &flv::readable(found), &what);
            assert_eq!(received, frames(&sent), "{what}");
        }
    }
}

/// Makes the command that runs a client in a network.
type Client<'a> = dyn Fn(&Network) -> Option<Command> + 'a;

/// rtmpsrv's output about one client.
fn ask_rtmpsrv(library: Library, client: &Client<'_>) -> Option<String> {
    let network = Network::new(PORT)?;
    let directory = TempDir::new("rtmpsrv");
    // It starts rtmpdump with the options that it has found, which would be its next client.
    let stub = directory.join("rtmpdump");
    fs::write(&stub, "#!/bin/sh\n").expect("the build directory is writable");
    process::output("chmod", &["+x", &stub.to_string_lossy()], LIMIT);
    let mut server = start_server(Some(&network), library, "rtmpsrv", &[], &directory)?;
    wait_for_port(&mut server, PORT);
    assert_mapped(&server, library);
    let mut client = Running::start(&mut client(&network)?);
    let ready = wait_until(LIMIT, || {
        server.stdout().contains(" -o ") && server.stderr().contains("Closing connection")
    });
    assert!(ready, "rtmpsrv on {library:?}: {}\n{}", server.stdout(), server.stderr());
    assert!(client.wait(LIMIT).is_some());
    Some(server.stdout())
}

#[test]
fn rtmpsrv_prints_the_request_of_a_player() {
    need!(require::program("rtmpsrv"));
    let url = format!("rtmp://127.0.0.1:{PORT}/app/film");
    let ffmpeg = need!(require::program("ffmpeg"));
    let rtmpdump = need!(require::program("rtmpdump"));
    let receive = need!(Program::example("receive"));
    let play = |network: &Network| {
        let mut command = network.command(&ffmpeg);
        command.args(["-v", "error", "-i", &url, "-f", "null", "-"]);
        Some(command)
    };
    let dump = |network: &Network| {
        let mut command = network.command(&rtmpdump);
        command.args(["-r", &url, "-m", "5", "-o", "/dev/null", "-f", "player 1,2", "-s", "http://a/b.swf"]);
        command.args(["-C", "S:text", "-C", "O:1", "-C", "NN:number:1.5", "-C", "O:0"]);
        Some(command)
    };
    let plain = |command: Option<Command>, arguments: &[&str], network: &Network| {
        let mut command = command?;
        command.args(arguments);
        Some(inside(network, &command))
    };
    let example = |network: &Network| {
        let command = receive.command(Library::Ours);
        plain(command, &["-q", "-t", "5", "-o", "/dev/null", &url], network)
    };
    let curl = |network: &Network| {
        let command = on_library(&require::program("curl")?, Library::Ours);
        plain(command, &["-s", "-m", "20", "-o", "/dev/null", &url], network)
    };
    let registry = TempDir::new("rtmpsrc");
    let source = |network: &Network| {
        let pipeline = format!("rtmpsrc location={url} num-buffers=1 ! fakesink");
        Some(inside(network, &gstreamer_command(Library::Ours, &registry, &pipeline)?))
    };
    let clients: [(&str, &Client<'_>); 5] = [
        ("ffmpeg", &play),
        ("rtmpdump", &dump),
        ("receive", &example),
        ("curl", &curl),
        ("rtmpsrc", &source),
    ];
    for (name, client) in clients {
        let original = need!(ask_rtmpsrv(Library::Original, client));
        let ours = need!(ask_rtmpsrv(Library::Ours, client));
        assert_eq!(original, ours, "rtmpsrv with {name}");
        assert!(ours.contains("-a \"app\"") && ours.contains("-y \"film\""), "{name}: {ours}");
    }
}

/// GStreamer with the plugin that uses librtmp, and a plugin registry of its own: the user's knows one library only.
pub fn gstreamer_command(library: Library, directory: &TempDir, pipeline: &str) -> Option<Command> {
    let plugin = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0/libgstrtmp.so", std::env::consts::ARCH);
    require::file(Path::new(&plugin))?;
    let mut command = on_library(&require::program("gst-launch-1.0")?, library)?;
    command.arg("-q").args(pipeline.split(' '));
    // Plugins are looked at in the process itself, which is the one whose libraries are checked.
    command.env("GST_REGISTRY", directory.join("registry")).env("GST_REGISTRY_FORK", "no");
    Some(command)
}

pub fn gstreamer(library: Library, directory: &TempDir, pipeline: &str) -> Option<()> {
    let command = gstreamer_command(library, directory, pipeline)?;
    run(command, library, &format!("gst-launch-1.0 {pipeline} on {library:?}")).map(drop)
}

/// With the original rtmpsrc starts again at the end of the film, forever: the connection is gone when it begins the next
/// block.
#[test]
fn gstreamer_receives_a_complete_file() {
    if ours_is_original() {
        return;
    }
    let (clip, film) = need!(film());
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let size = fs::metadata(&clip).map_or(0, |data| data.len());
    // The default, small and large blocks, and one that the film may just fill.
    for blocks in ["", " blocksize=100", " blocksize=1000000", &format!(" blocksize={size}")] {
        let directory = TempDir::new("rtmpsrc");
        let file = directory.join("film.flv");
        let (url, target) = (nginx.url("vod", "film"), file.display());
        let pipeline = format!("rtmpsrc location={url}{blocks} ! filesink location={target}");
        need!(gstreamer(Library::Ours, &directory, &pipeline));
        flv::assert_equal(&film, &flv::media(&flv::load(&file)), &format!("rtmpsrc{blocks}"));
    }
}
