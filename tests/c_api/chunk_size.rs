//! A chunk size that a program sets before it connects: it is announced to the peer over every transport, and
//! real servers record streams with it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use crate::support::servers::{self, Nginx};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server, TempDir, clip, flv, process, wait_until};
use crate::ways::{Credentials, Way};

const LIMIT: Duration = Duration::from_secs(60);
/// Set Chunk Size of 4096.
const ANNOUNCEMENT: (u8, &[u8]) = (1, &[0, 0, 16, 0]);

/// Runs steps of the session driver on ours against a script for each connection; the messages of each, and what the
/// driver printed.
fn run(steps: &str, scripts: Vec<fn(&mut Peer)>) -> Option<(Vec<Vec<Message>>, String)> {
    let driver = Program::test("session_driver")?;
    let server = Server::listen(move |listener| {
        let serve = |script: &fn(&mut Peer)| {
            let mut peer = Peer::accept(listener);
            script(&mut peer);
            peer.drain(LIMIT);
            assert!(peer.violations().is_empty(), "{:?}", peer.violations());
            std::mem::take(&mut peer.messages)
        };
        scripts.iter().map(serve).collect()
    });
    let run = driver.run(Library::Ours, &["2"], &steps.replace("PORT", &server.port.to_string()), LIMIT)?;
    let text = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(0), "{text}");
    Some((server.join(), text))
}

fn publishing(peer: &mut Peer) {
    peer.accept_publish();
}

fn is_announced(message: &Message) -> bool {
    (message.kind, &message.body[..]) == ANNOUNCEMENT
}

/// The announcement comes first, then `connect`, and a long message arrives whole.
fn assert_announced(messages: &[Message], what: &str) {
    assert!(messages.first().is_some_and(is_announced), "{what}: {messages:?}");
    assert_eq!(messages.get(1).and_then(Message::command).as_deref(), Some("connect"), "{what}");
    assert_eq!(messages.iter().filter(|message| is_announced(message)).count(), 1, "{what}");
    assert!(messages.iter().any(|message| message.kind == 9 && message.body.len() == 5000), "{what}");
}

#[test]
fn a_chunk_size_set_before_connecting_is_announced_first_on_every_way() {
    let driver = need!(Program::test("session_driver"));
    let credentials = need!(Credentials::new());
    for way in
        [Way::PLAIN, Way::TUNNELLED, Way::ENCRYPTED, Way::ENCRYPTED_TUNNELLED, Way::TLS, Way::TLS_TUNNELLED]
    {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            let mut peer = way.dress(Peer::accept(listener), Some(&tls));
            peer.accept_publish();
            peer.drain(LIMIT);
            std::mem::take(&mut peer.messages)
        });
        let steps = format!(
            "setup {way}://127.0.0.1:{}/application/stream tlsCA={}\nset timeout 5\nset outChunkSize 4096\n\
             enablewrite\nconnect\nstream 0\ntag 9 40 5000\nclose\n",
            server.port,
            credentials.authority.certificate().display()
        );
        let run = need!(driver.run(Library::Ours, &[], &steps, LIMIT));
        let output = run.expect("session_driver");
        assert_announced(&server.join(), &format!("{way}: {output}"));
    }
}

#[test]
fn requested_chunk_size_is_kept_for_the_next_connection() {
    let steps = "setup rtmp://127.0.0.1:PORT/application/stream\nset timeout 5\nset outChunkSize 4096\nenablewrite\n\
                 connect\nenablewrite\nconnect\nstream 0\ntag 9 40 5000\nclose\n\
                 setup rtmp://127.0.0.1:PORT/application/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                 tag 9 40 5000\nclose\nconnectwith PORT\nclose\n";
    let unfinished = |peer: &mut Peer| {
        peer.read_exact(1537);
        peer.finish();
    };
    let with_a_packet = |peer: &mut Peer| {
        peer.handshake();
        peer.wait_for("connect");
    };
    let (connections, output) = need!(run(steps, vec![unfinished, publishing, publishing, with_a_packet]));
    assert_announced(&connections[1], &format!("after a failure: {output}"));
    assert_announced(&connections[2], &format!("after closing: {output}"));
    assert!(is_announced(&connections[3][0]), "Connect0 and Connect1: {output}");
    assert_eq!(connections[3].len(), 2, "{output}");
}

#[test]
fn invalid_chunk_sizes_are_ignored() {
    for (size, warned) in [(-1, true), (0x100_0000, true), (0, false), (128, false)] {
        let steps = format!(
            "setup rtmp://127.0.0.1:PORT/application/stream\nset timeout 5\nset outChunkSize {size}\nenablewrite\n\
             connect\nstream 0\ntag 9 40 5000\nclose\n"
        );
        let (connections, output) = need!(run(&steps, vec![publishing]));
        assert!(connections[0].iter().all(|message| message.kind != 1), "{size}: {output}");
        assert!(connections[0].iter().any(|message| message.body.len() == 5000), "{size}: {output}");
        assert_eq!(output.contains("WARNING: ignoring m_outChunkSize"), warned, "{size}: {output}");
        assert!(size == 128 || output.contains("outChunkSize=128"), "{size}: {output}");
    }
}

#[test]
fn a_struct_of_zeros_keeps_its_chunk_size() {
    let program = need!(Program::test("chunk_size"));
    let server = Server::once(|peer| {
        peer.handshake();
        peer.wait_for("connect");
        peer.drain(LIMIT);
        std::mem::take(&mut peer.messages)
    });
    let url = format!("rtmp://127.0.0.1:{}/application/stream timeout=5", server.port);
    let run = need!(program.run(Library::Ours, &["zeros", &url, "4096"], "", LIMIT));
    assert_eq!(run.expect("chunk_size"), "1 4096\n");
    let messages = server.join();
    assert!(is_announced(&messages[0]), "{messages:?}");
}

#[test]
fn server_announces_its_chunk_size_after_the_handshake() {
    let program = need!(Program::test("chunk_size"));
    let mut command = need!(program.command(Library::Ours));
    let mut server = command.args(["serve", "4096"]).stdout(Stdio::piped()).spawn().expect("it was compiled");
    let mut port = String::new();
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut port).expect("it prints its port");
    let mut client =
        TcpStream::connect(("127.0.0.1", port.trim().parse().expect("a port"))).expect("it listens");
    client.set_read_timeout(Some(LIMIT)).expect("sockets have time-outs");
    client.write_all(&[&[3][..], &[0; 1536]].concat()).expect("it reads");
    let mut blocks = [0; 3073];
    client.read_exact(&mut blocks).expect("it answers");
    client.write_all(&blocks[1..1537]).expect("it reads");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("it closes");
    assert!(server.wait().expect("it ends").success());
    // Set Chunk Size; then a message of 5000 bytes in two chunks.
    assert_eq!(&rest[..16], [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0]);
    let second = 16 + 12 + 4096;
    assert_eq!((rest.len(), rest[second]), (second + 1 + 904, 0xc4), "{} bytes", rest.len());
}

#[test]
fn real_servers_record_streams_with_a_requested_chunk_size() {
    let clip = need!(clip::flv());
    let film = flv::readable(&flv::load(&clip));
    let program = need!(Program::test("chunk_size"));
    let frames =
        |tags: &[flv::Tag]| tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
    let publish = |url: &str, size: &str| {
        let run = program.run(Library::Ours, &["publish", url, &clip.to_string_lossy(), size], "", LIMIT);
        run.map(|run| run.expect("chunk_size"))
    };

    let nginx = need!(Nginx::start());
    // No size below 128: nginx-rtmp stops reading when such an announcement and the next message arrive
    // together.
    for (done, size) in ["4096", "60000"].into_iter().enumerate() {
        need!(publish(&nginx.url("record", size), size));
        nginx.wait_for_disconnects(1 + done);
        let recording = nginx.recording(size);
        let found = flv::readable(&flv::load(&recording));
        let received = flv::assert_contiguous(&film, &found, &format!("{size} to nginx"));
        assert_eq!(received, frames(&film), "{size} to nginx");
    }

    let directory = TempDir::new("chunk-size");
    for size in ["4096", "64"] {
        let file = directory.join(format!("{size}.flv"));
        let port = process::free_port();
        let mut ffmpeg = need!(servers::ffmpeg_listening(port, &file));
        need!(publish(&format!("rtmp://127.0.0.1:{port}/live/stream"), size));
        // ffmpeg ends with the stream; some versions report that as an error.
        assert!(ffmpeg.wait(LIMIT).is_some(), "ffmpeg did not end: {}", ffmpeg.stderr());
        wait_until(Duration::from_secs(5), || fs::metadata(&file).is_ok());
        let received =
            flv::assert_contiguous(&film, &flv::readable(&flv::load(&file)), &format!("{size} to ffmpeg"));
        assert!(received > 100, "{size}: only {received} frames arrived");
    }
}
