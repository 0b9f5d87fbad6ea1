//! Files that are published with `RTMP_Write` in pieces: all messages arrive, wherever the file is split and
//! whether or not the program checks the result.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::certs::{Authority, Valid};
use crate::support::examples::{ExampleServer, LIMIT};
use crate::support::flv::{self, Tag};
use crate::support::{
    Library, Peer, Program, Server, TempDir, clip, foreign, library, program, require, wait_until,
};
use rtmp_core::Client;

/// Accepts a published stream.
fn server() -> Server<Vec<Tag>> {
    Server::once(|peer| {
        peer.accept_publish();
        peer.drain(LIMIT);
        published(peer)
    })
}

/// The messages of the stream, as tags. Metadata has to be marked exactly once.
fn published(peer: &Peer) -> Vec<Tag> {
    let media = peer.messages.iter().filter(|message| [8, 9, 0x0F, 0x12].contains(&message.kind));
    media
        .map(|message| {
            let unmarked = message.body.strip_prefix(b"\x02\0\x0D@setDataFrame").unwrap_or(&message.body);
            let is_metadata = unmarked.starts_with(b"\x02\0\x0AonMetaData") && message.kind == 0x12;
            assert_eq!(is_metadata, unmarked.len() < message.body.len(), "{message:?}");
            Tag { kind: message.kind, timestamp: message.timestamp, body: unmarked.to_vec() }
        })
        .collect()
}

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/app/film")
}

/// A film with script data of other kinds between its frames, and its tags.
fn film(directory: &TempDir) -> Option<(PathBuf, Vec<Tag>)> {
    let mut tags = flv::load(&clip::flv()?);
    let script = |kind, body: &[u8]| Tag { kind, timestamp: 40, body: body.to_vec() };
    tags.insert(2, script(0x12, b"\x02\0\x0AonCuePoint\x05"));
    tags.insert(4, script(0x12, b"\x02\0\x0AonTextData\x05"));
    tags.insert(6, script(0x0F, b"\0\x02\0\x0AonMetaData\x05"));
    tags.insert(8, script(0x12, b"?"));
    let mut bytes = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for Tag { kind, timestamp, body } in &tags {
        let ([_, length @ ..], [high, low @ ..]) =
            ((body.len() as u32).to_be_bytes(), timestamp.to_be_bytes());
        bytes.push(*kind);
        bytes.extend([&length[..], &low, &[high, 0, 0, 0], body].concat());
        bytes.extend((body.len() as u32 + 11).to_be_bytes());
    }
    let file = directory.join("film.flv");
    fs::write(&file, bytes).expect("the build directory is writable");
    assert_eq!(flv::load(&file), tags);
    Some((file, tags))
}

/// Runs `tests/c/pieces.c`.
fn write_in_pieces(url: &str, file: &Path, caller: &str, sizes: &[&str]) -> Option<()> {
    let file = file.to_string_lossy();
    let arguments = [&[url, &file, caller], sizes].concat();
    let run = Program::test("pieces")?.run(Library::Ours, &arguments, "", LIMIT)?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{caller} {sizes:?}: {run:?}");
    Some(())
}

const SIZES: [&[&str]; 7] =
    [&["1"], &["7"], &["11"], &["15", "1", "3"], &["1000", "13", "2"], &["65536"], &["99999999"]];

#[test]
fn programs_may_ignore_or_follow_the_count() {
    if library::ours_is_original() {
        return;
    }
    let directory = TempDir::new("pieces");
    let (file, film) = need!(film(&directory));
    for caller in ["ignore", "follow"] {
        for sizes in SIZES {
            let server = server();
            need!(write_in_pieces(&url(server.port), &file, caller, sizes));
            flv::assert_equal(&film, &server.join(), &format!("{caller} {sizes:?}"));
        }
    }
}

#[test]
fn pieces_may_pass_tls_and_http() {
    if library::ours_is_original() {
        return;
    }
    let directory = TempDir::new("pieces-recorded");
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
    let (file, film) = need!(film(&directory));
    let film = flv::media(&film);
    for protocol in ["rtmps", "rtmpt", "rtmpe", "rtmpts"] {
        for (caller, sizes) in [("ignore", ["7", "65536"]), ("follow", ["1000", "3"])] {
            let records = TempDir::new(&format!("pieces-{protocol}-{caller}"));
            let folder = records.path().to_string_lossy().into_owned();
            let server = ExampleServer::start_with(
                Library::Ours,
                directory.path(),
                Some(&certificate),
                &["-r", &folder],
                &[],
            );
            let server = need!(server);
            let path = format!("live/film tlsCA={}", authority.certificate().display());
            need!(write_in_pieces(&server.url(protocol, &path), &file, caller, &sizes));
            server.wait_for_log("gone");
            let recorded = || -> Option<Vec<Tag>> {
                let mut files = fs::read_dir(records.path()).ok()?.filter_map(Result::ok);
                flv::parse(&fs::read(files.next()?.path()).ok()?).ok()
            };
            assert!(wait_until(Duration::from_secs(5), || recorded().is_some()), "{protocol} {caller}");
            let found: Vec<Tag> = recorded().expect("it was just there");
            let found: Vec<Tag> = found.into_iter().filter(|tag| [8, 9].contains(&tag.kind)).collect();
            let sent: Vec<Tag> = film.iter().filter(|tag| [8, 9].contains(&tag.kind)).cloned().collect();
            flv::assert_equal(&sent, &found, &format!("{protocol} {caller}"));
        }
    }
}

/// python-librtmp with the usual function for copying files in Python, which ignores the count.
#[test]
fn python_copies_a_file() {
    const PROGRAM: &str = "
import librtmp, shutil, sys
url, film, length = sys.argv[1:]
connection = librtmp.RTMP(url, timeout=20)
connection.connect()
stream = connection.create_stream(writeable=True)
with open(film, 'rb') as file:
    shutil.copyfileobj(file, stream, int(length))
stream.close()
";
    if library::ours_is_original() {
        return;
    }
    let directory = TempDir::new("python-pieces");
    let (file, film) = need!(film(&directory));
    let debians = PathBuf::from("/usr/lib/python3/dist-packages");
    need!(require::file(&debians.join("librtmp")));
    let pythons = [
        (need!(require::file(Path::new("/usr/bin/python3"))), debians),
        (need!(require::program("python3")), need!(foreign::tool("python"))),
    ];
    for (python, modules) in pythons {
        for length in ["5", "1000", "65536"] {
            let server = server();
            let mut command: Command = need!(program::on_library(&python, Library::Ours));
            command
                .env("PYTHONPATH", &modules)
                .args(["-c", PROGRAM, &url(server.port)])
                .arg(&file)
                .arg(length);
            program::run(&mut command, "", LIMIT).expect(length);
            flv::assert_equal(&film, &server.join(), &format!("{} {length}", modules.display()));
        }
    }
}

#[test]
fn rust_publisher_accepts_copies_and_pieces() {
    let directory = TempDir::new("rust-pieces");
    let (file, film) = need!(film(&directory));
    let bytes = fs::read(&file).expect("it was just written");
    let copied = server();
    let mut publisher = Client::new(&url(copied.port)).unwrap().publish().unwrap();
    io::copy(&mut fs::File::open(&file).unwrap(), &mut publisher).unwrap();
    drop(publisher);
    flv::assert_equal(&film, &copied.join(), "io::copy");
    for len in [1, 13, 4096] {
        let server = server();
        let mut publisher = Client::new(&url(server.port)).unwrap().publish().unwrap();
        for piece in bytes.chunks(len) {
            assert_eq!(publisher.write(piece).unwrap(), piece.len());
        }
        drop(publisher);
        flv::assert_equal(&film, &server.join(), &format!("pieces of {len}"));
    }
}

/// More than a connection buffers: calls send a part of their bytes and wait for the server, which is slower.
#[test]
fn sends_that_wait_lose_nothing_between_pieces() {
    if library::ours_is_original() {
        return;
    }
    let directory = TempDir::new("slow-pieces");
    let (file, film) = need!(film(&directory));
    let whole = fs::read(&file).expect("it was just written");
    // Several times what socket buffers hold.
    let many = directory.join("many.flv");
    let copies = 1 + (12 << 20) / whole.len();
    fs::write(&many, [&whole[..13], &whole[13..].repeat(copies)].concat())
        .expect("the directory is writable");
    let film = vec![film; copies].concat();
    for caller in ["ignore", "follow"] {
        let server = Server::once(|peer| {
            peer.accept_publish();
            peer.drain(LIMIT);
            published(peer)
        });
        need!(write_in_pieces(&url(server.port), &many, caller, &["65536", "10", "4096"]));
        flv::assert_equal(&film, &server.join(), caller);
    }
}
