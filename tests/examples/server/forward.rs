//! `--forward`: published streams at another server, too.

use std::process::Command;

use super::client::{Client, server};
use crate::support::examples::{ExampleServer, LIMIT};
use crate::support::process::free_port;
use crate::support::servers::Nginx;
use crate::support::{Library, Program, Running, TempDir, program, wait_until};

const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09";
const CONFIGURATION: [u8; 6] = [0x17, 0, 0, 0, 0, 1];
const SOUND_CONFIGURATION: [u8; 4] = [0xaf, 0, 0x12, 0x10];

fn key(number: u8) -> [u8; 6] {
    [0x17, 1, 0, 0, 0, number]
}

fn frame(number: u8) -> [u8; 6] {
    [0x27, 1, 0, 0, 0, number]
}

/// What every stream begins with here.
fn begin(publisher: &mut Client) {
    publisher.media(1, 18, 0, &[b"\x02\x00\x0d@setDataFrame", METADATA].concat());
    publisher.media(1, 9, 0, &CONFIGURATION);
    publisher.media(1, 8, 0, &SOUND_CONFIGURATION);
    publisher.media(1, 9, 0, &key(0));
    publisher.media(1, 9, 40, &frame(1));
}

/// A server on a given port.
fn target(port: u16, folder: &TempDir) -> Option<Running> {
    let mut command = Program::example("server")?.command(Library::Ours)?;
    command.args(["-p", &port.to_string(), "-v", "3", "-r"]).arg(folder.path());
    let mut process = Running::start(&mut command);
    let ready = wait_until(LIMIT, || process.stdout().contains("listening") || process.ended().is_some());
    assert!(ready && process.ended().is_none(), "{}", process.stderr());
    Some(process)
}

/// A player of the target, which waits for the stream.
fn player(port: u16) -> Client {
    let mut client = Client::connect_to(port, "app");
    let stream = client.create();
    client.play(stream, "x");
    client
}

fn forwarding(port: u16) -> Option<(ExampleServer, TempDir)> {
    server(Library::Ours, &["-f", &format!("rtmp://127.0.0.1:{port}/app"), "--stats", "1"])
}

#[test]
fn a_target_gets_metadata_configurations_and_a_key_frame_first() {
    let (port, folder) = (free_port(), TempDir::new("forward"));
    let _target = need!(target(port, &folder));
    let mut waiting = player(port);
    let (server, _folder) = need!(forwarding(port));
    let mut publisher = Client::publisher(&server, "live", "x");
    begin(&mut publisher);
    let expected = [METADATA, &CONFIGURATION, &SOUND_CONFIGURATION, &key(0), &frame(1)];
    assert_eq!(waiting.media_until(&frame(1)), expected);
    // A long message takes many chunks.
    let long = [&[0x27, 1, 0, 0, 0][..], &vec![5; 300_000]].concat();
    publisher.set_chunk_size(0xff_ffff);
    publisher.media(1, 9, 80, &long);
    assert_eq!(waiting.media_until(&long).len(), 1);
    let shown = wait_until(LIMIT, || server.printed().contains("stats: forward live/x to rtmp://127.0.0.1"));
    assert!(
        shown && server.printed().contains("stats: stream live/x: published, 1 players"),
        "{}",
        server.printed()
    );
    // The stream ends there when it ends here.
    publisher.command(1, "closeStream", &[]);
    waiting.wait_for_status(1, "NetStream.Play.UnpublishNotify");
    publisher.publish(1, "x");
    waiting.wait_for_status(1, "NetStream.Play.PublishNotify");
}

#[test]
fn a_target_that_is_down_gets_the_stream_when_it_comes() {
    let (port, folder) = (free_port(), TempDir::new("forward"));
    let (server, _folder) = need!(forwarding(port));
    let mut publisher = Client::publisher(&server, "live", "x");
    begin(&mut publisher);
    server.wait_for_log("next attempt in 2 seconds");
    let first = need!(target(port, &folder));
    server.wait_for_log("sending");
    let mut late = player(port);
    publisher.media(1, 9, 80, &frame(2));
    let expected = [METADATA, &CONFIGURATION, &SOUND_CONFIGURATION, &key(0), &frame(1), &frame(2)];
    assert_eq!(late.media_until(&frame(2)), expected);
    // It goes away, and comes back.
    drop((late, first));
    server.wait_for_log("closed the connection, next attempt in 1 seconds");
    publisher.media(1, 9, 120, &key(3));
    let _second = need!(target(port, &folder));
    let again = wait_until(LIMIT, || server.log().matches(": sending").count() == 2);
    assert!(again, "{}", server.log());
    let mut late = player(port);
    publisher.media(1, 9, 160, &frame(4));
    let expected = [METADATA, &CONFIGURATION, &SOUND_CONFIGURATION, &key(3), &frame(4)];
    assert_eq!(late.media_until(&frame(4)), expected);
}

#[test]
fn nginx_accepts_forwarded_streams() {
    let nginx = need!(Nginx::start());
    let url = nginx.url("record", "").trim_end_matches('/').to_owned();
    let (server, _folder) = need!(server(Library::Ours, &["-f", &format!("{url}?token=secret timeout=20")]));
    let mut publisher = Client::publisher(&server, "live", "x");
    begin(&mut publisher);
    server.wait_for_log("sending");
    publisher.media(1, 9, 80, &frame(2));
    publisher.assert_alive();
    drop(publisher);
    server.wait_for_log(": ends");
    nginx.wait_for_disconnects(1);
    let tags = crate::support::flv::load(&nginx.recording("x"));
    let bodies: Vec<&[u8]> = tags.iter().map(|tag| &tag.body[..]).filter(|body| body[0] != 2).collect();
    for body in [&CONFIGURATION[..], &SOUND_CONFIGURATION, &key(0), &frame(1), &frame(2)] {
        assert!(bodies.contains(&body), "{body:02x?} is missing: {bodies:02x?}");
    }
    assert!(!server.log().contains("secret"), "{}", server.log());
}

/// The target reads nothing for a while: other players continue.
#[test]
fn stalled_target_does_not_delay_players() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let (server, _folder) = need!(forwarding(listener.local_addr().expect("it is bound").port()));
    let mut player = Client::player(&server, "live", "x");
    let mut publisher = Client::publisher(&server, "live", "x");
    let _silent = listener.accept().expect("the server connects");
    for number in 0..100 {
        let sound = [0x2f, number];
        publisher.media(1, 8, u32::from(number), &sound);
        assert_eq!(player.media_until(&sound), [sound.to_vec()]);
    }
}

#[test]
fn invalid_forward_targets_are_refused() {
    for url in ["http://example/live", "rtmp://example/live bogus=1", "rtmp:///live", "rtmp:example"] {
        let mut command = need!(need!(Program::example("server")).command(Library::Ours));
        let run = program::run(command.args(["-p", "0", "-f", url]), "", LIMIT);
        assert_eq!(run.code, Some(2), "{url}: {}", run.stderr);
    }
    let mut command: Command = need!(need!(Program::example("server")).command(Library::Original));
    let run = program::run(command.args(["-p", "0", "-f", "rtmp://127.0.0.1/live"]), "", LIMIT);
    assert_eq!((run.code, run.stderr.contains("loop.h")), (Some(2), true), "{}", run.stderr);
}
