//! Unmodified programs with servers whose behaviour is not in the matrix, on both libraries.
#![forbid(unsafe_code)]

use std::path::Path;

use crate::support::amf::{self, Value};
use crate::support::certs::{Authority, Valid};
use crate::support::examples::{Client, LIMIT};
use crate::support::flv::{self, Tag};
use crate::support::front::Front;
use crate::support::program::{self, Run};
use crate::support::wire::Message;
use crate::support::{Library, Server, TempDir, clip, require};

const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// A server that plays a film from the key frame asked for, with times from 0, as Flash Media Server does.
fn film_server(film: Vec<Tag>) -> Server<()> {
    Server::once(move |peer| {
        peer.accept_connect();
        peer.accept_create();
        let play = peer.wait_for("play");
        let start = play.get(4).and_then(Value::number).unwrap_or(0.0) as u32;
        peer.status(1, "status", "NetStream.Play.Start", "");
        peer.set_chunk_size(4096);
        for tag in film.iter().filter(|tag| tag.kind == 0x12) {
            peer.send(&Message::new(5, 0, tag.kind, 1, &tag.body));
        }
        let first = film.iter().position(|tag| tag.is_key_frame() && tag.timestamp >= start).unwrap_or(0);
        let first = if start == 0 { 0 } else { first };
        for tag in film[first..].iter().filter(|tag| tag.kind != 0x12) {
            let time = tag.timestamp.saturating_sub(start);
            peer.send(&Message::new(6, time, tag.kind, 1, &tag.body));
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    })
}

#[test]
fn rtmpdump_resumes_a_download() {
    let film = flv::readable(&flv::load(&need!(clip::flv())));
    let directory = TempDir::new("rtmpdump-resume");
    let download = |library, file: &Path, option: &str| -> Option<Run> {
        let server = film_server(film.clone());
        let url = format!("rtmp://127.0.0.1:{}/app/film", server.port);
        let arguments = ["-r", &url, "-m", "10", option, "-o", &file.to_string_lossy()];
        let run = Client::installed("rtmpdump", library, &arguments)?.finish();
        server.join();
        Some(run)
    };
    let mut codes = Vec::new();
    for library in BOTH {
        let file = directory.join(format!("{library:?}.flv"));
        need!(download(library, &file, "--verbose"));
        flv::assert_equal(&film, &flv::load(&file), &format!("rtmpdump on {library:?}, whole file"));
        flv::cut_in_half(&file);
        let run = need!(download(library, &file, "--resume"));
        assert!(run.stderr.contains("Resuming download"), "{library:?}: {}", run.stderr);
        let what = format!("rtmpdump --resume on {library:?}");
        flv::assert_equal(&flv::media(&film), &flv::media(&flv::load(&file)), &what);
        codes.push(run.code);
    }
    assert_eq!(codes[0], codes[1]);
}

/// Other messages from the server when a stream starts are not for curl: it continues to wait for a
/// publisher, as long as it was told to.
#[test]
fn curl_waits_for_a_stream_that_has_not_started() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost", Valid::Now);
    let cells = [false, true].into_iter().flat_map(|tls| BOTH.map(|library| (tls, library)));
    let clients: Vec<_> = cells
        .map(|(tls, library)| {
            let server = Server::once(move |peer| {
                peer.accept_connect();
                peer.accept_create();
                peer.wait_for("play");
                let status = amf::status("status", "NetStream.Play.Start", "");
                let start = Message::invoke(3, 1, &[amf::s("onStatus"), amf::n(0), Value::Null, status]);
                let begin = Message::new(2, 0, 4, 0, &[0, 0, 0, 0, 0, 1]);
                let access =
                    amf::encode(&[amf::s("|RtmpSampleAccess"), Value::Bool(false), Value::Bool(false)]);
                let access = Message::new(6, 0, 0x12, 1, &access);
                // In one piece: what comes later wakes curl up.
                peer.send_raw(&[start, begin, access].map(|message| message.chunks(128)).concat());
                peer.drain(LIMIT);
            });
            let front = if tls { Some(Front::nginx(&certificate, "TLSv1.2", server.port)?) } else { None };
            let url = match &front {
                Some(front) => front.url("live", "film"),
                None => format!("rtmp://127.0.0.1:{}/live/film", server.port),
            };
            let mut command = program::on_library(&require::program("curl")?, library)?;
            command.args(["--silent", "--show-error", "--max-time", "3", "-o", "/dev/null", &url]);
            command.env("SSL_CERT_FILE", authority.certificate());
            Some((url, library, Client::start(command, library), server, front))
        })
        .collect();
    for client in clients {
        let (url, library, client, server, _front) = need!(client);
        let run = client.finish();
        server.join();
        assert_eq!(run.code, Some(28), "{url} on {library:?}: {run:?}");
    }
}
