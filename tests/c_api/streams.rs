//! Several streams over one connection.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rtmp_core::{Request, ServerEvent};

use crate::support::amf::{n, s};
use crate::support::examples::{Client, ExampleServer};
use crate::support::flv::{self, Tag};
use crate::support::servers::Nginx;
use crate::support::{Library, Program, Server, TempDir, clip, library};

const LIMIT: Duration = Duration::from_secs(120);

/// A server that accepts all streams; returns the messages of each by name.
fn server() -> (u16, thread::JoinHandle<BTreeMap<String, Vec<Tag>>>) {
    let server = rtmp_core::Server::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = server.local_addr().expect("it listens").port();
    let serving = thread::spawn(move || {
        let mut session = server.accept().expect("a client comes");
        let (mut names, mut streams) = (BTreeMap::new(), BTreeMap::<String, Vec<Tag>>::new());
        while let Some(event) = session.next_event().expect("the client keeps to the protocol") {
            match event {
                ServerEvent::Request(request) => {
                    if let Request::Publish { stream_id, name, .. } = request {
                        let name = String::from_utf8(name).expect("names are text");
                        streams.insert(name.clone(), Vec::new());
                        assert!(names.insert(stream_id, name).is_none(), "two streams with one number");
                    }
                    session.accept().expect("the client is there");
                }
                ServerEvent::Message(message) => {
                    let name = &names[&message.stream_id];
                    let body = message.body;
                    let tag = Tag { kind: message.kind.0, timestamp: message.timestamp, body };
                    streams.get_mut(name).expect("it was begun").push(tag);
                }
                ServerEvent::StreamClosed { stream_id } => {
                    names.remove(&stream_id).expect("it was begun");
                }
                _ => {}
            }
        }
        assert!(names.is_empty(), "{names:?} did not end");
        streams
    });
    (port, serving)
}

#[test]
fn eight_streams_go_over_one_connection_each_as_it_was_written() {
    let clip = need!(clip::flv());
    let film = flv::readable(&flv::load(&clip));
    let program = need!(Program::test_of_ours("streams"));
    let names = ["b", "c", "d", "e", "f", "g", "h"];
    let ways = library::both_ways().iter();
    for ((count, again), library) in
        ways.flat_map(|library| [(0, false), (1, true), (7, true)].map(|row| (row, *library)))
    {
        let (port, serving) = server();
        let url = format!("rtmp://127.0.0.1:{port}/live/a timeout=60");
        let file = clip.to_string_lossy();
        let arguments: Vec<&str> =
            [&url[..], &file].into_iter().chain(names[..count].iter().copied()).collect();
        let mut command = need!(program.command(library));
        if again {
            command.env("AGAIN", "1");
        }
        let output = command.args(&arguments).output().expect("it was compiled");
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        let streams = serving.join().expect("the server ends");
        assert_eq!(streams.len(), count + 1, "{complaints}");
        for (name, tags) in streams {
            flv::assert_equal(&flv::media(&film), &flv::media(&flv::readable(&tags)), &name);
        }
    }
}

#[test]
fn refused_stream_does_not_affect_the_others() {
    let program = need!(Program::test_of_ours("streams"));
    let directory = TempDir::new("streams");
    let file = directory.join("short.flv");
    fs::write(&file, b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x06\0\0\0\0\0\0\0\x17\x01\0\0\0\x01\0\0\0\x11")
        .expect("the directory is writable");
    for library in library::both_ways() {
        refuses_one_stream(&program, *library, &file);
    }
}

/// A server that refuses a stream and lets the next one be published.
fn refuses_one_stream(program: &Program, library: Library, file: &Path) {
    let server = Server::once(|peer| {
        peer.accept_publish();
        for (stream, code) in [(2, "NetStream.Publish.BadName"), (3, "NetStream.Publish.Start")] {
            let create = peer.wait_for("createStream");
            let transaction = create[1].number().expect("a command has a number");
            peer.result(transaction, &[crate::support::amf::Value::Null, n(f64::from(stream))]);
            peer.wait_for("publish");
            let level = if stream == 2 { "error" } else { "status" };
            peer.status(stream, level, code, "as it is");
        }
        // A stream that gets no message stream.
        let create = peer.wait_for("createStream");
        let info = crate::support::amf::status("error", "NetConnection.Call.Failed", "no more");
        peer.invoke(0, &[s("_error"), create[1].clone(), crate::support::amf::Value::Null, info]);
        peer.drain(LIMIT);
        assert!(peer.violations().is_empty(), "{:?}", peer.violations());
        let videos = peer.messages.iter().filter(|message| message.kind == 9);
        videos.map(|message| message.message_stream).collect::<Vec<_>>()
    });
    let url = format!("{} timeout=60", server.url());
    let arguments = [&url[..], &file.to_string_lossy(), "refused", "wanted", "too-many"];
    let run = need!(program.run(library, &arguments, "", LIMIT));
    let output = run.expect("streams");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("refused: 12 publish: NetStream.Publish.BadName: as it is"), "{output}");
    assert!(lines[1].starts_with("too-many: 12 "), "{output}");
    let mut videos = server.join();
    videos.sort_unstable();
    assert_eq!(videos, [1, 3]);
}

/// A process that ends with the test, also when that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays three streams that come over one connection, each with its own player, and compares.
fn plays_each(
    publisher: &Program,
    url: &dyn Fn(&str) -> String,
    wait_for_players: &dyn Fn(&[&str]),
) -> Option<()> {
    let clip = clip::flv()?;
    let film = flv::readable(&flv::load(&clip));
    let directory = TempDir::new("streams");
    let names = ["one", "two", "three"];
    let mut command = publisher.command(Library::Ours)?;
    command.env("WAIT", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let arguments = [&format!("{} timeout=60", url("one")), &*clip.to_string_lossy(), "two", "three"];
    let mut publisher = Ended(command.args(arguments).spawn().expect("it was compiled"));
    let mut line = String::new();
    BufReader::new(publisher.0.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("it says something");
    assert_eq!(line, "ready\n");
    let files = names.map(|name| directory.join(name));
    let players: Vec<_> = names
        .iter()
        .zip(&files)
        .map(|(name, file)| {
            let url = format!("{} live=1", url(name));
            let arguments = ["-q", "-t", "60", "-o", &file.to_string_lossy(), &url];
            Client::example("receive", Library::Ours, &arguments)
        })
        .collect::<Option<_>>()?;
    wait_for_players(&names);
    publisher.0.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    assert!(publisher.0.wait().expect("it ends").success());
    for ((name, file), player) in names.iter().zip(&files).zip(players) {
        let run = player.finish();
        let tags = flv::readable(&flv::load(file));
        flv::assert_equal(&flv::media(&film), &flv::media(&tags), &format!("{name}: {run:?}"));
    }
    Some(())
}

#[test]
fn each_stream_of_a_connection_has_its_players_on_our_server() {
    let program = need!(Program::test_of_ours("streams"));
    let folder = TempDir::new("streams-server");
    let server = need!(ExampleServer::start(Library::Ours, folder.path()));
    need!(plays_each(&program, &|name| server.url("rtmp", &format!("live/{name}")), &|names| {
        names.iter().for_each(|name| server.wait_for_log(&format!("plays live/{name}")));
    }));
}

#[test]
fn server_with_one_stream_per_connection_refuses_the_second_and_records_the_first() {
    let clip = need!(clip::flv());
    let film = flv::readable(&flv::load(&clip));
    let program = need!(Program::test_of_ours("streams"));
    let nginx = need!(Nginx::start());
    let url = format!("{} timeout=60", nginx.url("record", "one"));
    let run = need!(program.run(Library::Ours, &[&url, &clip.to_string_lossy(), "two", "three"], "", LIMIT));
    let output = run.expect("streams");
    let refusals =
        output.lines().filter(|line| line.contains("the server has one stream for each connection"));
    assert_eq!(refusals.count(), 2, "{output}");
    nginx.wait_for_disconnects(1);
    let found = flv::readable(&flv::load(&nginx.recording("one")));
    let frames = |tags: &[Tag]| tags.iter().filter(|tag| tag.kind != 18 && !tag.is_sequence_header()).count();
    assert_eq!(flv::assert_contiguous(&film, &found, "to nginx"), frames(&film));
}
