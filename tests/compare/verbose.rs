//! The output of the unmodified rtmpdump with `-V` and `-z`, for scripted and for real servers.

use super::session::LIMIT;
use super::support::amf::{self, Value, ecma, n, object, s};
use super::support::examples::ExampleServer;
use super::support::servers::Nginx;
use super::support::wire::Message;
use super::support::{Library, Peer, Server, TempDir, clip, program, require};
use super::web::Site;
use super::{Observation, Row};

const SWF: &[u8] = b"FWS\x08\x40\0\0\0a film of the Flash player, not compressed, of 64 bytes ........";

pub fn rows() -> impl Iterator<Item = Row> {
    let row = |name: &'static str, run: fn(Library) -> Option<Observation>| Row {
        name: name.to_owned(),
        like: name,
        run: Box::new(run),
    };
    [
        row("rtmpdump-V", |library| scripted(library, &["-V"], film)),
        row("rtmpdump-z", |library| scripted(library, &["-z"], film)),
        row("rtmpdump-V-live", |library| scripted(library, &["-V", "--live"], film)),
        row("rtmpdump-V-not-found", |library| scripted(library, &["-V"], not_found)),
        row("rtmpdump-V-moved", |library| scripted(library, &["-V", "-m", "2"], moved)),
        row("rtmpdump-V-W", |library| with_player(library, &["-V"])),
        row("rtmpdump-z-W", |library| with_player(library, &["-z"])),
        row("rtmpdump-V-from-nginx", from_nginx),
        row("rtmpdump-V-from-the-example-server", from_the_example_server),
    ]
    .into_iter()
}

/// A film with all the messages that a player receives besides it.
fn film(peer: &mut Peer) {
    peer.accept_connect();
    peer.send_control(5, &[0, 0x26, 0x25, 0xa0]);
    peer.send_control(6, &[0, 0x26, 0x25, 0xa0, 2]);
    peer.invoke(0, &[s("onBWDone"), n(0), Value::Null]);
    peer.accept_create();
    peer.wait_for("play");
    peer.send_control(4, &[0, 4, 0, 0, 0, 1]);
    peer.send_control(4, &[0, 0, 0, 0, 0, 1]);
    peer.status(1, "status", "NetStream.Play.Reset", "Playing and resetting stream.");
    peer.status(1, "status", "NetStream.Play.Start", "Started playing stream.");
    let properties = [("duration", n(0.08)), ("videocodecid", n(7)), ("encoder", s("a \\x1b[31m trap"))];
    peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onMetaData"), ecma(&properties)])));
    for (time, first) in [(0, 0x17), (40, 0x27), (80, 0x27)] {
        peer.send(&Message::new(6, time, 9, 1, &[first, 1, 0, 0, 0, 1, 2, 3]));
        peer.send(&Message::new(4, time, 8, 1, &[0xaf, 1, 1, 2]));
    }
    peer.send_control(4, &[0, 1, 0, 0, 0, 1]);
    peer.status(1, "status", "NetStream.Play.Complete", "");
    peer.status(1, "status", "NetStream.Play.Stop", "Stopped playing stream.");
}

fn not_found(peer: &mut Peer) {
    peer.accept_connect();
    peer.accept_create();
    peer.wait_for("play");
    peer.status(1, "error", "NetStream.Play.StreamNotFound", "there is none");
}

/// A server that redirects to another application.
fn moved(peer: &mut Peer) {
    peer.handshake();
    let connect = peer.wait_for("connect");
    let transaction = connect[1].number().expect("connect has a transaction id");
    let elsewhere = object(&[("code", n(302)), ("redirect", s("rtmp://elsewhere/app"))]);
    let info = object(&[
        ("level", s("error")),
        ("code", s("NetConnection.Connect.Rejected")),
        ("description", s("moved")),
        ("ex", elsewhere),
    ]);
    peer.invoke(0, &[s("_error"), n(transaction), Value::Null, info]);
    peer.finish();
}

fn scripted(library: Library, options: &[&str], script: fn(&mut Peer)) -> Option<Observation> {
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
    });
    let observation = rtmpdump(library, options, &format!("rtmp://127.0.0.1:{}/tv/stream", server.port));
    server.join();
    observation
}

/// With the hash of a SWF file that is downloaded over HTTP.
fn with_player(library: Library, options: &[&str]) -> Option<Observation> {
    let site = Site::of_file(SWF);
    let url = site.url("/a.swf");
    scripted(library, &[options, &["-W", &url]].concat(), film).map(|observation| Observation {
        log: observation.log.replace(&format!(":{}/", site.port()), ":PORT/"),
        ..observation
    })
}

fn from_nginx(library: Library) -> Option<Observation> {
    let nginx = Nginx::start()?;
    nginx.offer(&clip::flv()?, "film.flv");
    rtmpdump(library, &["-V"], &nginx.url("vod", "film.flv"))
}

fn from_the_example_server(library: Library) -> Option<Observation> {
    let folder = TempDir::new("films");
    std::fs::copy(clip::flv()?, folder.path().join("film.flv")).expect("a film can be copied");
    let server = ExampleServer::start(Library::Ours, folder.path())?;
    rtmpdump(library, &["-V"], &server.url("rtmp", "vod/film"))
}

fn rtmpdump(library: Library, options: &[&str], url: &str) -> Option<Observation> {
    let directory = TempDir::new("rtmpdump");
    let file = directory.path().join("film.flv");
    let mut command = program::on_library(&require::program("rtmpdump")?, library)?;
    command.env("HOME", directory.path()).args(options).args(["-r", url, "-o"]).arg(&file);
    let run = program::run(&mut command, "", LIMIT);
    let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let port = url.split([':', '/']).nth(4).unwrap_or_default();
    Some(Observation {
        text: format!("ended with {:?}, {size} bytes\n", run.code),
        log: shown(&run.stderr).replace(&format!(":{port}"), ":PORT"),
        ..Observation::default()
    })
}

/// The prefix of a server's clock.
const UPTIME: &str = "DEBUG: HandShake: Server Uptime :";

/// The lines that do not depend on speed.
fn shown(text: &str) -> String {
    let lines = text.split(['\n', '\r']).filter(|line| !line.contains(" kB / "));
    let lines = lines.map(|line| match line.strip_prefix(UPTIME) {
        Some(_) => UPTIME,
        None => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}
