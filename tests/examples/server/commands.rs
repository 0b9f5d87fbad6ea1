//! Commands, each on its message stream.

use std::time::Duration;

use super::client::{Client, server};
use crate::support::Library;
use crate::support::amf::{self, Value, n, object, s};
use crate::support::peer::PATIENCE;
use crate::support::wire::Message;

/// Long enough for something that should not come.
const MOMENT: Duration = Duration::from_millis(300);

#[test]
fn one_of_two_published_streams_ends() {
    for ending in ["FCUnpublish", "deleteStream", "closeStream", "publish(false)"] {
        let (server, _folder) = need!(server(Library::Ours, &[]));
        let mut players = ["one", "two"].map(|name| Client::player(&server, "live", name));
        let mut client = Client::connect(&server, "live");
        for name in ["one", "two"] {
            let stream = client.create();
            client.publish(stream, name);
        }
        for (stream, player) in (1..).zip(&mut players) {
            player.wait_for_status(1, "NetStream.Play.PublishNotify");
            client.media(stream, 8, 0, &[0x2f, stream as u8]);
            assert_eq!(player.media_until(&[0x2f, stream as u8]).len(), 1);
        }
        match ending {
            "FCUnpublish" => drop(client.call("FCUnpublish", &[Value::Null, s("one")])),
            "deleteStream" => client.command(0, "deleteStream", &[n(1)]),
            "closeStream" => client.command(1, "closeStream", &[]),
            _ => client.command(1, "publish", &[Value::Bool(false)]),
        }
        players[0].wait_for_status(1, "NetStream.Play.UnpublishNotify");
        client.media(1, 8, 40, &[0x2f, 3]);
        client.media(2, 8, 40, &[0x2f, 4]);
        assert_eq!(players[1].media_until(&[0x2f, 4]).len(), 1, "{ending}");
        assert_eq!(players[0].next_media(MOMENT), None, "{ending}: it has ended");
    }
}

#[test]
fn commands_for_players_apply_to_their_message_stream() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut publisher = Client::publisher(&server, "live", "a");
    let mut player = Client::connect(&server, "live");
    for _ in 0..2 {
        let stream = player.create();
        player.play(stream, "a");
    }
    player.command(1, "pause", &[Value::Bool(true), n(0)]);
    player.wait_for_status(1, "NetStream.Pause.Notify");
    publisher.media(1, 8, 0, &[0x2f, 1]);
    let message = player.next_media(PATIENCE).expect("the other stream plays on");
    assert_eq!((message.message_stream, message.body), (2, vec![0x2f, 1]));
    player.command(2, "receiveAudio", &[Value::Bool(false)]);
    player.command(1, "pause", &[Value::Bool(false), n(0)]);
    player.wait_for_status(1, "NetStream.Unpause.Notify");
    publisher.media(1, 8, 20, &[0x2f, 2]);
    let message = player.next_media(PATIENCE).expect("the first stream plays again");
    assert_eq!((message.message_stream, message.body), (1, vec![0x2f, 2]));
    player.command(1, "play", &[Value::Bool(false)]);
    player.wait_for_status(1, "NetStream.Play.Stop");
    player.command(2, "seek", &[n(0)]);
    player.wait_for_status(2, "NetStream.Seek.Failed");
    publisher.media(1, 8, 40, &[0x2f, 3]);
    publisher.media(1, 18, 40, &amf::encode(&[s("onCuePoint")]));
    let message = player.next_media(PATIENCE).expect("data is not muted");
    assert_eq!((message.message_stream, message.kind), (2, 18));
}

/// Some clients send pause and seek on message stream 0.
#[test]
fn a_command_without_a_message_stream_means_the_only_one() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut player = Client::player(&server, "live", "a");
    player.command(0, "pause", &[Value::Bool(true), n(0)]);
    player.wait_for_status(1, "NetStream.Pause.Notify");
}

#[test]
fn a_deleted_message_stream_is_free_again() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut client = Client::connect(&server, "live");
    for _ in 0..50 {
        assert_eq!(client.create(), 1);
        client.command(0, "deleteStream", &[n(1)]);
    }
    let streams: Vec<u32> = (0..16).map(|_| client.create()).collect();
    assert_eq!(streams, (1..=16).collect::<Vec<_>>());
    client.invoke(0, &[s("createStream"), n(9), Value::Null]);
    let error = client.wait_for("_error");
    assert_eq!(error[1].number(), Some(9.0));
    for id in [0.0, -1.0, 17.0, f64::NAN, f64::INFINITY, 1e300] {
        client.command(0, "deleteStream", &[n(id)]);
    }
    client.assert_alive();
}

#[test]
fn publish_false_and_play_false_stop_the_stream() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    for nothing in [Value::Bool(false), Value::Null, Value::Undefined] {
        let mut publisher = Client::publisher(&server, "live", "a");
        let mut player = Client::player(&server, "live", "a");
        player.command(1, "play", std::slice::from_ref(&nothing));
        player.wait_for_status(1, "NetStream.Play.Stop");
        publisher.command(1, "publish", std::slice::from_ref(&nothing));
        publisher.wait_for_status(1, "NetStream.Unpublish.Success");
        // Both again, on the same streams; and stopping what does nothing is no error.
        publisher.publish(1, "a");
        player.play(1, "a");
        publisher.media(1, 8, 0, &[0x2f, 1]);
        assert_eq!(player.media_until(&[0x2f, 1]).len(), 1);
        let mut idle = Client::connect(&server, "live");
        let stream = idle.create();
        idle.command(stream, "publish", std::slice::from_ref(&nothing));
        idle.command(stream, "play", std::slice::from_ref(&nothing));
        idle.assert_alive();
        assert_eq!(idle.status_within(MOMENT), None);
        publisher.command(1, "publish", &[Value::Bool(false)]);
        publisher.wait_for_status(1, "NetStream.Unpublish.Success");
    }
}

/// A name that is taken ends the connection, since librtmp's clients would wait forever; but not the other streams.
#[test]
fn bad_name_does_not_end_other_streams() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut publisher = Client::publisher(&server, "live", "a");
    let stream = publisher.create();
    for name in [s("a"), s("../b"), n(5), Value::Bool(true)] {
        publisher.command(stream, "publish", &[name, s("live")]);
        publisher.wait_for_status(stream, "NetStream.Publish.BadName");
    }
    publisher.assert_alive();
    let mut other = Client::connect(&server, "live");
    let stream = other.create();
    other.command(stream, "publish", &[s("a"), s("live")]);
    other.wait_for_status(stream, "NetStream.Publish.BadName");
    other.assert_ended(PATIENCE);
}

/// Values that librtmp does not decode, at every place of a command.
#[test]
fn arguments_of_any_type_leave_commands_answered() {
    let typed = [&[16, 0, 5][..], b"Class", &[0, 1, b'a', 7, 0, 1, 0, 0, 9]].concat();
    let nested = [&[10, 0, 0, 0, 2][..], &typed, &[7, 0, 0]].concat();
    let odd: [&[u8]; 8] = [&[7, 0, 0], &typed, &nested, &[13], &[7, 0xff, 0xff], &[4], &[0xff], &[3, 0]];
    for library in [Library::Ours, Library::Original] {
        let (server, _folder) = need!(server(library, &[]));
        for (at, odd) in odd.iter().enumerate() {
            let mut player = Client::player(&server, "live", "a");
            let mut client = Client::shake_hands(&server);
            let app = [&b"\0\x03app"[..], &amf::encode(&[s("live")])].concat();
            // The first of them can be measured, and so may stand anywhere.
            let inside = if at < 5 { [&b"\0\x01x"[..], odd].concat() } else { Vec::new() };
            let begin = amf::encode(&[s("connect"), n(1)]);
            let connect = [&begin, &[3][..], &inside, &app, &[0, 0, 9], odd].concat();
            client.send(&Message::new(3, 0, 0x14, 0, &connect));
            client.wait_for("_result");
            let stream = client.create();
            let command = if at < 5 { *odd } else { &[5] };
            let begin = amf::encode(&[s("publish"), n(0)]);
            let publish = [&begin, command, &amf::encode(&[s("a")]), odd].concat();
            client.send(&Message::new(3, 0, 0x14, stream, &publish));
            client.wait_for_status(stream, "NetStream.Publish.Start");
            player.wait_for_status(1, "NetStream.Play.PublishNotify");
            client.command(stream, "closeStream", &[]);
            client.wait_for_status(stream, "NetStream.Unpublish.Success");
        }
    }
}

/// Class names and values instead of the object where the application is.
#[test]
fn an_application_is_found_in_a_typed_object() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut player = Client::player(&server, "live", "a");
    let mut client = Client::shake_hands(&server);
    let object = [&b"\x10\0\x05Class\0\x03app"[..], &amf::encode(&[s("live")]), &[0, 0, 9]].concat();
    client.send(&Message::new(3, 0, 0x14, 0, &[&amf::encode(&[s("connect"), n(1)])[..], &object].concat()));
    client.wait_for("_result");
    let stream = client.create();
    client.publish(stream, "a");
    player.wait_for_status(1, "NetStream.Play.PublishNotify");
}

#[test]
fn nested_arguments_have_a_bound() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut client = Client::connect(&server, "live");
    for nested in
        [&[3, 0, 1, b'a'][..], &[10, 0, 0, 0, 1], &[8, 0, 0, 0, 0, 0, 1, b'a'], &[16, 0, 0, 0, 1, b'a']]
    {
        for depth in [10, 60, 70, 1500] {
            let command = amf::encode(&[s("_checkbw"), n(5), Value::Null]);
            client.send(&Message::new(3, 0, 0x14, 0, &[command, nested.repeat(depth)].concat()));
            client.assert_alive();
        }
    }
    for count in [0, 1, 0x7fff_ffff, u32::MAX] {
        let command = amf::encode(&[s("_checkbw"), n(5), Value::Null]);
        client.send(&Message::new(3, 0, 0x14, 0, &[&command[..], &[10], &count.to_be_bytes()].concat()));
        client.assert_alive();
    }
}

#[test]
fn pieces_of_a_connect_command_never_hang_the_server() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let connect = amf::encode(&[s("connect"), n(1), object(&[("app", s("live"))])]);
    for end in 0..connect.len() {
        let mut client = Client::shake_hands(&server);
        client.send(&Message::new(3, 0, 0x14, 0, &connect[..end]));
        client.finish();
        client.assert_ended(PATIENCE);
    }
}

/// Ends while clients publish, play what is live and what is a file, and have unfinished messages.
#[test]
fn server_can_be_stopped_at_any_time() {
    let (server, folder) = need!(server(Library::Ours, &["-r", "FOLDER"]));
    let mut publisher = Client::publisher(&server, "live", "-a");
    for time in 0..200 {
        publisher.media(1, 9, time, &[if time % 50 == 0 { 0x12 } else { 0x22 }; 2000]);
        publisher.media(1, 8, time, &[0x2f; 300]);
    }
    publisher.assert_alive();
    let mut players: Vec<Client> = (0..5).map(|_| Client::player(&server, "live", "-a")).collect();
    let stream = players[0].create();
    players[0].command(stream, "play", &[s("-a"), n(0)]);
    players[0].wait_for_status(stream, "NetStream.Play.Start");
    publisher.send_raw(&Message::new(9, 0, 9, 1, &[0x22; 2000]).chunks(128)[..398]);
    publisher.assert_alive();
    let run = server.finish();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let recording = std::fs::read(folder.join("_-a.flv")).expect("it was recorded");
    assert_eq!(crate::support::flv::parse(&recording).map(|tags| tags.len()), Ok(400));
}
