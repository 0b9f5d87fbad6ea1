//! Protocol control messages in either direction.

use std::time::Duration;

use super::client::{Client, server};
use crate::support::Library;
use crate::support::peer::PATIENCE;
use crate::support::wire::{Message, basic_header};

/// What the server says how much may be sent without an acknowledgement.
const WINDOW: u32 = 2_500_000;

/// Sends bytes as far as the window allows, waiting for acknowledgements meanwhile.
struct Window {
    size: u32,
    sent: u32,
    acknowledged: u32,
}

impl Window {
    fn send(&mut self, client: &mut Client, bytes: &[u8]) {
        for part in bytes.chunks(100_000) {
            while self.sent + part.len() as u32 - self.acknowledged > self.size {
                let message =
                    client.next(PATIENCE).expect("an acknowledgement comes before the window is full");
                if message.kind == 3 {
                    self.acknowledged = u32::from_be_bytes(message.body[..4].try_into().expect("four bytes"));
                    assert!(self.acknowledged <= self.sent, "more is acknowledged than was sent");
                }
            }
            client.send_raw(part);
            self.sent += part.len() as u32;
        }
    }
}

fn publishers_are_acknowledged(library: Library) {
    let (server, _folder) = need!(server(library, &[]));
    let mut client = Client::publisher(&server, "live", "a");
    client.set_chunk_size(0xff_ffff);
    // Asking the server to send less changes nothing for what it receives.
    client.send_control(6, &[5, 245, 225, 0, 2]);
    // The little that was said before does not count as sent.
    let mut window = Window { size: WINDOW, sent: 0xffff, acknowledged: 0 };
    for time in 0..40 {
        window.send(&mut client, &Message::new(8, time, 8, 1, &vec![0xaf; 200_000]).chunks(0xff_ffff));
    }
    // One message, and one chunk, longer than the window.
    window.send(&mut client, &Message::new(8, 50, 8, 1, &vec![0xaf; 8 << 20]).chunks(0xff_ffff));
    client.assert_alive();
}

#[test]
fn publisher_that_waits_for_acknowledgements_gets_them() {
    publishers_are_acknowledged(Library::Ours);
}

#[test]
fn publisher_that_waits_for_acknowledgements_gets_them_on_librtmp() {
    publishers_are_acknowledged(Library::Original);
}

#[test]
fn a_window_that_the_client_chooses_is_acknowledged() {
    for library in [Library::Ours, Library::Original] {
        let (server, _folder) = need!(server(library, &[]));
        let mut client = Client::publisher(&server, "live", "a");
        let size = 5000;
        client.send_control(5, &u32::to_be_bytes(size));
        client.assert_alive();
        let from = client.messages.iter().filter(|message| message.kind == 3).count();
        for time in 0..100 {
            client.media(1, 8, time, &[0xaf; 1000]);
        }
        client.assert_alive();
        let acknowledgements = client.messages.iter().filter(|message| message.kind == 3).count() - from;
        assert!(acknowledgements >= 20, "{acknowledgements} acknowledgements of 100 kB, {library:?}");
    }
}

/// A message that begins after an abort takes its length and type from the header before.
fn aborted_messages_are_forgotten(library: Library) {
    let (server, _folder) = need!(server(library, &[]));
    let mut player = Client::player(&server, "live", "a");
    let mut client = Client::publisher(&server, "live", "a");
    let begun = Message::new(8, 0, 8, 1, &[0xa1; 300]).chunks(128);
    client.send_raw(&begun[..12 + 128]);
    for chunk_stream in [8_u32, 8, 9, 0, 65_600, u32::MAX] {
        client.send_control(2, &chunk_stream.to_be_bytes());
    }
    let fresh = [0xa2; 300];
    for part in fresh.chunks(128) {
        client.send_raw(&[&basic_header(3, 8)[..], part].concat());
    }
    client.media(1, 8, 40, &[0xa3]);
    assert_eq!(player.media_until(&[0xa3]), [fresh.to_vec(), vec![0xa3]]);
    // What was announced does not count as unfinished any more.
    let begun = Message::new(8, 0, 8, 1, &vec![0xa1; 4 << 20]).chunks(128);
    for _ in 0..20 {
        client.send_raw(&begun[..12 + 128]);
        client.send_control(2, &8_u32.to_be_bytes());
    }
    client.assert_alive();
}

#[test]
fn aborted_message_is_not_part_of_the_next_one() {
    aborted_messages_are_forgotten(Library::Ours);
}

#[test]
fn aborted_message_is_not_part_of_the_next_one_on_librtmp() {
    aborted_messages_are_forgotten(Library::Original);
}

#[test]
fn control_messages_of_any_size_do_not_crash() {
    for library in [Library::Ours, Library::Original] {
        let (server, _folder) = need!(server(library, &[]));
        let mut client = Client::connect(&server, "live");
        for kind in [2, 3, 4, 5, 6] {
            for size in 0..12 {
                client.send_control(kind, &vec![0xff; size]);
                client.send_control(kind, &vec![0; size]);
            }
        }
        client.assert_alive();
    }
}

#[test]
fn a_ping_and_a_bandwidth_limit_are_answered() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut client = Client::connect(&server, "live");
    client.assert_alive();
    let from = client.messages.len();
    client.send_control(4, &[0, 6, 1, 2, 3, 4]);
    client.send_control(6, &[0, 0, 0x10, 0, 0]);
    client.assert_alive();
    let answers: Vec<_> = client.messages[from..].iter().map(|m| (m.kind, m.body.clone())).collect();
    assert!(answers.contains(&(4, vec![0, 7, 1, 2, 3, 4])), "{answers:02x?}");
    assert!(answers.contains(&(5, WINDOW.to_be_bytes().to_vec())), "{answers:02x?}");
}

#[test]
fn invalid_chunk_size_ends_the_connection() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    for body in [&[0; 4][..], &[0x80, 0, 0, 0], &[0, 0, 1]] {
        let mut client = Client::connect(&server, "live");
        client.send_control(1, body);
        client.assert_ended(PATIENCE);
    }
}

#[test]
fn silent_player_is_pinged_and_stays_connected() {
    let (server, _folder) = need!(server(Library::Ours, &["-t", "2"]));
    let mut player = Client::player(&server, "live", "a");
    let mut pings = 0;
    while pings < 2 {
        let message = player.next(Duration::from_secs(60)).expect("the server pings");
        if message.kind == 4 && message.body.starts_with(&[0, 6]) {
            pings += 1;
            player.send_control(4, &[&[0, 7][..], &message.body[2..]].concat());
        }
    }
    player.assert_alive();
}
