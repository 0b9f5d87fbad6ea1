//! The bytes of both libraries on the wire, as dissected by tshark: every message dissects, and the commands
//! with their fields, the control messages, the media, their chunk streams, message streams and times are the
//! same.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::cases::{COMMANDS, Case, MESSAGES};
use crate::support::capture::{Capture, Connection, Dissected, Finished};
use crate::support::examples::{Client, ExampleServer};
use crate::support::servers::{self, Nginx};
use crate::support::stage::Stage;
use crate::support::{Library, Program, Server, wait_until};

const LIMIT: Duration = Duration::from_secs(40);
const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// Runs a client with both libraries, one after the other, and compares the messages in both directions.
///
/// `run` gets the address of the capture instead of this machine's.
fn compare(port: u16, run: impl Fn(Library, &str) -> Option<()>) -> Option<()> {
    let capture = Capture::start()?;
    let address = capture.address;
    for library in BOTH {
        run(library, &address.to_string())?;
    }
    let finished = capture.finish();
    assert_eq!(finished.complaints("tcp"), "");
    let connections = finished.connections(&BTreeSet::from([port]));
    connections.iter().flat_map(|connection| &connection.messages).for_each(assert_known);
    let [original, ours] = connections.as_slice() else {
        panic!("two connections expected: {connections:#?}");
    };
    let show = |connection: &Connection, from_client: bool| -> Vec<String> {
        let said = said(connection, from_client);
        said.iter().map(|message| message.content(address, port)).collect()
    };
    for from_client in [true, false] {
        let (expected, found) = (show(original, from_client), show(ours, from_client));
        for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(expected, found, "message {number}, from the client: {from_client}");
        }
        assert_eq!(expected.len(), found.len(), "the number of messages, from the client: {from_client}");
        assert!(found.len() >= 5, "{found:?}");
    }
    Some(())
}

/// One side's messages. Messages that the server sends after the client's goodbye may or may not arrive, and
/// acknowledgements depend on the time of reading.
fn said(connection: &Connection, from_client: bool) -> Vec<&Dissected> {
    let goodbye = ["AMF0 Command deleteStream()", "AMF0 Command FCUnpublish("];
    let end = connection.messages.iter().position(|message| {
        message.from_client && goodbye.iter().any(|start| message.title.starts_with(start))
    });
    let all = connection.messages.iter().enumerate();
    all.filter(|(at, message)| {
        message.from_client == from_client
            && (from_client || end.is_none_or(|end| *at < end))
            && !message.title.starts_with("Acknowledgement")
    })
    .map(|(_, message)| message)
    .collect()
}

/// A message of an unknown type means that the dissector has lost its position between the chunks.
fn assert_known(message: &Dissected) {
    assert!(!message.title.starts_with("Unknown ("), "{message:?}");
}

fn rtmpdump(library: Library, arguments: &[&str]) -> Option<()> {
    let run = Client::installed("rtmpdump", library, arguments)?.finish();
    // 2: the film has no length, or was not received to its end.
    assert!(matches!(run.code, Some(0 | 2)), "rtmpdump {arguments:?} on {library:?}: {run:?}");
    Some(())
}

#[test]
fn rtmpdump_plays_a_file_from_nginx() {
    let stage = need!(Stage::set());
    let nginx = need!(Nginx::start());
    nginx.offer(&stage.clip, "film.flv");
    need!(compare(nginx.port, |library, host| {
        let url = format!("rtmp://{host}:{}/vod/film", nginx.port);
        let file = stage.folder.join("received.flv");
        rtmpdump(library, &["-q", "-r", &url, "-o", &file.to_string_lossy(), "-m", "10"])
    }));
}

#[test]
fn rtmpdump_sends_the_values_of_its_options() {
    let stage = need!(Stage::set());
    let server = need!(ExampleServer::start_for_all(Library::Ours, stage.folder.path()));
    need!(compare(server.port(), |library, host| {
        let url = format!("rtmp://{host}:{}/vod/film", server.port());
        let file = stage.folder.join("received.flv");
        let mut arguments =
            vec!["-q", "-r", &url, "-m", "10", "-A", "1", "-p", "http://h/p", "-s", "http://h/a.swf"];
        arguments.extend(["-f", "WIN 10,0", "-C", "S:text", "-C", "O:1", "-C", "NN:number:2.5", "-C", "O:0"]);
        let file = file.to_string_lossy();
        arguments.extend(["-o", &file]);
        rtmpdump(library, &arguments)
    }));
}

#[test]
fn examples_publish_to_nginx() {
    let stage = need!(Stage::set());
    let nginx = need!(Nginx::start());
    let publish = &|example: &str| {
        compare(nginx.port, |library, host| {
            let url = format!("rtmp://{host}:{}/record/{example}", nginx.port);
            let clip = stage.clip.to_string_lossy();
            let run = Client::example(example, library, &["-q", "-t", "10", &clip, &url])?.finish();
            run.expect(&format!("{example} on {library:?}"));
            Some(())
        })
    };
    need!(Program::example("publish"));
    thread::scope(|scope| {
        for example in ["publish", "publish_packets"] {
            scope.spawn(move || publish(example));
        }
    });
}

#[test]
fn rtmpdump_plays_a_live_stream() {
    let stage = need!(Stage::set());
    let nginx = need!(Nginx::start());
    // The publisher talks on another address, which is not captured.
    let long = need!(long_film(&stage.clip, stage.folder.path()));
    let publisher = need!(servers::publish_with_ffmpeg(&long, &nginx.url("live", "show")));
    let capture = need!(Capture::start());
    let address = capture.address;
    for library in BOTH {
        let url = format!("rtmp://{address}:{}/live/show", nginx.port);
        let file = stage.folder.join("received.flv");
        let arguments = ["-q", "-v", "-r", &url, "-o", &file.to_string_lossy(), "-m", "10"];
        let mut player = need!(Client::installed("rtmpdump", library, &arguments));
        let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
        let plays = wait_until(LIMIT, || size() > 20_000 || player.running.ended().is_some());
        player.running.signal("INT");
        let run = player.finish();
        assert!(plays && !run.timed_out, "rtmpdump on {library:?}: {run:?}");
        let _ = std::fs::remove_file(&file);
    }
    drop(publisher);
    let finished = capture.finish();
    assert_eq!(finished.complaints("tcp"), "");
    let connections = finished.connections(&BTreeSet::from([nginx.port]));
    connections.iter().flat_map(|connection| &connection.messages).for_each(assert_known);
    let [original, ours] = connections.as_slice() else {
        panic!("two connections expected: {connections:#?}");
    };
    // Which frames a player sees first depends on when it comes.
    let show = |connection: &Connection, from_client: bool| -> Vec<String> {
        let said = said(connection, from_client).into_iter().filter(|message| !message.is_media());
        said.map(|message| message.content(address, nginx.port)).collect()
    };
    assert_eq!(show(original, true), show(ours, true));
    assert!(show(ours, true).iter().any(|message| message.starts_with("AMF0 Command FCSubscribe(")));
    let titles = |connection: &Connection| -> Vec<String> {
        let all = show(connection, false);
        all.iter().map(|message| message.lines().next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(titles(original), titles(ours));
}

/// The film over and over, for streams that have to continue for as long as a test takes.
fn long_film(clip: &Path, folder: &Path) -> Option<std::path::PathBuf> {
    let file = folder.join("long.flv");
    let (from, to) = (clip.to_string_lossy(), file.to_string_lossy());
    let ffmpeg = crate::support::require::program("ffmpeg")?;
    let arguments = ["-loglevel", "error", "-y", "-stream_loop", "20", "-i", &from, "-c", "copy", &to];
    crate::support::process::output(ffmpeg, &arguments, LIMIT);
    Some(file)
}

/// Every session of `compare` against the scripted server.
#[test]
fn every_message_of_a_session_dissects() {
    need!(Program::test("session_driver"));
    let captures = [need!(Capture::start()), need!(Capture::start())];
    let sessions: Option<Vec<Vec<Session>>> = thread::scope(|scope| {
        let both = BOTH.iter().zip(&captures);
        let threads: Vec<_> =
            both.map(|(library, capture)| scope.spawn(|| run_sessions(*library, capture))).collect();
        threads.into_iter().map(|thread| thread.join().expect("both libraries run all sessions")).collect()
    });
    let sessions = need!(sessions);
    let shown: Vec<Vec<Vec<String>>> = captures
        .into_iter()
        .zip(&sessions)
        .map(|(capture, sessions)| {
            let address = capture.address;
            dissect(&capture.finish(), address, sessions)
        })
        .collect();
    let [original, ours] = shown.as_slice() else { unreachable!("there are two libraries") };
    for (number, session) in sessions[0].iter().enumerate() {
        for (expected, found) in original[number].iter().zip(&ours[number]) {
            assert_eq!(expected, found, "{}", session.name);
        }
        assert_eq!(original[number].len(), ours[number].len(), "{}", session.name);
    }
}

/// A session that has ended.
struct Session {
    name: &'static str,
    /// The server's.
    port: u16,
    /// The number of the server's messages.
    messages: usize,
}

fn run_sessions(library: Library, capture: &Capture) -> Option<Vec<Session>> {
    let cases: Vec<&'static Case> = COMMANDS.iter().chain(MESSAGES).collect();
    let threads: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let address = capture.address;
            thread::spawn(move || {
                let script = case.server;
                let server = Server::listen_on(address, move |listener| {
                    let mut peer = crate::support::Peer::accept(listener);
                    script(&mut peer);
                    peer.drain(LIMIT);
                    peer.messages.len()
                });
                let port = server.port;
                let steps = case.steps.replace("127.0.0.1:PORT", &format!("{address}:{port}"));
                let run = Program::test("session_driver")?.run(library, &[], &steps, LIMIT)?;
                run.expect(case.name);
                Some(Session { name: case.name, port, messages: server.join() })
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("see above")).collect()
}

/// The clients' messages, session by session.
fn dissect(finished: &Finished, address: std::net::Ipv4Addr, sessions: &[Session]) -> Vec<Vec<String>> {
    // Some scripts send malformed messages on purpose.
    assert_eq!(finished.complaints(&format!("ip.dst == {address}")), "");
    let ports = sessions.iter().map(|session| session.port).collect();
    let connections = finished.connections(&ports);
    sessions
        .iter()
        .map(|session| {
            let connection = connections.iter().find(|connection| connection.server_port == session.port);
            let said = connection.iter().flat_map(|connection| &connection.messages);
            let said: Vec<String> = said
                .filter(|message| message.from_client && !message.title.starts_with("Handshake"))
                .inspect(|message| assert_known(message))
                .map(|message| message.content(address, session.port))
                .collect();
            assert_eq!(said.len(), session.messages, "{}: tshark sees all messages\n{said:#?}", session.name);
            said
        })
        .collect()
}
