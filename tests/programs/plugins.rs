//! Libraries that load librtmp into programs: Kodi's add-on, used as Kodi does, and each libcurl of Debian;
//! these differ in their TLS library.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::amf::s;
use crate::support::examples::{Client, ExampleServer};
use crate::support::servers::Nginx;
use crate::support::stage::Stage;
use crate::support::wire::Message;
use crate::support::{Library, Program, Run, Server, TempDir, foreign, require};

const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// The add-on, and a program in the role of Kodi.
struct Kodi {
    host: Program,
    addon: PathBuf,
}

impl Kodi {
    fn install() -> Option<Self> {
        let files = foreign::tool("kodi/usr")?;
        let folder = format!("lib/{}-linux-gnu/kodi/addons/inputstream.rtmp", std::env::consts::ARCH);
        let folder = require::file(&files.join(folder))?;
        let mut files_of_it = fs::read_dir(folder).expect("it is there").flatten().map(|entry| entry.path());
        let addon = files_of_it.find(|file| file.extension().is_some_and(|end| end == "so"));
        let addon = addon.expect("an add-on has a library");
        let headers = require::file(&files.join("include"))?;
        Some(Self { host: Program::test_with_headers("kodi_host", &headers)?, addon })
    }

    /// Plays `url` into `file`; proves that the right library was used.
    fn play(&self, library: Library, url: &str, file: &Path, more: &[&str]) -> Option<Run> {
        let mut command = self.host.command(library)?;
        command.arg(&self.addon).arg(url).arg(file).args(more);
        Some(Client::start(command, library).finish())
    }
}

#[test]
fn kodi_add_on_plays_complete_files() {
    let (kodi, stage) = (need!(Kodi::install()), need!(Stage::set()));
    let ours = need!(ExampleServer::start(Library::Ours, stage.folder.path()));
    let nginx = need!(Nginx::start());
    nginx.offer(&stage.clip, "film.flv");
    for url in [ours.url("rtmp", "vod/film"), ours.url("rtmpe", "vod/film"), nginx.url("vod", "film.flv")] {
        let mut played = Vec::new();
        for library in BOTH {
            let (what, file) = (format!("{url} on {library:?}"), stage.folder.join("kodi.flv"));
            let said = need!(kodi.play(library, &url, &file, &[])).expect(&what);
            stage.assert_whole(&file, &what);
            played.push((said, fs::read(&file).expect("it was just written")));
        }
        assert_eq!(played[0].0, played[1].0, "what the add-on answers, {url}");
        assert!(played[0].1 == played[1].1, "the films of {url} differ");
    }
}

/// The add-on pauses the stream in its own thread when Kodi has not read for a while, and passes on the
/// properties of the list item.
#[test]
fn kodi_add_on_pauses_seeks_and_forwards_properties() {
    let (kodi, folder) = (need!(Kodi::install()), TempDir::new("kodi"));
    const PROPERTIES: [&str; 5] = [
        "inputstream.rtmp.SWFPlayer=http://h/a.swf",
        "inputstream.rtmp.PageURL=http://h/page",
        "inputstream.rtmp.PlayPath=mp4:other",
        "inputstream.rtmp.TcUrl=rtmp://elsewhere/app",
        "inputstream.rtmp.IsLive=true",
    ];
    let mut seen = Vec::new();
    for library in BOTH {
        let server = Server::once(|peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, &[0x17; 300]));
            peer.send(&Message::new(4, 0, 8, 1, &[0xaf; 50]));
            peer.send(&Message::new(6, 40, 9, 1, &[0x27; 300]));
            // Kodi's buffers are full.
            peer.wait_for("pause");
            peer.status(1, "status", "NetStream.Pause.Notify", "");
            // It reads again.
            peer.wait_for("pause");
            peer.send(&Message::new(6, 80, 9, 1, &[0x27; 5000]));
            peer.wait_for("seek");
            peer.status(1, "status", "NetStream.Seek.Notify", "");
            peer.send(&Message::new(6, 5000, 9, 1, &[0x17; 300]));
            peer.status(1, "status", "NetStream.Play.Complete", "");
            peer.drain(crate::support::peer::PATIENCE);
            peer.transcript()
        });
        let (url, file) = (format!("rtmp://127.0.0.1:{}/app/name", server.port), folder.join("film.flv"));
        let arguments = [&["-w", "1", "4000", "-s", "5000", "5000"], &PROPERTIES[..]].concat();
        let said = need!(kodi.play(library, &url, &file, &arguments)).expect(&format!("{library:?}"));
        seen.push((said, server.join(), fs::read(&file).expect("it was just written")));
    }
    let [(said, commands, film), ours] = <[_; 2]>::try_from(seen).expect("two libraries");
    assert_eq!((said.as_str(), commands.as_str()), (ours.0.as_str(), ours.1.as_str()));
    assert!(film == ours.2, "the films differ: {} and {} bytes", film.len(), ours.2.len());
    assert!(said.contains("seek 1\n") && film.len() > 5900, "{said}");
    for part in ["http://h/a.swf", "http://h/page", "mp4:other", "rtmp://elsewhere/app", "s(\"seek\")"] {
        assert!(commands.contains(part), "{part} is missing:\n{commands}");
    }
}

/// An address without a server, and a film that does not exist: the add-on reports the failure to Kodi.
#[test]
fn kodi_add_on_reports_failures() {
    let (kodi, folder) = (need!(Kodi::install()), TempDir::new("kodi"));
    for library in BOTH {
        let server = Server::once(|peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for("play");
            peer.status(1, "error", "NetStream.Play.StreamNotFound", "no such film");
            peer.invoke(0, &[s("close")]);
            peer.drain(crate::support::peer::PATIENCE);
        });
        let file = folder.join("film.flv");
        let refused = need!(kodi.play(library, &server.url(), &file, &[]));
        server.join();
        assert_eq!((refused.code, refused.timed_out), (Some(1), false), "{library:?}: {refused:?}");
        let nobody = need!(kodi.play(library, "rtmp://127.0.0.1:1/app/name", &file, &[]));
        assert_eq!((nobody.code, nobody.timed_out), (Some(1), false), "{library:?}: {nobody:?}");
    }
}

/// librtmp 2.4 plays with curl, which then waits until the server closes.
#[test]
fn every_libcurl_plays_complete_files() {
    let (program, stage) = (need!(Program::test("libcurl")), need!(Stage::set()));
    let server = need!(ExampleServer::start(Library::Ours, stage.folder.path()));
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    for (name, tls) in
        [("libcurl.so.4", "OpenSSL"), ("libcurl-gnutls.so.4", "GnuTLS"), ("libcurl-nss.so.4", "NSS")]
    {
        let libcurl = need!(require::file(&Path::new(&folder).join(name)));
        for protocol in ["rtmp", "rtmpe", "rtmpt", "rtmpte"] {
            let (what, file) = (format!("{name}, {protocol}"), stage.folder.join("curl.flv"));
            let mut command = need!(program.command(Library::Ours));
            command.arg(&libcurl).arg(server.url(protocol, "vod/film")).arg(&file);
            let said = Client::start(command, Library::Ours).finish().expect(&what);
            assert!(said.contains(tls) && said.contains("\n0: "), "{what}: {said}");
            stage.assert_whole(&file, &what);
        }
    }
}
