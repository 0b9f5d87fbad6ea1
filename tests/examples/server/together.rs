//! The server holds audio messages back and sends them with the next video message: no order, content or time changes, and the
//! last messages arrive, too.

use super::client::{Client, server};
use crate::support::Library;
use crate::support::peer::PATIENCE;

const KEY: [u8; 6] = [0x17, 1, 0, 0, 0, 1];

fn sound(number: u8, length: usize) -> (u8, Vec<u8>) {
    (8, [vec![0xaf, 1, number], vec![number; length]].concat())
}

fn frame(number: u8, length: usize) -> (u8, Vec<u8>) {
    (9, [vec![0x27, 1, 0, 0, 0, number], vec![number; length]].concat())
}

/// Two players, one of which has headers of its own since it came later, get what is sent behind a key frame.
fn players_get(messages: &[(u8, Vec<u8>)]) -> Option<()> {
    let (server, _folder) = server(Library::Ours, &[])?;
    let mut publisher = Client::publisher(&server, "live", "a");
    let mut players = vec![Client::player(&server, "live", "a")];
    publisher.media(1, 9, 0, &KEY);
    players[0].media_until(&KEY);
    publisher.media(1, 9, 20, &frame(0, 1).1);
    players[0].media_until(&frame(0, 1).1);
    players.push(Client::player(&server, "live", "a"));
    players[1].media_until(&frame(0, 1).1);
    for (time, (kind, body)) in (40..).step_by(20).zip(messages) {
        publisher.media(1, *kind, time, body);
    }
    for player in &mut players {
        for (time, (kind, body)) in (40..).step_by(20).zip(messages) {
            let message = player.next_media(PATIENCE).expect("every message comes");
            assert_eq!((message.kind, message.timestamp), (*kind, time), "of {} bytes", body.len());
            assert!(message.body == *body, "{kind} at {time}");
        }
    }
    Some(())
}

#[test]
fn audio_is_sent_with_the_next_video_frame() {
    let kinds = "avaavaaavaaaaavvaaaaaaav";
    let number = |(number, kind)| if kind == 'a' { sound(number, 300) } else { frame(number, 9_000) };
    need!(players_get(&(1..).zip(kinds.chars()).map(number).collect::<Vec<_>>()));
}

#[test]
fn audio_without_a_successor_comes() {
    need!(players_get(&[sound(1, 300)]));
    need!(players_get(&[sound(1, 300), sound(2, 300)]));
}

#[test]
fn long_messages_are_not_joined() {
    // All but the last message have 4,096 bytes, the last one 60,000, at most.
    let lengths = [
        (1_000, 3_090, 59_994),
        (1_000, 3_091, 100),
        (4_093, 100, 59_994),
        (4_094, 10, 100),
        (100, 100, 59_995),
        (100, 100, 200_000),
        (100, 70_000, 100),
    ];
    let messages: Vec<_> = lengths
        .iter()
        .flat_map(|(first, second, last)| [sound(1, *first), sound(2, *second), frame(3, *last)])
        .collect();
    need!(players_get(&messages));
}

#[test]
fn the_last_audio_comes_before_the_end() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut publisher = Client::publisher(&server, "live", "a");
    let mut player = Client::player(&server, "live", "a");
    publisher.media(1, 9, 0, &KEY);
    player.media_until(&KEY);
    let last = sound(1, 10).1;
    publisher.media(1, 8, 20, &last);
    drop(publisher);
    assert!(player.media_until(&last).len() == 1);
    player.wait_for_status(1, "NetStream.Play.UnpublishNotify");
}
